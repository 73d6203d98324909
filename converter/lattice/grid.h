// Numbers that are whole multiples of one unit, found in the presence of f32
// rounding: the approximate common divisor behind grids and integer tables.
#ifndef QRT_CONVERTER_LATTICE_GRID_H_
#define QRT_CONVERTER_LATTICE_GRID_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace qrt::lattice {

// Different values in ascending order. With slack, values no further apart than that are one, which
// stands in their middle.
struct Values {
  std::vector<float> first, middle;
  size_t place(float value) const;  // of the one that a value of the matrix belongs to
};

// Nothing if there are more than `most`. Without slack it costs a lookup per value and stops at the
// first one too many.
std::optional<Values> distinct(std::span<const float> values, size_t most, double slack);

// What each multiple stands for before it is scaled.
using Level = std::function<float(int32_t)>;

struct Steps {
  float unit = 1;          // value i is unit * level(n[i]) in f32 arithmetic
  std::vector<int32_t> n;  // with no common divisor; all 0 where all values are
};

// Multiples of `values` (ascending, distinct), none larger than `most` in magnitude. With `slack`
// (absolute), the unit is the best there is and each product within slack of its value.
std::optional<Steps> steps_of(std::span<const float> values, int32_t most, double slack);

// The unit with which unit * level(n[i]) gives every value: exactly, or within slack. `guess` is
// nearly right.
std::optional<float> unit_for(std::span<const float> values, const std::vector<int32_t>& n,
                              const Level& level, double guess, double slack);

}  // namespace qrt::lattice

#endif  // QRT_CONVERTER_LATTICE_GRID_H_
