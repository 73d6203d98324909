// The shift family for AVX-512: vpsllvw shifts 32 words each by its own count.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/shift/generic_decode.h"
#include "kernels/shift/generic_dot.h"
#include "kernels/shift/generic_grouped.h"
#include "kernels/shift/generic_shift.h"

namespace qrt::kernels::shift {
namespace {

#define QRT_MM(op) _mm512_##op
#define QRT_SI(op) _mm512_##op##_si512
#define QRT_VEC __m512i
#include "kernels/shift/x86_bytes.inc"

struct Kit {
  static constexpr size_t kTileN = 32;
  static const int8::Kit& kit() { return int8::int8_avx512; }
};

struct Avx512 {
  static constexpr size_t kBytes = 64;
  static constexpr bool kWords = true;
  using Words16 = Vector<int16_t, kBytes>;
  using Ints = Vector<int32_t, kBytes>;
  static Words16 shl(const Words16& v, const Words16& by) {
    return (Words16)_mm512_sllv_epi16((__m512i)v, (__m512i)by);
  }
  static Ints shl(const Ints& v, const Ints& by) {
    return (Ints)_mm512_sllv_epi32((__m512i)v, (__m512i)by);
  }
};

}  // namespace

const Way decode_avx512 = {Kit::kTileN, Decode<Bytes, Kit>::scratch, Decode<Bytes, Kit>::run};
const Way dot_avx512 = {kDotOutputs, Dot<Bytes>::scratch, Dot<Bytes>::run};
const Way shift_avx512 = {64, shift_scratch<Avx512>, shifted<Avx512>};
const Way grouped_avx512 = {kOutputs, grouped_scratch<Avx512::kBytes>, grouped<Avx512::kBytes>};

}  // namespace qrt::kernels::shift
