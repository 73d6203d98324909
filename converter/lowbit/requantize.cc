// Level k begins at thresholds[k - 1] = T: with t(sum) = a * sum + c
//
//   t(T) > k - 1/2   and   t(T - 1) < k - 1/2,
//
// for those of the range. For a fixed a these are a lower and an upper bound of c; the room between
// the two is the least of some linear functions of a, so it has one summit, which a search by
// thirds finds. There c is put in the middle. Compiled without fused multiply-adds: the check has
// the runtime's roundings.
#include "converter/lowbit/requantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qrt::lowbit {
namespace {

constexpr int kThirds = 90;  // (2/3)^90 is below the last bit of a double

struct Room {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  double width() const { return high - low; }
};

Room room(const StepFunction& f, double a) {
  Room r;
  for (size_t k = 0; k < f.thresholds.size(); ++k) {
    const auto t = static_cast<double>(f.thresholds[k]);
    const double edge = static_cast<double>(k) + 0.5;
    if (f.thresholds[k] <= f.high) r.low = std::max(r.low, edge - a * t);
    if (f.thresholds[k] > f.low) r.high = std::min(r.high, edge - a * (t - 1));
  }
  return r;
}

double best_factor(const StepFunction& f) {
  double low = 0, high = static_cast<double>(f.thresholds.size()) + 1;
  for (int i = 0; i < kThirds; ++i) {
    const double third = (high - low) / 3, left = low + third, right = high - third;
    (room(f, left).width() < room(f, right).width() ? low : high) =
        room(f, left).width() < room(f, right).width() ? left : right;
  }
  return (low + high) / 2;
}

int64_t level_of(const StepFunction& f, int64_t sum) {
  return std::upper_bound(f.thresholds.begin(), f.thresholds.end(), sum) - f.thresholds.begin();
}

bool holds(const StepFunction& f, int32_t shift, float a, float c) {
  const auto least = static_cast<float>(shift);
  const auto most = static_cast<float>(shift + static_cast<int32_t>(f.thresholds.size()));
  const auto right = [&](int64_t sum) {
    if (sum < f.low || sum > f.high) return true;
    const float t = static_cast<float>(sum) * a + c;
    return static_cast<int64_t>(std::nearbyint(std::clamp(t, least, most))) ==
           shift + level_of(f, sum);
  };
  return std::all_of(f.thresholds.begin(), f.thresholds.end(),
                     [&](int64_t t) { return right(t - 1) && right(t); }) &&
         right(f.low) && right(f.high);
}

}  // namespace

std::optional<ScaleBias> fit_requantization(const StepFunction& f, int32_t shift, const Units& u) {
  const double unit = double{u.x_scale} * u.weight_scale * u.inverse;
  ScaleBias r;
  r.scale = static_cast<float>(best_factor(f) / unit);
  const float a = u.x_scale * u.weight_scale * r.scale * u.inverse;
  if (!std::isfinite(a) || !std::isfinite(r.scale)) return {};
  const Room c = room(f, double{a});
  if (!(c.width() > 0)) return {};
  // Where all sums are of one level one side is open.
  const double middle = std::isinf(c.low)    ? c.high - 0.5
                        : std::isinf(c.high) ? c.low + 0.5
                                             : (c.low + c.high) / 2;
  r.bias = static_cast<float>((middle + shift) / double{u.inverse});
  return holds(f, shift, a, r.bias * u.inverse) ? std::optional(r) : std::nullopt;
}

}  // namespace qrt::lowbit
