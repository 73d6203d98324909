// The int8 kit for AVX-512 without VNNI.
//
// vpmaddubsw would saturate: two products of u8 and s8 reach 64770. So both sides are 16 bits
// wide, even and odd inputs apart: x is masked and shifted, panels hold weights as 16 bits.
// Tile 8 x 32: 16 zmm of sums, 4 of weights, 2 of activations.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/int8/generic_coded_dot.h"
#include "kernels/int8/generic_depthwise.h"
#include "kernels/int8/generic_gemm.h"
#include "kernels/int8/generic_packed.h"

namespace qrt::kernels::int8 {
namespace {

#include "kernels/int8/avx512.inc"

struct Madd : Avx512 {
  struct Pair {
    __m512i even, odd;
  };
  using Sum = __m512i;
  using W = Pair;
  using X = Pair;
  using D = __m512i;
  static constexpr size_t kTileM = 8, kWBytes = 128, kDot = 32;
  static constexpr bool kQuads = false;

  static Sum zero() { return _mm512_setzero_si512(); }
  static X set_x(const uint8_t* p) { return x_of_raw(_mm512_set1_epi32(dword(p))); }
  static X x_of_raw(Raw x) {
    return {_mm512_and_si512(x, _mm512_set1_epi16(0xff)), _mm512_srli_epi16(x, 8)};
  }
  static W load_w(const uint8_t* p) { return {load512(p), load512(p + 64)}; }
  static Sum mac(Sum s, X x, W w) {
    s = _mm512_add_epi32(s, _mm512_madd_epi16(x.even, w.even));
    return _mm512_add_epi32(s, _mm512_madd_epi16(x.odd, w.odd));
  }
  static Int total(Sum s) { return s; }
  static W widen_w(Raw raw) {
    return {_mm512_srai_epi16(_mm512_slli_epi16(raw, 8), 8), _mm512_srai_epi16(raw, 8)};
  }
  static void put_w(uint8_t* to, Raw raw) {
    const W w = widen_w(raw);
    _mm512_storeu_si512(to, w.even);
    _mm512_storeu_si512(to + 64, w.odd);
  }

  static D d_zero() { return zero(); }
  static D d_mac(D d, const uint8_t* x, const int8_t* w) {
    const auto half = [](const void* p) {
      return _mm256_loadu_si256(static_cast<const __m256i*>(p));
    };
    return _mm512_add_epi32(
        d, _mm512_madd_epi16(_mm512_cvtepu8_epi16(half(x)), _mm512_cvtepi8_epi16(half(w))));
  }
  static int32_t d_total(D d) { return _mm512_reduce_add_epi32(d); }
};

}  // namespace

const Kit int8_avx512 = {
    step_bytes<Madd>(), sums<Madd>,    panel<Madd>, gemm<Madd>,      dot<Madd>,
    quantize<Madd>,     decode<Madd>,  round<Madd>, coded_dot<Madd>, depthwise_panel<Madd>,
    depthwise<Madd>,    Madd::kOffset, packed<Madd>};

}  // namespace qrt::kernels::int8
