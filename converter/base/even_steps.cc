// For a fixed step the thresholds bound the start from both sides. The room between the bounds is
// the least of linear functions of the step, so it has one summit, which a search by thirds finds
// in whole numbers: |start| stays within 2^61, bounds within 2^62 and differences below 2^63.
#include "converter/base/even_steps.h"

#include <algorithm>

namespace qrt {
namespace {

constexpr int64_t kOne = int64_t{1} << 32, kMostStart = int64_t{1} << 61;

struct Room {
  int64_t low = -kMostStart, high = kMostStart;
  int64_t width() const { return high - low; }
};

Room room(std::span<const int64_t> low, std::span<const int64_t> high, int64_t step) {
  Room r;
  for (size_t k = 0; k < low.size(); ++k) {
    const int64_t passed = static_cast<int64_t>(k) * step;
    r.low = std::max(r.low, low[k] * kOne - passed);
    r.high = std::min(r.high, high[k] * kOne + (kOne - 1) - passed);
  }
  return r;
}

}  // namespace

std::optional<EvenSteps> even_steps(std::span<const int64_t> low, std::span<const int64_t> high) {
  if (low.empty() || low.size() > 255 || low.size() != high.size()) return {};
  for (size_t k = 0; k < low.size(); ++k)
    if (low[k] < -kMostEvenThreshold || high[k] > kMostEvenThreshold || low[k] > high[k]) return {};
  int64_t from = 0, to = kMostEvenStep;
  while (to - from > 2) {
    const int64_t third = (to - from) / 3, left = from + third, right = to - third;
    if (room(low, high, left).width() < room(low, high, right).width())
      from = left + 1;
    else
      to = right;
  }
  for (int64_t step = from; step <= to; ++step) {
    const Room r = room(low, high, step);
    if (r.width() >= 0) return EvenSteps{r.low + r.width() / 2, step};
  }
  return {};
}

}  // namespace qrt
