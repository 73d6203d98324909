// Per-layer errors of a compressed model against its float graph: accumulated,
// with everything before the layer compressed as well; isolated, the layer alone on
// the float graph's own inputs; and that isolated error followed to the outputs.
#ifndef QRT_CONVERTER_TOOLS_VERIFY_LAYERS_H_
#define QRT_CONVERTER_TOOLS_VERIFY_LAYERS_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"
#include "converter/tools/channel_order.h"
#include "converter/tools/stored_layers.h"

namespace qrt::verify {

// Sums over rows; what is reported follows from them.
struct ErrorSum {
  double worst = 0, largest = 0;  // max |got - want|, max |want|
  double square_error = 0, square_want = 0;
  void add(std::span<const float> got, std::span<const float> want);
  double relative() const;  // max |got - want| / max |want|
  double rms() const;       // root of sum (got - want)^2 / sum want^2
};

struct LayerError {
  std::string name, kind, encoding;
  double bits_per_weight = 0;
  ErrorSum accumulated, isolated;
  ErrorSum weights;  // of the weights times their scale
  ErrorSum outputs;  // of the model's outputs where this layer alone is compressed: add_probe()
};

// The float graph, the same with everything that the file holds for it (weights, scales, biases),
// and the pairs between them.
class Comparison {
 public:
  // Layers are matched by name; throws ToolError 461 where a stored layer is none of the graph's
  // or has another size.
  Comparison(const ir::Graph& graph, const std::map<std::string, StoredLayer>& stored);

  // Channels that the file has in another order than the graph are found on these rows, the more
  // the surer. Without it they count as they stand. Throws as add_row().
  void find_orders(const std::vector<eval::Tensor>& inputs);

  // Runs one row through both graphs; returns the outputs of the float graph and of the
  // compressed one. Throws ToolError with evaluate()'s codes.
  struct Outputs {
    std::vector<eval::Tensor> exact, compressed;
  };
  Outputs add_row(const std::vector<eval::Tensor>& inputs);

  // Runs rows through the float graph, and again with each compressed layer alone in it: what the
  // layer's own error becomes by the time it reaches the outputs. One run of the graph per layer.
  // `watch` (optional) is told the share done and the layer. Throws as add_row().
  void add_probe(const std::vector<eval::Tensor>& inputs,
                 const std::function<void(double, const std::string&)>& watch = {});

  const std::vector<LayerError>& layers() const { return layers_; }

 private:
  struct Layer {
    ir::NodeId node = -1;
    const StoredLayer* stored = nullptr;
    ChannelOrder in, out;        // of its input and its output
    bool is_changed = false;     // the file means something else than the graph
    std::vector<float> weights;  // with the scale, in the graph's order; with `bias` the layer
    std::vector<float> bias;     // empty: zeros
  };
  void restore(size_t layer);
  ir::Graph isolated(size_t layer, std::vector<ir::ValueId>& inputs) const;

  std::map<std::string, StoredLayer> stored_;
  ir::Graph exact_, compressed_;
  std::vector<LayerError> layers_;
  std::vector<Layer> parts_;  // of layers_
};

}  // namespace qrt::verify

#endif  // QRT_CONVERTER_TOOLS_VERIFY_LAYERS_H_
