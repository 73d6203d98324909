// Edits on the graph that keep it runnable; see edit.h.
#include "converter/passes/edit.h"

#include <algorithm>
#include <utility>

namespace qrt::passes {

using ir::Graph;
using ir::Node;
using ir::ValueId;

std::vector<int> count_uses(const Graph& g) {
  std::vector<int> uses(g.values.size());
  for (const Node& n : g.nodes)
    for (ValueId v : n.in) ++uses[static_cast<size_t>(v)];
  for (ValueId v : g.outputs) ++uses[static_cast<size_t>(v)];
  return uses;
}

bool is_graph_output(const Graph& g, ValueId v) {
  return std::find(g.outputs.begin(), g.outputs.end(), v) != g.outputs.end();
}

const std::vector<float>* floats_of(const Graph& g, ValueId v) {
  const ir::Constant* c = ir::constant_of(g, v);
  return c != nullptr && c->encoding == nullptr && ir::is_float(c->type) ? &c->data : nullptr;
}

void set_floats(Graph& g, ValueId v, std::vector<float> data) {
  ir::Constant c;
  c.data = std::move(data);
  g.values[static_cast<size_t>(v)].type = ir::ElementType::f32;
  g.values[static_cast<size_t>(v)].constant = static_cast<int32_t>(g.constants.size());
  g.constants.push_back(std::move(c));
}

bool bypass(Graph& g, Node& n) {
  const ValueId x = n.in[0], y = n.out[0];
  if (is_graph_output(g, y) && (value_of(g, x).producer < 0 || is_graph_output(g, x))) return false;
  n.in.clear();
  n.out.clear();
  ir::replace_uses(g, y, x);
  return true;
}

void absorb(Graph& g, Node& before, Node& after) {
  record_origin(before, after);
  g.values[static_cast<size_t>(after.out[0])].producer = value_of(g, before.out[0]).producer;
  before.out = after.out;
  after.in.clear();
  after.out.clear();
}

void record_origin(Node& kept, const Node& gone) {
  if (!gone.name.empty()) kept.origin.push_back(gone.name);
  kept.origin.insert(kept.origin.end(), gone.origin.begin(), gone.origin.end());
}

size_t channel_axis(ir::Layout layout, size_t rank) {
  if (layout == ir::Layout::nchw && rank >= 2) return 1;
  return rank == 0 ? 0 : rank - 1;
}

ir::Clamp compose(ir::Clamp inner, ir::Clamp outer) {
  return {std::min(std::max(inner.min, outer.min), outer.max),
          std::min(std::max(inner.max, outer.min), outer.max)};
}

Node* sole_producer(Graph& g, const std::vector<int>& uses, ValueId v) {
  const ir::NodeId p = value_of(g, v).producer;
  if (p < 0 || uses[static_cast<size_t>(v)] != 1 || is_graph_output(g, v)) return nullptr;
  Node& n = g.nodes[static_cast<size_t>(p)];
  return n.out.size() == 1 ? &n : nullptr;
}

}  // namespace qrt::passes
