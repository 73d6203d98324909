#include "converter/lowbit/placement.h"

#include <numeric>

#include "converter/ir/edit.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"

namespace qrt::lowbit {
namespace {

using ir::Graph;
using ir::Node;
using ir::NodeId;
using ir::ValueId;

size_t at(int32_t id) {
  return static_cast<size_t>(id);
}

bool is_quantizer(const Node& n) {
  return std::holds_alternative<ir::FakeQuantize>(n.attr) ||
         std::holds_alternative<ir::Steps>(n.attr);
}

// Moves of bits that the engine has; bytes move in all of them.
bool moves_bits(const Node& n) {
  return std::holds_alternative<ir::Pool2d>(n.attr) ||
         std::holds_alternative<ir::Transpose>(n.attr) ||
         std::holds_alternative<ir::Reshape>(n.attr);
}

// Sums and averages of bytes that a quantizer follows: its rounding becomes theirs.
bool computes_bytes(const Graph& g, const Node& n) {
  for (const ValueId v : n.in)
    if (ir::is_constant(g, v)) return false;
  if (const auto* pool = std::get_if<ir::Pool2d>(&n.attr))
    return pool->mode == ir::Pool2d::Mode::average;
  const auto* binary = std::get_if<ir::Binary>(&n.attr);
  if (binary == nullptr || binary->op != ir::Binary::Op::add) return false;
  const ir::Value &a = passes::value_of(g, n.in[0]), &b = passes::value_of(g, n.in[1]);
  return a.shape == b.shape && a.batched == b.batched;
}

class Placing {
 public:
  explicit Placing(const Graph& g)
      : g_(g), uses_(passes::count_uses(g)), readers_(ir::consumers(g)) {
    p_.grid = grids(g);
    p_.sums.resize(g.nodes.size());
    p_.why.resize(g.nodes.size());
    p_.quantizer.assign(g.nodes.size(), -1);
    p_.wanted.assign(g.values.size(), false);
    p_.stored.resize(g.values.size());
    group_.resize(g.values.size());
    std::iota(group_.begin(), group_.end(), 0);
  }

  Placement run() {
    for (size_t i = 0; i < g_.nodes.size(); ++i)
      if (passes::is_layer(g_.nodes[i]))
        p_.sums[i] = sums_of(g_, g_.nodes[i], p_.grid[at(g_.nodes[i].in[0])], &p_.why[i]);
    for (size_t i = g_.nodes.size(); i-- > 0;) want(i);
    choose_storage();
    return std::move(p_);
  }

 private:
  // Backwards: what readers would like, and which node takes over the quantizer behind it.
  void want(size_t i) {
    const Node& n = g_.nodes[i];
    const ValueId y = n.out[0];
    if (p_.sums[i]) p_.wanted[at(n.in[0])] = true;
    if (keeps_grid(n) && p_.wanted[at(y)] && p_.grid[at(y)])
      for (const ValueId v : n.in) {
        p_.wanted[at(v)] = true;
        group_[at(root(v))] = root(y);
      }
    if (!is_quantizer(n) || !p_.grid[at(y)]) return;
    const NodeId before = passes::value_of(g_, n.in[0]).producer;
    if (before < 0 || uses_[at(n.in[0])] != 1) return;
    // Bytes even where all readers want floats: their rounding is that of the exporting framework.
    if (p_.sums[at(before)] && rounds_to_bytes(g_, n)) p_.wanted[at(y)] = true;
    if (!p_.wanted[at(y)]) return;
    if (takes_over(at(before), i)) {
      p_.quantizer[at(before)] = static_cast<NodeId>(i);
      if (computes_bytes(g_, g_.nodes[at(before)]))
        for (const ValueId v : g_.nodes[at(before)].in) p_.wanted[at(v)] = true;
    }
  }

  bool takes_over(size_t before, size_t quantizer) const {
    const Node &n = g_.nodes[before], &q = g_.nodes[quantizer];
    if (p_.sums[before]) {
      if (passes::inputs_of(n).residual >= 0) return false;
      if (rounds_to_bytes(g_, q)) return true;
      const auto* steps = std::get_if<ir::Steps>(&q.attr);
      if (steps == nullptr) return false;
      const ir::Value& x = passes::value_of(g_, q.in[0]);
      const auto rank = static_cast<int32_t>(x.shape.size());
      const int32_t axis = steps->axis < 0 ? steps->axis + rank : steps->axis;
      return steps->scale > 0 && *passes::clamp_of(const_cast<Node&>(n)) == ir::kNoClamp &&
             (passes::value_of(g_, q.in[1]).shape.at(0) == 1 || axis == rank - 1);
    }
    if (!computes_bytes(g_, n) || !rounds_to_bytes(g_, q)) return false;
    for (const ValueId v : n.in)
      if (!p_.grid[at(v)]) return false;
    return true;
  }

  ValueId root(ValueId v) {
    while (group_[at(v)] != v) v = group_[at(v)] = group_[at(group_[at(v)])];
    return v;
  }

  // Bits where all of a group that moves keep together may be, bytes else.
  void choose_storage() {
    std::vector<bool> bits(g_.values.size(), true);
    for (size_t v = 0; v < g_.values.size(); ++v) {
      if (!p_.wanted[v] || !p_.grid[v]) continue;
      const auto id = static_cast<ValueId>(v);
      if (!p_.grid[v]->is_signs() || !readers_take_bits(id)) bits[at(root(id))] = false;
    }
    for (size_t v = 0; v < g_.values.size(); ++v) {
      const auto& grid = p_.grid[v];
      if (!grid) continue;
      if (p_.wanted[v] && bits[at(root(static_cast<ValueId>(v)))])
        p_.stored[v] = {grid->magnitude(), 0, true};
      else
        p_.stored[v] = {grid->scale, grid->zero, false};
    }
  }

  bool readers_take_bits(ValueId v) const {
    for (const NodeId r : readers_[at(v)]) {
      const Node& n = g_.nodes[at(r)];
      const auto& sums = p_.sums[at(r)];
      if (sums && n.in[0] == v && !sums->is_signs) return false;
      if (keeps_grid(n) && p_.wanted[at(n.out[0])] && !moves_bits(n)) return false;
      if (p_.quantizer[at(r)] >= 0 && !sums) return false;
    }
    return true;
  }

  const Graph& g_;
  std::vector<int> uses_;
  std::vector<std::vector<NodeId>> readers_;
  std::vector<ValueId> group_;
  Placement p_;
};

}  // namespace

Placement place(const Graph& g) {
  return Placing(g).run();
}

}  // namespace qrt::lowbit
