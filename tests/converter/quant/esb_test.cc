// Method esb layer by layer: the published quantizer, fitted scales, the choice of the
// fraction, means, groups, and what is refused.
#include "converter/quant/esb.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "converter/quant/low_bit.h"
#include "converter/quant/powers.h"

using namespace qrt;
using namespace qrt::quant;

namespace {

LayerProblem normal_layer(int64_t outputs, int64_t inputs, double deviation = 0.1,
                          double mean = 0) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal(mean, deviation);
  LayerProblem p;
  p.outputs = outputs, p.inputs = inputs;
  for (int64_t i = 0; i < outputs * inputs; ++i)
    p.target.push_back(static_cast<float>(normal(random)));
  p.gains.assign(static_cast<size_t>(outputs), 1.0);
  return p;
}

LowBitSettings esb(int32_t bits, int32_t fraction = -1) {
  LowBitSettings s;
  s.kind = LowBitKind::esb;
  s.bits = bits, s.fraction = fraction;
  return s;
}

Table coded(const LayerProblem& p, const LowBitSettings& s) {
  auto e = encode_low_bit(p, 1, s, 1);
  REQUIRE(e.ok());
  return std::get<Table>(*e);
}

double error(const LayerProblem& p, const Table& t) {
  const std::vector<float> now = decode(Encoding(t), p.outputs, p.inputs);
  double sum = 0, all = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    sum += std::pow(double{now[i]} - double{p.target[i]}, 2);
    all += std::pow(double{p.target[i]}, 2);
  }
  return sum / all;
}

}  // namespace

TEST_CASE("esb: without fitting, every weight is what the paper's formula makes of it") {
  const LayerProblem p = normal_layer(6, 200);
  for (const auto& [bits, fraction] : {std::pair(4, 1), std::pair(5, 2), std::pair(6, 3)}) {
    LowBitSettings s = esb(bits, fraction);
    s.fitted = false;
    const Table t = coded(p, s);
    const std::vector<float> now = decode(Encoding(t), p.outputs, p.inputs);
    const double star = gaussian_scale({bits, fraction});
    const int32_t top = (1 << (bits - 1 - fraction)) - 2;
    const double c = std::ldexp(1.0, top + 1) - std::ldexp(1.0, top - fraction);
    for (int64_t o = 0; o < p.outputs; ++o) {
      double mean = 0, square = 0;
      for (int64_t i = 0; i < p.inputs; ++i)
        mean += double{p.target[size_t(o * p.inputs + i)]} / 200;
      for (int64_t i = 0; i < p.inputs; ++i)
        square += std::pow(double{p.target[size_t(o * p.inputs + i)]} - mean, 2);
      const double alpha = star * std::sqrt(square / 199) + 1e-5;
      for (int64_t i = 0; i < p.inputs; ++i) {
        const double x = double{p.target[size_t(o * p.inputs + i)]} / alpha;
        const int n = x == 0 ? 0 : std::clamp(std::ilogb(x), 0, top);
        const double step = std::ldexp(1.0, n - fraction);
        const double q = std::clamp(std::nearbyint(x / step) * step, -c, c);
        CHECK(std::abs(double{now[size_t(o * p.inputs + i)]} - alpha * q) < 1e-6);
      }
    }
    // The distortion the paper's table promises, on samples.
    CHECK(std::abs(error(p, t) / gaussian_error({bits, fraction}, star) - 1) < 0.15);
  }
}

TEST_CASE("esb: fitted scales beat the published ones, and keep f16 scales") {
  const LayerProblem p = normal_layer(8, 96);
  for (const int32_t bits : {3, 4, 5, 6}) {
    LowBitSettings s = esb(bits, std::max(bits - 3, 0));
    const double fitted = error(p, coded(p, s));
    s.fitted = false;
    CHECK(fitted < error(p, coded(p, s)));
  }
}

TEST_CASE("esb: the fraction is the one of least error that the range allows") {
  const LayerProblem p = normal_layer(8, 256);
  for (const int32_t bits : {4, 5, 6, 7, 8}) {
    CAPTURE(bits);
    for (const EsbRange range : {EsbRange::s8, EsbRange::any}) {
      LowBitSettings s = esb(bits);
      s.range = range;
      const Table chosen = coded(p, s);
      double least = 1e9;
      for (const EsbFormat& f : esb_candidates(esb_settings(s))) {
        LowBitSettings fixed = esb(bits, f.fraction);
        fixed.range = range;
        least = std::min(least, error(p, coded(p, fixed)));
      }
      CHECK(error(p, chosen) == least);
      for (const int16_t v : chosen.integers) CHECK((range == EsbRange::any || std::abs(v) <= 127));
    }
  }
  // 8 bits with two exponent bits need 252: out of a byte's range, and better.
  LowBitSettings any = esb(8);
  any.range = EsbRange::any;
  CHECK(error(p, coded(p, any)) < error(p, coded(p, esb(8))));
}

