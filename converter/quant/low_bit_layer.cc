// One layer by any of the five. Groups are runs of stored columns: where they are to
// follow the channels of one kernel element, columns are brought into the order
// kh, kw, cin first, with the target and the moments.
#include <algorithm>
#include <cmath>

#include "converter/base/half.h"
#include "converter/base/parallel.h"
#include "converter/base/text.h"
#include "converter/quant/low_bit.h"
#include "converter/quant/sketch.h"

namespace qrt::quant {
namespace {

constexpr int kBadLayer = 721;
constexpr int64_t kMaxEdge = 1 << 20;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Stored column of an input in the source's order.
int64_t stored_column(int64_t input, int64_t inputs, int64_t taps) {
  return input % taps * (inputs / taps) + input / taps;
}

// The problem with its columns in the order kh, kw, cin. `blocks` are the diagonal here.
LayerProblem taps_first(const LayerProblem& p, int64_t taps) {
  LayerProblem out = p;
  const int64_t k = p.inputs;
  for (int64_t o = 0; o < p.outputs; ++o)
    for (int64_t i = 0; i < k; ++i)
      out.target[at(o * k + stored_column(i, k, taps))] = p.target[at(o * k + i)];
  for (int64_t i = 0; i < k && !p.blocks.empty(); ++i)
    out.blocks[at(stored_column(i, k, taps))] = p.blocks[at(i)];
  for (int64_t g = 0; g < p.groups && !p.gram.empty(); ++g)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j)
        out.gram[at((g * k + stored_column(i, k, taps)) * k + stored_column(j, k, taps))] =
            p.gram[at((g * k + i) * k + j)];
  return out;
}

std::vector<Quadratic> metrics_of(const LayerProblem& p) {
  std::vector<Quadratic> out;
  const int64_t square = p.inputs * p.inputs;
  for (int64_t g = 0; g < p.groups; ++g)
    if (p.gram.empty())
      out.push_back(Quadratic::of_diagonal(p.blocks.empty() ? std::vector<double>(at(p.inputs), 1.0)
                                                            : p.blocks));
    else
      out.emplace_back(std::span(p.gram).subspan(at(g * square), at(square)), p.ridge[at(g)],
                       p.inputs);
  return out;
}

float stored_scale(double v) {
  const float half = round_to_half(static_cast<float>(v));
  return half >= 0x1p-14f && std::isfinite(half) ? half : static_cast<float>(v);
}

// ---- the published projections ------------------------------------------------------------------

BitPlanes projected_signs(const LayerProblem& p, bool ternary, bool per_layer) {
  BitPlanes out;
  out.ternary5 = ternary;
  const double shared = per_layer ? ternary_layer_threshold(p.target) : 0;
  for (int64_t o = 0; o < p.outputs; ++o) {
    const auto row = std::span(p.target).subspan(at(o * p.inputs), at(p.inputs));
    const double threshold = !ternary ? 0 : per_layer ? shared : ternary_threshold(row);
    const float alpha = stored_scale(ternary ? ternary_alpha(row, threshold) : binary_alpha(row));
    out.counts.push_back(alpha > 0);
    if (!(alpha > 0)) continue;
    out.alphas.push_back(alpha);
    for (const float w : row) {
      const int trit = double{w} > threshold ? 1 : double{w} < -threshold ? -1 : 0;
      out.signs.push_back(ternary ? static_cast<uint8_t>(trit + 1) : w >= 0);
    }
  }
  return out;
}

Affine projected_codes(const LayerProblem& p, const LowBitSettings& s, const Grid& grid) {
  const auto bits = static_cast<int32_t>(s.bits);
  SatWeights sat = sat_weights(p.target, s.grid, bits);
  Affine out;
  out.bits = bits, out.is_signed = grid.low < 0;
  out.codes = std::move(sat.codes);
  if (grid.zero_halves != 0) out.zero_halves = {static_cast<int16_t>(grid.zero_halves)};
  out.scales = {ScaleAxis::layer, 0, {static_cast<float>(sat.scale)}};
  return out;
}

// ---- fitted -------------------------------------------------------------------------------------

// Codes 0, 1 (binary) or -1, 0, 1 as one plane; zero halves make a binary code +-scale / 2.
BitPlanes signs_of(const FittedGrid& fitted, const LayerProblem& p, bool ternary) {
  BitPlanes out;
  out.ternary5 = ternary;
  for (int64_t o = 0; o < p.outputs; ++o) {
    const bool shared = fitted.scales.values.size() == 1;
    const float scale = fitted.scales.values[shared ? 0 : at(o)];
    const auto row = std::span(fitted.codes).subspan(at(o * p.inputs), at(p.inputs));
    const bool lives = scale > 0 && (!ternary || std::any_of(row.begin(), row.end(),
                                                             [](int16_t q) { return q != 0; }));
    out.counts.push_back(lives);
    if (!lives) continue;
    out.alphas.push_back(ternary ? scale : scale / 2);
    for (const int16_t q : row) out.signs.push_back(static_cast<uint8_t>(ternary ? q + 1 : q));
  }
  return out;
}

Affine affine_of(FittedGrid fitted, const Grid& grid, int32_t bits, int32_t taps) {
  Affine out;
  out.bits = bits, out.taps = taps;
  out.is_signed = grid.low < 0;
  out.codes = std::move(fitted.codes);
  out.scales = std::move(fitted.scales);
  out.zero_halves = std::move(fitted.zero_halves);
  const auto& z = out.zero_halves;
  if (std::all_of(z.begin(), z.end(), [&](int16_t v) { return v == z[0]; }))
    out.zero_halves.resize(z[0] == 0 ? 0 : 1);
  return out;
}

Encoding fitted(const LayerProblem& p, int32_t taps, const LowBitSettings& s, size_t threads) {
  const std::vector<Quadratic> metrics = metrics_of(p);
  if (s.kind == LowBitKind::planes) {
    PlaneFit fit;
    fit.group = plane_group(s, p.inputs, taps);
    fit.most = s.most, fit.bits = s.bits, fit.threads = threads;
    BitPlanes planes = fit_planes(p.target, metrics, p.gains, fit);
    planes.taps = s.groups == PlaneGroups::pixel ? taps : 1;
    return planes;
  }
  if (s.kind == LowBitKind::esb) {
    EsbSettings settings = esb_settings(s);
    settings.threads = threads;
    Table table = fit_esb(p, metrics, settings);
    table.taps = s.axis == ScaleAxis::group ? taps : 1;
    return table;
  }
  GridFit fit;
  fit.axis = s.axis, fit.group = s.group, fit.threads = threads;
  fit.free_zero = s.kind == LowBitKind::uniform && s.grid == GridKind::affine;
  if (s.kind != LowBitKind::uniform) {
    const bool ternary = s.kind == LowBitKind::ternary;
    return signs_of(fit_grid(p.target, metrics, p.gains, ternary ? kTernary : kBinary, fit), p,
                    ternary);
  }
  const auto bits = static_cast<int32_t>(s.bits);
  Grid grid = grid_of(s.grid, bits);
  // -128 is worth next to nothing, and layers of bytes have no such weight.
  if (grid.low == -128) grid.low = -127;
  return affine_of(fit_grid(p.target, metrics, p.gains, grid, fit), grid, bits,
                   s.axis == ScaleAxis::group ? taps : 1);
}

}  // namespace

