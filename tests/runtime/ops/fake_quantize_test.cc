// Quantizers in f32: every rounding against its definition, to the bit; step functions
// against counting.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

// As schema/qrt.fbs says, with -0 taken as 0: the definition the kernels rearrange.
float rounded(Rounding rounding, float v) {
  const float size = std::fabs(v);
  switch (rounding) {
    case Rounding::half_even:
      return std::nearbyint(v) + 0.0f;
    case Rounding::half_away:
      return std::copysign(std::floor(size + 0.5f), v) + 0.0f;
    case Rounding::half_to_zero:
      return std::copysign(std::ceil(size - 0.5f), v) + 0.0f;
    case Rounding::floor:
      return std::floor(v) + 0.0f;
    case Rounding::ceil:
      return std::ceil(v) + 0.0f;
    case Rounding::to_zero:
      return std::trunc(v) + 0.0f;
    case Rounding::away:
      return std::copysign(std::ceil(size), v) + 0.0f;
  }
  return v;
}

float quantized(const FakeQuantizeAttr& a, float x, float scale, float zero) {
  const float v = x / scale;
  const float q = a.zero_after ? rounded(a.rounding, v) + zero : rounded(a.rounding, v + zero);
  return ((q < a.low ? a.low : q > a.high ? a.high : q) - zero) * scale;
}

// Values around every level and every half, far beyond the levels, and none at all.
std::vector<float> hostile(size_t n, float scale) {
  std::vector<float> v = random_floats(n, 21);
  for (float& x : v) x *= 40 * scale;
  const float special[] = {
      kNan,          kInf,          -kInf,  -0.0f,         0.5f * scale,        1.5f * scale,
      -2.5f * scale, 3.4028234e38f, 1e-45f, -0.3f * scale, 0.49999997f * scale, -3 * scale};
  for (size_t i = 0; i < n; i += 5) v[i] = special[i / 5 % 12];
  return v;
}

bool same_bits(const HostTensor& out, const std::vector<float>& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    const float got = out[i];
    const bool both_nan = std::isnan(got) && std::isnan(want[i]);
    if (!both_nan && std::memcmp(&got, &want[i], sizeof got) != 0) {
      MESSAGE("element " << i << ": " << got << " for " << want[i]);
      return false;
    }
  }
  return true;
}

// Runs on [2, 3, h, 5] and compares; scales and zeros by element of the axis or one of each.
void check_quantizer(FakeQuantizeAttr a, const Shape& s, const std::vector<float>& scale,
                     const std::vector<float>& zero) {
  a.scale = constant_of(scale), a.zero = constant_of(zero);
  Node node;
  node.name = "grid", node.kind = OpKind::fake_quantize, node.fake_quantize = &a;
  const HostTensor in = floats(s, hostile(*s.elements().get(), scale[0]));
  size_t inner = 1;
  for (int d = a.axis + 1; d < s.rank; ++d) inner *= static_cast<size_t>(s[d]);
  std::vector<float> want(in.count());
  for (size_t i = 0; i < want.size(); ++i) {
    const size_t c = i / inner % static_cast<size_t>(s[a.axis]);
    want[i] = quantized(a, in[i], scale[scale.size() == 1 ? 0 : c], zero[zero.size() == 1 ? 0 : c]);
  }
  for (const uint32_t threads : {1u, 3u}) {
    OpRun run;
    run.threads = threads;
    HostTensor out{DType::f32, s, {}, false, {}};
    REQUIRE(run(node, {in}, &out).ok());
    CHECK(same_bits(out, want));
    CHECK(run.guards_held);
  }
}

TEST_CASE("fake_quantize: every rounding, place of the zero and axis") {
  for (int rounding = 0; rounding <= static_cast<int>(Rounding::away); ++rounding)
    for (const bool after : {false, true}) {
      FakeQuantizeAttr a{};
      a.rounding = static_cast<Rounding>(rounding), a.zero_after = after, a.low = -8, a.high = 7;
      for (int axis = 0; axis < 4; ++axis) {
        a.axis = axis;
        const Shape s = shape({2, 3, 701, 5});
        std::vector<float> scale, zero;
        for (int c = 0; c < s[axis]; ++c) {
          scale.push_back(0.07f * static_cast<float>(c % 9 + 1));
          zero.push_back(after ? static_cast<float>(c % 5 - 2) : 0.25f * static_cast<float>(c % 7));
        }
        check_quantizer(a, s, scale, zero);
        check_quantizer(a, s, {0.3f}, zero);
        check_quantizer(a, s, scale, {0});
      }
      a.axis = 0;
      check_quantizer(a, shape({1}), {0.1f}, {1});
      check_quantizer(a, shape({70001}), {0.1f}, {-3});
    }
}

