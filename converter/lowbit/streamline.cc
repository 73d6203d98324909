// The graph is walked once. A value has two forms, floats and stored (bytes or bits),
// each made where the first reader asks for it: a Quantize between the two appears only
// where both are needed.
#include <algorithm>
#include <cmath>

#include "converter/base/even_steps.h"
#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/lowbit/lowbit.h"
#include "converter/lowbit/placement.h"
#include "converter/lowbit/requantize.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"

namespace qrt::lowbit {
namespace {

using ir::Graph;
using ir::Node;
using ir::NodeId;
using ir::ValueId;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// What one activation on another of few levels may move outputs by, relative to the largest.
constexpr double kRoundingTolerance = 0.25;

// A bias in units of the sums: whole up to the rounding of the product that it came as, and exact
// in f32 beside a sum.
constexpr float kBiasSlack = 1e-6f, kMostBias = 1 << 23;

// Sums are compared as f32, so thresholds stay where those are exact, or beyond any sum of bytes.
constexpr int64_t kMostFloatSum = int64_t{1} << 24, kBeyond = (int64_t{1} << 31) - 1;

// Thresholds of an output that files store one by one whatever they are.
constexpr int64_t kMostPlainThresholds = 4;

// Thresholds of the integer sums of a layer, [outputs][count], and which outputs are to be negated
// for them.
struct SumSteps {
  int64_t count = 0;
  std::vector<int64_t> thresholds;
  std::vector<bool> falls;
};

// Thresholds that every sum reaches, or none, may be any: where the others are even these continue
// them, so that a start and a step say all (converter/emit).
void continue_evenly(std::span<int64_t> row, int64_t low, int64_t high) {
  std::vector<int64_t> least(row.begin(), row.end()), most = least;
  for (size_t k = 0; k < row.size(); ++k) {
    if (row[k] <= low) least[k] = std::min(least[k], -kMostFloatSum);
    if (row[k] > high) most[k] = std::max(most[k], kMostFloatSum);
  }
  if (const auto steps = even_steps(least, most))
    for (size_t k = 0; k < row.size(); ++k) row[k] = steps->at(k);
}

// The same of sums that go beyond what floats hold: no threshold stays there that none of them can
// tell, whatever other outputs sum to. `most`: no sum of the layer is further from 0.
bool leave_sums(std::span<int64_t> row, int64_t low, int64_t high, int64_t most) {
  const auto is_far = [&](int64_t t) {
    return (t <= low && t < -kMostFloatSum) || (t > high && t > kMostFloatSum);
  };
  if (std::none_of(row.begin(), row.end(), is_far)) return false;
  const bool alike = row.front() == row.back() && most < kMostEvenThreshold;
  const int64_t beyond = alike ? kMostEvenThreshold : kBeyond;  // the former is a start of no steps
  for (int64_t& t : row)
    if (is_far(t)) t = t <= low ? -beyond : beyond;
  return true;
}

// Bits that tell the levels of a grid apart.
int bits_of(const Grid& grid) {
  int bits = 1;
  while ((grid.high - grid.low) / grid.step >= 1 << bits) ++bits;
  return bits;
}

class Rewriter {
 public:
  Rewriter(Graph& g, Placement p)
      : g_(g), p_(std::move(p)), twin_(g.values.size(), -1), here_(g.values.size(), true) {}

  Report run() {
    std::vector<Node> source = std::move(g_.nodes);
    g_.nodes.clear();
    // A value that only exists as stored, because its quantizer is taken over.
    std::vector<bool> taken(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
      if (taken[i]) continue;
      const NodeId q = p_.quantizer[i];
      if (p_.sums[i]) {
        layer(source[i], *p_.sums[i], q < 0 ? nullptr : &source[at(q)], &taken, q);
      } else if (q >= 0) {
        sum_of_bytes(source[i], source[at(q)]);
        taken[at(q)] = true;
      } else if (moves_stored(source[i])) {
        move(source[i]);
      } else {
        if (passes::is_layer(source[i]))
          report_.layers.push_back({source[i].name, "f32: " + p_.why[i]});
        plain(std::move(source[i]));
      }
    }
    for (const ValueId v : g_.outputs) floats(v);
    ir::remove_dead(g_);
    const bool rounds = std::any_of(g_.nodes.begin(), g_.nodes.end(), [](const Node& n) {
      return std::holds_alternative<ir::FakeQuantize>(n.attr) ||
             std::holds_alternative<ir::Steps>(n.attr);
    });
    report_.tolerance = rounds ? kRoundingTolerance : 0;
    return std::move(report_);
  }

