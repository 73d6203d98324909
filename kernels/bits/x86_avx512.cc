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
#include "kernels/bits/x86_wide.inc"

// 32 triples at bits 7 ... 9 of 16.
inline __m512i triples32(const uint8_t* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m512i window =
      _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bits), _mm512_load_si512(kWindows.byte));
  return _mm512_mullo_epi16(window, _mm512_load_si512(kWindows.factor));
}
inline __m256i triples16(const uint8_t* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const auto* bytes = reinterpret_cast<const __m256i*>(kWindows.byte);
  const auto* factors = reinterpret_cast<const __m256i*>(kWindows.factor);
  const __m256i window =
      _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bits), _mm256_load_si256(bytes));
  return _mm256_mullo_epi16(window, _mm256_load_si256(factors));
}
// 48 triples, 96 bytes.
template <int kShift>  // 7 - log2 of the bytes of a line
inline void offsets_of(const uint8_t* from, uint16_t* to) {
  const __m512i q = _mm512_and_si512(triples32(from), _mm512_set1_epi16(7 << 7));
  const __m256i r = _mm256_and_si256(triples16(from + 12), _mm256_set1_epi16(7 << 7));
  _mm512_storeu_si512(to, _mm512_srli_epi16(q, kShift));
  _mm256_store_si256(reinterpret_cast<__m256i*>(to + 32), _mm256_srli_epi16(r, kShift));
}

struct V512 : V512Base {
  static constexpr bool kTernary = true;
  static constexpr bool kCarrySave = true, kCounts = false, kFolds = true;
  static constexpr size_t kRows = 1;
  static Vec load(const uint8_t* p) { return _mm512_load_si512(p); }
  static void store(uint8_t* p, Vec v) { _mm512_store_si512(p, v); }
  static Vec set64(uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
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
  static void offsets(const uint8_t* from, uint16_t* to) { offsets_of<1>(from, to); }

  static uint32_t low_bits(const uint8_t* from) {
    const Vec q = triples32(from);
    const Vec odd = xor3(q, _mm512_srli_epi16(q, 1), _mm512_srli_epi16(q, 2));
    return _mm512_test_epi16_mask(odd, _mm512_set1_epi16(1 << 7));
  }

  static Vec add8(Vec a, Vec b) { return _mm512_add_epi8(a, b); }
  static Vec sad(Vec a) { return _mm512_sad_epu8(a, zero()); }
  template <size_t n>
  static void fold(Vec a, Vec b, Vec& low, Vec& high) {
    if constexpr (n == 0) {
      low = _mm512_mask_blend_epi64(0xf0, a, b), high = _mm512_shuffle_i64x2(a, b, 0x4e);
    } else if constexpr (n == 1) {
      low = _mm512_shuffle_i64x2(a, b, 0x88), high = _mm512_shuffle_i64x2(a, b, 0xdd);
    } else {
      low = _mm512_unpacklo_epi64(a, b), high = _mm512_unpackhi_epi64(a, b);
    }
  }
  static Vec in_order(Vec v) {
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
  }
  static Vec pop8(Vec v) {
    const __m512i ones =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
    return _mm512_add_epi8(_mm512_shuffle_epi8(ones, _mm512_and_si512(v, low)),
                           _mm512_shuffle_epi8(ones, high));
  }
};

struct V256 : V256Base {
  static constexpr bool kTernary = true;
  static Vec xor3(Vec a, Vec b, Vec c) { return _mm256_ternarylogic_epi64(a, b, c, 0x96); }
  static Vec maj(Vec a, Vec b, Vec c) { return _mm256_ternarylogic_epi64(a, b, c, 0xe8); }
  static Vec choose(Vec m, Vec a, Vec b) { return _mm256_ternarylogic_epi64(m, a, b, 0xca); }
  static Vec borrow(Vec d, Vec b, Vec t) { return _mm256_ternarylogic_epi64(d, b, t, 0x8e); }
  static void offsets(const uint8_t* from, uint16_t* to) { offsets_of<2>(from, to); }
};

struct V128 : V128Base {
  static constexpr bool kTernary = true;
  static Vec xor3(Vec a, Vec b, Vec c) { return _mm_ternarylogic_epi64(a, b, c, 0x96); }
  static Vec maj(Vec a, Vec b, Vec c) { return _mm_ternarylogic_epi64(a, b, c, 0xe8); }
  static Vec choose(Vec m, Vec a, Vec b) { return _mm_ternarylogic_epi64(m, a, b, 0xca); }
  static Vec borrow(Vec d, Vec b, Vec t) { return _mm_ternarylogic_epi64(d, b, t, 0x8e); }
  static void offsets(const uint8_t* from, uint16_t* to) { offsets_of<3>(from, to); }
};

using Out = Outputs<true, V512, V256, V128>;
using Turned = Outputs<false, V512, V256, V128>;
using In = Rows<V512, V256>;
using Word = Words<V512>;
using Line = Lines<V512>;

// Fitted to 5 to 11 shapes of each width on one core of an AMD EPYC (Zen 4), 49 to 2048 rows by 64
// to 2304 inputs; all are met within 10 %.
constexpr LanesCost kOutputs[] = {{4.45f, 10.2f, 12.8f, 0.3f, 81.0f, 260.0f},
                                  {3.75f, 4.9f, 5.9f, 0.3f, 26.0f, 120.0f},
                                  {3.6f, 0.5f, 6.2f, 0.3f, 46.0f, 70.0f}};
constexpr LanesCost kRows[] = {{4.45f, 10.2f, 29.0f, 0.4f, 81.0f, 300.0f},
                               {3.75f, 4.9f, 17.0f, 0.4f, 26.0f, 160.0f}};
constexpr DeriveCost kDerive = {2.5f, 0.5f};
constexpr WordsCost kWords = {4.9f, 1.0f, 4.5f, 0.1f};
constexpr LinesCost kLine = {46.0f, 8.8f, 7.8f, 0.1f};

float outputs_ns(const Shape& s) {
  return Out::cost_ns(s, kOutputs, kDerive);
}
float turned_ns(const Shape& s) {
  return Turned::cost_ns(s, kOutputs, kDerive);
}
float rows_ns(const Shape& s) {
  return In::cost_ns(s, kRows, kDerive, kWords);
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
