// Product quantization of a whole network in sequence, with the repairs that need
// no gradients: each layer is coded and fitted on what the already coded layers
// before it really give it, against what the float network makes of the same data.
#ifndef QRT_CONVERTER_QUANT_NETWORK_H_
#define QRT_CONVERTER_QUANT_NETWORK_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/method.h"
#include "converter/quant/pq_layer.h"

namespace qrt::quant {

// One layer to be coded; `settings.dense` is not looked at here.
struct LayerPlan {
  ir::NodeId node = -1;
  PqLayerSettings settings;
  uint64_t seed = 1;
};

// Each can be switched by itself; README.md has a table of what each is worth.
struct Repairs {
  bool recapture = true;   // inputs of the coded network, not of the float one
  bool retarget = true;    // code the weights that suit those inputs best, not the original ones
  bool normalise = false;  // outputs share entries at one size each, their sizes go to the scale
  bool refit = true;       // entries by least squares (fit.h)
  bool reassign = true;    // codes by coordinate descent (fit.h)
  bool scale = true;       // per output, least squares on the layer's own output
  bool bias = true;        // per output: the mean of the float output
  bool dense = true;       // retarget and bias of the layers that stay dense, too
  int32_t rounds = 5;      // of reassign and refit
  double ridge = 1e-2;     // of retarget, refit and reassign, in mean diagonals of the Gram matrix;
                           // more where samples are few
};

// What became of one layer.
struct CodedLayer {
  Codebook book;                   // no entries: the layer stayed dense
  std::vector<float> weights;      // [outputs][inputs], only where it stayed dense
  std::vector<float> scale, bias;  // [outputs], or empty: as they were
  double weight_error = 0;         // |W - W'|^2 over |W|^2, the scales included
  double output_error = 0;         // energy of what the output (before the clamp) is off by, over
                                   // its variance, on the calibration data
};

struct SequenceOptions {
  Repairs repairs;
  int32_t positions = 0;  // sampled per calibration row and layer; 0: by the layer's width
  int32_t threads = 0;    // of encode_pq_layer()
};

// Encodes the planned layers in place, in the order of the graph, and returns what became of each.
// `plans` ascend by node. Errors: those of Capture and encode_pq_layer(), with the layer's name;
// the graph may be changed up to that layer. Deterministic for given data, up to the BLAS.
Result<std::vector<CodedLayer>> code_network(ir::Graph&, std::span<const LayerPlan> plans,
                                             const SequenceOptions&, const CalibrationData&,
                                             std::vector<std::string>& notes);

// Puts weights, scale and bias into the graph as constants of this layer's own; the weights keep
// their name where no other layer reads it.
void commit_layer(ir::Graph&, ir::NodeId, const CodedLayer&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_NETWORK_H_
