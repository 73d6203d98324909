// Sizes of a sliding window over an NHWC image; convolutions, pools and the code
// behind them share it.
//
//   out = floor((in + pad_before + pad_after - (dilation * (kernel - 1) + 1)) / stride) + 1
//
// A linear layer is the 1x1 window over `batch` images of one pixel. A transposed
// convolution has the sizes the other way round:
//
//   out = (in - 1) * stride + dilation * (kernel - 1) + 1 + adjust - pad_before - pad_after
#ifndef QRT_RUNTIME_DENSE_GEOMETRY_H_
#define QRT_RUNTIME_DENSE_GEOMETRY_H_

#include <cstddef>
#include <cstdint>

#include "runtime/model/model.h"

namespace qrt {

struct ConvGeometry {
  size_t batch, in_h, in_w, in_c, out_h, out_w, out_c;
  size_t groups = 1;
  Window window;
  bool transposed = false;
  uint32_t adjust_h = 0, adjust_w = 0;

  size_t taps() const { return size_t{window.kernel_h} * window.kernel_w; }
  size_t group_in() const { return in_c / groups; }
  size_t group_out() const { return out_c / groups; }
  size_t rows() const { return batch * out_h * out_w; }  // output pixels
  bool depthwise() const { return groups > 1 && groups == in_c && !transposed; }
};

inline ConvGeometry linear_geometry(size_t rows, size_t inputs, size_t outputs) {
  return {rows, 1, 1, inputs, 1, 1, outputs, 1, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}};
}

// The kernel taps [first, last) of one axis that fall inside the image when the
// window starts at `start` (negative inside the leading padding).
struct TapRange {
  size_t first, last;
};
inline TapRange taps_inside(int64_t start, size_t kernel, size_t dilation, size_t extent) {
  const int64_t d = static_cast<int64_t>(dilation), end = static_cast<int64_t>(extent);
  const int64_t span = static_cast<int64_t>(kernel - 1) * d;
  if (start >= 0 && start + span < end && kernel != 0) return {0, kernel};  // most: no divisions
  const int64_t first = start < 0 ? (-start + d - 1) / d : 0;
  const int64_t past = start < end ? (end - start + d - 1) / d : 0;
  const int64_t k = static_cast<int64_t>(kernel);
  const int64_t last = past < k ? past : k;
  return {static_cast<size_t>(first), static_cast<size_t>(last > first ? last : first)};
}

// Limits of the outputs, -inf and +inf where there are none; min <= max. A NaN
// compares false with both and stays a NaN.
struct Limits {
  float min, max;
  bool any() const { return min > -__builtin_inff() || max < __builtin_inff(); }
};
inline float clamp_to(float x, Limits l) {
  x = x < l.min ? l.min : x;
  return x > l.max ? l.max : x;
}

}  // namespace qrt

#endif  // QRT_RUNTIME_DENSE_GEOMETRY_H_
