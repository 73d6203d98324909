// Coded weights as vectors of bytes, for panels and for products: over the primitives of generic.h
// and these, all of them shuffles of bytes (`at` holds kLanes offsets from p):
//
//   Raw quads(p, at)          16 bytes at each of at[0], at[4], ...
//   Four turn(a, b, c, d)     quads of at, at + 1, at + 2, at + 3 as vectors of 4-byte units
//   Two pairs(p, at)          8 bytes at every offset, as two vectors of 4-byte units
//   Raw fours(p, at)          4 bytes at every offset
//   lo8 hi8 lo16 hi16(a, b)   the lower or upper halves of each 16 bytes, interleaved
//   Raw add_raw(a, b)         bytes with saturation
#ifndef QRT_KERNELS_INT8_GENERIC_BLOCKS_H_
#define QRT_KERNELS_INT8_GENERIC_BLOCKS_H_

#include "kernels/int8/generic.h"
#include "kernels/int8/generic_codes.h"

namespace qrt::kernels::int8 {

// The weights of one block of kLanes outputs, step by step to put(step, Raw); the offsets of book b
// lie at at + b * kTileN. Blocks are whole steps; kDim 0 stands for any such length.
template <class V, uint32_t kDim, bool kAdd, class Put>
inline void each_step(const Coded& s, const int8_t* p, const uint32_t* at, Put&& put) {
  constexpr size_t N = V::kTileN;
  const uint32_t books = kAdd ? s.books : 1;
  size_t left = kDim ? kDim : s.dim, step = 0;
  for (; left >= 16; left -= 16, p += 16, step += 4) {
    typename V::Raw r[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) r[i] = V::quads(p, at + i);
    for (uint32_t b = 1; b < books; ++b)
      _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) r[i] =
          V::add_raw(r[i], V::quads(p + b * s.book_stride, at + b * N + i));
    const typename V::Four f = V::turn(r[0], r[1], r[2], r[3]);
    put(step, f.a), put(step + 1, f.b), put(step + 2, f.c), put(step + 3, f.d);
  }
  if (left >= 8) {
    typename V::Two f = V::pairs(p, at);
    for (uint32_t b = 1; b < books; ++b) {
      const typename V::Two g = V::pairs(p + b * s.book_stride, at + b * N);
      f = {V::add_raw(f.a, g.a), V::add_raw(f.b, g.b)};
    }
    put(step, f.a), put(step + 1, f.b);
    left -= 8, p += 8, step += 2;
  }
  if (left != 0) {
    typename V::Raw f = V::fours(p, at);
    for (uint32_t b = 1; b < books; ++b)
      f = V::add_raw(f, V::fours(p + b * s.book_stride, at + b * N));
    put(step, f);
  }
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_BLOCKS_H_
