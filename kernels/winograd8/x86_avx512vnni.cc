// The winograd8 kit for AVX-512 with VNNI.
//
// Tile 14 x 32: 28 zmm of sums, 2 of the panel, 1 of broadcast input = 31 of 32; 28 vpdpwssd for 16
// loads.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/winograd8/generic.h"

namespace qrt::kernels::winograd8 {
namespace {

struct Vnni {
  static constexpr size_t kTileM = 14;
  static __m512i mac(__m512i s, __m512i x, __m512i w) { return _mm512_dpwssd_epi32(s, x, w); }
#include "kernels/winograd8/x86_avx512.inc"
};

}  // namespace

const Kit winograd8_avx512vnni = kit_of<Vnni>();

}  // namespace qrt::kernels::winograd8
