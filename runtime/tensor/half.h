// IEEE 754 binary16 to float, exactly: constants and dense weights of a file may
// be stored so. Storage only; nothing computes in half precision.
#ifndef QRT_RUNTIME_TENSOR_HALF_H_
#define QRT_RUNTIME_TENSOR_HALF_H_

#include <cstdint>
#include <cstring>

namespace qrt {

// The exponent is re-biased from 15 to 127 by a multiplication with 2^112, which
// also brings subnormals (exponent field 0) to their value; only infinities and
// NaNs (field 31) need a word of their own.
inline float half_to_float(uint16_t h) {
  const uint32_t magnitude = static_cast<uint32_t>(h & 0x7fffu) << 13;
  const uint32_t scale_bits = (127u + 112u) << 23;
  float scale, value;
  std::memcpy(&scale, &scale_bits, sizeof scale);
  std::memcpy(&value, &magnitude, sizeof value);
  value *= scale;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((h & 0x7c00u) == 0x7c00u) bits = magnitude | 0x7f800000u;
  bits |= static_cast<uint32_t>(h & 0x8000u) << 16;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace qrt

#endif  // QRT_RUNTIME_TENSOR_HALF_H_
