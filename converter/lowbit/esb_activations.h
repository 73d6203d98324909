// Activations rounded to the values of an ESB format, with scales chosen on samples:
// `qrt-convert --activations esb`. What is rounded becomes Steps whose thresholds repeat where
// values are more than one unit apart, so streamline() makes bytes and integer thresholds of it
// as of any imported network's quantizers, and the interpreter and the runtime agree to the bit.
#ifndef QRT_CONVERTER_LOWBIT_ESB_ACTIVATIONS_H_
#define QRT_CONVERTER_LOWBIT_ESB_ACTIVATIONS_H_

#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/esb_values.h"
#include "converter/quant/method.h"

namespace qrt::lowbit {

// One value that is rounded.
struct EsbActivation {
  std::string value;
  quant::EsbFormat format;  // where nothing is negative the sign's bit is one more of the fraction
  bool has_sign = false;
  float scale = 0;   // of a unit: the largest value is scale * esb_most(format)
  double error = 0;  // energy lost over the samples' energy
};

// The format of values with or without a sign, of `format.bits` bits. QRT-E0741 where it does not
// exist, or its units go beyond a byte.
Result<quant::EsbFormat> activation_format(const quant::EsbFormat&, bool has_sign);

// Rounds the inputs of all layers with integer weights, but for what comes straight from the
// model's inputs, in a graph that passes::layout_passes() left. A clamp in front that the set of
// values contains is dropped. Errors: 560 as eval::evaluate(), 741, QRT-E0760 there is no data,
// QRT-E0761 no layer has integer weights, QRT-E0762 values that are not finite.
Result<std::vector<EsbActivation>> round_activations(ir::Graph&, const quant::EsbFormat&,
                                                     const quant::CalibrationData&);

}  // namespace qrt::lowbit

#endif  // QRT_CONVERTER_LOWBIT_ESB_ACTIVATIONS_H_
