// With x the inputs of a layer, t its target (capture.h) and Q the weights to find,
// the error of output o is E |s_o Q_o x + b_o - t_o|^2. Whatever Q, the best b_o
// centres it; what is left needs the covariances H of x and R of t with x only:
//
//   retarget   W* = W + (R / s - W H) (H + ridge)^-1, the best dense weights
//   normalise  V = W* / r with r_o^2 = W*_o H W*_o', s_o becomes s_o r_o
//   code       V by the method, with the importance s_o^2
//   scale      s_o = Q_o R_o / Q_o H Q_o', and b_o = E t_o - s_o Q_o E x
#include "converter/quant/network.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "converter/base/half.h"
#include "converter/base/text.h"
#include "converter/eval/algebra.h"
#include "converter/ir/edit.h"
#include "converter/passes/layer.h"
#include "converter/quant/capture.h"
#include "converter/quant/rows.h"

namespace qrt::quant {
namespace {

// Activations kept at once, both networks together.
constexpr int64_t kActivationBytes = int64_t{2} << 30;
// Sampled rows per input of a layer: below about 50 the fit follows the samples' noise, more
// cost time in proportion and brought nothing (ResNet-20).
constexpr int64_t kRowsPerInput = 256;
// The ridge counts 1 + this * inputs / rows fold: the fewer samples, the more of their moments is
// noise, and the more a fit has to stay near what was there.
constexpr double kNoise = 50;
// Wider layers are coded by the Gram matrices of their blocks alone, without repairs: 8192^2 f64
// are half a gigabyte.
constexpr int64_t kMaxInputs = 8192;
// Two samples did harm on a random network; 24 and 200 did not.
constexpr int64_t kFewSamples = 24;
constexpr int32_t kWidePositions = 16;  // per sample

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// The layer's statistics as the formulas above want them: centred where the bias is free.
struct Statistics {
  int64_t groups, inputs, outputs;
  std::vector<double> h;               // [group][inputs][inputs]
  std::vector<double> r;               // [outputs][inputs]
  std::vector<double> mean_x, mean_t;  // [group][inputs], [outputs]; zero where not centred
  std::vector<double> energy;          // [outputs]: of t
  std::vector<double> ridge;           // [group]: to be added to the diagonal of h
  int64_t group_of(int64_t o) const { return o / (outputs / groups); }
};

Statistics statistics(const LayerMoments& m, bool centred, std::span<const float> bias) {
  Statistics s{m.groups, m.inputs, m.outputs, m.xx, m.tx, m.x, m.t, m.tt, {}};
  const double n = 1.0 / static_cast<double>(std::max<int64_t>(m.rows, 1));
  for (auto* v : {&s.h, &s.r, &s.mean_x, &s.mean_t, &s.energy})
    for (double& d : *v) d *= n;
  const int64_t k = m.inputs;
  for (int64_t o = 0; o < m.outputs; ++o) {
    // Either the mean of t goes, or the bias it has anyway.
    const double* x = &s.mean_x[at(s.group_of(o) * k)];
    const double b = centred ? s.mean_t[at(o)] : bias.empty() ? 0.0 : double{bias[at(o)]};
    for (int64_t i = 0; i < k; ++i) s.r[at(o * k + i)] -= b * x[i];
    s.energy[at(o)] += b * b - 2 * b * s.mean_t[at(o)];
  }
  if (!centred) {
    std::fill(s.mean_x.begin(), s.mean_x.end(), 0.0);
    std::fill(s.mean_t.begin(), s.mean_t.end(), 0.0);
    return s;
  }
  for (int64_t g = 0; g < m.groups; ++g)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j)
        s.h[at((g * k + i) * k + j)] -= s.mean_x[at(g * k + i)] * s.mean_x[at(g * k + j)];
  return s;
}

// `share` of the mean diagonal of h, more where there are few rows.
void set_ridge(Statistics& s, double share, int64_t rows) {
  const int64_t k = s.inputs;
  const double noise = kNoise * double(k) / double(std::max<int64_t>(rows, 1));
  for (int64_t g = 0; g < s.groups; ++g) {
    double trace = 0;
    for (int64_t i = 0; i < k; ++i) trace += s.h[at((g * k + i) * k + i)];
    s.ridge.push_back(share * (1 + noise) * trace / double(k));
  }
}

// Inputs that hardly vary over the samples (a thousandth of what they are) leave only rounding in
// the centred moments, and whatever is fitted to that is wild: they count as no moments at all.
void drop_noise(Statistics& s) {
  constexpr double kLeastVariance = 1e-6;
  double variance = 0, square = 0;
  for (int64_t g = 0; g < s.groups; ++g)
    for (int64_t i = 0; i < s.inputs; ++i) variance += s.h[at((g * s.inputs + i) * s.inputs + i)];
  for (const double m : s.mean_x) square += m * m;
  if (variance > kLeastVariance * square) return;
  std::fill(s.h.begin(), s.h.end(), 0.0);
  std::fill(s.r.begin(), s.r.end(), 0.0);
}

class Coder {
 public:
  Coder(ir::Graph& graph, const SequenceOptions& options)
      : graph_(graph), repairs_(options.repairs), method_(options.method) {}

