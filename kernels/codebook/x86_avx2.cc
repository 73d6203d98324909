// The codebook kit for AVX2 with FMA and F16C.
//
// Tile 6 x 16: 12 ymm of sums, 2 of weights, 1 of a broadcast activation = 15 of 16.
// Per k: 2 loads, 6 broadcasts, 12 fma: 6 cycles of two FMA units, 4 of two load ports.
#include <immintrin.h>

#include "kernels/codebook/generic.h"
#include "kernels/codebook/generic_lookup.h"
#include "kernels/codebook/generic_rows.h"

namespace qrt::kernels::codebook {
namespace {

alignas(32) constexpr int32_t kFirst[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct Avx2 {
  using Vec = __m256;
  using Quad = __m128;
  struct Four {
    Vec a, b, c, d;
  };
  static constexpr size_t kLanes = 8, kTileM = 6, kTileN = 16;
  static constexpr size_t kTableBlocks = 8;  // 8 x 8 KB at 256 entries

  static Vec zero() { return _mm256_setzero_ps(); }
  static Vec set1(float x) { return _mm256_set1_ps(x); }
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
  static __m256i first(size_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirst + 8 - n));
  }
  static Vec load_part(const float* p, size_t n) { return _mm256_maskload_ps(p, first(n)); }
  static void store_part(float* p, Vec v, size_t n) { _mm256_maskstore_ps(p, first(n), v); }
  static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
  static Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }

  // As in the AVX-512 kit: quads i and i + 4 share a register, lanes are transposed.
  static Vec quads(const float* p, const uint32_t* at) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p + at[0])),
                                _mm_loadu_ps(p + at[4]), 1);
  }
  static Four transpose4(const float* p, const uint32_t* at) {
    const Vec a = quads(p, at), b = quads(p, at + 1), c = quads(p, at + 2), d = quads(p, at + 3);
    const __m256d ab_lo = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
    const __m256d ab_hi = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
    const __m256d cd_lo = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
    const __m256d cd_hi = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    return {_mm256_castpd_ps(_mm256_unpacklo_pd(ab_lo, cd_lo)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab_lo, cd_lo)),
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab_hi, cd_hi)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab_hi, cd_hi))};
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
  for (; i + 8 <= a.count; i += 8)
    _mm256_storeu_ps(
        a.floats + i,
        _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a.halves + i))));
  for (; i < a.count; ++i) a.floats[i] = _cvtsh_ss(a.halves[i]);
}

}  // namespace

const Kit codebook_avx2 = {Avx2::kLanes,
                           Avx2::kTableBlocks,
                           widen,
                           panel<Avx2>,
                           gemm<Avx2>,
                           dot<Avx2>,
                           gather<Avx2>,
                           pack<Avx2>,
                           lookup<Avx2>,
                           store<Avx2>,
                           "codebook_decode_avx2",
                           "codebook_dot_avx2",
                           "codebook_lookup_avx2"};

}  // namespace qrt::kernels::codebook
