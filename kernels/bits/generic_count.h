// Bit-sliced counting, written once over the primitives of a vector. The bits of a vector are
// *lanes*: outputs, or rows. Counter bit p of all lanes is one vector, a *plane* of counts, and
// adding is logic: xor3 and maj of three planes are a full adder (a carry-save adder, CSA).
//
// The other side is iterated. Three of its bits, a *triple* (k, k+1, k+2), are a pattern q, and
// what differs of a triple is a sum of two bits in every lane:
//
//   high  maj(a0 ^ q0, a1 ^ q1, a2 ^ q2)        one of 8 lines of a table, made once for all rows
//   low   (a0 ^ a1 ^ a2) ^ (q0 ^ q1 ^ q2)       what differs of a lane's bit and of a row's
//
// The low bits are thus bits of lanes and of rows again, and three of them are a triple like any
// other: 24 inputs, a *group*, give 8 triples of inputs and, in the end, 4 of low bits, 12 lines to
// add, all of weight 2, where adding inputs as they are takes 23 adders and tables of inputs alone
// 16 lines. What is left of all is one low bit: a row differs in an odd number of inputs or in an
// even one.
//
// Triple t of a row is bits 3 t ... 3 t + 2 of its inputs (24 per group) and the low bits of all
// triples behind them, in order, so that the last triple would be one of its own inputs: a zero.
// Rows have their low bits appended in advance (generic_derive.h), lanes when tables are made.
//
// A chunk of triples whose table takes 24 KB of the first level of cache is counted in registers
// per iterated row and then added to planes in memory.
#ifndef QRT_KERNELS_BITS_GENERIC_COUNT_H_
#define QRT_KERNELS_BITS_GENERIC_COUNT_H_

#include "kernels/bits/generic_derive.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kOffsets = 48;  // triples that V::offsets takes: 18 bytes of bits

template <class V>
constexpr size_t chunk_triples() {
  return kOffsets * 64 / V::kBytes;
}
// Of the highs of so many triples and a low bit.
constexpr size_t highs_of(size_t triples) {
  return bits_of(2 * triples + 1);
}

// Where the line of each triple lies in its table, in bytes.
template <class V>
struct alignas(64) Offsets {
  uint16_t line[chunk_triples<V>()];
};

// Tables of triples from the lines of their 3 bits, and the lines of their low bits.
template <class V>
__attribute__((noinline)) void make_table(const uint8_t* lanes, size_t triples, uint8_t* low,
                                          uint8_t* to) {
  constexpr size_t B = V::kBytes;
  const typename V::Vec ones = V::set64(~uint64_t{0});
  for (size_t i = 0; i < triples; ++i, lanes += 3 * B, low += B, to += kLines * B) {
    const typename V::Vec a = V::load(lanes), b = V::load(lanes + B), c = V::load(lanes + 2 * B);
    const typename V::Vec m0 = V::maj(a, b, c), m1 = V::borrow(a, b, c);
    const typename V::Vec m2 = V::borrow(b, a, c), m4 = V::borrow(c, a, b);
    V::store(low, V::xor3(a, b, c));
    V::store(to, m0), V::store(to + B, m1), V::store(to + 2 * B, m2);
    V::store(to + 3 * B, V::xor2(m4, ones)), V::store(to + 4 * B, m4);
    V::store(to + 5 * B, V::xor2(m2, ones)), V::store(to + 6 * B, V::xor2(m1, ones));
    V::store(to + 7 * B, V::xor2(m0, ones));
  }
}

