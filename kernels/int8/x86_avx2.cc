// The int8 kit for AVX2: 16-bit products as in x86_avx512.cc.
//
// Tile 4 x 16: 8 ymm of sums, 4 of weights, 2 of activations, 1 mask = 15 of 16.
#include <immintrin.h>

#include "kernels/int8/generic_coded_dot.h"
#include "kernels/int8/generic_depthwise.h"
#include "kernels/int8/generic_gemm.h"
#include "kernels/int8/generic_packed.h"

namespace qrt::kernels::int8 {
namespace {

struct Avx2 {
  struct Pair {
    __m256i even, odd;
  };
  using Sum = __m256i;
  using W = Pair;
  using X = Pair;
  using D = __m256i;
  using Int = __m256i;
  using F = __m256;
  using Raw = __m256i;
  struct Four {
    Raw a, b, c, d;
  };
  struct Two {
    Raw a, b;
  };
  static constexpr size_t kLanes = 8, kTileM = 4, kTileN = 16, kWBytes = 64, kDot = 16;
  static constexpr bool kQuads = false;
  static constexpr int32_t kOffset = 0;

  static __m256i load256(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

  static Raw lanes(__m128i a, __m128i b) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
  }
  static Raw quads(const int8_t* p, const uint32_t* at) {
    return lanes(load128(p + at[0]), load128(p + at[4]));
  }
  static Four turn(Raw a, Raw b, Raw c, Raw d) {
    const Raw ab_lo = _mm256_unpacklo_epi32(a, b), ab_hi = _mm256_unpackhi_epi32(a, b);
    const Raw cd_lo = _mm256_unpacklo_epi32(c, d), cd_hi = _mm256_unpackhi_epi32(c, d);
    return {_mm256_unpacklo_epi64(ab_lo, cd_lo), _mm256_unpackhi_epi64(ab_lo, cd_lo),
            _mm256_unpacklo_epi64(ab_hi, cd_hi), _mm256_unpackhi_epi64(ab_hi, cd_hi)};
  }
  static __m128i pair(const int8_t* p, const int8_t* q) {
    const __m128 lo = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm_castps_si128(_mm_loadh_pi(lo, reinterpret_cast<const __m64*>(q)));
  }
  static Two pairs(const int8_t* p, const uint32_t* at) {
    const auto two = [&](size_t i) {
      uint64_t both;  // offsets: a load less
      std::memcpy(&both, at + i, 8);
      return pair(p + static_cast<uint32_t>(both), p + (both >> 32));
    };
    const __m256 a = _mm256_castsi256_ps(lanes(two(0), two(4)));
    const __m256 b = _mm256_castsi256_ps(lanes(two(2), two(6)));
    return {_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)),
            _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd))};
  }
  static int32_t dword(const void* p) {
    int32_t v;
    std::memcpy(&v, p, 4);
    return v;
  }
  static Raw fours(const int8_t* p, const uint32_t* at) {
    const auto four = [&](size_t i) {
      __m128i v = _mm_cvtsi32_si128(dword(p + at[i]));
      v = _mm_insert_epi32(v, dword(p + at[i + 1]), 1);
      v = _mm_insert_epi32(v, dword(p + at[i + 2]), 2);
      return _mm_insert_epi32(v, dword(p + at[i + 3]), 3);
    };
    return lanes(four(0), four(4));
  }
