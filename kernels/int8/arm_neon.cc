// The int8 kit for NEON without the dot product: aarch64 baseline and armv7.
//
// Activations become signed (x - 128), so that a product fits 15 bits and the sum of two, at worst
// 2 * 128 * 128, is widened before it can overflow: vmull, then vpadal into pairs of sums.
// aarch64, 32 registers: tile 4 x 8, 16 q of sums. armv7, 16: tile 2 x 8, 8 q of sums. llvm-mca 14,
// aarch64, products per cycle: neoverse-n1 5.8, cortex-a55 2.4; g++-12 spills two vectors per step,
// and without its scheduler (-fno-schedule-insns) these are 2.4 and 1.3.
#include <arm_neon.h>

#include "kernels/int8/generic_coded_dot.h"
#include "kernels/int8/generic_depthwise.h"
#include "kernels/int8/generic_gemm.h"
#include "kernels/int8/generic_packed.h"

namespace qrt::kernels::int8 {
namespace {

#include "kernels/int8/neon.inc"

struct Neon : NeonBase {
  struct Sum {
    int32x4_t lo, hi;  // two sums for each of outputs 0, 1 and of outputs 2, 3
  };
  using W = int8x16_t;
  using X = int8x16_t;
  using D = int32x4_t;
#if defined(__aarch64__)
  static constexpr size_t kTileM = 4;
#else
  static constexpr size_t kTileM = 2;
#endif
  static constexpr size_t kWBytes = 16;
  static constexpr bool kQuads = false;

  static Sum zero() {
    return {vdupq_n_s32(0), vdupq_n_s32(0)};
  }
  static X set_x(const uint8_t* p) {
    return x_of(p);
  }
  static W load_w(const uint8_t* p) {
    return vld1q_s8(reinterpret_cast<const int8_t*>(p));
  }
  static int16x8_t high(int8x16_t a, int8x16_t b) {
#if defined(__aarch64__)
    return vmull_high_s8(a, b);
#else
    return vmull_s8(vget_high_s8(a), vget_high_s8(b));
#endif
  }
  static Sum mac(Sum s, X x, W w) {
    return {vpadalq_s16(s.lo, vmull_s8(vget_low_s8(x), vget_low_s8(w))),
            vpadalq_s16(s.hi, high(x, w))};
  }
  static Int total(Sum s) {
    return vcombine_s32(vpadd_s32(vget_low_s32(s.lo), vget_high_s32(s.lo)),
                        vpadd_s32(vget_low_s32(s.hi), vget_high_s32(s.hi)));
  }

  static D d_zero() {
    return vdupq_n_s32(0);
  }
  static D d_mac(D d, const uint8_t* x, const int8_t* w) {
    const int8x16_t a = signed_x(vld1q_u8(x)), b = vld1q_s8(w);
    d = vpadalq_s16(d, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    return vpadalq_s16(d, high(a, b));
  }
  static int32_t d_total(D d) {
    return lanes_sum(d);
  }
};

}  // namespace

const Kit int8_neon = {
    step_bytes<Neon>(), sums<Neon>,    panel<Neon>, gemm<Neon>,      dot<Neon>,
    quantize<Neon>,     decode<Neon>,  round<Neon>, coded_dot<Neon>, depthwise_panel<Neon>,
    depthwise<Neon>,    Neon::kOffset, packed<Neon>};

}  // namespace qrt::kernels::int8
