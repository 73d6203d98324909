// Before the work: encodings of the planned sizes that mean nothing, and what a search
// over bits may choose from.
#include <algorithm>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/low_bit_network.h"

namespace qrt::quant {
namespace {

constexpr int kNoData = 738;

// Noise, another one for each layer: equal buffers would be stored once.
class Noise {
 public:
  explicit Noise(ir::NodeId node) : state_(2654435761u * static_cast<uint32_t>(node + 1)) {}
  uint32_t below(uint32_t count) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<uint32_t>((uint64_t{state_} * count) >> 32);
  }
  float scale() { return static_cast<float>(64 + below(64)) / 8192; }  // exactly f16

 private:
  uint32_t state_;
};

// As many planes as the average allows, spread evenly.
BitPlanes noise_planes(const LowBitPlan& p, Noise& noise) {
  BitPlanes out;
  const bool is_planes = p.settings.kind == LowBitKind::planes;
  const int64_t group = is_planes ? plane_group(p.settings, p.inputs, p.taps) : 0;
  const int64_t length = group > 0 ? group : p.inputs;
  out.group = static_cast<int32_t>(group);
  out.taps =
      is_planes && p.settings.groups == PlaneGroups::pixel ? static_cast<int32_t>(p.taps) : 1;
  out.ternary5 = p.settings.kind == LowBitKind::ternary;
  double owed = 0;
  for (int64_t o = 0; o < p.outputs; ++o)
    for (int64_t first = 0; first < p.inputs; first += length) {
      owed += is_planes ? p.settings.bits : 1;
      const auto count = static_cast<uint8_t>(owed);
      owed -= count;
      out.counts.push_back(count);
      for (int64_t i = 0; i < count * std::min(length, p.inputs - first); ++i)
        out.signs.push_back(static_cast<uint8_t>(noise.below(out.ternary5 ? 3 : 2)));
      for (uint8_t i = 0; i < count; ++i) out.alphas.push_back(noise.scale());
    }
  return out;
}

Affine noise_codes(const LowBitPlan& p, Noise& noise) {
  const LowBitSettings& s = p.settings;
  const Grid grid = grid_of(s.grid, static_cast<int32_t>(s.bits));
  Affine out;
  out.bits = static_cast<int32_t>(s.bits);
  out.is_signed = grid.low < 0;
  out.scales.axis = s.axis;
  int64_t scales = s.axis == ScaleAxis::layer ? 1 : p.outputs;
  if (s.axis == ScaleAxis::group) {
    out.scales.group = s.group;
    out.taps = static_cast<int32_t>(p.taps);
    scales *= (p.inputs + s.group - 1) / s.group;
  }
  for (int64_t i = 0; i < scales; ++i) out.scales.values.push_back(noise.scale());
  if (s.grid == GridKind::affine)
    out.zero_halves.resize(static_cast<size_t>(s.axis == ScaleAxis::layer ? 1 : p.outputs), 1);
  else if (grid.zero_halves != 0)
    out.zero_halves.push_back(static_cast<int16_t>(grid.zero_halves));
  for (int64_t i = 0; i < p.outputs * p.inputs; ++i)
    out.codes.push_back(static_cast<int16_t>(
        grid.low + static_cast<int32_t>(noise.below(uint32_t{1} << out.bits))));
  return out;
}

Table noise_table(const LowBitPlan& p, Noise& noise) {
  const LowBitSettings& s = p.settings;
  Table out = esb_table(esb_candidates(esb_settings(s))[0]);
  out.scales.axis = s.axis;
  int64_t scales = s.axis == ScaleAxis::layer ? 1 : p.outputs;
  if (s.axis == ScaleAxis::group) {
    out.scales.group = s.group;
    out.taps = static_cast<int32_t>(p.taps);
    scales *= (p.inputs + s.group - 1) / s.group;
  }
  for (int64_t i = 0; i < scales; ++i) out.scales.values.push_back(s.powers ? 1.0f : noise.scale());
  if (s.mean_shift)
    for (int64_t i = 0; i < (s.axis == ScaleAxis::layer ? 1 : p.outputs); ++i)
      out.offset.push_back(0.1f + noise.scale());
  for (int64_t i = 0; i < p.outputs * p.inputs; ++i)
    out.codes.push_back(static_cast<uint8_t>(noise.below(uint32_t{1} << out.bits)));
  return out;
}

Result<MethodReport> outline(const char* method, ir::Graph& graph, const MethodOptions& words,
                             bool has_data) {
  auto options = parse_low_bit_options(method, words);
  if (!options.ok()) return options.error();
  auto plans = plan_low_bit(graph, method, *options);
  if (!plans.ok()) return plans.error();
  MethodReport report;
  report.notes = plans->notes;
  report.warnings = plans->warnings;
  const bool repairs = has_data && options->use_activations;
  const LowBitSettings& s = options->settings;
  // How layers of groups of different lengths share the planes decides how many coordinates there
  // are. On data they share them otherwise, of which a plan has none.
  QRT_CHECK_OK(share_bits(graph, *plans, *options, {}));
  if (repairs && s.kind == LowBitKind::planes)
    report.notes.push_back(
        "sizes of alq are of planes shared by the weights alone; on the data layers share them "
        "otherwise, which moves the whole file little");
  if (s.kind == LowBitKind::esb && esb_candidates(esb_settings(s)).size() > 1)
    report.notes.push_back(
        "sizes of esb are of one table for all layers; fraction bits are chosen on the data, and a "
        "second table takes the file its bytes");
  for (const LowBitPlan& p : plans->layers) {
    LayerReport& r = report.layers.emplace_back();
    r.layer = p.layer, r.is_encoded = p.is_coded(), r.why_not = p.why_not;
    CodedLayer layer;
    Noise noise(p.node);
    if (p.is_coded()) {
      if (p.settings.kind == LowBitKind::uniform)
        layer.encoding = noise_codes(p, noise);
      else if (p.settings.kind == LowBitKind::esb)
        layer.encoding = noise_table(p, noise);
      else
        layer.encoding = noise_planes(p, noise);
      layer.source = method;
    }
    // Biases as the repairs leave them: not f16.
    for (int64_t o = 0; repairs && options->repairs.bias && o < p.outputs; ++o)
      layer.bias.push_back(0.1f + noise.scale());
    if (p.is_coded()) commit_layer(graph, p.node, layer);
  }
  ir::remove_dead(graph);
  return report;
}

// ---- search -------------------------------------------------------------------------------------

struct Candidate {
  LowBitSettings settings;
  LayerRule rule;
};

std::vector<Candidate> candidates(const LowBitPlan& p, const LowBitOptions& o) {
  std::vector<Candidate> out;
  const auto add = [&](const LowBitSettings& s, std::optional<int32_t> bits) {
    Candidate& c = out.emplace_back();
    c.settings = s;
    c.rule.match = quoted_pattern(p.layer);
    c.rule.bits = bits;
    if (bits) c.settings.bits = *bits;
    if (!bits) c.rule.force = true;  // coded as the method codes, whatever the layer's place
  };
  const LowBitKind kind = o.settings.kind;
  if (kind == LowBitKind::planes)
    for (int32_t bits = 1; bits <= o.settings.most; ++bits) add(o.settings, bits);
  if (kind == LowBitKind::uniform || kind == LowBitKind::esb)
    for (int32_t bits = 2; bits <= 8; ++bits) {
      LowBitSettings s = o.settings;
      s.bits = bits;
      if (kind == LowBitKind::uniform || !esb_candidates(esb_settings(s)).empty()) add(s, bits);
    }
  if (kind == LowBitKind::binary || kind == LowBitKind::ternary) {
    add(o.settings, {});
    for (const int32_t bits : {3, 4, 6, 8}) add(LowBitSettings(), bits);
  }
  return out;
}

class Search {
 public:
  Search(const ir::Graph& graph, const LowBitPlans& plans, const LowBitOptions& options)
      : graph_(graph), plans_(plans), options_(options), weigher_(graph, options) {}

