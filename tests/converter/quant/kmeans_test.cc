// k-means: it descends, it is deterministic, it survives degenerate points, and
// the weighted form wins in the weighted error.
#include "converter/quant/kmeans.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "converter/quant/nearest.h"
#include "converter/quant/random.h"

using namespace qrt::quant;

namespace {

std::vector<float> gaussian(size_t n, uint64_t seed) {
  Random r(seed);
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(r.normal());
  return v;
}

// G = A'A of a random A with strongly unequal rows: correlated and badly scaled inputs.
std::vector<double> gram_of(int d, uint64_t seed) {
  Random r(seed);
  std::vector<double> a(static_cast<size_t>(d * d)), g(a.size(), 0.0);
  for (int i = 0; i < d; ++i)
    for (int j = 0; j < d; ++j) a[i * d + j] = r.normal() * std::pow(10.0, -0.5 * i);
  for (int i = 0; i < d; ++i)
    for (int j = 0; j < d; ++j)
      for (int t = 0; t < d; ++t) g[i * d + j] += a[t * d + i] * a[t * d + j];
  return g;
}

}  // namespace

TEST_CASE("random: fixed values, so that files do not depend on the library") {
  Random r(1);
  CHECK(r.uniform() == doctest::Approx(0.13387664401253263).epsilon(1e-15));
  double sum = 0, squares = 0;
  for (int i = 0; i < 20000; ++i) {
    const double v = r.normal();
    sum += v, squares += v * v;
    const int64_t b = r.below(7);
    CHECK_UNARY(b >= 0 && b < 7);
  }
  CHECK(std::abs(sum / 20000) < 0.03);
  CHECK(squares / 20000 == doctest::Approx(1.0).epsilon(0.03));
}

TEST_CASE("nearest: agrees with the definition, ties go to the lowest index") {
  for (const int d : {1, 3, 4, 9, 18})
    for (const size_t k : {1u, 2u, 31u, 32u, 33u, 100u}) {
      const auto points = gaussian(200 * static_cast<size_t>(d), 5);
      auto centroids = gaussian(k * static_cast<size_t>(d), 6);
      if (k >= 33)  // the same centroid twice, in different tiles
        std::copy_n(centroids.begin(), d, centroids.end() - d);
      std::vector<int32_t> codes(200);
      nearest(points, centroids, d, codes);
      for (size_t i = 0; i < 200; ++i) {
        int32_t best = 0;
        float least = INFINITY;
        for (size_t j = 0; j < k; ++j) {
          float sum = 0;
          for (int t = 0; t < d; ++t) {
            const float e = points[i * d + t] - centroids[j * d + t];
            const float square = e * e;
            sum += square;
          }
          if (sum < least) least = sum, best = static_cast<int32_t>(j);
        }
        REQUIRE(codes[i] == best);
      }
    }
}

TEST_CASE("factor: U'U is the Gram matrix up to scale, deficient ones included") {
  const auto g = gram_of(6, 3);
  const auto u = factor(g, 6);
  double trace = 0;
  for (int i = 0; i < 6; ++i) trace += g[i * 7];
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 6; ++j) {
      double sum = 0;
      for (int t = 0; t < 6; ++t) sum += u[t * 6 + i] * u[t * 6 + j];
      CHECK(sum == doctest::Approx(g[i * 6 + j] * 6 / trace + (i == j) * 1e-6).epsilon(1e-9));
    }
  std::vector<double> ones(9, 5.0);  // rank 1
  for (const double v : factor(ones, 3)) CHECK(std::isfinite(v));
  const auto identity = factor(std::vector<double>(4, 0.0), 2);
  CHECK(identity == std::vector<double>{1, 0, 0, 1});
}

TEST_CASE("kmeans: the objective never increases unless a cluster was split") {
  const auto points = gaussian(3000 * 4, 11);
  const auto g = gram_of(4, 12);
  for (const bool is_weighted : {false, true}) {
    const Kmeans k =
        kmeans(points, 4, is_weighted ? std::span<const double>(g) : std::span<const double>(),
               {32, 60, 1});
    REQUIRE(k.splits == 0);
    REQUIRE(k.objective.size() > 5);
    for (size_t i = 1; i < k.objective.size(); ++i)
      CHECK(k.objective[i] <= k.objective[i - 1] * (1 + 1e-6));
    CHECK(k.objective.back() < 0.9 * k.objective.front());
  }
}

