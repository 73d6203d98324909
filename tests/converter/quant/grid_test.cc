// Grids of whole numbers: the constants that METHODS has for normal weights, SAT's
// value sets, and that fitting never ends worse than it began.
#include "converter/quant/grid.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "converter/base/half.h"
#include "converter/quant/random.h"

using namespace qrt::quant;

namespace {

// Normal to many digits, unlike Random::normal(): quantiles of the normal distribution at equal
// distances, by bisection of erfc. Sums over them are integrals.
std::vector<float> quantiles(int n) {
  std::vector<float> w;
  for (int i = 0; i < n; ++i) {
    const double p = (i + 0.5) / n;
    double low = -8, high = 8;
    for (int step = 0; step < 60; ++step) {
      const double middle = (low + high) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
    }
    w.push_back(static_cast<float>((low + high) / 2));
  }
  return w;
}

double relative_error(const std::vector<float>& w, const auto& quantized) {
  double lost = 0, all = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double d = double{w[i]} - quantized(i);
    lost += d * d, all += double{w[i]} * w[i];
  }
  return lost / all;
}

double value(const FittedGrid& f, size_t i, size_t inputs, const Grid& grid) {
  const size_t o = i / inputs;
  const auto& z = f.zero_halves;
  const double zero = z.size() > 1 ? z[o] : z.size() == 1 ? z[0] : grid.zero_halves;
  const size_t parts =
      f.scales.axis == ScaleAxis::group
          ? (inputs + static_cast<size_t>(f.scales.group) - 1) / static_cast<size_t>(f.scales.group)
          : 1;
  const size_t part = parts > 1 ? i % inputs / static_cast<size_t>(f.scales.group) : 0;
  const size_t at = f.scales.values.size() == 1 ? 0 : o * parts + part;
  return double{f.scales.values[at]} * (f.codes[i] - zero / 2);
}

// Moments of inputs that follow each other.
std::vector<double> moments(int64_t n, uint64_t seed) {
  Random r(seed);
  std::vector<double> h(static_cast<size_t>(n * n), 0.0), x(static_cast<size_t>(n));
  for (int row = 0; row < 4 * n; ++row) {
    double level = 0;
    for (double& v : x) v = level = 0.8 * level + r.normal();
    for (size_t i = 0; i < x.size(); ++i)
      for (size_t j = 0; j < x.size(); ++j) h[i * x.size() + j] += x[i] * x[j] / double(4 * n);
  }
  return h;
}

std::vector<float> weights(int64_t n, uint64_t seed) {
  Random r(seed);
  std::vector<float> w(static_cast<size_t>(n));
  for (float& v : w) v = static_cast<float>(0.1 * r.normal());
  return w;
}

double error(const FittedGrid& f, const std::vector<float>& w, std::span<const Quadratic> metrics,
             const Grid& grid) {
  const auto inputs = static_cast<size_t>(metrics[0].inputs());
  const size_t outputs = w.size() / inputs;
  double sum = 0;
  for (size_t o = 0; o < outputs; ++o) {
    std::vector<double> q, t;
    for (size_t i = o * inputs; i < (o + 1) * inputs; ++i)
      q.push_back(value(f, i, inputs, grid)), t.push_back(w[i]);
    sum += metrics[o / (outputs / metrics.size())].error(q, t);
  }
  return sum;
}

}  // namespace