 private:
  ValueId& twin(ValueId v) { return twin_[at(v)]; }

  ValueId new_twin(ValueId v) {
    ir::Value t = passes::value_of(g_, v);
    t.name = ir::unique_name(g_, t.name + (p_.stored[at(v)].bits ? ".bits" : ".bytes"));
    t.producer = t.constant = -1;
    t.quantization = p_.stored[at(v)];
    g_.values.push_back(std::move(t));
    return twin(v) = static_cast<ValueId>(g_.values.size() - 1);
  }

  void convert(ValueId from, ValueId to) {
    g_.nodes.push_back({passes::value_of(g_, to).name, ir::Quantize{}, {from}, {to}, {}});
  }

  ValueId stored(ValueId v) {
    if (twin(v) < 0) convert(v, new_twin(v));
    return twin(v);
  }

  ValueId floats(ValueId v) {
    if (!here_[at(v)]) {
      here_[at(v)] = true;
      convert(twin(v), v);
    }
    return v;
  }

  // The output of a node that makes the stored form alone.
  ValueId only_stored(ValueId v) {
    here_[at(v)] = false;
    return new_twin(v);
  }

  void plain(Node n) {
    for (ValueId& v : n.in)
      if (at(v) < here_.size()) v = floats(v);
    g_.nodes.push_back(std::move(n));
  }

  bool moves_stored(const Node& n) const {
    return keeps_grid(n) && p_.wanted[at(n.out[0])] && p_.grid[at(n.out[0])].has_value();
  }

  void move(Node& n) {
    for (ValueId& v : n.in)
      if (!ir::is_constant(g_, v)) v = stored(v);
    n.out[0] = only_stored(n.out[0]);
    g_.nodes.push_back(std::move(n));
  }

  void sum_of_bytes(Node& n, const Node& quantizer) {
    for (ValueId& v : n.in) v = stored(v);
    n.out[0] = only_stored(quantizer.out[0]);
    passes::record_origin(n, quantizer);
    g_.nodes.push_back(std::move(n));
  }

  void layer(Node& n, const Sums& sums, const Node* quantizer, std::vector<bool>* taken, NodeId q) {
    const Grid grid = *p_.grid[at(n.in[0])];
    LayerReport report{n.name, cat(bits_of(grid), " bits x ",
                                   quant::describe(*ir::constant_of(g_, n.in[1])->encoding))};
    passes::LayerInputs in = passes::inputs_of(n);
    in.x = stored(in.x);
    const ValueId residual = in.residual;
    in.residual = -1;
    passes::set_inputs(n, in);
    if (quantizer != nullptr && take_over(n, sums, grid, *quantizer, &report.what)) {
      (*taken)[at(q)] = true;
      n.out[0] = only_stored(quantizer->out[0]);
      passes::record_origin(n, *quantizer);
      g_.nodes.push_back(std::move(n));
    } else if (residual >= 0) {
      add_residual(n, residual);
    } else {
      g_.nodes.push_back(std::move(n));
    }
    report_.layers.push_back(std::move(report));
  }

  // Sums of integers take no residual of floats.
  void add_residual(Node& n, ValueId residual) {
    Node add;
    add.name = ir::unique_name(g_, n.name + ".residual");
    add.attr = ir::Binary{ir::Binary::Op::add, *passes::clamp_of(n)};
    *passes::clamp_of(n) = ir::kNoClamp;
    ir::Value sum = passes::value_of(g_, n.out[0]);
    sum.name = ir::unique_name(g_, n.name + ".sum");
    sum.producer = -1;
    g_.values.push_back(std::move(sum));
    add.in = {static_cast<ValueId>(g_.values.size() - 1), floats(residual)};
    add.out = n.out;
    n.out = {add.in[0]};
    g_.nodes.push_back(std::move(n));
    g_.nodes.push_back(std::move(add));
  }

