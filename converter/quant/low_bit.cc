// From a plan to coded layers: with data through network.h, each layer on what the
// coded layers before it give; without, each by itself.
#include "converter/quant/low_bit.h"

#include <algorithm>
#include <cmath>

#include "converter/base/file.h"
#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/low_bit_network.h"

namespace qrt::quant {
namespace {

// Everything that a coded layer depends on.
std::string key_of(const LayerProblem& p, int64_t taps, const LowBitSettings& s) {
  Fingerprint print;
  print.add("low-bit layer").add(p.target.data(), p.target.size() * sizeof(float));
  for (const auto* v : {&p.gram, &p.ridge, &p.gains, &p.blocks})
    print.add(static_cast<int64_t>(v->size())).add(v->data(), v->size() * sizeof(double));
  print.add(&s.bits, sizeof s.bits);
  for (const int64_t v :
       {p.groups, p.inputs, p.outputs, taps, static_cast<int64_t>(s.kind),
        static_cast<int64_t>(s.grid), static_cast<int64_t>(s.axis), int64_t{s.group},
        static_cast<int64_t>(s.groups), int64_t{s.slices}, int64_t{s.most}, int64_t{s.fitted},
        int64_t{s.per_layer}, int64_t{s.fraction}, int64_t{s.has_zero}, int64_t{s.mean_shift},
        static_cast<int64_t>(s.range), int64_t{s.powers}})
    print.add(v);
  return print.hex();
}

class Quantizer {
 public:
  Quantizer(ir::Graph& graph, const char* method, const LowBitOptions& options,
            const CalibrationData& data)
      : graph_(graph), method_(method), options_(options), data_(data) {}

  Result<MethodReport> run() {
    auto all = plan_low_bit(graph_, method_, options_);
    if (!all.ok()) return all.error();
    plans_ = std::move(*all);
    report_.notes = plans_.notes;
    report_.warnings = plans_.warnings;
    const bool has_data = options_.use_activations && !data_.inputs.empty();
    QRT_CHECK_OK(share_bits(graph_, plans_, options_, has_data ? data_ : CalibrationData()));
    for (const LowBitPlan& p : plans_.layers) {
      LayerReport& r = report_.layers.emplace_back();
      r.layer = p.layer, r.why_not = p.why_not, r.is_encoded = p.is_coded();
    }
    if (std::none_of(plans_.layers.begin(), plans_.layers.end(),
                     [](const LowBitPlan& p) { return p.is_coded(); })) {
      report_.notes.push_back(
          cat("method ", method_, " found no layer to code; all weights stay dense"));
      return std::move(report_);
    }
    if (has_data) QRT_CHECK_OK(code_in_sequence());
    if (!has_data) QRT_CHECK_OK(code_blindly());
    return std::move(report_);
  }

 private:
  static double work_of(const LowBitPlan& p) {
    return static_cast<double>(p.outputs) * static_cast<double>(p.inputs * p.inputs);
  }

  Result<void> code_in_sequence() {
    std::vector<LayerPlan> layers;
    std::vector<size_t> rows;
    for (size_t i = 0; i < plans_.layers.size(); ++i) {
      const LowBitPlan& p = plans_.layers[i];
      if (!p.is_coded()) continue;
      LayerPlan& layer = layers.emplace_back();
      rows.push_back(i);
      layer.node = p.node;
      layer.seed = options_.seed + static_cast<uint64_t>(p.node);
      layer.work = work_of(p);
      layer.wide = {p.node, 1, true};
      layer.encode = [this, &p](const LayerProblem& problem) { return encode(p, problem); };
    }
    const SequenceOptions o{method_, options_.repairs, options_.positions};
    auto coded = code_network(graph_, layers, o, data_, report_.notes);
    if (!coded.ok()) return coded.error();
    for (size_t i = 0; i < rows.size(); ++i)
      describe(rows[i], *(*coded)[i].encoding, (*coded)[i].weight_error, (*coded)[i].output_error);
    return {};
  }

