// Arithmetic of quantized tensors that several operators share (schema/README.md, Numerics).
#ifndef QRT_RUNTIME_OPS_QUANTIZED_H_
#define QRT_RUNTIME_OPS_QUANTIZED_H_

#include <cstdint>

#include "runtime/model/operators.h"
#include "runtime/tensor/tensor.h"

namespace qrt {

inline bool is_quantized(DType t, const Quantization& q) {
  return t == DType::u8 && q.present() && q.zero >= 0 && q.zero <= 255;
}

// To nearest even, of numbers below 2^22: adding 1.5 * 2^23 leaves no bits behind the point.
inline float nearest(float t) {
  constexpr float kMagic = 12582912.0f;
  return t + kMagic - kMagic;
}

// Whole numbers that a result, in steps from the zero, is kept between: what bytes can say, and
// the clamp's bounds where there is one.
struct ByteBounds {
  float lo, hi;
};
inline ByteBounds byte_bounds(const Clamp& clamp, const Quantization& y) {
  const float least = static_cast<float>(-y.zero), most = static_cast<float>(255 - y.zero);
  if (clamp.activation == Activation::none) return {least, most};
  const auto bound = [&](float b) {
    const float steps = b * (1 / y.scale);
    return nearest(steps < least ? least : steps > most ? most : steps);
  };
  return {bound(clamp.min), bound(clamp.max)};
}

// zero + rne(clamp(t)).
inline uint8_t byte_of(float t, const ByteBounds& b, int32_t zero) {
  t = t > b.lo ? t : b.lo;
  t = t < b.hi ? t : b.hi;
  return static_cast<uint8_t>(static_cast<int32_t>(nearest(t)) + zero);
}

// What the quantize operator makes of one number.
inline uint8_t byte_of_value(float x, const Quantization& q) {
  return byte_of(x * (1 / q.scale), byte_bounds({}, q), q.zero);
}

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_QUANTIZED_H_
