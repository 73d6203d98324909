// Flatten keeps the element order of the source, so behind a channels-last
// image stands a transpose. Where the flattened map feeds one Linear, its weight
// columns are permuted instead and the transpose goes. Codebooks, and scales or
// planes by groups of inputs, cannot follow: there the transpose stays.
#include <memory>
#include <utility>
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

// The columns of an image's elements sorted by place first, then by channel. False, and nothing
// changed, where the weights are no constant floats or their encoding forbids it.
bool permute_columns(Graph& g, ir::ValueId weight, int64_t channels) {
  const int64_t outputs = value_of(g, weight).shape[0];
  const int64_t inputs = value_of(g, weight).shape[1], places = inputs / channels;
  if (const auto* floats = floats_of(g, weight)) {
    set_floats(g, weight, channels_last(*floats, {outputs, channels, places}));
    return true;
  }
  const ir::Constant* c = ir::constant_of(g, weight);
  if (c == nullptr || c->encoding == nullptr) return false;
  auto moved = quant::flattened_last(*c->encoding, outputs, inputs, places);
  if (!moved) return false;
  ir::Constant constant;
  constant.source = c->source;
  constant.encoding = std::make_shared<const quant::Encoding>(std::move(*moved));
  ir::Value& value = g.values[static_cast<size_t>(weight)];
  value.type = constant.type;
  value.constant = static_cast<int32_t>(g.constants.size());
  g.constants.push_back(std::move(constant));
  return true;
}

void permute(Graph& g, const std::vector<int>& uses, Node& linear) {
  const LayerInputs in = inputs_of(linear);
  if (uses[static_cast<size_t>(in.weight)] != 1) return;
  Node* flatten = flatten_before(g, uses, in.x);
  if (flatten == nullptr) return;
  Node* transpose = sole_producer(g, uses, flatten->in[0]);
  if (transpose == nullptr || !std::holds_alternative<ir::Transpose>(transpose->attr)) return;

  const ir::Value &map = value_of(g, flatten->in[0]), &flat = value_of(g, flatten->out[0]);
  const size_t rank = map.shape.size();
  if (std::get<ir::Transpose>(transpose->attr).perm != perm_to_first(rank)) return;
  if (rank < 3 || flat.shape.size() != 2 || flat.shape[0] != map.shape[0] || map.shape[1] == 0)
    return;

  if (permute_columns(g, in.weight, map.shape[1])) flatten->in[0] = transpose->in[0];
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
