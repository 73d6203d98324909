// Methods bwn, twn, uniform, alq and esb: weights of a few bits after training. What they
// share is here: which layers, in which settings, and one layer at a time; the grids
// are in grid.h, sums of planes in sketch.h, the network in network.h.
#ifndef QRT_CONVERTER_QUANT_LOW_BIT_H_
#define QRT_CONVERTER_QUANT_LOW_BIT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/encoding.h"
#include "converter/quant/esb.h"
#include "converter/quant/grid.h"
#include "converter/quant/layer_rules.h"
#include "converter/quant/method.h"
#include "converter/quant/network.h"

namespace qrt::quant {

enum class LowBitKind { binary, ternary, uniform, planes, esb };

// Which weights of an output share coordinates (METHODS 5a): all of them; those of one kernel
// element; those of one input channel; `slices` equal parts of the inputs. Linear layers have no
// kernel: `pixel` and `kernel` are `channel` there.
enum class PlaneGroups { channel, pixel, kernel, slices };

struct LowBitSettings {
  LowBitKind kind = LowBitKind::uniform;
  double bits = 8;  // of uniform: 2..8 (1 with a grid without zero); of planes: the average
  GridKind grid = GridKind::srq;
  ScaleAxis axis = ScaleAxis::output;
  int32_t group = 0;  // inputs that share a scale, with ScaleAxis::group
  PlaneGroups groups = PlaneGroups::pixel;
  int32_t slices = 1;
  int32_t most = 4;        // planes of a group
  bool fitted = true;      // false: the published projection, untouched by data
  bool per_layer = false;  // ternary, not fitted: one threshold for the layer, as SQ's code
  // Of esb; bits, axis, group and fitted are those above.
  int32_t fraction = -1;  // -1: chosen layer by layer
  bool has_zero = true, mean_shift = false;
  bool powers = false;  // scales of groups are powers of two
  EsbRange range = EsbRange::s8;
};

// What a layer without a rule gets where it is the first, the last or depthwise.
enum class Policy { same, eight, dense };

struct LowBitOptions {
  LowBitSettings settings;
  Policy first_last = Policy::eight, depthwise = Policy::same;
  Repairs repairs;
  int32_t positions = 0;
  uint64_t seed = 1;
  int32_t threads = 0;
  bool use_activations = true;
  std::vector<std::string> skip;
  LayerRules layers;
};

// A Conv2d or Linear node with its weight matrix [outputs][inputs].
struct LowBitPlan {
  ir::NodeId node = -1;
  std::string layer;
  int64_t outputs = 0, inputs = 0, taps = 1;
  LowBitSettings settings;
  std::string why_not;    // it stays dense; empty: it is coded
  bool is_fixed = false;  // by a rule or by necessity: a search has no say in it
  bool is_coded() const { return why_not.empty(); }
};
struct LowBitPlans {
  std::vector<LowBitPlan> layers;  // every Conv2d and Linear, in graph order
  std::vector<std::string> notes, warnings;
};

// Errors: QRT-E0718 (an option unknown or out of range), QRT-E0719 (options that contradict each
// other); those of parse_layer_rules().
Result<LowBitOptions> parse_low_bit_options(const char* method, const MethodOptions&);

// Errors: QRT-E0720 (`skip` or a rule names what cannot be), those of RuleBook.
Result<LowBitPlans> plan_low_bit(const ir::Graph&, const char* method, const LowBitOptions&);

// What settings of kind esb ask for.
EsbSettings esb_settings(const LowBitSettings&);

// Stored inputs in a group of planes; 0: the whole row.
int64_t plane_group(const LowBitSettings&, int64_t inputs, int64_t taps);

// One layer. Errors name no layer: QRT-E0721 (weights that are not finite, or settings that do not
// fit the matrix).
Result<Encoding> encode_low_bit(const LayerProblem&, int64_t taps, const LowBitSettings&,
                                int32_t threads);

// Encodes the planned layers in place. The graph is unchanged on an error.
Result<MethodReport> quantize_low_bit(ir::Graph&, const char* method, const LowBitOptions&,
                                      const CalibrationData&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_LOW_BIT_H_
