// Conv2d, Linear and ConvTranspose seen alike: their flagged inputs by name. Fusions work on
// this view instead of counting flags.
#ifndef QRT_CONVERTER_PASSES_LAYER_H_
#define QRT_CONVERTER_PASSES_LAYER_H_

#include "converter/ir/graph.h"

namespace qrt::passes {

// Inputs of a layer; -1 where a flag is off. See ir/ops.h for their shapes.
struct LayerInputs {
  ir::ValueId x = -1, weight = -1, scale = -1, bias = -1, residual = -1, thresholds = -1;
};

bool is_layer(const ir::Node&);

// Whether the weights of this layer may be a codebook: the engine looks codes up in Conv2d and
// Linear.
bool takes_codes(const ir::Node&);

// The axis of the layer's output, which has `rank` axes, that its outputs run along.
size_t output_axis(const ir::Node&, size_t rank);

// The node must be a layer with the inputs its flags ask for.
LayerInputs inputs_of(const ir::Node&);
void set_inputs(ir::Node&, const LayerInputs&);

// The clamp of an operator that has one (layers, Binary, Affine), else null.
ir::Clamp* clamp_of(ir::Node&);

// Outputs of the layer: dimension 0 of its weight.
int64_t outputs_of(const ir::Graph&, const ir::Node&);

}  // namespace qrt::passes

#endif  // QRT_CONVERTER_PASSES_LAYER_H_
