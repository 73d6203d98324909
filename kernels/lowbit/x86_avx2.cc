// The lowbit kit for AVX2: pairs of products in words, vpmaddubsw.
//
// Two outputs by at most four places: 8 ymm of sums, a vector of codes and one of masked ones.
#include <immintrin.h>

#include "kernels/lowbit/generic_dot.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/x86.inc"

struct Avx2 : X86 {
  using Vec = __m256i;
  using Short = __m256i;
  using Long = __m256i;
  static constexpr int kOutputs = 2, kHalves = 2;
  static constexpr size_t kBytes = 32, kWiden = 4;
  static Vec load(const void* p) { return load256(p); }
  static Vec set1(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static Vec xor_(Vec a, Vec b) { return _mm256_xor_si256(a, b); }
  static Vec and_(Vec a, Vec b) { return _mm256_and_si256(a, b); }
  static Vec upper(Vec v) { return _mm256_srli_epi16(v, 4); }
  static Short zero() { return _mm256_setzero_si256(); }
  static Long zero_long() { return _mm256_setzero_si256(); }
  static Short mac(Short s, Vec codes, const int8_t* x) {
    return _mm256_add_epi16(s, _mm256_maddubs_epi16(codes, load(x)));
  }
  static Long widen(Long to, Short s) {
    return _mm256_add_epi32(to, _mm256_madd_epi16(s, _mm256_set1_epi16(1)));
  }
  static int32_t total(Long v, int shift) {
    v = _mm256_sra_epi32(v, _mm_cvtsi32_si128(shift));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
  }
};

}  // namespace

const Kit lowbit_avx2 = {unpack<X86>,  integers<X86>, floats<X86>, Avx2::kBytes,
                         spread<Avx2>, dot<Avx2>,     finish};

}  // namespace qrt::kernels::lowbit
