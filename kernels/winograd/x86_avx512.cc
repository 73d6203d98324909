// Winograd on codebooks, AVX-512: a line is one register. Register tile 6 tiles x 4
// outputs: 24 sums, 4 lines of U, 1 of V = 29 of 32 registers.
#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined operand inside its own shuffle intrinsics for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include "kernels/winograd/plan.h"

namespace qrt::kernels {
namespace {

struct Simd {
  using F = __m512;
  static constexpr size_t kWidth = 16, kTiles = 6, kOuts = 4, kParts = 16 / kWidth;
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static F zero() { return _mm512_setzero_ps(); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }

#include "kernels/winograd/x86_quad.inc"

  // A^T m A of 4 outputs, a pixel of the tile in each 128-bit lane.
  using Tile2x2 = F;
  static F transform_output(const float* m) {
    const F a = _mm512_shuffle_f32x4(load(m), load(m + 16), 0x44);  // rows 0, 1 of two outputs
    const F b = _mm512_shuffle_f32x4(load(m), load(m + 16), 0xee);  // rows 2, 3
    const F c = _mm512_shuffle_f32x4(load(m + 32), load(m + 48), 0x44);
    const F d = _mm512_shuffle_f32x4(load(m + 32), load(m + 48), 0xee);
    // Row i of all four outputs, an output in each lane.
    const F r0 = _mm512_shuffle_f32x4(a, c, 0x88), r1 = _mm512_shuffle_f32x4(a, c, 0xdd);
    const F r2 = _mm512_shuffle_f32x4(b, d, 0x88), r3 = _mm512_shuffle_f32x4(b, d, 0xdd);
    const F p = add(add(r0, r1), r2), q = sub(sub(r1, r2), r3);  // upper and lower pixels
    // Columns: x1 + x2 + x0 on the left, x1 - x2 - x3 on the right.
    const __m512i outer =
        _mm512_setr_epi32(0, 4, 8, 12, 3, 7, 11, 15, 16, 20, 24, 28, 19, 23, 27, 31);
    const __m512i one = _mm512_setr_epi32(1, 5, 9, 13, 1, 5, 9, 13, 17, 21, 25, 29, 17, 21, 25, 29);
    const __m512i two = _mm512_add_epi32(one, _mm512_set1_epi32(1));
    const F sign = _mm512_setr_ps(1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1);
    const F y = fma(sign, _mm512_permutex2var_ps(p, two, q), _mm512_permutex2var_ps(p, one, q));
    return fma(sign, _mm512_permutex2var_ps(p, outer, q), y);
  }
  static F lanes(Q q) {
    return _mm512_broadcast_f32x4(q);
  }
  static F fma_tile(F y, Q scale, Q bias) {
    return fma(y, lanes(scale), lanes(bias));
  }
  static F add_tile(F y, F x) {
    return add(y, x);
  }
  static F clamp_tile(F y, Q low, Q high) {
    return _mm512_min_ps(lanes(high), _mm512_max_ps(lanes(low), y));
  }
  static F load_tile(const float* p, size_t down, size_t across) {
    F y = _mm512_castps128_ps512(load4(p));
    y = _mm512_insertf32x4(y, load4(p + across), 1);
    y = _mm512_insertf32x4(y, load4(p + down), 2);
    return _mm512_insertf32x4(y, load4(p + down + across), 3);
  }
  static void store_tile(float* p, size_t down, size_t across, F y) {
    store4(p, _mm512_castps512_ps128(y));
    store4(p + across, _mm512_extractf32x4_ps(y, 1));
    store4(p + down, _mm512_extractf32x4_ps(y, 2));
    store4(p + down + across, _mm512_extractf32x4_ps(y, 3));
  }

  // 16x16: 4x4 within the 128-bit lanes, then the lanes themselves.
  static void transpose(F* x) {
    F t[16];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const F* r = x + 4 * g;
      const F a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
      const F c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
      t[g] = _mm512_shuffle_ps(a, c, 0x44);
      t[4 + g] = _mm512_shuffle_ps(a, c, 0xee);
      t[8 + g] = _mm512_shuffle_ps(b, d, 0x44);
      t[12 + g] = _mm512_shuffle_ps(b, d, 0xee);
    }
    // Lane l of t[4k + g] is channel 4l + k of row g.
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const F* r = t + 4 * k;
      const F a = _mm512_shuffle_f32x4(r[0], r[1], 0x44),
              b = _mm512_shuffle_f32x4(r[0], r[1], 0xee);
      const F c = _mm512_shuffle_f32x4(r[2], r[3], 0x44),
              d = _mm512_shuffle_f32x4(r[2], r[3], 0xee);
      x[k] = _mm512_shuffle_f32x4(a, c, 0x88);
      x[4 + k] = _mm512_shuffle_f32x4(a, c, 0xdd);
      x[8 + k] = _mm512_shuffle_f32x4(b, d, 0x88);
      x[12 + k] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
  }
};

}  // namespace
}  // namespace qrt::kernels

#include "kernels/winograd/generic.h"

namespace qrt::kernels {
void winograd_avx512_6x4(const WinogradArgs& a) {
  winograd(a);
}
}  // namespace qrt::kernels
