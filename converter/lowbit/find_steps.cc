// layer -> batch norm, bias, clamp, moves -> quantizer becomes layer -> Steps ->
// moves. What a channel does to the layer's sum S is a step function of integers:
// the level f(S) of the quantizer never falls, or never rises, as S grows, so each
// level k has one threshold T_k = min { S : f(S) >= k }, found by bisection in long double
// (products of two floats and sums of them are exact there: METHODS 8.3). Where f falls, the
// layer's scale is -1 for that output and the thresholds are those of -S.
//
// The Steps compares the layer's f32 result unit * S with unit * (T_k - 1/2): half a unit away from
// any result, which rounding in f32 does not reach.
#include <algorithm>
#include <cmath>

#include "converter/ir/edit.h"
#include "converter/lattice/lattice.h"
#include "converter/lowbit/chain.h"
#include "converter/lowbit/grid.h"
#include "converter/lowbit/lowbit.h"
#include "converter/lowbit/sums.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"

namespace qrt::lowbit {
namespace {

using ir::Graph;
using ir::Node;
using ir::NodeId;
using ir::ValueId;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// The smallest S in (from, to] with level(S) >= k, where level(to) is; `guess` is where it may be.
template <class Level>
int64_t first_reaching(const Level& level, int64_t k, int64_t from, int64_t to, int64_t guess) {
  guess = std::clamp(guess, from + 1, to);
  if (level(guess) >= k) {
    to = guess;
    if (guess - 1 > from && level(guess - 1) < k) from = guess - 1;
  } else {
    from = guess;
    if (guess + 1 < to && level(guess + 1) >= k) to = guess + 1;
  }
  while (to - from > 1) {
    const int64_t middle = from + (to - from) / 2;
    (level(middle) >= k ? to : from) = middle;
  }
  return to;
}

// Thresholds of one output for sums from low to high: low where always reached, high + 1 where
// never.
template <class Level>
std::vector<int64_t> thresholds_of(const Level& level, int64_t count, int64_t low, int64_t high) {
  std::vector<int64_t> r;
  const int64_t first = level(low), last = level(high);
  int64_t gap = (high - low) / (count + 1);
  for (int64_t k = 1; k <= count; ++k) {
    if (k <= first) {
      r.push_back(low);
    } else if (k > last) {
      r.push_back(high + 1);
    } else {
      const int64_t from = r.empty() ? low : std::max(low, r.back() - 1);
      r.push_back(first_reaching(level, k, from, high, r.empty() ? low + gap : r.back() + gap));
      if (r.size() > 1 && r[r.size() - 2] > low) gap = r.back() - r[r.size() - 2];
    }
  }
  return r;
}

// Thresholds that all channels have `each` in one place: `each` times as wide a step does the same.
int64_t equal_runs(const std::vector<std::vector<int64_t>>& rows, int64_t count) {
  for (int64_t each = count; each > 1; --each) {
    if (count % each != 0) continue;
    const bool all = std::all_of(rows.begin(), rows.end(), [&](const auto& row) {
      for (size_t k = 0; k < row.size(); ++k)
        if (row[k] != row[k - k % at(each)]) return false;
      return true;
    });
    if (all) return each;
  }
  return 1;
}

// How far the products of a trainer's floats may be from whole numbers times a unit, as a part of
// themselves: the level is rounded to f32 and its product with the clip value is, as are our unit
// and what decode() gives; each by at most 2^-24.
constexpr double kRoundings = 4 * 0x1p-24;

// Integers that weights are all but equal to; nothing where one is farther off than roundings go.
std::optional<quant::Encoding> rounded_integers(const lattice::Weights& w) {
  auto found = lattice::find(w, {true, kRoundings, true});  // integers only
  if (!found) return {};
  const std::vector<float> made = quant::decode(*found, w.outputs, w.inputs);
  for (size_t i = 0; i < made.size(); ++i) {
    const double want = w.values[i];
    if (!(std::fabs(made[i] - want) <= kRoundings * std::fabs(want))) return {};
  }
  return found;
}

class Finder {
 public:
  explicit Finder(Graph& g) : g_(g) {}