// One row of a chunk, a multiple of 4 lines: 16, 8 or 4 become one of their weight, which ripples.
// Straight-line code: see kernels/README.md on arrays.
template <class V, size_t P>
inline __attribute__((always_inline)) void count(const uint8_t* t, const uint16_t* at, size_t lines,
                                                 typename V::Vec (&c)[P]) {
  using Vec = typename V::Vec;
  constexpr size_t T = kLines * V::kBytes, kHigh = P - 5;
  Vec c1 = V::zero(), c2 = c1, c3 = c1, c4 = c1, high[kHigh];
  Vec a0, a1, b0, b1, d0, d1, s;
  _Pragma("GCC unroll 4") for (size_t p = 0; p < kHigh; ++p) high[p] = c1;
#define QRT_LINE(j) V::load(t + (j)*T + at[j])
#define QRT_FOUR(to, j)                                     \
  csa<V>(a0, c1, QRT_LINE(j), QRT_LINE((j) + 1)),           \
      csa<V>(a1, c1, QRT_LINE((j) + 2), QRT_LINE((j) + 3)); \
  csa<V>(to, c2, a0, a1)
#define QRT_HALF(plane) a0 = V::and2(plane, s), plane = V::xor2(plane, s), s = a0
#define QRT_RIPPLE                                             \
  _Pragma("GCC unroll 4") for (size_t p = 0; p < kHigh; ++p) { \
    QRT_HALF(high[p]);                                         \
  }
  for (; lines >= 16; lines -= 16, t += 16 * T, at += 16) {
    QRT_FOUR(b0, 0);
    QRT_FOUR(b1, 4);
    csa<V>(d0, c3, b0, b1);
    QRT_FOUR(b0, 8);
    QRT_FOUR(b1, 12);
    csa<V>(d1, c3, b0, b1), csa<V>(s, c4, d0, d1);
    QRT_RIPPLE
  }
  if (lines >= 8) {
    QRT_FOUR(b0, 0);
    QRT_FOUR(b1, 4);
    csa<V>(s, c3, b0, b1);
    QRT_HALF(c4);
    QRT_RIPPLE
    lines -= 8, t += 8 * T, at += 8;
  }
  if (lines >= 4) {
    QRT_FOUR(s, 0);
    QRT_HALF(c3);
    QRT_HALF(c4);
    QRT_RIPPLE
  }
#undef QRT_LINE
#undef QRT_FOUR
#undef QRT_HALF
#undef QRT_RIPPLE
  c[1] = c1, c[2] = c2, c[3] = c3, c[4] = c4;
  _Pragma("GCC unroll 4") for (size_t p = 0; p < kHigh; ++p) c[5 + p] = high[p];
}

// Lines of low bits, a table, and the offsets of two rows: while one is counted, those of the next
// are made, since words of a vector can be loaded only when it has left the store queue.
template <class V>
constexpr size_t low_bytes(size_t groups) {
  return up_to(groups * kGroupTriples * V::kBytes, 64);
}
template <class V>
constexpr size_t table_bytes(size_t groups) {
  return low_bytes<V>(groups) + chunk_triples<V>() * kLines * V::kBytes + 2 * sizeof(Offsets<V>);
}

// What is counted: lanes against rows, both with planes of their own.
struct Counting {
  const uint8_t* lanes;  // [plane][groups * 24] lines
  size_t lane_planes, groups;
  const uint8_t* rows;  // derived, [row] at stride bytes, [plane] at row_plane
  size_t stride, row_plane, row_planes, count;
  uint8_t *table, *counts;  // counts: [row][planes] lines
  size_t planes;
};

template <class V>
inline void offsets(const uint8_t* bits, size_t triples, Offsets<V>& at) {
  for (size_t i = 0; i < triples; i += kOffsets, bits += kOffsets * 3 / 8)
    V::offsets(bits, at.line + i);
}