  bool was_kept = false;  // the last layer came from the journal

  // Codes (or, without a plan, retargets) the node from its moments.
  Result<CodedLayer> layer(ir::NodeId id, const LayerPlan* plan, const LayerMoments& moments) {
    const ir::Node& node = graph_.nodes[at(id)];
    in_ = passes::inputs_of(node);
    weights_ = floats(in_.weight);
    scale_ = floats(in_.scale);
    const std::vector<float> bias = floats(in_.bias);
    s_ = statistics(moments, repairs_.bias, bias);
    drop_noise(s_);
    set_ridge(s_, repairs_.ridge, moments.rows);
    gains_.assign(at(s_.outputs), 1.0);
    for (size_t o = 0; o < scale_.size(); ++o) gains_[o] = double{scale_[o]};
    target_.assign(weights_.begin(), weights_.end());
    if (repairs_.retarget && (plan || repairs_.dense)) retarget();
    CodedLayer out;
    if (plan) {
      QRT_CHECK_OK(code(*plan, out));
    } else {
      dense(out);
    }
    finish(plan != nullptr, out);
    return out;
  }

 private:
  std::vector<float> floats(ir::ValueId v) const {
    return v < 0 ? std::vector<float>() : ir::constant_of(graph_, v)->data;
  }
  const double* gram(int64_t o) const { return &s_.h[at(s_.group_of(o) * s_.inputs * s_.inputs)]; }

  // v H for one row.
  std::vector<double> times(const double* v, const double* h) const {
    const int64_t k = s_.inputs;
    std::vector<double> out(at(k), 0.0);
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; v[i] != 0 && j < k; ++j) out[at(j)] += v[i] * h[i * k + j];
    return out;
  }

  // Outputs whose scale is next to nothing keep their weights: whatever they are hardly counts.
  bool is_idle(int64_t o) const { return !(std::abs(gains_[at(o)]) > 1e-5 * largest_gain()); }
  double largest_gain() const {
    double most = 0;
    for (const double g : gains_) most = std::max(most, std::abs(g));
    return most;
  }

  void retarget() {
    const int64_t k = s_.inputs, per_group = s_.outputs / s_.groups;
    for (int64_t g = 0; g < s_.groups; ++g) {
      const double* h = &s_.h[at(g * k * k)];
      std::vector<double> a(h, h + k * k), change(at(per_group * k));
      if (!(s_.ridge[at(g)] > 0)) continue;
      for (int64_t i = 0; i < k; ++i) a[at(i * k + i)] += s_.ridge[at(g)];
      for (int64_t i = 0; i < per_group; ++i) {
        const int64_t o = g * per_group + i;
        if (is_idle(o)) continue;
        const std::vector<double> now = times(&target_[at(o * k)], h);
        for (int64_t j = 0; j < k; ++j)
          change[at(i * k + j)] = s_.r[at(o * k + j)] / gains_[at(o)] - now[at(j)];
      }
      if (!eval::solve_rows(a, k, change)) continue;
      for (int64_t i = 0; i < per_group * k; ++i)
        target_[at(g * per_group * k + i)] += change[at(i)];
    }
  }

  // Divides each row by the size of its output and moves that into the gain.
  void normalise() {
    const int64_t k = s_.inputs;
    std::vector<double> size(at(s_.outputs));
    for (int64_t o = 0; o < s_.outputs; ++o) {
      const std::vector<double> v = times(&target_[at(o * k)], gram(o));
      size[at(o)] = std::sqrt(
          std::max(0.0, std::inner_product(v.begin(), v.end(), &target_[at(o * k)], 0.0)));
    }
    // Entries stay in the range they had: sizes count relative to their mean.
    const double mean = std::accumulate(size.begin(), size.end(), 0.0) / double(s_.outputs);
    for (int64_t o = 0; o < s_.outputs; ++o) {
      const double r = size[at(o)] / mean;
      if (!(r > 1e-3)) continue;
      gains_[at(o)] *= r;
      for (int64_t i = 0; i < k; ++i) target_[at(o * k + i)] /= r;
    }
  }

