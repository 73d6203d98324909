// Several books: pair search against exhaustion, least squares against the normal
// equations, and what joint refinement brings.
#include "converter/quant/additive.h"

#include <doctest/doctest.h>

#include <cmath>

#include "converter/quant/pairs.h"
#include "converter/quant/random.h"

using namespace qrt::quant;

namespace {

std::vector<float> gaussian(size_t n, uint64_t seed) {
  Random r(seed);
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(r.normal());
  return v;
}

std::vector<double> gram_of(size_t d, uint64_t seed) {
  const auto a = gaussian(d * d, seed);
  std::vector<double> g(d * d, 0.0);
  for (size_t i = 0; i < d; ++i)
    for (size_t j = 0; j < d; ++j)
      for (size_t t = 0; t < d; ++t) g[i * d + j] += double{a[t * d + i]} * double{a[t * d + j]};
  return g;
}

// |U (v - sum of entries)|^2 over all points, straight from the definition.
double objective(const std::vector<float>& points, const Metric& metric,
                 const std::vector<float>& entries, const std::vector<int32_t>& codes,
                 size_t books) {
  const size_t d = static_cast<size_t>(metric.dim()), n = points.size() / d;
  std::vector<float> rest = points;
  for (size_t m = 0; m < books; ++m)
    for (size_t p = 0; p < n; ++p)
      for (size_t t = 0; t < d; ++t)
        rest[p * d + t] -=
            entries[(m * entries.size() / d / books + static_cast<size_t>(codes[m * n + p])) * d +
                    t];
  double sum = 0;
  for (const float v : metric.transformed_points(rest)) sum += double{v} * double{v};
  return sum;
}

}  // namespace

TEST_CASE("pairs: the best pair of all, and never a worse one than before") {
  for (const size_t d : {1u, 4u, 9u})
    for (const size_t k : {1u, 2u, 16u, 33u, 64u}) {
      CAPTURE(k);
      const auto a = gaussian(k * d, 1), b = gaussian(k * d, 2), points = gaussian(50 * d, 3);
      const PairSearch search(a, b, static_cast<int32_t>(d));
      std::vector<int32_t> first(50, 0), second(50, static_cast<int32_t>(k) - 1);
      const auto distance = [&](size_t p, size_t i, size_t j) {
        double sum = 0;
        for (size_t t = 0; t < d; ++t)
          sum +=
              std::pow(double{points[p * d + t]} - double{a[i * d + t]} - double{b[j * d + t]}, 2);
        return sum;
      };
      REQUIRE(PairSearch::is_exhaustive(k));
      search.improve(points, first, second);
      CHECK(search.improve(points, first, second) == 0);
      for (size_t p = 0; p < 50; ++p) {
        const double mine =
            distance(p, static_cast<size_t>(first[p]), static_cast<size_t>(second[p]));
        double best = mine;
        for (size_t i = 0; i < k; ++i)
          for (size_t j = 0; j < k; ++j) best = std::min(best, distance(p, i, j));
        CHECK(mine <= best + 1e-5 * (1 + best));
      }
    }
}

TEST_CASE("pairs: large books are searched in part, and still never get worse") {
  const size_t d = 4, k = 600, n = 200;
  CHECK(!PairSearch::is_exhaustive(k));
  const auto a = gaussian(k * d, 1), b = gaussian(k * d, 2), points = gaussian(n * d, 3);
  const PairSearch search(a, b, 4);
  Random r(4);
  std::vector<int32_t> first(n), second(n);
  for (size_t p = 0; p < n; ++p)
    first[p] = static_cast<int32_t>(r.below(600)), second[p] = static_cast<int32_t>(r.below(600));
  std::vector<float> entries = a;
  entries.insert(entries.end(), b.begin(), b.end());
  const Metric metric({}, 4);
  const auto total = [&] {
    std::vector<int32_t> codes = first;
    codes.insert(codes.end(), second.begin(), second.end());
    return objective(points, metric, entries, codes, 2);
  };
  const double before = total();
  CHECK(search.improve(points, first, second) > n / 2);
  CHECK(total() < 0.05 * before);
}

