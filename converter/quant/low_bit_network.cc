// Importance of layers and bases, by the diagonal of the float network's moments.
#include "converter/quant/low_bit_network.h"

#include <algorithm>
#include <cmath>

#include "converter/base/parallel.h"
#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/calibrate.h"
#include "converter/quant/rows.h"
#include "converter/quant/sensitivity.h"
#include "converter/quant/sketch.h"

namespace qrt::quant {
namespace {

constexpr int32_t kPositions = 16;  // per sample and layer
constexpr int64_t kProbes = 32;     // samples that tell how a layer's error reaches the outputs

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// In stored order, where groups are of one kernel element.
template <class T>
std::vector<T> taps_first(const std::vector<T>& rows, int64_t inputs, int64_t taps) {
  std::vector<T> out(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto column = static_cast<int64_t>(i) % inputs;
    const int64_t stored = column % taps * (inputs / taps) + column / taps;
    out[i - at(column) + at(stored)] = rows[i];
  }
  return out;
}

std::vector<GroupLoss> losses_of(const ir::Graph& graph, const LowBitPlan& p,
                                 std::vector<double> diagonal, double sensitivity, size_t threads) {
  LayerProblem problem = blind_problem(graph, p);
  double energy = 0;
  for (size_t i = 0; i < problem.target.size(); ++i)
    energy += diagonal[i % diagonal.size()] * problem.target[i] * problem.target[i];
  PlaneFit fit;
  fit.group = plane_group(p.settings, p.inputs, p.taps);
  fit.most = p.settings.most, fit.threads = threads;
  if (p.settings.groups == PlaneGroups::pixel && p.taps > 1) {
    problem.target = taps_first(problem.target, p.inputs, p.taps);
    diagonal = taps_first(diagonal, p.inputs, p.taps);
  }
  const Quadratic metric = Quadratic::of_diagonal(diagonal);
  const double share = energy > 0 ? std::sqrt(sensitivity / energy) : 0;
  const std::vector<double> gains(at(p.outputs), share);
  return group_losses(problem.target, {&metric, 1}, gains, fit);
}

}  // namespace

Result<Diagonals> diagonals(const ir::Graph& graph, std::span<const LowBitPlan* const> plans,
                            const LowBitOptions& o, const CalibrationData& data) {
  std::vector<GramRequest> requests;
  for (const LowBitPlan* p : plans) requests.push_back({p->node, 1, true});
  if (data.inputs.empty()) {
    Diagonals ones;
    for (const LowBitPlan* p : plans) ones.emplace_back(at(p->inputs), 1.0);
    return ones;
  }
  auto grams =
      collect_grams(graph, requests, data, o.positions > 0 ? o.positions : kPositions, o.seed);
  if (!grams.ok()) return grams.error();
  Diagonals out;
  for (Gram& g : *grams) out.push_back(std::move(g.sums));
  return out;
}

double relative_error(const std::vector<float>& w, const std::vector<float>& now,
                      const std::vector<double>& diagonal) {
  double lost = 0, all = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double h = diagonal[i % diagonal.size()], d = double{w[i]} - now[i];
    lost += h * d * d, all += h * w[i] * w[i];
  }
  return all > 0 ? lost / all : 0;
}

Result<void> Weigher::open(std::vector<eval::Tensor> samples) {
  const int64_t given = sample_count(graph_, samples);
  return network_.open(slice_samples(graph_, samples, 0, std::min(given, kProbes)));
}

Result<double> Weigher::sensitivity(const LowBitPlan& p, const std::vector<double>& diagonal) {
  // 3 bits lose some 3 %: less drowns in other noise, more is no small disturbance any more.
  LowBitSettings s;
  s.bits = 3;
  const LayerProblem problem = blind_problem(graph_, p);
  auto coarse = encode_low_bit(problem, p.taps, s, options_.threads);
  if (!coarse.ok()) return fail(coarse.error().id, p.layer, ": ", coarse.error().message);
  ir::Constant c;
  c.data = decode(*coarse, p.outputs, p.inputs);
  const double error = relative_error(problem.target, c.data, diagonal);
  if (!(error > 0)) return 0.0;
  auto lost = network_.disturbance(p.node, std::move(c));
  if (!lost.ok()) return fail(lost.error().id, p.layer, ": ", lost.error().message);
  return *lost / error;
}

LayerProblem blind_problem(const ir::Graph& graph, const LowBitPlan& p) {
  LayerProblem out;
  const ir::Node& node = graph.nodes[at(p.node)];
  const auto* conv = std::get_if<ir::Conv2d>(&node.attr);
  out.groups = conv ? conv->groups : 1;
  out.outputs = p.outputs, out.inputs = p.inputs;
  out.target = ir::constant_of(graph, node.in[1])->data;
  out.gains.assign(at(p.outputs), 1.0);
  return out;
}

double weight_error(const LayerProblem& p, const Encoding& e) {
  const std::vector<double> ones(1, 1.0);
  return relative_error(p.target, decode(e, p.outputs, p.inputs), ones);
}

Result<void> share_bits(const ir::Graph& graph, LowBitPlans& plans, const LowBitOptions& o,
                        const CalibrationData& data) {
  std::vector<LowBitPlan*> free;
  for (LowBitPlan& p : plans.layers)
    if (p.is_coded() && p.settings.kind == LowBitKind::planes && !p.is_fixed) free.push_back(&p);
  if (free.empty()) return {};
  const std::vector<const LowBitPlan*> layers(free.begin(), free.end());
  auto diagonal = diagonals(graph, layers, o, data);
  if (!diagonal.ok()) return diagonal.error();
  Weigher weigher(graph, o);
  if (!data.inputs.empty()) QRT_CHECK_OK(weigher.open(data.inputs));
  std::vector<GroupLoss> all;
  std::vector<size_t> ends;
  double weights = 0;
  for (size_t i = 0; i < free.size(); ++i) {
    const LowBitPlan& p = *free[i];
    double sensitivity = 1;
    if (!data.inputs.empty()) {
      auto measured = weigher.sensitivity(p, (*diagonal)[i]);
      if (!measured.ok()) return measured.error();
      sensitivity = *measured;
    }
    const auto losses = losses_of(graph, p, (*diagonal)[i], sensitivity, thread_count(o.threads));
    all.insert(all.end(), losses.begin(), losses.end());
    ends.push_back(all.size());
    weights += static_cast<double>(p.outputs * p.inputs);
  }
  const std::vector<uint8_t> counts = prune(all, o.settings.bits * weights);
  for (size_t i = 0, g = 0; i < free.size(); ++i) {
    double bits = 0;
    for (; g < ends[i]; ++g) bits += double(counts[g]) * static_cast<double>(all[g].inputs);
    // Rounding must not cost the layer a base.
    free[i]->settings.bits = (bits + 0.5) / static_cast<double>(free[i]->outputs * free[i]->inputs);
  }
  return {};
}

}  // namespace qrt::quant
