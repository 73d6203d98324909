// Every kit of the int8 family that this CPU runs, on guarded memory. Sums are taken by the test
// in 64 bits and finished by the formula of int8.h: kits must be right to the bit.
#include "kernels/int8/int8.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/guarded_buffer.h"

namespace qrt::kernels::int8 {
namespace {

using test::GuardedBuffer;
using Row = Kernel<const Kit>;

template <class F>
void each_kit(F&& f) {
  for (const Row& row : kKits) {
    if (!includes(detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    f(row);
  }
}

class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  int between(int lo, int hi) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return lo + static_cast<int>((state_ >> 33) % static_cast<uint64_t>(hi - lo + 1));
  }
  float real(float most) {
    return most * static_cast<float>(between(-1000000, 1000000)) / 1000000.0f;
  }

 private:
  uint64_t state_;
};

struct Case {
  size_t rows, inputs, outputs;
  int x_zero = 0;
  bool extreme = false;  // only the ends of both ranges
  bool scale = false, bias = false, residual = false;
  int zero = 0;
  bool bias_first = false, tame = false;
  std::string str() const {
    return std::to_string(rows) + " x " + std::to_string(inputs) + " x " + std::to_string(outputs);
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const size_t inputs : {1u, 2u, 3u, 4u, 5u, 15u, 16u, 17u, 31u, 63u, 64u, 65u, 147u})
    for (const size_t outputs : {1u, 3u, 7u, 8u, 9u, 16u, 17u, 31u, 32u, 33u, 50u})
      all.push_back({5, inputs, outputs, static_cast<int>(inputs % 256), false, true,
                     outputs % 2 == 0, inputs % 2 == 0, 17});
  for (const size_t rows : {0u, 1u, 2u, 7u, 13u, 14u, 15u, 29u, 49u})
    all.push_back({rows, 40, 36, 128, false, true, true, true, 255});
  for (const size_t outputs : {3u, 8u, 16u, 17u, 33u, 50u})
    all.push_back({15, 40, outputs, 128, false, outputs % 2 == 0, true, outputs == 50, 17, true});
  for (const size_t outputs : {7u, 16u, 32u, 33u, 50u, 64u})
    for (const bool extreme : {false, true})
      all.push_back({29, 40, outputs, 128, extreme, true, outputs != 33, false, 17, false, true});
  // Tall tiles, whose sums are finished in registers: heights of 12, 13 and 14.
  for (const size_t rows : {12u, 13u, 14u, 24u, 25u, 27u, 28u})
    for (const bool scale : {false, true})
      for (const bool residual : {false, true})
        all.push_back({rows, 40, 64, 128, false, scale, scale, residual, 17, false, scale});
  all.push_back({9, 4096, 40, 255, true, true, false, false, 0});
  all.push_back({9, 4608, 33, 0, true, false, false, false, 128});
  return all;
}

// A layer, its guarded memory and its exact result.
struct Layer {
  explicit Layer(const Case& shape)
      : c(shape),
        x(c.rows * c.inputs + kRowSlack),
        residual(c.rows * c.outputs),
        weights(c.outputs * c.inputs),
        scale(c.outputs),
        bias(c.outputs) {
    Random random(static_cast<uint32_t>(c.rows * 131 + c.inputs * 7 + c.outputs));
    for (uint8_t& v : x)
      v = static_cast<uint8_t>(c.extreme ? random.between(0, 1) * 255 : random.between(0, 255));
    for (int8_t& v : weights)
      v = static_cast<int8_t>(c.extreme ? random.between(0, 1) * 255 - 128
                                        : random.between(-128, 127));
    for (uint8_t& v : residual) v = static_cast<uint8_t>(random.between(0, 255));
    // Scales that spread results over the whole range of u8 and beyond it.
    for (float& v : scale)
      v = 0.02f / std::sqrt(static_cast<float>(c.inputs)) + random.real(0.004f);
    for (float& v : bias) v = random.real(c.bias_first ? 20000 : 100);
  }
  Finish finish(bool to_u8) const {
    Finish f{};
    if (c.scale) f.scale = scale.data();
    if (c.bias) f.bias = bias.data();
    if (c.residual) f.residual = residual.data();
    f.residual_stride = c.outputs, f.residual_scale = 0.37f, f.residual_zero = 100;
    f.zero = c.zero, f.bias_first = c.bias_first, f.tame = c.tame;
    f.min = to_u8 ? static_cast<float>(-c.zero) : -50.0f;
    f.max = to_u8 ? static_cast<float>(255 - c.zero) : 1e9f;
    return f;
  }
  int64_t sum(size_t m, size_t n) const {
    int64_t s = 0;
    for (size_t k = 0; k < c.inputs; ++k)
      s += (int64_t{x[m * c.inputs + k]} - c.x_zero) * weights[n * c.inputs + k];
    REQUIRE(std::abs(s) <= std::numeric_limits<int32_t>::max());
    return s;
  }
  float t(size_t m, size_t n, const Finish& f) const {
    volatile float t = static_cast<float>(sum(m, n));  // no operation may be fused
    if (c.bias_first) t = t + bias[n];
    if (c.scale) t = t * scale[n];
    if (c.bias && !c.bias_first) t = t + bias[n];
    if (c.residual) {
      volatile float r = static_cast<float>(int{residual[m * c.outputs + n]} - 100);
      r = r * 0.37f;
      t = t + r;
    }
    return std::min(f.max, std::max(f.min, static_cast<float>(t)));
  }

