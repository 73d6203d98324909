// Small questions and edits that passes share, on top of ir/edit.h. A pass
// marks a node as gone by clearing its outputs and ends with
// ir::remove_dead(), so indices stay valid while it works.
#ifndef QRT_CONVERTER_PASSES_EDIT_H_
#define QRT_CONVERTER_PASSES_EDIT_H_

#include <string>
#include <vector>

#include "converter/ir/edit.h"
#include "converter/ir/graph.h"

namespace qrt::passes {

inline const ir::Value& value_of(const ir::Graph& g, ir::ValueId v) {
  return g.values[static_cast<size_t>(v)];
}

// How often each value is read: by nodes, and as an output of the graph.
std::vector<int> count_uses(const ir::Graph&);

bool is_graph_output(const ir::Graph&, ir::ValueId);

// The floats of a constant that is neither encoded nor of integers, else null.
const std::vector<float>* floats_of(const ir::Graph&, ir::ValueId);

// Gives a constant value other floats of the same shape; values that shared the constant keep it.
void set_floats(ir::Graph&, ir::ValueId, std::vector<float>);

// Takes out a node with y = x. False, and nothing changed, where that would cost a graph output
// its own value: y is an output and x an input, a constant or another output.
bool bypass(ir::Graph&, ir::Node&);

// `before` makes what `after` made, and `after` is gone. Their shapes must agree.
void absorb(ir::Graph&, ir::Node& before, ir::Node& after);

// Notes in `kept` that `gone` was fused into it.
void record_origin(ir::Node& kept, const ir::Node& gone);

// The axis that an Affine of this layout scales.
size_t channel_axis(ir::Layout, size_t rank);

// x clamped by `inner` and then by `outer`, as one clamp.
ir::Clamp compose(ir::Clamp inner, ir::Clamp outer);

// The node that makes `value` if one node reads it once and it is no graph output, else null.
ir::Node* sole_producer(ir::Graph&, const std::vector<int>& uses, ir::ValueId value);

}  // namespace qrt::passes

#endif  // QRT_CONVERTER_PASSES_EDIT_H_
