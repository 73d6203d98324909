// Sums of scaled signs: the sketching errors that METHODS has for normal weights, the
// canonical form, pruning in the order of loss, and rows fitted by moments.
#include "converter/quant/sketch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "converter/quant/random.h"

using namespace qrt::quant;

namespace {

// The normal distribution as 20 000 weights: its quantiles, by bisection, in a shuffled order that
// does not matter to a sketch.
std::vector<double> normal_weights() {
  constexpr int kCount = 20000;
  std::vector<double> w;
  for (int i = 0; i < kCount; ++i) {
    double low = -8, high = 8;
    for (int step = 0; step < 60; ++step) {
      const double middle = (low + high) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < (i + 0.5) / kCount ? low : high) = middle;
    }
    w.push_back((low + high) / 2);
  }
  return w;
}

double sum_at(const Sketch& s, size_t i) {
  double sum = 0;
  for (size_t p = 0; p < s.alphas.size(); ++p) sum += s.signs[p][i] ? s.alphas[p] : -s.alphas[p];
  return sum;
}

std::vector<float> weights(int64_t n, uint64_t seed) {
  Random r(seed);
  std::vector<float> w(static_cast<size_t>(n));
  for (float& v : w) v = static_cast<float>(0.1 * r.normal());
  return w;
}

std::vector<double> moments(int64_t n) {
  Random r(3);
  std::vector<double> h(static_cast<size_t>(n * n), 0.0), x(static_cast<size_t>(n));
  for (int row = 0; row < 4 * n; ++row) {
    double level = 0;
    for (double& v : x) v = level = 0.8 * level + r.normal();
    for (size_t i = 0; i < x.size(); ++i)
      for (size_t j = 0; j < x.size(); ++j) h[i * x.size() + j] += x[i] * x[j];
  }
  return h;
}

double error(const BitPlanes& b, const std::vector<float>& w, const Quadratic& metric) {
  const auto inputs = static_cast<size_t>(metric.inputs());
  const std::vector<float> now =
      decode(Encoding(b), static_cast<int64_t>(w.size() / inputs), metric.inputs());
  double sum = 0;
  for (size_t o = 0; o < w.size() / inputs; ++o) {
    const auto row = [&](const std::vector<float>& v) {
      return std::vector<double>(v.begin() + std::ptrdiff_t(o * inputs),
                                 v.begin() + std::ptrdiff_t((o + 1) * inputs));
    };
    sum += metric.error(row(now), row(w));
  }
  return sum;
}

}  // namespace

TEST_CASE("sketch: errors and coordinates of normal weights") {
  const std::vector<double> w = normal_weights(), ones(w.size(), 1.0);
  const double energy = std::inner_product(w.begin(), w.end(), w.begin(), 0.0);
  // METHODS 5a, whose figures come from samples. For two planes the integral is in closed form: the
  // planes' inner product is -0.1503 and those with w are 0.79788 and 0.36273, which makes
  // coordinates of 0.8721 and 0.4938 and leaves 0.1250.
  const double errors[] = {0.363, 0.124, 0.050, 0.024};
  const std::vector<double> alphas[] = {{.79}, {.49, .86}, {.27, .51, .89}, {.16, .30, .53, .91}};
  for (int32_t planes = 1; planes <= 4; ++planes) {
    CAPTURE(planes);
    const Sketch s = sketch(w, ones, planes);
    CHECK(std::abs(s.error / energy - errors[planes - 1]) < 1.5e-3);
    REQUIRE(s.alphas.size() == static_cast<size_t>(planes));
    for (size_t p = 0; p < s.alphas.size(); ++p)
      CHECK(std::abs(s.alphas[p] - alphas[planes - 1][p]) < 0.013);
    double lost = 0;
    for (size_t i = 0; i < w.size(); ++i) lost += std::pow(w[i] - sum_at(s, i), 2);
    CHECK(lost == doctest::Approx(s.error));
    Sketch better = s;
    refine(w, ones, 50, better);
    CHECK(better.error <= s.error);
    if (planes >= 2) CHECK(better.error < 0.99 * s.error);
  }
}

TEST_CASE("sketch: ends where nothing is left, and never has more planes than weights") {
  const std::vector<double> ones = {1, 1, 1};
  CHECK(sketch({{0.0, 0.0, 0.0}}, ones, 4).alphas.empty());
  const Sketch equal = sketch({{2.0, -2.0, 2.0}}, ones, 4);
  REQUIRE(equal.alphas.size() == 1);
  CHECK(equal.alphas[0] == doctest::Approx(2));
  CHECK(equal.signs[0] == std::vector<uint8_t>{1, 0, 1});
  CHECK(sketch({{1.0, 0.3, -0.7}}, ones, 8).alphas.size() <= 3);
  const std::vector<double> zeros = {0, 0, 0};
  CHECK(sketch({{1.0, 0.3, -0.7}}, zeros, 4).alphas.empty());  // no weight counts
}

