// A Status in words: the sentence of qrt_error, "where: what; found, allowed; what
// to do (QRT-Enumber)". Formats into the caller's memory, allocates nothing.
#ifndef QRT_RUNTIME_BASE_MESSAGE_H_
#define QRT_RUNTIME_BASE_MESSAGE_H_

#include <cstddef>

#include "runtime/base/status.h"

namespace qrt {

// Writes at most `room` bytes, the ending zero included. `file` and `where` may be
// empty. The code at the end is never cut off; what stands before it may be.
void write_message(const Status&, const char* file, const char* where, char* out, size_t room);

// "QRT-E0123" into at least 10 bytes.
void write_id(const Status&, char* out, size_t room);

}  // namespace qrt

#endif  // QRT_RUNTIME_BASE_MESSAGE_H_
