#include "converter/quant/pq_plan.h"

#include <algorithm>
#include <set>
#include <variant>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/layer_rules.h"
#include "converter/quant/network.h"
#include "schema/layout.h"

namespace qrt::quant {
namespace {

constexpr int kNoSuchLayer = 714;
constexpr int kContradiction = 736;
constexpr int kCannotForce = 737;

int32_t wanted_block(const PqOptions& o, const ir::Conv2d* conv) {
  if (!conv) return o.block_fc;
  const auto [h, w] = conv->window.kernel;
  if (h == 1 && w == 1) return o.block_1x1;
  if (h == 3 && w == 3) return o.block_3x3;
  if (o.block_other > 0) return o.block_other;
  return w >= 4 ? w : std::min(h * w, static_cast<int32_t>(layout::kMaxBlockDim));
}

class Planner {
 public:
  Planner(const ir::Graph& graph, const PqOptions& options)
      : graph_(graph), options_(options), book_(options.layers) {}

  Result<PqPlans> run() {
    std::set<std::string> names;
    bool is_first = true;
    for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(graph_.nodes.size()); ++i) {
      const ir::Node& node = graph_.nodes[static_cast<size_t>(i)];
      names.insert(node.name);
      const auto* conv = std::get_if<ir::Conv2d>(&node.attr);
      if (!conv && !std::holds_alternative<ir::Linear>(node.attr)) continue;
      QRT_CHECK_OK(add(i, conv, conv && is_first));
      is_first = is_first && !conv;
    }
    for (const std::string& name : options_.skip)
      if (!names.count(name))
        return fail(kNoSuchLayer, "option skip of method pq names '", name,
                    "', but the graph has no such node; --print-passes lists their names");
    plans_.warnings = book_.unused();
    return std::move(plans_);
  }

 private:
  Result<void> add(ir::NodeId id, const ir::Conv2d* conv, bool is_first) {
    const ir::Node& node = graph_.nodes[static_cast<size_t>(id)];
    auto rule = book_.about(node.name);
    if (!rule.ok()) return rule.error();
    PqPlan p;
    p.node = id;
    p.weight = node.in[1];
    p.layer = node.name;
    const std::vector<int64_t>& shape = graph_.values[static_cast<size_t>(p.weight)].shape;
    p.outputs = shape[0];
    p.inputs = ir::element_count(shape) / shape[0];
    p.taps = conv ? int64_t{conv->window.kernel[0]} * conv->window.kernel[1] : 1;
    p.is_fixed = !rule->only_forces();
    const LayerRule& d = options_.layers.defaults;
    const bool forced = rule->force.value_or(d.force.value_or(false));
    // A rule with settings of a codebook overrules a default of `dense`.
    const bool kept = rule->dense.value_or(!p.is_fixed && d.dense.value_or(false));
    const ir::Constant* c = ir::constant_of(graph_, p.weight);
    const bool by_name = std::count(options_.skip.begin(), options_.skip.end(), node.name) > 0;
    // What no rule can change comes first.
    if (!c || c->encoding) {
      p.why_not = !c ? "its weight is computed" : "coded already (" + c->source + ")";
    } else if (by_name) {
      if (forced)
        return fail(kContradiction, node.name,
                    ": --pq skip keeps it dense and a rule of --layers forces it to be coded; "
                    "keep one of them");
      p.why_not = "skipped by name";
    }
    const bool is_impossible = !p.is_coded();
    if (p.is_coded() && kept) p.why_not = "a rule of --layers";
    if (p.is_coded() && !forced) {
      if (is_first && options_.skip_first) p.why_not = "the first convolution";
      if (conv && conv->groups > 1 && shape[1] == 1) p.why_not = "depthwise";
    }
    const bool has_codebook = p.is_coded();
    if (has_codebook) choose(conv, *rule, &p);
    if (has_codebook && p.settings.centroids < 2)
      p.why_not = cat("too small: ", p.outputs * p.blocks(), " blocks");
    const bool is_hopeless = is_impossible || (has_codebook && !p.is_coded());
    if (p.is_coded() && !forced && planned_bytes(p) >= dense_bytes(p))
      p.why_not =
          cat("too small: ", planned_bytes(p), " bytes as a codebook, ", dense_bytes(p), " dense");
    if (forced && is_hopeless)
      return fail(kCannotForce, node.name, ": a rule of --layers forces it to be coded, but it ",
                  is_impossible ? "cannot be: " : "is ", p.why_not,
                  "; take force away from its rule");
    if (!p.is_coded() && p.is_fixed && !kept)
      plans_.notes.push_back(cat("--layers: ", p.layer, " stays dense all the same (", p.why_not,
                                 is_hopeless ? ")" : "); \"force\": true codes it"));
    p.is_fixed = p.is_fixed || !p.is_coded();
    p.settings.dense = !p.is_coded();
    plans_.layers.push_back(std::move(p));
    return {};
  }

  void choose(const ir::Conv2d* conv, const LayerRule& rule, PqPlan* p) const {
    PqLayerSettings& s = p->settings;
    s = base_settings(options_);
    s.dim = block_length(wanted_block(options_, conv), p->inputs, p->taps);
    s.centroids = conv ? options_.centroids_conv : options_.centroids_fc;
    apply(options_.layers.defaults, &s);
    apply(rule, &s);
    s.dense = false;
    s.dim = static_cast<int32_t>(std::min<int64_t>(s.dim, p->inputs));
    s.centroids = clipped_centroids(s.centroids, p->outputs * p->blocks(), s.clip);
  }

