// Every way of the shift family that this CPU runs, on guarded memory, against sums in 64 bits by
// the formulas of shift.h; and the plan: digits, planes, the integers of ESB and of OCP formats.
#include "kernels/shift/shift.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/kernels/int8_case.h"
#include "tests/support/guarded_buffer.h"

namespace qrt::kernels::shift {
namespace {

using test::Guard;
using test::GuardedBuffer;
using test::Int8Random;

struct Case {
  size_t rows, outputs, inputs;
  int x_zero = 0;
  size_t taps = 1, group = 0;
  bool wide = false;     // x of 16 bits
  bool extreme = false;  // x at the ends of its range, integers of the largest size
  bool residual = false;
  size_t split = 0;  // outputs per call; 0: all
  std::string str() const {
    std::string s;
    for (const size_t v : {rows, outputs, inputs, static_cast<size_t>(x_zero), taps, group, split})
      s += std::to_string(v) + " ";
    return s + (wide ? "wide " : "") + (extreme ? "extreme " : "") + (residual ? "residual" : "");
  }
};

// A layer in guarded memory and its exact t before the affine.
struct Layer {
  Layer(const Case& shape, const Plan& table)
      : c(shape),
        plan(table),
        row_bytes((c.inputs * plan.bits + 7) / 8),
        groups(c.group == 0 ? 0 : (c.inputs + c.group - 1) / c.group),
        x(c.wide ? 0 : c.rows * c.inputs + kRowSlack),
        x16(c.wide ? c.rows * c.inputs : 0),
        codes(c.outputs * row_bytes, Guard::after, 0),
        group_scale(c.outputs * groups),
        residual(c.rows * c.outputs),
        scale(c.outputs),
        bias(c.outputs),
        sums(c.rows * c.outputs) {
    Int8Random random(c.rows * 131 + c.inputs * 7 + c.outputs + plan.bits * 31 + c.group);
    for (uint8_t& v : x)
      v = static_cast<uint8_t>(c.extreme ? random.between(0, 1) * 255 : random.between(0, 255));
    if (c.rows == 256)  // every byte
      for (size_t i = 0; i < c.rows * c.inputs; ++i) x[i] = static_cast<uint8_t>(i / c.inputs);
    for (int16_t& v : x16) v = static_cast<int16_t>(random.between(-3000, 3000));
    fill_codes(&random);
    // Scales of any bits show in which order groups are added up.
    for (float& v : group_scale)
      v = c.outputs % 2 == 0 ? std::ldexp(1.0f, random.between(-3, 3)) : 0.001f + random.real(1.0f);
    for (uint8_t& v : residual) v = static_cast<uint8_t>(random.between(0, 255));
    const float wide = c.wide ? 3000.0f : 150.0f;
    const float size = wide * static_cast<float>(std::max(plan.most, 1)) *
                       std::sqrt(static_cast<float>(c.inputs + 1));
    for (float& v : scale) v = (150.0f + random.real(50.0f)) / size;
    for (float& v : bias) v = random.real(60.0f);
    make_sums();
  }

