// The winograd8 kit for NEON: aarch64 baseline and armv7.
//
// SMLAL makes four products of 16 bits with one lane of the input, so a panel holds one channel
// after the other and nothing is broadcast. aarch64: tile 8 x 8, 16 q of sums, 8 of input (eight
// channels), 1 of the panel = 25 of 32. armv7: tile 4 x 8, 8 q of sums, 4 d of input, 1 q of the
// panel = 11 of 16.
#include <arm_neon.h>

#include "kernels/winograd8/generic.h"

namespace qrt::kernels::winograd8 {
namespace {

#include "kernels/int8/neon.inc"

struct Neon : NeonBase {
  static constexpr size_t kDeep = 1;
  typedef uint16_t Words __attribute__((vector_size(16)));
  typedef uint32_t Ints __attribute__((vector_size(16)));
#if defined(__aarch64__)
  static constexpr size_t kTileM = 8;
  using X = int16x8_t;
  static X load_x(const int16_t* p) {
    return vld1q_s16(p);
  }
  template <int C>
  static Int mac_low(Int s, int16x8_t w, X x) {
    return vmlal_laneq_s16(s, vget_low_s16(w), x, C);
  }
  template <int C>
  static Int mac_high(Int s, int16x8_t w, X x) {
    return vmlal_high_laneq_s16(s, w, x, C);
  }
#else
  static constexpr size_t kTileM = 4;
  using X = int16x4_t;
  static X load_x(const int16_t* p) {
    return vld1_s16(p);
  }
  template <int C>
  static Int mac_low(Int s, int16x8_t w, X x) {
    return vmlal_lane_s16(s, vget_low_s16(w), x, C);
  }
  template <int C>
  static Int mac_high(Int s, int16x8_t w, X x) {
    return vmlal_lane_s16(s, vget_high_s16(w), x, C);
  }
#endif
  static constexpr size_t kXLanes = sizeof(X) / sizeof(int16_t);

  static Words widen(const uint8_t* p) {
    return reinterpret_cast<Words>(vmovl_u8(vld1_u8(p)));
  }
  template <int E>
  static Ints settle(Ints y) {
    if constexpr (E == 4) y *= kInverse9;
    return reinterpret_cast<Ints>(vshrq_n_s32(reinterpret_cast<int32x4_t>(y), E == 4 ? 6 : 2));
  }
  template <int E>
  static constexpr size_t place(size_t i) {
    return i;
  }

  // Rows a, b and c, d of 16-bit pairs turned as 32-bit ones.
  static void turn4(const int16x8x2_t& ab, const int16x8x2_t& cd, int16x8_t* to) {
    for (int i = 0; i < 2; ++i) {
      const int32x4x2_t t =
          vtrnq_s32(vreinterpretq_s32_s16(ab.val[i]), vreinterpretq_s32_s16(cd.val[i]));
      to[i] = vreinterpretq_s16_s32(t.val[0]), to[2 + i] = vreinterpretq_s16_s32(t.val[1]);
    }
  }
  template <int E>
  static void put(const Lines* l, int16_t* to, size_t step) {
    constexpr size_t P = kPositions<E>;
    for (size_t first = 0; first < P; first += 8) {
      int16x8_t r[8], low[4], high[4];
      for (size_t i = 0; i < 8; ++i) {
        const int8_t* line = l->from + l->at[i] + first * sizeof(int16_t);
        r[i] = vreinterpretq_s16_s8(vld1q_s8(line));
      }
      turn4(vtrnq_s16(r[0], r[1]), vtrnq_s16(r[2], r[3]), low);
      turn4(vtrnq_s16(r[4], r[5]), vtrnq_s16(r[6], r[7]), high);
      int16_t* p = to + first * step;
      for (size_t i = 0; i < 4; ++i)
        vst1q_s16(p + i * step, vcombine_s16(vget_low_s16(low[i]), vget_low_s16(high[i])));
      if (first + 4 == P) break;  // F(4x4,3x3) has 36
      for (size_t i = 0; i < 4; ++i)
        vst1q_s16(p + (4 + i) * step, vcombine_s16(vget_high_s16(low[i]), vget_high_s16(high[i])));
    }
  }

#define QRT_EACH_ROW _Pragma("GCC unroll 8") for (size_t r = 0; r < R; ++r)
  template <int R, int C>
  static void channel(Int (&s)[R][2], const X (&x)[R], const int16_t* w) {
    const int16x8_t b = vld1q_s16(w + C * kTileN);
    QRT_EACH_ROW s[r][0] = mac_low<C>(s[r][0], b, x[r]), s[r][1] = mac_high<C>(s[r][1], b, x[r]);
  }

  // Channels beyond the last are zeros in the input and anything in the panel.
  template <int R>
  __attribute__((noinline)) static void multiply(const Multiply& m) {
    Int s[R][2];
    if (m.add) {
      QRT_EACH_ROW s[r][0] = load_i(m.sums + r * kTileN), s[r][1] = load_i(m.sums + r * kTileN + 4);
    } else {
      QRT_EACH_ROW s[r][0] = set1_i(0), s[r][1] = set1_i(0);
    }
    const int16_t *x = m.x, *w = m.panel;
    const size_t stride = m.stride;
    for (const int16_t* const end = x + m.channels; x < end; x += kXLanes, w += kXLanes * kTileN) {
      X v[R];
      QRT_EACH_ROW v[r] = load_x(x + r * stride);
      channel<R, 0>(s, v, w), channel<R, 1>(s, v, w);
      channel<R, 2>(s, v, w), channel<R, 3>(s, v, w);
#if defined(__aarch64__)
      channel<R, 4>(s, v, w), channel<R, 5>(s, v, w);
      channel<R, 6>(s, v, w), channel<R, 7>(s, v, w);
#endif
    }
    QRT_EACH_ROW store_i(m.sums + r * kTileN, s[r][0]), store_i(m.sums + r * kTileN + 4, s[r][1]);
  }
#undef QRT_EACH_ROW
};

}  // namespace

const Kit winograd8_neon = kit_of<Neon>();

}  // namespace qrt::kernels::winograd8
