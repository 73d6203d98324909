// The float network and the one of bytes side by side over calibration data, node
// by node: each layer of integers is rounded on the inputs it will really see, and
// its scale and bias are fitted to what the float network gives there.
#ifndef QRT_CONVERTER_INT8_FIT_H_
#define QRT_CONVERTER_INT8_FIT_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/int8/contracts.h"
#include "converter/ir/graph.h"
#include "converter/quant/method.h"

namespace qrt::int8 {

struct FitOptions {
  size_t levels = quant::kMaxLevels;  // of a codebook, at most
  bool scale = true, bias = true;     // fitted per output; false: as the float network has them
  bool tables = true;                 // rounded ones, where they gain on the target
  Target target = Target::portable;
  double max_loss = 3e-3;            // energy that they may add, over the layer output's variance
  std::set<std::string> keep_exact;  // layers that have none
};

// What became of one layer of integers.
struct FittedLayer {
  std::string layer, encoding;
  size_t levels = 1;
  int32_t table_bits = 0, table_shift = 0;  // 0: exact sums
  double table_gain = 0, table_loss = 0;    // predicted speed over exact sums; energy, as max_loss
  std::string why;                          // of the contract
  double rounding_db = 0;                   // of the weights, in the metric of the layer's inputs
  double snr_db = 0;  // of the layer's output before its clamp, all that is before it included
};

struct Fit {
  std::vector<FittedLayer> layers;    // in graph order
  std::vector<double> output_snr_db;  // per graph output
};

// `bytes` is `reference` after insert(): values have the same ids, as far as both have them. Each
// layer whose input is bytes gets integer weights, a scale and a bias. The same data gives the same
// result, always. Errors: 560 as eval::evaluate(); QRT-E0763 sums that would not fit 32 bits,
// QRT-E0762 values that are not finite.
Result<Fit> fit(const ir::Graph& reference, ir::Graph& bytes, const std::vector<eval::Tensor>& data,
                const FitOptions&);

}  // namespace qrt::int8

#endif  // QRT_CONVERTER_INT8_FIT_H_
