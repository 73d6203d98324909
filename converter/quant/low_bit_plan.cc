// Which layers get how many bits: --METHOD for all, the policy for the first, the last
// and depthwise layers, then --layers.
#include <algorithm>
#include <set>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/low_bit.h"

namespace qrt::quant {
namespace {

constexpr int kCannotBe = 720;

class Planner {
 public:
  Planner(const ir::Graph& graph, const char* method, const LowBitOptions& options)
      : graph_(graph), method_(method), options_(options), book_(options.layers) {}

  Result<LowBitPlans> run() {
    QRT_CHECK_OK(check_names());
    ir::NodeId first = -1, last = -1;
    for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(graph_.nodes.size()); ++i) {
      if (!is_coded_kind(i)) continue;
      if (first < 0) first = i;
      last = i;
    }
    for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(graph_.nodes.size()); ++i)
      if (is_coded_kind(i)) QRT_CHECK_OK(add(i, i == first || i == last));
    plans_.warnings = book_.unused();
    return std::move(plans_);
  }

 private:
  const ir::Node& node(ir::NodeId i) const { return graph_.nodes[static_cast<size_t>(i)]; }
  bool is_coded_kind(ir::NodeId i) const {
    return std::holds_alternative<ir::Conv2d>(node(i).attr) ||
           std::holds_alternative<ir::Linear>(node(i).attr);
  }

  Result<void> check_names() const {
    std::set<std::string> names;
    for (const ir::Node& n : graph_.nodes) names.insert(n.name);
    for (const std::string& name : options_.skip)
      if (!names.count(name))
        return fail(kCannotBe, "option skip of method ", method_, " names '", name,
                    "', but the graph has no such node; --print-passes lists their names");
    return {};
  }

  Result<void> add(ir::NodeId id, bool is_edge) {
    auto rule = book_.about(node(id).name);
    if (!rule.ok()) return rule.error();
    const LayerRule& d = options_.layers.defaults;
    LowBitPlan p;
    p.node = id;
    p.layer = node(id).name;
    p.settings = options_.settings;
    const ir::ValueId weight = node(id).in[1];
    const std::vector<int64_t>& shape = graph_.values[static_cast<size_t>(weight)].shape;
    p.outputs = shape[0];
    p.inputs = ir::element_count(shape) / shape[0];
    const auto* conv = std::get_if<ir::Conv2d>(&node(id).attr);
    p.taps = conv ? int64_t{conv->window.kernel[0]} * conv->window.kernel[1] : 1;
    p.is_fixed = !rule->only_forces();
    const bool forced = rule->force.value_or(d.force.value_or(false));
    const ir::Constant* c = ir::constant_of(graph_, weight);
    if (!c || c->encoding)
      p.why_not = !c ? "its weight is computed" : "coded already (" + c->source + ")";
    else if (std::count(options_.skip.begin(), options_.skip.end(), p.layer) > 0)
      p.why_not = "skipped by name";
    if (forced && !p.is_coded())
      return fail(kCannotBe, p.layer,
                  ": a rule of --layers forces it to be coded, but it cannot be: ", p.why_not,
                  "; take force away from its rule");
    if (p.is_coded() && rule->dense.value_or(!p.is_fixed && d.dense.value_or(false)))
      p.why_not = "a rule of --layers";
    const std::optional<int32_t> bits = rule->bits ? rule->bits : d.bits;
    if (p.is_coded() && bits)
      QRT_CHECK_OK(apply_bits(*bits, p));
    else if (p.is_coded() && !forced)
      apply_policies(is_edge, conv && conv->groups > 1 && shape[1] == 1, p);
    if (p.is_coded() && !forced && p.inputs < 2)
      p.why_not = "one input: its scales are its weights";
    // Layers of fewer inputs than a group of a microscaling format has.
    if (p.settings.powers)
      p.settings.group = static_cast<int32_t>(std::min<int64_t>(p.settings.group, p.inputs));
    p.is_fixed = p.is_fixed || !p.is_coded();
    plans_.layers.push_back(std::move(p));
    return {};
  }

  void apply_policies(bool is_edge, bool is_depthwise, LowBitPlan& p) const {
    for (const auto& [applies, policy, name] :
         {std::tuple(is_edge, options_.first_last, "first_last"),
          std::tuple(is_depthwise, options_.depthwise, "depthwise")}) {
      if (!applies || policy == Policy::same) continue;
      if (policy == Policy::dense) p.why_not = cat("option ", name, "=dense");
      if (policy == Policy::eight &&
          ((p.settings.kind != LowBitKind::uniform && p.settings.kind != LowBitKind::esb) ||
           p.settings.bits < 8)) {
        LowBitSettings eight;
        eight.fitted = true;
        p.settings = eight;
        p.is_fixed = true;
      }
    }
  }

  // Signs and trits have no bits to set: such a rule asks for whole numbers instead.
  Result<void> apply_bits(int32_t bits, LowBitPlan& p) const {
    if (p.settings.kind == LowBitKind::binary || p.settings.kind == LowBitKind::ternary)
      p.settings = LowBitSettings();
    const LowBitKind kind = p.settings.kind;
    const bool has_zero = grid_of(p.settings.grid, 2).zero_halves == 0;
    const bool needs_two = (kind == LowBitKind::uniform && has_zero) ||
                           (kind == LowBitKind::esb && p.settings.has_zero);
    const int32_t least = needs_two ? 2 : 1;
    const int32_t most = kind == LowBitKind::planes ? p.settings.most : 8;
    if (bits < least || bits > most)
      return fail(kCannotBe, p.layer, ": a rule of --layers sets ", bits, " bits; method ", method_,
                  " allows ", least, " to ", most, " with its options, correct the rule");
    p.settings.bits = bits;
    if (kind == LowBitKind::esb && esb_candidates(esb_settings(p.settings)).empty())
      return fail(kCannotBe, p.layer, ": a rule of --layers sets ", bits,
                  " bits, for which no ESB value set has the fraction and range of the options; "
                  "correct the rule or add range=any");
    return {};
  }

  const ir::Graph& graph_;
  const char* method_;
  const LowBitOptions& options_;
  RuleBook book_;
  LowBitPlans plans_;
};

}  // namespace

Result<LowBitPlans> plan_low_bit(const ir::Graph& graph, const char* method,
                                 const LowBitOptions& options) {
  return Planner(graph, method, options).run();
}

}  // namespace qrt::quant
