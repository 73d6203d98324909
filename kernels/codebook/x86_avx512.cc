// The codebook kit for AVX-512 (F, BW, DQ, VL).
//
// Tile 14 x 32: 28 zmm of sums, 2 of weights, 1 of a broadcast activation = 31 of 32.
// Per k: 2 loads, 14 broadcasts, 28 fma; with two 512-bit FMA units 14 cycles, in
// which the two load ports are busy for 8: bound by the FMAs.
#if defined(__GNUC__) && !defined(__clang__)
// g++-12 takes _mm512_undefined_ps() in its own header for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/codebook/generic.h"
#include "kernels/codebook/generic_lookup.h"
#include "kernels/codebook/generic_rows.h"

namespace qrt::kernels::codebook {
namespace {

struct Avx512 {
  using Vec = __m512;
  using Quad = __m128;
  struct Four {
    Vec a, b, c, d;
  };
  static constexpr size_t kLanes = 16, kTileM = 14, kTileN = 32;
  static constexpr size_t kTableBlocks = 8;  // 8 x 16 KB at 256 entries: L2, and sums rest 1/8

  static Vec zero() { return _mm512_setzero_ps(); }
  static Vec set1(float x) { return _mm512_set1_ps(x); }
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
  static __mmask16 first(size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static Vec load_part(const float* p, size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static void store_part(float* p, Vec v, size_t n) { _mm512_mask_storeu_ps(p, first(n), v); }
  static Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
  static Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }

  // Register i takes the quads at[i], at[i + 4], at[i + 8], at[i + 12]; the 4 x 4
  // transpose inside each 128-bit lane then leaves 0 ... 15 in order.
  static Vec quads(const float* p, const uint32_t* at) {
    Vec v = _mm512_castps128_ps512(_mm_loadu_ps(p + at[0]));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + at[4]), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + at[8]), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + at[12]), 3);
  }
  static Four transpose4(const float* p, const uint32_t* at) {
    const Vec a = quads(p, at), b = quads(p, at + 1), c = quads(p, at + 2), d = quads(p, at + 3);
    const __m512d ab_lo = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
    const __m512d ab_hi = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
    const __m512d cd_lo = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
    const __m512d cd_hi = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
    return {_mm512_castpd_ps(_mm512_unpacklo_pd(ab_lo, cd_lo)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_lo, cd_lo)),
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab_hi, cd_hi)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_hi, cd_hi))};
  }
  static void unpack(const uint8_t* p, const CodeSteps& u, uint32_t* at) {
    const auto vec = [](const void* q) {
      return _mm256_load_si256(static_cast<const __m256i*>(q));
    };
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    __m256i v;
    if (u.mask == 255) {
      v = _mm256_cvtepu8_epi32(bytes);
    } else {
      v = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), vec(u.bytes));
      v = _mm256_srlv_epi32(v, vec(u.shift));
      v = _mm256_and_si256(v, _mm256_set1_epi32(static_cast<int>(u.mask)));
    }
    v = _mm256_mullo_epi32(v, _mm256_set1_epi32(static_cast<int>(u.scale)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), v);
  }

  static Quad quad_zero() { return _mm_setzero_ps(); }
  static Quad quad_load(const float* p) { return _mm_loadu_ps(p); }
  static Quad quad_fma(Quad a, Quad b, Quad c) { return _mm_fmadd_ps(a, b, c); }
  static float quad_sum(Quad a) {
    const Quad b = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
  }
};

void widen(const WidenArgs& a) {
  size_t i = 0;
  for (; i + 16 <= a.count; i += 16)
    _mm512_storeu_ps(
        a.floats + i,
        _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a.halves + i))));
  for (; i < a.count; ++i) a.floats[i] = _cvtsh_ss(a.halves[i]);
}

}  // namespace

const Kit codebook_avx512 = {Avx512::kLanes,
                             Avx512::kTableBlocks,
                             widen,
                             panel<Avx512>,
                             gemm<Avx512>,
                             dot<Avx512>,
                             gather<Avx512>,
                             pack<Avx512>,
                             lookup<Avx512>,
                             store<Avx512>,
                             "codebook_decode_avx512",
                             "codebook_dot_avx512",
                             "codebook_lookup_avx512"};

}  // namespace qrt::kernels::codebook
