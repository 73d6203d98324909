// The shift family for AVX2: shifts by a vector exist for 32-bit lanes only.
#include <immintrin.h>

#include "kernels/shift/generic_decode.h"
#include "kernels/shift/generic_dot.h"
#include "kernels/shift/generic_grouped.h"
#include "kernels/shift/generic_shift.h"

namespace qrt::kernels::shift {
namespace {

#define QRT_MM(op) _mm256_##op
#define QRT_SI(op) _mm256_##op##_si256
#define QRT_VEC __m256i
#include "kernels/shift/x86_bytes.inc"

struct Kit {
  static constexpr size_t kTileN = 16;
  static const int8::Kit& kit() { return int8::int8_avx2; }
};

struct Avx2 {
  static constexpr size_t kBytes = 32;
  static constexpr bool kWords = false;
  using Ints = Vector<int32_t, kBytes>;
  static Ints shl(const Ints& v, const Ints& by) {
    return (Ints)_mm256_sllv_epi32((__m256i)v, (__m256i)by);
  }
};

}  // namespace

const Way decode_avx2 = {Kit::kTileN, Decode<Bytes, Kit>::scratch, Decode<Bytes, Kit>::run};
const Way dot_avx2 = {kDotOutputs, Dot<Bytes>::scratch, Dot<Bytes>::run};
const Way shift_avx2 = {16, shift_scratch<Avx2>, shifted<Avx2>};
const Way grouped_avx2 = {kOutputs, grouped_scratch<Avx2::kBytes>, grouped<Avx2::kBytes>};

}  // namespace qrt::kernels::shift
