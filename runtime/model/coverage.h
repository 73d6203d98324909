// Accounts for every byte of a verified file: each belongs to exactly one object
// that the root reaches, or is a zero between two of them. FlatBuffers' verifier
// accepts holes, tails and objects laid over one another, in which a second file
// could hide (a polyglot), and by which a small file could have the same bytes
// checked thousands of times.
#ifndef QRT_RUNTIME_MODEL_COVERAGE_H_
#define QRT_RUNTIME_MODEL_COVERAGE_H_

#include "qrt_generated.h"
#include "runtime/model/model.h"

namespace qrt {

// `file` has passed the verifier. Only vtables and strings may be shared, whole.
// Memory is at most a small multiple of the file's, from `allocator`, and given back.
Status check_coverage(const fb::Model& root, Bytes file, const Allocator& allocator);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_COVERAGE_H_
