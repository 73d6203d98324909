// Which option for which layer: a multiple-choice knapsack, solved along the lower
// convex hull of each layer's (bytes, cost) points. Pure arithmetic; search.h makes
// the points, the command line spends the bytes.
#ifndef QRT_CONVERTER_QUANT_ALLOCATE_H_
#define QRT_CONVERTER_QUANT_ALLOCATE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace qrt::quant {

// One way to store one layer. Costs add up over layers; finite, not negative.
struct Option {
  uint64_t bytes = 0;
  double cost = 0;
};

struct Allocation {
  std::vector<size_t> chosen;  // per layer: index into its options
  uint64_t bytes = 0;
  double cost = 0;
};

// Allocations from the fewest bytes to the least cost. Each follows from the one before by the
// single step of a layer along its hull that saves most cost per byte, so each has the least cost
// of all allocations of at most its bytes. Every layer needs at least one option. Ties go to the
// earlier layer.
std::vector<Allocation> frontier(std::span<const std::vector<Option>> layers);

// The last allocation of the frontier within `budget`, then improved by any option, on a hull or
// not, that still fits, most cost saved first. Without one that fits: the first of the frontier,
// whose bytes exceed the budget.
Allocation best_within(std::span<const std::vector<Option>> layers, uint64_t budget);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ALLOCATE_H_
