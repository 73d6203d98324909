// y = s2 * (s1 * conv(x) + b1) + b2 is one layer with scale s2 * s1 and bias
// s2 * b1 + b2. The scale stays beside the weights here: methods quantize what
// the source trained, and shared codebook entries cannot take a factor per
// output. fold_scales multiplies it into weights that stayed dense. Two Affine
// in a row become one the same way.
#include <algorithm>
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::Node;
using ir::ValueId;

struct ScaleBias {
  std::vector<float> scale, bias;
};

// outer(inner(x)); products in double so that folding twice rounds once.
ScaleBias combine(const std::vector<float>& outer_scale, const std::vector<float>& outer_bias,
                  const std::vector<float>* scale, const std::vector<float>* bias) {
  ScaleBias r{outer_scale, outer_bias};
  for (size_t i = 0; i < outer_scale.size(); ++i) {
    const double s = outer_scale[i];
    if (scale != nullptr) r.scale[i] = static_cast<float>(s * (*scale)[i]);
    if (bias != nullptr) r.bias[i] = static_cast<float>(s * (*bias)[i] + outer_bias[i]);
  }
  return r;
}

bool all_equal(const std::vector<float>& v, float x) {
  return std::all_of(v.begin(), v.end(), [x](float f) { return f == x; });
}

ValueId vector_constant(Graph& g, const std::string& name, std::vector<float> data) {
  const auto n = static_cast<int64_t>(data.size());
  return ir::add_floats(g, name, {n}, std::move(data));
}

// Whether the channels of `affine` are the outputs of `layer`.
bool same_channels(const Graph& g, const Node& layer, const Node& affine) {
  const size_t rank = value_of(g, affine.in[0]).shape.size();
  const size_t axis = channel_axis(std::get<ir::Affine>(affine.attr).layout, rank);
  if (const auto* a = std::get_if<ir::Affine>(&layer.attr))
    return axis == channel_axis(a->layout, rank);
  return axis == output_axis(layer, rank);
}

bool fuse_into_layer(Graph& g, Node& layer, Node& affine) {
  const auto& scale = *floats_of(g, affine.in[1]);
  const auto& bias = *floats_of(g, affine.in[2]);
  LayerInputs in = inputs_of(layer);
  if (in.residual >= 0 || outputs_of(g, layer) != static_cast<int64_t>(scale.size())) return false;
  const auto* s = in.scale >= 0 ? floats_of(g, in.scale) : nullptr;
  const auto* b = in.bias >= 0 ? floats_of(g, in.bias) : nullptr;
  if ((in.scale >= 0 && (s == nullptr || s->size() != scale.size())) ||
      (in.bias >= 0 && (b == nullptr || b->size() != scale.size())))
    return false;
  ScaleBias r = combine(scale, bias, s, b);
  in.scale = in.bias = -1;
  if (!all_equal(r.scale, 1)) in.scale = vector_constant(g, layer.name + ".scale", r.scale);
  if (!all_equal(r.bias, 0)) in.bias = vector_constant(g, layer.name + ".bias", r.bias);
  set_inputs(layer, in);
  return true;
}

bool fuse_into_affine(Graph& g, Node& first, Node& affine) {
  const auto* s = floats_of(g, first.in[1]);
  const auto* b = floats_of(g, first.in[2]);
  const auto& scale = *floats_of(g, affine.in[1]);
  if (s == nullptr || b == nullptr || s->size() != scale.size() || b->size() != scale.size())
    return false;
  ScaleBias r = combine(scale, *floats_of(g, affine.in[2]), s, b);
  first.in[1] = vector_constant(g, affine.name + ".scale", r.scale);
  first.in[2] = vector_constant(g, affine.name + ".bias", r.bias);
  return true;
}

}  // namespace

Result<void> fuse_batch_norm(Graph& g) {
  const std::vector<int> uses = count_uses(g);
  for (Node& affine : g.nodes) {
    if (affine.out.empty() || !std::holds_alternative<ir::Affine>(affine.attr)) continue;
    const auto* scale = floats_of(g, affine.in[1]);
    const auto* bias = floats_of(g, affine.in[2]);
    if (scale == nullptr || bias == nullptr || scale->size() != bias->size()) continue;

    Node* before = sole_producer(g, uses, affine.in[0]);
    if (before == nullptr) continue;
    const bool into_affine = std::holds_alternative<ir::Affine>(before->attr);
    if ((!is_layer(*before) && !into_affine) || *clamp_of(*before) != ir::kNoClamp) continue;
    if (!same_channels(g, *before, affine)) continue;
    if (!(into_affine ? fuse_into_affine : fuse_into_layer)(g, *before, affine)) continue;

    *clamp_of(*before) = *clamp_of(affine);
    absorb(g, *before, affine);
  }
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes
