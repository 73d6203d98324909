// Scales start where the error by the diagonal of H is least, out of 64 clip levels
// 7 % apart, then a few steps of Lloyd; values are rounded in sequence and descend
// (quadratic.h) in turns with the scale's least squares. The best of all turns counts,
// measured with the scale as it will be stored.
#include "converter/quant/grid.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

#include "converter/base/half.h"
#include "converter/base/parallel.h"
#include "converter/quant/powers.h"

namespace qrt::quant {
namespace {

constexpr int kClips = 64;
constexpr double kClipStep = 0.93;  // 0.93^63 is 1 %: far below any useful clip level
constexpr int kLloydSteps = 4;
constexpr int kPowers = 4;  // clipping to a sixteenth

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// The code of the grid whose value is nearest to `value`, in steps.
double nearest_code(const Grid& grid, double value) {
  if (grid.esb) return grid.esb->code(value);
  return std::clamp(std::nearbyint(value + grid.zero_halves / 2.0), double(grid.low),
                    double(grid.high));
}

double nearest_value(const Grid& grid, double scale, double wanted) {
  if (!(scale > 0)) return 0;
  return scale * grid.number(static_cast<int32_t>(nearest_code(grid, wanted / scale)));
}

// Scales as files hold them: f16 loses bits below its normal numbers, there f32 stays.
double stored_scale(double scale) {
  const float half = round_to_half(static_cast<float>(scale));
  return std::isnormal(half) && half >= 0x1p-14f && std::isfinite(half)
             ? double{half}
             : double{static_cast<float>(scale)};
}

// The nearest power of two by ratio; of nothing 1, where all codes are those of 0.
double power_scale(double scale) {
  if (!(scale > 0)) return 1;
  return std::ldexp(
      1.0, std::clamp(static_cast<int>(std::nearbyint(std::log2(scale))), kLeastPower, kMostPower));
}

double stored_scale(double scale, bool powers) {
  return powers ? power_scale(scale) : stored_scale(scale);
}

// A part of a row, or many rows one after the other, that share a scale.
struct Part {
  std::span<const double> t;
  std::vector<double> weights;  // of the inputs
};

double error_at(const Part& p, const Grid& grid, double scale) {
  double sum = 0;
  for (size_t i = 0; i < p.t.size(); ++i) {
    const double d = p.t[i] - nearest_value(grid, scale, p.t[i]);
    sum += p.weights[i] * d * d;
  }
  return sum;
}

double lloyd(const Part& p, const Grid& grid, double scale) {
  for (int step = 0; step < kLloydSteps && scale > 0; ++step) {
    double cross = 0, power = 0;
    for (size_t i = 0; i < p.t.size(); ++i) {
      const double z = nearest_value(grid, scale, p.t[i]) / scale;
      cross += p.weights[i] * z * p.t[i];
      power += p.weights[i] * z * z;
    }
    if (!(power > 0) || !(cross > 0)) break;
    scale = cross / power;
  }
  return scale;
}

struct Start {
  double scale = 0, error = 0;
  Grid grid;
};

Start search_scale(const Part& p, const Grid& grid) {
  double most = 0;
  for (const double v : p.t) most = std::max(most, std::abs(v));
  Start best{0, 0, grid};
  for (size_t i = 0; i < p.t.size(); ++i) best.error += p.weights[i] * p.t[i] * p.t[i];
  double clip = most / std::max(std::abs(grid.least()), std::abs(grid.most()));
  for (int i = 0; i < kClips && clip > 0; ++i, clip *= kClipStep)
    if (const double e = error_at(p, grid, clip); e < best.error) best.scale = clip, best.error = e;
  const double refined = lloyd(p, grid, best.scale);
  if (const double e = error_at(p, grid, refined); e < best.error)
    best.scale = refined, best.error = e;
  return best;
}

// Powers of two from the first that clips nothing down.
Start search_power(const Part& p, const Grid& grid) {
  double most = 0;
  for (const double v : p.t) most = std::max(most, std::abs(v));
  const double whole = most / std::max(std::abs(grid.least()), std::abs(grid.most()));
  Start best{power_scale(whole > 0 ? std::exp2(std::ceil(std::log2(whole))) : 0), 0, grid};
  best.error = error_at(p, grid, best.scale);
  double scale = best.scale;
  for (int i = 0; i < kPowers && whole > 0; ++i) {
    scale = power_scale(scale / 2);
    if (const double e = error_at(p, grid, scale); e < best.error)
      best.scale = scale, best.error = e;
  }
  return best;
}

// Both ends of the values move towards their middle, at the same rate.
Start search_affine(const Part& p, const Grid& grid) {
  Start best = search_scale(p, grid);
  const auto [least, most] = std::minmax_element(p.t.begin(), p.t.end());
  if (least == p.t.end() || !(*most > *least)) return best;
  const double middle = (*most + *least) / 2, steps = grid.high - grid.low;
  double half = (*most - *least) / 2;
  for (int i = 0; i < kClips; ++i, half *= kClipStep) {
    const double scale = 2 * half / steps;
    const double zero = 2 * grid.low - 2 * (middle - half) / scale;  // in halves
    if (std::abs(zero) > 1000) continue;  // all weights far on one side of zero
    Grid moved = grid;
    moved.zero_halves = static_cast<int32_t>(std::nearbyint(zero));
    if (const double e = error_at(p, moved, scale); e < best.error) best = {scale, e, moved};
  }
  return best;
}

// All that one row needs.
class Row {
 public:
  Row(std::span<const float> target, const Quadratic& metric, int64_t group)
      : metric_(metric), group_(group), fit_(target) {
    fit_.nearest = [this](int64_t i, double wanted) {
      return nearest_value(grid, scales[at(i / group_)], wanted);
    };
  }
  Row(const Row&) = delete;  // `nearest` knows its row
  Row& operator=(const Row&) = delete;

