// Which layers are coded and with which d and k; channels put in order; then
// network.h where there is calibration data, else pq_layer.h for each layer.
#include "converter/quant/product.h"

#include <algorithm>
#include <cmath>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/fit.h"
#include "converter/quant/kept_layer.h"
#include "converter/quant/network.h"
#include "converter/quant/permute.h"
#include "converter/quant/pq_layer.h"
#include "converter/quant/pq_plan.h"

namespace qrt::quant {
namespace {

class Quantizer {
 public:
  Quantizer(ir::Graph& graph, const PqOptions& options, const CalibrationData& data)
      : graph_(graph), options_(options), data_(data) {}

  Result<MethodReport> run() {
    QRT_CHECK_OK(choose());
    if (plans_.empty()) return std::move(report_);
    permute();
    const bool has_data = options_.use_activations && !data_.inputs.empty();
    if (has_data) QRT_CHECK_OK(code_in_sequence());
    if (!has_data) QRT_CHECK_OK(code_blindly());
    return std::move(report_);
  }

 private:
  // The layers to code, and the report's rows for all.
  Result<void> choose() {
    auto all = plan_pq(graph_, options_);
    if (!all.ok()) return all.error();
    report_.notes = std::move(all->notes);
    report_.warnings = std::move(all->warnings);
    for (PqPlan& p : all->layers) {
      LayerReport r;
      r.layer = p.layer;
      r.why_not = p.why_not;
      r.is_encoded = p.is_coded();
      if (p.is_coded()) {
        rows_.push_back(report_.layers.size());
        plans_.push_back(std::move(p));
      }
      report_.layers.push_back(std::move(r));
    }
    if (plans_.empty())
      report_.notes.push_back("method pq found no layer to code; all weights stay dense");
    return {};
  }

  // ---- how -------------------------------------------------------------------------------------

  // Reorders channels, after which constants have other numbers.
  void permute() {
    if (options_.permute == 0 || plans_.empty()) return;
    std::vector<BlockedLayer> layers;
    for (const PqPlan& p : plans_) layers.push_back({p.node, p.settings.dim});
    permute_channels(graph_, layers, options_.permute, options_.seed);
    for (PqPlan& p : plans_) p.weight = graph_.nodes[p.node].in[1];
  }

  Result<void> code_in_sequence() {
    std::vector<LayerPlan> layers;
    for (const PqPlan& p : plans_) {
      LayerPlan& layer = layers.emplace_back();
      layer.node = p.node;
      layer.seed = seed_of(p);
      layer.work = layer_work(p.outputs, p.inputs, p.settings);
      layer.wide = {p.node, p.settings.dim, p.settings.gram == GramKind::per_block};
      layer.encode = [this, &p](const LayerProblem& problem) { return encode(p, problem); };
    }
    const SequenceOptions o{"pq", options_.repairs, options_.positions};
    auto coded = code_network(graph_, layers, o, data_, report_.notes);
    if (!coded.ok()) return coded.error();
    for (size_t i = 0; i < plans_.size(); ++i)
      describe(i, std::get<Codebook>(*(*coded)[i].encoding), (*coded)[i].weight_error,
               (*coded)[i].output_error);
    return {};
  }

  // k-means by the moments of each block, then fit.h by all of them.
  Result<LayerCode> encode(const PqPlan& p, const LayerProblem& problem) const {
    const int64_t d = p.settings.dim, k = problem.inputs, blocks = (k + d - 1) / d;
    std::vector<double> grams = problem.blocks;
    if (!problem.gram.empty()) {
      grams.assign(static_cast<size_t>(blocks * d * d), 0.0);
      for (int64_t g = 0; g < problem.groups; ++g)
        for (int64_t b = 0; b < blocks; ++b)
          for (int64_t i = 0; i < std::min(d, k - b * d); ++i)
            for (int64_t j = 0; j < std::min(d, k - b * d); ++j)
              grams[static_cast<size_t>((b * d + i) * d + j)] +=
                  problem.gram[static_cast<size_t>((g * k + b * d + i) * k + b * d + j)];
    }
    const bool has_energy = std::any_of(grams.begin(), grams.end(), [](double v) { return v > 0; });
    LayerCode out;
    auto coded = encode_kept_layer(data_.control.journal, problem.target, problem.outputs, k,
                                   p.settings, has_energy ? grams : std::vector<double>(),
                                   seed_of(p), options_.threads, &out.was_kept);
    if (!coded.ok()) return coded.error();
    const Repairs& repairs = options_.repairs;
    if (!problem.gram.empty() && has_energy && (repairs.refit || repairs.reassign))
      fit(problem, coded->book);
    out.output_error = coded->output_error;
    out.encoding = std::move(coded->book);
    return out;
  }

