// IEEE binary16 by bit arithmetic: the same result on every machine, subnormals
// kept (published codebooks hold hundreds of them), ties to even.
#ifndef QRT_CONVERTER_BASE_HALF_H_
#define QRT_CONVERTER_BASE_HALF_H_

#include <bit>
#include <cstdint>

namespace qrt {

// Exact. Infinities and NaN payloads are kept.
constexpr float half_to_float(uint16_t h) {
  const uint32_t sign = uint32_t{h & 0x8000u} << 16;
  uint32_t exponent = (h >> 10) & 0x1fu;
  uint32_t fraction = h & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0) {
    if (fraction == 0) return std::bit_cast<float>(sign);
    // fraction * 2^-24 is exact in a float, so an ordinary product normalises it.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

// Round to nearest, ties to even; what lies beyond 65504 + 16 becomes infinite.
constexpr uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  // Below 2^-14 the unit in the last place is 2^-24 whatever the exponent: more bits drop.
  const uint32_t exponent = magnitude >> 23;
  if (exponent < 102) return static_cast<uint16_t>(sign);  // < 2^-25: rounds to zero
  uint32_t dropped = 13;
  uint32_t significand = magnitude;
  uint32_t base = 112u << 23;
  if (exponent < 113) {
    dropped = 126 - exponent;
    significand = (magnitude & 0x7fffffu) | 0x800000u;
    base = 0;
  }
  const uint32_t kept = (significand - base) >> dropped;
  const uint32_t rest = significand & ((1u << dropped) - 1u);
  const uint32_t half = 1u << (dropped - 1);
  const uint32_t up = rest > half || (rest == half && (kept & 1u)) ? 1u : 0u;
  return static_cast<uint16_t>(sign | (kept + up));
}

constexpr float round_to_half(float value) {
  return half_to_float(float_to_half(value));
}

// True where storing as f16 loses nothing.
constexpr bool is_half(float value) {
  return std::bit_cast<uint32_t>(round_to_half(value)) == std::bit_cast<uint32_t>(value);
}

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_HALF_H_
