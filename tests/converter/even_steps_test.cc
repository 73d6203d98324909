// Thresholds at even distances: what is on a line is found and given back, and nothing else.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "converter/base/even_steps.h"

namespace qrt {
namespace {

std::vector<int64_t> line(double from, double step, size_t count) {
  std::vector<int64_t> r;
  for (size_t k = 0; k < count; ++k)
    r.push_back(static_cast<int64_t>(std::ceil(from + step * static_cast<double>(k))));
  return r;
}

void check_same(const std::vector<int64_t>& want) {
  const auto found = even_steps(want, want);
  REQUIRE(found.has_value());
  for (size_t k = 0; k < want.size(); ++k) CHECK(found->at(k) == want[k]);
}

TEST_CASE("even steps: any line of thresholds, to the last") {
  std::mt19937 rng(3);
  const auto real = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(rng()) / 4294967296.0;
  };
  for (int i = 0; i < 300; ++i)
    check_same(line(real(-1e6, 1e6), std::exp(real(-8, 10)), 1 + rng() % 255));
  check_same(std::vector<int64_t>(255, -7));
  check_same({5});
  check_same(line(-1e8, 7e5, 255));
}

TEST_CASE("even steps: bounds where a threshold may be any") {
  std::vector<int64_t> low = line(-300.5, 7.3, 100), high = low;
  for (size_t k = 0; k < 20; ++k) low[k] = -kMostEvenThreshold, high[k] = -150;
  for (size_t k = 90; k < 100; ++k) low[k] = 350, high[k] = kMostEvenThreshold;
  const auto found = even_steps(low, high);
  REQUIRE(found.has_value());
  for (size_t k = 0; k < 100; ++k) {
    CHECK(found->at(k) >= low[k]);
    CHECK(found->at(k) <= high[k]);
  }
}

TEST_CASE("even steps: sums of long rows, up to the largest start that files have") {
  for (const int64_t far : {(int64_t{1} << 28) + 5, kMostEvenThreshold}) {
    check_same(std::vector<int64_t>(255, far));
    check_same(std::vector<int64_t>(255, -far));
    for (const size_t count : {2, 15, 255}) {
      const std::vector<int64_t> all = line(static_cast<double>(-far), 1e6, count);
      check_same(all);
      const auto found = even_steps(all, all);
      CHECK(found->start >= -(int64_t{1} << 61));
      CHECK(found->start <= int64_t{1} << 61);
    }
    const std::vector<int64_t> low(255, -far), high(255, far);  // anything
    CHECK(even_steps(low, high).has_value());
  }
}

TEST_CASE("even steps: what is on no line") {
  std::vector<int64_t> bent = line(0, 10, 50);
  bent[25] += 2;
  CHECK(!even_steps(bent, bent));
  const std::vector<int64_t> far{kMostEvenThreshold + 1}, powers{0, 1, 2, 8};
  CHECK(!even_steps(far, far));
  CHECK(!even_steps(powers, powers));
  CHECK(!even_steps({}, {}));
}

}  // namespace
}  // namespace qrt