TEST_CASE("fake_quantize: sixteen bits") {
  FakeQuantizeAttr a{};
  a.low = 0, a.high = 65535, a.axis = 0;
  check_quantizer(a, shape({999}), {1e-3f}, {0});
  a.low = -32768, a.high = 32767, a.zero_after = true;
  check_quantizer(a, shape({999}), {1e-3f}, {-32768});
}

TEST_CASE("steps: counts the thresholds reached, by comparison and by search") {
  for (const uint32_t count : {1u, 2u, 3u, 15u, 64u, 65u, 255u})
    for (int axis = 0; axis < 3; ++axis)
      for (const bool many : {false, true}) {
        const Shape s = shape({3, 67, 130});
        const uint32_t rows = many ? static_cast<uint32_t>(s[axis]) : 1;
        std::vector<float> thresholds(size_t{rows} * count);
        for (size_t i = 0; i < thresholds.size(); ++i) {
          const auto c = static_cast<float>(i / count % 11), k = static_cast<float>(i % count);
          thresholds[i] =
              (k / 2 - static_cast<float>(count) / 4) / static_cast<float>(count) + 0.01f * c;
        }
        StepsAttr a{};
        a.thresholds = constant_of(thresholds), a.count = count;
        a.scale = 0.3f, a.bias = -1.1f, a.axis = many ? axis : 0;
        Node node;
        node.name = "steps", node.kind = OpKind::steps, node.steps = &a;
        std::vector<float> x = random_floats(*s.elements().get(), 5);
        for (size_t i = 0; i < x.size(); i += 3) x[i] = thresholds[i % thresholds.size()];
        x[7] = kNan, x[8] = kInf, x[9] = -kInf;
        size_t inner = 1;
        for (int d = axis + 1; d < s.rank; ++d) inner *= static_cast<size_t>(s[d]);
        std::vector<float> want;
        for (size_t i = 0; i < x.size(); ++i) {
          const size_t row = many ? i / inner % rows : 0;
          float reached = 0;
          for (uint32_t k = 0; k < count; ++k) reached += x[i] >= thresholds[row * count + k];
          const volatile float product = a.scale * reached;  // never fused with the addition
          want.push_back(a.bias + product);
        }
        for (const uint32_t threads : {1u, 2u}) {
          OpRun run;
          run.threads = threads;
          HostTensor out{DType::f32, s, {}, false, {}};
          REQUIRE(run(node, {floats(s, x)}, &out).ok());
          CHECK(same_bits(out, want));
          CHECK(run.guards_held);
        }
      }
}

TEST_CASE("quantizers: no memory, other types and shapes are refused") {
  const std::vector<float> scale = {0.5f}, zero = {0}, thresholds = {1, 2};
  FakeQuantizeAttr grid{};
  grid.scale = constant_of(scale), grid.zero = constant_of(zero), grid.high = 3;
  StepsAttr steps{};
  steps.thresholds = constant_of(thresholds), steps.count = 2, steps.scale = 1;
  Node nodes[2];
  nodes[0].name = "grid", nodes[0].kind = OpKind::fake_quantize, nodes[0].fake_quantize = &grid;
  nodes[1].name = "steps", nodes[1].kind = OpKind::steps, nodes[1].steps = &steps;
  const HostTensor in = random_tensor(shape({4}), 1);
  for (const Node& node : nodes) {
    const auto id_of = [&](const HostTensor& x, HostTensor out) {
      OpRun run;
      return run(node, {x}, &out).id();
    };
    CHECK(id_of(in, HostTensor{DType::f32, shape({4}), {}, false, {}}) == 0);
    CHECK(id_of(in, HostTensor{DType::f32, shape({5}), {}, false, {}}) == 253);
    CHECK(id_of(in, HostTensor{DType::i32, shape({4}), {}, false, {}}) == 252);
    for (int64_t n = 0; n < 20; ++n) {
      OpRun run;
      run.fail_after = n;
      HostTensor out{DType::f32, shape({4}), {}, false, {}};
      const Status s = run(node, {in}, &out);
      CHECK(run.leaked == 0);
      if (s.ok()) break;
      CHECK(s.id() == 258);
    }
  }
}

}  // namespace
}  // namespace qrt::test
