// Winograd on codebooks, NEON: a line is four registers. On aarch64 the register tile is
// 3 tiles x 2 outputs: 24 sums, 2 quarters of U, 1 of V = 27 of 32 registers, 24 FMAs
// beside 20 vector loads (10 paired). armv7 has 16 registers: 2 x 2 and half a line at a
// time, 8 sums, 8 FMAs beside 8 vector loads, in two passes over the channels.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 schedules loads so early that four of the sums are spilled in the inner loop.
#pragma GCC optimize("no-schedule-insns")
#endif

#include <arm_neon.h>

#include "kernels/winograd/plan.h"

namespace qrt::kernels {
namespace {

struct Simd {
  using F = float32x4_t;
  using Q = float32x4_t;
#if defined(__aarch64__)
  static constexpr size_t kWidth = 4, kTiles = 3, kOuts = 2, kParts = 4;
#else
  static constexpr size_t kWidth = 4, kTiles = 2, kOuts = 2, kParts = 2;
#endif
  static F in_register(F x) {
    return x;
  }
  static F load(const float* p) {
    return vld1q_f32(p);
  }
  static void store(float* p, F x) {
    vst1q_f32(p, x);
  }
  static F zero() {
    return vdupq_n_f32(0);
  }
  static F add(F a, F b) {
    return vaddq_f32(a, b);
  }
  static F sub(F a, F b) {
    return vsubq_f32(a, b);
  }
  static F fma(F a, F b, F c) {
    return vfmaq_f32(c, a, b);
  }

  static Q load4(const float* p) {
    return vld1q_f32(p);
  }
  static void store4(float* p, Q x) {
    vst1q_f32(p, x);
  }
  static Q all4(float x) {
    return vdupq_n_f32(x);
  }
  static Q add4(Q a, Q b) {
    return vaddq_f32(a, b);
  }
  static Q sub4(Q a, Q b) {
    return vsubq_f32(a, b);
  }
  static Q fma4(Q a, Q b, Q c) {
    return vfmaq_f32(c, a, b);
  }
  static Q clamp4(Q x, Q low, Q high) {
    return vminq_f32(high, vmaxq_f32(low, x));
  }
  static void transpose4(Q* x) {
    const float32x4x2_t a = vtrnq_f32(x[0], x[1]), b = vtrnq_f32(x[2], x[3]);
    x[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    x[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    x[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    x[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
  }
  static void transpose(F* x) {
    transpose4(x);
  }

#include "kernels/winograd/quad.inc"
};

}  // namespace
}  // namespace qrt::kernels

#include "kernels/winograd/generic.h"

namespace qrt::kernels {
#if defined(__aarch64__)
void winograd_neon_3x2(const WinogradArgs& a) {
  winograd(a);
}
#else
void winograd_neon_2x2(const WinogradArgs& a) {
  winograd(a);
}
#endif
}  // namespace qrt::kernels
