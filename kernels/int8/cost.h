// What a layer of integers costs by each strategy: predicted nanoseconds of one run on one thread,
// from a few measured constants per kit (cost.cc). They rank strategies and are printed by
// `qrt inspect`; they promise nothing.
#ifndef QRT_KERNELS_INT8_COST_H_
#define QRT_KERNELS_INT8_COST_H_

#include "kernels/int8/int8.h"

namespace qrt::kernels::int8 {

struct CostShape {
  size_t rows, outputs, inputs;  // of one group
  size_t groups;
  bool gathers;  // rows are copied together, not read in place
  // Of coded layers: blocks of one output; entries rounded in each run, over all levels.
  size_t blocks, entries;
  uint32_t books, dim;
};

// Panels that are kept.
float resident_cost_ns(const CostShape&, const Kernel<const Kit>&);
// Panels made of rows of i8 just in time.
float dense_cost_ns(const CostShape&, const Kernel<const Kit>&);
// Panels decoded just in time.
float decode_cost_ns(const CostShape&, const Kernel<const Kit>&);
// One row after the other against the weights as they lie in the file.
float dot_cost_ns(const CostShape&, const Kernel<const Kit>&);

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_COST_H_