  Result<SearchSpace> run(const CalibrationData& data, const std::vector<eval::Tensor>& probes) {
    std::vector<const LowBitPlan*> free;
    for (const LowBitPlan& p : plans_.layers)
      if (!p.is_fixed) free.push_back(&p);
    auto found = diagonals(graph_, free, options_, data);
    if (!found.ok()) return found.error();
    QRT_CHECK_OK(weigher_.open(probes));
    Meter meter(data.control, static_cast<double>(free.size()));
    for (size_t i = 0; i < free.size(); ++i) {
      meter.begin(free[i]->layer);
      const auto r = add(*free[i], (*found)[i]);
      if (!r.ok()) return fail(r.error().id, free[i]->layer, ": ", r.error().message);
      meter.finish(1);
    }
    space_.rules = [user = options_.layers, rules = rules_](const Allocation& a) {
      LayerRules out = user;
      for (size_t i = 0; i < rules.size(); ++i) out.rules.push_back(rules[i][a.chosen[i]]);
      return to_json(out);
    };
    return std::move(space_);
  }

 private:
  Result<void> add(const LowBitPlan& p, const std::vector<double>& diagonal) {
    const auto sensitivity = weigher_.sensitivity(p, diagonal);
    if (!sensitivity.ok()) return sensitivity.error();
    std::vector<Option>& options = space_.options.emplace_back();
    std::vector<LayerRule>& rules = rules_.emplace_back();
    LayerProblem problem = blind_problem(graph_, p);
    problem.blocks = diagonal;
    for (const Candidate& c : candidates(p, options_)) {
      auto coded = encode_low_bit(problem, p.taps, c.settings, options_.threads);
      if (!coded.ok()) return coded.error();
      const StoredBytes bytes = stored_bytes(*coded, p.outputs, p.inputs);
      const double error =
          relative_error(problem.target, decode(*coded, p.outputs, p.inputs), diagonal);
      options.push_back({bytes.codes + bytes.scales, *sensitivity * error});
      rules.push_back(c.rule);
    }
    LayerRule dense;
    dense.match = quoted_pattern(p.layer);
    dense.dense = true;
    options.push_back({4 * static_cast<uint64_t>(p.outputs * p.inputs), 0});
    rules.push_back(std::move(dense));
    return {};
  }

