// The shift family for AVX-512 with VNNI: decoded bytes meet u8 activations in vpdpbusd.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/shift/generic_decode.h"
#include "kernels/shift/generic_dot.h"

namespace qrt::kernels::shift {
namespace {

#define QRT_MM(op) _mm512_##op
#define QRT_SI(op) _mm512_##op##_si512
#define QRT_VEC __m512i
#include "kernels/shift/x86_bytes.inc"

struct Vnni : Bytes {
  static Sum mac(Sum s, const uint8_t* x, Vec w) { return _mm512_dpbusd_epi32(s, load(x), w); }
};

struct Kit {
  static constexpr size_t kTileN = 32;
  static const int8::Kit& kit() { return int8::int8_avx512vnni; }
};

}  // namespace

const Way decode_avx512vnni = {Kit::kTileN, Decode<Vnni, Kit>::scratch, Decode<Vnni, Kit>::run};
const Way dot_avx512vnni = {kDotOutputs, Dot<Vnni>::scratch, Dot<Vnni>::run};

}  // namespace qrt::kernels::shift