  std::span<const double> target() const { return fit_.t; }
  Part part(int64_t g) const {
    const int64_t first = g * group_, last = std::min<int64_t>(first + group_, metric_.inputs());
    Part p{std::span(fit_.t).subspan(at(first), at(last - first)), {}};
    for (int64_t i = first; i < last; ++i) p.weights.push_back(metric_.weight(i));
    return p;
  }
  int64_t parts() const { return (metric_.inputs() + group_ - 1) / group_; }
  const Quadratic& metric() const { return metric_; }
  RowFit& fit() { return fit_; }

  // The nearest values to those there are.
  void project() {
    for (int64_t i = 0; i < metric_.inputs(); ++i) fit_.q[at(i)] = fit_.nearest(i, fit_.q[at(i)]);
  }

  // What least squares finds scales of.
  std::vector<Term> terms() const {
    std::vector<Term> out;
    for (int64_t g = 0; g < parts(); ++g) {
      Term& term = out.emplace_back();
      term.first = g * group_, term.scale = scales[at(g)];
      const int64_t last = std::min<int64_t>(term.first + group_, metric_.inputs());
      for (int64_t i = term.first; i < last; ++i)
        term.values.push_back(term.scale > 0 ? fit_.q[at(i)] / term.scale : 0.0);
    }
    return out;
  }
  void take_scales(std::span<const Term> terms, bool powers) {
    for (int64_t g = 0; g < parts(); ++g)
      if (terms[at(g)].scale > 0) scales[at(g)] = stored_scale(terms[at(g)].scale, powers);
    store();
  }

  // Codes for scales that the values are multiples of, but for rounding.
  void store() {
    codes.clear();
    for (int64_t i = 0; i < metric_.inputs(); ++i) {
      const double scale = scales[at(i / group_)];
      const double code =
          scale > 0 ? nearest_code(grid, fit_.q[at(i)] / scale) : nearest_code(grid, 0);
      codes.push_back(static_cast<int16_t>(code));
      fit_.q[at(i)] = scale > 0 ? scale * grid.number(codes.back()) : 0.0;
    }
  }

  Grid grid;
  std::vector<double> scales;  // [parts]
  std::vector<int16_t> codes;

 private:
  const Quadratic& metric_;
  int64_t group_;
  RowFit fit_;
};

// Rows that share a metric.
struct Batch {
  Batch(std::deque<Row>& all, size_t first, size_t last) {
    for (size_t o = first; o < last; ++o) {
      rows.push_back(&all[o]);
      fits.push_back(&all[o].fit());
    }
  }
  const Quadratic& metric() const { return rows[0]->metric(); }

  // Values for the scales there are, from scratch or from values there are.
  void choose(int32_t sweeps) {
    if (fits[0]->q.empty()) metric().round(fits);
    for (Row* row : rows) row->project();
    if (metric().is_separable()) metric().round(fits);
    metric().descend(fits, sweeps);
    for (Row* row : rows) row->store();
  }

  // Scales by least squares for the values there are.
  void rescale(bool powers) {
    std::vector<std::vector<Term>> terms;
    for (const Row* row : rows) terms.push_back(row->terms());
    metric().rescale(fits, terms, rows[0]->parts() > 1 ? 3 : 1);
    for (size_t r = 0; r < rows.size(); ++r) rows[r]->take_scales(terms[r], powers);
  }

