// A kernel is a function plus a row of facts; a family's kernels.inc lists its
// rows, and declarations, dispatch, tests and benchmarks all come from the list.
#ifndef QRT_KERNELS_KERNEL_H_
#define QRT_KERNELS_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"

namespace qrt::kernels {

struct Tile {
  uint16_t m, n, k;
};  // the least work one step of the loop does
struct Cost {
  float call, tile;
};  // nanoseconds on the reference core; ranks rows, promises nothing

// One row of a family's kernels.inc.
template <class Fn>
struct Kernel {
  const char* name;
  IsaSet isa;  // all of these bits are needed
  Tile tile;
  Cost cost;
  Fn* run;
};

// The first row in the list that runs on `have`: lists are ordered from the widest
// ISA to the reference row, which needs none, so this is never null.
template <class Fn, size_t N>
constexpr const Kernel<Fn>& select(const Kernel<Fn> (&rows)[N], IsaSet have) {
  for (const Kernel<Fn>& row : rows)
    if (includes(have, row.isa)) return row;
  return rows[N - 1];
}

}  // namespace qrt::kernels

#endif  // QRT_KERNELS_KERNEL_H_
