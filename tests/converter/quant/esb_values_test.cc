// The value sets of ESB against the formula of the paper, the OCP element formats, and the
// published table of scales.
#include "converter/quant/esb_values.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/shift/shift.h"

using namespace qrt::quant;

namespace {

// (-1)^s M / 2^k, or (-1)^s (1 + M / 2^k) 2^(E-1), times 2^k.
double by_formula(const EsbFormat& f, int32_t code) {
  const int32_t sign = code >> (f.bits - 1);
  const int32_t exponent = (code >> f.fraction) & ((1 << (f.bits - 1 - f.fraction)) - 1);
  const double m = (code & ((1 << f.fraction) - 1)) / std::pow(2.0, f.fraction);
  const double v = exponent == 0 ? m : (1 + m) * std::pow(2.0, exponent - 1);
  return (sign != 0 ? -v : v) * std::pow(2.0, f.fraction);
}

// q = round(x / 2^(n-k)) 2^(n-k), n = clip(floor(log2 |x|), 0, N), then clip to +-c: the published
// quantizer on x in units of 1, half to even.
double by_rounding(const EsbFormat& f, double x) {
  const int32_t e = f.bits - 1 - f.fraction, top = (1 << e) - 2;
  int32_t n = x == 0 ? 0 : std::ilogb(x);
  n = std::min(std::max(n, 0), top);
  const double step = std::ldexp(1.0, n - f.fraction);
  const double c = std::ldexp(1.0, top + 1) - std::ldexp(1.0, top - f.fraction);
  return std::min(std::max(std::nearbyint(x / step) * step, -c), c);
}

std::vector<EsbFormat> all_formats() {
  std::vector<EsbFormat> all;
  for (int32_t bits = 2; bits <= kMaxEsbBits; ++bits)
    for (int32_t k = 0; k <= bits - 2; ++k) all.push_back({bits, k});
  return all;
}

}  // namespace

TEST_CASE("esb: every code of every format is the formula's number") {
  for (const EsbFormat& f : all_formats()) {
    CAPTURE(f.bits);
    CAPTURE(f.fraction);
    const std::vector<double> numbers = esb_numbers(f);
    REQUIRE(numbers.size() == size_t{1} << f.bits);
    const EsbCoder coder(f);
    for (size_t code = 0; code < numbers.size(); ++code) {
      CHECK(numbers[code] == by_formula(f, static_cast<int32_t>(code)));
      const bool minus_zero = numbers[code] == 0 && code != 0;
      CHECK(coder.code(numbers[code]) == (minus_zero ? 0 : code));
      CHECK(!std::signbit(numbers[size_t{1} << (f.bits - 1)]));
    }
    // The kernels' integers, wherever they have them.
    int16_t integers[256];
    if (!qrt::kernels::shift::esb_integers(static_cast<uint32_t>(f.bits),
                                           static_cast<uint32_t>(f.fraction), integers))
      continue;
    for (size_t code = 0; code < numbers.size(); ++code) CHECK(integers[code] == numbers[code]);
  }
}

TEST_CASE("esb: coding is the published rounding, ties included") {
  for (const EsbFormat& f : all_formats()) {
    CAPTURE(f.bits);
    CAPTURE(f.fraction);
    const EsbCoder coder(f);
    const double unit = std::ldexp(1.0, f.fraction);
    const std::vector<double> numbers = esb_numbers(f);
    int64_t seen = 0;
    const auto same = [&](double x) {
      CAPTURE(x);
      CHECK(coder.number(coder.code(x)) == by_rounding(f, x / unit) * unit);
      ++seen;
    };
    for (size_t i = 0; i + 1 < numbers.size() / 2; ++i)
      for (double part : {0.0, 0.25, 0.499, 0.5, 0.501, 0.75})
        for (double sign : {1.0, -1.0})
          same(sign * (numbers[i] + part * (numbers[i + 1] - numbers[i])));
    same(esb_most(f) * 3);
    same(-esb_most(f) * 1.0001);
    CHECK(seen > 4);
  }
}

TEST_CASE("esb: (4,1) is FP4 E2M1, (6,3) and (6,2) are FP6 E2M3 and E3M2") {
  // Element values of the OCP Microscaling Formats specification 1.0, sizes without signs.
  const auto sizes = [](const EsbFormat& f, double scale) {
    std::vector<double> all = esb_numbers(f);
    all.resize(all.size() / 2);
    for (double& v : all) v *= scale;
    return all;
  };
  CHECK(sizes({4, 1}, 0.5) == std::vector<double>{0, .5, 1, 1.5, 2, 3, 4, 6});
  std::vector<double> e2m3, e3m2;
  for (int code = 0; code < 32; ++code) {
    const int e2 = code >> 3, m3 = code & 7, e3 = code >> 2, m2 = code & 3;
    e2m3.push_back(e2 == 0 ? m3 / 8.0 : std::ldexp(1 + m3 / 8.0, e2 - 1));   // bias 1
    e3m2.push_back(e3 == 0 ? m2 / 16.0 : std::ldexp(1 + m2 / 4.0, e3 - 3));  // bias 3
  }
  CHECK(e2m3.back() == 7.5);
  CHECK(e3m2.back() == 28.0);
  CHECK(sizes({6, 3}, 0.125) == e2m3);
  CHECK(sizes({6, 2}, 0.0625) == e3m2);
}

