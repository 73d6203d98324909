// What a layer costs by each way: predicted nanoseconds of one run on one thread, from a few
// constants per row of kernels.inc (cost.cc). They rank ways and are printed by `qrt inspect`;
// they promise nothing.
#ifndef QRT_KERNELS_SHIFT_COST_H_
#define QRT_KERNELS_SHIFT_COST_H_

#include "kernels/int8/cost.h"
#include "kernels/shift/shift.h"

namespace qrt::kernels::shift {

struct CostShape {
  size_t rows, outputs, inputs;  // of one group of channels
  size_t groups;
  size_t scale_group;  // inputs that share a scale; 0: none
  size_t chunks;       // of rows: codes are read anew for each
  bool gathers;        // rows are copied together, not read in place
};

// Nanoseconds of the parts that a prediction is made of, which is linear in them. What `decode`
// multiplies with is the int8 family's, with constants of its own.
struct CostConstants {
  float weight;   // one code decoded, sorted or spelled out as terms; `dot`: nothing
  float product;  // grouped: one addition to a line of 64 rows; shift: one term, 4 rows; dot: one
                  // step
  float part;     // grouped: a list ended for 64 rows; decode: a sum of a segment added up; dot:
                  // a group's
  float output;   // one sum finished and stored, beyond what the int8 family counts
  float stage;    // one byte of a row put where it is read from
};
const CostConstants& cost_constants(const Way*);  // as they ship, cost.cc

// `kit` is the int8 family's for the same instructions.
float cost_ns(const CostShape&, const Plan&, const Row&, const Kernel<const int8::Kit>& kit,
              const CostConstants&);
inline float cost_ns(const CostShape& s, const Plan& p, const Row& row,
                     const Kernel<const int8::Kit>& kit) {
  return cost_ns(s, p, row, kit, cost_constants(row.way));
}

}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_COST_H_
