// The lowbit kit for NEON: aarch64 and armv7.
#include <arm_neon.h>

#include "kernels/lowbit/generic.h"

namespace qrt::kernels::lowbit {
namespace {

struct Neon {
  static uint8x16_t shuffle(uint8x16_t v, uint8x16_t at) {
#if defined(__aarch64__)
    return vqtbl1q_u8(v, at);
#else
    const uint8x8x2_t table = {{vget_low_u8(v), vget_high_u8(v)}};
    return vcombine_u8(vtbl2_u8(table, vget_low_u8(at)), vtbl2_u8(table, vget_high_u8(at)));
#endif
  }
  static void codes16(const uint8_t* p, const Steps& s, uint8_t* to) {
    const uint8x16_t v = vld1q_u8(p);
    const int16x8_t down = vdupq_n_s16(static_cast<int16_t>(-s.down));
    for (size_t half = 0; half < 2; ++half) {
      const uint16x8_t pairs = vreinterpretq_u16_u8(shuffle(v, vld1q_u8(s.bytes + 16 * half)));
      const uint16x8_t top = vshlq_u16(pairs, vld1q_s16(s.up + 8 * half));
      vst1_u8(to + 8 * half, vmovn_u16(vshlq_u16(top, down)));
    }
  }
  static void map16(const uint8_t* codes, const int8_t* map, int8_t* to) {
    const uint8x16_t table = vreinterpretq_u8_s8(vld1q_s8(map));
    vst1q_s8(to, vreinterpretq_s8_u8(shuffle(table, vld1q_u8(codes))));
  }
};

}  // namespace

const Kit lowbit_neon = {unpack<Neon>, integers<Neon>, floats<Neon>};

}  // namespace qrt::kernels::lowbit
