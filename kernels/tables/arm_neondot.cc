// Ways of the tables family for NEON with the dot product (aarch64): activations become signed.
#include <arm_neon.h>

#include "kernels/tables/generic_ways.h"

namespace qrt::kernels::tables {
namespace {

struct Dots {
  using Sum = int32x4_t;
  using X = int8x16_t;
  using W = int8x16_t;
  static constexpr size_t kXBytes = 16, kWBytes = 4, kEntries = 4;
  static constexpr int32_t kOffset = 128;
  static constexpr bool kShort = false, kNarrow = false;

  static Sum start(int32_t x) { return vdupq_n_s32(x); }
  static void put_x(uint8_t* to, int32x4_t x) {
    vst1q_u8(to, veorq_u8(vreinterpretq_u8_s32(x), vdupq_n_u8(0x80)));
  }
  static X load_x(const uint8_t* p) { return vld1q_s8(reinterpret_cast<const int8_t*>(p)); }
  static W load_w(const uint8_t* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  // Entries in lanes: W is of x, X of the entries.
  static void put_e(uint8_t* to, int32x4_t e) { vst1q_u8(to, vreinterpretq_u8_s32(e)); }
  static Sum start_e(const int32_t* p) { return vld1q_s32(p); }
  static W dup_x(const uint8_t* p) {
    return vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_s8(load_w(p)), vdupq_n_u8(0x80)));
  }
  static Sum mac_e(Sum s, X e, W x) { return mac(s, e, x); }
  static void put_w(uint8_t*, const int8_t*) {}
  static Sum mac(Sum s, X x, W w) { return vdotq_s32(s, x, w); }
  static int32x4_t total(Sum s) { return s; }
};

#include "kernels/tables/neon_vector.inc"

constexpr OutputsCost kOutputsCost = {12.0f, 3.0f, 4.0f, 2.5f, 1.5f};
// Instruction counts times 0.5 ns, not measured on hardware: they rank only.
constexpr LanesCost kLanesCost[] = {{5.0f, 2.5f, 2.0f, 2.0f, 3.0f, 0.5f, 1.0f}};
float lanes_cost_ns(const Shape& s) {
  return Lanes<Lines<Neon, 1>>::cost_ns(s, kLanesCost, kOutputsCost);
}

float outputs_cost_ns(const Shape& s) {
  return Outputs<Neon>::cost_ns(s, kOutputsCost);
}

}  // namespace

const Way lanes_neondot = {64, kChunk, Lanes<Lines<Neon, 1>>::scratch, lanes_cost_ns,
                           Lanes<Lines<Neon, 1>>::run};
const Way outputs_neondot = {64, Outputs<Neon>::kUnit, Outputs<Neon>::scratch, outputs_cost_ns,
                             Outputs<Neon>::run};

}  // namespace qrt::kernels::tables