  // y >= threshold where y = unit * scale * sum + bias, as conditions on the sum.
  std::optional<SumSteps> sum_steps(const Node& n, const Sums& sums, const Node& quantizer) const {
    const passes::LayerInputs in = passes::inputs_of(n);
    const auto& rows = *passes::floats_of(g_, quantizer.in[1]);
    const auto& shape = passes::value_of(g_, quantizer.in[1]).shape;
    const size_t outputs = sums.unit.size();
    SumSteps r{shape.at(1), {}, std::vector<bool>(outputs)};
    for (size_t o = 0; o < outputs; ++o) {
      const long double scale = in.scale < 0 ? 1 : (*passes::floats_of(g_, in.scale))[o];
      const long double bias = in.bias < 0 ? 0 : (*passes::floats_of(g_, in.bias))[o];
      const long double unit = sums.unit[o] * std::fabs(scale);
      if (!(unit > 0)) return {};
      r.falls[o] = scale < 0;
      const int64_t low = r.falls[o] ? -sums.high[o] : sums.low[o];
      const int64_t high = r.falls[o] ? -sums.low[o] : sums.high[o];
      for (int64_t k = 0; k < r.count; ++k) {
        const float t = rows[at((shape.at(0) == 1 ? 0 : static_cast<int64_t>(o) * r.count) + k)];
        const long double s = std::ceil((t - bias) / unit);
        r.thresholds.push_back(s <= static_cast<long double>(low)   ? low
                               : s > static_cast<long double>(high) ? high + 1
                                                                    : static_cast<int64_t>(s));
      }
    }
    return r;
  }

  bool take_over(Node& n, const Sums& sums, const Grid& x, const Node& quantizer,
                 std::string* what) {
    if (std::holds_alternative<ir::FakeQuantize>(quantizer.attr)) {
      if (quantized_like_onnx(n, x)) *what += ", requantized";
      return true;  // else as it stands
    }
    auto steps = sum_steps(n, sums, quantizer);
    const ValueId y = quantizer.out[0];
    const Grid& to = *p_.grid[at(y)];
    if (!steps) return false;
    if (!p_.stored[at(y)].bits && to.step == 1 && requantize(n, sums, x, *steps, y)) {
      *what += ", requantized";
      return true;
    }
    const int64_t inputs = ir::element_count(passes::value_of(g_, n.in[1]).shape) /
                           static_cast<int64_t>(sums.unit.size());
    for (size_t o = 0; o < sums.unit.size(); ++o) {
      const bool falls = steps->falls[o];
      const int64_t low = falls ? -sums.high[o] : sums.low[o];
      const int64_t high = falls ? -sums.low[o] : sums.high[o];
      const auto row = std::span(steps->thresholds).subspan(o * at(steps->count), at(steps->count));
      if (!leave_sums(row, low, high, inputs * 255 * 255) && steps->count > kMostPlainThresholds)
        continue_evenly(row, low, high);
    }
    if (!threshold(n, *steps, to)) return false;
    *what += ", thresholds";
    return true;
  }

  // QLinearConv and its kin: an integer bias in units of the sums, then one multiplication by
  // x_scale * w_scale / y_scale, in f32 and in this order, as the exporting framework computes it.
  bool quantized_like_onnx(Node& n, const Grid& x) {
    passes::LayerInputs in = passes::inputs_of(n);
    const quant::Encoding& w = *ir::constant_of(g_, n.in[1])->encoding;
    const int64_t outputs = passes::outputs_of(g_, n);
    if (in.scale >= 0 || in.residual >= 0 || std::holds_alternative<quant::Codebook>(w))
      return false;
    std::vector<float> bias;
    for (int64_t o = 0; o < outputs; ++o) {
      const float unit = x.scale * quant::weight_scale(w, o);
      const float b = in.bias < 0 ? 0 : (*passes::floats_of(g_, in.bias))[at(o)] / unit;
      if (std::fabs(b) > kMostBias || std::fabs(b - std::nearbyint(b)) > kBiasSlack * std::fabs(b))
        return false;
      bias.push_back(std::nearbyint(b));
    }
    in.bias = ir::add_floats(g_, n.name + ".offset", {outputs}, std::move(bias));
    passes::set_inputs(n, in);
    if (auto* conv = std::get_if<ir::Conv2d>(&n.attr)) conv->bias_first = true;
    if (auto* linear = std::get_if<ir::Linear>(&n.attr)) linear->bias_first = true;
    return true;
  }

