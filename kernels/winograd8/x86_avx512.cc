// The winograd8 kit for AVX-512.
//
// Tile 12 x 32: 24 zmm of sums, 2 of the panel, 1 of broadcast input, 2 of products = 29 of 32.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/winograd8/generic.h"

namespace qrt::kernels::winograd8 {
namespace {

struct Avx512 {
  static constexpr size_t kTileM = 12;
  static __m512i mac(__m512i s, __m512i x, __m512i w) {
    return _mm512_add_epi32(s, _mm512_madd_epi16(x, w));
  }
#include "kernels/winograd8/x86_avx512.inc"
};

}  // namespace

const Kit winograd8_avx512 = kit_of<Avx512>();

}  // namespace qrt::kernels::winograd8