// Triples [first, first + triples) of one plane of all rows are added from plane `shift` on; `top`
// planes hold all so far. The last have the low bit of all.
template <class V, size_t P, bool kFirst, bool kLast>
__attribute__((noinline)) void count_rows(const Counting& a, const uint8_t* row, size_t first,
                                          size_t triples, size_t shift, size_t top) {
  using Vec = typename V::Vec;
  constexpr size_t B = V::kBytes, kLow = kLast ? 0 : 1;
  const uint8_t* table = a.table + low_bytes<V>(a.groups);
  uint8_t* to = a.counts + shift * B;
  Offsets<V>* at = reinterpret_cast<Offsets<V>*>(a.table + low_bytes<V>(a.groups) +
                                                 chunk_triples<V>() * kLines * B);
  const uint8_t* odd = row + odd_at(a.groups);
  const Vec low = V::load(a.table + (a.groups * kGroupTriples - 1) * B);
  const size_t here = top - shift, alive = least(P, here);
  row += first * 3 / 8;
  offsets<V>(row, triples, at[0]);
  for (size_t r = 0; r < a.count; ++r, to += a.planes * B) {
    Vec c[P];
    if (r + 1 < a.count) row += a.stride;
    offsets<V>(row, triples, at[(r + 1) % 2]);
    count<V, P>(table, at[r % 2].line, triples, c);
    c[0] = V::zero();
    if (kLast) c[0] = V::xor2(low, V::set64(uint64_t{0} - odd[r * a.stride]));
    if (kFirst) {
      _Pragma("GCC unroll 9") for (size_t p = 0; p < P; ++p) {
        if (p >= a.planes) break;
        V::store(to + p * B, c[p]);
      }
      for (size_t p = P; p < a.planes; ++p) V::store(to + p * B, V::zero());
    } else {
      Vec carry = V::zero();
      _Pragma("GCC unroll 9") for (size_t p = kLow; p < P; ++p) {
        if (p >= alive) break;
        const Vec old = V::load(to + p * B);
        V::store(to + p * B, V::xor3(old, c[p], carry));
        carry = V::maj(old, c[p], carry);
      }
      for (size_t p = P; p < here; ++p) {
        const Vec old = V::load(to + p * B);
        V::store(to + p * B, V::xor2(old, carry));
        carry = V::and2(old, carry);
      }
    }
  }
}

template <class V>
void count_all(const Counting& a) {
  constexpr size_t B = V::kBytes;
  const size_t all = a.groups * kGroupTriples, direct = a.groups * kGroup / 3;
  uint8_t *low = a.table, *table = low + low_bytes<V>(a.groups);
  uint64_t most = 0;
  for (size_t i = 0; i < a.lane_planes; ++i) {
    const uint8_t* lanes = a.lanes + i * a.groups * kGroup * B;
    V::store(low + (all - 1) * B, V::zero());
    for (size_t t = 0, n; t < all; t += n) {
      n = least(chunk_triples<V>(), all - t);
      const size_t inputs = t < direct ? least(n, direct - t) : 0, last = t + inputs;
      make_table<V>(lanes + 3 * t * B, inputs, low + t * B, table);
      if (inputs < n)
        make_table<V>(low + 3 * (last - direct) * B, n - inputs, low + last * B,
                      table + inputs * kLines * B);
      for (size_t j = 0; j < a.row_planes; ++j) {
        const uint8_t* row = a.rows + j * a.row_plane;
        const bool first = most == 0, ends = t + n == all;
        most += (2 * uint64_t{n} + ends) << (i + j);
        // Inputs that are padding never differ: beyond all planes there is nothing to carry.
        const size_t top = least(a.planes, bits_of(most));
        constexpr size_t P = highs_of(chunk_triples<V>());
        if (first && ends && n <= kOffsets)
          count_rows<V, highs_of(kOffsets), true, true>(a, row, t, n, 0, top);
        else if (first && ends)
          count_rows<V, P, true, true>(a, row, t, n, 0, top);
        else if (first)
          count_rows<V, P, true, false>(a, row, t, n, 0, top);
        else if (ends)
          count_rows<V, P, false, true>(a, row, t, n, i + j, top);
        else
          count_rows<V, P, false, false>(a, row, t, n, i + j, top);
      }
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_COUNT_H_
