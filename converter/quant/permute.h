// Channel permutation before clustering, the idea of "Permute, Quantize, and
// Fine-tune" (Martinez et al., CVPR 2021): the order of the channels between two
// layers is free, and some orders make blocks of neighbouring inputs easier to code.
#ifndef QRT_CONVERTER_QUANT_PERMUTE_H_
#define QRT_CONVERTER_QUANT_PERMUTE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "converter/ir/graph.h"

namespace qrt::quant {

// A layer that will be coded in blocks of `dim` inputs.
struct BlockedLayer {
  ir::NodeId node = -1;
  int32_t dim = 1;
};

// What became of the channels that one layer makes.
struct Permuted {
  std::string layer;
  double gain = 0;  // bits per block saved by a Gaussian bound: half the fall of log2 det
};

// Reorders the outputs of layers whose channels reach `coded` layers only through operators that
// keep channels apart (pools, unary operators, depthwise layers, Affine, Concat), and the inputs of
// those layers alike: the graph computes what it did, up to the order of sums. Channels that a
// residual, an output of the graph or any other operator sees stay in place. The order minimises
// the sum over the layers it reaches of log det of the second moments of their blocks: sorting by
// energy, then `trials` random swaps per channel, kept where they help.
std::vector<Permuted> permute_channels(ir::Graph&, std::span<const BlockedLayer> coded,
                                       int32_t trials, uint64_t seed);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_PERMUTE_H_
