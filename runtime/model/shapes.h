// What shape an operator's output has, by the definition of its kind.
#ifndef QRT_RUNTIME_MODEL_SHAPES_H_
#define QRT_RUNTIME_MODEL_SHAPES_H_

#include "runtime/model/model.h"

namespace qrt {

// Compares the node's output with what its inputs give at this batch: rank,
// dimensions, element types. All indices of the node are known to be in range.
Status check_node_shapes(const Model&, const Node&, int64_t batch);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_SHAPES_H_
