#include "converter/quant/search.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/calibrate.h"
#include "converter/quant/kept_layer.h"
#include "converter/quant/sensitivity.h"

namespace qrt::quant {
namespace {

constexpr int kNoData = 738;
constexpr int32_t kPositions = 16;  // per sample and layer, where the options leave it open

// Scalars, pairs, fours; then one and two kernels, or eights and sixteens.
std::vector<int32_t> block_lengths(const PqPlan& p) {
  const int64_t kernel = p.taps > 1 ? p.taps : 8;
  std::set<int32_t> out;
  for (const int64_t wanted : {int64_t{1}, int64_t{2}, int64_t{4}, kernel, 2 * kernel})
    if (wanted <= 64) out.insert(block_length(static_cast<int32_t>(wanted), p.inputs, p.taps));
  return {out.begin(), out.end()};
}

// Several small books code finer than one large one of as many bytes, where entries count.
struct Size {
  int32_t books, centroids;
};
constexpr Size kSizes[] = {{1, 16}, {2, 16}, {3, 16},  {4, 16},
                           {1, 64}, {2, 64}, {1, 256}, {2, 256}};

// The candidates of a layer with blocks of `dim`, every clipped size once.
std::vector<PqLayerSettings> candidates(const PqPlan& p, const PqLayerSettings& base, int32_t dim) {
  std::vector<PqLayerSettings> out;
  std::set<std::pair<int32_t, int32_t>> seen;
  const int64_t points = p.outputs * ((p.inputs + dim - 1) / dim);
  for (const Size size : kSizes) {
    if (size.books > 1 && dim < 4) continue;  // a scalar or a pair needs no sum
    if (size.centroids < 64 && dim < 2) continue;
    PqLayerSettings s = base;
    s.dim = dim, s.books = size.books;
    s.centroids = clipped_centroids(size.centroids, points, s.clip);
    if (s.centroids < 4 || !seen.insert({s.books, s.centroids}).second) continue;
    out.push_back(s);
    // Entries beyond a quarter of the bytes: half of them can be had with i8.
    PqPlan sized = p;
    sized.settings = s;
    const auto entries = 2 * static_cast<uint64_t>(s.books) * static_cast<uint64_t>(s.centroids) *
                         static_cast<uint64_t>(s.dim);
    if (s.entry != EntryType::f16 || s.dim < 4 || 4 * entries < planned_bytes(sized)) continue;
    s.entry = EntryType::i8;
    out.push_back(s);
  }
  return out;
}

class Search {
 public:
  Search(const ir::Graph& graph, const PqPlans& plans, const PqOptions& options,
         const CalibrationData& data, const SearchOptions& search)
      : graph_(graph),
        plans_(plans),
        options_(options),
        data_(data),
        search_(search),
        sensitivity_(graph) {
    base_ = base_settings(options);
    apply(options.layers.defaults, &base_);
  }

  Result<std::vector<LayerChoices>> run() {
    if (data_.inputs.empty())
      return fail(kNoData,
                  "a search compares layers on sample inputs and there are none; "
                  "give --calibrate DATA");
    auto grams = collect();
    if (!grams.ok()) return grams.error();
    QRT_CHECK_OK(sensitivity_.open(search_.probes.empty() ? data_.inputs : search_.probes));
    double work = 0;
    for (const PqPlan& p : plans_.layers) {
      if (p.is_fixed) continue;
      for (const int32_t dim : block_lengths(p))
        for (const PqLayerSettings& s : candidates(p, base_, dim))
          work += layer_work(p.outputs, p.inputs, quick(s));
    }
    Meter meter(data_.control, work);
    std::vector<LayerChoices> out;
    for (size_t i = 0; i < plans_.layers.size(); ++i) {
      meter.begin(plans_.layers[i].layer);
      auto c = choices_of(i, *grams, meter);
      if (!c.ok()) return Error{c.error().id, plans_.layers[i].layer + ": " + c.error().message};
      out.push_back(std::move(*c));
    }
    return out;
  }

 private:
  // Fewer iterations: enough to compare.
  PqLayerSettings quick(PqLayerSettings s) const {
    s.iterations = std::min(s.iterations, search_.iterations);
    return s;
  }

  // One pass over the data for every layer and block length.
  Result<std::vector<Gram>> collect() {
    std::vector<GramRequest> requests;
    first_.clear();
    for (const PqPlan& p : plans_.layers) {
      first_.push_back(requests.size());
      if (p.is_fixed) continue;
      for (const int32_t dim : block_lengths(p)) requests.push_back({p.node, dim});
    }
    if (requests.empty()) return std::vector<Gram>();
    const int32_t positions = options_.positions > 0 ? options_.positions : kPositions;
    return collect_grams(graph_, requests, data_, positions, options_.seed);
  }

