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
  static constexpr bool kSharesX = false;
  // vpmaddubsw: u8 x s8, pairs in 16 bits.
  static constexpr bool kSigned = false;
  static constexpr int kChains = 1, kMostFactor = 128;
  static Vec load(const void* p) { return load256(p); }
  static Vec set1(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static Vec xor_(Vec a, Vec b) { return _mm256_xor_si256(a, b); }
  static Vec and_(Vec a, Vec b) { return _mm256_and_si256(a, b); }
  static Vec upper(Vec v) { return _mm256_srli_epi16(v, 4); }
  static Vec down8(Vec v, int shift) { return _mm256_srli_epi16(v, shift); }
  static Vec index(Vec v) { return and_(v, set1(15)); }
  static Short zero() { return _mm256_setzero_si256(); }
  static Long zero_long() { return _mm256_setzero_si256(); }
  static Short mac(Short s, Vec codes, Vec x) {
    return _mm256_add_epi16(s, _mm256_maddubs_epi16(codes, x));
  }
  static Long widen(Long to, Short s) {
    return _mm256_add_epi32(to, _mm256_madd_epi16(s, _mm256_set1_epi16(1)));
  }
  static Long add_long(Long a, Long b) { return _mm256_add_epi32(a, b); }
  static Long down(Long v, int shift) { return _mm256_srai_epi32(v, shift); }
  static void across(const Long (&v)[2], uint32_t* to) {
    const auto four = [](Long a) {
      return _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    };
    __m128i s = _mm_hadd_epi32(four(v[0]), four(v[1]));
    s = _mm_hadd_epi32(s, s);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), s);
  }
  static Vec or_(Vec a, Vec b) { return _mm256_or_si256(a, b); }
  static Vec add8(Vec a, Vec b) { return _mm256_add_epi8(a, b); }
  static Vec sub8(Vec a, Vec b) { return _mm256_sub_epi8(a, b); }
  static Vec once(Vec v) {
    __asm__("" : "+x"(v));
    return v;
  }
  static Vec min8(Vec a, Vec b) { return _mm256_min_epu8(a, b); }
  static Vec shl3(Vec v) { return _mm256_slli_epi16(v, 3); }
  static constexpr uint32_t kFifth = 1;
  static void trits(Vec b, Vec* codes, Vec* fifth) { split_trits<Avx2>(b, codes, fifth); }
  // Upper halves of products of 16 bits: what is below an upper byte cannot carry into its ninth.
  static Vec ninth(Vec v) {
    const Vec low = _mm256_set1_epi16(0x00ff), inverse = _mm256_set1_epi16(7282);  // 2^16 / 9
    return _mm256_blendv_epi8(_mm256_mulhi_epu16(v, inverse),
                              _mm256_mulhi_epu16(and_(v, low), inverse), low);
  }
  static Vec repeat16(const uint8_t* p) { return _mm256_broadcastsi128_si256(load128(p)); }
  static Vec look_up(Vec table, Vec i) { return _mm256_shuffle_epi8(table, i); }
};

}  // namespace

const Kit lowbit_avx2 = {unpack<X86>,   integers<X86>, floats<X86>, Avx2::kBytes,
                         can_dot<Avx2>, spread<Avx2>,  dot<Avx2>,   finish};

}  // namespace qrt::kernels::lowbit
