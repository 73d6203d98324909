// Bit-sliced counting, written once over the primitives of a vector. The bits of a vector are
// *lanes*: outputs, or rows. Counter bit p of all lanes is one vector, a *plane* of counts, and
// adding is logic: xor3 and maj of three planes are a full adder (a carry-save adder, CSA).
//
// The other side is iterated. Three of its bits, a *triple* of inputs (k, k+1, k+2), are a pattern
// q, and for every pattern the first adder of a triple is a table:
//
//   line s(parity of q)  low bits of  (a0 ^ q0) + (a1 ^ q1) + (a2 ^ q2)  in all lanes
//   line c(q)            high bits of it
//
// Flipping a bit flips the low bit, so s has 2 lines; c has 8, in 4 pairs of complements. A chunk
// of 4 groups of 8 triples (96 inputs) is counted in 7 planes of registers per iterated row, with
// 15 CSAs to a group, and then added to planes in memory. Its table of 320 lines is 20 KB with 512
// lanes, so it stays in L1 under the rows; those bring two offsets per triple.
//
// An ISA file gives struct V with kBytes (of a vector), Vec, load, store (aligned), zero, xor2,
// and2, xor3, maj, borrow(d, b, t) = maj(~d, b, t), kTernary and then choose(mask, a, b), shl64<n>,
// shr64<n>, set64(x), zip_lo8, zip_hi8 (of bytes, in each 128 bits), and offsets(lo, hi, to): see
// Offsets.
#ifndef QRT_KERNELS_BITS_GENERIC_H_
#define QRT_KERNELS_BITS_GENERIC_H_

#include <cstring>

#include "kernels/bits/bits.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kGroup = 24;       // inputs of 8 triples
inline constexpr size_t kChunkGroups = 4;  // 96 inputs: 32 triples are two vectors of offsets
inline constexpr size_t kLines = 10;       // of a triple's table
inline constexpr size_t kChunkPlanes = 7;  // hold 96
inline constexpr size_t kTriples = 8 * kChunkGroups;

constexpr size_t up_to(size_t x, size_t by) {
  return (x + by - 1) / by * by;
}
constexpr size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}
constexpr size_t groups_of(size_t inputs) {
  return (inputs + kGroup - 1) / kGroup;
}
constexpr size_t bits_of(uint64_t most) {
  size_t bits = 0;
  while (bits < 64 && most >> bits != 0) ++bits;
  return bits;
}
// Of counts: bounds reach one beyond the most, and every pass adds a whole chunk.
constexpr size_t planes_of(const Shape& s) {
  const size_t chunk = kChunkPlanes + s.x_planes + s.w_planes - 2,
               all = bits_of(most_differ(s) + 1);
  return chunk > all ? chunk : all;
}

// ---- 64 x 64 bits are transposed -------------------------------------------------

// The upper bits of a (those of ~mask) change places with the lower ones of b: two shifts and two
// choices where an operation takes three operands, else six operations.
template <class V, int kShift>
inline void swap(typename V::Vec& a, typename V::Vec& b, typename V::Vec mask) {
  using Vec = typename V::Vec;
  const Vec down = V::template shr64<kShift>(a);
  if constexpr (V::kTernary) {
    a = V::choose(mask, a, V::template shl64<kShift>(b));
    b = V::choose(mask, down, b);
  } else {
    const Vec t = V::and2(V::xor2(down, b), mask);
    b = V::xor2(b, t);
    a = V::xor2(a, V::template shl64<kShift>(t));
  }
}

// Eight vectors whose numbers differ in three bits: 4, 2 and 1 times kShift / 4.
template <class V, int kShift>
inline void swap8(typename V::Vec (&v)[8], uint64_t far, uint64_t mid, uint64_t near) {
  const typename V::Vec f = V::set64(far), m = V::set64(mid), n = V::set64(near);
  swap<V, kShift>(v[0], v[4], f), swap<V, kShift>(v[1], v[5], f);
  swap<V, kShift>(v[2], v[6], f), swap<V, kShift>(v[3], v[7], f);
  swap<V, kShift / 2>(v[0], v[2], m), swap<V, kShift / 2>(v[1], v[3], m);
  swap<V, kShift / 2>(v[4], v[6], m), swap<V, kShift / 2>(v[5], v[7], m);
  swap<V, kShift / 4>(v[0], v[1], n), swap<V, kShift / 4>(v[2], v[3], n);
  swap<V, kShift / 4>(v[4], v[5], n), swap<V, kShift / 4>(v[6], v[7], n);
}

