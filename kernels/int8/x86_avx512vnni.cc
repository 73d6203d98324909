// The int8 kit for AVX-512 with VNNI.
//
// Tile 14 x 32: 28 zmm of sums, 2 of weights, 1 of broadcast activations = 31 of 32. Per step of
// four inputs 28 vpdpbusd, 14 cycles where there are two 512-bit units, and 16 loads, 8 cycles.
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

struct Vnni : Avx512 {
  using Sum = __m512i;
  using W = __m512i;
  using X = __m512i;
  using D = __m512i;
  static constexpr size_t kTileM = 14, kWBytes = 64, kDot = 64;
  static constexpr bool kQuads = false;

  static constexpr bool kDirect = true;
  // Ends the life of a sum that the loop works on: what follows it may spill, the loop must not.
  static Sum detach(Sum s) {
    asm("" : "+v"(s));
    return s;
  }
  static Sum zero() { return _mm512_setzero_si512(); }
  static X set_x(const uint8_t* p) { return _mm512_set1_epi32(dword(p)); }
  static X x_of_raw(Raw x) { return x; }
  static W load_w(const uint8_t* p) { return load512(p); }
  static Sum mac(Sum s, X x, W w) { return _mm512_dpbusd_epi32(s, x, w); }
  static Int total(Sum s) { return s; }
  static W widen_w(Raw raw) { return raw; }
  static void put_w(uint8_t* to, Raw raw) { _mm512_storeu_si512(to, raw); }

  static D d_zero() { return zero(); }
  static D d_mac(D d, const uint8_t* x, const int8_t* w) {
    return _mm512_dpbusd_epi32(d, load512(x), load512(w));
  }
  static int32_t d_total(D d) { return _mm512_reduce_add_epi32(d); }
};

}  // namespace

const Kit int8_avx512vnni = {
    step_bytes<Vnni>(), sums<Vnni>,    panel<Vnni>, gemm<Vnni>,      dot<Vnni>,
    quantize<Vnni>,     decode<Vnni>,  round<Vnni>, coded_dot<Vnni>, depthwise_panel<Vnni>,
    depthwise<Vnni>,    Vnni::kOffset, packed<Vnni>};

}  // namespace qrt::kernels::int8