  std::vector<Row*> rows;
  std::vector<RowFit*> fits;
};

struct RowResult {
  std::vector<int16_t> codes;
  std::vector<double> scales;
  double error = 0;
};

// Values and scales in turns; the best of them.
std::vector<RowResult> fit_batch(Batch batch, const GridFit& fit) {
  std::vector<RowResult> best(batch.rows.size());
  for (Row* row : batch.rows)
    for (double& s : row->scales) s = stored_scale(s, fit.powers);
  for (int32_t round = 0; round <= fit.rounds; ++round) {
    batch.choose(fit.sweeps);
    const std::vector<double> errors = batch.metric().errors(batch.fits);
    for (size_t r = 0; r < errors.size(); ++r)
      if (round == 0 || errors[r] < best[r].error)
        best[r] = {batch.rows[r]->codes, batch.rows[r]->scales, errors[r]};
    if (round < fit.rounds) batch.rescale(fit.powers);
  }
  return best;
}

// Grid and scales of a row to start with.
void start_row(Row& row, const Grid& grid, const GridFit& fit) {
  row.grid = grid;
  const int64_t parts = row.parts();
  for (int64_t g = 0; g < parts; ++g) {
    const Part part = row.part(g);
    const Start start = fit.powers                    ? search_power(part, grid)
                        : fit.free_zero && parts == 1 ? search_affine(part, grid)
                                                      : search_scale(part, grid);
    row.scales.push_back(start.scale);
    if (parts == 1) row.grid = start.grid;
  }
}

void fit_rows(std::deque<Row>& rows, size_t per_metric, const Grid& grid, const GridFit& fit,
              FittedGrid& out) {
  const size_t parts = at(rows[0].parts()), inputs = rows[0].target().size();
  out.codes.resize(rows.size() * inputs);
  out.scales.values.resize(rows.size() * parts);
  out.zero_halves.resize(rows.size());
  split(rows.size(), fit.threads, [&](size_t begin, size_t end) {
    for_batches(begin, end, per_metric, [&](size_t first, size_t last) {
      for (size_t o = first; o < last; ++o) start_row(rows[o], grid, fit);
      const std::vector<RowResult> best = fit_batch({rows, first, last}, fit);
      for (size_t o = first; o < last; ++o) {
        const RowResult& r = best[o - first];
        std::copy(r.codes.begin(), r.codes.end(), out.codes.begin() + std::ptrdiff_t(o * inputs));
        for (size_t g = 0; g < parts; ++g)
          out.scales.values[o * parts + g] = static_cast<float>(r.scales[g]);
        out.zero_halves[o] = static_cast<int16_t>(rows[o].grid.zero_halves);
      }
    });
  });
}

// Moments that a scale shared by rows is fitted to: of the target with the values, and of the
// values with themselves, both over the scale; and the error.
struct Moments {
  double error = 0, cross = 0, power = 0;
};

void moments(Batch& batch, double scale, std::span<Moments> out) {
  const std::vector<double> errors = batch.metric().errors(batch.fits);
  for (size_t r = 0; r < out.size(); ++r) out[r] = {errors[r], 0, 0};
  if (!(scale > 0)) return;
  std::vector<std::vector<double>> z;
  for (const RowFit* fit : batch.fits)
    for (double& v : z.emplace_back(fit->q)) v /= scale;
  const std::vector<std::vector<double>> hz = batch.metric().times(z);
  for (size_t r = 0; r < out.size(); ++r) {
    out[r].cross = std::inner_product(hz[r].begin(), hz[r].end(), batch.fits[r]->t.begin(), 0.0);
    out[r].power = std::inner_product(hz[r].begin(), hz[r].end(), z[r].begin(), 0.0);
  }
}

// One scale for all rows: rows choose values, the scale follows from the moments of all.
void fit_layer(std::deque<Row>& rows, size_t per_metric, std::span<const double> gains,
               const Grid& grid, const GridFit& fit, FittedGrid& out) {
  std::vector<double> all;
  Part whole;
  for (size_t o = 0; o < rows.size(); ++o) {
    const Part p = rows[o].part(0);
    all.insert(all.end(), p.t.begin(), p.t.end());
    for (const double w : p.weights) whole.weights.push_back(w * gains[o] * gains[o]);
  }
  whole.t = all;
  const Start start = fit.free_zero ? search_affine(whole, grid) : search_scale(whole, grid);
  double scale = stored_scale(start.scale), least = 0;
  for (int32_t round = 0; round <= fit.rounds; ++round) {
    std::vector<Moments> found(rows.size());
    split(rows.size(), fit.threads, [&](size_t begin, size_t end) {
      for_batches(begin, end, per_metric, [&](size_t first, size_t last) {
        for (size_t o = first; o < last; ++o) rows[o].grid = start.grid, rows[o].scales = {scale};
        Batch batch(rows, first, last);
        batch.choose(fit.sweeps);
        moments(batch, scale, std::span(found).subspan(first, last - first));
      });
    });
    double error = 0, cross = 0, power = 0;
    for (size_t o = 0; o < rows.size(); ++o) {
      const double importance = gains[o] * gains[o];
      error += importance * found[o].error;
      cross += importance * found[o].cross, power += importance * found[o].power;
    }
    if (round == 0 || error < least) {
      least = error;
      out.codes.clear();
      for (const Row& row : rows)
        out.codes.insert(out.codes.end(), row.codes.begin(), row.codes.end());
      out.scales.values.assign(1, static_cast<float>(scale));
      out.zero_halves.assign(1, static_cast<int16_t>(start.grid.zero_halves));
    }
    if (!(power > 0) || !(cross > 0)) break;
    scale = stored_scale(cross / power);
  }
}

}  // namespace

Grid grid_of(GridKind kind, int32_t bits) {
  const int32_t values = 1 << bits;
  if (kind == GridKind::original || kind == GridKind::centered) return {0, values - 1, values - 1};
  return {-values / 2, values / 2 - 1, 0};
}

double unit_step(GridKind kind, int32_t bits) {
  const double values = 1 << bits;
  return kind == GridKind::original ? 2 / (values - 1) : 2 / values;
}

SatWeights sat_weights(std::span<const float> weights, GridKind kind, int32_t bits) {
  double most = 0;
  for (const float w : weights) most = std::max(most, std::abs(std::tanh(double{w})));
  const double values = 1 << bits;
  const Grid grid = grid_of(kind, bits);
  SatWeights out;
  out.scale = unit_step(kind, bits);
  for (const float w : weights) {
    const double u = most > 0 ? (std::tanh(double{w}) / most + 1) / 2 : 0.5;
    const double i = kind == GridKind::original ? std::nearbyint((values - 1) * u)
                                                : std::min(std::floor(values * u), values - 1);
    out.codes.push_back(static_cast<int16_t>(i + grid.low));
  }
  return out;
}

double sat_factor(const SatWeights& w, const Grid& grid, int64_t n_out) {
  const auto n = static_cast<double>(w.codes.size());
  double sum = 0, square = 0;
  for (const int16_t code : w.codes) {
    const double q = w.scale * (code - grid.zero_halves / 2.0);
    sum += q, square += q * q;
  }
  const double variance = n > 1 ? (square - sum * sum / n) / (n - 1) : 0;
  return variance > 0 ? 1 / std::sqrt(static_cast<double>(n_out) * variance) : 1;
}

double binary_alpha(std::span<const float> row) {
  double sum = 0;
  for (const float w : row) sum += std::abs(double{w});
  return row.empty() ? 0 : sum / static_cast<double>(row.size());
}

double ternary_threshold(std::span<const float> row) {
  return 0.7 * binary_alpha(row);
}

double ternary_layer_threshold(std::span<const float> weights) {
  const auto n = static_cast<double>(weights.size());
  double mean = 0, sum = 0;
  for (const float w : weights) mean += double{w} / n;
  for (const float w : weights) sum += std::abs(double{w} - mean);
  return weights.empty() ? 0 : 0.7 * sum / n;
}

double ternary_alpha(std::span<const float> row, double threshold) {
  double sum = 0;
  int64_t count = 0;
  for (const float w : row)
    if (std::abs(double{w}) > threshold) sum += std::abs(double{w}), ++count;
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

FittedGrid fit_grid(std::span<const float> target, std::span<const Quadratic> metrics,
                    std::span<const double> gains, const Grid& grid, const GridFit& fit) {
  const int64_t inputs = metrics[0].inputs(), outputs = static_cast<int64_t>(gains.size());
  const int64_t per_metric = outputs / static_cast<int64_t>(metrics.size());
  const int64_t group = fit.axis == ScaleAxis::group ? fit.group : inputs;
  std::deque<Row> rows;
  for (int64_t o = 0; o < outputs; ++o)
    rows.emplace_back(target.subspan(at(o * inputs), at(inputs)), metrics[at(o / per_metric)],
                      group);
  FittedGrid out;
  out.scales.axis = fit.axis;
  out.scales.group = fit.axis == ScaleAxis::group ? static_cast<int32_t>(group) : 0;
  if (fit.axis == ScaleAxis::layer)
    fit_layer(rows, at(per_metric), gains, grid, fit, out);
  else
    fit_rows(rows, at(per_metric), grid, fit, out);
  return out;
}

}  // namespace qrt::quant
