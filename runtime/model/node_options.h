// Options tables of operators that are read outside of nodes.cc: the ones that cut,
// repeat, pick and resize. All indices of the node are in range already.
// Options tables of operators that are read outside of nodes.cc. All indices of the
// node are in range already.
#ifndef QRT_RUNTIME_MODEL_NODE_OPTIONS_H_
#define QRT_RUNTIME_MODEL_NODE_OPTIONS_H_

#include "runtime/model/reader.h"

namespace qrt {

inline const Shape& input_shape(const Reader& r, const Node& node) {
  return r.model.tensors[node.inputs[0]].shape;
}

// An axis of the first input, counted from the front.
Status read_axis(const Reader&, const Node&, int32_t axis, int32_t* out);

Status read_options(Reader&, const fb::Slice&, const Node&, SliceAttr&);
Status read_options(Reader&, const fb::Resize&, const Node&, ResizeAttr&);
Status read_options(Reader&, const fb::Gather&, const Node&, GatherAttr&);
Status read_options(Reader&, const fb::Tile&, const Node&, TileAttr&);
// node_reductions.cc
Status read_options(Reader&, const fb::Reduce&, const Node&, ReduceAttr&);
Status read_options(Reader&, const fb::ArgReduce&, const Node&, ArgReduceAttr&);
Status read_options(Reader&, const fb::TopK&, const Node&, TopKAttr&);
// node_quantizers.cc
Status read_options(Reader&, const fb::FakeQuantize&, const Node&, FakeQuantizeAttr&);
Status read_options(Reader&, const fb::Steps&, const Node&, StepsAttr&);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_NODE_OPTIONS_H_
