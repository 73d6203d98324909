// The lowbit kit for AVX-512 without VNNI: pairs of products in words, vpmaddubsw.
//
// Four outputs by at most four places: 16 zmm of sums, 4 of codes, masks.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/lowbit/generic_dot.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/avx512.inc"
#include "kernels/lowbit/x86.inc"

struct Madd : Avx512 {
  static constexpr int kHalves = 2, kChains = 1, kMostFactor = 128;
  static constexpr size_t kWiden = 4;
  static constexpr bool kSharesX = false;
  static Short mac(Short s, Vec codes, Vec x) {
    return _mm512_add_epi16(s, _mm512_maddubs_epi16(codes, x));
  }
  static Long widen(Long to, Short s) {
    return _mm512_add_epi32(to, _mm512_madd_epi16(s, _mm512_set1_epi16(1)));
  }
};

}  // namespace

const Kit lowbit_avx512 = {unpack<X86>,   integers<X86>, floats<X86>, Madd::kBytes,
                           can_dot<Madd>, spread<Madd>,  dot<Madd>,   finish};

}  // namespace qrt::kernels::lowbit
