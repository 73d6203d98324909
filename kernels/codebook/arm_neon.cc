// The codebook kit for NEON: the aarch64 baseline, and armv7 with VFPv4 (fma).
//
// aarch64, 32 registers: tile 8 x 8, 16 q of sums, 2 of weights, the rest for
// activations. armv7, 16 registers: tile 4 x 8, 8 q of sums.
#include <arm_neon.h>

#include "kernels/codebook/generic.h"
#include "kernels/codebook/generic_lookup.h"
#include "kernels/codebook/generic_rows.h"

namespace qrt::kernels::codebook {
namespace {

struct Neon {
  using Vec = float32x4_t;
  using Quad = float32x4_t;
  struct Four {
    Vec a, b, c, d;
  };
#if defined(__aarch64__)
  static constexpr size_t kTileM = 8;
#else
  static constexpr size_t kTileM = 4;
#endif
  static constexpr size_t kLanes = 4, kTileN = 8;
  static constexpr size_t kTableBlocks = 8;  // 8 x 4 KB at 256 entries

  static Vec zero() {
    return vdupq_n_f32(0);
  }
  static Vec set1(float x) {
    return vdupq_n_f32(x);
  }
  static Vec load(const float* p) {
    return vld1q_f32(p);
  }
  static void store(float* p, Vec v) {
    vst1q_f32(p, v);
  }
  static Vec load_part(const float* p, size_t n) {
    float all[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; ++i) all[i] = p[i];
    return vld1q_f32(all);
  }
  static void store_part(float* p, Vec v, size_t n) {
    float all[4];
    vst1q_f32(all, v);
    for (size_t i = 0; i < n; ++i) p[i] = all[i];
  }
  static Vec add(Vec a, Vec b) {
    return vaddq_f32(a, b);
  }
  static Vec mul(Vec a, Vec b) {
    return vmulq_f32(a, b);
  }
  static Vec min(Vec a, Vec b) {
    return vminq_f32(a, b);
  }
  static Vec max(Vec a, Vec b) {
    return vmaxq_f32(a, b);
  }
  static Vec fma(Vec a, Vec b, Vec c) {
    return vfmaq_f32(c, a, b);
  }

  static Four transpose4(const float* p, const uint32_t* at) {
    const float32x4x2_t ab = vtrnq_f32(vld1q_f32(p + at[0]), vld1q_f32(p + at[1]));
    const float32x4x2_t cd = vtrnq_f32(vld1q_f32(p + at[2]), vld1q_f32(p + at[3]));
    return {vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])),
            vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])),
            vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])),
            vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1]))};
  }
  static void unpack(const uint8_t* p, const CodeSteps& u, uint32_t* at) {
    for (int half = 0; half < 2; ++half) {
#if defined(__aarch64__)
      const uint8x16_t bytes = vqtbl1q_u8(vld1q_u8(p), vld1q_u8(u.bytes + 16 * half));
#else
      const uint8x8x2_t table = {{vld1_u8(p), vld1_u8(p + 8)}};
      const uint8x16_t bytes = vcombine_u8(vtbl2_u8(table, vld1_u8(u.bytes + 16 * half)),
                                           vtbl2_u8(table, vld1_u8(u.bytes + 16 * half + 8)));
#endif
      const int32x4_t right = vnegq_s32(vreinterpretq_s32_u32(vld1q_u32(u.shift + 4 * half)));
      uint32x4_t v = vshlq_u32(vreinterpretq_u32_u8(bytes), right);
      v = vmulq_n_u32(vandq_u32(v, vdupq_n_u32(u.mask)), u.scale);
      vst1q_u32(at + 4 * half, v);
    }
  }

  static Quad quad_zero() {
    return vdupq_n_f32(0);
  }
  static Quad quad_load(const float* p) {
    return vld1q_f32(p);
  }
  static Quad quad_fma(Quad a, Quad b, Quad c) {
    return vfmaq_f32(c, a, b);
  }
  static float quad_sum(Quad a) {
    const float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(vpadd_f32(b, b), 0);
  }
};

void widen(const WidenArgs& a) {
  size_t i = 0;
  for (; i + 4 <= a.count; i += 4)
    vst1q_f32(a.floats + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(a.halves + i))));
  for (; i < a.count; ++i) {
    __fp16 half;
    std::memcpy(&half, a.halves + i, sizeof half);
    a.floats[i] = half;
  }
}

}  // namespace

const Kit codebook_neon = {Neon::kLanes,
                           Neon::kTableBlocks,
                           widen,
                           panel<Neon>,
                           gemm<Neon>,
                           dot<Neon>,
                           gather<Neon>,
                           pack<Neon>,
                           lookup<Neon>,
                           store<Neon>,
                           "codebook_decode_neon",
                           "codebook_dot_neon",
                           "codebook_lookup_neon"};

}  // namespace qrt::kernels::codebook
