// Layer by layer: which are coded and with which d and k, one pass over the
// calibration data for all their Gram matrices, then pq_layer.h. The float network gives the
// activations; re-capturing through already coded layers, finer scopes and
// corrections of the outputs are refinements of this form.
#include "converter/quant/product.h"

#include <algorithm>
#include <cmath>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/calibrate.h"
#include "converter/quant/kept_layer.h"
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
    auto grams = grams_of_layers();
    if (!grams.ok()) return grams.error();
    std::vector<std::shared_ptr<const Encoding>> encodings;
    double work = 0;
    for (const PqPlan& p : plans_) work += layer_work(p.outputs, p.inputs, p.settings);
    Meter meter(data_.control, work);
    for (size_t i = 0; i < plans_.size(); ++i) {
      auto e = encode(i, grams->empty() ? Gram() : (*grams)[i], meter);
      if (!e.ok()) return e.error();
      encodings.push_back(std::make_shared<Encoding>(std::move(*e)));
    }
    for (size_t i = 0; i < plans_.size(); ++i) commit(plans_[i], encodings[i]);
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

  Result<std::vector<Gram>> grams_of_layers() {
    if (!options_.use_activations || data_.inputs.empty() || plans_.empty()) {
      if (!plans_.empty())
        report_.notes.push_back(
            options_.use_activations
                ? "there is no calibration data: k-means weighs all inputs alike, which costs "
                  "accuracy; give --calibrate"
                : "activations=no: k-means weighs all inputs alike");
      return std::vector<Gram>();
    }
    std::vector<GramRequest> requests;
    for (const PqPlan& p : plans_)
      requests.push_back({p.node, p.settings.dim, p.settings.gram == GramKind::per_block});
    auto grams = collect_grams(graph_, requests, data_, options_.positions, options_.seed);
    if (!grams.ok()) return grams;
    for (size_t i = 0; i < plans_.size(); ++i) {
      const std::vector<double>& sums = (*grams)[i].sums;
      if (std::any_of(sums.begin(), sums.end(), [](double v) { return v != 0; })) continue;
      (*grams)[i].sums.clear();
      report_.notes.push_back(cat(graph_.nodes[plans_[i].node].name,
                                  ": its inputs are all zero on the calibration data; "
                                  "k-means weighs them alike"));
    }
    return grams;
  }

  Result<Encoding> encode(size_t index, const Gram& gram, Meter& meter) {
    const PqPlan& p = plans_[index];
    const std::string& name = graph_.nodes[p.node].name;
    meter.begin(name);
    bool found = false;
    auto layer =
        encode_kept_layer(data_.control.journal, ir::constant_of(graph_, p.weight)->data, p.outputs,
                          p.inputs, p.settings, gram.sums,
                          options_.seed + static_cast<uint64_t>(p.node), options_.threads, &found);
    if (!layer.ok()) return fail(layer.error().id, name, ": ", layer.error().message);
    meter.finish(layer_work(p.outputs, p.inputs, p.settings), found);
    describe(index, *layer);
    return Encoding(std::move(layer->book));
  }

  void describe(size_t index, const PqLayer& layer) {
    const PqPlan& p = plans_[index];
    LayerReport& r = report_.layers[rows_[index]];
    r.centroids = layer.book.count;
    r.block = layer.book.dim;
    const StoredBytes bytes = stored_bytes(Encoding(layer.book), p.outputs, p.inputs);
    r.bits_per_weight = 8.0 * static_cast<double>(bytes.codes + bytes.entries + bytes.scales) /
                        static_cast<double>(p.outputs * p.inputs);
    // Capped where nothing is lost at all, so that tables stay finite.
    r.weight_snr_db =
        layer.weight_error > 0 ? std::min(200.0, -10 * std::log10(layer.weight_error)) : 200.0;
    r.output_error = layer.output_error;
  }

  // Weights may be shared: each layer gets a constant of its own.
  void commit(const PqPlan& p, std::shared_ptr<const Encoding> encoding) {
    ir::Constant c;
    c.encoding = std::move(encoding);
    c.source = "pq";
    const std::string name = graph_.values[p.weight].name;
    const ir::ValueId v =
        ir::add_constant(graph_, name, graph_.values[p.weight].shape, std::move(c));
    graph_.nodes[p.node].in[1] = v;
    for (const ir::Node& n : graph_.nodes)
      if (std::count(n.in.begin(), n.in.end(), p.weight)) return;
    std::swap(graph_.values[v].name, graph_.values[p.weight].name);
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
  auto report = Quantizer(graph, options, data).run();
  if (report.ok()) ir::remove_dead(graph);
  return report;
}

Result<MethodReport> run_pq(ir::Graph& graph, const MethodOptions& words,
                            const CalibrationData& data) {
  auto options = parse_pq_options(words);
  if (!options.ok()) return options.error();
  return quantize_pq(graph, *options, data);
}

}  // namespace qrt::quant
