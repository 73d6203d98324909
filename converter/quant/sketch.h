// Weights as sums of scaled signs (ALQ, METHODS 5a): groups of weights, each with a
// number of planes of its own, 0 included.
//   w[i] ~ sum over planes p of alpha[p] * sign[p][i]
#ifndef QRT_CONVERTER_QUANT_SKETCH_H_
#define QRT_CONVERTER_QUANT_SKETCH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/quant/encoding.h"
#include "converter/quant/quadratic.h"

namespace qrt::quant {

inline constexpr int32_t kMaxPlanes = 8;

// In canonical form: coordinates positive and ascending.
struct Sketch {
  std::vector<double> alphas;               // [plane]
  std::vector<std::vector<uint8_t>> signs;  // [plane][weight]: 1 for +
  double error = 0;                         // sum of weights * (w - sketch)^2
};

// Negative coordinates flip their plane, planes without a coordinate go, the rest is sorted.
void canonicalise(Sketch&);

// All 2^planes sums of +-alpha, sorted.
class SumTable {
 public:
  explicit SumTable(std::span<const double> alphas);
  size_t nearest(double wanted) const;  // index of the nearest sum; between two, of the larger
  double value(size_t i) const { return values_[i]; }
  uint8_t pattern(size_t i) const { return patterns_[i]; }  // bit p: the sign of plane p is +

 private:
  std::vector<double> values_;
  std::vector<uint8_t> patterns_;
};

// Structured sketching: a plane takes the signs of what the planes before left (0 counts as +),
// then all coordinates are solved for anew. Ends early where less than 1e-6 of the energy is left,
// and at as many planes as weights. `weights` (of the errors) are not negative.
Sketch sketch(std::span<const double> w, std::span<const double> weights, int32_t planes);

// Signs and coordinates in turns, each the best for the other: every weight takes the nearest of
// the 2^planes sums. Never raises the error.
void refine(std::span<const double> w, std::span<const double> weights, int32_t rounds, Sketch&);

// What a group of a layer loses with 0, 1, ... planes, kMaxPlanes at most; not ascending.
struct GroupLoss {
  int64_t inputs = 0;  // weights of the group
  std::vector<double> errors;
};

// Planes for every group so that at most `bits` are spent, a plane of n weights costing n: the
// bases whose loss per bit is least go first, from what errors.size() - 1 planes have. Losses are
// made convex first, so that no base hides behind a worse one.
std::vector<uint8_t> prune(std::span<const GroupLoss> groups, double bits);

struct PlaneFit {
  int64_t group = 0;               // inputs of a group, in stored order; 0: the whole row
  int32_t most = 4;                // planes of a group
  double bits = 2;                 // average, over the layer
  int32_t rounds = 3, sweeps = 8;  // as GridFit
  size_t threads = 1;
};

// Losses of all groups [output][group], errors times the square of the output's gain.
std::vector<GroupLoss> group_losses(std::span<const float> target,
                                    std::span<const Quadratic> metrics,
                                    std::span<const double> gains, const PlaneFit&);

// As fit_grid() (grid.h). Coordinates are exactly f16 where those are normal.
BitPlanes fit_planes(std::span<const float> target, std::span<const Quadratic> metrics,
                     std::span<const double> gains, const PlaneFit&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_SKETCH_H_
