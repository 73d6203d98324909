#include "converter/int8/placement.h"

#include <algorithm>
#include <numeric>

#include "converter/ir/edit.h"
#include "converter/passes/edit.h"

namespace qrt::int8 {
namespace {

using ir::Graph;
using ir::Node;
using ir::ValueId;

size_t at(int32_t id) {
  return static_cast<size_t>(id);
}

// How an operator that is no layer treats bytes.
enum class Kind { none, moves, average, adds };

bool all_computed(const Graph& g, const Node& n) {
  return std::none_of(n.in.begin(), n.in.end(), [&](ValueId v) {
    return ir::is_constant(g, v) || g.values[at(v)].type != ir::ElementType::f32;
  });
}

Kind kind_of(const Graph& g, const Node& n) {
  if (!all_computed(g, n)) return Kind::none;
  if (const auto* pool = std::get_if<ir::Pool2d>(&n.attr)) {
    if (pool->mode == ir::Pool2d::Mode::max) return Kind::moves;
    return pool->mode == ir::Pool2d::Mode::average ? Kind::average : Kind::none;
  }
  if (const auto* binary = std::get_if<ir::Binary>(&n.attr)) {
    const bool same = g.values[at(n.in[0])].shape == g.values[at(n.in[1])].shape &&
                      g.values[at(n.in[0])].batched == g.values[at(n.in[1])].batched;
    return binary->op == ir::Binary::Op::add && same ? Kind::adds : Kind::none;
  }
  // What is not 0 need not be a byte.
  if (const auto* pad = std::get_if<ir::Pad>(&n.attr))
    return pad->mode != ir::Pad::Mode::constant || pad->value == 0 ? Kind::moves : Kind::none;
  return ir::moves(n.attr) ? Kind::moves : Kind::none;
}

// The representative of a group, by union and find.
ValueId root_of(std::vector<ValueId>& group, ValueId v) {
  while (group[at(v)] != v) v = group[at(v)] = group[at(group[at(v)])];
  return v;
}

class Placing {
 public:
  Placing(const Graph& g, const std::vector<bool>& layers) : g_(g), layers_(layers) {
    p_.reads_bytes.assign(g.nodes.size(), false);
    p_.makes_bytes.assign(g.nodes.size(), false);
    p_.needed.assign(g.values.size(), false);
    p_.group.resize(g.values.size());
    std::iota(p_.group.begin(), p_.group.end(), 0);
    wanted_.assign(g.values.size(), false);
    made_.assign(g.values.size(), false);
  }

  Placement run() {
    for (size_t i = g_.nodes.size(); i-- > 0;) want(i);
    for (size_t i = 0; i < g_.nodes.size(); ++i) decide(i);
    for (size_t v = 0; v < p_.group.size(); ++v)
      p_.group[v] = root_of(p_.group, static_cast<ValueId>(v));
    return std::move(p_);
  }

 private:
  // Backwards: whose readers would like bytes.
  void want(size_t i) {
    const Node& n = g_.nodes[i];
    if (!layers_[i] && !(kind_of(g_, n) != Kind::none && wanted_[at(n.out[0])])) return;
    for (const ValueId v : n.in)
      if (!ir::is_constant(g_, v)) wanted_[at(v)] = true;
  }

  // Forwards: a layer reads bytes whatever comes. Others follow their inputs; one that only moves
  // does so before bytes are made, too: it moves a quarter then.
  void decide(size_t i) {
    const Node& n = g_.nodes[i];
    const ValueId y = n.out[0];
    const bool may = !passes::is_graph_output(g_, y), wanted = wanted_[at(y)];
    const Kind kind = layers_[i] ? Kind::none : kind_of(g_, n);
    size_t bytes = 0;
    for (const ValueId v : n.in) bytes += made_[at(v)];
    const bool any = bytes > 0, all = bytes == n.in.size();
    bool reads = layers_[i], makes = layers_[i] && may && wanted;
    if (kind == Kind::moves) reads = makes = may && (all || (wanted && (any || n.in.size() == 1)));
    if (kind == Kind::adds) reads = makes = may && wanted && all;
    if (kind == Kind::average) reads = all, makes = all && may && wanted;
    p_.reads_bytes[i] = reads, p_.makes_bytes[i] = made_[at(y)] = makes;
    if (makes) p_.needed[at(y)] = true;
    for (const ValueId v : n.in) {
      if (!reads || ir::is_constant(g_, v)) continue;
      p_.needed[at(v)] = true;
      if (kind == Kind::moves) p_.group[at(root_of(p_.group, v))] = root_of(p_.group, y);
    }
  }

  const Graph& g_;
  const std::vector<bool>& layers_;
  Placement p_;
  std::vector<bool> wanted_, made_;
};

}  // namespace

Placement place(const Graph& g, const std::vector<bool>& layers) {
  return Placing(g, layers).run();
}

Result<void> insert(Graph& g, const Placement& p, const std::vector<ir::Quantization>& q) {
  const size_t values = g.values.size(), count = g.nodes.size();
  for (size_t i = 0; i < count; ++i)
    if (p.makes_bytes[i]) g.values[at(g.nodes[i].out[0])].quantization = q[at(g.nodes[i].out[0])];
  // The form of each value that it has not by itself: made once, where it is first asked for.
  std::vector<ValueId> other(values, -1);
  for (ir::NodeId i = 0; at(i) < g.nodes.size(); ++i) {
    const size_t original = at(i) - (g.nodes.size() - count);
    const bool reads = p.reads_bytes[original];
    for (size_t k = 0; k < g.nodes[at(i)].in.size(); ++k) {
      const ValueId v = g.nodes[at(i)].in[k];
      const bool bytes = g.values[at(v)].quantization.present();
      if (ir::is_constant(g, v) || bytes == reads) continue;
      if (other[at(v)] < 0) {
        Node convert;
        convert.name = g.values[at(v)].name + (reads ? ".bytes" : ".f32");
        convert.attr = ir::Quantize{};
        convert.in = {v};
        auto made = ir::add_node(g, std::move(convert), g.values[at(v)].name + ".q", i++);
        if (!made.ok()) return made.error();
        other[at(v)] = *made;
        if (reads) g.values[at(*made)].quantization = q[at(v)];
      }
      g.nodes[at(i)].in[k] = other[at(v)];
    }
  }
  return {};
}

}  // namespace qrt::int8
