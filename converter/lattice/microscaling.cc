// Groups of inputs with a power of two as their scale: MXFP4 (E2M1 times E8M0 for 32 weights),
// MXFP6 (E2M3, E3M2) and relatives that a trainer's code has written out as floats. Of every
// group the unit is the largest power of two that divides all its numbers. Sets of values with
// subnormals hold the half of each of their even numbers, so that unit is as good as the one
// that was meant, and groups that lack small numbers need not be told apart.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include "converter/lattice/search.h"

namespace qrt::lattice {
namespace {

constexpr size_t kMostNumbers = 256;
constexpr int32_t kMostMultiple = 2048;  // E3M2 reaches 448, ESB of 8 bits 1984
constexpr size_t kLeastRepeats = 4;      // of each number of the table, on average
constexpr int kLeastExponent = -126;     // scales are normal floats

// The exponent of the largest power of two that divides a number other than 0.
int divisor(float v) {
  int exponent = 0;
  const auto significand = static_cast<int32_t>(std::ldexp(std::frexp(v, &exponent), 24));
  return exponent - 24 + std::countr_zero(static_cast<uint32_t>(std::abs(significand)));
}

// The unit of a group and its multiples; nothing where one is too large.
std::optional<int> unit_of(std::span<const float> cell) {
  int least = 0;
  float most = 0;
  bool any = false;
  for (const float v : cell) {
    if (!std::isfinite(v)) return std::nullopt;
    if (v == 0) continue;
    least = any ? std::min(least, divisor(v)) : divisor(v);
    any = true;
    most = std::max(most, std::fabs(v));
  }
  if (!any) return 0;
  if (least < kLeastExponent || std::ldexp(double{most}, -least) > kMostMultiple)
    return std::nullopt;
  return least;
}

}  // namespace

void find_scaled_tables(const Matrix& m, Grouping g, Candidates& found) {
  if (m.slack > 0 || g.axis != quant::ScaleAxis::group) return;
  std::vector<int> units;
  std::vector<int32_t> multiples;
  std::set<int32_t> numbers;
  const bool good = for_cells(m, g, [&](std::span<const float> cell) {
    const std::optional<int> unit = unit_of(cell);
    if (!unit) return false;
    units.push_back(*unit);
    for (const float v : cell) {
      multiples.push_back(static_cast<int32_t>(std::ldexp(v, -*unit)));
      numbers.insert(multiples.back());
    }
    return numbers.size() <= kMostNumbers;
  });
  if (!good || numbers.size() < 2) return;
  const auto zeros = static_cast<size_t>(std::count(multiples.begin(), multiples.end(), 0));
  if (multiples.size() - zeros < kLeastRepeats * numbers.size()) return;
  quant::Table t;
  t.bits = std::max(1, static_cast<int32_t>(std::bit_width(numbers.size() - 1)));
  t.taps = m.taps;
  t.scales = {quant::ScaleAxis::group, g.group, {}};
  std::map<int32_t, uint8_t> code_of;
  for (const int32_t n : numbers) {
    code_of.emplace(n, static_cast<uint8_t>(t.integers.size()));
    t.integers.push_back(static_cast<int16_t>(n));
  }
  t.integers.resize(size_t{1} << t.bits, t.integers.back());
  for (const int unit : units) t.scales.values.push_back(std::ldexp(1.0f, unit));
  for (const int32_t n : multiples) t.codes.push_back(code_of.at(n));
  found.emplace_back(std::move(t));
}

}  // namespace qrt::lattice
