// What each way of storing each layer costs, measured: the ground on which a target
// size or an allowed loss is spent layer by layer.
//
// The measure is first order. A layer stored with relative output error e disturbs the
// network's output by about s * e, where the sensitivity s is found by disturbing this
// layer alone; disturbances of several layers add up in energy.
#ifndef QRT_CONVERTER_QUANT_SEARCH_H_
#define QRT_CONVERTER_QUANT_SEARCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/allocate.h"
#include "converter/quant/layer_rules.h"
#include "converter/quant/method.h"
#include "converter/quant/pq_plan.h"

namespace qrt::quant {

// The ways one layer can be stored; `settings`, `errors` and `options` run in parallel. A layer
// that is not to be searched has the one way it was planned with.
struct LayerChoices {
  size_t plan = 0;                        // index into PqPlans::layers
  double sensitivity = 0;                 // relative energy of the network's outputs per error
  std::vector<PqLayerSettings> settings;  // settings.dense: as it is, error 0
  std::vector<double> errors;             // relative energy of the layer's outputs lost
  std::vector<Option> options;            // bytes, sensitivity * error
};

struct SearchOptions {
  int32_t iterations = 8;  // of k-means while comparing; the final run takes its own number
  // What sensitivities are measured on, one network run per layer; empty: all the data.
  std::vector<eval::Tensor> probes;
};

// Every candidate of every layer that has no rule of its own: blocks of 1, 2, 4, and one and two
// kernels (8 and 16 without a window); one or two books of 16, 64 or 256 entries, three or four of
// 16; f16 entries, or i8 where entries make up much of the layer; and dense. The graph must be the
// one that was planned. Errors: QRT-E0738 (no data), those of collect_grams(), evaluate() and
// encode_pq_layer().
Result<std::vector<LayerChoices>> measure_choices(const ir::Graph&, const PqPlans&,
                                                  const PqOptions&, const CalibrationData&,
                                                  const SearchOptions& = {});

// The knapsack's view of it.
std::vector<std::vector<Option>> options_of(const std::vector<LayerChoices>&);

// The user's rules, and one more for each searched layer: a file for --layers that gives the same
// conversion without a search.
LayerRules rules_with(const PqOptions&, const PqPlans&, const std::vector<LayerChoices>&,
                      const Allocation&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_SEARCH_H_
