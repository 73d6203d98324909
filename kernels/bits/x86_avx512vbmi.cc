// One row of bits, or a few, with AVX-512 VPOPCNTDQ, which every CPU has that has VNNI and VBMI: a
// comparison, a count and an addition for 512 products.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/bits/generic_lines.h"

namespace qrt::kernels::bits {
namespace {

struct Counts {
  using Vec = __m512i;
  static constexpr size_t kBytes = 64;
  static constexpr bool kCounts = true;
  static Vec zero() { return _mm512_setzero_si512(); }
  static Vec xor2(Vec a, Vec b) { return _mm512_xor_si512(a, b); }
  static Vec add64(Vec a, Vec b) { return _mm512_add_epi64(a, b); }
  static Vec pop64(Vec a) { return _mm512_popcnt_epi64(a); }
  static Vec load_words(const uint64_t* p) { return _mm512_loadu_si512(p); }
  static Vec pairs(Vec a, Vec b) {
    return add64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  }
  static Vec quarters(Vec a, Vec b) {
    return add64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
  }
  static Vec across(const Vec (&s)[8]) {
    return quarters(quarters(pairs(s[0], s[1]), pairs(s[2], s[3])),
                    quarters(pairs(s[4], s[5]), pairs(s[6], s[7])));
  }
  static void add_counts(int32_t* to, Vec v, int shift) {
    __m256i* p = reinterpret_cast<__m256i*>(to);
    const __m256i add = _mm256_sll_epi32(_mm512_cvtepi64_epi32(v), _mm_cvtsi32_si128(shift));
    _mm256_store_si256(p, _mm256_add_epi32(_mm256_load_si256(p), add));
  }
  static uint64_t less64(const int32_t* a, const int32_t* b) {
    uint64_t bits = 0;
    for (int i = 0; i < 4; ++i) {
      const __mmask16 less =
          _mm512_cmplt_epi32_mask(_mm512_loadu_si512(a + 16 * i), _mm512_loadu_si512(b + 16 * i));
      bits |= uint64_t{less} << 16 * i;
    }
    return bits;
  }
};

using Line = Lines<Counts>;

// AMD EPYC (Zen 4).
float lines_ns(const Shape& s) {
  return lines_cost_ns<Counts>(s, {42.0f, 5.5f, 8.0f, 0.1f});
}

}  // namespace

const Way bits_avx512vbmi_lines = {64,       1,          Line::kept, Line::scratch,
                                   lines_ns, Line::pack, Line::run};

}  // namespace qrt::kernels::bits
