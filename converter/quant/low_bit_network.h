// What low-bit methods decide about a whole network before any layer is coded: bits for
// every layer out of one budget, sizes, and what a search may choose from.
#ifndef QRT_CONVERTER_QUANT_LOW_BIT_NETWORK_H_
#define QRT_CONVERTER_QUANT_LOW_BIT_NETWORK_H_

#include <span>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/low_bit.h"
#include "converter/quant/sensitivity.h"

namespace qrt::quant {

// The layer's own weights, all inputs alike.
LayerProblem blind_problem(const ir::Graph&, const LowBitPlan&);

// |W - W'|^2 over |W|^2 of the target.
double weight_error(const LayerProblem&, const Encoding&);

// Global pruning (METHODS 5a): layers of planes without a rule of their own get the bits that are
// left to them when the least important bases of all layers together are gone, until the average is
// what was asked for. A base counts by its share of the layer's output energy times what that does
// to the network's outputs; without data, by its share of the layer's weights. Layers of whole
// numbers are left alone. Errors: of collect_grams() and Sensitivity.
Result<void> share_bits(const ir::Graph&, LowBitPlans&, const LowBitOptions&,
                        const CalibrationData&);

// Of each layer [inputs], in the source's order: sums of squares of its inputs in the float
// network. Without data all are 1.
using Diagonals = std::vector<std::vector<double>>;
Result<Diagonals> diagonals(const ir::Graph&, std::span<const LowBitPlan* const>,
                            const LowBitOptions&, const CalibrationData&);

// Output energy that `now` loses of the weights, by such a diagonal.
double relative_error(const std::vector<float>& weights, const std::vector<float>& now,
                      const std::vector<double>& diagonal);

// Layers coded coarsely, one at a time.
class Weigher {
 public:
  Weigher(const ir::Graph& graph, const LowBitOptions& options)
      : graph_(graph), options_(options), network_(graph) {}
  Result<void> open(std::vector<eval::Tensor> samples);  // takes 32 of them
  // Energy by which the network's outputs change, relative, per relative_error() of the layer.
  Result<double> sensitivity(const LowBitPlan&, const std::vector<double>& diagonal);

 private:
  const ir::Graph& graph_;
  const LowBitOptions& options_;
  Sensitivity network_;
};

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_LOW_BIT_NETWORK_H_
