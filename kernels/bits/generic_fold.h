// Ones of 8 outputs at once, for vectors of 8 words and adders of one operation. What differs of 8
// vectors of an output becomes three planes and a vector that is left over; planes of two outputs
// become one set of one plane more, each output in half of the lanes, by adding upper lanes to
// lower ones. After three times 7 planes hold 8 outputs in a word each, and 7 vectors are counted
// instead of 32. Bits that were left over are carries of the additions.
//
// struct V, beyond what a CSA wants: load_words, pop8, add8, sad, shl64, and fold<n>(a, b, low,
// high) for n = 0, 1, 2, after which lanes of a of the n-th half, quarter and eighth are where
// those of b are not, and in_order(v), which brings words of the third to the order of the outputs.
#ifndef QRT_KERNELS_BITS_GENERIC_FOLD_H_
#define QRT_KERNELS_BITS_GENERIC_FOLD_H_

#include "kernels/bits/generic_words.h"

namespace qrt::kernels::bits {
namespace {

// Planes of a number, and one bit besides: two sets of N + 1 become one of N + 2, in halves of the
// lanes. Straight-line code: see kernels/README.md on arrays.
template <class V, size_t n>
inline __attribute__((always_inline)) void fold_plane(typename V::Vec& sum, typename V::Vec& carry,
                                                      typename V::Vec a, typename V::Vec b) {
  typename V::Vec high, old = carry;
  V::template fold<n>(a, b, sum, high);
  csa<V>(carry, sum, high, old);
}
template <class V, size_t N>
inline __attribute__((always_inline)) void fold(const typename V::Vec (&a)[N + 1],
                                                const typename V::Vec (&b)[N + 1],
                                                typename V::Vec (&to)[N + 2]) {
  constexpr size_t n = N - 3;
  typename V::Vec carry;
  V::template fold<n>(a[N], b[N], carry, to[N + 1]);
  fold_plane<V, n>(to[0], carry, a[0], b[0]);
  fold_plane<V, n>(to[1], carry, a[1], b[1]);
  fold_plane<V, n>(to[2], carry, a[2], b[2]);
  if constexpr (N > 3) fold_plane<V, n>(to[3], carry, a[3], b[3]);
  if constexpr (N > 4) fold_plane<V, n>(to[4], carry, a[4], b[4]);
  to[N] = carry;
}

// What differs of 8 vectors of an output.
template <class V>
inline __attribute__((always_inline)) void slice(const typename V::Vec (&x)[8], const uint64_t*& w,
                                                 size_t stride, typename V::Vec (&to)[4]) {
  asm("" : "+r"(w));
  const auto d = [&](size_t i) { return V::xor2(x[i], V::load_words(w + i * 8)); };
  typename V::Vec t0, t1, t2;
  to[0] = d(0);
  csa<V>(t0, to[0], d(1), d(2)), csa<V>(t1, to[0], d(3), d(4)), csa<V>(t2, to[0], d(5), d(6));
  csa<V>(to[2], t2, t0, t1);
  to[1] = t2, to[3] = d(7);
  w += stride;
}
template <class V>
inline __attribute__((always_inline)) void slice2(const typename V::Vec (&x)[8], const uint64_t*& w,
                                                  size_t stride, typename V::Vec (&to)[5]) {
  typename V::Vec a[4], b[4];
  slice<V>(x, w, stride, a), slice<V>(x, w, stride, b);
  fold<V, 3>(a, b, to);
}
template <class V>
inline __attribute__((always_inline)) void slice4(const typename V::Vec (&x)[8], const uint64_t*& w,
                                                  size_t stride, typename V::Vec (&to)[6]) {
  typename V::Vec a[5], b[5];
  slice2<V>(x, w, stride, a), slice2<V>(x, w, stride, b);
  fold<V, 4>(a, b, to);
}

// Words of 8 outputs: what differs of 8 vectors of each.
template <class V>
inline __attribute__((always_inline)) typename V::Vec folded(const typename V::Vec (&x)[8],
                                                             const uint64_t* w, size_t stride) {
  using Vec = typename V::Vec;
  Vec a[6], b[6], all[7];
  slice4<V>(x, w, stride, a), slice4<V>(x, w, stride, b);
  fold<V, 5>(a, b, all);
  const auto twice = [](Vec v) { return V::add8(v, v); };
  Vec low = V::add8(twice(V::pop8(all[3])), V::pop8(all[2]));  // bytes: 15 * 8 + 8 at most
  low = V::add8(twice(low), V::pop8(all[1]));
  low = V::add8(V::add8(twice(low), V::pop8(all[0])), V::pop8(all[6]));
  const Vec high = V::add8(twice(V::pop8(all[5])), V::pop8(all[4]));
  return V::in_order(V::add64(V::sad(low), V::template shl64<4>(V::sad(high))));
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_FOLD_H_
