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
  bool gathers;      // rows are copied together, not read in place
  float inside = 1;  // the part of the products that panels are multiplied for: Runs
  // Of coded layers: blocks of one output; entries rounded in each run, over all levels.
  size_t blocks, entries;
  uint32_t books, dim;
};

// Nanoseconds of the parts that a prediction is made of. A prediction is linear in them:
// bench/calibrate solves for those of a machine.
struct CostConstants {
  float step;     // kStep inputs of a full register tile
  float output;   // one sum finished and stored
  float gather;   // one byte of one row
  float weight;   // one byte laid out in a panel
  float code;     // one code decoded into a panel,
  float four;     //   and each four of its weights
  float entry;    // four values of an entry rounded
  float dot;      // one product of a row against the file's bytes,
  float single;   //   and one sum of these finished
  float named;    // one code of some rows followed to its entry,
  float quad;     //   and each four of its products with one row
  float tap;      // one product of a depthwise convolution,
  float channel;  //   and one sum of these finished
};
const CostConstants& cost_constants(const Kit*);  // as they ship, cost.cc

// Panels that are kept.
float resident_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);
// Panels made of rows of i8 just in time.
float dense_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);
// Panels decoded just in time.
float decode_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);
// One row after the other against the weights as they lie in the file.
float dot_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);

// A few rows at a time against codes, multiplied as they are decoded.
float coded_dot_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);

// Depthwise: the kernel of its own.
float depthwise_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);

// With the constants that ship.
inline float resident_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return resident_cost_ns(s, row, cost_constants(row.run));
}
inline float dense_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return dense_cost_ns(s, row, cost_constants(row.run));
}
inline float decode_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return decode_cost_ns(s, row, cost_constants(row.run));
}
inline float dot_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return dot_cost_ns(s, row, cost_constants(row.run));
}

inline float coded_dot_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return coded_dot_cost_ns(s, row, cost_constants(row.run));
}

inline float depthwise_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return depthwise_cost_ns(s, row, cost_constants(row.run));
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_COST_H_
