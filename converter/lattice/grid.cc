// With values v = u n (1 + d), |d| <= 2^-24, the unit u is a common divisor of
// all v up to rounding. Values are taken in ascending magnitude; each either is
// a multiple of the divisor g so far, or Euclid's algorithm makes g smaller.
// After every step g is made precise again from the largest value seen, so that
// its relative error stays near 2^-24 and the quotient v / g is off by about
// n * 2^-23. Two whole numbers below `most` whose quotient is not whole are at
// least 1 / most away from it: for most = 511 that is 0.002 against 0.0001.
// Random numbers have no divisor above max / most: Euclid needs a few steps to
// say so.
#include "converter/lattice/grid.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "converter/base/half.h"

namespace qrt::lattice {
namespace {

// Of a quotient that may be off by the rounding of both numbers.
double quotient_slack(double quotient) {
  return 5e-5 + std::abs(quotient) * 0x1p-22;
}

// How far v is from a multiple of g; 0 where that may be rounding.
double remainder_of(double v, double g, double slack) {
  const double quotient = v / g, r = std::abs(v - std::nearbyint(quotient) * g);
  return r <= quotient_slack(quotient) * g + slack ? 0 : r;
}

std::optional<double> common_divisor(std::span<const double> ascending, int32_t most,
                                     double slack) {
  const double least = ascending.back() / (most + 0.5);
  double g = ascending[0];
  for (const double v : ascending) {
    double a = v, r = remainder_of(v, g, slack);
    while (r > 0) {
      a = g, g = r;
      if (g < least) return std::nullopt;
      r = remainder_of(a, g, slack);
    }
    g = v / std::nearbyint(v / g);
  }
  if (g < least) return std::nullopt;
  return g;
}

// Half the way to the next float in the direction of `to`.
double half_way(float v, float to) {
  return (double{v} + double{std::nextafter(v, to)}) / 2;
}

std::optional<Values> merged(std::span<const float> values, size_t most, double slack) {
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  Values found;
  for (size_t i = 0; i < sorted.size();) {
    if (found.first.size() == most) return std::nullopt;
    size_t end = i;
    while (end < sorted.size() && double{sorted[end]} - double{sorted[i]} <= slack) ++end;
    found.first.push_back(sorted[i]);
    found.middle.push_back(sorted[i] + (sorted[end - 1] - sorted[i]) / 2);
    i = end;
  }
  return found;
}

bool reproduces(std::span<const float> values, const std::vector<int32_t>& n, const Level& level,
                float unit, double slack) {
  for (size_t i = 0; i < values.size(); ++i) {
    const float made = unit * level(n[i]);
    if (!(std::abs(double{made} - double{values[i]}) <= slack)) return false;
  }
  return true;
}

}  // namespace

size_t Values::place(float value) const {
  return static_cast<size_t>(std::upper_bound(first.begin(), first.end(), value) - first.begin()) -
         1;
}

std::optional<Values> distinct(std::span<const float> values, size_t most, double slack) {
  if (slack > 0) return merged(values, most, slack);
  // Open addressing; a value is its bits, and no value here is this NaN.
  constexpr uint32_t kFree = 0x7fffffff;
  std::vector<uint32_t> slots(std::bit_ceil(4 * std::min(most, values.size()) + 4), kFree);
  const size_t mask = slots.size() - 1;
  Values found;
  for (const float v : values) {
    const uint32_t bits = std::bit_cast<uint32_t>(v);
    size_t at = (bits * 2654435761u >> 7) & mask;
    while (slots[at] != kFree && slots[at] != bits) at = (at + 1) & mask;
    if (slots[at] == bits) continue;
    if (found.first.size() == most) return std::nullopt;
    slots[at] = bits;
    found.first.push_back(v);
  }
  std::sort(found.first.begin(), found.first.end());
  found.middle = found.first;
  return found;
}

std::optional<float> unit_for(std::span<const float> values, const std::vector<int32_t>& n,
                              const Level& level, double guess, double slack) {
  if (slack > 0) {
    const auto unit = static_cast<float>(guess);
    return reproduces(values, n, level, unit, slack) ? std::optional(unit) : std::nullopt;
  }
  // Every value leaves an interval of units whose product rounds to it.
  double low = 0, high = std::numeric_limits<float>::max();
  for (size_t i = 0; i < values.size(); ++i) {
    const double by = std::abs(double{level(n[i])});
    if (by == 0) continue;
    const float v = std::abs(values[i]);
    low = std::max(low, half_way(v, 0.0f) / by);
    high = std::min(high, half_way(v, std::numeric_limits<float>::infinity()) / by);
  }
  const float half = half_to_float(float_to_half(static_cast<float>(guess)));
  if (half > 0 && reproduces(values, n, level, half, 0)) return half;
  auto unit = static_cast<float>(low);
  for (int tries = 0; tries < 16 && double{unit} <= high * (1 + 0x1p-23); ++tries) {
    if (unit > 0 && reproduces(values, n, level, unit, 0)) return unit;
    unit = std::nextafter(unit, std::numeric_limits<float>::infinity());
  }
  return std::nullopt;
}

std::optional<Steps> steps_of(std::span<const float> values, int32_t most, double slack) {
  std::vector<double> magnitudes;
  for (const float v : values)
    if (std::abs(double{v}) > slack) magnitudes.push_back(std::abs(double{v}));
  std::sort(magnitudes.begin(), magnitudes.end());
  Steps steps;
  steps.n.assign(values.size(), 0);
  if (magnitudes.empty()) return steps;
  const auto unit = common_divisor(magnitudes, most, slack);
  if (!unit) return std::nullopt;
  for (size_t i = 0; i < values.size(); ++i)
    steps.n[i] = static_cast<int32_t>(std::nearbyint(double{values[i]} / *unit));
  const auto exact = unit_for(
      values, steps.n, [](int32_t n) { return static_cast<float>(n); }, *unit, slack);
  if (!exact) return std::nullopt;
  steps.unit = *exact;
  return steps;
}

}  // namespace qrt::lattice
