// The int8 kit for NEON with the dot product (aarch64).
//
// Tile 8 x 8: 16 q of sums, 8 of activations, 2 of weights = 26 of 32. Per 16 inputs 64 sdot, 8 eor
// and 16 loads; products by a lane spare the broadcasts and three of four eor. llvm-mca 14,
// products per cycle: neoverse-n1 (as Cortex-A76) 26.9, cortex-a55 9.0; with a broadcast per
// step 15.9, 6.0.
#include <arm_neon.h>

#include "kernels/int8/generic_coded_dot.h"
#include "kernels/int8/generic_depthwise.h"
#include "kernels/int8/generic_gemm.h"
#include "kernels/int8/generic_packed.h"

namespace qrt::kernels::int8 {
namespace {

#include "kernels/int8/neon.inc"

struct NeonDot : NeonBase {
  using Sum = int32x4_t;
  using W = int8x16_t;
  using X = int8x16_t;
  using D = int32x4_t;
  static constexpr size_t kTileM = 8, kWBytes = 16;
  static constexpr bool kQuads = true;

  static Sum zero() { return vdupq_n_s32(0); }
  static X set_x(const uint8_t* p) { return x_of(p); }
  static W load_w(const uint8_t* p) { return vld1q_s8(reinterpret_cast<const int8_t*>(p)); }
  static Sum mac(Sum s, X x, W w) { return vdotq_s32(s, x, w); }
  using X16 = int8x16_t;
  static X16 load_x16(const uint8_t* p) { return signed_x(vld1q_u8(p)); }
  template <int S>
  static Sum mac_lane(Sum s, X16 x, W w) {
    return vdotq_laneq_s32(s, w, x, S);
  }
  static Int total(Sum s) { return s; }

  static D d_zero() { return vdupq_n_s32(0); }
  static D d_mac(D d, const uint8_t* x, const int8_t* w) {
    return vdotq_s32(d, signed_x(vld1q_u8(x)), vld1q_s8(w));
  }
  static int32_t d_total(D d) { return lanes_sum(d); }
};

}  // namespace

const Kit int8_neondot = {step_bytes<NeonDot>(), sums<NeonDot>,
                          panel<NeonDot>,        gemm<NeonDot>,
                          dot<NeonDot>,          quantize<NeonDot>,
                          decode<NeonDot>,       round<NeonDot>,
                          coded_dot<NeonDot>,    depthwise_panel<NeonDot>,
                          depthwise<NeonDot>,    NeonDot::kOffset,
                          packed<NeonDot>};

}  // namespace qrt::kernels::int8