EsbSettings esb_settings(const LowBitSettings& s) {
  EsbSettings out;
  out.format.bits = static_cast<int32_t>(s.bits);
  out.format.mid_rise = !s.has_zero;
  out.any_fraction = s.fraction < 0 && s.has_zero;
  out.format.fraction = out.any_fraction || !s.has_zero ? 0 : s.fraction;
  out.range = s.range, out.mean_shift = s.mean_shift;
  out.axis = s.axis, out.group = s.group, out.powers = s.powers, out.fitted = s.fitted;
  return out;
}

int64_t plane_group(const LowBitSettings& s, int64_t inputs, int64_t taps) {
  if (s.groups == PlaneGroups::slices && s.slices > 1) return (inputs + s.slices - 1) / s.slices;
  if (taps == 1 || s.groups == PlaneGroups::channel || s.groups == PlaneGroups::slices) return 0;
  return s.groups == PlaneGroups::pixel ? inputs / taps : taps;
}

Result<Encoding> encode_low_bit(const LayerProblem& p, int64_t taps, const LowBitSettings& s,
                                int32_t threads) {
  for (const float w : p.target)
    if (!std::isfinite(w))
      return fail(kBadLayer, "a weight is ", w, "; weights must be finite, check the model");
  for (const double v : p.gram)
    if (!std::isfinite(v))
      return fail(kBadLayer, "a moment of its inputs is ", v, "; check the calibration data");
  if (s.kind != LowBitKind::planes && s.axis == ScaleAxis::group && s.group < 1)
    return fail(kBadLayer, "scales by group need a group of 1 to ", kMaxEdge, " inputs, not ",
                s.group);
  Encoding out;
  const bool grouped =
      s.kind == LowBitKind::planes ? s.groups == PlaneGroups::pixel : s.axis == ScaleAxis::group;
  if (!s.fitted && (s.kind == LowBitKind::binary || s.kind == LowBitKind::ternary))
    out = projected_signs(p, s.kind == LowBitKind::ternary, s.per_layer);
  else if (!s.fitted && s.kind == LowBitKind::uniform)
    out = projected_codes(p, s, grid_of(s.grid, static_cast<int32_t>(s.bits)));
  else if (grouped && taps > 1)
    out = fitted(taps_first(p, taps), static_cast<int32_t>(taps), s, thread_count(threads));
  else
    out = fitted(p, static_cast<int32_t>(taps), s, thread_count(threads));
  const auto sound = check(out, p.outputs, p.inputs);
  if (!sound.ok()) return sound.error();
  return out;
}

}  // namespace qrt::quant
