// The lowbit kit for NEON with the dot product (aarch64).
//
// Four outputs by at most four places: 16 q of sums.
#include <arm_neon.h>

#include "kernels/lowbit/generic_dot.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/neon.inc"

struct NeonDot : NeonBase {
  using Short = int32x4_t;
  static constexpr int kOutputs = 4, kChains = 2, kMostFactor = 0;
  static constexpr size_t kWiden = 0;
  static Short zero() { return vdupq_n_s32(0); }
  static Short mac(Short s, Vec codes, Vec x) {
    return vdotq_s32(s, vreinterpretq_s8_u8(codes), vreinterpretq_s8_u8(x));
  }
  static Long widen(Long to, Short s) { return vaddq_s32(to, s); }
};

}  // namespace

const Kit lowbit_neondot = {unpack<NeonDot>,  integers<NeonDot>, floats<NeonDot>, NeonDot::kBytes,
                            can_dot<NeonDot>, spread<NeonDot>,   dot<NeonDot>,    finish};

}  // namespace qrt::kernels::lowbit
