// Add of a layer's result and another value of the same shape becomes the
// layer's residual input: y = clamp(scale * sum + bias + residual). The layer
// moves to the place of the Add, where everything it reads exists already, so
// any order of the source will do. Of two layers that meet in an Add the later
// one takes the other as its residual.
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::Node;
using ir::ValueId;

bool is_plain_add(const Graph& g, const Node& n) {
  const auto* b = std::get_if<ir::Binary>(&n.attr);
  if (n.out.empty() || b == nullptr || b->op != ir::Binary::Op::add) return false;
  const ir::Value &x = value_of(g, n.in[0]), &y = value_of(g, n.in[1]);
  return x.shape == y.shape && x.batched == y.batched && x.constant < 0 && y.constant < 0;
}

// The layer that makes `v` and may take a residual, or null.
Node* open_layer(Graph& g, const std::vector<int>& uses, ValueId v) {
  Node* n = sole_producer(g, uses, v);
  if (n == nullptr || !is_layer(*n) || *clamp_of(*n) != ir::kNoClamp) return nullptr;
  return inputs_of(*n).residual < 0 ? n : nullptr;
}

}  // namespace

Result<void> fuse_residual(Graph& g) {
  const std::vector<int> uses = count_uses(g);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& add = g.nodes[i];
    if (!is_plain_add(g, add)) continue;
    Node* first = open_layer(g, uses, add.in[0]);
    Node* second = open_layer(g, uses, add.in[1]);
    if (first == nullptr && second == nullptr) continue;
    const bool take_second = first == nullptr || (second != nullptr && second > first);
    Node& layer = take_second ? *second : *first;

    Node fused = layer;
    LayerInputs in = inputs_of(fused);
    in.residual = add.in[take_second ? 0 : 1];
    set_inputs(fused, in);
    *clamp_of(fused) = *clamp_of(add);
    record_origin(fused, add);
    fused.out = add.out;
    layer.out.clear();
    g.nodes[i] = std::move(fused);
  }
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes
