// The published quantizer, and the same value sets with scales fitted to data. Fitted
// scales and values come from grid.h, which knows whole numbers and ESB codes alike.
#include "converter/quant/esb.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "converter/base/parallel.h"
#include "converter/quant/grid.h"

namespace qrt::quant {
namespace {

constexpr int32_t kMostExponentBits = 3;
constexpr double kLeastAlpha = 1e-5;  // the published guard against a deviation of 0

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

double mean_of(std::span<const float> v) {
  double sum = 0;
  for (const float w : v) sum += w;
  return v.empty() ? 0 : sum / static_cast<double>(v.size());
}

// With n - 1; 0 where there is one number.
double deviation_of(std::span<const float> v) {
  const double mean = mean_of(v);
  double sum = 0;
  for (const float w : v) sum += (w - mean) * (w - mean);
  return v.size() > 1 ? std::sqrt(sum / static_cast<double>(v.size() - 1)) : 0;
}

// What shares a scale, as runs of the row-major weights.
int64_t run_length(const LayerProblem& p, const EsbSettings& s) {
  if (s.axis == ScaleAxis::layer) return p.outputs * p.inputs;
  return s.axis == ScaleAxis::group ? s.group : p.inputs;
}

// alpha = alpha* std + 1e-5, in units of the table's whole numbers.
FittedGrid published(const LayerProblem& p, const EsbFormat& format, const EsbCoder& coder,
                     const EsbSettings& s) {
  const double star = gaussian_scale(format);
  const double unit = format.mid_rise ? 0.5 : std::ldexp(1.0, -format.fraction);
  FittedGrid out;
  out.scales = {s.axis, static_cast<int32_t>(s.group), {}};
  const int64_t length = run_length(p, s), row = std::max(p.inputs, length);
  for (int64_t first = 0; first < p.outputs * p.inputs; first += row)
    for (int64_t i = first; i < first + row; i += length) {
      const auto run = std::span(p.target).subspan(at(i), at(std::min(length, first + row - i)));
      const auto scale = static_cast<float>(unit * (star * deviation_of(run) + kLeastAlpha));
      out.scales.values.push_back(scale);
      for (const float w : run) out.codes.push_back(coder.code(double{w} / scale));
    }
  return out;
}

// Takes the means out of the target; empty where they stay.
std::vector<float> take_means(LayerProblem& p, const EsbSettings& s) {
  std::vector<float> means;
  if (!s.mean_shift) return means;
  const int64_t length = s.axis == ScaleAxis::layer ? p.outputs * p.inputs : p.inputs;
  for (int64_t first = 0; first < p.outputs * p.inputs; first += length) {
    const auto run = std::span(p.target).subspan(at(first), at(length));
    means.push_back(static_cast<float>(mean_of(run)));
    for (float& w : run) w -= means.back();
  }
  return means;
}

// Error of a coded layer by the metric, outputs weighed by their gains.
double error_of(const LayerProblem& p, std::span<const Quadratic> metrics, const Table& table,
                size_t threads) {
  const std::vector<float> now = decode(Encoding(table), p.outputs, p.inputs);
  const int64_t per_metric = p.outputs / static_cast<int64_t>(metrics.size());
  std::vector<double> errors(at(p.outputs));
  split(errors.size(), threads, [&](size_t begin, size_t end) {
    for_batches(begin, end, at(per_metric), [&](size_t first, size_t last) {
      std::vector<RowFit> rows;
      for (size_t o = first; o < last; ++o) {
        const size_t from = o * at(p.inputs);
        RowFit& row = rows.emplace_back(std::span(p.target).subspan(from, at(p.inputs)));
        row.q.assign(now.begin() + std::ptrdiff_t(from),
                     now.begin() + std::ptrdiff_t(from + at(p.inputs)));
      }
      std::vector<RowFit*> fits;
      for (RowFit& row : rows) fits.push_back(&row);
      const std::vector<double> found = metrics[first / at(per_metric)].errors(fits);
      std::copy(found.begin(), found.end(), errors.begin() + std::ptrdiff_t(first));
    });
  });
  double sum = 0;
  for (int64_t o = 0; o < p.outputs; ++o) {
    const double gain = p.gains.empty() ? 1 : p.gains[at(o)];
    sum += gain * gain * errors[at(o)];
  }
  return sum;
}

}  // namespace

std::vector<EsbFormat> esb_candidates(const EsbSettings& s) {
  std::vector<EsbFormat> out;
  const auto add = [&](EsbFormat f) {
    const double most = s.range == EsbRange::s8 ? 127 : s.range == EsbRange::s16 ? 32767 : 1e300;
    if (check(f).ok() && esb_most(f) <= most) out.push_back(f);
  };
  if (!s.any_fraction || s.format.mid_rise) {
    add(s.format);
    return out;
  }
  for (int32_t e = 1; e <= kMostExponentBits; ++e) add({s.format.bits, s.format.bits - 1 - e});
  return out;
}

Table esb_table(const EsbFormat& format) {
  Table table;
  table.bits = format.bits;
  const std::vector<double> numbers = esb_numbers(format);
  const bool whole = esb_most(format) <= 32767;
  for (const double v : numbers)
    if (whole)
      table.integers.push_back(static_cast<int16_t>(v));
    else
      table.values.push_back(static_cast<float>(v));
  return table;
}

Table fit_esb(const LayerProblem& problem, std::span<const Quadratic> metrics,
              const EsbSettings& s) {
  LayerProblem p = problem;
  const std::vector<float> means = take_means(p, s);
  std::optional<Table> best;
  double least = 0;
  for (const EsbFormat& format : esb_candidates(s)) {
    const EsbCoder coder(format);
    FittedGrid found;
    if (s.fitted) {
      GridFit fit;
      fit.axis = s.axis, fit.group = s.group, fit.powers = s.powers, fit.threads = s.threads;
      Grid grid;
      grid.esb = &coder;
      found = fit_grid(p.target, metrics, p.gains, grid, fit);
    } else {
      found = published(p, format, coder, s);
    }
    Table table = esb_table(format);
    table.codes.assign(found.codes.begin(), found.codes.end());
    table.scales = std::move(found.scales);
    table.offset = means;
    const double error = error_of(problem, metrics, table, s.threads);
    if (best && !(error < least)) continue;
    best = std::move(table);
    least = error;
  }
  return *best;
}

}  // namespace qrt::quant
