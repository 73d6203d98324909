// Layer by layer: which are coded and with which d and k, one pass over the
// calibration data for all their Gram matrices, then pq_layer.h. The float network gives the
// activations; re-capturing through already coded layers, finer scopes and
// corrections of the outputs are refinements of this form.
#include "converter/quant/product.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/calibrate.h"
#include "converter/quant/kept_layer.h"
#include "converter/quant/pq_layer.h"
#include "schema/layout.h"

namespace qrt::quant {
namespace {

constexpr int kNoSuchLayer = 714;

// A layer that will be coded.
struct Plan {
  ir::NodeId node;
  ir::ValueId weight;
  int64_t outputs, inputs;
  PqLayerSettings settings;
  size_t report;
};

// A block length near `wanted` that divides the row: short last blocks cost codes and fit badly.
// Whole kernels where the wanted block holds some, else any divisor above half of it.
int32_t block_length(int32_t wanted, int64_t inputs, int64_t area) {
  const int64_t most = std::min<int64_t>(wanted, inputs);
  if (inputs % most == 0) return static_cast<int32_t>(most);
  for (int64_t d = most / area * area; d >= area; d -= area)
    if (area > 1 && inputs % d == 0) return static_cast<int32_t>(d);
  for (int64_t d = most; 2 * d > most; --d)
    if (inputs % d == 0) return static_cast<int32_t>(d);
  return static_cast<int32_t>(most);
}

int32_t wanted_block(const PqOptions& o, const ir::Conv2d* conv) {
  if (!conv) return o.block_fc;
  const auto [h, w] = conv->window.kernel;
  if (h == 1 && w == 1) return o.block_1x1;
  if (h == 3 && w == 3) return o.block_3x3;
  if (o.block_other > 0) return o.block_other;
  return w >= 4 ? w : std::min(h * w, static_cast<int32_t>(layout::kMaxBlockDim));
}

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
    for (const Plan& p : plans_) work += layer_work(p.outputs, p.inputs, p.settings);
    Meter meter(data_.control, work);
    for (size_t i = 0; i < plans_.size(); ++i) {
      auto e = encode(plans_[i], grams->empty() ? Gram() : (*grams)[i], meter);
      if (!e.ok()) return e.error();
      encodings.push_back(std::make_shared<Encoding>(std::move(*e)));
    }
    for (size_t i = 0; i < plans_.size(); ++i) commit(plans_[i], encodings[i]);
    return std::move(report_);
  }

 private:
  // ---- which layers ----------------------------------------------------------------------------

  Result<void> choose() {
    std::set<std::string> names;
    bool is_first = true;
    for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(graph_.nodes.size()); ++i) {
      const ir::Node& node = graph_.nodes[i];
      names.insert(node.name);
      const auto* conv = std::get_if<ir::Conv2d>(&node.attr);
      if (!conv && !std::holds_alternative<ir::Linear>(node.attr)) continue;
      LayerReport r;
      r.layer = node.name;
      r.why_not = reason_against(node, conv, conv && is_first);
      is_first = is_first && !conv;
      if (r.why_not.empty()) r.why_not = add(i, conv);
      r.is_encoded = r.why_not.empty();
      report_.layers.push_back(std::move(r));
    }
    for (const std::string& name : options_.skip)
      if (!names.count(name))
        return fail(kNoSuchLayer, "option skip of method pq names '", name,
                    "', but the graph has no such node; --print-passes lists their names");
    if (plans_.empty())
      report_.notes.push_back("method pq found no layer to code; all weights stay dense");
    return {};
  }

  std::string reason_against(const ir::Node& node, const ir::Conv2d* conv, bool is_first) const {
    const ir::Constant* c = ir::constant_of(graph_, node.in[1]);
    if (!c) return "its weight is computed";
    if (c->encoding) return "coded already (" + c->source + ")";
    if (std::count(options_.skip.begin(), options_.skip.end(), node.name)) return "skipped by name";
    if (is_first && options_.skip_first) return "the first convolution";
    if (conv && conv->groups > 1 && graph_.values[node.in[1]].shape[1] == 1) return "depthwise";
    return "";
  }

  // Plans the layer, or says why a codebook does not pay.
  std::string add(ir::NodeId id, const ir::Conv2d* conv) {
    Plan p;
    p.node = id;
    p.weight = graph_.nodes[id].in[1];
    const std::vector<int64_t>& shape = graph_.values[p.weight].shape;
    p.outputs = shape[0];
    p.inputs = ir::element_count(shape) / shape[0];
    p.settings = settings_of(p, conv);
    const int64_t blocks = (p.inputs + p.settings.dim - 1) / p.settings.dim;
    if (clipped_centroids(p.settings.centroids, p.outputs * blocks, p.settings.clip) < 2)
      return cat("too small: ", p.outputs * blocks, " blocks");
    p.report = report_.layers.size();
    plans_.push_back(p);
    return "";
  }

  PqLayerSettings settings_of(const Plan& p, const ir::Conv2d* conv) const {
    PqLayerSettings s;
    s.dim = block_length(wanted_block(options_, conv), p.inputs,
                         conv ? conv->window.kernel[0] * conv->window.kernel[1] : 1);
    s.centroids = conv ? options_.centroids_conv : options_.centroids_fc;
    s.books = options_.books;
    s.entry = options_.entries;
    s.clip = options_.clip;
    s.gram = options_.use_activations ? options_.gram : GramKind::none;
    s.iterations = options_.iterations;
    return s;
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
    for (const Plan& p : plans_)
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

  Result<Encoding> encode(const Plan& p, const Gram& gram, Meter& meter) {
    const std::string& name = graph_.nodes[p.node].name;
    meter.begin(name);
    bool found = false;
    auto layer =
        encode_kept_layer(data_.control.journal, ir::constant_of(graph_, p.weight)->data, p.outputs,
                          p.inputs, p.settings, gram.sums,
                          options_.seed + static_cast<uint64_t>(p.node), options_.threads, &found);
    if (!layer.ok()) return fail(layer.error().id, name, ": ", layer.error().message);
    meter.finish(layer_work(p.outputs, p.inputs, p.settings), found);
    describe(p, *layer);
    return Encoding(std::move(layer->book));
  }

  void describe(const Plan& p, const PqLayer& layer) {
    LayerReport& r = report_.layers[p.report];
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
  void commit(const Plan& p, std::shared_ptr<const Encoding> encoding) {
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
  std::vector<Plan> plans_;
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