TEST_CASE("esb: means, groups, layers and mid-rise") {
  const LayerProblem shifted = normal_layer(4, 128, 0.1, 0.3);
  LowBitSettings s = esb(4, 1);
  const double plain = error(shifted, coded(shifted, s));
  s.mean_shift = true;
  const Table moved = coded(shifted, s);
  CHECK(moved.offset.size() == 4);
  CHECK(error(shifted, moved) < plain);

  LowBitSettings layer = esb(4, 1);
  layer.axis = ScaleAxis::layer;
  layer.mean_shift = true;
  const Table whole = coded(shifted, layer);
  CHECK(whole.scales.values.size() == 1);
  CHECK(whole.offset.size() == 1);

  LowBitSettings group = esb(4, 1);
  group.axis = ScaleAxis::group, group.group = 32;
  const Table mx = coded(shifted, group);
  CHECK(mx.scales.values.size() == 16);
  CHECK(error(shifted, mx) < plain);
  group.fitted = false;
  CHECK(coded(shifted, group).scales.values.size() == 16);

  LowBitSettings odd = esb(3);
  odd.has_zero = false;
  const Table mid = coded(normal_layer(4, 64), odd);
  CHECK(mid.integers == std::vector<int16_t>{1, 3, 5, 7, -1, -3, -5, -7});
}

TEST_CASE("esb: MXFP4 and MXFP6 of plain weights: powers of two per 32, the best of their group") {
  for (const auto& [bits, fraction] : {std::pair{4, 1}, {6, 3}, {6, 2}}) {
    CAPTURE(bits);
    CAPTURE(fraction);
    const LayerProblem p = normal_layer(6, 100);  // the last group is one of four
    LowBitSettings s = esb(bits, fraction);
    s.range = EsbRange::s16, s.axis = ScaleAxis::group, s.group = 32, s.powers = true;
    const Table t = coded(p, s);
    REQUIRE(t.scales.values.size() == 6 * 4);
    CHECK(t.scales.axis == ScaleAxis::group);
    for (const float scale : t.scales.values) CHECK(is_power(scale));
    CHECK(stored_bytes(Encoding(t), 6, 100).scales == 24);
    // No other power of two is better, whatever the codes.
    const EsbCoder coder(esb_settings(s).format);
    for (size_t o = 0; o < 6; ++o)
      for (size_t g = 0; g < 4; ++g) {
        const auto error_at = [&](double scale) {
          double sum = 0;
          for (size_t k = 32 * g; k < std::min<size_t>(32 * g + 32, 100); ++k) {
            const double w = p.target[o * 100 + k];
            const double q = scale * coder.number(coder.code(w / scale)) - w;
            sum += q * q;
          }
          return sum;
        };
        const double chosen = t.scales.values[o * 4 + g];
        for (const double other : {chosen / 4, chosen / 2, chosen * 2, chosen * 4})
          CHECK(error_at(chosen) <= error_at(other));
      }
    LowBitSettings any = s;
    any.powers = false;
    CHECK(error(p, coded(p, any)) < error(p, t));
  }
}

TEST_CASE("esb: a layer of zeros and one of equal weights") {
  LayerProblem p = normal_layer(2, 8);
  p.target.assign(16, 0.0f);
  for (const bool fitted : {true, false}) {
    LowBitSettings s = esb(4, 1);
    s.fitted = fitted;
    for (const float w : decode(Encoding(coded(p, s)), 2, 8)) CHECK(w == 0);
  }
  LowBitSettings mx = esb(4, 1);
  mx.axis = ScaleAxis::group, mx.group = 4, mx.powers = true;
  const Table zeros = coded(p, mx);
  for (const float w : decode(Encoding(zeros), 2, 8)) CHECK(w == 0);
  for (const float scale : zeros.scales.values) CHECK(is_power(scale));
  p.target.assign(16, 0.25f);
  for (const float w : decode(Encoding(coded(p, esb(4, 1))), 2, 8))
    CHECK(std::abs(w - 0.25f) <= 0.25f / 2048);  // f16 scales
}

TEST_CASE("esb: refusals name the numbers") {
  const auto refused = [](const MethodOptions& words) {
    const auto r = parse_low_bit_options("esb", words);
    return r.ok() ? 0 : r.error().id;
  };
  CHECK(refused({{"bits", "4"}, {"fraction", "3"}}) == 741);
  CHECK(refused({{"bits", "9"}}) == 718);
  CHECK(refused({{"bits", "1"}}) == 719);
  CHECK(refused({{"bits", "1"}, {"zero", "no"}}) == 0);
  CHECK(refused({{"bits", "8"}, {"fraction", "5"}}) == 719);
  CHECK(refused({{"bits", "8"}, {"fraction", "5"}, {"range", "16"}}) == 0);
  CHECK(refused({{"bits", "4"}, {"fraction", "1"}, {"zero", "no"}}) == 719);
  CHECK(refused({{"scales", "group"}}) == 719);
  CHECK(refused({{"scales", "e8m0"}, {"fit", "no"}}) == 719);
  CHECK(refused({{"grid", "srq"}}) == 718);
  auto mx = parse_low_bit_options("esb", {{"bits", "4"}, {"scales", "e8m0"}});
  REQUIRE(mx.ok());
  CHECK((mx->settings.powers && mx->settings.group == 32));
  CHECK(parse_low_bit_options("esb", {{"group", "16"}, {"scales", "e8m0"}})->settings.group == 16);
  CHECK(!parse_low_bit_options("uniform", {{"scales", "e8m0"}}).ok());
  LayerProblem p = normal_layer(2, 8);
  p.target[3] = std::nanf("");
  CHECK(!encode_low_bit(p, 1, esb(4, 1), 1).ok());
}
