// See pool_bytes.h.
#include "runtime/ops/pool_bytes.h"

#include <cstring>

#include "runtime/ops/quantized.h"

namespace qrt {
namespace {

constexpr size_t kChunk = 64;  // channels whose sums are held at a time

void max_pixel(const View<uint8_t>& v, size_t channels, uint8_t* __restrict to) {
  if (v.first == nullptr) {
    std::memset(to, 0, channels);
    return;
  }
  std::memcpy(to, v.first, channels);
  v.rest([=](const uint8_t* __restrict p) {
    for (size_t c = 0; c < channels; ++c) to[c] = p[c] > to[c] ? p[c] : to[c];
  });
}

}  // namespace

Status BytePool::prepare(const Pool2dAttr& a, const ConvGeometry& g, const PrepareContext& ctx) {
  const ConstTensorView& in = ctx.in[0];
  const TensorView& out = ctx.out[0];
  const bool to_bytes = is_quantized(out.dtype, out.quantization);
  const bool good = a.mode == PoolMode::max
                        ? to_bytes && out.quantization == in.quantization
                        : a.mode == PoolMode::average && (to_bytes || out.dtype == DType::f32);
  if (!good || !is_quantized(in.dtype, in.quantization))
    return Status(Code::unsupported, 252, "this pool is not computed on these quantized tensors")
        .values(static_cast<int64_t>(in.dtype), static_cast<int64_t>(out.dtype))
        .next("convert the model again");
  const uint64_t rows = g.window.kernel_h < g.in_h ? g.window.kernel_h : g.in_h;
  const uint64_t columns = g.window.kernel_w < g.in_w ? g.window.kernel_w : g.in_w;
  if (a.mode == PoolMode::average && rows * columns > INT32_MAX / 255)
    return Status(Code::unsupported, 265, "the sum of a pool of bytes may exceed int32")
        .at_most(static_cast<int64_t>(rows * columns), INT32_MAX / 255)
        .next("convert the model with f32 activations");
  mode_ = a.mode, count_include_pad_ = a.count_include_pad;
  x_ = in.quantization;
  if (to_bytes) y_ = out.quantization;
  return {};
}

void BytePool::run_row(const ConvGeometry& g, const RunContext& ctx, size_t row) const {
  for_windows(g, ctx.in[0].as<uint8_t>(), row, [&](const View<uint8_t>& v, size_t pixel) {
    if (mode_ == PoolMode::max)
      max_pixel(v, g.in_c, ctx.out[0].as<uint8_t>() + pixel * g.in_c);
    else
      average(v, g, pixel * g.in_c, ctx);
  });
}

// float(sum) * (x.scale / count), times 1 / y.scale where the output is quantized; 0 of no pixel.
void BytePool::average(const View<uint8_t>& v, const ConvGeometry& g, size_t at,
                       const RunContext& ctx) const {
  const size_t inside = v.pixels(), count = count_include_pad_ ? g.taps() : inside;
  float factor = count == 0 ? 0.0f : x_.scale / static_cast<float>(count);
  if (y_.present()) factor *= 1 / y_.scale;
  const int32_t zeros = static_cast<int32_t>(inside) * x_.zero, zero = y_.zero;
  for (size_t c0 = 0; c0 < g.in_c; c0 += kChunk) {
    const size_t n = g.in_c - c0 < kChunk ? g.in_c - c0 : kChunk;
    int32_t sum[kChunk];
    for (size_t c = 0; c < n; ++c) sum[c] = (inside == 0 ? 0 : v.first[c0 + c]) - zeros;
    v.rest([&](const uint8_t* p) {
      for (size_t c = 0; c < n; ++c) sum[c] += p[c0 + c];
    });
    if (!y_.present()) {
      float* to = ctx.out[0].as<float>() + at + c0;
      for (size_t c = 0; c < n; ++c) to[c] = static_cast<float>(sum[c]) * factor;
      continue;
    }
    uint8_t* to = ctx.out[0].as<uint8_t>() + at + c0;
    const ByteBounds bounds = byte_bounds({}, y_);
    for (size_t c = 0; c < n; ++c)
      to[c] = byte_of(static_cast<float>(sum[c]) * factor, bounds, zero);
  }
}

}  // namespace qrt
