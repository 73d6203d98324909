// Operators other than layers on quantized tensors, to the bit: pools, sums, pads and moves.
#include <doctest/doctest.h>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

// zero + rne(clamp(t)); volatile floats keep compilers from fusing what is defined step by step.
unsigned char stored(float t, const Quantization& q, float lo = -1000, float hi = 1000) {
  const float least = static_cast<float>(-q.zero), most = static_cast<float>(255 - q.zero);
  lo = std::min(most, std::max(least, lo)), hi = std::min(most, std::max(least, hi));
  return static_cast<unsigned char>(q.zero + int(std::nearbyint(std::min(hi, std::max(lo, t)))));
}

struct PoolCase {
  PoolMode mode;
  Window window;
  bool include_pad = false, is_global = false, to_f32 = false;
  int channels = 5;
};

void check_pool(const PoolCase& c, const Quantization& x, const Quantization& y) {
  Pool2dAttr attr{c.mode, c.window, c.include_pad, c.is_global, 0};
  Node node;
  node.name = "pool", node.kind = OpKind::pool2d, node.pool2d = &attr;
  const HostTensor in = random_bytes(shape({2, 9, 7, c.channels}), 5, x);
  Window w = c.window;
  if (c.is_global) w = {9, 7, 1, 1, 1, 1, 0, 0, 0, 0};
  HostTensor out{
      c.to_f32 ? DType::f32 : DType::u8,
      shape({2, out_extent(9, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
             out_extent(7, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right),
             c.channels}),
      {},
      false,
      c.to_f32 ? Quantization{} : y};
  std::vector<int> sum(out.count()), most(out.count()), inside(out.count());
  for_taps(in.shape, out.shape, w, [&](int n, int oy, int ox, int iy, int ix, int, int) {
    for (int ch = 0; ch < c.channels; ++ch) {
      const size_t at = offset4(out.shape, n, oy, ox, ch);
      const int byte = in.bytes[offset4(in.shape, n, iy, ix, ch)];
      sum[at] += byte - x.zero, most[at] = std::max(most[at], byte), ++inside[at];
    }
  });
  std::vector<unsigned char> want(out.count() * size_of(out.dtype));
  for (size_t i = 0; i < out.count(); ++i) {
    const int count = c.include_pad ? static_cast<int>(w.kernel_h * w.kernel_w) : inside[i];
    volatile float factor = count == 0 ? 0.0f : x.scale / static_cast<float>(count);
    if (!c.to_f32) factor = factor * (1 / y.scale);
    const float t = static_cast<float>(sum[i]) * factor;
    if (c.to_f32)
      std::memcpy(want.data() + 4 * i, &t, 4);
    else
      want[i] = c.mode == PoolMode::max ? static_cast<unsigned char>(most[i]) : stored(t, y);
  }
  for (const uint32_t threads : {1u, 3u}) {
    OpRun run;
    run.threads = threads;
    const Status s = run(node, {in}, &out);
    REQUIRE_MESSAGE(s.ok(), s.what());
    CHECK(out.bytes == want);
    CHECK(run.guards_held);
  }
}

TEST_CASE("quantized pools: maxima of bytes, averages of exact sums") {
  const Quantization x{0.07f, 130}, y{0.031f, 20};
  for (const int channels : {1, 5, 64, 200}) {
    check_pool({PoolMode::max, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, false, false, false, channels}, x,
               x);
    for (const bool f32 : {false, true}) {
      check_pool({PoolMode::average, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}, false, false, f32, channels},
                 x, y);
      check_pool({PoolMode::average, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, true, false, f32, channels}, x,
                 y);
      check_pool({PoolMode::average, {3, 2, 1, 2, 2, 3, 2, 1, 2, 0}, false, false, f32, channels},
                 x, y);
      check_pool({PoolMode::average, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, false, true, f32, channels}, x,
                 y);
    }
  }
  // Windows in the padding alone.
  check_pool({PoolMode::max, {2, 2, 2, 2, 1, 1, 4, 4, 4, 4}}, {0.5f, 0}, {0.5f, 0});
  check_pool({PoolMode::average, {2, 2, 2, 2, 1, 1, 4, 4, 4, 4}}, x, y);
}

Node add_node(const BinaryAttr* attr) {
  Node node;
  node.name = "add", node.kind = OpKind::binary, node.binary = attr;
  return node;
}