  Result<void> run() {
    for (NodeId i = 0; i < static_cast<NodeId>(g_.nodes.size()); ++i) {
      bool done = false;
      drop_second(i);
      encode_weights(i);
      QRT_CHECK_OK(consider(i, &done));
      if (done) ++i;  // a node was put in front
      update_grid(g_, g_.nodes[at(i)], grids_);
    }
    ir::remove_dead(g_);
    return {};
  }

 private:
  // A quantizer of what lies on its grid already, as around operators that move elements.
  void drop_second(NodeId i) {
    Node& n = g_.nodes[at(i)];
    if (n.out.empty() || !std::holds_alternative<ir::FakeQuantize>(n.attr)) return;
    const auto before = grid(n.in[0]), made = grid_made_by(g_, n);
    if (!before || !made || !(*before == *made) || passes::is_graph_output(g_, n.out[0])) return;
    ir::replace_uses(g_, n.out[0], n.in[0]);
    n.in.clear(), n.out.clear();
  }

  // Weights that are plain floats but lie on a grid, as of networks written in plain operators: of
  // layers whose input lies on one, too. Exactly, or but for the last bits of a trainer's
  // roundings.
  void encode_weights(NodeId i) {
    const Node& n = g_.nodes[at(i)];
    if (n.out.empty() || !passes::takes_codes(n) || !grid(n.in[0])) return;
    const auto* data = passes::floats_of(g_, n.in[1]);
    const ir::Value weight = passes::value_of(g_, n.in[1]);
    if (data == nullptr || weight.shape.size() < 2 || weight.shape[0] < 1) return;
    const int64_t outputs = weight.shape[0], inputs = ir::element_count(weight.shape) / outputs;
    const lattice::Weights floats{*data, outputs, inputs,
                                  inputs / std::max<int64_t>(weight.shape[1], 1), false};
    auto found = lattice::find(floats, {});
    const bool exact = found && quant::is_integer(*found);
    if (!exact) found = rounded_integers(floats);
    if (!found) return;
    ir::Constant c;
    c.encoding = std::make_shared<const quant::Encoding>(std::move(*found));
    c.source = exact ? "lattice" : "lattice but for roundings";
    const ValueId made = ir::add_constant(g_, weight.name, weight.shape, std::move(c));
    g_.nodes[at(i)].in[1] = made;
  }

  Result<void> consider(NodeId i, bool* done) {
    const auto chain = chain_to(g_, i);
    if (!chain) return {};
    const Node& layer = g_.nodes[at(chain->layer)];
    const auto sums = sums_of(g_, layer, grid(layer.in[0]));
    if (!sums || is_done(*chain, *sums) || rounds_to_bytes(g_, g_.nodes[at(i)])) return {};
    const auto levels = Levels::of(g_, g_.nodes[at(i)], static_cast<int64_t>(sums->unit.size()));
    if (!levels) return {};
    return rewrite(*chain, *sums, *levels, done);
  }

  // Thresholds right behind sums and half way between them, as this pass leaves them.
  bool is_done(const Chain& chain, const Sums& sums) const {
    const Node &layer = g_.nodes[at(chain.layer)], &quantizer = g_.nodes[at(chain.quantizer)];
    if (!chain.between.empty() || !std::holds_alternative<ir::Steps>(quantizer.attr)) return false;
    const auto& signs = chain.steps[0].factor;
    const bool plain =
        std::all_of(signs.begin(), signs.end(), [](Real f) { return f == 1 || f == -1; });
    if (passes::inputs_of(layer).bias >= 0 || chain.steps[0].clamps || !plain) return false;
    const auto& rows = *passes::floats_of(g_, quantizer.in[1]);
    const size_t each = rows.size() / sums.unit.size();
    if (each * sums.unit.size() != rows.size()) return false;
    for (size_t i = 0; i < rows.size(); ++i) {
      const Real place = rows[i] / sums.unit[i / each];
      if (std::fabs(place - std::floor(place) - 0.5L) > 0.25L) return false;
    }
    return true;
  }

  std::optional<Grid> grid(ValueId v) const {
    return at(v) < grids_.size() ? grids_[at(v)] : std::nullopt;
  }

