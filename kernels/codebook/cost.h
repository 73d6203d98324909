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

float decode_cost_ns(const CostShape&, const Kernel<const Kit>&);
float dot_cost_ns(const CostShape&, const Kernel<const Kit>&);
float lookup_cost_ns(const CostShape&, const Kernel<const Kit>&);

}  // namespace qrt::kernels::codebook

#endif  // QRT_KERNELS_CODEBOOK_COST_H_
