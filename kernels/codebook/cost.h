// What a codebook layer costs by each strategy: predicted nanoseconds of one run,
// from a few measured constants per kit (cost.cc). They rank strategies and are
// printed by `qrt inspect`; they promise nothing.
#ifndef QRT_KERNELS_CODEBOOK_COST_H_
#define QRT_KERNELS_CODEBOOK_COST_H_

#include "kernels/codebook/codebook.h"

namespace qrt::kernels::codebook {

struct CostShape {
  size_t rows, outputs, inputs;  // of one group
  size_t groups, blocks;         // blocks of one output
  size_t entries;                // widened in each run: scopes * books * 2^bits
  uint32_t bits, books, dim;
  bool gathers;  // rows are copied together, not read in place
  size_t threads;
};

// Nanoseconds of the parts that a prediction is made of. A prediction is linear in them:
// bench/calibrate solves for those of a machine.
struct CostConstants {
  float step;    // one k of a full register tile
  float output;  // one sum finished and stored
  float code;    // one code decoded into a panel,
  float four;    //   and each four of its weights
  float gather;  // one input of one row
  float dot;     // one code of one row,
  float quad;    //   and each four of its products
  float build;   // one product of a table, all lanes
  float lookup;  // one lookup, all lanes
  float widen;   // four floats of an entry
};
const CostConstants& cost_constants(const Kit*);  // as they ship, cost.cc

float decode_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);
float dot_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);
float lookup_cost_ns(const CostShape&, const Kernel<const Kit>&, const CostConstants&);

// With the constants that ship.
inline float decode_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return decode_cost_ns(s, row, cost_constants(row.run));
}
inline float dot_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return dot_cost_ns(s, row, cost_constants(row.run));
}
inline float lookup_cost_ns(const CostShape& s, const Kernel<const Kit>& row) {
  return lookup_cost_ns(s, row, cost_constants(row.run));
}

}  // namespace qrt::kernels::codebook

#endif  // QRT_KERNELS_CODEBOOK_COST_H_
