// A clamp (ReLU, ReLU6, Clip) joins the operator before it, if that operator can
// clamp its result and nobody else reads the unclamped one.
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

ir::Unary* as_clamp(ir::Node& n) {
  auto* u = std::get_if<ir::Unary>(&n.attr);
  return u != nullptr && u->op == ir::Unary::Op::clamp ? u : nullptr;
}

bool join(ir::Node& before, const ir::Unary& clamp) {
  const ir::Clamp outer{clamp.alpha, clamp.beta};
  if (ir::Clamp* inner = clamp_of(before)) {
    *inner = compose(*inner, outer);
    return true;
  }
  if (ir::Unary* u = as_clamp(before)) {
    const ir::Clamp both = compose({u->alpha, u->beta}, outer);
    u->alpha = both.min;
    u->beta = both.max;
    return true;
  }
  return false;
}

}  // namespace

Result<void> fuse_activation(ir::Graph& g) {
  const std::vector<int> uses = count_uses(g);
  for (ir::Node& n : g.nodes) {
    const ir::Unary* clamp = n.out.empty() ? nullptr : as_clamp(n);
    if (clamp == nullptr) continue;
    ir::Node* before = sole_producer(g, uses, n.in[0]);
    if (before == nullptr || !join(*before, *clamp)) continue;
    absorb(g, *before, n);
  }
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes
