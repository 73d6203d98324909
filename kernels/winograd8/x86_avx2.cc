// The winograd8 kit for AVX2.
//
// Tile 5 x 16: 10 ymm of sums, 2 of the panel, 1 of broadcast input, 2 of products = 15 of 16.
#include <immintrin.h>

#include "kernels/winograd8/generic.h"

namespace qrt::kernels::winograd8 {
namespace {

struct Avx2 {
  using Int = __m256i;
  using F = __m256;
  static constexpr size_t kLanes = 8, kTileM = 5;
  static Int mac(Int s, Int x, Int w) { return _mm256_add_epi32(s, _mm256_madd_epi16(x, w)); }
#define MM(op) _mm256_##op
#include "kernels/winograd8/x86.inc"
#undef MM
  static Words widen(const uint8_t* p) {
    const Int v = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return reinterpret_cast<Words>(v);
  }
  static Int widen_u8(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  // Whole numbers first, so that the rounding mode of the thread does not matter.
  static void store_u8(uint8_t* p, F v, Int zero) {
    const F nearest = _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Int q = _mm256_add_epi32(_mm256_cvtps_epi32(nearest), zero);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  }
};

}  // namespace

const Kit winograd8_avx2 = kit_of<Avx2>();

}  // namespace qrt::kernels::winograd8
