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
  ErrorSum weights;  // of the decoded weights themselves
  ErrorSum outputs;  // of the model's outputs where this layer alone is compressed: add_probe()
};

// What the file holds for one layer.
struct StoredLayer {
  std::string encoding;
  double bits_per_weight = 0;
  bool compressed = false;  // not dense
  std::vector<float>
      weights;  // [outputs][inputs], inputs in the graph's order; compressed layers only
};

// The layers of a .qrt file by operator name. Throws ToolError with the runtime's code when the
// file is refused, 460 when a layer cannot be decoded.
std::map<std::string, StoredLayer> read_layers(const std::string& path);

// The float graph, the same with the file's compressed weights, and the pairs between them.
class Comparison {
 public:
  // Layers are matched by name; throws ToolError 461 where a stored layer is none of the graph's
  // or has another size.
  Comparison(const ir::Graph& graph, const std::map<std::string, StoredLayer>& stored);

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
  struct Isolated {  // a graph of one layer
    ir::Graph graph;
    std::vector<ir::ValueId> inputs;  // in the whole graph
  };
  static Isolated isolate(const ir::Graph& g, ir::NodeId node);

  ir::Graph exact_, compressed_;  // the latter's constants: those of exact_, then the decoded ones
  std::vector<LayerError> layers_;
  std::vector<ir::NodeId> nodes_;  // of layers_
  std::vector<Isolated> alone_;    // of layers_; empty graphs where nothing is compressed
};

}  // namespace qrt::verify

#endif  // QRT_CONVERTER_TOOLS_VERIFY_LAYERS_H_