  // Every code in turn, so that a layer with enough weights has them all; extreme: one sign.
  void fill_codes(Int8Random* random) {
    const int last = (1 << plan.bits) - 1;
    for (size_t n = 0; n < c.outputs; ++n) {
      for (size_t k = 0; k < c.inputs; ++k) {
        uint32_t code = static_cast<uint32_t>((n * c.inputs + k) & static_cast<size_t>(last));
        if (c.inputs > 300) code = static_cast<uint32_t>(random->between(0, last));
        if (c.extreme) code = largest(n % 2 == 0);
        for (uint32_t b = 0; b < plan.bits; ++b) {
          const size_t bit = k * plan.bits + b;
          uint8_t& byte = codes[n * row_bytes + bit / 8];
          byte = static_cast<uint8_t>(byte | ((code >> b & 1u) << bit % 8));
        }
      }
    }
  }
  uint32_t largest(bool positive) const {
    uint32_t best = 0;
    for (uint32_t i = 0; i < 1u << plan.bits; ++i)
      if (positive ? plan.integers[i] > plan.integers[best]
                   : plan.integers[i] < plan.integers[best])
        best = i;
    return best;
  }
  int64_t weight(size_t n, size_t place) const {
    const size_t channels = c.inputs / c.taps;
    const size_t input = place % channels * c.taps + place / channels;
    uint32_t code = 0;
    for (uint32_t b = 0; b < plan.bits; ++b) {
      const size_t bit = input * plan.bits + b;
      code += (codes[n * row_bytes + bit / 8] >> bit % 8 & 1u) << b;
    }
    return plan.integers[code];
  }
  void make_sums() {
    std::vector<int64_t> w(c.inputs);
    for (size_t n = 0; n < c.outputs; ++n) {
      for (size_t k = 0; k < c.inputs; ++k) w[k] = weight(n, k);
      for (size_t r = 0; r < c.rows; ++r) {
        volatile float t = 0;  // no operation may be fused
        int64_t sum = 0;
        for (size_t k = 0; k < c.inputs; ++k) {
          const size_t at = r * c.inputs + k;
          sum += (c.wide ? int64_t{x16[at]} : int64_t{x[at]} - c.x_zero) * w[k];
          if (c.group == 0 || ((k + 1) % c.group != 0 && k + 1 != c.inputs)) continue;
          const volatile float scaled =
              static_cast<float>(sum) * group_scale[n * groups + k / c.group];
          t = t + scaled;
          sum = 0;
        }
        sums[r * c.outputs + n] = c.group == 0 ? static_cast<float>(sum) : t;
      }
    }
  }
  int8::Finish finish(bool to_u8) const {
    int8::Finish f{};
    f.scale = scale.data(), f.bias = bias.data();
    if (c.residual) f.residual = residual.data();
    f.residual_stride = c.outputs, f.residual_scale = 0.37f, f.residual_zero = 100, f.zero = 90;
    f.min = to_u8 ? -90.0f : -50.0f, f.max = to_u8 ? 150.0f : 1e9f;
    return f;
  }
  float want(size_t r, size_t n, bool to_u8) const {
    const int8::Finish f = finish(to_u8);
    volatile float t = sums[r * c.outputs + n];
    t = t * scale[n];
    t = t + bias[n];
    if (c.residual) {
      const volatile float add =
          static_cast<float>(int{residual[r * c.outputs + n]} - f.residual_zero) * f.residual_scale;
      t = t + add;
    }
    const float sum = t;
    return std::clamp(sum, f.min, f.max);
  }
  Shape shape(size_t outputs) const { return {c.rows, outputs, c.inputs, c.taps, c.group, c.wide}; }