  Case c;
  GuardedBuffer<uint8_t> x, residual;
  GuardedBuffer<int8_t> weights;
  GuardedBuffer<float> scale, bias;
};

TEST_CASE("int8: the widest kit of an instruction set is chosen") {
  CHECK(std::string(select(kKits, isa_none).name) == "int8_reference");
#if QRT_BUILT_x86_avx2
  CHECK(std::string(select(kKits, x86_avx2).name) == "int8_avx2");
  CHECK(std::string(select(kKits, x86_avx2 | x86_avx512).name) == "int8_avx512");
  const IsaSet all = x86_avx2 | x86_avx512 | x86_avx512vnni;
  CHECK(std::string(select(kKits, all).name) == "int8_avx512vnni");
#endif
#if QRT_BUILT_arm_neon
  CHECK(std::string(select(kKits, arm_neon).name) == "int8_neon");
#endif
}

TEST_CASE("int8: gemm is the exact sum, finished to the bit, in u8 and in f32") {
  for (const Case& c : cases()) {
    const Layer layer(c);
    const std::string shape = c.str();
    CAPTURE(shape);
    each_kit([&](const Row& row) {
      const size_t N = row.tile.n;
      GuardedBuffer<uint8_t> y8(c.rows * c.outputs);
      GuardedBuffer<float> y32(c.rows * c.outputs);
      std::vector<uint8_t> panel(panel_bytes(*row.run, c.inputs) + 64);
      for (const bool to_u8 : {true, false}) {
        for (size_t n = 0; n < c.outputs; n += N) {
          const size_t outputs = std::min(N, c.outputs - n);
          void* at = panel.data() + (64 - reinterpret_cast<uintptr_t>(panel.data()) % 64);
          row.run->panel({layer.weights.data() + n * c.inputs, c.inputs, outputs, c.inputs, at});
          GemmArgs a{};
          a.rows = c.rows, a.inputs = c.inputs, a.outputs = outputs;
          a.x = layer.x.data(), a.x_stride = c.inputs, a.x_zero = c.x_zero, a.panel = at;
          a.y8 = to_u8 ? y8.data() + n : nullptr;
          a.y32 = to_u8 ? nullptr : y32.data() + n;
          a.y_stride = c.outputs, a.finish = layer.finish(to_u8);
          if (a.finish.scale) a.finish.scale += n;
          if (a.finish.bias) a.finish.bias += n;
          if (a.finish.residual) a.finish.residual += n;
          row.run->gemm(a);
        }
      }
      size_t wrong = 0;
      for (size_t m = 0; m < c.rows; ++m) {
        for (size_t n = 0; n < c.outputs; ++n) {
          const float t = layer.t(m, n, layer.finish(true));
          wrong += y8[m * c.outputs + n] != static_cast<int>(std::nearbyint(t)) + c.zero;
          wrong += y32[m * c.outputs + n] != layer.t(m, n, layer.finish(false));
        }
      }
      CHECK(wrong == 0);
    });
  }
}

// Two runs of 8 inputs, 16 apart, from input 12 on; rows go to places of their own.
TEST_CASE("int8: gemm of parts of a panel, rows out of order") {
  for (const size_t rows : {1u, 5u, 14u, 17u}) {
    for (const size_t outputs : {5u, 8u, 16u, 29u}) {
      each_kit([&](const Row& row) {
        if (outputs > row.tile.n) return;
        Case c{rows, 44, outputs, row.run->part_zero, false, true, true, true, 17};
        const Layer layer(c);
        const Runs runs{12, 2, 16};
        Layer part(c);  // the same with zeros for what is left out
        for (size_t n = 0; n < outputs; ++n)
          for (size_t k = 0; k < c.inputs; ++k)
            if (k < 12 || k >= 36 || (k >= 20 && k < 28)) part.weights[n * c.inputs + k] = 0;
        std::vector<uint8_t> panel(panel_bytes(*row.run, c.inputs) + 64);
        void* at = panel.data() + (64 - reinterpret_cast<uintptr_t>(panel.data()) % 64);
        row.run->panel({layer.weights.data(), c.inputs, outputs, c.inputs, at});
        std::vector<uint32_t> order(rows);
        for (size_t r = 0; r < rows; ++r) order[r] = static_cast<uint32_t>((r * 3 + 1) % rows);
        GuardedBuffer<uint8_t> x(rows * c.inputs + kRowSlack), y8(rows * outputs);
        GuardedBuffer<float> y32(rows * outputs);
        for (size_t r = 0; r < rows; ++r)
          std::memcpy(x.data() + r * c.inputs, layer.x.data() + order[r] * c.inputs, c.inputs);
        GemmArgs a{};
        a.rows = rows, a.inputs = 8, a.outputs = outputs, a.runs = runs, a.row_at = order.data();
        a.x = x.data() + runs.first, a.x_stride = c.inputs, a.x_zero = c.x_zero, a.panel = at;
        a.y8 = y8.data(), a.y_stride = outputs, a.finish = layer.finish(true);
        row.run->gemm(a);
        a.y8 = nullptr, a.y32 = y32.data(), a.finish = layer.finish(false);
        row.run->gemm(a);
        size_t wrong = 0;
        for (size_t m = 0; m < rows; ++m) {
          for (size_t n = 0; n < outputs; ++n) {
            const float t = part.t(m, n, layer.finish(true));
            wrong += y8[m * outputs + n] != static_cast<int>(std::nearbyint(t)) + c.zero;
            wrong += y32[m * outputs + n] != part.t(m, n, layer.finish(false));
          }
        }
        CHECK(wrong == 0);
      });
    }
  }
}

TEST_CASE("int8: dot is row 0 of gemm, tails of inputs and outputs included") {
  for (Case c : cases()) {
    c.rows = 1;
    const Layer layer(c);
    const std::string shape = c.str();
    CAPTURE(shape);
    each_kit([&](const Row& row) {
      GuardedBuffer<int32_t> sums(c.outputs);
      row.run->sums({layer.weights.data(), c.inputs, c.outputs, c.inputs, sums.data()});
      GuardedBuffer<uint8_t> x(c.inputs), y8(c.outputs);  // no slack here
      std::memcpy(x.data(), layer.x.data(), c.inputs);
      GuardedBuffer<float> y32(c.outputs);
      DotArgs a{c.inputs, c.outputs,   x.data(),  c.x_zero, layer.weights.data(),
                c.inputs, sums.data(), y8.data(), nullptr,  layer.finish(true)};
      row.run->dot(a);
      a.y8 = nullptr, a.y32 = y32.data(), a.finish = layer.finish(false);
      row.run->dot(a);
      size_t wrong = 0;
      for (size_t n = 0; n < c.outputs; ++n) {
        wrong +=
            y8[n] != static_cast<int>(std::nearbyint(layer.t(0, n, layer.finish(true)))) + c.zero;
        wrong += y32[n] != layer.t(0, n, layer.finish(false));
      }
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("int8: quantize rounds to nearest even and clamps; a NaN is the lowest") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const size_t count : {0u, 1u, 3u, 4u, 7u, 8u, 15u, 16u, 17u, 100u}) {
    GuardedBuffer<float> x(count);
    Random random(static_cast<uint32_t>(count) + 1);
    for (size_t i = 0; i < count; ++i) x[i] = 0.5f * static_cast<float>(random.between(-300, 300));
    if (count > 3) x[0] = nan, x[1] = infinity, x[2] = -infinity, x[3] = 1e30f;
    for (const int zero : {0, 100, 255}) {
      each_kit([&](const Row& row) {
        GuardedBuffer<uint8_t> q(count);
        row.run->quantize({x.data(), count, 0.5f, zero, q.data()});
        size_t wrong = 0;
        for (size_t i = 0; i < count; ++i) {
          const float t = x[i] * 0.5f;
          const float limited = std::isnan(t) ? -static_cast<float>(zero)
                                              : std::min(255.0f - static_cast<float>(zero),
                                                         std::max(-static_cast<float>(zero), t));
          wrong += q[i] != static_cast<int>(std::nearbyint(limited)) + zero;
        }
        CHECK(wrong == 0);
      });
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::int8
