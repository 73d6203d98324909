// Rows of codes become rows of bytes: codes are spread to a byte each, then looked up in tables of
// 16 bytes that lie in registers, as many as 2^bits need. An ISA file gives struct V:
//
//   kBytes, Vec              of a vector of bytes; 16-byte lanes
//   load(p) store(p, v)      any address
//   raw(p, step)             16 bytes at p, p + step, ... for every lane
//   shuffle(v, at)           bytes of each lane by at < 16
//   up(words, by)            16-bit lanes to the left, by as counts() made it of kBytes / 2 counts
//   down(words, n)           logically to the right, n the same for all
//   nibbles(p)               kBytes codes of 4 bits, in order
//   low_nibbles(v) high_nibbles(v)   of every byte
//   lookup<n>(table, codes)  n tables of 16, each repeated kBytes long
//
// 16 codes of b bits are 2 b bytes and start on a byte: a lane. Its word i gets, by one shuffle
// each, the two bytes that hold code 2 i and those that hold code 2 i + 1 (a code that begins at
// bit s <= 7 of a byte ends before bit 16); shifted up by 16 - b - s and down by 16 - b a code
// is alone.
#ifndef QRT_KERNELS_SHIFT_GENERIC_CODES_H_
#define QRT_KERNELS_SHIFT_GENERIC_CODES_H_

#include "kernels/shift/generic.h"

namespace qrt::kernels::shift {
namespace {

template <class V>
struct Spread {
  explicit Spread(uint32_t bits) : step(2 * bits), alone(static_cast<int>(16 - bits)) {
    alignas(64) uint8_t at[2][V::kBytes];
    alignas(64) uint16_t by[2][V::kBytes / 2];
    for (uint32_t parity = 0; parity < 2; ++parity) {
      for (uint32_t word = 0; word < V::kBytes / 2; ++word) {
        const uint32_t bit = (word % 8 * 2 + parity) * bits;
        at[parity][2 * word] = static_cast<uint8_t>(bit / 8);
        at[parity][2 * word + 1] = static_cast<uint8_t>(least(bit / 8 + 1, 15));
        by[parity][word] = static_cast<uint16_t>(16 - bits - bit % 8);
      }
    }
    even = V::load(at[0]), odd = V::load(at[1]);
    even_by = V::counts(by[0]), odd_by = V::counts(by[1]);
  }
  typename V::Vec codes(const uint8_t* p) const {
    const typename V::Vec raw = V::raw(p, step);
    const typename V::Vec lo = V::down(V::up(V::shuffle(raw, even), even_by), alone);
    const typename V::Vec hi = V::down(V::up(V::shuffle(raw, odd), odd_by), alone);
    return V::join(lo, hi);
  }
  size_t step;
  int alone;
  typename V::Vec even, odd, even_by, odd_by;
};

constexpr size_t kTables = kMaxCodes / 16;
constexpr size_t tables_of(uint32_t bits) {
  return bits <= 4 ? 1 : size_t{1} << (bits - 4);
}

// Loops exist per *width*: codes of 4 bits are halves of bytes, 8 bits are bytes, all others are
// spread. kWidth 1 stands for 1 to 3 bits, which need one table as 4 do.
template <class V, uint32_t kWidth>
inline typename V::Vec codes_at(const Spread<V>& s, const uint8_t* p) {
  if constexpr (kWidth == 4) return V::nibbles(p);
  if constexpr (kWidth == 8) return V::load(p);
  return s.codes(p);
}

// Both planes of a plan's integers, each 16 entries repeated for every lane.
template <class V>
struct Tables {
  explicit Tables(const Plan& p) {
    for (size_t table = 0; table < tables_of(p.bits); ++table) {
      for (size_t i = 0; i < V::kBytes; ++i) {
        low[table * V::kBytes + i] = p.low[table * 16 + i % 16];
        high[table * V::kBytes + i] = p.high[table * 16 + i % 16];
      }
    }
  }
  alignas(64) int8_t low[kTables * V::kBytes];
  alignas(64) int8_t high[kTables * V::kBytes];
};

// Of a vector's codes, all bytes that reading it may touch.
template <class V>
constexpr size_t touched_bytes(uint32_t bits) {
  return (V::kBytes - 16) * bits / 8 + 16;
}

// `needed` bytes of codes where they lie, or, at the end of the codes, a copy with zeros behind.
inline const uint8_t* readable(const uint8_t* p, const uint8_t* end, size_t needed, uint8_t* copy) {
  const ptrdiff_t there = end - p;
  if (there >= static_cast<ptrdiff_t>(needed)) return p;
  std::memset(copy, 0, needed);
  if (there > 0) std::memcpy(copy, p, static_cast<size_t>(there));
  return copy;
}

template <class V, uint32_t kWidth>
__attribute__((noinline)) void decode_row(const Args& a, size_t output, const Tables<V>& tables,
                                          int8_t* low, int8_t* high) {
  const uint32_t bits = a.plan->bits;
  const size_t step = V::kBytes * bits / 8;
  const Spread<V> spread(bits);
  const uint8_t* p = a.codes + (a.first_output + output) * a.row_bytes;
  uint8_t copy[touched_bytes<V>(kMaxBits)];
  for (size_t k = 0; k < a.inputs; k += V::kBytes, p += step) {
    const uint8_t* from = readable(p, a.codes_end, touched_bytes<V>(bits), copy);
    const typename V::Vec codes = codes_at<V, kWidth>(spread, from);
    V::store(low + k, V::template lookup<tables_of(kWidth)>(tables.low, codes));
    if (high) V::store(high + k, V::template lookup<tables_of(kWidth)>(tables.high, codes));
  }
}

template <class V>
struct Decoder {
  // Weights of an output as bytes in the order of x, both planes or only the low one; up to
  // kBytes - 1 bytes behind the last are written. `spare` holds a row.
  static void weights(const Args& a, size_t output, const Tables<V>& t, int8_t* low, int8_t* high,
                      int8_t* spare) {
    using Fn = void(const Args&, size_t, const Tables<V>&, int8_t*, int8_t*);
    static constexpr Fn* kRow[] = {decode_row<V, 1>, decode_row<V, 4>, decode_row<V, 5>,
                                   decode_row<V, 6>, decode_row<V, 7>, decode_row<V, 8>};
    const uint32_t bits = a.plan->bits;
    kRow[bits <= 3 ? 0 : bits - 3](a, output, t, low, high);
    if (a.taps == 1) return;
    reorder(a, low, spare);
    if (high) reorder(a, high, spare);
  }
  static void reorder(const Args& a, int8_t* plane, int8_t* spare) {
    std::memcpy(spare, plane, a.inputs);
    const size_t channels = a.inputs / a.taps;
    for (size_t tap = 0; tap < a.taps; ++tap)
      for (size_t c = 0; c < channels; ++c) *plane++ = spare[c * a.taps + tap];
  }
};

}  // namespace
}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_GENERIC_CODES_H_
