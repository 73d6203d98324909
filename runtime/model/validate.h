// Relations between the parts of a model whose fields are each in range: who
// produces which tensor, and whether every operator's output has the shape and
// element type that its inputs give.
#ifndef QRT_RUNTIME_MODEL_VALIDATE_H_
#define QRT_RUNTIME_MODEL_VALIDATE_H_

#include "runtime/model/model.h"

namespace qrt {

// Single assignment: every tensor is an input, a constant or the one output of
// one operator, and is there before it is used. Then check_shapes() for batch 1
// and for a batch so large that no fixed dimension can pass for it.
// `keep` lends one byte per tensor.
Status validate_graph(const Model&, Arena& keep);

// Recomputes every output's shape with dims[0] of batched tensors multiplied by
// `batch` and compares it with what the file says.
Status check_shapes(const Model&, int64_t batch);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_VALIDATE_H_
