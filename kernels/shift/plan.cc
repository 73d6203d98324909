// Integers as signed digits and as two planes of bytes.
#include "kernels/shift/shift.h"

namespace qrt::kernels::shift {
namespace {

// The non-adjacent form: an odd rest gives the digit 2 - rest % 4, after which two bits are zero.
void add_terms(int32_t rest, uint32_t code, Plan* p) {
  uint8_t& terms = p->terms[code];
  for (uint32_t place = 0; rest != 0; ++place, rest /= 2) {
    if (rest % 2 == 0) continue;
    const int32_t digit = (rest & 3) == 1 ? 1 : -1;
    p->shift[code][terms] = static_cast<uint8_t>(place);
    p->negative[code][terms++] = digit < 0;
    p->most_shift = place > p->most_shift ? place : p->most_shift;
    rest -= digit;
  }
  p->most_terms = terms > p->most_terms ? terms : p->most_terms;
}

}  // namespace

bool make_plan(const int16_t* integers, uint32_t bits, Plan* plan) {
  if (bits < 1 || bits > kMaxBits) return false;
  *plan = {};
  plan->bits = bits;
  for (uint32_t code = 0; code < 1u << bits; ++code) {
    const int32_t v = integers[code], size = v < 0 ? -v : v;
    if (size > kMaxInteger) return false;
    plan->most = size > plan->most ? size : plan->most;
    plan->two_planes |= v < -128 || v > 127;
    plan->integers[code] = integers[code];
    plan->low[code] = static_cast<int8_t>(static_cast<uint8_t>(v & 255));
    plan->high[code] = static_cast<int8_t>((v - plan->low[code]) / 256);
    add_terms(v, code, plan);
  }
  return true;
}

bool esb_integers(uint32_t bits, uint32_t fraction, int16_t* integers) {
  if (bits < 2 || bits > kMaxBits || fraction + 2 > bits) return false;
  const uint32_t half = 1u << (bits - 1), one = 1u << fraction;
  for (uint32_t code = 0; code < half; ++code) {
    const uint32_t exponent = code >> fraction, rest = code & (one - 1);
    if (exponent > 16) return false;
    const uint64_t v = exponent == 0 ? rest : uint64_t{one + rest} << (exponent - 1);
    if (v > uint64_t{kMaxInteger}) return false;
    integers[code] = static_cast<int16_t>(v);
    integers[code + half] = static_cast<int16_t>(-static_cast<int32_t>(v));
  }
  return true;
}

bool sums_fit(const Plan& plan, uint64_t inputs, uint32_t most_x) {
  constexpr uint64_t kLimit = uint64_t{1} << 31;
  const uint64_t most = static_cast<uint64_t>(plan.most) + 128;
  return inputs < kLimit && inputs * most < kLimit / (uint64_t{most_x} + 128);
}

}  // namespace qrt::kernels::shift
