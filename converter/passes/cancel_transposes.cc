// Takes out what moves no data: identities, transposes and reshapes that undo
// one another, reshapes to the same shape. A transpose that only moves
// dimensions of size 1 ([N,C,1,1] to [N,1,1,C]) is a reshape. Dimension 0 of a
// batched value never counts as 1.
#include <algorithm>
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::Node;
using ir::Reshape;
using ir::Transpose;
using ir::Value;

bool is_no_op(const Graph& g, const Node& n) {
  const Value &x = value_of(g, n.in[0]), &y = value_of(g, n.out[0]);
  if (std::holds_alternative<ir::Identity>(n.attr)) return true;
  if (std::holds_alternative<ir::Cast>(n.attr))
    return x.type == y.type || (ir::is_float(x.type) && ir::is_float(y.type));
  if (std::holds_alternative<Reshape>(n.attr)) return x.shape == y.shape && x.batched == y.batched;
  if (const auto* t = std::get_if<Transpose>(&n.attr))
    return std::is_sorted(t->perm.begin(), t->perm.end());
  return false;
}

// Whether the dimensions other than 1 keep their order.
bool moves_only_ones(const Value& x, const std::vector<int32_t>& perm) {
  int32_t before = -1;
  for (int32_t axis : perm) {
    if (x.shape[static_cast<size_t>(axis)] == 1 && !(axis == 0 && x.batched)) continue;
    if (axis < before) return false;
    before = axis;
  }
  return true;
}

// Reads through a producer of the same kind. True if the node changed.
bool merge_with_producer(const Graph& g, Node& n) {
  const ir::NodeId p = value_of(g, n.in[0]).producer;
  if (p < 0) return false;
  const Node& before = g.nodes[static_cast<size_t>(p)];
  if (before.in.empty()) return false;
  if (std::holds_alternative<Reshape>(n.attr) && std::holds_alternative<Reshape>(before.attr)) {
    n.in[0] = before.in[0];
    return true;
  }
  auto* outer = std::get_if<Transpose>(&n.attr);
  const auto* inner = std::get_if<Transpose>(&before.attr);
  if (outer == nullptr || inner == nullptr) return false;
  for (int32_t& axis : outer->perm) axis = inner->perm[static_cast<size_t>(axis)];
  n.in[0] = before.in[0];
  return true;
}

bool simplify(Graph& g, Node& n) {
  bool changed = merge_with_producer(g, n);
  if (is_no_op(g, n)) {
    if (bypass(g, n)) return true;
    if (std::holds_alternative<Reshape>(n.attr)) return changed;
    n.attr = Reshape{value_of(g, n.out[0]).shape};
    return true;
  }
  const auto* t = std::get_if<Transpose>(&n.attr);
  if (t != nullptr && moves_only_ones(value_of(g, n.in[0]), t->perm)) {
    n.attr = Reshape{value_of(g, n.out[0]).shape};
    changed = true;
  }
  return changed;
}

}  // namespace

Result<void> cancel_transposes(Graph& g) {
  for (bool changed = true; changed;) {
    changed = false;
    for (Node& n : g.nodes)
      if (n.out.size() == 1 && n.in.size() == 1) changed |= simplify(g, n);
    ir::remove_dead(g);
  }
  return {};
}

}  // namespace qrt::passes