  Result<void> code(const LayerPlan& plan, CodedLayer& out) {
    if (repairs_.normalise && repairs_.scale) normalise();
    LayerProblem problem{s_.groups, s_.inputs, s_.outputs, {}, {}, s_.ridge, gains_, {}};
    problem.target.assign(target_.begin(), target_.end());
    const bool has_energy = std::any_of(s_.h.begin(), s_.h.end(), [](double v) { return v != 0; });
    if (has_energy) problem.gram = std::move(s_.h);
    auto coded = plan.encode(problem);
    if (!coded.ok()) return coded.error();
    if (has_energy) s_.h = std::move(problem.gram);
    was_kept = coded->was_kept;
    out.encoding = std::move(coded->encoding);
    out.source = method_;
    const std::vector<float> now = decode(*out.encoding, s_.outputs, s_.inputs);
    target_.assign(now.begin(), now.end());
    return {};
  }

  // Weights that are exactly f16 stay so: that halves them in the file.
  void dense(CodedLayer& out) {
    out.weights.assign(target_.begin(), target_.end());
    if (std::all_of(weights_.begin(), weights_.end(), is_half))
      std::transform(out.weights.begin(), out.weights.end(), out.weights.begin(), round_to_half);
    target_.assign(out.weights.begin(), out.weights.end());
  }

  // Scale and bias for the weights as they are now, and the errors.
  void finish(bool coded, CodedLayer& out) {
    const int64_t k = s_.inputs;
    const bool fit_scale = coded && repairs_.scale;
    double lost = 0, all = 0, weight_lost = 0, weight_all = 0;
    for (int64_t o = 0; o < s_.outputs; ++o) {
      const double* q = &target_[at(o * k)];
      const std::vector<double> qh = times(q, gram(o));
      const double power = std::inner_product(qh.begin(), qh.end(), q, 0.0);
      const double cross = std::inner_product(q, q + k, &s_.r[at(o * k)], 0.0);
      const double centre = std::inner_product(q, q + k, &s_.mean_x[at(s_.group_of(o) * k)], 0.0);
      double gain = gains_[at(o)];
      if (fit_scale && power > 0) gain = cross / power;
      if (fit_scale) gain = double{round_to_half(static_cast<float>(gain))};
      if (fit_scale || gains_[at(o)] != original_gain(o))
        out.scale.push_back(static_cast<float>(gain));
      if (repairs_.bias) out.bias.push_back(static_cast<float>(s_.mean_t[at(o)] - gain * centre));
      lost += s_.energy[at(o)] - 2 * gain * cross + gain * gain * power;
      all += s_.energy[at(o)];
      for (int64_t i = 0; i < k; ++i) {
        const double w = original_gain(o) * double{weights_[at(o * k + i)]};
        weight_lost += (w - gain * q[i]) * (w - gain * q[i]);
        weight_all += w * w;
      }
    }
    out.output_error = all > 0 ? std::max(0.0, lost / all) : 0.0;
    out.weight_error = weight_all > 0 ? weight_lost / weight_all : 0.0;
  }

  double original_gain(int64_t o) const { return scale_.empty() ? 1.0 : double{scale_[at(o)]}; }

  ir::Graph& graph_;
  const Repairs& repairs_;
  const std::string& method_;
  passes::LayerInputs in_;
  std::vector<float> weights_, scale_;
  std::vector<double> target_, gains_;
  Statistics s_;
};

// A layer too wide for its moments, on the inputs of the graph as it is coded so far.
Result<CodedLayer> code_wide(const ir::Graph& graph, const LayerPlan& plan,
                             const CalibrationData& data, const std::string& method) {
  const ir::Node& node = graph.nodes[at(plan.node)];
  const ir::ValueId weight = node.in[1];
  const std::vector<int64_t>& shape = graph.values[at(weight)].shape;
  const auto* conv = std::get_if<ir::Conv2d>(&node.attr);
  auto grams = collect_grams(graph, std::span(&plan.wide, 1), data, kWidePositions, plan.seed);
  if (!grams.ok()) return grams.error();
  LayerProblem problem;
  problem.groups = conv ? conv->groups : 1;
  problem.outputs = shape[0], problem.inputs = ir::element_count(shape) / shape[0];
  problem.target = ir::constant_of(graph, weight)->data;
  problem.gains.assign(at(problem.outputs), 1.0);
  problem.blocks = std::move((*grams)[0].sums);
  auto coded = plan.encode(problem);
  if (!coded.ok()) return coded.error();
  CodedLayer out;
  out.encoding = std::move(coded->encoding);
  out.source = method;
  const std::vector<float> now = decode(*out.encoding, problem.outputs, problem.inputs);
  double lost = 0, all = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    const double w = problem.target[i], d = w - double{now[i]};
    lost += d * d, all += w * w;
  }
  out.weight_error = all > 0 ? lost / all : 0;
  out.output_error = coded->output_error;
  return out;
}

}  // namespace