// 64 lines `stride` bytes apart; every 64-bit column of them is a matrix of its own.
template <class V>
__attribute__((noinline)) void transpose64(uint8_t* lines, size_t stride) {
  typename V::Vec v[8];
#define QRT_EACH _Pragma("GCC unroll 8") for (size_t j = 0; j < 8; ++j)
  for (size_t i = 0; i < 8; ++i) {
    QRT_EACH v[j] = V::load(lines + (i + 8 * j) * stride);
    swap8<V, 32>(v, 0x00000000ffffffff, 0x0000ffff0000ffff, 0x00ff00ff00ff00ff);
    QRT_EACH V::store(lines + (i + 8 * j) * stride, v[j]);
  }
  for (size_t i = 0; i < 8; ++i) {
    QRT_EACH v[j] = V::load(lines + (8 * i + j) * stride);
    swap8<V, 4>(v, 0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555);
    QRT_EACH V::store(lines + (8 * i + j) * stride, v[j]);
  }
#undef QRT_EACH
}

inline constexpr size_t kTurnWords = 4;  // of a row that are read at a time

// Word j of row 64 c + i goes to column c of line i of to[j].
template <class V>
inline void spread(const uint64_t* rows, size_t stride, size_t live, size_t words,
                   uint64_t* const* to) {
  constexpr size_t kColumns = V::kBytes / 8;
  for (size_t c = 0; c < kColumns; ++c, rows += kWord * stride) {
    const size_t here = live > c * kWord ? least(live - c * kWord, kWord) : 0;
    for (size_t i = 0; i < here; ++i)
      for (size_t j = 0; j < words; ++j) to[j][i * kColumns + c] = rows[i * stride + j];
    for (size_t i = here; i < kWord; ++i)
      for (size_t j = 0; j < words; ++j) to[j][i * kColumns + c] = 0;
  }
}

// The same with kTurnWords words and every lane a row.
template <class V>
inline void spread_all(const uint64_t* rows, size_t stride, uint64_t* const* to) {
  for (size_t i = 0; i < kWord; ++i, rows += stride) {
    typename V::Vec v[kTurnWords];
    V::turn4(rows, kWord * stride, v);
    for (size_t j = 0; j < kTurnWords; ++j)
      V::store(reinterpret_cast<uint8_t*>(to[j] + i * V::kBytes / 8), v[j]);
  }
}

// Rows of words to `places` lines of lanes: bit r of line k is input k of row r. Rows from `live`
// on are zeros, as are inputs behind the words.
template <class V>
void lanes_of(const uint64_t* rows, size_t stride, size_t live, size_t words, size_t places,
              uint8_t* to) {
  constexpr size_t B = V::kBytes;
  alignas(64) uint64_t rest[64 * B / 8];  // the last word may have fewer places
  const size_t whole = least(words, places / kWord);
  uint64_t* lines[kTurnWords];
  for (size_t j = 0, n; j < words; j += n, rows += n) {
    n = j + kTurnWords <= whole ? kTurnWords : 1;
    for (size_t q = 0; q < n; ++q)
      lines[q] = j < whole ? reinterpret_cast<uint64_t*>(to + (j + q) * kWord * B) : rest;
    if (n == kTurnWords && live == V::kBytes * 8)
      spread_all<V>(rows, stride, lines);
    else
      spread<V>(rows, stride, live, n, lines);
    for (size_t q = 0; q < n; ++q) transpose64<V>(reinterpret_cast<uint8_t*>(lines[q]), B);
  }
  if (whole < words) std::memcpy(to + whole * kWord * B, rest, (places - whole * kWord) * B);
  if (words * kWord < places) std::memset(to + words * kWord * B, 0, (places - words * kWord) * B);
}

