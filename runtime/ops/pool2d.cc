// Maximum, average and p-norm over a sliding window, NHWC.
//
// Maximum ignores the padding; a NaN under the window makes the result a NaN; a
// window that lies wholly in the padding gives -inf. Average divides by the whole
// window with count_include_pad, else by the pixels inside the image; a window
// without any gives 0. The norm is (sum of |x|^p)^(1/p), 0 for no pixel. Channels are contiguous,
// so every inner loop runs over them.
#include <cmath>

#include "runtime/dense/lanes.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/conv_geometry.h"
#include "runtime/ops/factories.h"

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

// The pixels under one window: rows [y, y + rows) of columns [x, x + columns), steps apart.
struct View {
  const float* first;
  size_t rows, columns;
  size_t row_step, column_step;  // in floats
};

template <class T, class Load>
T fold_max(const View& v, Load&& at) {
  T best = at(v.first);
  for (size_t r = 0; r < v.rows; ++r)
    for (size_t c = r == 0 ? 1 : 0; c < v.columns; ++c)
      best = maximum(at(v.first + r * v.row_step + c * v.column_step), best);
  return best;
}

template <class T, class Load>
T fold_sum(const View& v, Load&& at) {
  T sum = at(v.first);
  for (size_t r = 0; r < v.rows; ++r)
    for (size_t c = r == 0 ? 1 : 0; c < v.columns; ++c)
      sum += at(v.first + r * v.row_step + c * v.column_step);
  return sum;
}

class Pool2d final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_f32(ctx));
    const Pool2dAttr& a = *node.pool2d;
    attr_ = a;
    if (a.is_global) {
      const Shape& in = ctx.in[0].shape;
      const uint32_t h = in.rank == 4 ? static_cast<uint32_t>(in[1]) : 1;
      const uint32_t w = in.rank == 4 ? static_cast<uint32_t>(in[2]) : 1;
      attr_.window = {h, w, 1, 1, 1, 1, 0, 0, 0, 0};
    }
    const size_t channels = ctx.in[0].shape.rank == 4 ? static_cast<size_t>(ctx.in[0].shape[3]) : 0;
    return window_geometry(ctx, attr_.window, channels, &geometry_);
  }

  Status run(const RunContext& ctx) const override {
    const float* in = ctx.in[0].as<float>();
    float* out = ctx.out[0].as<float>();
    auto rows = [&](size_t begin, size_t end) {
      for (size_t row = begin; row < end; ++row) run_row(in, out, row);
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
    if (attr_.mode == PoolMode::max) return "plain_f32_max_pool2d";
    if (attr_.mode == PoolMode::lp) return "plain_f32_lp_pool2d";
    return attr_.is_global ? "plain_f32_global_average_pool2d" : "plain_f32_average_pool2d";
  }

 private:
  // One row of output pixels; `row` counts over the batch.
  void run_row(const float* in, float* out, size_t row) const {
    const ConvGeometry& g = geometry_;
    const Window& k = g.window;
    const size_t image = row / g.out_h, y = row % g.out_h;
    const int64_t top = static_cast<int64_t>(y * k.stride_h) - int64_t{k.pad_top};
    const TapRange ty = taps_inside(top, k.kernel_h, k.dilation_h, g.in_h);
    for (size_t x = 0; x < g.out_w; ++x) {
      const int64_t left = static_cast<int64_t>(x * k.stride_w) - int64_t{k.pad_left};
      const TapRange tx = taps_inside(left, k.kernel_w, k.dilation_w, g.in_w);
      float* to = out + (row * g.out_w + x) * g.out_c;
      View v{nullptr, ty.last - ty.first, tx.last - tx.first, k.dilation_h * g.in_w * g.in_c,
             k.dilation_w * g.in_c};
      if (v.rows == 0 || v.columns == 0) {
        for (size_t c = 0; c < g.in_c; ++c)
          to[c] = attr_.mode == PoolMode::max ? -__builtin_inff() : 0.0f;
        continue;
      }
      const size_t iy = static_cast<size_t>(top + static_cast<int64_t>(ty.first * k.dilation_h));
      const size_t ix = static_cast<size_t>(left + static_cast<int64_t>(tx.first * k.dilation_w));
      v.first = in + ((image * g.in_h + iy) * g.in_w + ix) * g.in_c;
      if (attr_.mode == PoolMode::max)
        max_pixel(v, to);
      else if (attr_.mode == PoolMode::lp)
        norm_pixel(v, to);
      else
        average_pixel(v, to);
    }
  }

  void max_pixel(View v, float* to) const {
    size_t c = 0;
    for (; c + kLanes <= geometry_.in_c; c += kLanes, v.first += kLanes) {
      store_f32x4(to + c, fold_max<f32x4>(v, load_f32x4));
    }
    for (; c < geometry_.in_c; ++c, ++v.first)
      to[c] = fold_max<float>(v, [](const float* p) { return *p; });
  }

  void average_pixel(View v, float* to) const {
    const size_t inside = v.rows * v.columns;
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
  void norm_pixel(View v, float* to) const {
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
};

}  // namespace

Op* make_pool2d(Arena& keep) {
  return keep.make<Pool2d>();
}

}  // namespace qrt
