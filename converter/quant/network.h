// A whole network coded in sequence, by whatever method, with the repairs that need
// no gradients: each layer is coded and fitted on what the already coded layers
// before it really give it, against what the float network makes of the same data.
#ifndef QRT_CONVERTER_QUANT_NETWORK_H_
#define QRT_CONVERTER_QUANT_NETWORK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/calibrate.h"
#include "converter/quant/encoding.h"
#include "converter/quant/method.h"

namespace qrt::quant {

// What a method is to code for one layer: weights near `target` by the second moments of the
// layer's inputs, (t - q)' H (t - q) summed over outputs, times the square of their gains.
struct LayerProblem {
  int64_t groups = 1, inputs = 0, outputs = 0;
  std::vector<float> target;  // [outputs][inputs]
  std::vector<double> gram;   // H: [group][inputs][inputs]; empty: nothing is known of the inputs
  std::vector<double> ridge;  // [group]: for the diagonal of H
  std::vector<double> gains;  // [outputs]: what the layer multiplies its sums by
  // Layers too wide for H, as GramRequest asked for: [blocks][dim][dim] or their sum.
  std::vector<double> blocks;
};
struct LayerCode {
  Encoding encoding;
  bool was_kept = false;  // an interrupted run had done the work
  // Output energy lost by what the method knows of it; counts where H is not known.
  double output_error = 0;
};
using EncodeLayer = std::function<Result<LayerCode>(const LayerProblem&)>;

// One layer to be coded.
struct LayerPlan {
  ir::NodeId node = -1;
  EncodeLayer encode;
  uint64_t seed = 1;  // of the positions sampled
  double work = 1;    // in units of the method's choice
  GramRequest wide;   // what is asked for where the layer is too wide for H
};

// Each can be switched by itself; README.md has a table of what each is worth.
struct Repairs {
  bool recapture = true;   // inputs of the coded network, not of the float one
  bool retarget = true;    // code the weights that suit those inputs best, not the original ones
  bool normalise = false;  // outputs share entries at one size each, their sizes go to the scale
  bool refit = true;       // pq: entries by least squares (fit.h)
  bool reassign = true;    // pq: codes by coordinate descent (fit.h)
  bool scale = true;       // per output, least squares on the layer's own output
  bool bias = true;        // per output: the mean of the float output
  bool dense = true;       // retarget and bias of the layers that stay dense, too
  int32_t rounds = 5;      // of reassign and refit
  double ridge = 1e-2;     // of retarget, refit and reassign, in mean diagonals of the Gram matrix;
                           // more where samples are few
};

// What became of one layer.
struct CodedLayer {
  std::optional<Encoding> encoding;  // none: the layer stayed dense
  std::string source;                // the method
  std::vector<float> weights;        // [outputs][inputs], only where it stayed dense
  std::vector<float> scale, bias;    // [outputs], or empty: as they were
  double weight_error = 0;           // |W - W'|^2 over |W|^2, the scales included
  double output_error = 0;           // energy of what the output (before the clamp) is off by, over
                                     // its variance, on the calibration data
};

struct SequenceOptions {
  std::string method;  // what the constants will say they come from
  Repairs repairs;
  int32_t positions = 0;  // sampled per calibration row and layer; 0: by the layer's width
};

// Encodes the planned layers in place, in the order of the graph, and returns what became of each.
// `plans` ascend by node. Errors: those of Capture and of the plans, with the layer's name; the
// graph may be changed up to that layer. Deterministic for given data, up to the BLAS.
Result<std::vector<CodedLayer>> code_network(ir::Graph&, std::span<const LayerPlan> plans,
                                             const SequenceOptions&, const CalibrationData&,
                                             std::vector<std::string>& notes);

// Puts weights, scale and bias into the graph as constants of this layer's own; the weights keep
// their name where no other layer reads it.
void commit_layer(ir::Graph&, ir::NodeId, const CodedLayer&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_NETWORK_H_