// ---- tables and counts ---------------------------------------------------------------

// Of one row and chunk, in bytes: carry is q lines, sum is its parity lines.
struct alignas(64) Offsets {
  uint16_t carry[kTriples], sum[kTriples];
};

// Triples from the lines of their 3 inputs.
template <class V>
__attribute__((noinline)) void make_table(const uint8_t* lanes, size_t triples, uint8_t* to) {
  constexpr size_t B = V::kBytes;
  const typename V::Vec ones = V::set64(~uint64_t{0});
  for (size_t i = 0; i < triples; ++i, lanes += 3 * B, to += kLines * B) {
    const typename V::Vec a = V::load(lanes), b = V::load(lanes + B), c = V::load(lanes + 2 * B);
    const typename V::Vec s = V::xor3(a, b, c), m0 = V::maj(a, b, c);
    const typename V::Vec m1 = V::borrow(a, b, c), m2 = V::borrow(b, a, c), m4 = V::borrow(c, a, b);
    V::store(to, s), V::store(to + B, V::xor2(s, ones));
    V::store(to + 2 * B, m0), V::store(to + 3 * B, m1), V::store(to + 4 * B, m2);
    V::store(to + 5 * B, V::xor2(m4, ones)), V::store(to + 6 * B, m4);
    V::store(to + 7 * B, V::xor2(m2, ones)), V::store(to + 8 * B, V::xor2(m1, ones));
    V::store(to + 9 * B, V::xor2(m0, ones));
  }
}

template <class V>
inline void csa(typename V::Vec& high, typename V::Vec& low, typename V::Vec a, typename V::Vec b) {
  const typename V::Vec t = V::maj(low, a, b);
  low = V::xor3(low, a, b);
  high = t;
}

// One row of a chunk. Per group 16 lines are loaded and added by weight: 8 sums and c0 give 4 twos;
// those, 8 carries and c1 give 6 fours; those and c2 3 eights; those and c3 two sixteens; the
// rest ripples. Straight-line code: see kernels/README.md on arrays.
template <class V>
inline void count(const uint8_t* t, const Offsets& at, size_t groups,
                  typename V::Vec (&c)[kChunkPlanes]) {
  using Vec = typename V::Vec;
  constexpr size_t B = V::kBytes, T = kLines * B;
  Vec c0 = V::zero(), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0;
  const uint16_t *sum = at.sum, *carry = at.carry;
#define QRT_S(j) V::load(t + (j)*T + sum[j])
#define QRT_C(j) V::load(t + (j)*T + 2 * B + carry[j])
  for (size_t g = 0; g < groups; ++g, t += 8 * T, sum += 8, carry += 8) {
    Vec t0, t1, f0, f1, f2, e0, e1, e2, h;
    csa<V>(t0, c0, QRT_S(0), QRT_S(1)), csa<V>(f0, c1, QRT_C(0), QRT_C(1));
    csa<V>(t1, c0, QRT_S(2), QRT_S(3)), csa<V>(f1, c1, QRT_C(2), QRT_C(3));
    csa<V>(f2, c1, t0, t1), csa<V>(e0, c2, f0, f1);
    csa<V>(t0, c0, QRT_S(4), QRT_S(5)), csa<V>(f0, c1, QRT_C(4), QRT_C(5));
    csa<V>(t1, c0, QRT_S(6), QRT_S(7)), csa<V>(f1, c1, QRT_C(6), QRT_C(7));
    csa<V>(e1, c2, f2, f0), csa<V>(f2, c1, t0, t1), csa<V>(e2, c2, f1, f2);
    csa<V>(h, c3, e0, e1);
    t0 = V::and2(c3, e2), c3 = V::xor2(c3, e2);
    csa<V>(t1, c4, h, t0);
    t0 = V::and2(c5, t1), c5 = V::xor2(c5, t1), c6 = V::xor2(c6, t0);
  }
#undef QRT_S
#undef QRT_C
  c[0] = c0, c[1] = c1, c[2] = c2, c[3] = c3, c[4] = c4, c[5] = c5, c[6] = c6;
}

