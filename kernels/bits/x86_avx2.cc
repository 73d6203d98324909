// The ways of the bits family for AVX2: an adder is five operations of two operands, a vector 256
// lanes. Counting keeps 7 planes and up to 9 vectors of one group in 16 registers.
#include <immintrin.h>

#include "kernels/bits/generic_lines.h"
#include "kernels/bits/generic_outputs.h"
#include "kernels/bits/generic_rows.h"

namespace qrt::kernels::bits {
namespace {

#include "kernels/bits/x86_narrow.inc"

// 16 triples, those from `first` of the bits on, at bits 7 ... 9 of 16.
inline __m256i triples16(const uint8_t* from, int first) {
  const auto table = [](const void* p) {
    return _mm256_load_si256(static_cast<const __m256i*>(p));
  };
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m256i window =
      _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bits), table(kWindows.byte + 2 * first));
  return _mm256_mullo_epi16(window, table(kWindows.factor + first));
}
// 48 triples, 96 bytes.
template <int kShift>  // 7 - log2 of the bytes of a line
inline void offsets_of(const uint8_t* from, uint16_t* to) {
  const auto store = [&](__m256i q, uint16_t* at) {
    q = _mm256_and_si256(q, _mm256_set1_epi16(7 << 7));
    _mm256_store_si256(reinterpret_cast<__m256i*>(at), _mm256_srli_epi16(q, kShift));
  };
  store(triples16(from, 0), to), store(triples16(from, 16), to + 16);
  store(triples16(from + 12, 0), to + 32);
}

struct V256 : V256Base {
  static constexpr bool kTernary = false;
  static constexpr bool kCarrySave = true, kCounts = false, kFolds = false;
  static constexpr size_t kRows = 1, kRun = 16;
  // b ^ c is common to both halves of an adder.
  static Vec xor3(Vec a, Vec b, Vec c) { return xor2(a, xor2(b, c)); }
  static Vec maj(Vec a, Vec b, Vec c) { return _mm256_or_si256(and2(b, c), and2(xor2(b, c), a)); }
  static Vec borrow(Vec d, Vec b, Vec t) {
    return _mm256_or_si256(_mm256_andnot_si256(d, _mm256_or_si256(b, t)), and2(b, t));
  }
  static void offsets(const uint8_t* from, uint16_t* to) { offsets_of<2>(from, to); }

  static uint32_t low_bits(const uint8_t* from) {
    const auto odd = [&](int first) {  // the sign
      const Vec q = triples16(from, first);
      return _mm256_slli_epi16(xor3(q, _mm256_srli_epi16(q, 1), _mm256_srli_epi16(q, 2)), 8);
    };
    const Vec bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(odd(0), odd(16)), 0xd8);
    return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
  }

  static Vec add8(Vec a, Vec b) { return _mm256_add_epi8(a, b); }
  static Vec add64(Vec a, Vec b) { return _mm256_add_epi64(a, b); }
  static Vec sad(Vec a) { return _mm256_sad_epu8(a, zero()); }
  static Vec load_words(const uint64_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const Vec*>(p));
  }
  static Vec load_few(const uint64_t* p, size_t words) {
    alignas(32) static constexpr int64_t kLive[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
    const Vec live = _mm256_loadu_si256(reinterpret_cast<const Vec*>(kLive + 4 - words));
    return _mm256_maskload_epi64(reinterpret_cast<const long long*>(p), live);
  }
  static Vec across(const Vec (&s)[4]) {
    const Vec a = add64(_mm256_unpacklo_epi64(s[0], s[1]), _mm256_unpackhi_epi64(s[0], s[1]));
    const Vec b = add64(_mm256_unpacklo_epi64(s[2], s[3]), _mm256_unpackhi_epi64(s[2], s[3]));
    return add64(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
  }
  static Vec pop8(Vec v) {
    const __m256i ones =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
    return _mm256_add_epi8(_mm256_shuffle_epi8(ones, _mm256_and_si256(v, low)),
                           _mm256_shuffle_epi8(ones, high));
  }
  static void add_counts(int32_t* to, Vec v, int shift) {
    __m128i* p = reinterpret_cast<__m128i*>(to);
    const __m128 even = _mm_shuffle_ps(_mm_castsi128_ps(_mm256_castsi256_si128(v)),
                                       _mm_castsi128_ps(_mm256_extracti128_si256(v, 1)), 0x88);
    const __m128i add = _mm_sll_epi32(_mm_castps_si128(even), _mm_cvtsi32_si128(shift));
    _mm_store_si128(p, _mm_add_epi32(_mm_load_si128(p), add));
  }
  static uint64_t less64(const int32_t* a, const int32_t* b) {
    const auto eight = [](const int32_t* p) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    };
    uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) {
      const __m256i less = _mm256_cmpgt_epi32(eight(b + 8 * i), eight(a + 8 * i));
      const int mask = _mm256_movemask_ps(_mm256_castsi256_ps(less));
      bits |= static_cast<uint64_t>(mask) << 8 * i;
    }
    return bits;
  }
};

struct V128 : V128Base {
  static constexpr bool kTernary = false;
  static Vec xor3(Vec a, Vec b, Vec c) { return xor2(a, xor2(b, c)); }
  static Vec maj(Vec a, Vec b, Vec c) { return _mm_or_si128(and2(b, c), and2(xor2(b, c), a)); }
  static Vec borrow(Vec d, Vec b, Vec t) {
    return _mm_or_si128(_mm_andnot_si128(d, _mm_or_si128(b, t)), and2(b, t));
  }
  static void offsets(const uint8_t* from, uint16_t* to) { offsets_of<3>(from, to); }
};

using Out = Outputs<true, V256, V128>;
using Turned = Outputs<false, V256, V128>;
using In = Rows<V256>;
using Word = Words<V256>;
using Line = Lines<V256>;

// Fitted as those of x86_avx512.cc are.
constexpr LanesCost kOutputs[] = {{5.8f, 3.8f, 5.5f, 0.35f, 26.0f, 135.0f},
                                  {5.7f, 4.4f, 5.0f, 0.35f, 17.0f, 70.0f}};
constexpr LanesCost kRows[] = {{5.8f, 3.8f, 15.3f, 0.45f, 26.0f, 190.0f}};
constexpr DeriveCost kDerive = {3.0f, 0.65f};
constexpr WordsCost kWords = {3.9f, 0.7f, 3.5f, 0.1f};
constexpr LinesCost kLine = {36.0f, 2.85f, 3.3f, 0.1f};

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
  return words_cost_ns<V256>(s, kWords);
}
float lines_ns(const Shape& s) {
  return lines_cost_ns<V256>(s, kLine);
}

}  // namespace

const Way bits_avx2_outputs = {256, 1, Out::kept, Out::scratch, outputs_ns, Out::pack, Out::run};
const Way bits_avx2_turned = {256,          1,          Turned::kept, Turned::scratch, turned_ns,
                              Turned::pack, Turned::run};
const Way bits_avx2_rows = {64, 256, In::kept, In::scratch, rows_ns, In::pack, In::run};
const Way bits_avx2_words = {64, 1, Word::kept, Word::scratch, words_ns, Word::pack, Word::run};
const Way bits_avx2_lines = {64, 1, Line::kept, Line::scratch, lines_ns, Line::pack, Line::run};

}  // namespace qrt::kernels::bits