  Case c;
  const Plan& plan;
  size_t row_bytes, groups;
  GuardedBuffer<uint8_t> x;
  GuardedBuffer<int16_t> x16;
  GuardedBuffer<uint8_t> codes;
  GuardedBuffer<float> group_scale;
  GuardedBuffer<uint8_t> residual;
  GuardedBuffer<float> scale, bias;
  std::vector<float> sums;
};

// Results that differ, of u8 and of f32; -1: the way cannot.
int wrong_results(const Way& way, const Layer& l) {
  const Case& c = l.c;
  const size_t split = c.split == 0 ? c.outputs : c.split;
  const size_t room = way.scratch(l.plan, l.shape(split));
  if (room == 0) return -1;
  GuardedBuffer<uint8_t> scratch((room + 63) / 64 * 64);
  GuardedBuffer<uint8_t> y8(c.rows * c.outputs);
  GuardedBuffer<float> y32(c.rows * c.outputs);
  int wrong = 0;
  for (const bool to_u8 : {true, false}) {
    for (size_t n = 0; n < c.outputs; n += split) {
      Args a{};
      a.plan = &l.plan, a.codes = l.codes.data(), a.codes_end = l.codes.end();
      a.row_bytes = l.row_bytes, a.first_output = n, a.outputs = std::min(split, c.outputs - n);
      a.inputs = c.inputs, a.taps = c.taps, a.group = c.group, a.group_stride = l.groups;
      a.group_scale = l.group_scale.data() + n * l.groups;
      a.rows = c.rows, a.x_stride = c.inputs, a.x_zero = c.x_zero, a.scratch = scratch.data();
      (c.wide ? a.x = nullptr : a.x = l.x.data());
      (c.wide ? a.x16 = l.x16.data() : a.x16 = nullptr);
      (to_u8 ? a.y8 = y8.data() + n : a.y8 = nullptr);
      (to_u8 ? a.y32 = nullptr : a.y32 = y32.data() + n);
      a.y_stride = c.outputs, a.finish = l.finish(to_u8);
      a.finish.scale += n, a.finish.bias += n;
      if (a.finish.residual) a.finish.residual += n;
      way.run(a);
    }
    for (size_t i = 0; i < c.rows * c.outputs; ++i) {
      const float t = l.want(i / c.outputs, i % c.outputs, to_u8);
      wrong += to_u8 ? y8[i] != static_cast<int>(std::nearbyint(t)) + 90 : !(y32[i] == t);
    }
  }
  return wrong;
}

Plan esb_plan(uint32_t bits, uint32_t fraction) {
  int16_t integers[kMaxCodes];
  Plan plan;
  REQUIRE(esb_integers(bits, fraction, integers));
  REQUIRE(make_plan(integers, bits, &plan));
  return plan;
}

// Ways that can; every CPU has at least the reference.
int check_all(const Case& c, const Plan& plan) {
  const Layer layer(c, plan);
  const std::string shape = c.str() + " bits " + std::to_string(plan.bits);
  CAPTURE(shape);
  int ran = 0;
  for (const Row& row : kWays) {
    if (!includes(detect_isa(), row.isa)) continue;
    const std::string name = row.name;
    CAPTURE(name);
    const int wrong = wrong_results(*row.way, layer);
    CHECK(wrong <= 0);
    ran += wrong == 0;
  }
  CHECK(ran >= 1);
  return ran;
}

TEST_CASE("shift: every (bits, fraction): all codes meet all bytes") {
  for (uint32_t bits = 2; bits <= 8; ++bits) {
    for (uint32_t fraction = 0; fraction + 2 <= bits; ++fraction) {
      int16_t integers[kMaxCodes];
      if (!esb_integers(bits, fraction, integers)) continue;
      const Plan plan = esb_plan(bits, fraction);
      // One input: output n has code n, row r has byte r, so y32 is every product.
      check_all({256, size_t{1} << bits, 1}, plan);
      check_all({256, size_t{1} << bits, 1, 128}, plan);
      check_all({7, 37, 131, 113}, plan);
    }
  }
}

TEST_CASE("shift: rows, outputs, inputs of any size") {
  const Plan plan = esb_plan(4, 1);
  for (const size_t rows : {1u, 2u, 4u, 5u, 63u, 64u, 65u, 129u})
    for (const size_t outputs : {1u, 15u, 16u, 17u, 33u, 64u, 70u})
      for (const size_t inputs : {1u, 3u, 8u, 63u, 65u, 128u, 257u}) {
        if (rows > 5 && outputs > 33 && inputs > 65) continue;
        check_all({rows, outputs, inputs, 7}, plan);
      }
  check_all({3, 0, 8}, plan);
  check_all({0, 3, 8}, plan);
  check_all({3, 5, 0}, plan);
}

TEST_CASE("shift: every width of a code, sums at their ends") {
  for (uint32_t bits = 1; bits <= 8; ++bits) {
    int16_t integers[kMaxCodes];
    Int8Random random(bits);
    for (const int most : {7, 127, 255, 3000, int{kMaxInteger}}) {
      for (int16_t& v : integers) v = static_cast<int16_t>(random.between(-most, most));
      integers[0] = static_cast<int16_t>(most), integers[1] = static_cast<int16_t>(-most);
      Plan plan;
      REQUIRE(make_plan(integers, bits, &plan));
      for (const size_t inputs : {17u, 150u, 700u}) {
        if (!sums_fit(plan, inputs, 255)) continue;
        check_all({5, 33, inputs, 0}, plan);
        check_all({9, 40, inputs, 255, 1, 0, false, true}, plan);
        check_all({9, 40, inputs, 0, 1, 0, false, true}, plan);
      }
    }
  }
}

TEST_CASE("shift: windows, groups, residuals, x of 16 bits, splits of outputs") {
  for (const Plan& plan : {esb_plan(4, 1), esb_plan(5, 1), esb_plan(6, 2), esb_plan(8, 4)}) {
    check_all({17, 35, 72, 3, 9}, plan);
    check_all({17, 35, 75, 3, 25}, plan);
    check_all({6, 35, 128, 3, 1, 32}, plan);
    check_all({6, 35, 130, 3, 1, 32}, plan);
    check_all({70, 20, 600, 3, 1, 300}, plan);
    check_all({6, 35, 50, 3, 1, 7}, plan);
    check_all({6, 35, 50, 3, 1, 0, false, false, true}, plan);
    check_all({6, 35, 64, 3, 1, 16, false, false, true}, plan);
    check_all({40, 35, 90, 0, 1, 0, true}, plan);
    check_all({40, 35, 90, 0, 1, 32, true}, plan);
    for (const size_t split : {1u, 5u, 16u, 32u})
      check_all({9, 50, 90, 3, 1, 0, false, false, true, split}, plan);
  }
}

TEST_CASE("shift: groups of whole 16 bytes of codes, which single rows take as well") {
  for (const Plan& plan : {esb_plan(4, 1), esb_plan(4, 0), esb_plan(6, 3)}) {
    const bool halves = plan.bits == 4;
    for (const size_t group : {size_t{halves ? 32u : 16u}, size_t{96}, size_t{256}})
      for (const size_t inputs : {1u, 31u, 33u, 96u, 129u, 300u, 1027u})
        for (const size_t outputs : {1u, 4u, 31u, 32u, 33u, 70u})
          for (const int zero : {0, 3, 128, 255}) {
            if (group > inputs && inputs != 33) continue;
            check_all({2, outputs, inputs, zero, 1, group}, plan);
          }
    int dots = 0, can = 0;
    const Layer layer({1, 40, 100, 7, 1, 96}, plan);
    for (const Row& row : kWays) {
      if (row.kind != Kind::dot || !includes(detect_isa(), row.isa)) continue;
      ++dots, can += wrong_results(*row.way, layer) == 0;
    }
    CHECK(can == dots);
    check_all({5, 70, 300, 3, 1, 96, false, false, true, 33}, plan);
  }
}

TEST_CASE("shift: the plan's digits and planes are the integers") {
  for (int v = -kMaxInteger; v <= kMaxInteger; v += 3) {
    const int16_t integers[2] = {static_cast<int16_t>(v), 0};
    Plan plan;
    REQUIRE(make_plan(integers, 1, &plan));
    int sum = 0;
    for (size_t t = 0; t < plan.terms[0]; ++t)
      sum += (plan.negative[0][t] ? -1 : 1) * (1 << plan.shift[0][t]);
    if (sum != v || 256 * plan.high[0] + plan.low[0] != v || plan.terms[1] != 0) FAIL_CHECK(v);
  }
  const int16_t beyond[2] = {static_cast<int16_t>(kMaxInteger + 1), 0};
  Plan plan;
  CHECK_FALSE(make_plan(beyond, 1, &plan));
  CHECK_FALSE(make_plan(beyond, 0, &plan));
  CHECK_FALSE(make_plan(beyond, 9, &plan));
}

TEST_CASE("shift: integers of ESB are v * 2^fraction of its formula; OCP formats are among them") {
  for (uint32_t bits = 2; bits <= 8; ++bits) {
    for (uint32_t k = 0; k + 2 <= bits; ++k) {
      int16_t integers[kMaxCodes];
      const uint32_t e = bits - 1 - k;
      const double most = std::ldexp(1.0, (1 << e) - 1) - std::ldexp(1.0, (1 << e) - 2 - int(k));
      CHECK(esb_integers(bits, k, integers) == (std::ldexp(most, int(k)) <= kMaxInteger));
      if (!esb_integers(bits, k, integers)) continue;
      for (uint32_t code = 0; code < 1u << bits; ++code) {
        const uint32_t sign = code >> (bits - 1), field = code >> k & ((1u << e) - 1);
        const double m = std::ldexp(static_cast<double>(code & ((1u << k) - 1)), -int(k));
        const double v = field == 0 ? m : (1 + m) * std::ldexp(1.0, int(field) - 1);
        CHECK(integers[code] == (sign ? -1 : 1) * std::ldexp(v, int(k)));
      }
    }
  }
  int16_t fp4[kMaxCodes], wrong[kMaxCodes];
  REQUIRE(esb_integers(4, 1, fp4));
  const double e2m1[8] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  for (size_t i = 0; i < 8; ++i) {
    CHECK(fp4[i] == 2 * e2m1[i]);
    CHECK(fp4[i + 8] == -2 * e2m1[i]);
  }
  CHECK_FALSE(esb_integers(4, 3, wrong));
  CHECK_FALSE(esb_integers(9, 3, wrong));
  CHECK_FALSE(esb_integers(1, 0, wrong));
}

TEST_CASE("shift: sums_fit refuses what could overflow") {
  const Plan plan = esb_plan(8, 4);  // at most 1984
  CHECK(sums_fit(plan, 2654, 255));
  CHECK_FALSE(sums_fit(plan, 2700, 255));
  CHECK_FALSE(sums_fit(plan, uint64_t{1} << 62, 255));
}

}  // namespace
}  // namespace qrt::kernels::shift
