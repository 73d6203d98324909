// Batch normalization written out, and biases added by a node of their own:
// Add, Sub, Mul and Div by a constant per channel become Affine, so that
// fuse_batch_norm can take them. Only where that helps: behind a layer or an
// Affine that can absorb it, or in a row of at least two such nodes.
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Binary;
using ir::Graph;
using ir::Node;
using ir::ValueId;

// A Binary by a constant that varies along one axis at most.
struct Candidate {
  ValueId x = -1, constant = -1;
  bool constant_first = false;
  std::optional<size_t> axis;  // of x; nothing for a single number
};

// The one axis of `shape`, aligned to the right of a value of this rank, that is not 1.
// False where there are several.
bool single_axis(const std::vector<int64_t>& shape, size_t rank, std::optional<size_t>& axis) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    if (axis.has_value()) return false;
    axis = rank - shape.size() + i;
  }
  return true;
}

std::optional<Candidate> candidate(const Graph& g, const Node& n) {
  const auto* b = std::get_if<Binary>(&n.attr);
  const bool linear = b != nullptr && (b->op == Binary::Op::add || b->op == Binary::Op::sub ||
                                       b->op == Binary::Op::mul || b->op == Binary::Op::div);
  if (!linear || n.out.empty()) return {};
  Candidate c;
  c.constant_first = floats_of(g, n.in[0]) != nullptr;
  c.constant = n.in[c.constant_first ? 0 : 1];
  c.x = n.in[c.constant_first ? 1 : 0];
  const auto* data = floats_of(g, c.constant);
  const ir::Value &x = value_of(g, c.x), &y = value_of(g, n.out[0]);
  if (data == nullptr || x.constant >= 0 || x.shape.size() < 2 || x.shape != y.shape) return {};
  if (!single_axis(value_of(g, c.constant).shape, x.shape.size(), c.axis)) return {};
  if (c.axis && *c.axis != 1 && *c.axis + 1 != x.shape.size()) return {};
  if (b->op == Binary::Op::div) {
    if (c.constant_first) return {};
    if (std::any_of(data->begin(), data->end(), [](float f) { return f == 0; })) return {};
  }
  return c;
}

// The channel axis that the operator before would absorb an Affine on; nothing if it absorbs none.
std::optional<size_t> absorbing_axis(Graph& g, const std::vector<int>& uses, ValueId x) {
  Node* before = sole_producer(g, uses, x);
  if (before == nullptr) return {};
  const size_t rank = value_of(g, x).shape.size();
  if (const auto* a = std::get_if<ir::Affine>(&before->attr))
    return a->clamp == ir::kNoClamp ? std::optional(channel_axis(a->layout, rank)) : std::nullopt;
  if (!is_layer(*before) || *clamp_of(*before) != ir::kNoClamp || inputs_of(*before).residual >= 0)
    return {};
  return output_axis(*before, rank);
}

void to_affine(Graph& g, Node& n, const Candidate& c, size_t axis) {
  const Binary b = std::get<Binary>(n.attr);
  const std::vector<float> data = *floats_of(g, c.constant);
  const std::vector<int64_t>& shape = value_of(g, c.x).shape;
  const auto channels = static_cast<size_t>(shape[axis]);
  std::vector<float> scale(channels, 1), bias(channels, 0);
  for (size_t i = 0; i < channels; ++i) {
    const float k = data[data.size() == 1 ? 0 : i];
    switch (b.op) {
      case Binary::Op::add:
        bias[i] = k;
        break;
      case Binary::Op::sub:
        scale[i] = c.constant_first ? -1.0f : 1.0f;
        bias[i] = c.constant_first ? k : -k;
        break;
      case Binary::Op::mul:
        scale[i] = k;
        break;
      default:
        scale[i] = 1 / k;
        break;
    }
  }
  const bool second = shape.size() == 2 || axis == 1;
  const auto count = static_cast<int64_t>(channels);
  n.attr = ir::Affine{second ? ir::Layout::nchw : ir::Layout::nhwc, b.clamp};
  const ValueId s = ir::add_floats(g, n.name + ".scale", {count}, std::move(scale));
  const ValueId t = ir::add_floats(g, n.name + ".bias", {count}, std::move(bias));
  n.in = {c.x, s, t};
}

}  // namespace

Result<void> merge_affine(Graph& g) {
  const std::vector<int> uses = count_uses(g);
  const auto readers = ir::consumers(g);
  for (Node& n : g.nodes) {
    const auto c = candidate(g, n);
    if (!c) continue;
    const auto before = absorbing_axis(g, uses, c->x);
    bool helps = before.has_value() && (!c->axis || *c->axis == *before);
    size_t axis = c->axis ? *c->axis : before ? *before : 1;

    // Otherwise the next node must be of the same kind and on the same axis.
    const auto& next = readers[static_cast<size_t>(n.out[0])];
    if (!helps && next.size() == 1 && !is_graph_output(g, n.out[0])) {
      const auto after = candidate(g, g.nodes[static_cast<size_t>(next[0])]);
      if (after && after->axis && !c->axis) axis = *after->axis;
      helps = after && (!after->axis || *after->axis == axis) &&
              std::get<Binary>(n.attr).clamp == ir::kNoClamp;
    }
    if (helps) to_affine(g, n, *c, axis);
  }
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes
