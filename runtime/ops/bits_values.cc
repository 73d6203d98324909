// Bits from and to other types, and maxima of them: x >= 0 is bit 1, of bytes byte >= zero; back it
// is +-scale, as f32 or as the byte nearest to it (schema/README.md, Numerics).
#include <cstring>

#include "runtime/ops/bit_rows.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/conv_geometry.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/pool_window.h"
#include "runtime/ops/quantized.h"

namespace qrt {
namespace {

class BitsQuantize final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    const ConstTensorView& in = ctx.in[0];
    const TensorView& out = ctx.out[0];
    from_bytes_ = is_quantized(in.dtype, in.quantization);
    to_bytes_ = is_quantized(out.dtype, out.quantization);
    packs_ = out.dtype == DType::bits && (in.dtype == DType::f32 || from_bytes_);
    const bool unpacks = in.dtype == DType::bits && (out.dtype == DType::f32 || to_bytes_);
    if (!packs_ && !unpacks)
      return Status(Code::unsupported, 252, "bits are made of f32 or bytes, or become these")
          .values(static_cast<int64_t>(in.dtype), static_cast<int64_t>(out.dtype))
          .next("convert the model again");
    zero_ = in.quantization.zero;
    scale_ = in.quantization.scale;
    if (to_bytes_) low_ = byte_of_value(-scale_, out.quantization);
    if (to_bytes_) high_ = byte_of_value(scale_, out.quantization);
    return check_output(ctx, in.shape);
  }

  Status run(const RunContext& ctx) const override {
    const Shape& shape = ctx.in[0].shape;
    const size_t n = row_of(shape), words = words_of_row(shape), rows = count_of(shape) / n;
    split_if_worth(ctx.threads, rows, 1, kElementsWorth / n, [&](size_t r, size_t end) {
      for (; r < end; ++r) {
        if (!packs_)
          unpack_one(ctx.in[0].as<uint64_t>() + r * words, n, r * n, ctx.out[0]);
        else if (from_bytes_)
          pack_row(ctx.in[0].as<uint8_t>() + r * n, n, ctx.out[0].as<uint64_t>() + r * words,
                   [z = zero_](uint8_t q) { return q >= z; });
        else
          pack_row(ctx.in[0].as<float>() + r * n, n, ctx.out[0].as<uint64_t>() + r * words,
                   [](float x) { return x >= 0; });
      }
    });
    return {};
  }

  const char* kernel_name() const override {
    return packs_ ? "plain_bits_pack" : "plain_bits_unpack";
  }

 private:
  template <class T, class Test>
  static void pack_row(const T* from, size_t n, uint64_t* to, Test test) {
    for (size_t i0 = 0; i0 < n; i0 += kWordBits) {
      uint8_t bytes[kWordBits] = {};
      const size_t count = n - i0 < kWordBits ? n - i0 : kWordBits;
      for (size_t i = 0; i < count; ++i) bytes[i] = test(from[i0 + i]);
      *to++ = packed(bytes);
    }
  }

  void unpack_one(const uint64_t* from, size_t n, size_t at, const TensorView& out) const {
    if (to_bytes_) return unpack_row(from, n, low_, high_, out.as<uint8_t>() + at);
    float* to = out.as<float>() + at;
    for (size_t i = 0; i < n; ++i)
      to[i] = from[i / kWordBits] >> i % kWordBits & 1u ? scale_ : -scale_;
  }

  bool packs_ = true, from_bytes_ = false, to_bytes_ = false;
  int32_t zero_ = 0;
  float scale_ = 0;
  uint8_t low_ = 0, high_ = 0;
};

// The maximum of bits is their or; of no pixel it is the least, 0.
class BitsPool final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    const ConstTensorView& in = ctx.in[0];
    const Pool2dAttr& a = *node.pool2d;
    if (a.mode != PoolMode::max || in.dtype != DType::bits || ctx.out[0].dtype != DType::bits)
      return Status(Code::unsupported, 252, "of packed bits only maxima are computed")
          .values(static_cast<int64_t>(in.dtype), static_cast<int64_t>(ctx.out[0].dtype))
          .next("convert the model again");
    Window window = a.window;
    if (a.is_global && in.shape.rank == 4)
      window = {static_cast<uint32_t>(in.shape[1]),
                static_cast<uint32_t>(in.shape[2]),
                1,
                1,
                1,
                1,
                0,
                0,
                0,
                0};
    const size_t channels = in.shape.rank == 4 ? static_cast<size_t>(in.shape[3]) : 0;
    QRT_TRY(window_geometry(ctx, window, channels, &geometry_));
    geometry_.in_c = geometry_.out_c = words_of_row(in.shape);
    return {};
  }

  Status run(const RunContext& ctx) const override {
    const ConvGeometry& g = geometry_;
    const size_t words = g.in_c, worth = kElementsWorth / (g.out_w * g.taps() * words + 1);
    split_if_worth(ctx.threads, g.batch * g.out_h, 1, worth, [&](size_t row, size_t end) {
      for (; row < end; ++row)
        for_windows(g, ctx.in[0].as<uint64_t>(), row, [&](const View<uint64_t>& v, size_t pixel) {
          uint64_t* to = ctx.out[0].as<uint64_t>() + pixel * words;
          for (size_t i = 0; i < words; ++i) to[i] = v.first == nullptr ? 0 : v.first[i];
          if (v.first == nullptr) return;
          v.rest([=](const uint64_t* p) {
            for (size_t i = 0; i < words; ++i) to[i] |= p[i];
          });
        });
    });
    return {};
  }

  const char* kernel_name() const override { return "plain_bits_max_pool2d"; }

 private:
  ConvGeometry geometry_{};
};

}  // namespace

Op* make_bits_quantize(Arena& keep) {
  return keep.make<BitsQuantize>();
}
Op* make_bits_pool2d(Arena& keep) {
  return keep.make<BitsPool>();
}

}  // namespace qrt