TEST_CASE("refit: the gradient vanishes, unused entries stay") {
  const size_t d = 3, k = 8, books = 3;
  const size_t n = 4 * 100;
  for (const bool is_per_block : {false, true}) {
    std::vector<double> grams;
    for (uint64_t s = 0; s < (is_per_block ? 4u : 1u); ++s) {
      const auto g = gram_of(d, 10 + s);
      grams.insert(grams.end(), g.begin(), g.end());
    }
    const Metric metric(grams, 3);
    const auto points = gaussian(n * d, 1);
    auto entries = gaussian(books * k * d, 2);
    const auto start = entries;
    Random r(3);
    std::vector<int32_t> codes(books * n);
    for (int32_t& c : codes) c = static_cast<int32_t>(r.below(7));  // 7 is never used
    const double before = objective(points, metric, entries, codes, books);
    refit_entries(points, metric, codes, 3, entries, 2);
    const double after = objective(points, metric, entries, codes, books);
    CHECK(after < before);
    for (size_t m = 0; m < books; ++m)
      for (size_t t = 0; t < d; ++t)
        CHECK(entries[(m * k + 7) * d + t] == start[(m * k + 7) * d + t]);
    // No step along any entry's coordinate gains.
    for (size_t i = 0; i < entries.size(); ++i)
      for (const float step : {-1e-2f, 1e-2f}) {
        auto moved = entries;
        moved[i] += step;
        CHECK(objective(points, metric, moved, codes, books) >= after * (1 - 1e-6));
      }
    // And a random common direction, as the entries are coupled.
    for (uint64_t seed = 20; seed < 30; ++seed) {
      auto moved = entries;
      const auto direction = gaussian(entries.size(), seed);
      for (size_t i = 0; i < moved.size(); ++i) moved[i] += 1e-3f * direction[i];
      CHECK(objective(points, metric, moved, codes, books) >= after * (1 - 1e-6));
    }
  }
}

TEST_CASE("additive: recovers sums of two hidden books, refinement never hurts") {
  const size_t d = 6, k = 8, n = 2000;
  const auto hidden = gaussian(2 * k * d, 1);
  std::vector<float> points = gaussian(n * d, 2);
  Random r(3);
  for (size_t p = 0; p < n; ++p) {
    const size_t a = static_cast<size_t>(r.below(8)), b = static_cast<size_t>(r.below(8));
    for (size_t t = 0; t < d; ++t)
      points[p * d + t] =
          0.01f * points[p * d + t] + hidden[a * d + t] + 0.5f * hidden[(k + b) * d + t];
  }
  const Metric metric({}, 6);
  const std::vector<int32_t> none(2 * n, 0);
  const double energy = objective(points, metric, std::vector<float>(2 * k * d, 0.0f), none, 2);
  const KmeansOptions options{8, 50, 1, 2};
  const Additive start = additive_kmeans(points, metric, 2, options, 0);
  const Additive refined = additive_kmeans(points, metric, 2, options, 25);
  REQUIRE(refined.objective.size() > 1);
  CHECK(refined.objective[0] == start.objective[0]);
  for (size_t i = 1; i < refined.objective.size(); ++i)
    CHECK(refined.objective[i] <= refined.objective[i - 1]);
  CHECK(
      refined.objective.back() ==
      doctest::Approx(objective(points, metric, refined.entries, refined.codes, 2)).epsilon(1e-4));
  CHECK(refined.objective.back() < 0.8 * start.objective.back());
  CHECK(refined.objective.back() < 0.1 * energy);
}

TEST_CASE("additive: more books lose less, one book is k-means") {
  const auto points = gaussian(3000 * 8, 5);
  const auto g = gram_of(8, 6);
  const Metric metric(g, 8);
  const KmeansOptions options{16, 30, 1, 2};
  double before = INFINITY;
  for (const int32_t books : {1, 2, 3, 4}) {
    const Additive a = additive_kmeans(points, metric, books, options, 10);
    CHECK(a.objective.back() < 0.9 * before);
    before = a.objective.back();
    if (books == 1) CHECK(a.entries == kmeans(points, metric, options).centroids);
  }
}
