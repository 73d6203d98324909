// Step functions of integers as a multiplication, an addition and a rounding.
#ifndef QRT_CONVERTER_LOWBIT_REQUANTIZE_H_
#define QRT_CONVERTER_LOWBIT_REQUANTIZE_H_

#include <cstdint>
#include <optional>
#include <span>

namespace qrt::lowbit {

// level(sum) = how many of `thresholds` (ascending) the sum reaches, for low <= sum <= high. A
// threshold of `low` is always reached, one beyond `high` never.
struct StepFunction {
  std::span<const int64_t> thresholds;
  int64_t low = 0, high = 0;
};

// What the runtime multiplies to make the factor and the offset of a quantized output:
// a = x_scale * weight_scale * scale * inverse, c = bias * inverse, each product rounded to f32.
struct Units {
  float x_scale = 1, weight_scale = 1, inverse = 1;
};

struct ScaleBias {
  float scale = 1, bias = 0;
};

// An epilogue with shift + rne(clamp(float(sum) * a + c)) = shift + level(sum) for every sum of the
// range, the clamp being to 0 and the number of thresholds, all shifted by `shift`; checked in the
// runtime's own arithmetic at both sides of each threshold, which is enough as rounding keeps the
// order. Nothing where there is none: steps that are not even.
std::optional<ScaleBias> fit_requantization(const StepFunction&, int32_t shift, const Units&);

}  // namespace qrt::lowbit

#endif  // QRT_CONVERTER_LOWBIT_REQUANTIZE_H_