  Result<LayerChoices> choices_of(size_t index, const std::vector<Gram>& grams, Meter& meter) {
    const PqPlan& p = plans_.layers[index];
    LayerChoices c;
    c.plan = index;
    if (p.is_fixed) {
      c.settings.push_back(p.settings), c.errors.push_back(0);
      c.options.push_back({planned_bytes(p), 0});
      return c;
    }
    const std::vector<float>& w = ir::constant_of(graph_, p.weight)->data;
    std::vector<Codebook> books;
    size_t at = first_[index];
    for (const int32_t dim : block_lengths(p)) {
      const Gram& gram = grams[at++];
      for (const PqLayerSettings& s : candidates(p, base_, dim)) {
        bool found = false;
        auto layer = encode_kept_layer(data_.control.journal, w, p.outputs, p.inputs, quick(s),
                                       gram.sums, options_.seed + static_cast<uint64_t>(p.node),
                                       options_.threads, &found);
        if (!layer.ok()) return layer.error();
        meter.finish(layer_work(p.outputs, p.inputs, quick(s)), found);
        PqPlan sized = p;
        sized.settings = s;
        c.settings.push_back(s);
        c.errors.push_back(layer->output_error);
        c.options.push_back({planned_bytes(sized), 0});
        books.push_back(std::move(layer->book));
      }
    }
    QRT_CHECK_OK(find_sensitivity(p, books, &c));
    PqPlan dense = p;
    dense.settings.dense = true, dense.why_not = "chosen by the search";
    c.settings.push_back(dense.settings);
    c.errors.push_back(0);
    c.options.push_back({planned_bytes(dense), 0});
    for (size_t i = 0; i < c.options.size(); ++i) c.options[i].cost = c.sensitivity * c.errors[i];
    return c;
  }

  // By the candidate whose error is nearest to 3 %: smaller ones drown in other noise, larger ones
  // are no small disturbance any more.
  Result<void> find_sensitivity(const PqPlan& p, const std::vector<Codebook>& books,
                                LayerChoices* c) {
    size_t best = books.size();
    const auto distance = [&](size_t i) { return std::abs(std::log(c->errors[i] / 0.03)); };
    for (size_t i = 0; i < books.size(); ++i)
      if (c->errors[i] > 0 && (best == books.size() || distance(i) < distance(best))) best = i;
    if (best == books.size()) return {};  // every candidate is exact
    ir::Constant constant;
    constant.encoding = std::make_shared<Encoding>(books[best]);
    const auto lost = sensitivity_.disturbance(p.node, std::move(constant));
    if (!lost.ok()) return lost.error();
    c->sensitivity = *lost / c->errors[best];
    return {};
  }

  const ir::Graph& graph_;
  const PqPlans& plans_;
  const PqOptions& options_;
  const CalibrationData& data_;
  const SearchOptions& search_;
  PqLayerSettings base_;
  std::vector<size_t> first_;  // per layer: its first Gram matrix
  Sensitivity sensitivity_;
};

}  // namespace

Result<std::vector<LayerChoices>> measure_choices(const ir::Graph& graph, const PqPlans& plans,
                                                  const PqOptions& options,
                                                  const CalibrationData& data,
                                                  const SearchOptions& search) {
  return Search(graph, plans, options, data, search).run();
}

std::vector<std::vector<Option>> options_of(const std::vector<LayerChoices>& choices) {
  std::vector<std::vector<Option>> out;
  for (const LayerChoices& c : choices) out.push_back(c.options);
  return out;
}

LayerRules rules_with(const PqOptions& options, const PqPlans& plans,
                      const std::vector<LayerChoices>& choices, const Allocation& a) {
  LayerRules out = options.layers;
  for (size_t i = 0; i < choices.size(); ++i) {
    const PqPlan& p = plans.layers[choices[i].plan];
    if (p.is_fixed) continue;
    const PqLayerSettings& s = choices[i].settings[a.chosen[i]];
    LayerRule rule;
    rule.match = quoted_pattern(p.layer);
    if (s.dense) {
      rule.dense = true;
    } else {
      rule.block = s.dim, rule.centroids = s.centroids, rule.books = s.books;
      rule.entries = s.entry;
    }
    out.rules.push_back(std::move(rule));
  }
  return out;
}

Result<SearchSpace> search_pq(const ir::Graph& graph, const MethodOptions& words,
                              const CalibrationData& data,
                              const std::vector<eval::Tensor>& probes) {
  auto parsed = parse_pq_options(words);
  if (!parsed.ok()) return parsed.error();
  auto plans = plan_pq(graph, *parsed);
  if (!plans.ok()) return plans.error();
  SearchOptions search;
  search.probes = probes;
  auto choices = measure_choices(graph, *plans, *parsed, data, search);
  if (!choices.ok()) return choices.error();
  SearchSpace space;
  space.options = options_of(*choices);
  space.rules = [options = *parsed, plans = *plans, choices = *choices](const Allocation& a) {
    return to_json(rules_with(options, plans, choices, a));
  };
  return space;
}

}  // namespace qrt::quant