  Result<void> code_blindly() {
    report_.notes.push_back(
        options_.use_activations
            ? "there is no calibration data: all inputs count alike and no repair is possible, "
              "which costs accuracy; give --calibrate"
            : "activations=no: all inputs count alike, without repairs");
    double work = 0;
    for (const LowBitPlan& p : plans_.layers) work += p.is_coded() ? work_of(p) : 0;
    Meter meter(data_.control, work);
    for (size_t i = 0; i < plans_.layers.size(); ++i) {
      const LowBitPlan& p = plans_.layers[i];
      if (!p.is_coded()) continue;
      meter.begin(p.layer);
      const LayerProblem problem = blind_problem(graph_, p);
      auto coded = encode(p, problem);
      if (!coded.ok()) return fail(coded.error().id, p.layer, ": ", coded.error().message);
      meter.finish(work_of(p), coded->was_kept);
      const double error = weight_error(problem, coded->encoding);
      describe(i, coded->encoding, error, error);
      CodedLayer layer;
      layer.encoding = std::move(coded->encoding);
      layer.source = method_;
      commit_layer(graph_, p.node, layer);
    }
    return {};
  }

  Result<LayerCode> encode(const LowBitPlan& p, const LayerProblem& problem) const {
    Journal* journal = data_.control.journal;
    const std::string key = journal ? key_of(problem, p.taps, p.settings) : "";
    LayerCode out;
    if (const std::string* bytes = journal ? journal->find(key) : nullptr) {
      std::optional<Encoding> found = encoding_from(*bytes);
      if (found && check(*found, problem.outputs, problem.inputs).ok())
        out = {std::move(*found), true, 0};
    }
    if (!out.was_kept) {
      auto coded = encode_low_bit(problem, p.taps, p.settings, options_.threads);
      if (!coded.ok()) return coded.error();
      out.encoding = std::move(*coded);
      if (journal) journal->record(key, to_bytes(out.encoding));
    }
    if (problem.gram.empty()) out.output_error = weight_error(problem, out.encoding);
    return out;
  }

  void describe(size_t index, const Encoding& e, double weight_error, double output_error) {
    const LowBitPlan& p = plans_.layers[index];
    LayerReport& r = report_.layers[index];
    const StoredBytes bytes = stored_bytes(e, p.outputs, p.inputs);
    r.bits_per_weight = 8.0 * static_cast<double>(bytes.codes + bytes.entries + bytes.scales) /
                        static_cast<double>(p.outputs * p.inputs);
    // Capped where nothing is lost at all, so that tables stay finite.
    r.weight_snr_db = weight_error > 0 ? std::min(200.0, -10 * std::log10(weight_error)) : 200.0;
    r.output_error = output_error;
  }

  ir::Graph& graph_;
  const char* method_;
  const LowBitOptions& options_;
  const CalibrationData& data_;
  LowBitPlans plans_;
  MethodReport report_;
};

Result<MethodReport> run(const char* method, ir::Graph& graph, const MethodOptions& words,
                         const CalibrationData& data) {
  auto options = parse_low_bit_options(method, words);
  if (!options.ok()) return options.error();
  return quantize_low_bit(graph, method, *options, data);
}

}  // namespace

Result<MethodReport> quantize_low_bit(ir::Graph& graph, const char* method,
                                      const LowBitOptions& options, const CalibrationData& data) {
  ir::Graph work = graph;
  auto report = Quantizer(work, method, options, data).run();
  if (!report.ok()) return report;
  ir::remove_dead(work);
  graph = std::move(work);
  return report;
}

Result<MethodReport> run_bwn(ir::Graph& g, const MethodOptions& o, const CalibrationData& d) {
  return run("bwn", g, o, d);
}
Result<MethodReport> run_twn(ir::Graph& g, const MethodOptions& o, const CalibrationData& d) {
  return run("twn", g, o, d);
}
Result<MethodReport> run_uniform(ir::Graph& g, const MethodOptions& o, const CalibrationData& d) {
  return run("uniform", g, o, d);
}
Result<MethodReport> run_alq(ir::Graph& g, const MethodOptions& o, const CalibrationData& d) {
  return run("alq", g, o, d);
}
Result<MethodReport> run_esb(ir::Graph& g, const MethodOptions& o, const CalibrationData& d) {
  return run("esb", g, o, d);
}

}  // namespace qrt::quant
