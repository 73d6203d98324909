// The ways of the bits family for AVX-512 (F, BW, DQ, VL): an adder is two vpternlogq.
//
// Counting keeps 7 planes, up to 9 vectors of one group and nothing else in registers.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/bits/generic_lines.h"
#include "kernels/bits/generic_outputs.h"
#include "kernels/bits/generic_rows.h"

namespace qrt::kernels::bits {
namespace {

#include "kernels/bits/x86_narrow.inc"

template <int kShift>  // 7 - log2 of the bytes of a line
inline void offsets512(uint64_t lo, uint64_t hi, Offsets& at) {
  const __m512i bits = _mm512_broadcast_i32x4(
      _mm_set_epi64x(static_cast<long long>(hi), static_cast<long long>(lo)));
  const __m512i window = _mm512_shuffle_epi8(bits, _mm512_load_si512(kWindows.byte));
  const __m512i q = _mm512_and_si512(_mm512_mullo_epi16(window, _mm512_load_si512(kWindows.factor)),
                                     _mm512_set1_epi16(7 << 7));
  const __m512i odd =
      _mm512_ternarylogic_epi64(q, _mm512_srli_epi16(q, 1), _mm512_srli_epi16(q, 2), 0x96);
  _mm512_store_si512(at.carry, _mm512_srli_epi16(q, kShift));
  _mm512_store_si512(at.sum,
                     _mm512_srli_epi16(_mm512_and_si512(odd, _mm512_set1_epi16(1 << 7)), kShift));
}

struct V512 {
  static constexpr bool kTernary = true;
  using Vec = __m512i;
  static constexpr size_t kBytes = 64;
  static constexpr bool kCarrySave = true, kCounts = false;
  static constexpr size_t kRows = 1;
  static Vec load(const uint8_t* p) { return _mm512_load_si512(p); }
  static void store(uint8_t* p, Vec v) { _mm512_store_si512(p, v); }
  static Vec zero() { return _mm512_setzero_si512(); }
  static Vec set64(uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
  static Vec xor2(Vec a, Vec b) { return _mm512_xor_si512(a, b); }
  static Vec and2(Vec a, Vec b) { return _mm512_and_si512(a, b); }
  static Vec xor3(Vec a, Vec b, Vec c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  static Vec maj(Vec a, Vec b, Vec c) { return _mm512_ternarylogic_epi64(a, b, c, 0xe8); }
  static Vec choose(Vec m, Vec a, Vec b) { return _mm512_ternarylogic_epi64(m, a, b, 0xca); }
  static Vec borrow(Vec d, Vec b, Vec t) { return _mm512_ternarylogic_epi64(d, b, t, 0x8e); }
  template <int n>
  static Vec shl64(Vec v) {
    return _mm512_slli_epi64(v, n);
  }
  template <int n>
  static Vec shr64(Vec v) {
    return _mm512_srli_epi64(v, n);
  }
  static void turn4(const uint64_t* p, size_t stride, Vec (&v)[4]) {
    __m256i low[4], high[4];
    V256Base::turn4(p, stride, low), V256Base::turn4(p + 4 * stride, stride, high);
    for (size_t j = 0; j < 4; ++j)
      v[j] = _mm512_inserti64x4(_mm512_castsi256_si512(low[j]), high[j], 1);
  }
  static Vec zip_lo8(Vec a, Vec b) { return _mm512_unpacklo_epi8(a, b); }
  static Vec zip_hi8(Vec a, Vec b) { return _mm512_unpackhi_epi8(a, b); }
  static void offsets(uint64_t lo, uint64_t hi, Offsets& at) { offsets512<1>(lo, hi, at); }

  static Vec add8(Vec a, Vec b) { return _mm512_add_epi8(a, b); }
  static Vec add64(Vec a, Vec b) { return _mm512_add_epi64(a, b); }
  static Vec sad(Vec a) { return _mm512_sad_epu8(a, zero()); }
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
  static Vec pop8(Vec v) {
    const __m512i ones =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
    return _mm512_add_epi8(_mm512_shuffle_epi8(ones, _mm512_and_si512(v, low)),
                           _mm512_shuffle_epi8(ones, high));
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

struct V256 : V256Base {
  static constexpr bool kTernary = true;
  static Vec xor3(Vec a, Vec b, Vec c) { return _mm256_ternarylogic_epi64(a, b, c, 0x96); }
  static Vec maj(Vec a, Vec b, Vec c) { return _mm256_ternarylogic_epi64(a, b, c, 0xe8); }
  static Vec choose(Vec m, Vec a, Vec b) { return _mm256_ternarylogic_epi64(m, a, b, 0xca); }
  static Vec borrow(Vec d, Vec b, Vec t) { return _mm256_ternarylogic_epi64(d, b, t, 0x8e); }
  static void offsets(uint64_t lo, uint64_t hi, Offsets& at) { offsets512<2>(lo, hi, at); }
};

struct V128 : V128Base {
  static constexpr bool kTernary = true;
  static Vec xor3(Vec a, Vec b, Vec c) { return _mm_ternarylogic_epi64(a, b, c, 0x96); }
  static Vec maj(Vec a, Vec b, Vec c) { return _mm_ternarylogic_epi64(a, b, c, 0xe8); }
  static Vec choose(Vec m, Vec a, Vec b) { return _mm_ternarylogic_epi64(m, a, b, 0xca); }
  static Vec borrow(Vec d, Vec b, Vec t) { return _mm_ternarylogic_epi64(d, b, t, 0x8e); }
  static void offsets(uint64_t lo, uint64_t hi, Offsets& at) { offsets512<3>(lo, hi, at); }
};

using Out = Outputs<true, V512, V256, V128>;
using Turned = Outputs<false, V512, V256, V128>;
using In = Rows<V512, V256>;
using Word = Words<V512>;
using Line = Lines<V512>;

// Fitted to 21 shapes of each width on one core of an AMD EPYC (Zen 4), 49 to 784 rows by 24 to
// 3072 inputs; most are met within 15 %.
constexpr LanesCost kOutputs[] = {{6.4f, 14.5f, 11.0f, 0.3f, 40.0f, 400.0f},
                                  {3.9f, 8.4f, 7.1f, 0.3f, 21.0f, 200.0f},
                                  {3.9f, 7.3f, 8.3f, 0.3f, 24.0f, 100.0f}};
constexpr LanesCost kRows[] = {{6.2f, 12.0f, 24.0f, 0.4f, 40.0f, 400.0f},
                               {4.0f, 6.1f, 16.5f, 0.4f, 21.0f, 200.0f}};
constexpr WordsCost kWords = {4.9f, 1.0f, 4.5f, 0.1f};
constexpr LinesCost kLine = {76.0f, 10.0f, 9.0f, 0.1f};

float outputs_ns(const Shape& s) {
  return Out::cost_ns(s, kOutputs);
}
float turned_ns(const Shape& s) {
  return Turned::cost_ns(s, kOutputs);
}
float rows_ns(const Shape& s) {
  return In::cost_ns(s, kRows, kWords);
}
float words_ns(const Shape& s) {
  return words_cost_ns<V512>(s, kWords);
}
float lines_ns(const Shape& s) {
  return lines_cost_ns<V512>(s, kLine);
}

}  // namespace

const Way bits_avx512_outputs = {512, 1, Out::kept, Out::scratch, outputs_ns, Out::pack, Out::run};
const Way bits_avx512_turned = {512,          1,          Turned::kept, Turned::scratch, turned_ns,
                                Turned::pack, Turned::run};
const Way bits_avx512_rows = {64, 512, In::kept, In::scratch, rows_ns, In::pack, In::run};
const Way bits_avx512_words = {64, 1, Word::kept, Word::scratch, words_ns, Word::pack, Word::run};
const Way bits_avx512_lines = {64, 1, Line::kept, Line::scratch, lines_ns, Line::pack, Line::run};

}  // namespace qrt::kernels::bits