TEST_CASE("sketch: canonical form") {
  Sketch s{{0.5, -0.25, 0.0}, {{1, 0}, {1, 1}, {0, 0}}, 0};
  canonicalise(s);
  CHECK(s.alphas == std::vector<double>{0.25, 0.5});
  CHECK(s.signs == std::vector<std::vector<uint8_t>>{{0, 0}, {1, 0}});
}

TEST_CASE("sketch: the nearest of all sums") {
  const std::vector<double> alphas = {0.25, 0.5, 1.25};
  const SumTable table(alphas);
  Random r(4);
  for (int i = 0; i < 200; ++i) {
    const double wanted = 3 * r.normal();
    double best = 1e9;
    for (int p = 0; p < 8; ++p) {
      const double sum = (p & 1 ? .25 : -.25) + (p & 2 ? .5 : -.5) + (p & 4 ? 1.25 : -1.25);
      best = std::min(best, std::abs(sum - wanted));
    }
    const size_t at = table.nearest(wanted);
    CHECK(std::abs(table.value(at) - wanted) == doctest::Approx(best));
    const int p = table.pattern(at);
    CHECK(table.value(at) ==
          doctest::Approx((p & 1 ? .25 : -.25) + (p & 2 ? .5 : -.5) + (p & 4 ? 1.25 : -1.25)));
  }
  CHECK(SumTable({}).value(0) == 0);  // a group of no planes is zero
}

TEST_CASE("sketch: bases go in the order of loss per bit") {
  const std::vector<GroupLoss> groups = {{4, {8, 4, 1}},     // 3 then 4 per plane of 4 bits
                                         {8, {10, 6, 5.9}},  // 0.1 then 4 of 8 bits
                                         {4, {5, 4.9, 0}}};  // 5 for both: a hull of one step
  const auto counts = [&](double bits) { return prune(groups, bits); };
  CHECK(counts(32) == std::vector<uint8_t>{2, 2, 2});
  CHECK(counts(31) == std::vector<uint8_t>{2, 1, 2});  // 0.0125 per bit
  CHECK(counts(23) == std::vector<uint8_t>{2, 0, 2});  // 0.5
  CHECK(counts(15) == std::vector<uint8_t>{2, 0, 0});  // 0.625, both planes
  CHECK(counts(7) == std::vector<uint8_t>{1, 0, 0});
  CHECK(counts(0) == std::vector<uint8_t>{0, 0, 0});
}

TEST_CASE("planes: rows fitted by moments, groups of every kind, any number of threads") {
  constexpr int64_t kOutputs = 8, kInputs = 36;
  const std::vector<float> w = weights(kOutputs * kInputs, 6);
  const std::vector<double> gains(kOutputs, 1.0);
  const std::vector<Quadratic> metric = {Quadratic(moments(kInputs), 1e-3, kInputs)},
                               plain = {Quadratic(kInputs)};
  for (const int64_t group : {int64_t{0}, int64_t{4}, int64_t{9}, int64_t{16}})
    for (const double bits : {0.5, 1.0, 2.0, 3.5}) {
      CAPTURE(group);
      CAPTURE(bits);
      PlaneFit fit;
      fit.group = group, fit.bits = bits;
      const BitPlanes fitted = fit_planes(w, metric, gains, fit);
      REQUIRE(check(Encoding(fitted), kOutputs, kInputs).ok());
      CHECK(double(fitted.signs.size()) <= bits * double(w.size()));
      const BitPlanes blind = fit_planes(w, plain, gains, fit);
      CHECK(error(fitted, w, metric[0]) < error(blind, w, metric[0]));
      fit.threads = 3;
      const BitPlanes again = fit_planes(w, metric, gains, fit);
      CHECK(again.signs == fitted.signs);
      CHECK(again.alphas == fitted.alphas);
    }
}

TEST_CASE("planes: groups of zeros take no planes, and leave more to the others") {
  std::vector<float> w = weights(4 * 16, 7);
  for (size_t i = 0; i < w.size(); ++i)
    if (i / 8 % 2 == 0) w[i] = 0;
  const std::vector<Quadratic> plain = {Quadratic(16)};
  const std::vector<double> gains(4, 1.0);
  PlaneFit fit;
  fit.group = 8, fit.bits = 1, fit.most = 4;
  const BitPlanes b = fit_planes(w, plain, gains, fit);
  for (size_t g = 0; g < b.counts.size(); ++g) CHECK((b.counts[g] == 0) == (g % 2 == 0));
  CHECK(b.signs.size() == w.size());  // two planes each
}
