// The lowbit kit for NEON without the dot product: aarch64 and armv7.
//
// Two outputs by at most four places: 8 q of sums. A word gains two products per vector.
#include <arm_neon.h>

#include "kernels/lowbit/generic_dot.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/neon.inc"

struct Neon : NeonBase {
  using Short = int16x8_t;
  static constexpr int kOutputs = 2, kChains = 1, kMostFactor = 127;
  static constexpr size_t kWiden = 4;
  static Short zero() { return vdupq_n_s16(0); }
  static Short mac(Short s, Vec codes, Vec x) {
    const int8x16_t w = vreinterpretq_s8_u8(codes), v = vreinterpretq_s8_u8(x);
    return vmlal_s8(vmlal_s8(s, vget_low_s8(w), vget_low_s8(v)), vget_high_s8(w), vget_high_s8(v));
  }
  static Long widen(Long to, Short s) { return vpadalq_s16(to, s); }
};

}  // namespace

const Kit lowbit_neon = {unpack<Neon>,  integers<Neon>, floats<Neon>, Neon::kBytes,
                         can_dot<Neon>, spread<Neon>,   dot<Neon>,    finish};

}  // namespace qrt::kernels::lowbit
