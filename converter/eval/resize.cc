// Resize by its definition: every output element is a sum over all combinations of
// the taps of its axes. Slow and independent of the runtime, which works axis by axis.
//
// Along one axis of n elements, output index x of m stands for a place p in the
// input (ONNX's coordinate formulas); the taps are the elements around p.
#include <algorithm>
#include <array>
#include <cmath>

#include "converter/eval/compute.h"

namespace qrt::eval {
namespace {

using Coordinates = ir::Resize::Coordinates;
using Mode = ir::Resize::Mode;
using Nearest = ir::Resize::Nearest;

struct Tap {
  int64_t index;
  double weight;
};
// Of one output index; `outside` where tf_crop_and_resize leaves the input.
struct Taps {
  bool outside = false;
  std::vector<Tap> list;
};

struct Axis {
  const ir::Resize& resize;
  size_t axis, rank;
  double n, m;

  double place(double x) const {
    const double given = static_cast<double>(resize.scales[axis]);
    const double scale = given > 0 ? given : m / n, length = given > 0 ? given * n : m;
    const double half_pixel = (x + 0.5) / scale - 0.5;
    switch (resize.coordinates) {
      case Coordinates::half_pixel:
        return half_pixel;
      case Coordinates::pytorch_half_pixel:
        return length > 1 ? half_pixel : 0;
      case Coordinates::align_corners:
        return length == 1 ? 0 : x * (n - 1) / (length - 1);
      case Coordinates::asymmetric:
        return x / scale;
      case Coordinates::tf_half_pixel_for_nn:
        return (x + 0.5) / scale;
      case Coordinates::tf_crop_and_resize:
        break;
    }
    const double start = static_cast<double>(resize.roi[axis]) * (n - 1);
    const double end = static_cast<double>(resize.roi[rank + axis]) * (n - 1);
    return length > 1 ? start + x * (end - start) / (length - 1) : (start + end) / 2;
  }

  int64_t edge(double i) const { return static_cast<int64_t>(std::clamp(i, 0.0, n - 1)); }

  double round(double p) const {
    switch (resize.nearest) {
      case Nearest::round_prefer_floor:
        return std::ceil(p - 0.5);
      case Nearest::round_prefer_ceil:
        return std::floor(p + 0.5);
      case Nearest::floor:
        return std::floor(p);
      case Nearest::ceil:
        return std::ceil(p);
    }
    return p;
  }

  // Keys' four weights for the part r of p behind its floor.
  std::array<double, 4> cubic(double r) const {
    const double a = static_cast<double>(resize.cubic_a), s = 1 - r;
    return {((a * (r + 1) - 5 * a) * (r + 1) + 8 * a) * (r + 1) - 4 * a,
            ((a + 2) * r - (a + 3)) * r * r + 1, ((a + 2) * s - (a + 3)) * s * s + 1,
            ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a};
  }

  Taps taps(double x) const {
    double p = place(x);
    if (resize.coordinates == Coordinates::tf_crop_and_resize && !(p >= 0 && p <= n - 1)) {
      return {true, {}};
    }
    p = std::isnan(p) ? 0 : std::clamp(p, -4.0, n + 3);  // beyond, all taps are the edge
    if (resize.mode == Mode::nearest) return {false, {{edge(round(p)), 1}}};
    const double low = std::floor(p), r = p - low;
    std::vector<Tap> list;
    if (resize.mode == Mode::linear) {
      add(low, 1 - r, list);
      add(low + 1, r, list);
    } else {
      const std::array<double, 4> weights = cubic(r);
      for (int k = 0; k < 4; ++k) add(low + k - 1, weights[static_cast<size_t>(k)], list);
    }
    double sum = 0;
    for (const Tap& tap : list) sum += tap.weight;
    if (sum == 0) return {false, {{edge(low), 1}}};
    if (resize.exclude_outside) {
      for (Tap& tap : list) tap.weight /= sum;
    }
    return {false, list};
  }

  void add(double i, double weight, std::vector<Tap>& list) const {
    if (weight == 0 || (resize.exclude_outside && (i < 0 || i > n - 1))) return;
    list.push_back({edge(i), weight});
  }
};

// The sum over the taps of axis d and all behind it, for the block of x that starts at `at`.
double sum_taps(const View& x, const std::vector<const Taps*>& taps, size_t d, int64_t at,
                double outside) {
  if (d == taps.size()) return static_cast<double>(x.data[static_cast<size_t>(at)]);
  if (taps[d]->outside) return outside;
  double sum = 0;
  for (const Tap& tap : taps[d]->list) {
    sum += tap.weight * sum_taps(x, taps, d + 1, at * x.shape[d] + tap.index, outside);
  }
  return sum;
}

}  // namespace

Result<void> compute(Call& call, const ir::Resize& resize) {
  const View& x = call.in[0];
  const std::vector<int64_t>& shape = call.out.shape;
  std::vector<std::vector<Taps>> table(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    const Axis axis{resize, d, shape.size(), static_cast<double>(x.shape[d]),
                    static_cast<double>(shape[d])};
    for (int64_t i = 0; i < shape[d]; ++i) {
      table[d].push_back(resize.sizes[d] == 0 ? Taps{false, {{i, 1}}}
                                              : axis.taps(static_cast<double>(i)));
    }
  }
  std::vector<const Taps*> taps(shape.size());
  for (size_t i = 0; i < call.out.data.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    for (size_t d = shape.size(); d-- > 0; rest /= shape[d]) {
      taps[d] = &table[d][static_cast<size_t>(rest % shape[d])];
    }
    const double outside = static_cast<double>(resize.outside);
    call.out.data[i] = static_cast<float>(sum_taps(x, taps, 0, 0, outside));
  }
  return {};
}

}  // namespace qrt::eval
