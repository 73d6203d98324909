// lower_batch_norm: BatchNorm with its four named constants becomes Affine:
//   scale' = scale / sqrt(var + eps),  bias' = bias - scale' * mean,
// in double, rounded once. Assumes folded constants. The four stay if others read them.
#include <cmath>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/passes/passes.h"

namespace qrt::passes {
namespace {

Result<void> lower(ir::Graph& graph, ir::NodeId id) {
  const ir::Node& node = graph.nodes[id];
  const float eps = std::get<ir::BatchNorm>(node.attr).eps;
  const std::vector<float>* in[4];
  for (size_t k = 0; k < 4; ++k) {
    const ir::Constant* constant = ir::constant_of(graph, node.in[k + 1]);
    if (!constant || constant->encoding) {
      return fail(557, "batch_norm ", node.name, ": its parameter ",
                  graph.values[node.in[k + 1]].name, " is no plain constant; make it one");
    }
    in[k] = &constant->data;
  }
  const size_t channels = in[0]->size();
  std::vector<float> scale(channels), bias(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double variance = static_cast<double>((*in[3])[c]) + eps;
    const double factor = (*in[0])[c] / std::sqrt(variance);
    scale[c] = static_cast<float>(factor);
    bias[c] = static_cast<float>((*in[1])[c] - factor * (*in[2])[c]);
    if (variance <= 0 || !std::isfinite(scale[c]) || !std::isfinite(bias[c])) {
      return fail(557, "batch_norm ", node.name, ": variance ", (*in[3])[c], " of channel ", c,
                  " in ", graph.values[node.in[4]].name,
                  " gives no finite scale; expected a positive variance: check the weights");
    }
  }
  const std::string name = node.name;
  const int64_t count = static_cast<int64_t>(channels);
  const ir::ValueId new_scale = ir::add_floats(graph, name + "/scale", {count}, std::move(scale));
  const ir::ValueId new_bias = ir::add_floats(graph, name + "/bias", {count}, std::move(bias));
  graph.nodes[id].attr = ir::Affine{};
  graph.nodes[id].in = {graph.nodes[id].in[0], new_scale, new_bias};
  return {};
}

}  // namespace

Result<void> lower_batch_norm(ir::Graph& graph) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!std::holds_alternative<ir::BatchNorm>(graph.nodes[i].attr)) continue;
    QRT_CHECK_OK(lower(graph, static_cast<ir::NodeId>(i)));
  }
  ir::remove_dead(graph);
  return {};
}

}  // namespace qrt::passes