TEST_CASE("grids: BWN and TWN of normal weights") {
  const std::vector<float> w = quantiles(200001);
  const double alpha = binary_alpha(w);
  CHECK(alpha == doctest::Approx(0.79788).epsilon(2e-5));
  CHECK(relative_error(w, [&](size_t i) { return w[i] >= 0 ? alpha : -alpha; }) ==
        doctest::Approx(0.36338).epsilon(5e-5));
  const double threshold = ternary_threshold(w), scale = ternary_alpha(w, threshold);
  CHECK(threshold == doctest::Approx(0.55852).epsilon(2e-5));
  CHECK(scale == doctest::Approx(1.18416).epsilon(2e-5));
  const auto beyond = [&](float v) { return std::abs(double{v}) > threshold; };
  CHECK(double(std::count_if(w.begin(), w.end(), beyond)) / double(w.size()) ==
        doctest::Approx(0.5765).epsilon(1e-4));
  CHECK(relative_error(w, [&](size_t i) {
          return !beyond(w[i]) ? 0 : w[i] > 0 ? scale : -scale;
        }) == doctest::Approx(0.19162).epsilon(1e-4));
  // The mean is zero here, so both rules of the threshold agree; moved weights tell them apart.
  CHECK(ternary_layer_threshold(w) == doctest::Approx(threshold));
  std::vector<float> moved = w;
  for (float& v : moved) v += 1;
  CHECK(ternary_layer_threshold(moved) == doctest::Approx(threshold).epsilon(1e-5));
  CHECK(ternary_threshold(moved) > 1.2 * threshold);
}

TEST_CASE("grids: a fitted ternary row of normal weights is Lloyd and Max's") {
  const std::vector<float> w = quantiles(4001);
  const Quadratic metric(static_cast<int64_t>(w.size()));
  const double one = 1;
  const FittedGrid f = fit_grid(w, {&metric, 1}, {&one, 1}, kTernary, {});
  // f16 scales and 4001 quantiles: four digits.
  CHECK(relative_error(w, [&](size_t i) { return value(f, i, w.size(), kTernary); }) ==
        doctest::Approx(0.19017).epsilon(1e-3));
  CHECK(qrt::is_half(f.scales.values[0]));
}

TEST_CASE("grids: what stands on the threshold or at zero") {
  const std::vector<float> none = {0, 0, 0, 0};
  CHECK(binary_alpha(none) == 0);
  CHECK(ternary_alpha(none, ternary_threshold(none)) == 0);
  const std::vector<float> equal = {1, -1, 1, -1};
  CHECK(ternary_alpha(equal, 1.0) == 0);  // nothing exceeds it
  const Quadratic metric(4);
  const double one = 1;
  const FittedGrid f = fit_grid(none, {&metric, 1}, {&one, 1}, grid_of(GridKind::srq, 4), {});
  CHECK(f.scales.values[0] == 0);
  CHECK(std::all_of(f.codes.begin(), f.codes.end(), [](int16_t q) { return q == 0; }));
}

TEST_CASE("grids: SAT's value sets") {
  const auto set_of = [](GridKind kind, int32_t bits) {
    // Dense samples of the clamp's range reach every value.
    std::vector<float> w;
    for (int i = -4000; i <= 4000; ++i) w.push_back(static_cast<float>(i) / 2000);
    const SatWeights s = sat_weights(w, kind, bits);
    const Grid grid = grid_of(kind, bits);
    std::set<double> values;
    for (const int16_t q : s.codes) {
      CHECK(q >= grid.low);
      CHECK(q <= grid.high);
      values.insert(s.scale * (q - grid.zero_halves / 2.0));
    }
    return std::vector<double>(values.begin(), values.end());
  };
  const auto same = [](const std::vector<double>& got, std::vector<double> want) {
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < want.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]));
  };
  same(set_of(GridKind::original, 2), {-1, -1.0 / 3, 1.0 / 3, 1});
  same(set_of(GridKind::modified, 2), {-1, -0.5, 0, 0.5});
  same(set_of(GridKind::centered, 2), {-0.75, -0.25, 0.25, 0.75});
  same(set_of(GridKind::modified, 1), {-1, 0});
  same(set_of(GridKind::centered, 1), {-0.5, 0.5});
  for (int32_t bits = 1; bits <= 8; ++bits) {
    const int32_t n = 1 << bits;
    std::vector<double> original, modified, centered;
    for (int32_t i = 0; i < n; ++i) {
      original.push_back((2.0 * i - (n - 1)) / (n - 1));
      modified.push_back((i - n / 2.0) / (n / 2.0));
      centered.push_back((2.0 * i + 1 - n) / n);
    }
    same(set_of(GridKind::original, bits), original);
    same(set_of(GridKind::modified, bits), modified);
    same(set_of(GridKind::centered, bits), centered);
  }
}