// Tables are followed by the offsets of two rows: while one is counted, those of the next are made,
// since words of a vector can be loaded only when it has left the store queue.
template <class V>
constexpr size_t table_lines() {
  return kTriples * kLines * V::kBytes;
}
template <class V>
constexpr size_t table_bytes() {
  return table_lines<V>() + 2 * sizeof(Offsets);
}

// What is counted: lanes against rows, both with planes of their own.
struct Counting {
  const uint8_t* lanes;  // [plane][groups * 24] lines
  size_t lane_planes, groups;
  const uint64_t* rows;  // [row] at stride words, [plane] at row_plane
  size_t stride, row_plane, row_planes, words, count;
  uint8_t *table, *counts;  // counts: [row][planes] lines
  size_t planes;
};

// The 96 bits of chunk i: one word and a half.
template <class V>
inline void offsets(const uint64_t* row, size_t words, size_t chunk, Offsets& at) {
  const size_t j = chunk / 2 * 3;
  const auto word = [&](size_t i) { return i < words ? row[i] : 0; };
  if (chunk % 2 == 0) {
    V::offsets(word(j), word(j + 1), at);
  } else {
    const uint64_t a = word(j + 1), b = word(j + 2);
    V::offsets(a >> 32 | b << 32, b >> 32, at);
  }
}

// One chunk of one plane of all rows is added from plane `shift` on; `top` planes hold all so far.
template <class V, bool kFirst>
__attribute__((noinline)) void count_rows(const Counting& a, const uint64_t* row, size_t chunk,
                                          size_t groups, size_t shift, size_t top) {
  using Vec = typename V::Vec;
  constexpr size_t B = V::kBytes;
  const uint8_t* table = a.table;
  uint8_t* to = a.counts + shift * B;
  Offsets* at = reinterpret_cast<Offsets*>(a.table + table_lines<V>());
  offsets<V>(row, a.words, chunk, at[0]);
  for (size_t r = 0; r < a.count; ++r, row += a.stride, to += a.planes * B) {
    Vec c[kChunkPlanes];
    const uint64_t* next = r + 1 < a.count ? row + a.stride : row;
    offsets<V>(next, a.words, chunk, at[(r + 1) % 2]);
    count<V>(table, at[r % 2], groups, c);
    if (kFirst) {
      _Pragma("GCC unroll 7") for (size_t p = 0; p < kChunkPlanes; ++p) V::store(to + p * B, c[p]);
      for (size_t p = kChunkPlanes; p < a.planes; ++p) V::store(to + p * B, V::zero());
    } else {
      Vec carry = V::zero();
      _Pragma("GCC unroll 7") for (size_t p = 0; p < kChunkPlanes; ++p) {
        const Vec old = V::load(to + p * B);
        V::store(to + p * B, V::xor3(old, c[p], carry));
        carry = V::maj(old, c[p], carry);
      }
      for (size_t p = kChunkPlanes; p < top - shift; ++p) {
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
  uint64_t most = 0;
  for (size_t i = 0; i < a.lane_planes; ++i) {
    const uint8_t* lanes = a.lanes + i * a.groups * kGroup * B;
    for (size_t g = 0; g < a.groups; g += kChunkGroups) {
      const size_t groups = least(kChunkGroups, a.groups - g);
      make_table<V>(lanes + g * kGroup * B, 8 * groups, a.table);
      for (size_t j = 0; j < a.row_planes; ++j) {
        const uint64_t* row = a.rows + j * a.row_plane;
        const bool first = most == 0;
        most += uint64_t{groups * kGroup} << (i + j);
        // Inputs that are padding never differ: beyond all planes there is nothing to carry.
        const size_t top = least(a.planes, bits_of(most));
        if (first)
          count_rows<V, true>(a, row, g / kChunkGroups, groups, 0, top);
        else
          count_rows<V, false>(a, row, g / kChunkGroups, groups, i + j, top);
      }
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_H_
