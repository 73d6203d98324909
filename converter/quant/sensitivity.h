// What a layer's error does to the network's outputs: one layer is exchanged alone and
// the outputs are compared. Disturbances of several layers add up in energy, near enough.
#ifndef QRT_CONVERTER_QUANT_SENSITIVITY_H_
#define QRT_CONVERTER_QUANT_SENSITIVITY_H_

#include <vector>

#include "converter/base/result.h"
#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"

namespace qrt::quant {

class Sensitivity {
 public:
  // `graph` must outlive this. Errors of open() and disturbance(): those of evaluate().
  explicit Sensitivity(const ir::Graph& graph) : graph_(graph) {}
  Result<void> open(std::vector<eval::Tensor> samples);

  // Energy by which the outputs change, relative to theirs, with `weight` in place of the node's.
  // Errors: QRT-E0738 where the outputs are not finite then.
  Result<double> disturbance(ir::NodeId, ir::Constant weight);

 private:
  const ir::Graph& graph_;
  ir::Graph network_;                                   // where one layer at a time is exchanged
  std::vector<std::vector<eval::Tensor>> runs_, want_;  // inputs and outputs, run by run
};

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_SENSITIVITY_H_