#include "kernels/int8/x86_codes.inc"
  static Raw lo8(Raw a, Raw b) {
    return _mm256_unpacklo_epi8(a, b);
  }
  static Raw hi8(Raw a, Raw b) {
    return _mm256_unpackhi_epi8(a, b);
  }
  static Raw lo16(Raw a, Raw b) {
    return _mm256_unpacklo_epi16(a, b);
  }
  static Raw hi16(Raw a, Raw b) {
    return _mm256_unpackhi_epi16(a, b);
  }
  static Raw zero_raw() {
    return _mm256_setzero_si256();
  }
  static Raw load_raw(const void* p) {
    return load256(p);
  }
  static Raw load_raw_part(const void* p, size_t n) {
    uint8_t copy[32] = {};
    std::memcpy(copy, p, n);
    return load256(copy);
  }
  static Int int_of_raw(Raw raw) {
    return raw;
  }
  static void store4_u8(uint8_t* to, F f0, F f1, F f2, F f3, Int zero) {
    const Int lo = _mm256_packs_epi32(whole(f0, zero), whole(f1, zero));
    const Int hi = _mm256_packs_epi32(whole(f2, zero), whole(f3, zero));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_packus_epi16(lo, hi));
  }
  static Raw set1_raw(uint32_t x) {
    return _mm256_set1_epi32(static_cast<int32_t>(x));
  }
  static Raw repeat16(const void* p) {
    return _mm256_broadcastsi128_si256(load128(p));
  }
  static Raw shl(Raw a, Raw n) {
    return _mm256_sllv_epi32(a, n);
  }
  static Raw shr(Raw a, Raw n) {
    return _mm256_srlv_epi32(a, n);
  }
  static Raw select(Raw m, Raw a, Raw b) {
    return _mm256_or_si256(_mm256_and_si256(m, a), _mm256_andnot_si256(m, b));
  }
  static Raw and_raw(Raw a, Raw b) {
    return _mm256_and_si256(a, b);
  }
  static Raw or_raw(Raw a, Raw b) {
    return _mm256_or_si256(a, b);
  }
  static Raw xor_raw(Raw a, Raw b) {
    return _mm256_xor_si256(a, b);
  }
  static Raw add8(Raw a, Raw b) {
    return _mm256_add_epi8(a, b);
  }
  static Raw sub8(Raw a, Raw b) {
    return _mm256_sub_epi8(a, b);
  }
  static Raw pick(Raw a, Raw at) {
    return _mm256_shuffle_epi8(a, at);
  }
  // A number from 16 on becomes one of 128 and more.
  static Raw look_up(Raw table, Raw i) {
    return _mm256_shuffle_epi8(table, _mm256_adds_epu8(i, _mm256_set1_epi8(0x70)));
  }
  static Raw mul_low(Raw a, Raw b) {
    return _mm256_mullo_epi16(a, b);
  }
  static Raw mul_high(Raw a, Raw b) {
    return _mm256_mulhi_epu16(a, b);
  }
  static Raw add_raw(Raw a, Raw b) {
    return _mm256_adds_epi8(a, b);
  }

  static Sum zero() {
    return _mm256_setzero_si256();
  }
  static X set_x(const uint8_t* p) {
    return x_of_raw(_mm256_set1_epi32(dword(p)));
  }
  static X x_of_raw(Raw x) {
    return {_mm256_and_si256(x, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(x, 8)};
  }
  static W load_w(const uint8_t* p) {
    return {load256(p), load256(p + 32)};
  }
  static Sum mac(Sum s, X x, W w) {
    s = _mm256_add_epi32(s, _mm256_madd_epi16(x.even, w.even));
    return _mm256_add_epi32(s, _mm256_madd_epi16(x.odd, w.odd));
  }
  static Int total(Sum s) {
    return s;
  }
  static W widen_w(Raw raw) {
    return {_mm256_srai_epi16(_mm256_slli_epi16(raw, 8), 8), _mm256_srai_epi16(raw, 8)};
  }
  static void put_w(uint8_t* to, Raw raw) {
    const W w = widen_w(raw);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), w.even);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), w.odd);
  }

  static D d_zero() {
    return zero();
  }
  static D d_mac(D d, const uint8_t* x, const int8_t* w) {
    return _mm256_add_epi32(
        d, _mm256_madd_epi16(_mm256_cvtepu8_epi16(load128(x)), _mm256_cvtepi8_epi16(load128(w))));
  }
  static int32_t d_total(D d) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
  }

  static Int set1_i(int32_t x) {
    return _mm256_set1_epi32(x);
  }
  static Int load_i(const int32_t* p) {
    return load256(p);
  }
  static void store_i(int32_t* p, Int v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
  }
  static Int add_i(Int a, Int b) {
    return _mm256_add_epi32(a, b);
  }
  static Int sub_i(Int a, Int b) {
    return _mm256_sub_epi32(a, b);
  }
  static Int mul_i(Int a, Int b) {
    return _mm256_mullo_epi32(a, b);
  }
  static Int widen_u8(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static F to_float(Int a) {
    return _mm256_cvtepi32_ps(a);
  }
  static F set1(float x) {
    return _mm256_set1_ps(x);
  }
  static F load(const float* p) {
    return _mm256_loadu_ps(p);
  }
  static void store(float* p, F v) {
    _mm256_storeu_ps(p, v);
  }
  static F add(F a, F b) {
    return _mm256_add_ps(a, b);
  }
  static F mul(F a, F b) {
    return _mm256_mul_ps(a, b);
  }
  static F min(F a, F b) {
    return _mm256_min_ps(a, b);
  }
  static F max(F a, F b) {
    return _mm256_max_ps(a, b);
  }
  // Whole numbers first, so that the rounding mode of the thread does not matter.
  static Int whole(F v, Int zero) {
    const F nearest = _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return _mm256_add_epi32(_mm256_cvtps_epi32(nearest), zero);
  }
  // As in avx512.inc.
  struct Bounds {
    Int zero, least;  // words, bytes
    explicit Bounds(const Finish& f)
        : zero(_mm256_set1_epi16(static_cast<int16_t>(f.zero))),
          least(_mm256_set1_epi8(static_cast<char>(f.zero + static_cast<int32_t>(f.min)))) {}
  };
  static constexpr bool kDirect = false;
  static constexpr bool kTame = true;
  static Int whole(F v) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return _mm256_cvtps_epi32(_mm256_round_ps(v, kNearest));
  }
  static Int whole_within(F v, F, F most) {
    return whole(_mm256_min_ps(most, v));
  }
  static Raw pack4(Int a, Int b, Int c, Int d, const Bounds& bounds) {
    const Int ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), bounds.zero);
    const Int cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), bounds.zero);
    const Int bytes = _mm256_max_epu8(_mm256_packus_epi16(ab, cd), bounds.least);
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
  template <int kParts>
  static void store_part(uint8_t* p, Raw v, int part) {
    const __m128i half =
        part * 2 < kParts ? _mm256_castsi256_si128(v) : _mm256_extracti128_si256(v, 1);
    if constexpr (kParts == 2)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), half);
    else if (part % 2 == 0)
      _mm_storel_epi64(reinterpret_cast<__m128i*>(p), half);
    else
      _mm_storeh_pd(reinterpret_cast<double*>(p), _mm_castsi128_pd(half));
  }
  static void store_s8(int8_t* p, F v) {
    const Int q = whole(v, set1_i(0));
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  static void store_u8(uint8_t* p, F v, Int zero) {
    const Int q = whole(v, zero);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  }
};

}  // namespace

const Kit int8_avx2 = {
    step_bytes<Avx2>(), sums<Avx2>,    panel<Avx2>, gemm<Avx2>,      dot<Avx2>,
    quantize<Avx2>,     decode<Avx2>,  round<Avx2>, coded_dot<Avx2>, depthwise_panel<Avx2>,
    depthwise<Avx2>,    Avx2::kOffset, packed<Avx2>};

}  // namespace qrt::kernels::int8