void check_sum(const Shape& a, const Shape& b, const Shape& out_shape, const Clamp& clamp,
               const Quantization& y) {
  const BinaryAttr attr{BinaryOp::add, clamp};
  const Quantization qa{0.11f, 128}, qb{0.29f, 3};
  const HostTensor x = random_bytes(a, 1, qa), z = random_bytes(b, 2, qb);
  HostTensor out{DType::u8, out_shape, {}, false, y};
  const float inverse = 1 / y.scale;
  float lo = -1000, hi = 1000;
  if (clamp.activation == Activation::clamp)
    lo = std::nearbyint(clamp.min * inverse), hi = std::nearbyint(clamp.max * inverse);
  std::vector<unsigned char> want(out.count());
  const size_t last = static_cast<size_t>(out_shape[1]);
  for (size_t i = 0; i < want.size(); ++i) {
    const size_t ia = a[1] == 1 ? i / last : i, ib = b[0] == 1 ? i % last : i;
    volatile float p = static_cast<float>(int{x.bytes[ia]} - qa.zero) * (qa.scale * inverse);
    volatile float q = static_cast<float>(int{z.bytes[ib]} - qb.zero) * (qb.scale * inverse);
    want[i] = stored(p + q, y, lo, hi);
  }
  for (const uint32_t threads : {1u, 3u}) {
    OpRun run;
    run.threads = threads;
    const Status s = run(add_node(&attr), {x, z}, &out);
    REQUIRE_MESSAGE(s.ok(), s.what());
    CHECK(out.bytes == want);
    CHECK(run.guards_held);
  }
}

TEST_CASE("quantized sums: broadcast, clamped, rounded once") {
  for (const Quantization y : {Quantization{0.3f, 90}, {0.05f, 0}, {4.0f, 255}}) {
    check_sum(shape({300, 67}), shape({300, 67}), shape({300, 67}), {}, y);
    check_sum(shape({9, 16}), shape({1, 16}), shape({9, 16}), {Activation::clamp, 0, 3}, y);
    check_sum(shape({9, 1}), shape({9, 31}), shape({9, 31}), {Activation::clamp, 0, 3.4028234e38f},
              y);
  }
}

TEST_CASE("quantized tensors move like all others, and are padded with what quantize makes") {
  const Quantization q{0.5f, 40};
  const HostTensor in = random_bytes(shape({2, 3, 4}), 7, q);
  PadAttr pad{};
  pad.after[2] = 1;
  Node node;
  node.name = "pad", node.kind = OpKind::pad, node.pad = &pad;
  const struct {
    float value;
    int byte;
  } cases[] = {{0, 40}, {1, 42}, {-0.25f, 40}, {0.75f, 42}, {1e30f, 255}, {-1e30f, 0}};
  for (const auto& c : cases) {
    pad.value = c.value;
    HostTensor out{DType::u8, shape({2, 3, 5}), {}, false, q};
    OpRun run;
    REQUIRE(run(node, {in}, &out).ok());
    CHECK(out.bytes[3] == in.bytes[3]);
    CHECK(int{out.bytes[4]} == c.byte);
    CHECK(out.bytes[5] == in.bytes[4]);
  }
  const ConcatAttr concat{1};
  node.kind = OpKind::concat, node.concat = &concat;
  HostTensor joined{DType::u8, shape({2, 6, 4}), {}, false, q};
  OpRun run;
  REQUIRE(run(node, {in, in}, &joined).ok());
  CHECK(joined.bytes[12] == in.bytes[0]);
  CHECK(joined.bytes[24] == in.bytes[12]);
  const TransposeAttr transpose{{2, 0, 1}};
  node.kind = OpKind::transpose, node.transpose = &transpose;
  HostTensor turned{DType::u8, shape({4, 2, 3}), {}, false, q};
  REQUIRE(run(node, {in}, &turned).ok());
  CHECK(turned.bytes[1] == in.bytes[4]);
  CHECK(turned.bytes[6] == in.bytes[1]);
}

TEST_CASE("quantized tensors that do not go together are refused") {
  const Quantization x{0.07f, 130};
  const auto pool_id = [&](PoolMode mode, DType type, const Quantization& y, int size) {
    const Pool2dAttr attr{mode, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, false, true, 0};
    Node node;
    node.name = "pool", node.kind = OpKind::pool2d, node.pool2d = &attr;
    HostTensor out{type, shape({1, 1, 1, 1}), {}, false, y};
    OpRun run;
    return run(node, {random_bytes(shape({1, size, size, 1}), 5, x)}, &out).id();
  };
  CHECK(pool_id(PoolMode::max, DType::u8, x, 3) == 0);
  CHECK(pool_id(PoolMode::max, DType::u8, {0.07f, 131}, 3) == 252);
  CHECK(pool_id(PoolMode::max, DType::f32, {}, 3) == 252);
  CHECK(pool_id(PoolMode::average, DType::u8, {}, 3) == 252);
  CHECK(pool_id(PoolMode::average, DType::f32, {}, 2901) == 0);
  CHECK(pool_id(PoolMode::average, DType::f32, {}, 2902) == 265);  // 255 times as much is 2^31
  const auto add_id = [&](BinaryOp op, DType type, const Quantization& y) {
    const BinaryAttr attr{op, {}};
    const HostTensor a = random_bytes(shape({4}), 1, x);
    HostTensor b = a, out{DType::u8, shape({4}), {}, false, y};
    b.dtype = type;
    OpRun run;
    return run(add_node(&attr), {a, b}, &out).id();
  };
  CHECK(add_id(BinaryOp::add, DType::u8, x) == 0);
  CHECK(add_id(BinaryOp::mul, DType::u8, x) == 252);
  CHECK(add_id(BinaryOp::add, DType::i8, x) == 252);
  CHECK(add_id(BinaryOp::add, DType::u8, {}) == 252);
}

}  // namespace
}  // namespace qrt::test