  const ir::Graph& graph_;
  const LowBitPlans& plans_;
  const LowBitOptions& options_;
  Weigher weigher_;
  SearchSpace space_;
  std::vector<std::vector<LayerRule>> rules_;
};

Result<SearchSpace> search(const char* method, const ir::Graph& graph, const MethodOptions& words,
                           const CalibrationData& data, const std::vector<eval::Tensor>& probes) {
  auto options = parse_low_bit_options(method, words);
  if (!options.ok()) return options.error();
  if (data.inputs.empty())
    return Error{kNoData,
                 "a search compares layers on sample inputs and there are none; give "
                 "--calibrate DATA"};
  auto plans = plan_low_bit(graph, method, *options);
  if (!plans.ok()) return plans.error();
  return Search(graph, *plans, *options).run(data, probes);
}

}  // namespace

#define QRT_LOW_BIT(name)                                                                    \
  Result<MethodReport> outline_##name(ir::Graph& g, const MethodOptions& o, bool has_data) { \
    return outline(#name, g, o, has_data);                                                   \
  }                                                                                          \
  Result<SearchSpace> search_##name(const ir::Graph& g, const MethodOptions& o,              \
                                    const CalibrationData& d,                                \
                                    const std::vector<eval::Tensor>& probes) {               \
    return search(#name, g, o, d, probes);                                                   \
  }
QRT_LOW_BIT(bwn)
QRT_LOW_BIT(twn)
QRT_LOW_BIT(uniform)
QRT_LOW_BIT(alq)
QRT_LOW_BIT(esb)
#undef QRT_LOW_BIT

}  // namespace qrt::quant
