// Ways of the tables family for NEON without the dot product: aarch64 baseline and armv7.
//
// Activations become signed (x - 128), so that a product fits 15 bits and two of them 16: vmull,
// then vpadal into pairs of sums, which are added once at the end.
#include <arm_neon.h>

#include "kernels/tables/generic_ways.h"

namespace qrt::kernels::tables {
namespace {

struct Dots {
  struct Sum {
    int32x4_t lo, hi;  // two sums for each of rows 0, 1 and of rows 2, 3
  };
  using X = int8x16_t;
  using W = int8x8_t;
#if defined(__aarch64__)
  static constexpr size_t kEntries = 2;  // 16 sums
#else
  static constexpr size_t kEntries = 1;
#endif
  static constexpr size_t kXBytes = 16, kWBytes = 4;
  static constexpr int32_t kOffset = 128;
  static constexpr bool kShort = false, kNarrow = false;

  static Sum start(int32_t x) {
    const int64_t pair = static_cast<int64_t>(static_cast<uint32_t>(x));
    const int32x4_t v = vreinterpretq_s32_s64(vdupq_n_s64(pair));
    return {v, v};
  }
  static void put_x(uint8_t* to, int32x4_t x) {
    vst1q_u8(to, veorq_u8(vreinterpretq_u8_s32(x), vdupq_n_u8(0x80)));
  }
  static X load_x(const uint8_t* p) {
    return vld1q_s8(reinterpret_cast<const int8_t*>(p));
  }
  static W load_w(const uint8_t* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return vreinterpret_s8_s32(vdup_n_s32(four));
  }
  // Entries in lanes: W is of x, X of the entries.
  static void put_e(uint8_t* to, int32x4_t e) {
    vst1q_u8(to, vreinterpretq_u8_s32(e));
  }
  static Sum start_e(const int32_t* p) {
    const int32x4x2_t v = vzipq_s32(vld1q_s32(p), vdupq_n_s32(0));
    return {v.val[0], v.val[1]};
  }
  static W dup_x(const uint8_t* p) {
    return vreinterpret_s8_u8(veor_u8(vreinterpret_u8_s8(load_w(p)), vdup_n_u8(0x80)));
  }
  static Sum mac_e(Sum s, X e, W x) {
    return mac(s, e, x);
  }
  static void put_w(uint8_t*, const int8_t*) {}
  static Sum mac(Sum s, X x, W w) {
    return {vpadalq_s16(s.lo, vmull_s8(vget_low_s8(x), w)),
            vpadalq_s16(s.hi, vmull_s8(vget_high_s8(x), w))};
  }
  static int32x4_t total(Sum s) {
    return vcombine_s32(vpadd_s32(vget_low_s32(s.lo), vget_high_s32(s.lo)),
                        vpadd_s32(vget_low_s32(s.hi), vget_high_s32(s.hi)));
  }
};

#include "kernels/tables/neon_vector.inc"

constexpr OutputsCost kOutputsCost = {12.0f, 10.0f, 4.0f, 2.5f, 1.5f};
// Instruction counts times 0.5 ns, not measured on hardware: they rank only.
constexpr LanesCost kLanesCost[] = {{5.0f, 10.0f, 2.0f, 2.0f, 3.0f, 0.5f, 1.0f}};
float lanes_cost_ns(const Shape& s) {
  return Lanes<Lines<Neon, 1>>::cost_ns(s, kLanesCost, kOutputsCost);
}

float outputs_cost_ns(const Shape& s) {
  return Outputs<Neon>::cost_ns(s, kOutputsCost);
}

}  // namespace

const Way lanes_neon = {64, kChunk, Lanes<Lines<Neon, 1>>::scratch, lanes_cost_ns,
                        Lanes<Lines<Neon, 1>>::run};
const Way outputs_neon = {64, Outputs<Neon>::kUnit, Outputs<Neon>::scratch, outputs_cost_ns,
                          Outputs<Neon>::run};

}  // namespace qrt::kernels::tables
