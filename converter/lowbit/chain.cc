#include "converter/lowbit/chain.h"

#include <algorithm>
#include <cmath>

#include "converter/ir/edit.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"

namespace qrt::lowbit {
namespace {

using ir::Graph;
using ir::Node;
using ir::NodeId;
using ir::ValueId;
using Shape = std::vector<int64_t>;

size_t at(int32_t id) {
  return static_cast<size_t>(id);
}

bool is_sign(const Node& n) {
  const auto* unary = std::get_if<ir::Unary>(&n.attr);
  return unary != nullptr && unary->op == ir::Unary::Op::sign;
}

// Every element of the output is one of the input, and each of those stands there once.
bool is_permutation(const Node& n) {
  return std::holds_alternative<ir::Reshape>(n.attr) ||
         std::holds_alternative<ir::Transpose>(n.attr) ||
         std::holds_alternative<ir::Squeeze>(n.attr) ||
         std::holds_alternative<ir::Unsqueeze>(n.attr);
}

int64_t product(const Shape& shape, size_t from, size_t to) {
  int64_t r = 1;
  for (size_t k = from; k < to; ++k) r *= shape[k];
  return r;
}

// Where axis `axis` of the input stands in the output; nothing if it is split or merged.
std::optional<size_t> axis_after(const Graph& g, const Node& move, size_t axis) {
  const Shape &in = passes::value_of(g, move.in[0]).shape,
              &out = passes::value_of(g, move.out[0]).shape;
  if (const auto* t = std::get_if<ir::Transpose>(&move.attr)) {
    const auto found = std::find(t->perm.begin(), t->perm.end(), static_cast<int32_t>(axis));
    return static_cast<size_t>(found - t->perm.begin());
  }
  const int64_t outer = product(in, 0, axis);
  for (size_t k = 0; k < out.size(); ++k)
    if (out[k] == in[axis] && product(out, 0, k) == outer) return k;
  return {};
}

// The operand of a Binary that is computed: 0 or 1; nothing if both or none are.
std::optional<size_t> computed_operand(const Graph& g, const Node& n) {
  const bool first = ir::is_constant(g, n.in[0]), second = ir::is_constant(g, n.in[1]);
  if (first == second) return {};
  return first ? 1 : 0;
}

// The input along which a chain goes backwards; nothing where the operator is none of a chain.
std::optional<size_t> data_input(const Graph& g, const Node& n) {
  if (std::holds_alternative<ir::BatchNorm>(n.attr) || std::holds_alternative<ir::Affine>(n.attr) ||
      is_permutation(n))
    return 0;
  if (const auto* unary = std::get_if<ir::Unary>(&n.attr)) {
    const bool leaky = unary->op == ir::Unary::Op::leaky_relu && unary->alpha >= 0;
    if (unary->op == ir::Unary::Op::clamp || unary->op == ir::Unary::Op::neg || leaky) return 0;
    return {};
  }
  const auto* binary = std::get_if<ir::Binary>(&n.attr);
  if (binary == nullptr) return {};
  using Op = ir::Binary::Op;
  const auto operand = computed_operand(g, n);
  const bool linear = binary->op == Op::add || binary->op == Op::sub || binary->op == Op::mul ||
                      (binary->op == Op::div && operand == size_t{0});
  return linear ? operand : std::nullopt;
}

// A constant operand as one number or one per element of `axis`; nothing where it varies along
// another.
std::optional<std::vector<Real>> operand_of(const Graph& g, ValueId v, size_t rank,
                                            std::optional<size_t> axis) {
  const auto* data = passes::floats_of(g, v);
  const Shape& shape = passes::value_of(g, v).shape;
  if (data == nullptr || shape.size() > rank) return {};
  for (size_t k = 0; k < shape.size(); ++k)
    if (shape[k] != 1 && axis != rank - shape.size() + k) return {};
  return std::vector<Real>(data->begin(), data->end());
}

std::optional<Step> step_of_binary(const Graph& g, const Node& n, std::optional<size_t> axis) {
  const auto& binary = std::get<ir::Binary>(n.attr);
  using Op = ir::Binary::Op;
  const size_t operand = *computed_operand(g, n);
  const Shape &x = passes::value_of(g, n.in[operand]).shape,
              &y = passes::value_of(g, n.out[0]).shape;
  if (x != y) return {};
  const auto k = operand_of(g, n.in[1 - operand], x.size(), axis);
  if (!k) return {};
  Step s;
  if (binary.op == Op::mul) {
    s.factor = *k;
  } else if (binary.op == Op::div) {
    s.divisor = *k;
    for (const Real f : s.divisor)
      if (f == 0) return {};
  } else {
    s.offset = *k;
    const bool minus_x = binary.op == Op::sub && operand == 1;
    if (minus_x) s.factor = {-1};
    if (binary.op == Op::sub && !minus_x)
      for (Real& f : s.offset) f = -f;
  }
  if (binary.clamp != ir::kNoClamp)
    s.clamps = true, s.min = binary.clamp.min, s.max = binary.clamp.max;
  return s;
}

std::optional<Step> step_of_batch_norm(const Graph& g, const Node& n) {
  const std::vector<float>* p[4];
  for (size_t k = 0; k < 4; ++k)
    if ((p[k] = passes::floats_of(g, n.in[k + 1])) == nullptr) return {};
  const Real eps = std::get<ir::BatchNorm>(n.attr).eps;
  Step s{{}, {1}, {}};
  for (size_t c = 0; c < p[0]->size(); ++c) {
    const Real factor = (*p[0])[c] / std::sqrt(Real{(*p[3])[c]} + eps);
    if (!std::isfinite(factor)) return {};
    s.factor.push_back(factor);
    s.offset.push_back(Real{(*p[1])[c]} - factor * (*p[2])[c]);
  }
  return s;
}

// `axis` is where the layer's outputs run in the node's input; nothing where that is lost.
std::optional<Step> step_of(const Graph& g, const Node& n, std::optional<size_t> axis) {
  const size_t rank = passes::value_of(g, n.in[0]).shape.size();
  if (std::holds_alternative<ir::Binary>(n.attr)) return step_of_binary(g, n, axis);
  if (std::holds_alternative<ir::BatchNorm>(n.attr))
    return axis == size_t{1} ? step_of_batch_norm(g, n) : std::nullopt;
  if (const auto* affine = std::get_if<ir::Affine>(&n.attr)) {
    const auto *scale = passes::floats_of(g, n.in[1]), *bias = passes::floats_of(g, n.in[2]);
    if (axis != passes::channel_axis(affine->layout, rank) || !scale || !bias) return {};
    Step s{{scale->begin(), scale->end()}, {1}, {bias->begin(), bias->end()}};
    if (affine->clamp != ir::kNoClamp)
      s.clamps = true, s.min = affine->clamp.min, s.max = affine->clamp.max;
    return s;
  }
  const auto& unary = std::get<ir::Unary>(n.attr);
  Step s;
  if (unary.op == ir::Unary::Op::clamp) s.clamps = true, s.min = unary.alpha, s.max = unary.beta;
  if (unary.op == ir::Unary::Op::leaky_relu) s.slope = unary.alpha;
  if (unary.op == ir::Unary::Op::neg) s.factor = {-1};
  return s;
}

// scale * x, then + bias, as the layer has them.
std::optional<Step> step_of_layer(const Graph& g, const Node& layer) {
  const passes::LayerInputs in = passes::inputs_of(layer);
  const ir::Clamp* clamp = passes::clamp_of(const_cast<Node&>(layer));
  Step s;
  for (const auto& [v, to] : {std::pair{in.scale, &s.factor}, {in.bias, &s.offset}}) {
    if (v < 0) continue;
    const auto* data = passes::floats_of(g, v);
    if (data == nullptr) return {};
    to->assign(data->begin(), data->end());
  }
  if (*clamp != ir::kNoClamp) s.clamps = true, s.min = clamp->min, s.max = clamp->max;
  return s;
}

template <class T>
T row(const std::vector<T>& v, size_t channel) {
  return v[v.size() == 1 ? 0 : channel];
}

Real rounded(ir::FakeQuantize::Rounding rounding, Real v) {
  using Rounding = ir::FakeQuantize::Rounding;
  switch (rounding) {
    case Rounding::half_even:
      return std::nearbyint(v);
    case Rounding::half_away:
      return std::copysign(std::floor(std::fabs(v) + 0.5L), v);
    case Rounding::half_to_zero:
      return std::copysign(std::ceil(std::fabs(v) - 0.5L), v);
    case Rounding::floor:
      return std::floor(v);
    case Rounding::ceil:
      return std::ceil(v);
    case Rounding::to_zero:
      return std::trunc(v);
    case Rounding::away:
      return std::copysign(std::ceil(std::fabs(v)), v);
  }
  return v;
}

}  // namespace

bool Chain::falls(size_t channel) const {
  bool r = false;
  for (const Step& s : steps) r ^= (row(s.factor, channel) < 0) != (row(s.divisor, channel) < 0);
  return r;
}

Real Chain::value(Real x, size_t channel) const {
  for (const Step& s : steps) {
    x = row(s.factor, channel) * x / row(s.divisor, channel) + row(s.offset, channel);
    if (x < 0) x *= s.slope;
    if (s.clamps) x = std::clamp(x, s.min, s.max);
  }
  return x;
}

std::optional<Chain> chain_to(const Graph& g, NodeId quantizer) {
  const Node& q = g.nodes[at(quantizer)];
  if (q.out.empty() || !(std::holds_alternative<ir::FakeQuantize>(q.attr) ||
                         std::holds_alternative<ir::Steps>(q.attr) || is_sign(q)))
    return {};
  const std::vector<int> uses = passes::count_uses(g);
  Chain chain;
  chain.quantizer = quantizer;
  ValueId v = q.in[0];
  for (;;) {
    const NodeId id = passes::value_of(g, v).producer;
    if (id < 0 || uses[at(v)] != 1) return {};
    const Node& n = g.nodes[at(id)];
    if (passes::takes_codes(n)) {
      chain.layer = id;
      break;
    }
    const auto input = data_input(g, n);
    if (!input) return {};
    chain.between.insert(chain.between.begin(), id);
    v = n.in[*input];
  }
  const Node& layer = g.nodes[at(chain.layer)];
  if (passes::inputs_of(layer).residual >= 0) return {};
  const auto first = step_of_layer(g, layer);
  if (!first) return {};
  chain.steps.push_back(*first);
  std::optional<size_t> axis =
      passes::output_axis(layer, passes::value_of(g, layer.out[0]).shape.size());
  for (const NodeId id : chain.between) {
    const Node& n = g.nodes[at(id)];
    if (is_permutation(n)) {
      if (axis) axis = axis_after(g, n, *axis);
      continue;
    }
    const auto step = step_of(g, n, axis);
    if (!step) return {};
    chain.steps.push_back(*step);
  }
  // Thresholds by channel must be by those of the layer.
  if (const auto* steps = std::get_if<ir::Steps>(&q.attr)) {
    const auto rank = static_cast<int32_t>(passes::value_of(g, q.in[0]).shape.size());
    const int32_t mine = steps->axis < 0 ? steps->axis + rank : steps->axis;
    if (passes::value_of(g, q.in[1]).shape.at(0) > 1 && axis != static_cast<size_t>(mine))
      return {};
  }
  return chain;
}

std::optional<Levels> Levels::of(const Graph& g, const Node& q, int64_t channels) {
  Levels r;
  if (is_sign(q)) {  // below 0, 0, above
    r.sign_ = true, r.bias = -1, r.count = 2;
    return r;
  }
  if (const auto* steps = std::get_if<ir::Steps>(&q.attr)) {
    const auto* data = passes::floats_of(g, q.in[1]);
    const Shape& shape = passes::value_of(g, q.in[1]).shape;
    if (data == nullptr || (shape.at(0) != 1 && shape.at(0) != channels) || shape.at(1) > 255)
      return {};
    r.scale = double{steps->scale}, r.bias = double{steps->bias}, r.count = shape.at(1);
    r.thresholds_ = *data, r.rows_ = shape.at(0) > 1;
    return r.scale > 0 ? std::optional(r) : std::nullopt;
  }
  const auto& fake = std::get<ir::FakeQuantize>(q.attr);
  const auto *scale = passes::floats_of(g, q.in[1]), *zero = passes::floats_of(g, q.in[2]);
  if (!scale || !zero || scale->size() != 1 || zero->size() != 1) return {};
  if (double{fake.high} - double{fake.low} > 255 || fake.high <= fake.low) return {};
  r.fake_ = fake, r.fake_scale_ = (*scale)[0], r.fake_zero_ = (*zero)[0];
  r.scale = double{(*scale)[0]}, r.bias = (double{fake.low} - double{(*zero)[0]}) * r.scale;
  r.count = static_cast<int64_t>(fake.high - fake.low);
  return r;
}

int64_t Levels::level(Real x, size_t channel) const {
  if (sign_) return x < 0 ? 0 : x == 0 ? 1 : 2;
  if (fake_) {
    const Real steps = x / fake_scale_;
    const Real q = fake_->zero_after ? rounded(fake_->rounding, steps) + fake_zero_
                                     : rounded(fake_->rounding, steps + fake_zero_);
    return static_cast<int64_t>(std::clamp<Real>(q, fake_->low, fake_->high) - fake_->low);
  }
  const auto* from = &thresholds_[rows_ ? channel * static_cast<size_t>(count) : 0];
  return std::upper_bound(from, from + count, x,
                          [](Real value, float t) { return value < Real{t}; }) -
         from;
}

}  // namespace qrt::lowbit
