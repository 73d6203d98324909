// Sums of lines of bytes by their averages, where an ISA adds and averages bytes but has no
// addition that widens (V::kAverages).
//
// A lookup added to 16-bit sums takes three instructions: even bytes and odd ones apart. But with
//   low  = sum of 2^D lines, modulo 256           2^D additions of bytes
//   high = their average in a tree of depth D     2^D - 1 of (a + b + 1) >> 1
// the sum s of a byte is known: every level of the tree rounds up by 0 or 1/2, so that
// 2^D * high - s is within 0 ... D * 2^(D - 1), for D = 4 at most 32; it is known modulo 256, hence
// known. That is two instructions for a lookup and ten for a tree.
#ifndef QRT_KERNELS_TABLES_GENERIC_AVERAGE_H_
#define QRT_KERNELS_TABLES_GENERIC_AVERAGE_H_

#include <cstddef>
#include <cstdint>

namespace qrt::kernels::tables {
namespace {

// P vectors of a line side by side.
template <class V, size_t P>
struct Abreast {
  typename V::Vec v[P];
};

#define QRT_EACH _Pragma("GCC unroll 2") for (size_t p = 0; p < P; ++p)

// Leaves J ... J + 2^D - 1; leaf(i) gives line i. Depth first, so that D + 1 lines are held; all is
// pinned, since g++-12 adds the lines in an order of its own, for which it must keep all of them.
template <class V, size_t P, int D, size_t J, class Leaf>
inline Abreast<V, P> average(const Leaf& leaf, Abreast<V, P>& low) {
  if constexpr (D == 0) {
    Abreast<V, P> line = leaf(J);
    QRT_EACH line.v[p] = V::pinned(line.v[p]);
    QRT_EACH low.v[p] = V::pinned(V::add8(low.v[p], line.v[p]));
    return line;
  } else {
    Abreast<V, P> first = average<V, P, D - 1, J>(leaf, low);
    const Abreast<V, P> second = average<V, P, D - 1, J + (size_t{1} << (D - 1))>(leaf, low);
    QRT_EACH first.v[p] = V::pinned(V::average8(first.v[p], second.v[p]));
    return first;
  }
}

// s[p] += the sum of 2^D lines.
template <class V, size_t P, int D, class Leaf>
inline void add_tree(const Leaf& leaf, typename V::Acc8 (&s)[P]) {
  static_assert(D >= 1 && D * (1 << (D - 1)) < 256, "the tree's rounding must fit a byte");
  Abreast<V, P> low;
  QRT_EACH low.v[p] = V::zero();
  const Abreast<V, P> high = average<V, P, D, 0>(leaf, low);
  QRT_EACH s[p] = V::template acc_tree<D>(s[p], high.v[p], low.v[p]);
}

#undef QRT_EACH

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_AVERAGE_H_
