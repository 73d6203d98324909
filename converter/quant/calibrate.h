// What methods learn from sample inputs: for each chosen layer the Gram matrix of
// the blocks of its inputs, all that the E-step of product quantization needs
// (kmeans.h). Activations themselves are never kept.
#ifndef QRT_CONVERTER_QUANT_CALIBRATE_H_
#define QRT_CONVERTER_QUANT_CALIBRATE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/method.h"

namespace qrt::quant {

// Conv2d (images NCHW) or Linear, whose rows are cut into blocks of `dim` inputs in the order
// cin, kh, kw. The last block may be short: what is missing counts as zero.
struct GramRequest {
  ir::NodeId node = -1;
  int32_t dim = 1;
  bool per_block = false;  // one matrix per block, else their sum
};

struct Gram {
  // Sum of x x' over all sampled rows, [blocks][dim][dim], or over their blocks too, [dim][dim].
  std::vector<double> sums;
  int64_t rows = 0;  // blocks summed
};

// Runs the graph over the data, eight rows at a time, and samples at most `positions` output
// positions (rows of im2col, padding included) per input row and layer, drawn from `seed`.
// Errors: of eval::evaluate(); QRT-E0711 where an activation is not finite.
Result<std::vector<Gram>> collect_grams(const ir::Graph&, std::span<const GramRequest>,
                                        const CalibrationData&, int32_t positions, uint64_t seed);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_CALIBRATE_H_