TEST_CASE("grids: SAT's rule on single weights, and its factor") {
  const std::vector<float> w = {-2, -0.1f, 0, 0.1f, 2};
  // tanh of 0 is the middle: half to even takes 2 of {0..3} for 1.5, rounding down 2 of u * 4 = 2.
  CHECK(sat_weights(w, GridKind::original, 2).codes[2] == 2);
  CHECK(sat_weights(w, GridKind::modified, 2).codes[2] == 0);
  CHECK(sat_weights(w, GridKind::centered, 2).codes[2] == 2);
  CHECK(sat_weights(w, GridKind::modified, 2).codes[4] == 1);  // 4 of 0..3 is cut off
  const SatWeights pair{{0, 3}, unit_step(GridKind::original, 2)};
  // Q = -1 and 1: VAR with n - 1 is 2.
  CHECK(sat_factor(pair, grid_of(GridKind::original, 2), 8) ==
        doctest::Approx(1 / std::sqrt(16.0)));
  CHECK(sat_factor({{1, 1}, 1}, grid_of(GridKind::original, 2), 8) == 1);
}

TEST_CASE("grids: fitting by moments beats rounding, by any axis, with any number of threads") {
  constexpr int64_t kOutputs = 12, kInputs = 36;
  const std::vector<float> w = weights(kOutputs * kInputs, 5);
  const std::vector<double> h = moments(kInputs, 3), gains(kOutputs, 1.0);
  const std::vector<Quadratic> metrics = {Quadratic(h, 1e-6, kInputs)},
                               plain = {Quadratic(kInputs)};
  for (const GridKind kind : {GridKind::srq, GridKind::centered, GridKind::affine})
    for (const ScaleAxis axis : {ScaleAxis::layer, ScaleAxis::output, ScaleAxis::group})
      for (const int32_t bits : {2, 4, 8}) {
        CAPTURE(bits);
        CAPTURE(static_cast<int>(axis));
        const Grid grid = grid_of(kind, bits);
        GridFit fit;
        fit.axis = axis, fit.group = axis == ScaleAxis::group ? 16 : 0;  // the last group is short
        fit.free_zero = kind == GridKind::affine && axis != ScaleAxis::group;
        const FittedGrid blind = fit_grid(w, plain, gains, grid, fit);
        const FittedGrid fitted = fit_grid(w, metrics, gains, grid, fit);
        const double before = error(blind, w, metrics, grid),
                     after = error(fitted, w, metrics, grid);
        CHECK(after < 0.75 * before);
        CHECK(fitted.scales.values.size() == (axis == ScaleAxis::layer    ? 1u
                                              : axis == ScaleAxis::output ? 12u
                                                                          : 36u));
        fit.threads = 3;
        const FittedGrid again = fit_grid(w, metrics, gains, grid, fit);
        CHECK(again.codes == fitted.codes);
        CHECK(again.scales.values == fitted.scales.values);
        for (const int16_t q : fitted.codes) {
          CHECK(q >= grid.low);
          CHECK(q <= grid.high);
        }
      }
}

TEST_CASE("grids: an exact row comes back exactly") {
  constexpr int64_t kInputs = 30;
  Random r(8);
  const Grid grid = grid_of(GridKind::srq, 4);
  std::vector<float> w;
  for (int64_t i = 0; i < kInputs; ++i)
    w.push_back(0.25f * static_cast<float>(grid.low + (i < 16 ? i : r.below(16))));
  const std::vector<double> h = moments(kInputs, 4);
  const std::vector<Quadratic> metrics = {Quadratic(h, 1e-6, kInputs)};
  const double one = 1;
  const FittedGrid f = fit_grid(w, metrics, {&one, 1}, grid, {});
  CHECK(f.scales.values[0] == 0.25f);
  for (size_t i = 0; i < w.size(); ++i) CHECK(0.25f * f.codes[i] == w[i]);
}