void commit_layer(ir::Graph& g, ir::NodeId id, const CodedLayer& layer) {
  ir::Node& node = g.nodes[at(id)];
  passes::LayerInputs in = passes::inputs_of(node);
  const ir::ValueId old = in.weight;
  ir::Constant c;
  if (layer.encoding) {
    c.encoding = std::make_shared<const Encoding>(*layer.encoding);
    c.source = layer.source;
  } else {
    c.data = layer.weights;
  }
  const std::string name = g.values[at(old)].name;
  in.weight = ir::add_constant(g, name, g.values[at(old)].shape, std::move(c));
  const int64_t outputs = g.values[at(old)].shape[0];
  if (!layer.scale.empty()) in.scale = ir::add_floats(g, name + ".scale", {outputs}, layer.scale);
  if (!layer.bias.empty()) in.bias = ir::add_floats(g, name + ".bias", {outputs}, layer.bias);
  passes::set_inputs(node, in);
  for (const ir::Node& n : g.nodes)
    if (std::count(n.in.begin(), n.in.end(), old)) return;
  std::swap(g.values[at(in.weight)].name, g.values[at(old)].name);
}

Result<std::vector<CodedLayer>> code_network(ir::Graph& graph, std::span<const LayerPlan> plans,
                                             const SequenceOptions& options,
                                             const CalibrationData& data,
                                             std::vector<std::string>& notes) {
  const Repairs& repairs = options.repairs;
  const ir::Graph reference = graph;
  Capture capture(reference, graph);
  const int64_t samples = std::max<int64_t>(kActivationBytes / 2 / live_bytes(reference), 1);
  QRT_CHECK_OK(capture.open(data, samples));
  const int64_t given = sample_count(reference, data.inputs);
  if (capture.samples() < given)
    notes.push_back(cat("used ", capture.samples(), " of ", given,
                        " calibration samples: their activations take ", kActivationBytes >> 20,
                        " MB"));
  if (capture.samples() < kFewSamples)
    notes.push_back(cat("only ", capture.samples(),
                        " calibration samples: scales and biases fitted to ",
                        "so few may do harm; give ", kFewSamples, " or more, or scale=no bias=no"));
  Coder coder(graph, options);
  double work = 0;
  for (const LayerPlan& p : plans) work += p.work;
  Meter meter(data.control, work);
  std::vector<CodedLayer> out;
  size_t next = 0;
  for (ir::NodeId id = 0; id < static_cast<ir::NodeId>(reference.nodes.size()); ++id) {
    const ir::Node& node = reference.nodes[at(id)];
    if (!passes::is_layer(node)) continue;
    const LayerPlan* plan = next < plans.size() && plans[next].node == id ? &plans[next] : nullptr;
    if (!plan && next == plans.size() && !repairs.dense) break;
    const ir::Constant* weight = ir::constant_of(reference, node.in[1]);
    if (!plan && (!repairs.dense || !weight || weight->encoding || out.empty())) continue;
    meter.begin(node.name);
    QRT_CHECK_OK(capture.run_before(id));
    const std::vector<int64_t>& shape = reference.values[at(node.in[1])].shape;
    const int64_t inputs = ir::element_count(shape) / shape[0];
    const int64_t rows =
        options.positions > 0 ? options.positions * capture.samples() : kRowsPerInput * inputs;
    if (inputs > kMaxInputs) {
      if (!plan) continue;
      auto layer = code_wide(graph, *plan, data, options.method);
      if (!layer.ok()) return fail(layer.error().id, node.name, ": ", layer.error().message);
      notes.push_back(cat(node.name, ": coded without repairs, its ", inputs,
                          " inputs are more than the ", kMaxInputs, " they are made for"));
      commit_layer(graph, id, *layer);
      if (repairs.recapture) capture.changed(id);
      meter.finish(plan->work);
      out.push_back(std::move(*layer));
      ++next;
      continue;
    }
    auto moments = capture.moments(id, rows, plan ? plan->seed : 1);
    if (!moments.ok()) return moments.error();
    if (std::all_of(moments->xx.begin(), moments->xx.end(), [](double v) { return v == 0; })) {
      if (!plan) continue;
      notes.push_back(cat(node.name,
                          ": its inputs are all zero on the calibration data; they are "
                          "weighed alike"));
    }
    auto layer = coder.layer(id, plan, *moments);
    if (!layer.ok()) return fail(layer.error().id, node.name, ": ", layer.error().message);
    commit_layer(graph, id, *layer);
    if (repairs.recapture) capture.changed(id);
    if (plan) {
      meter.finish(plan->work, coder.was_kept);
      out.push_back(std::move(*layer));
      ++next;
    }
  }
  return out;
}

}  // namespace qrt::quant