  bool requantize(Node& n, const Sums& sums, const Grid& x, const SumSteps& steps, ValueId y) {
    const Grid& to = *p_.grid[at(y)];
    const quant::Encoding& w = *ir::constant_of(g_, n.in[1])->encoding;
    const size_t outputs = sums.unit.size();
    std::vector<float> scale(outputs), bias(outputs);
    for (size_t o = 0; o < outputs; ++o) {
      const int64_t low = steps.falls[o] ? -sums.high[o] : sums.low[o];
      const int64_t high = steps.falls[o] ? -sums.low[o] : sums.high[o];
      const Units units{x.scale, quant::weight_scale(w, static_cast<int64_t>(o)), 1 / to.scale};
      const auto fit = fit_requantization(
          {std::span(steps.thresholds).subspan(o * at(steps.count), at(steps.count)), low, high},
          to.low - to.zero, units);
      if (!fit) return false;
      scale[o] = steps.falls[o] ? -fit->scale : fit->scale;
      bias[o] = fit->bias;
    }
    passes::LayerInputs in = passes::inputs_of(n);
    const auto count = static_cast<int64_t>(outputs);
    in.scale = ir::add_floats(g_, n.name + ".requantize", {count}, std::move(scale));
    in.bias = ir::add_floats(g_, n.name + ".offset", {count}, std::move(bias));
    passes::set_inputs(n, in);
    *passes::clamp_of(n) = {to.scale * static_cast<float>(to.low - to.zero),
                            to.scale * static_cast<float>(to.high - to.zero)};
    return true;
  }

  bool threshold(Node& n, const SumSteps& steps, const Grid& to) {
    const ir::Value& weight = passes::value_of(g_, n.in[1]);
    const auto outputs = static_cast<int64_t>(steps.falls.size());
    if (std::find(steps.falls.begin(), steps.falls.end(), true) != steps.falls.end()) {
      ir::Constant c = *ir::constant_of(g_, n.in[1]);
      const auto negated =
          negate_outputs(*c.encoding, steps.falls, ir::element_count(weight.shape) / outputs);
      if (!negated) return false;
      c.encoding = std::make_shared<const quant::Encoding>(*negated);
      c.data.clear();
      n.in[1] = ir::add_constant(g_, weight.name + ".signed", weight.shape, std::move(c));
    }
    ir::Constant t;
    t.type = ir::ElementType::i32;
    t.ints = steps.thresholds;
    passes::LayerInputs in = passes::inputs_of(n);
    in.scale = in.bias = -1;
    in.thresholds =
        ir::add_constant(g_, n.name + ".thresholds", {outputs, steps.count}, std::move(t));
    passes::set_inputs(n, in);
    const auto set = [&](auto& layer) { layer.first = to.low, layer.step = to.step; };
    if (auto* conv = std::get_if<ir::Conv2d>(&n.attr)) set(*conv);
    if (auto* linear = std::get_if<ir::Linear>(&n.attr)) set(*linear);
    return true;
  }

  Graph& g_;
  Placement p_;
  std::vector<ValueId> twin_;
  std::vector<bool> here_;  // whether the floats exist
  Report report_;
};

}  // namespace

Result<Report> streamline(Graph& g) {
  Placement p = place(g);
  const bool any =
      std::any_of(p.sums.begin(), p.sums.end(), [](const auto& s) { return s.has_value(); });
  if (!any) return Report{};
  return Rewriter(g, std::move(p)).run();
}

}  // namespace qrt::lowbit
