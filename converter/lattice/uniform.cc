// Grids: in every cell a weight is a unit times a whole number n. Where all n of
// the cells are odd, q = (n + zero) / 2 with an odd zero point in halves, and a
// scale of two units; else q = n + zero / 2 and the unit is the scale. A cell
// may have found a larger unit than its lattice has, where it uses few levels:
// that only makes its n smaller.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "converter/lattice/search.h"

namespace qrt::lattice {
namespace {

using quant::Affine;
using quant::BitPlanes;
using quant::ScaleAxis;

// Odd numerators of 8 bits are up to 255; a zero point may lie anywhere within.
constexpr int32_t kMostSteps = 511;
constexpr size_t kMostLevels = 256;

struct Range {
  int32_t low = std::numeric_limits<int32_t>::max(), high = std::numeric_limits<int32_t>::min();
  void add(int32_t n) {
    low = std::min(low, n);
    high = std::max(high, n);
  }
  bool empty() const { return high < low; }
};

// All weights as multiples of the units of their cells. Zeros alone are on every grid: their unit
// is 0.
struct Grid {
  Grouping grouping;
  std::vector<float> units;  // per cell
  std::vector<int32_t> n;    // per weight, as the matrix
  bool all_odd = true;
};

std::optional<Grid> grid_of(const Matrix& m, Grouping g) {
  Grid grid;
  grid.grouping = g;
  const bool good = for_cells(m, g, [&](std::span<const float> cell) {
    const auto values = distinct(cell, kMostLevels, m.slack / 2);
    if (!values) return false;
    const auto steps = steps_of(values->middle, kMostSteps, m.slack / 2);
    if (!steps) return false;
    if (grid.n.empty()) grid.n.reserve(m.values.size());
    const bool zeros =
        std::all_of(steps->n.begin(), steps->n.end(), [](int32_t n) { return n == 0; });
    grid.units.push_back(zeros ? 0 : steps->unit);
    for (const float v : cell) grid.n.push_back(zeros ? 1 : steps->n[values->place(v)]);
    for (const int32_t n : steps->n) grid.all_odd = grid.all_odd && (zeros || n % 2 != 0);
    return true;
  });
  if (!good) return std::nullopt;
  return grid;
}

// Bits that hold so many levels.
int32_t bits_for(int64_t levels) {
  return std::max(1, static_cast<int32_t>(std::bit_width(static_cast<uint64_t>(levels - 1))));
}

// The zero points in halves, one for the layer or one per output, and the bits that go with them.
struct Zeros {
  int32_t bits = 0;
  std::vector<int16_t> halves;
  bool is_signed = false;
};

// Of odd n: levels lie two apart.
Zeros zeros_of_odd(const std::vector<Range>& rows, Range all) {
  Zeros z;
  z.bits = bits_for((int64_t{all.high} - all.low) / 2 + 1);
  const int32_t top = (1 << z.bits) - 1;
  z.halves = {static_cast<int16_t>(all.low >= -top && all.high <= top ? top : -all.low)};
  int32_t by_row = 1;
  for (const Range& r : rows) by_row = std::max(by_row, bits_for((r.high - r.low) / 2 + 1));
  if (by_row == z.bits) return z;
  z.bits = by_row;
  z.halves.clear();
  for (const Range& r : rows) z.halves.push_back(static_cast<int16_t>(-r.low));
  return z;
}

Zeros zeros_of_any(const std::vector<Range>& rows, Range all) {
  Zeros z;
  z.bits = bits_for(int64_t{all.high} - all.low + 1);
  const int32_t half = 1 << (z.bits - 1);
  z.is_signed = all.low >= -half && all.high < half;
  if (!z.is_signed) z.halves = {static_cast<int16_t>(-2 * all.low)};
  if (all.low >= 0 && all.high < 2 * half && !z.is_signed) z.halves.clear();
  int32_t by_row = 1;
  for (const Range& r : rows) by_row = std::max(by_row, bits_for(r.high - r.low + 1));
  if (by_row == z.bits) return z;
  z.bits = by_row;
  z.is_signed = false;
  z.halves.clear();
  for (const Range& r : rows) z.halves.push_back(static_cast<int16_t>(-2 * r.low));
  return z;
}

std::optional<Affine> affine_of(const Matrix& m, const Grid& grid) {
  std::vector<Range> rows(static_cast<size_t>(m.outputs));
  Range all;
  for (size_t i = 0; i < grid.n.size(); ++i) {
    rows[i / static_cast<size_t>(m.inputs)].add(grid.n[i]);
    all.add(grid.n[i]);
  }
  const Zeros z = grid.all_odd ? zeros_of_odd(rows, all) : zeros_of_any(rows, all);
  if (z.bits > 8) return std::nullopt;
  Affine a;
  a.bits = z.bits;
  a.taps = m.taps;
  a.is_signed = z.is_signed;
  a.zero_halves = z.halves;
  a.scales = {grid.grouping.axis, grid.grouping.group, grid.units};
  if (grid.all_odd)
    for (float& unit : a.scales.values) unit *= 2;
  a.codes.resize(grid.n.size());
  for (size_t i = 0; i < grid.n.size(); ++i) {
    const size_t row = i / static_cast<size_t>(m.inputs);
    const int32_t zero = z.halves.empty() ? 0 : z.halves[z.halves.size() == 1 ? 0 : row];
    a.codes[i] = static_cast<int16_t>(grid.all_odd ? (grid.n[i] + zero) / 2 : grid.n[i] + zero / 2);
  }
  return a;
}

// One sign or trit per weight, a coordinate per output or group; cells of zeros have no plane.
std::optional<BitPlanes> signs_of(const Matrix& m, const Grid& grid) {
  const bool layer = grid.grouping.axis == ScaleAxis::layer;
  if (std::any_of(grid.n.begin(), grid.n.end(), [](int32_t n) { return n < -1 || n > 1; }))
    return std::nullopt;
  BitPlanes p;
  p.taps = m.taps;
  p.group = grid.grouping.group;
  size_t at = 0, cell = 0;
  bool some_zero = false;
  const Grouping by = {layer ? ScaleAxis::output : grid.grouping.axis, grid.grouping.group};
  for_cells(m, by, [&](std::span<const float> values) {
    const auto first = grid.n.begin() + static_cast<int64_t>(at);
    const auto last = first + static_cast<int64_t>(values.size());
    at += values.size();
    const float unit = grid.units[layer ? 0 : cell];
    ++cell;
    const bool used = unit != 0 && std::any_of(first, last, [](int32_t n) { return n != 0; });
    p.counts.push_back(used);
    if (!used) return true;
    some_zero = some_zero || std::find(first, last, 0) != last;
    p.alphas.push_back(unit);
    for (auto n = first; n != last; ++n) p.signs.push_back(static_cast<uint8_t>(*n + 1));
    return true;
  });
  p.ternary5 = some_zero;
  if (!some_zero)
    for (uint8_t& sign : p.signs) sign /= 2;
  return p;
}

}  // namespace

void find_uniform(const Matrix& m, Grouping g, Candidates& found) {
  const auto grid = grid_of(m, g);
  if (!grid) return;
  if (auto signs = signs_of(m, *grid)) found.emplace_back(std::move(*signs));
  if (auto affine = affine_of(m, *grid)) found.emplace_back(std::move(*affine));
}

}  // namespace qrt::lattice
