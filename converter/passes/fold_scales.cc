// Multiplies a layer's scale into its weights where they stay dense f32 in the
// file anyway. Weights that are exactly f16 keep the scale beside them (half
// the bytes), and encoded ones must: their entries are shared between outputs.
#include <algorithm>
#include <vector>

#include "converter/base/half.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

Result<void> fold_scales(ir::Graph& g) {
  const std::vector<int> uses = count_uses(g);
  for (ir::Node& n : g.nodes) {
    if (!is_layer(n)) continue;
    LayerInputs in = inputs_of(n);
    if (in.scale < 0 || uses[static_cast<size_t>(in.weight)] != 1) continue;
    const auto* weight = floats_of(g, in.weight);
    const auto* scale = floats_of(g, in.scale);
    if (weight == nullptr || scale == nullptr) continue;
    if (std::all_of(weight->begin(), weight->end(), is_half)) continue;

    std::vector<float> scaled = *weight;
    const size_t row = scaled.size() / scale->size();
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= (*scale)[i / row];
    set_floats(g, in.weight, std::move(scaled));
    in.scale = -1;
    set_inputs(n, in);
  }
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes
