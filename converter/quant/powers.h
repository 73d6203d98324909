// Scales that are powers of two, of which a byte is enough: E8M0 of the OCP microscaling formats.
#ifndef QRT_CONVERTER_QUANT_POWERS_H_
#define QRT_CONVERTER_QUANT_POWERS_H_

#include <algorithm>
#include <cmath>

#include "converter/quant/encoding.h"

namespace qrt::quant {

inline constexpr int kLeastPower = -127, kMostPower = 127;

inline bool is_power(float v) {
  int exponent = 0;  // of 0.5 * 2^exponent
  return std::frexp(v, &exponent) == 0.5f && exponent > kLeastPower && exponent <= kMostPower + 1;
}

// Whether files store these scales of groups as bytes.
inline bool are_powers(const Scales& s) {
  return s.axis == ScaleAxis::group && std::all_of(s.values.begin(), s.values.end(), is_power);
}

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_POWERS_H_
