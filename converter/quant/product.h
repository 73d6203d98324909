// Method `pq`: product quantization with activation-weighted k-means, the
// post-training form of "And the Bit Goes Down" (Stock et al., ICLR 2020,
// section 3), one codebook per layer, and instead of fine-tuning the repairs of
// network.h, which need no gradients.
#ifndef QRT_CONVERTER_QUANT_PRODUCT_H_
#define QRT_CONVERTER_QUANT_PRODUCT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/layer_rules.h"
#include "converter/quant/method.h"
#include "converter/quant/network.h"
#include "converter/quant/pq_layer.h"

namespace qrt::quant {

struct PqOptions {
  int32_t block_3x3 = 9;         // d of 3x3 convolutions: 9 small, 18 large
  int32_t block_1x1 = 4;         // d of 1x1 convolutions: 4 small, 8 large
  int32_t block_fc = 4;          // d of fully connected layers
  int32_t block_other = 0;       // d of other kernels; 0: one kernel row, or the whole if shorter
  int32_t centroids_conv = 256;  // k before clipping
  int32_t centroids_fc = 2048;
  int32_t iterations = 100;
  uint64_t seed = 1;
  int32_t positions = 0;  // sampled output positions per calibration row and layer; 0: by its width
  EntryType entries = EntryType::f16;
  int32_t books = 1;  // whose entries add up
  Clip clip = Clip::code;
  GramKind gram = GramKind::shared;
  int32_t threads = 0;            // 0: all cores; never changes the result
  bool use_activations = true;    // false: plain k-means even where there is data
  Repairs repairs;                // with activations only
  int32_t permute = 20;           // swaps tried per channel before clustering (permute.h)
  bool skip_first = true;         // the first convolution stays dense
  std::vector<std::string> skip;  // node names that stay dense
  LayerRules layers;              // settings of single layers, over all of the above
};

// `layers` beside the keys of methods.inc: the text of layer_rules.h. Errors: QRT-E0712, naming the
// key, what was found and what is allowed; those of parse_layer_rules().
Result<PqOptions> parse_pq_options(const MethodOptions&);

// Encodes the weights of Conv2d and Linear layers as plan_pq() has it (pq_plan.h). Deterministic
// for given options and data. Errors: those of plan_pq(), code_network() and encode_pq_layer(),
// with the layer's name. The graph is unchanged on an error.
Result<MethodReport> quantize_pq(ir::Graph&, const PqOptions&, const CalibrationData&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_PRODUCT_H_
