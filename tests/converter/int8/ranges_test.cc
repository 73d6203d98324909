// Ranges of activations from histograms.
#include "converter/int8/ranges.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace qrt::int8 {
namespace {

// 20,000 values like a bell from -1 to 1, and one far out.
std::vector<float> bell_and_one(float far) {
  std::vector<float> v;
  uint32_t state = 7;
  for (int i = 0; i < 20000; ++i) {
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
      state = state * 1664525u + 1013904223u;
      sum += static_cast<float>(state >> 8) / (1 << 24);
    }
    v.push_back(sum / 2 - 1);
  }
  v.push_back(far);
  return v;
}

TEST_CASE("histogram: its order of values does not matter, and nothing is lost as it grows") {
  Histogram up, down;
  std::vector<float> values;
  for (int i = 0; i < 3000; ++i) values.push_back(std::ldexp(1.0f, i % 30 - 15));
  for (size_t i = 0; i < values.size(); ++i) {
    REQUIRE(up.add({&values[i], 1}));
    REQUIRE(down.add({&values[values.size() - 1 - i], 1}));
  }
  CHECK(up.count() == 3000);
  CHECK(up.least() == std::ldexp(1.0f, -15));
  CHECK(up.most() == std::ldexp(1.0f, 14));
  for (const double q : {0.1, 0.5, 0.9, 1.0}) CHECK(up.quantile(q) == down.quantile(q));
  CHECK(up.error(0, 100) == down.error(0, 100));
}

TEST_CASE("histogram: values that are not finite are refused") {
  Histogram h;
  CHECK(h.add(std::vector<float>{1, 2}));
  CHECK(!h.add(std::vector<float>{1, std::numeric_limits<float>::infinity()}));
  CHECK(!h.add(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}));
  CHECK(h.count() == 2);
}

TEST_CASE("ranges: minmax keeps all, percentile and mse leave one far value out") {
  Histogram h;
  REQUIRE(h.add(bell_and_one(50)));
  const Range all = choose_range(h, RangeMode::minmax);
  CHECK(all.high == 50);
  CHECK(all.low < -0.7f);
  const Range cut = choose_range(h, RangeMode::mse);
  CHECK(cut.high < 50);
  CHECK(h.error(cut.low, cut.high) < h.error(all.low, all.high));
}

TEST_CASE("ranges: mse is no worse than any shrunk range of a bell") {
  Histogram h;
  REQUIRE(h.add(bell_and_one(0)));
  const Range best = choose_range(h, RangeMode::mse);
  for (double f = 0.2; f <= 1.0; f += 0.05)
    CHECK(h.error(best.low, best.high) <= h.error(h.least() * f, h.most() * f) * 1.0001);
}

TEST_CASE("quantization: zero is a byte, one-sided ranges start or end there") {
  const ir::Quantization relu = quantization_of({0, 6});
  CHECK(relu.zero == 0);
  CHECK(relu.scale == 6.0f / 255);
  CHECK(quantization_of({-6, 0}).zero == 255);
  const ir::Quantization both = quantization_of({-1, 3});
  CHECK(both.zero == 64);
  // What is not a range, or none that floats can divide by, is harmless.
  for (const Range r : {Range{0, 0}, Range{1, 2}, Range{-3e38f, 3e38f}, Range{0, 1e-40f}}) {
    const ir::Quantization q = quantization_of(r);
    CHECK(std::isnormal(q.scale));
    CHECK(std::isnormal(1 / q.scale));
    CHECK(q.zero >= 0);
    CHECK(q.zero <= 255);
  }
}

}  // namespace
}  // namespace qrt::int8
