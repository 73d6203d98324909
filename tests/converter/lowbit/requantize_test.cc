// Multiplication and rounding against the step function they stand for: every sum of the
// range is tried, in the runtime's own arithmetic.
#include "converter/lowbit/requantize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace qrt {
namespace {

int64_t level_of(const std::vector<int64_t>& thresholds, int64_t sum) {
  return std::count_if(thresholds.begin(), thresholds.end(), [&](int64_t t) { return sum >= t; });
}

// schema/README.md, Numerics, of one sum.
int64_t requantized(int64_t sum, const lowbit::Units& u, const lowbit::ScaleBias& e, int32_t shift,
                    size_t count) {
  const volatile float a = u.x_scale * u.weight_scale * e.scale * u.inverse;
  const volatile float c = e.bias * u.inverse;
  const volatile float product = static_cast<float>(sum) * a;
  const float t = std::clamp(product + c, static_cast<float>(shift),
                             static_cast<float>(shift + static_cast<int32_t>(count)));
  return static_cast<int64_t>(std::nearbyint(t)) - shift;
}

TEST_CASE("requantization: even steps are found and hold for every sum") {
  std::mt19937 bits(1);
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(bits()) / 4294967296.0;
  };
  int found = 0;
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    const int64_t high = static_cast<int64_t>(uniform(5, 9000)),
                  low = -static_cast<int64_t>(uniform(0, 9000));
    const size_t count = (size_t{1} << (1 + bits() % 8)) - 1;
    const double a = std::exp(uniform(-7, 0)), c = uniform(-20, 20);
    std::vector<int64_t> thresholds;
    for (size_t k = 1; k <= count; ++k)
      thresholds.push_back(std::clamp(
          static_cast<int64_t>(std::ceil((static_cast<double>(k) - 0.5 - c) / a)), low, high + 1));
    const lowbit::Units units{static_cast<float>(uniform(0.001, 2)),
                              static_cast<float>(uniform(0.001, 2)),
                              1 / static_cast<float>(uniform(0.001, 2))};
    const auto shift = -static_cast<int32_t>(bits() % 130);
    const auto fit = lowbit::fit_requantization({thresholds, low, high}, shift, units);
    if (!fit) continue;
    ++found;
    for (int64_t sum = low; sum <= high; ++sum)
      REQUIRE(requantized(sum, units, *fit, shift, count) == level_of(thresholds, sum));
  }
  CHECK(found >= 380);  // steep slopes leave no room between two sums
}

TEST_CASE("requantization: steps that are not even, or of several levels, have none") {
  const lowbit::Units units;
  const std::vector<int64_t> powers{1, 2, 4, 8, 16, 32, 64}, double_step{3, 3, 9, 9};
  CHECK(!lowbit::fit_requantization({powers, -100, 100}, 0, units));
  // Two levels at once are possible, but not with even gaps of six between such pairs.
  CHECK(!lowbit::fit_requantization({double_step, -100, 100}, 0, units));
}

TEST_CASE("requantization: sums of one level") {
  const lowbit::Units units;
  for (const std::vector<int64_t>& all :
       {std::vector<int64_t>{-5, -5, -5}, {11, 11, 11}, {-5, -5, 11}}) {
    const auto fit = lowbit::fit_requantization({all, -5, 10}, 0, units);
    REQUIRE(fit);
    for (int64_t sum = -5; sum <= 10; ++sum)
      CHECK(requantized(sum, units, *fit, 0, 3) == level_of(all, sum));
  }
}

}  // namespace
}  // namespace qrt
