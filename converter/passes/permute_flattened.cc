// Flatten keeps the element order of the source, so behind a channels-last
// image stands a transpose. Where the flattened map feeds one dense Linear, its
// weight columns are permuted instead and the transpose goes. Encoded weights
// cannot be (their blocks are runs of columns): there the transpose stays.
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/layout.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::Node;

// The Reshape behind `v` through elementwise nodes that nobody else reads, or null.
Node* flatten_before(Graph& g, const std::vector<int>& uses, ir::ValueId v) {
  Node* n = sole_producer(g, uses, v);
  while (n != nullptr && std::holds_alternative<ir::Unary>(n->attr))
    n = sole_producer(g, uses, n->in[0]);
  return n != nullptr && std::holds_alternative<ir::Reshape>(n->attr) ? n : nullptr;
}

void permute(Graph& g, const std::vector<int>& uses, Node& linear) {
  const LayerInputs in = inputs_of(linear);
  const auto* weight = floats_of(g, in.weight);
  if (weight == nullptr || uses[static_cast<size_t>(in.weight)] != 1) return;
  Node* flatten = flatten_before(g, uses, in.x);
  if (flatten == nullptr) return;
  Node* transpose = sole_producer(g, uses, flatten->in[0]);
  if (transpose == nullptr || !std::holds_alternative<ir::Transpose>(transpose->attr)) return;

  const ir::Value &map = value_of(g, flatten->in[0]), &flat = value_of(g, flatten->out[0]);
  const size_t rank = map.shape.size();
  if (std::get<ir::Transpose>(transpose->attr).perm != perm_to_first(rank)) return;
  if (rank < 3 || flat.shape.size() != 2 || flat.shape[0] != map.shape[0] || map.shape[1] == 0)
    return;

  const int64_t outputs = value_of(g, in.weight).shape[0], channels = map.shape[1];
  set_floats(g, in.weight, channels_last(*weight, {outputs, channels, flat.shape[1] / channels}));
  flatten->in[0] = transpose->in[0];
}

}  // namespace

Result<void> permute_flattened(Graph& g) {
  const std::vector<int> uses = count_uses(g);
  for (Node& n : g.nodes)
    if (std::holds_alternative<ir::Linear>(n.attr)) permute(g, uses, n);
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes
