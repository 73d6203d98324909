// Weights as integers: which of a few scales each output of a codebook is rounded
// to, and a scale per output of dense weights.
#ifndef QRT_CONVERTER_INT8_WEIGHTS_H_
#define QRT_CONVERTER_INT8_WEIGHTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/quant/encoding.h"

namespace qrt::int8 {

// What the layer's inputs are like: a weight that is off by d moves the output's variance by
// d' C d. `factor` is what an output's sum is multiplied by afterwards.
struct InputMoments {
  int64_t groups = 1, inputs = 0;
  std::vector<float> covariance;  // [group][inputs][inputs], or its diagonal [group][inputs]
  std::vector<float> factor;      // [outputs], or empty
};

struct Rounded {
  quant::Encoding encoding;
  double error = 0;  // output energy that rounding costs over the output's variance
};

// The codebook with 1 to `most` levels, and the best of them for every output.
Rounded round_codebook(const quant::Codebook&, int64_t outputs, int64_t inputs, size_t most,
                       const InputMoments&);

// Dense weights [outputs][inputs].
Rounded round_dense(std::span<const float> weights, int64_t outputs, int64_t inputs,
                    const InputMoments&);

// Whether no sum of the layer leaves 32 bits, whatever the input: for every output
// 255 * sum |w| + 128 * |sum w| < 2^31, what the kernels need, and inputs * 255 * max |w| < 2^31,
// what the file promises; of tables beyond a byte, and with scales per group, by the larger bound
// that schema/README.md gives. `found` is the largest of these numbers.
bool sums_fit(const quant::Encoding&, int64_t outputs, int64_t inputs, int64_t* found);

}  // namespace qrt::int8

#endif  // QRT_CONVERTER_INT8_WEIGHTS_H_
