// The thresholds that SGQuant's development history states: D = 0..3 -> 32 bits, 4..15 -> 16,
// 16..63 -> 8, 64..255 -> 4, from 256 on 2.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "converter/quant/degree_bits.h"

using qrt::quant::degree_bits;

TEST_CASE("degree bits: the stated thresholds") {
  const std::pair<int64_t, int32_t> from[] = {{0, 32}, {4, 16}, {16, 8}, {64, 4}, {256, 2}};
  for (int64_t d = 0; d <= 5000; ++d) {
    int32_t want = 0;
    for (const auto& [first, bits] : from)
      if (d >= first) want = bits;
    CHECK_MESSAGE(degree_bits(d) == want, d);
  }
  CHECK(degree_bits(int64_t{1} << 40) == 2);
}

TEST_CASE("degree bits: the formula they come from") {
  for (int64_t d = 0; d <= 5000; ++d) {
    const double wanted = d <= 1      ? 32
                          : d <= 1024 ? std::max(2.0, 32 / std::sqrt(static_cast<double>(d)))
                                      : 2;
    int32_t bits = 32;
    for (const int32_t b : {16, 8, 4, 2, 1})
      if (b >= wanted) bits = b;
    CHECK_MESSAGE(degree_bits(d) == bits, d);
  }
}