TEST_CASE("esb: mid-rise has all odd numbers and no zero") {
  const EsbFormat f{3, 0, true};
  CHECK(esb_numbers(f) == std::vector<double>{1, 3, 5, 7, -1, -3, -5, -7});
  const EsbCoder coder(f);
  CHECK(coder.number(coder.code(0.0)) == 1);
  CHECK(coder.number(coder.code(-0.1)) == -1);
  CHECK(coder.number(coder.code(-100)) == -7);
  CHECK(esb_most({8, 0, true}) == 255);
}

TEST_CASE("esb: derived scales are the published ones to four decimals") {
  struct Entry {
    EsbFormat format;
    double scale, error;
  };
  // Table alpha* of autoqnn-pytorch, errors to three digits; mid-rise: mu-L2Q's lambda.
  const Entry table[] = {
      {{2, 0}, 1.2240, 0.19017},        {{3, 0}, 0.5181, 0.04756},
      {{3, 1}, 1.3015, 0.04686},        {{4, 1}, 0.4871, 0.01269},
      {{4, 2}, 1.4136, 0.01289},        {{5, 2}, 0.4828, 0.003256},
      {{6, 3}, 0.4997, 0.000829},       {{6, 2}, 0.0406, 0.002766},
      {{7, 4}, 0.5247, 0.000212},       {{8, 5}, 0.5527, 0.000054},
      {{8, 4}, 0.0412, 0.000175},       {{2, 0, true}, 0.9957, 0.11885},
      {{3, 0, true}, 0.5860, 0.03744},  {{4, 0, true}, 0.3352, 0.01154},
      {{8, 0, true}, 0.0308, 0.000088},
  };
  for (const Entry& e : table) {
    CAPTURE(e.format.bits);
    CAPTURE(e.format.fraction);
    const double a = gaussian_scale(e.format);
    CHECK(std::abs(a - e.scale) < 0.00005);
    CHECK(std::abs(gaussian_error(e.format, a) / e.error - 1) < 0.01);
  }
  const Entry scales_alone[] = {
      {{5, 3}, 1.5460, 0},       {{6, 4}, 1.6878, 0},       {{7, 3}, 0.0409, 0},
      {{7, 5}, 1.8324, 0},       {{8, 6}, 1.9757, 0},       {{1, 0, true}, 1.5958, 0},
      {{5, 0, true}, 0.1881, 0}, {{6, 0, true}, 0.1041, 0}, {{7, 0, true}, 0.0569, 0}};
  for (const Entry& e : scales_alone) CHECK(std::abs(gaussian_scale(e.format) - e.scale) < 0.00005);
}

TEST_CASE("esb: two published scales are the other one of two nearly equal minima") {
  // Exponents of three bits repeat the set at half the scale but for its ends: (4,0) and (5,1) have
  // several minima, of which the table holds one that is not the deepest.
  struct Flat {
    EsbFormat format;
    double published, deepest, error, least;
  };
  for (const Flat& f : {Flat{{4, 0}, 0.0381, 0.0655, 0.03841, 0.03775},
                        Flat{{5, 1}, 0.0391, 0.0766, 0.01065, 0.010646}}) {
    CHECK(std::abs(gaussian_scale(f.format) - f.deepest) < 0.00005);
    CHECK(std::abs(gaussian_error(f.format, f.deepest) / f.least - 1) < 0.001);
    CHECK(std::abs(gaussian_error(f.format, f.published) / f.error - 1) < 0.001);
    // A minimum all the same, to four decimals.
    const double here = gaussian_error(f.format, f.published);
    CHECK(here < gaussian_error(f.format, f.published - 0.0002));
    CHECK(here < gaussian_error(f.format, f.published + 0.0002));
  }
}

TEST_CASE("esb: the closed form of the error is that of samples") {
  // Midpoints of a fine grid over the density, a slow integral with nothing in common.
  for (const EsbFormat& f : {EsbFormat{4, 1}, EsbFormat{5, 1}, EsbFormat{3, 0, true}}) {
    const EsbCoder coder(f);
    const double a = gaussian_scale(f) * (f.mid_rise ? 0.5 : std::ldexp(1.0, -f.fraction));
    double sum = 0, weight = 0;
    for (double z = -9; z < 9; z += 1e-4) {
      const double p = std::exp(-z * z / 2), e = z - a * coder.number(coder.code(z / a));
      sum += p * e * e, weight += p;
    }
    CHECK(std::abs(sum / weight / gaussian_error(f, gaussian_scale(f)) - 1) < 1e-3);
  }
}

TEST_CASE("esb: impossible formats are refused with their numbers") {
  for (const EsbFormat& f : {EsbFormat{1, 0}, EsbFormat{9, 3}, EsbFormat{4, 3}, EsbFormat{4, -1},
                             EsbFormat{0, 0, true}, EsbFormat{3, 1, true}}) {
    const auto checked = check(f);
    REQUIRE(!checked.ok());
    CHECK(checked.error().message.find(std::to_string(f.bits) + " bits") != std::string::npos);
  }
  for (const EsbFormat& f : all_formats()) CHECK(check(f).ok());
  CHECK(check(EsbFormat{1, 0, true}).ok());
}
