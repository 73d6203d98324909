#include "converter/int8/int8.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "converter/base/text.h"
#include "converter/int8/placement.h"
#include "converter/ir/edit.h"
#include "converter/passes/layer.h"
#include "converter/quant/rows.h"

namespace qrt::int8 {
namespace {

// More samples narrow ranges and fits no further, and all their activations are held at once.
constexpr int64_t kMostFitSamples = 64;

// Squares of what is larger, summed over positions, leave f32; all covariances would say nothing.
constexpr float kMostMagnitude = 1e15f;

// Below, outputs are another network's as often as not.
constexpr double kPoorDecibels = 15;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Dense weights and codebooks of floats are rounded here, codes and signs of few bits stand for
// whole numbers already; what has scales by group, or several planes, does not.
bool has_integers(const ir::Constant& w) {
  if (w.encoding == nullptr) return true;
  if (quant::needs_integers(*w.encoding)) return false;
  return std::holds_alternative<quant::Codebook>(*w.encoding) || quant::is_integer(*w.encoding);
}

// Constant weights that are integers or become some.
bool may_sum_integers(const ir::Graph& g, const ir::Node& n) {
  if (!passes::takes_codes(n) || g.values[at(n.in[0])].type != ir::ElementType::f32) return false;
  const ir::Constant* w = ir::constant_of(g, n.in[1]);
  if (w == nullptr || !ir::is_float(w->type)) return false;
  const auto constant = [&](ir::ValueId v) { return v < 0 || ir::is_constant(g, v); };
  const passes::LayerInputs in = passes::inputs_of(n);
  if (in.residual >= 0 && ir::is_constant(g, in.residual)) return false;
  return constant(in.scale) && constant(in.bias) && !ir::is_constant(g, in.x) && has_integers(*w);
}

std::vector<bool> choose_layers(const ir::Graph& g, const Options& o, Report& report) {
  std::vector<bool> layers(g.nodes.size());
  std::vector<size_t> all;
  for (size_t i = 0; i < g.nodes.size(); ++i)
    if (may_sum_integers(g, g.nodes[i])) all.push_back(i);
  for (const size_t i : all) {
    const bool edge = i == all.front() || i == all.back();
    const bool asked = o.stays_f32 && o.stays_f32(g.nodes[i].name);
    layers[i] = !asked && (o.first_last || !edge);
    if (!layers[i])
      report.notes.push_back(cat(g.nodes[i].name, " stays in f32: ",
                                 asked ? "a rule of --layers says so" : "--first-last f32"));
  }
  return layers;
}

// Histograms of all values that exist as bytes.
Result<std::vector<Histogram>> observe(const ir::Graph& g, const Placement& p,
                                       const std::vector<eval::Tensor>& data) {
  std::vector<Histogram> seen(g.values.size());
  const int64_t samples = quant::sample_count(g, data);
  int32_t broken = -1;
  const int64_t step = quant::samples_at_once(g);
  for (int64_t first = 0; first < samples; first += step) {
    const auto part = quant::slice_samples(g, data, first, std::min(samples, first + step));
    const auto done = eval::evaluate(g, part, [&](ir::ValueId v, const eval::Tensor& t) {
      if (p.needed[at(v)] && broken < 0 && !seen[at(v)].add(t.data)) broken = v;
    });
    if (!done.ok()) return done.error();
  }
  if (broken >= 0) {
    const ir::NodeId producer = g.values[at(broken)].producer;
    return fail(762,
                producer < 0 ? "input " + g.values[at(broken)].name : g.nodes[at(producer)].name,
                ": values are not finite on the calibration data; check the data's preprocessing "
                "and the weights");
  }
  for (size_t v = 0; v < seen.size(); ++v) {
    const float most = std::max(-seen[v].least(), seen[v].most());
    if (most > kMostMagnitude)
      return fail(764, "activation ", g.values[v].name, " reaches ", most,
                  " on the calibration data; at most ", kMostMagnitude,
                  " can be bytes: check the data's preprocessing and the weights, or keep the "
                  "layers around it in f32 by rules of --layers");
  }
  for (const ir::ValueId v : g.inputs)
    if (seen[at(v)].count() > 0 && seen[at(v)].constant())
      return fail(765, "input ", g.values[at(v)].name, " is ", seen[at(v)].least(),
                  " in all of the calibration data; its range cannot be told from that: give "
                  "samples as they will come");
  return seen;
}

// One quantization per group, over the ranges of all its members.
std::vector<ir::Quantization> quantizations(const ir::Graph& g, const Placement& p,
                                            const std::vector<Histogram>& seen, RangeMode mode,
                                            Report& report) {
  std::vector<Range> ranges(g.values.size());
  for (size_t v = 0; v < seen.size(); ++v) {
    if (!p.needed[v]) continue;
    const Range mine = choose_range(seen[v], mode);
    Range& all = ranges[at(p.group[v])];
    all = {std::min(all.low, mine.low), std::max(all.high, mine.high)};
    if (seen[v].constant())
      report.warnings.push_back(cat("activation ", g.values[v].name, " is ", seen[v].least(),
                                    " throughout the calibration data; its bytes can tell nothing "
                                    "beyond that: check the data"));
  }
  std::vector<ir::Quantization> r(g.values.size());
  for (size_t v = 0; v < r.size(); ++v)
    if (p.needed[v]) r[v] = quantization_of(ranges[at(p.group[v])]);
  return r;
}

// At most kMostFitSamples, evenly over all.
std::vector<eval::Tensor> few(const ir::Graph& g, const std::vector<eval::Tensor>& data) {
  const int64_t samples = quant::sample_count(g, data);
  if (samples <= kMostFitSamples) return data;
  std::vector<eval::Tensor> r;
  for (int64_t i = 0; i < kMostFitSamples; ++i) {
    const int64_t sample = i * samples / kMostFitSamples;
    const auto one = quant::slice_samples(g, data, sample, sample + 1);
    if (r.empty()) r.resize(one.size());
    for (size_t k = 0; k < one.size(); ++k) {
      if (r[k].shape.empty()) {
        r[k] = one[k];
        continue;
      }
      if (one[k].shape == data[k].shape) continue;  // the same for all samples
      r[k].shape[0] += one[k].shape[0];
      r[k].data.insert(r[k].data.end(), one[k].data.begin(), one[k].data.end());
      r[k].ints.insert(r[k].ints.end(), one[k].ints.begin(), one[k].ints.end());
    }
  }
  return r;
}

size_t table_count(const Fit& f) {
  return static_cast<size_t>(std::count_if(f.layers.begin(), f.layers.end(),
                                           [](const auto& l) { return l.table_bits > 0; }));
}

// Energy that the outputs are off by, over their own: of the worst.
double loss(const Fit& f) {
  double most = 0;
  for (const double db : f.output_snr_db) most = std::max(most, std::pow(10, -db / 10));
  return most;
}

// Half of the layers with tables, those that lose most, and one at least.
void keep_worse_half_exact(const Fit& f, std::set<std::string>& exact) {
  std::vector<std::pair<double, std::string>> tables;
  for (const FittedLayer& l : f.layers)
    if (l.table_bits > 0) tables.emplace_back(-l.table_loss, l.layer);
  std::sort(tables.begin(), tables.end());
  for (size_t i = 0; i < (tables.size() + 1) / 2; ++i) exact.insert(tables[i].second);
}

// Layers have judged their tables one by one; together they must not lose too much either. `bytes`
// is what the fit returned last has made.
Result<Fit> fit_contracts(const std::function<Result<Fit>(const FitOptions&)>& fit_with,
                          FitOptions options, ir::Graph& bytes) {
  Result<Fit> fitted = fit_with(options);
  if (!fitted.ok() || table_count(*fitted) == 0) return fitted;
  ir::Graph with_tables = bytes;
  FitOptions plain = options;
  plain.tables = false;
  const Result<Fit> exact = fit_with(plain);
  if (!exact.ok()) return exact;
  bytes = std::move(with_tables);
  while (fitted.ok() && table_count(*fitted) > 0 &&
         loss(*fitted) > loss(*exact) + options.max_loss) {
    keep_worse_half_exact(*fitted, options.keep_exact);
    fitted = fit_with(options);
  }
  return fitted;
}

}  // namespace

Result<Report> quantize(ir::Graph& g, const Options& o, const quant::CalibrationData& data) {
  if (data.inputs.empty())
    return fail(760,
                "int8 activations need sample inputs to choose their scales by; give them with "
                "--calibrate FILE.npy or a folder");
  Report report;
  const std::vector<bool> layers = choose_layers(g, o, report);
  if (std::find(layers.begin(), layers.end(), true) == layers.end())
    return fail(761,
                "no layer can sum integers: the model has no convolution or linear layer with "
                "constant weights that is not kept in f32; convert it without --activations int8");
  const Placement p = place(g, layers);
  const auto seen = observe(g, p, data.inputs);
  if (!seen.ok()) return seen.error();
  const auto q = quantizations(g, p, *seen, o.range, report);
  const auto samples = few(g, data.inputs);
  ir::Graph bytes;
  const auto fit_with = [&](const FitOptions& options) -> Result<Fit> {
    bytes = g;
    QRT_CHECK_OK(insert(bytes, p, q));
    return fit(g, bytes, samples, options);
  };
  auto fitted = fit_contracts(fit_with, o.fit, bytes);
  if (!fitted.ok()) return fitted.error();
  report.fit = std::move(*fitted);
  for (size_t i = 0; i < report.fit.output_snr_db.size(); ++i)
    if (const double db = report.fit.output_snr_db[i]; db < kPoorDecibels)
      report.warnings.push_back(cat("int8 against f32 at output ", g.values[at(g.outputs[i])].name,
                                    " is ", std::round(db * 10) / 10,
                                    " dB on the calibration data, less than ", kPoorDecibels,
                                    ": measure accuracy before use, with --test and --truth; rules "
                                    "of --layers keep the layers that lose most in f32"));
  ir::remove_dead(bytes);
  g = std::move(bytes);
  return report;
}

}  // namespace qrt::int8