  static uint64_t dense_bytes(const PqPlan& p) {
    return 4 * static_cast<uint64_t>(p.outputs * p.inputs);
  }

  const ir::Graph& graph_;
  const PqOptions& options_;
  RuleBook book_;
  PqPlans plans_;
};

}  // namespace

PqLayerSettings base_settings(const PqOptions& o) {
  PqLayerSettings s;
  s.books = o.books;
  s.entry = o.entries;
  s.clip = o.clip;
  s.gram = o.use_activations ? o.gram : GramKind::none;
  s.iterations = o.iterations;
  return s;
}

int32_t block_length(int32_t wanted, int64_t inputs, int64_t taps) {
  const int64_t most = std::min<int64_t>(wanted, inputs);
  if (inputs % most == 0) return static_cast<int32_t>(most);
  for (int64_t d = most / taps * taps; d >= taps; d -= taps)
    if (taps > 1 && inputs % d == 0) return static_cast<int32_t>(d);
  for (int64_t d = most; 2 * d > most; --d)
    if (inputs % d == 0) return static_cast<int32_t>(d);
  return static_cast<int32_t>(most);
}

Result<PqPlans> plan_pq(const ir::Graph& graph, const PqOptions& options) {
  return Planner(graph, options).run();
}

uint64_t planned_bytes(const PqPlan& p) {
  if (!p.is_coded()) return 4 * static_cast<uint64_t>(p.outputs * p.inputs);
  const PqLayerSettings& s = p.settings;
  const auto count = static_cast<uint64_t>(s.centroids), books = static_cast<uint64_t>(s.books);
  const uint64_t value = s.entry == EntryType::f32 ? 4 : s.entry == EntryType::f16 ? 2 : 1;
  const uint64_t scale = s.entry == EntryType::i8 ? 2 : 0;  // f16
  return layout::codebook_code_bytes(books, static_cast<uint64_t>(p.blocks()),
                                     static_cast<uint64_t>(p.outputs),
                                     layout::code_bits(static_cast<uint32_t>(s.centroids))) +
         books * count * (static_cast<uint64_t>(s.dim) * value + scale);
}

Encoding placeholder(const PqPlan& p) {
  const PqLayerSettings& s = p.settings;
  Codebook book;
  book.books = s.books, book.count = s.centroids, book.dim = s.dim, book.entry = s.entry;
  const auto entries = static_cast<size_t>(s.books) * static_cast<size_t>(s.centroids);
  // Noise, another one for each layer: equal buffers would be stored once, and codes must be spread
  // over the codebook as real ones are.
  uint32_t state = 2654435761u * static_cast<uint32_t>(p.node + 1);
  const auto below = [&](uint32_t count) {
    state = state * 1664525u + 1013904223u;
    return static_cast<uint32_t>((uint64_t{state} * count) >> 32);
  };
  const float unit = s.entry == EntryType::i8 ? 1 : 1.0f / 128;  // every value is exactly f16
  for (size_t i = 0; i < entries * static_cast<size_t>(s.dim); ++i)
    book.entries.push_back(unit * (static_cast<float>(below(255)) - 127));
  if (s.entry == EntryType::i8)
    for (size_t i = 0; i < entries; ++i)
      book.entry_scales.push_back(static_cast<float>(1 + below(255)) / 256);
  book.codes.resize(static_cast<size_t>(s.books * p.blocks() * p.outputs));
  for (uint16_t& code : book.codes)
    code = static_cast<uint16_t>(below(static_cast<uint32_t>(s.centroids)));
  return book;
}

void apply_placeholders(ir::Graph& graph, const PqPlans& plans, const Repairs* repairs) {
  for (const PqPlan& p : plans.layers) {
    const ir::Constant* c = ir::constant_of(graph, p.weight);
    const bool touched = repairs != nullptr && c && !c->encoding;
    CodedLayer layer;
    if (p.is_coded())
      layer.encoding = placeholder(p), layer.source = "pq";
    else if (touched && repairs->dense)
      layer.weights = c->data;
    else
      continue;
    const auto outputs = static_cast<size_t>(p.outputs);
    // As the repairs leave them: scales exactly f16, biases not.
    if (touched && repairs->scale && p.is_coded()) layer.scale.assign(outputs, 0.5f);
    if (touched && repairs->bias) layer.bias.assign(outputs, 0.1f);
    for (size_t o = 0; o < outputs; ++o) {  // no two layers alike: equal buffers are stored once
      const auto noise = static_cast<float>((o * 7 + static_cast<size_t>(p.node) * 13) % 251);
      if (!layer.scale.empty()) layer.scale[o] += noise / 1024;
      if (!layer.bias.empty()) layer.bias[o] += noise / 1024;
    }
    commit_layer(graph, p.node, layer);
  }
  ir::remove_dead(graph);
}

Result<MethodReport> outline_pq(ir::Graph& graph, const MethodOptions& words, bool has_data) {
  auto options = parse_pq_options(words);
  if (!options.ok()) return options.error();
  auto plans = plan_pq(graph, *options);
  if (!plans.ok()) return plans.error();
  MethodReport report;
  report.notes = plans->notes;
  report.warnings = plans->warnings;
  for (const PqPlan& p : plans->layers) {
    LayerReport& r = report.layers.emplace_back();
    r.layer = p.layer, r.is_encoded = p.is_coded(), r.why_not = p.why_not;
  }
  const bool repairs = has_data && options->use_activations && plans->any_coded();
  apply_placeholders(graph, *plans, repairs ? &options->repairs : nullptr);
  return report;
}

}  // namespace qrt::quant
