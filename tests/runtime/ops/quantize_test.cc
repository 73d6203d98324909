// f32 to quantized bytes and back, to the bit.
#include <doctest/doctest.h>

#include "kernels/int8/int8.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

Node quantize_node() {
  Node node;
  node.name = "quantize", node.kind = OpKind::quantize;
  return node;
}

std::vector<float> hostile_floats(size_t n, float scale) {
  std::vector<float> v = random_floats(n, 11);
  for (float& x : v) x *= 300 * scale;
  const float special[] = {kNan,         kInf,         -kInf,         -0.0f, 0.5f * scale,
                           1.5f * scale, 2.5f * scale, 3.4028234e38f, 1e-45f};
  for (size_t i = 0; i < n; i += 7) v[i] = special[i / 7 % 9];
  return v;
}

TEST_CASE("quantize: rounds to nearest even, clamps, and a NaN is 0") {
  for (const auto& row : kernels::int8::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    for (const Quantization q : {Quantization{0.25f, 0}, {0.02f, 128}, {3e37f, 255}, {1e-37f, 3}})
      for (const int n : {1, 15, 16, 33, 40000}) {
        const std::vector<float> x = hostile_floats(size_t(n), q.scale);
        std::vector<unsigned char> want;
        for (const float v : x) {
          const float t = std::nearbyint(v * (1 / q.scale)) + static_cast<float>(q.zero);
          want.push_back(!(t > 0) ? 0 : t > 255 ? 255 : static_cast<unsigned char>(t));
        }
        for (const uint32_t threads : {1u, 3u}) {
          OpRun run;
          run.isa = row.isa, run.threads = threads;
          HostTensor out{DType::u8, shape({1, n}), {}, false, q};
          REQUIRE(run(quantize_node(), {floats(shape({1, n}), x)}, &out).ok());
          CHECK(out.bytes == want);
          CHECK(run.guards_held);
        }
      }
  }
}

TEST_CASE("quantize: back is scale times the distance from zero") {
  const Quantization q{0.3f, 77};
  const HostTensor in = random_bytes(shape({7, 5000}), 3, q);
  for (const uint32_t threads : {1u, 2u}) {
    OpRun run;
    run.threads = threads;
    HostTensor out{DType::f32, in.shape, {}, false, {}};
    REQUIRE(run(quantize_node(), {in}, &out).ok());
    bool all = true;
    for (size_t i = 0; i < in.count(); ++i)
      all = all && out[i] == q.scale * static_cast<float>(int{in.bytes[i]} - q.zero);
    CHECK(all);
  }
}

TEST_CASE("quantize: other types, shapes and scales are refused") {
  const auto id_of = [](const HostTensor& in, HostTensor out) {
    OpRun run;
    return run(quantize_node(), {in}, &out).id();
  };
  const HostTensor f = random_tensor(shape({4}), 1);
  const HostTensor q = random_bytes(shape({4}), 1, {0.5f, 3}),
                   plain = random_bytes(shape({4}), 1, {});
  CHECK(id_of(f, q) == 0);
  CHECK(id_of(q, f) == 0);
  CHECK(id_of(f, f) == 252);
  CHECK(id_of(f, plain) == 252);
  CHECK(id_of(plain, f) == 252);
  CHECK(id_of(q, q) == 252);
  CHECK(id_of(f, random_bytes(shape({5}), 1, {0.5f, 3})) == 253);
}

}  // namespace
}  // namespace qrt::test