TEST_CASE("kmeans: the same seed gives the same bytes, another seed others") {
  const auto points = gaussian(2000 * 9, 21);
  const auto g = gram_of(9, 22);
  const Kmeans a = kmeans(points, 9, g, {64, 20, 7}), b = kmeans(points, 9, g, {64, 20, 7});
  CHECK(a.centroids == b.centroids);
  CHECK(a.codes == b.codes);
  const Kmeans c = kmeans(points, 9, g, {64, 20, 8});
  CHECK(a.centroids != c.centroids);
}

TEST_CASE("kmeans: weighting wins in the weighted error, and loses in the other") {
  const auto points = gaussian(4000 * 4, 31);
  const auto g = gram_of(4, 32);
  const Kmeans weighted = kmeans(points, 4, g, {32, 100, 1});
  const Kmeans plain = kmeans(points, 4, {}, {32, 100, 1});
  CHECK(weighted_error(points, 4, g, weighted.centroids, weighted.codes) <
        0.7 * weighted_error(points, 4, g, plain.centroids, plain.codes));
  CHECK(weighted_error(points, 4, {}, weighted.centroids, weighted.codes) >
        weighted_error(points, 4, {}, plain.centroids, plain.codes));
}

TEST_CASE("kmeans: degenerate points end soon and stay finite") {
  const std::vector<float> constant(300, 2.5f);
  Kmeans k = kmeans(constant, 3, {}, {16, 100, 1});
  CHECK(weighted_error(constant, 3, {}, k.centroids, k.codes) == 0);
  CHECK(k.objective.size() < 5);

  const auto few = gaussian(5 * 2, 41);  // more clusters than points
  k = kmeans(few, 2, {}, {100, 100, 1});
  CHECK(k.clusters == 5);
  CHECK(std::set<int32_t>(k.codes.begin(), k.codes.end()).size() == 5);
  CHECK(weighted_error(few, 2, {}, k.centroids, k.codes) < 1e-12);

  const std::vector<float> one = {1, 2};
  CHECK(kmeans(one, 2, {}, {4, 10, 1}).centroids == one);
  const std::vector<double> zero(9, 0.0);
  const auto points = gaussian(300, 42);
  k = kmeans(points, 3, zero, {8, 10, 1});
  CHECK(k.codes == kmeans(points, 3, {}, {8, 10, 1}).codes);
  const auto column = gaussian(500, 43);
  k = kmeans(column, 1, {}, {16, 100, 1});
  CHECK(weighted_error(column, 1, {}, k.centroids, k.codes) < 0.02 * 500);
}

TEST_CASE("kmeans: empty clusters take half of the largest") {
  // Two far points, many copies each, and a little noise: sampling with replacement almost surely
  // draws some centroid twice; ties leave the second copy empty.
  std::vector<float> points;
  Random r(51);
  for (int i = 0; i < 400; ++i) points.push_back(i % 2 ? 100.0f : static_cast<float>(r.normal()));
  const Kmeans k = kmeans(points, 1, {}, {64, 50, 3, 1, Start::uniform});
  CHECK(k.splits > 0);
  CHECK(std::set<int32_t>(k.codes.begin(), k.codes.end()).size() > 48);
}

TEST_CASE("kmeans: a spread start finds far groups that a uniform one misses") {
  // One large cloud and twenty far points: a uniform draw of 21 of 5000 hardly meets any of them.
  std::vector<float> points = gaussian(5000 * 3, 61);
  for (size_t i = 0; i < 20; ++i) points[i * 3] += 100.0f * static_cast<float>(i + 1);
  const Kmeans spread = kmeans(points, 3, {}, {21, 1, 1});
  const Kmeans uniform = kmeans(points, 3, {}, {21, 1, 1, 1, Start::uniform});
  CHECK(spread.objective[0] < 0.1 * uniform.objective[0]);
  for (const size_t threads : {2u, 3u})
    CHECK(kmeans(points, 3, {}, {21, 1, 1, threads}).centroids == spread.centroids);
}
