// Winograd on codebooks, AVX2 with FMA: a line is two registers. Register tile 3 tiles
// x 2 outputs: 12 sums, 2 halves of U, 1 of V = 15 of 16 registers. Per channel 12
// FMAs (6 cycles) beside 12 loads (6 cycles on cores with two load ports).
#include <immintrin.h>

#include "kernels/winograd/plan.h"

namespace qrt::kernels {
namespace {

struct Simd {
  using F = __m256;
  static constexpr size_t kWidth = 8, kTiles = 3, kOuts = 2, kParts = 16 / kWidth;
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  static F zero() { return _mm256_setzero_ps(); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }

#include "kernels/winograd/x86_quad.inc"

#include "kernels/winograd/quad.inc"

  static void transpose(F* x) {
    F t[8];
#pragma GCC unroll 2
    for (int g = 0; g < 2; ++g) {
      const F* r = x + 4 * g;
      const F a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
      const F c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
      t[g] = _mm256_shuffle_ps(a, c, 0x44);
      t[2 + g] = _mm256_shuffle_ps(a, c, 0xee);
      t[4 + g] = _mm256_shuffle_ps(b, d, 0x44);
      t[6 + g] = _mm256_shuffle_ps(b, d, 0xee);
    }
    // Lane l of t[2k + g] is channel 4l + k of row g.
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      x[k] = _mm256_permute2f128_ps(t[2 * k], t[2 * k + 1], 0x20);
      x[4 + k] = _mm256_permute2f128_ps(t[2 * k], t[2 * k + 1], 0x31);
    }
  }
};

}  // namespace
}  // namespace qrt::kernels

#include "kernels/winograd/generic.h"

namespace qrt::kernels {
void winograd_avx2_3x2(const WinogradArgs& a) {
  winograd(a);
}
}  // namespace qrt::kernels
