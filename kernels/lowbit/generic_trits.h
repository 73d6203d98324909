// Trits for generic_dot.h, which describes V: bytes of them as codes, and x sorted by their places.
#ifndef QRT_KERNELS_LOWBIT_GENERIC_TRITS_H_
#define QRT_KERNELS_LOWBIT_GENERIC_TRITS_H_

#include "kernels/lowbit/generic.h"

namespace qrt::kernels::lowbit {
namespace {

// Two trits of a number below 9 as codes of two bits, and such codes as the upper two of four.
alignas(16) constexpr uint8_t kTwoTrits[16] = {0, 1, 2, 4, 5, 6, 8, 9, 10};
alignas(16) constexpr uint8_t kUpperTrits[16] = {0, 16, 32, 64, 80, 96, 128, 144, 160};

// 81 times this is 1 modulo 2^32.
constexpr uint32_t kInverse81 = 0x781948b1;

// v less `step` as often as that does not wrap, twice at most.
template <class V, class Vec = typename V::Vec>
inline __attribute__((always_inline)) Vec less_twice(Vec v, uint8_t step) {
  const Vec by = V::set1(step), once = V::min8(v, V::sub8(v, by));
  return V::min8(once, V::sub8(once, by));
}

// A ninth of a byte has three trits: two of its remainder by 9, the lower two bits of what is then
// taken from it (0, 9 or 18) are the fifth.
template <class V, class Vec = typename V::Vec>
inline __attribute__((always_inline)) void split_trits(Vec b, Vec* codes, Vec* fifth) {
  const Vec ninth = V::ninth(b), lower = V::sub8(b, V::add8(ninth, V::shl3(ninth)));
  const Vec upper = less_twice<V>(ninth, 9);
  *fifth = V::and_(V::sub8(ninth, upper), V::set1(3));
  *codes = V::or_(V::look_up(V::repeat16(kTwoTrits), lower),
                  V::look_up(V::repeat16(kUpperTrits), upper));
}

template <class V>
void spread_trits(const SpreadArgs& a) {
  int8_t* to = a.to;
  for (size_t k0 = 0; k0 < a.inputs; k0 += 5 * V::kBytes)
    for (size_t trit = 0; trit < 5; ++trit)
      for (size_t i = 0; i < V::kBytes; ++i) {
        const size_t k = k0 + 5 * i + trit;
        *to++ = static_cast<int8_t>(k < a.inputs ? a.x[k] ^ 0x80 : 0);
      }
}

}  // namespace
}  // namespace qrt::kernels::lowbit

#endif  // QRT_KERNELS_LOWBIT_GENERIC_TRITS_H_
