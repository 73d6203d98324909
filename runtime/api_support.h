// The two conversions of the C border: Status to qrt_error, qrt_options to what the
// library uses.
#ifndef QRT_RUNTIME_API_SUPPORT_H_
#define QRT_RUNTIME_API_SUPPORT_H_

#include <cstddef>

#include "qrt.h"
#include "runtime/base/status.h"
#include "runtime/memory/budget.h"
#include "runtime/model/model.h"

namespace qrt {

// Fills *error (NULL is fine; one whose struct_size is too small stays untouched)
// and returns the status. `m` names the place, as far as it has been read; `file`
// goes in front.
qrt_status fail(const Status&, const Model* m, const char* file, qrt_error* error);
qrt_status fail(const Status&, qrt_error* error);

Status null_argument(const char* what);

// The limit's refusal in place of the memory shortage that it looks like inside.
Status explain(const Status&, const Budget&);

// Options of the first header.
inline constexpr size_t kFirstOptions = offsetof(qrt_options, user) + sizeof(void*);

// Copies what the caller knows and checks it; NULL gives defaults. Fields that only
// a newer header has must be zero.
Status read_options(const qrt_options* given, qrt_options* out);
Allocator allocator_of(const qrt_options&);
uint64_t limit_of(const qrt_options&);

}  // namespace qrt

#endif  // QRT_RUNTIME_API_SUPPORT_H_
