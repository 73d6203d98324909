// Distances under Gram matrices against their definition, one and many of them.
#include "converter/quant/metric.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "converter/quant/kmeans.h"
#include "converter/quant/random.h"

using namespace qrt::quant;

namespace {

std::vector<float> gaussian(size_t n, uint64_t seed) {
  Random r(seed);
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(r.normal());
  return v;
}

// `segments` matrices A'A, each of another scale.
std::vector<double> grams_of(size_t segments, size_t d, uint64_t seed) {
  std::vector<double> all;
  for (size_t s = 0; s < segments; ++s) {
    const auto a = gaussian(d * d, seed + s);
    for (size_t i = 0; i < d; ++i)
      for (size_t j = 0; j < d; ++j) {
        double sum = 0;
        for (size_t t = 0; t < d; ++t) sum += double{a[t * d + i]} * double{a[t * d + j]};
        all.push_back(sum * std::pow(2.0, static_cast<double>(s)));
      }
  }
  return all;
}

// e' G e with e = v - c.
double distance(const float* v, const float* c, const double* g, size_t d) {
  double sum = 0;
  for (size_t i = 0; i < d; ++i)
    for (size_t j = 0; j < d; ++j)
      sum += (double{v[i]} - double{c[i]}) * g[i * d + j] * (double{v[j]} - double{c[j]});
  return sum;
}

}  // namespace

TEST_CASE("metric: transformed distances are those of G, in one scale for all segments") {
  const size_t d = 5, n = 12;
  for (const size_t segments : {1u, 3u, 12u}) {
    const auto grams = grams_of(segments, d, 1);
    const Metric metric(grams, 5);
    CHECK(metric.segments() == segments);
    CHECK(metric.is_per_block() == (segments > 1));
    const auto points = gaussian(n * d, 2), center = gaussian(d, 3);
    const auto moved = metric.transformed_points(points);
    double trace = 0;
    for (size_t i = 0; i < grams.size(); ++i)
      if (i % (d * d) % (d + 1) == 0) trace += grams[i];
    for (size_t p = 0; p < n; ++p) {
      const size_t s = p / (n / segments);
      const auto u = metric.transformed(center, s);
      double mine = 0;
      for (size_t t = 0; t < d; ++t) mine += std::pow(double{moved[p * d + t]} - double{u[t]}, 2);
      double want = static_cast<double>(segments * d) / trace *
                    distance(&points[p * d], center.data(), &grams[s * d * d], d);
      for (size_t t = 0; t < d; ++t)  // the ridge
        want += 1e-6 * std::pow(double{points[p * d + t]} - double{center[t]}, 2);
      CHECK(mine == doctest::Approx(want).epsilon(1e-5));
    }
  }
}

TEST_CASE("metric: nothing known, or nothing but zeros, is Euclid") {
  const auto points = gaussian(20, 1);
  for (const size_t matrices : {0u, 1u, 5u}) {
    const Metric metric(std::vector<double>(matrices * 4, 0.0), 2);
    CHECK(metric.segments() == 1);
    CHECK(metric.transformed_points(points) == points);
  }
}

TEST_CASE("metric: every point gets its nearest entry, by the G of its segment") {
  const size_t d = 4, n = 60, k = 37;
  for (const size_t segments : {1u, 6u}) {
    const auto grams = grams_of(segments, d, 7);
    const Metric metric(grams, 4);
    const auto points = gaussian(n * d, 8), entries = gaussian(k * d, 9);
    std::vector<int32_t> codes(n), again(n);
    std::vector<float> distances(n);
    metric.assign(metric.transformed_points(points), entries, codes, distances, 1);
    metric.assign(metric.transformed_points(points), entries, again, {}, 4);
    CHECK(codes == again);
    for (size_t p = 0; p < n; ++p) {
      const double* g = &grams[p / (n / segments) * d * d];
      const double mine =
          distance(&points[p * d], &entries[static_cast<size_t>(codes[p]) * d], g, d);
      for (size_t c = 0; c < k; ++c)
        CHECK(mine <= distance(&points[p * d], &entries[c * d], g, d) * (1 + 1e-4));
      CHECK(distances[p] >= 0);
    }
  }
}

TEST_CASE("metric: solve() inverts, and keeps finite where G is singular") {
  const size_t d = 6;
  const auto g = grams_of(1, d, 11);
  const auto x = gaussian(d, 12);
  std::vector<double> b(d, 0.0);
  for (size_t i = 0; i < d; ++i)
    for (size_t j = 0; j < d; ++j) b[i] += g[i * d + j] * double{x[j]};
  auto solved = b;
  solve(g, solved);
  // The ridge leaves an error of about 1e-6 of the trace over the smallest eigenvalue.
  std::vector<double> back(d, 0.0);
  for (size_t i = 0; i < d; ++i)
    for (size_t j = 0; j < d; ++j) back[i] += g[i * d + j] * solved[j];
  for (size_t i = 0; i < d; ++i) CHECK(back[i] == doctest::Approx(b[i]).epsilon(1e-3));

  const std::vector<double> ones(9, 2.0);  // rank 1
  std::vector<double> right(3, 6.0);
  solve(ones, right);
  CHECK(right[0] + right[1] + right[2] == doctest::Approx(3).epsilon(1e-4));
}

TEST_CASE("metric: error_of() is the sum of the definition") {
  const size_t d = 3, n = 8;
  const auto points = gaussian(n * d, 1), other = gaussian(n * d, 2);
  for (const size_t segments : {0u, 1u, 4u}) {
    const auto grams = grams_of(segments, d, 5);
    const std::vector<double> unit = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    double want = 0;
    for (size_t p = 0; p < n; ++p)
      want += distance(&points[p * d], &other[p * d],
                       segments == 0 ? unit.data() : &grams[p / (n / segments) * d * d], d);
    CHECK(error_of(points, other, 3, grams) == doctest::Approx(want).epsilon(1e-12));
  }
}

TEST_CASE("kmeans per block: it descends, and no centroid can be improved") {
  const size_t d = 4, n = 1200, segments = 6;
  const auto grams = grams_of(segments, d, 21);
  const Metric metric(grams, 4);
  const auto points = gaussian(n * d, 22);
  const Kmeans k = kmeans(points, metric, {16, 60, 1, 2});
  for (size_t i = 1; i < k.objective.size(); ++i)
    CHECK(k.objective[i] <= k.objective[i - 1] * (1 + 1e-5));
  const double best = weighted_error(points, 4, grams, k.centroids, k.codes);
  for (size_t i = 0; i < k.centroids.size(); ++i)
    for (const float step : {-0.01f, 0.01f}) {
      auto moved = k.centroids;
      moved[i] += step;
      CHECK(weighted_error(points, 4, grams, moved, k.codes) > best * (1 - 1e-9));
    }
  // The mean of the points is not the best here, as it is for a shared G.
  auto means = k.centroids;
  std::vector<double> sums(means.size(), 0.0), counts(16, 0.0);
  for (size_t p = 0; p < n; ++p) {
    ++counts[static_cast<size_t>(k.codes[p])];
    for (size_t t = 0; t < d; ++t)
      sums[static_cast<size_t>(k.codes[p]) * d + t] += double{points[p * d + t]};
  }
  for (size_t i = 0; i < means.size(); ++i) means[i] = static_cast<float>(sums[i] / counts[i / d]);
  CHECK(weighted_error(points, 4, grams, means, k.codes) > 1.02 * best);
}
