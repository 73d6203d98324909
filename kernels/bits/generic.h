// What the ways of the bits family share: planes of counts, the adder of three of them, and the
// transposition that makes bits of rows lanes.
//
// An ISA file gives struct V with kBytes (of a vector), Vec, load, store (aligned), zero, xor2,
// and2, xor3, maj, borrow(d, b, t) = maj(~d, b, t), kTernary and then choose(mask, a, b), shl64<n>,
// shr64<n>, set64(x), zip_lo8, zip_hi8 (of bytes, in each 128 bits), and offsets(bits, to): see
// generic_count.h.
#ifndef QRT_KERNELS_BITS_GENERIC_H_
#define QRT_KERNELS_BITS_GENERIC_H_

#include <cstring>

#include "kernels/bits/bits.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kGroup = 24;         // inputs: 8 triples
inline constexpr size_t kGroupTriples = 12;  // with those of the low bits they leave
inline constexpr size_t kLines = 8;          // of a triple's table

constexpr size_t up_to(size_t x, size_t by) {
  return (x + by - 1) / by * by;
}
constexpr size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}
// At least 2: see generic_derive.h.
constexpr size_t groups_of(size_t inputs) {
  return inputs <= 2 * kGroup ? 2 : (inputs + kGroup - 1) / kGroup;
}
constexpr size_t bits_of(uint64_t most) {
  size_t bits = 0;
  while (bits < 64 && most >> bits != 0) ++bits;
  return bits;
}
// Of counts: bounds reach one beyond the most.
constexpr size_t planes_of(const Shape& s) {
  return bits_of(most_differ(s) + 1);
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

// ---- adding ------------------------------------------------------------------------------

// high and low = low + a + b in every lane.
template <class V>
inline void csa(typename V::Vec& high, typename V::Vec& low, typename V::Vec a, typename V::Vec b) {
  const typename V::Vec t = V::maj(low, a, b);
  low = V::xor3(low, a, b);
  high = t;
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_H_
