// Which layers method pq codes and how, decided before any of it is done: sizes and
// times of a conversion follow from the plan alone.
#ifndef QRT_CONVERTER_QUANT_PQ_PLAN_H_
#define QRT_CONVERTER_QUANT_PQ_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/pq_layer.h"
#include "converter/quant/product.h"

namespace qrt::quant {

// A Conv2d or Linear node with its weight matrix [outputs][inputs].
struct PqPlan {
  ir::NodeId node = -1;
  ir::ValueId weight = -1;
  std::string layer;
  int64_t outputs = 0, inputs = 0;
  int64_t taps = 1;          // of the kernel window: inputs of one channel
  PqLayerSettings settings;  // of a coded layer; centroids are clipped already
  std::string why_not;       // it stays dense; empty: it is coded
  bool is_fixed = false;     // by a rule or by necessity: a search has no say in it
  bool is_coded() const { return why_not.empty(); }
  int64_t blocks() const { return (inputs + settings.dim - 1) / settings.dim; }
};

struct PqPlans {
  std::vector<PqPlan> layers;         // every Conv2d and Linear, in graph order
  std::vector<std::string> notes;     // what was asked for and could not be
  std::vector<std::string> warnings;  // rules that matched nothing
  bool any_coded() const {
    for (const PqPlan& p : layers)
      if (p.is_coded()) return true;
    return false;
  }
};

// Defaults by kind of layer, then --layers. Layers stay dense, with a reason, that are encoded
// already, named in `skip`, the first convolution, depthwise, computed, or so small that a codebook
// would not make them smaller; a rule with `force` overrules all of these that can be overruled.
// Errors: QRT-E0714 (a name in `skip` that the graph does not have), QRT-E0736 (rules contradict
// each other), QRT-E0737 (`force` on a layer that cannot be coded).
Result<PqPlans> plan_pq(const ir::Graph&, const PqOptions&);

// What --pq says about all layers; `dim` and `centroids` depend on the kind of layer.
PqLayerSettings base_settings(const PqOptions&);

// A block length near `wanted` that divides the row: short last blocks cost codes and fit badly.
// Whole kernels of `taps` where the wanted block holds some, else any divisor above half of it.
int32_t block_length(int32_t wanted, int64_t inputs, int64_t taps);

// Bytes of codes, entries and entry scales for a layer so coded; of plain f32 weights where dense.
uint64_t planned_bytes(const PqPlan&);

// An encoding of the planned sizes that means nothing: for sizes and times before k-means.
Encoding placeholder(const PqPlan&);

// Gives every coded layer of the plan its placeholder, and every layer the scale and bias that
// `repairs` will leave it with; null where there will be none (no calibration data).
void apply_placeholders(ir::Graph&, const PqPlans&, const Repairs* repairs = nullptr);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_PQ_PLAN_H_
