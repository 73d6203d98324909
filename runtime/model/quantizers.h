// Options of the quantizers in f32: a part of operators.h, which says what these
// structs are.
#ifndef QRT_RUNTIME_MODEL_QUANTIZERS_H_
#define QRT_RUNTIME_MODEL_QUANTIZERS_H_

#include <cstdint>

#include "runtime/model/weights.h"

namespace qrt {

enum class Rounding : uint8_t {
  half_even = 0,
  half_away,
  half_to_zero,
  floor,
  ceil,
  to_zero,
  away,
};
struct FakeQuantizeAttr {
  Constant scale, zero;  // 1, or as many as the axis is long
  float low, high;
  Rounding rounding;
  bool zero_after;
  int32_t axis;
};
struct StepsAttr {
  Constant thresholds;  // [1 or length of the axis][count]
  uint32_t count;
  float scale, bias;
  int32_t axis;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_QUANTIZERS_H_