  Result<void> rewrite(const Chain& chain, const Sums& sums, const Levels& levels, bool* done) {
    const size_t outputs = sums.unit.size();
    std::vector<std::vector<int64_t>> rows(outputs);
    std::vector<float> signs(outputs, 1.0f);
    for (size_t o = 0; o < outputs; ++o) {
      const int64_t sign = chain.falls(o) ? -1 : 1;
      const auto level = [&](int64_t s) {
        return levels.level(chain.value(sums.unit[o] * static_cast<Real>(sign * s), o), o);
      };
      const int64_t low = sign > 0 ? sums.low[o] : -sums.high[o];
      const int64_t high = sign > 0 ? sums.high[o] : -sums.low[o];
      rows[o] = thresholds_of(level, levels.count, low, high);
      signs[o] = static_cast<float>(sign);
    }
    const int64_t each = equal_runs(rows, levels.count), count = levels.count / each;
    std::vector<float> thresholds;
    for (size_t o = 0; o < outputs; ++o)
      for (size_t k = 0; k < rows[o].size(); k += at(each))
        thresholds.push_back(
            static_cast<float>((static_cast<Real>(rows[o][k]) - 0.5L) * sums.unit[o]));
    ir::Steps steps;
    steps.scale = static_cast<float>(levels.scale * static_cast<double>(each));
    steps.bias = static_cast<float>(levels.bias);
    replace(chain, signs);
    return insert(chain, steps, count, std::move(thresholds), done);
  }

  // The layer keeps its sums and their signs.
  void replace(const Chain& chain, const std::vector<float>& signs) {
    Node& layer = g_.nodes[at(chain.layer)];
    passes::LayerInputs in = passes::inputs_of(layer);
    in.scale = in.bias = -1;
    if (std::find(signs.begin(), signs.end(), -1.0f) != signs.end())
      in.scale =
          ir::add_floats(g_, layer.name + ".signs", {static_cast<int64_t>(signs.size())}, signs);
    passes::set_inputs(layer, in);
    *passes::clamp_of(layer) = ir::kNoClamp;
  }

  Result<void> insert(const Chain& chain, ir::Steps steps, int64_t count,
                      std::vector<float> thresholds, bool* done) {
    const auto outputs = static_cast<int64_t>(thresholds.size()) / count;
    const std::string name = g_.nodes[at(chain.quantizer)].name;
    const ValueId sums = g_.nodes[at(chain.layer)].out[0];
    steps.axis = static_cast<int32_t>(
        passes::output_axis(g_.nodes[at(chain.layer)], passes::value_of(g_, sums).shape.size()));
    Node node;
    node.name = name;
    node.attr = steps;
    node.in = {sums,
               ir::add_floats(g_, name + ".thresholds", {outputs, count}, std::move(thresholds))};
    node.origin = g_.nodes[at(chain.quantizer)].origin;
    auto made = ir::add_node(g_, std::move(node), name + ".levels", chain.layer + 1);
    if (!made.ok()) return made.error();
    update_grid(g_, g_.nodes[at(chain.layer + 1)], grids_);
    ValueId v = *made;
    for (const NodeId old : chain.between) {
      Node& n = g_.nodes[at(old + 1)];
      if (!keeps_grid(n)) {
        passes::record_origin(g_.nodes[at(chain.layer + 1)], n);
        n.in.clear(), n.out.clear();
        continue;
      }
      n.in[0] = v;
      v = n.out[0];
      update_grid(g_, n, grids_);
    }
    Node& quantizer = g_.nodes[at(chain.quantizer + 1)];
    ir::replace_uses(g_, quantizer.out[0], v);
    quantizer.in.clear(), quantizer.out.clear();
    *done = true;
    return {};
  }

  Graph& g_;
  std::vector<std::optional<Grid>> grids_;
};

}  // namespace

Result<void> find_steps(Graph& g) {
  return Finder(g).run();
}

std::span<const ir::Pass> steps_passes() {
  static constexpr ir::Pass kPasses[] = {
      {"recognise_codebooks", passes::recognise_codebooks},
      {"fold_constants", passes::fold_constants},
      {"infer_shapes", passes::infer_shapes},
      {"recognise_steps", passes::recognise_steps},
      {"recognise_fake_quant", passes::recognise_fake_quant},
      {"find_steps", find_steps},
  };
  return kPasses;
}

}  // namespace qrt::lowbit
