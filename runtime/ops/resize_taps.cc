// The coordinate formulas are ONNX's (operator Resize, opset 11 to 17). An output
// that was asked for by a scale stands for scale * in elements, whole or not, as in
// ONNX's reference; one that was asked for by a size stands for just as many.
#include "runtime/ops/resize_taps.h"

#include <cmath>

namespace qrt {
namespace {

// The place in the input, in elements, that output index x stands for. May be any number.
double place(const ResizeAttr& a, int axis, double x, double in, double out) {
  const bool scaled = a.scale[axis] > 0;
  const double scale = scaled ? static_cast<double>(a.scale[axis]) : out / in;
  const double resized = scaled ? scale * in : out;
  switch (a.coordinates) {
    case Coordinates::half_pixel:
      break;
    case Coordinates::pytorch_half_pixel:
      if (resized <= 1) return 0;
      break;
    case Coordinates::align_corners:
      return resized == 1 ? 0 : x * (in - 1) / (resized - 1);
    case Coordinates::asymmetric:
      return x / scale;
    case Coordinates::tf_half_pixel_for_nn:
      return (x + 0.5) / scale;
    case Coordinates::tf_crop_and_resize: {
      const double start = static_cast<double>(a.roi_start[axis]);
      const double end = static_cast<double>(a.roi_end[axis]);
      if (resized <= 1) return 0.5 * (start + end) * (in - 1);
      return start * (in - 1) + x * (end - start) * (in - 1) / (resized - 1);
    }
  }
  return (x + 0.5) / scale - 0.5;
}

double nearest(NearestMode mode, double at) {
  switch (mode) {
    case NearestMode::round_prefer_floor:
      return std::ceil(at - 0.5);
    case NearestMode::round_prefer_ceil:
      return std::floor(at + 0.5);
    case NearestMode::floor:
      return std::floor(at);
    case NearestMode::ceil:
      return std::ceil(at);
  }
  return at;
}

// Keys' cubic convolution: the weight of a tap at distance d, 0 <= d <= 2.
double cubic(double a, double d) {
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

}  // namespace

int taps_of(ResizeMode mode) {
  return mode == ResizeMode::nearest ? 1 : mode == ResizeMode::linear ? 2 : kMaxTaps;
}

AxisTap tap_at(const ResizeAttr& a, int axis, int32_t x, int32_t in, int32_t out) {
  AxisTap tap{{0, 0, 0, 0}, {1, 0, 0, 0}};
  const double last = in - 1;
  double at = place(a, axis, x, in, out);
  if (a.coordinates == Coordinates::tf_crop_and_resize && !(at >= 0 && at <= last)) {
    tap.index[0] = -1;
    return tap;
  }
  // Beyond this every tap is the edge; what is no number counts as before the input.
  if (!(at > -4)) at = -4;
  if (at > last + 4) at = last + 4;
  const auto edge = [&](double i) { return static_cast<int32_t>(i < 0 ? 0 : i > last ? last : i); };
  if (a.mode == ResizeMode::nearest) {
    tap.index[0] = edge(nearest(a.nearest, at));
    return tap;
  }
  const double low = std::floor(at), part = at - low;
  const int taps = taps_of(a.mode);
  double weight[kMaxTaps], sum = 0;
  for (int k = 0; k < taps; ++k) {
    const int from_low = taps == 2 ? k : k - 1;
    const double i = low + from_low, distance = std::fabs(part - from_low);
    weight[k] = taps == 2 ? 1 - distance : cubic(static_cast<double>(a.cubic_a), distance);
    tap.index[k] = edge(i);
    if (a.exclude_outside && (i < 0 || i > last)) weight[k] = 0;
    sum += weight[k];
  }
  // Without a single tap inside, the edge stands for all.
  for (int k = 0; k < taps; ++k) {
    if (a.exclude_outside) weight[k] = sum != 0 ? weight[k] / sum : k == 0 ? 1 : 0;
    tap.weight[k] = static_cast<float>(weight[k]);
    if (tap.weight[k] == 0) tap.index[k] = edge(low);  // an infinity there must not become a NaN
  }
  return tap;
}

}  // namespace qrt