  void fit(const LayerProblem& problem, Codebook& book) const {
    const int64_t k = problem.inputs;
    FitProblem f{problem.groups,
                 k,
                 problem.outputs,
                 problem.target,
                 {problem.gram.begin(), problem.gram.end()},
                 {}};
    for (int64_t i = 0; i < problem.groups * k; ++i)
      f.gram[static_cast<size_t>(i * k + i % k)] +=
          static_cast<float>(problem.ridge[static_cast<size_t>(i / k)]);
    for (const double g : problem.gains) f.importance.push_back(static_cast<float>(g * g));
    FitOptions options;
    options.rounds = options_.repairs.rounds;
    options.refit = options_.repairs.refit;
    options.reassign = options_.repairs.reassign;
    fit_codebook(f, options, book);
  }

  // Without data: each layer by itself, all inputs alike.
  Result<void> code_blindly() {
    report_.notes.push_back(
        options_.use_activations
            ? "there is no calibration data: k-means weighs all inputs alike and no repair is "
              "possible, which costs accuracy; give --calibrate"
            : "activations=no: k-means weighs all inputs alike, without repairs");
    double work = 0;
    for (const PqPlan& p : plans_) work += layer_work(p.outputs, p.inputs, p.settings);
    Meter meter(data_.control, work);
    for (size_t i = 0; i < plans_.size(); ++i) {
      const PqPlan& p = plans_[i];
      const std::string& name = graph_.nodes[p.node].name;
      meter.begin(name);
      bool found = false;
      auto layer = encode_kept_layer(data_.control.journal, ir::constant_of(graph_, p.weight)->data,
                                     p.outputs, p.inputs, p.settings, {}, seed_of(p),
                                     options_.threads, &found);
      if (!layer.ok()) return fail(layer.error().id, name, ": ", layer.error().message);
      meter.finish(layer_work(p.outputs, p.inputs, p.settings), found);
      describe(i, layer->book, layer->weight_error, layer->output_error);
      CodedLayer coded;
      coded.encoding = std::move(layer->book);
      coded.source = "pq";
      commit_layer(graph_, p.node, coded);
    }
    return {};
  }

  uint64_t seed_of(const PqPlan& p) const { return options_.seed + static_cast<uint64_t>(p.node); }

  void describe(size_t index, const Codebook& book, double weight_error, double output_error) {
    const PqPlan& p = plans_[index];
    LayerReport& r = report_.layers[rows_[index]];
    r.centroids = book.count;
    r.block = book.dim;
    const StoredBytes bytes = stored_bytes(Encoding(book), p.outputs, p.inputs);
    r.bits_per_weight = 8.0 * static_cast<double>(bytes.codes + bytes.entries + bytes.scales) /
                        static_cast<double>(p.outputs * p.inputs);
    // Capped where nothing is lost at all, so that tables stay finite.
    r.weight_snr_db = weight_error > 0 ? std::min(200.0, -10 * std::log10(weight_error)) : 200.0;
    r.output_error = output_error;
  }

  ir::Graph& graph_;
  const PqOptions& options_;
  const CalibrationData& data_;
  std::vector<PqPlan> plans_;  // of the layers to code
  std::vector<size_t> rows_;   // of the report, one per plan
  MethodReport report_;
};

}  // namespace

Result<MethodReport> quantize_pq(ir::Graph& graph, const PqOptions& options,
                                 const CalibrationData& data) {
  ir::Graph work = graph;
  auto report = Quantizer(work, options, data).run();
  if (!report.ok()) return report;
  ir::remove_dead(work);
  graph = std::move(work);
  return report;
}

Result<MethodReport> run_pq(ir::Graph& graph, const MethodOptions& words,
                            const CalibrationData& data) {
  auto options = parse_pq_options(words);
  if (!options.ok()) return options.error();
  return quantize_pq(graph, *options, data);
}

}  // namespace qrt::quant
