// Where the numbers of a resized axis come from: for every output index up to four
// input indices with weights. Pure arithmetic on one axis, in double precision.
#ifndef QRT_RUNTIME_OPS_RESIZE_TAPS_H_
#define QRT_RUNTIME_OPS_RESIZE_TAPS_H_

#include "runtime/model/model.h"

namespace qrt {

inline constexpr int kMaxTaps = 4;

// `taps` of each output index are used; index[0] is -1 where tf_crop_and_resize looks outside of
// the input.
struct AxisTap {
  int32_t index[kMaxTaps];
  float weight[kMaxTaps];
};

// 1, 2 or 4: nearest, linear, cubic.
int taps_of(ResizeMode);

// The taps of output index `x` of `out` along `axis`, an axis of `in` elements; all indices lie in
// [0, in). Weights add up to 1 (to rounding).
AxisTap tap_at(const ResizeAttr&, int axis, int32_t x, int32_t in, int32_t out);

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_RESIZE_TAPS_H_
