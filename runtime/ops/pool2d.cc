// Maximum, average and p-norm over a sliding window, NHWC.
//
// Maximum ignores the padding; a NaN under the window makes the result a NaN; a
// window that lies wholly in the padding gives -inf. Average divides by the whole
// window with count_include_pad, else by the pixels inside the image; a window
// without any gives 0. Quantized tensors are pool_bytes.cc's. The norm is (sum of |x|^p)^(1/p), 0
// for no pixel. Channels are contiguous, so every inner loop runs over them.
#include <cmath>

#include "runtime/dense/lanes.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/conv_geometry.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/pool_bytes.h"

namespace qrt {
namespace {

// IEEE 754-2019 maximum but for the sign of zeros: a NaN on either side survives.
inline float maximum(float x, float y) {
  return (x > y || x != x) ? x : y;
}
inline f32x4 maximum(f32x4 x, f32x4 y) {
  const auto take = (x > y) | (x != x);
  return take ? x : y;
}

template <class T, class Load>
T fold_max(const View<float>& v, Load&& at) {
  T best = at(v.first);
  v.rest([&](const float* p) { best = maximum(at(p), best); });
  return best;
}

template <class T, class Load>
T fold_sum(const View<float>& v, Load&& at) {
  T sum = at(v.first);
  v.rest([&](const float* p) { sum += at(p); });
  return sum;
}

class Pool2d final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    bytes_ = ctx.in[0].quantization.present();
    if (!bytes_) QRT_TRY(check_f32(ctx));
    const Pool2dAttr& a = *node.pool2d;
    attr_ = a;
    if (a.is_global) {
      const Shape& in = ctx.in[0].shape;
      const uint32_t h = in.rank == 4 ? static_cast<uint32_t>(in[1]) : 1;
      const uint32_t w = in.rank == 4 ? static_cast<uint32_t>(in[2]) : 1;
      attr_.window = {h, w, 1, 1, 1, 1, 0, 0, 0, 0};
    }
    const size_t channels = ctx.in[0].shape.rank == 4 ? static_cast<size_t>(ctx.in[0].shape[3]) : 0;
    QRT_TRY(window_geometry(ctx, attr_.window, channels, &geometry_));
    return bytes_ ? byte_pool_.prepare(attr_, geometry_, ctx) : Status();
  }

  Status run(const RunContext& ctx) const override {
    auto rows = [&](size_t begin, size_t end) {
      for (size_t row = begin; row < end; ++row) {
        if (bytes_)
          byte_pool_.run_row(geometry_, ctx, row);
        else
          run_row(ctx.in[0].as<float>(), ctx.out[0].as<float>(), row);
      }
    };
    const size_t all = geometry_.batch * geometry_.out_h;
    const size_t work = geometry_.rows() * geometry_.taps() * geometry_.in_c;
    if (work < kElementsWorth)
      rows(0, all);
    else
      split_if_worth(ctx.threads, all, 1, 2, rows);
    return {};
  }

  const char* kernel_name() const override {
    if (bytes_)
      return attr_.mode == PoolMode::max ? "plain_u8_max_pool2d" : "plain_u8_average_pool2d";
    if (attr_.mode == PoolMode::max) return "plain_f32_max_pool2d";
    if (attr_.mode == PoolMode::lp) return "plain_f32_lp_pool2d";
    return attr_.is_global ? "plain_f32_global_average_pool2d" : "plain_f32_average_pool2d";
  }

 private:
  // One row of output pixels; `row` counts over the batch.
  void run_row(const float* in, float* out, size_t row) const {
    const ConvGeometry& g = geometry_;
    for_windows(g, in, row, [&](const View<float>& v, size_t pixel) {
      float* to = out + pixel * g.out_c;
      if (v.first == nullptr) {
        for (size_t c = 0; c < g.in_c; ++c)
          to[c] = attr_.mode == PoolMode::max ? -__builtin_inff() : 0.0f;
      } else if (attr_.mode == PoolMode::max) {
        max_pixel(v, to);
      } else if (attr_.mode == PoolMode::lp) {
        norm_pixel(v, to);
      } else {
        average_pixel(v, to);
      }
    });
  }

  void max_pixel(View<float> v, float* to) const {
    size_t c = 0;
    for (; c + kLanes <= geometry_.in_c; c += kLanes, v.first += kLanes) {
      store_f32x4(to + c, fold_max<f32x4>(v, load_f32x4));
    }
    for (; c < geometry_.in_c; ++c, ++v.first)
      to[c] = fold_max<float>(v, [](const float* p) { return *p; });
  }

  void average_pixel(View<float> v, float* to) const {
    const size_t inside = v.pixels();
    const size_t count = attr_.count_include_pad ? geometry_.taps() : inside;
    const float divisor = static_cast<float>(count);
    size_t c = 0;
    for (; c + kLanes <= geometry_.in_c; c += kLanes, v.first += kLanes) {
      store_f32x4(to + c, fold_sum<f32x4>(v, load_f32x4) / divisor);
    }
    for (; c < geometry_.in_c; ++c, ++v.first)
      to[c] = fold_sum<float>(v, [](const float* p) { return *p; }) / divisor;
  }

  // 1 and 2 are the powers that networks use; the others need a power per pixel anyway.
  void norm_pixel(View<float> v, float* to) const {
    const float p = static_cast<float>(attr_.power);
    for (size_t c = 0; c < geometry_.in_c; ++c, ++v.first) {
      if (attr_.power == 1)
        to[c] = fold_sum<float>(v, [](const float* x) { return std::fabs(*x); });
      else if (attr_.power == 2)
        to[c] = std::sqrt(fold_sum<float>(v, [](const float* x) { return *x * *x; }));
      else
        to[c] = std::pow(
            fold_sum<float>(v, [p](const float* x) { return std::pow(std::fabs(*x), p); }), 1 / p);
    }
  }

  Pool2dAttr attr_{};
  ConvGeometry geometry_{};
  bool bytes_ = false;
  BytePool byte_pool_;
};

}  // namespace

Op* make_pool2d(Arena& keep) {
  return keep.make<Pool2d>();
}

}  // namespace qrt
