// Bits of rows with the low bits of their triples behind them (generic_count.h): bit 24 groups + t
// is the parity of bits 3 t ... 3 t + 2, for all 12 groups of them but the last, which is zero; its
// own value, 1 if the row has an odd number of ones, is a byte at odd_at().
//
// 16 triples are 6 bytes of bits and 2 of parities, so rows go through 64-bit words, many rows at a
// time in plain loops that compilers turn into vectors. Counted from the end, triple e = 1, 2, ...
// has bits 3 e - 2 ... 3 e as inputs: from 22 on none of those is in the same 16, and the last 21
// come from the last 64 bits, those that depend on each other one after the other.
#ifndef QRT_KERNELS_BITS_GENERIC_DERIVE_H_
#define QRT_KERNELS_BITS_GENERIC_DERIVE_H_

#include "kernels/bits/generic.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kTogether = 32;  // rows that are derived together

constexpr size_t odd_at(size_t groups) {
  return (groups * kGroup * 3 / 2 + 7) / 8;
}
// With what loads of whole vectors reach beyond.
constexpr size_t derived_bytes(size_t groups) {
  return up_to(odd_at(groups) + 1 + 28, 8);
}

inline uint64_t load64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store64(uint8_t* p, uint64_t v) {
  std::memcpy(p, &v, sizeof v);
}

// Bits 0, 3, ... 45 side by side.
inline uint64_t every_third(uint64_t v) {
  v &= 0x249249249249;
  v = (v | v >> 2) & 0x0c30c30c30c3;
  v = (v | v >> 4) & 0x00f00f00f00f;
  v = (v | v >> 8) & 0x00ff0000ff;
  return (v | v >> 16) & 0xffff;
}
inline uint64_t odd_triples(uint64_t v) {
  return v ^ v >> 1 ^ v >> 2;
}

// Bit 64 - e of a row's last 64 bits is that of triple e.
inline uint64_t last_of(uint64_t v, uint64_t& odd) {
  v &= (uint64_t{1} << 43) - 1;
  v |= (every_third(odd_triples(v) >> 1) & 0x3fff) << 43;  // e = 21 ... 8
  const uint64_t p = odd_triples(v) >> 43;                 // 7 ... 4
  v |= ((p & 1) | (p >> 2 & 2) | (p >> 4 & 4) | (p >> 6 & 8)) << 57;
  const uint64_t q = odd_triples(v), d3 = q >> 55 & 1, d2 = q >> 58 & 1;
  odd = d3 ^ d2;
  return v | d3 << 61 | d2 << 62;
}

// Up to kTogether rows.
template <class V>
inline void derive_some(const uint64_t* x, size_t stride, size_t words, size_t groups, size_t rows,
                        uint8_t* to, size_t to_stride) {
  const size_t bytes = groups * kGroup / 8, triples = groups * kGroupTriples;
  uint64_t v[kTogether] = {}, odd[kTogether];
  // Words of inputs end 3 bytes before those of groups, or later: low bits go over what is too
  // much.
  for (size_t r = 0; r < rows; ++r) {
    uint8_t* p = to + r * to_stride;
    const uint64_t* word = x + r * stride;
    store64(p, word[0]);
    for (size_t k = 1; k < words; ++k) store64(p += sizeof(uint64_t), word[k]);
    store64(p + sizeof(uint64_t), 0);
  }
  for (size_t t = 0; t + 21 < triples; t += 32) {
    const size_t at = t * 3 / 8;
    const bool given = at + 12 <= bytes && at + 16 <= words * sizeof(uint64_t);
    const uint8_t* from = (given ? reinterpret_cast<const uint8_t*>(x) : to) + at;
    const size_t from_stride = given ? stride * sizeof(uint64_t) : to_stride;
    uint8_t* low = to + bytes + t / 8;
    for (size_t r = 0; r < rows; ++r) {
      const uint32_t parities = V::low_bits(from + r * from_stride);
      std::memcpy(low + r * to_stride, &parities, sizeof parities);
    }
  }
  // The last 64 bits begin within a byte where groups are odd.
  const size_t bits = groups * kGroup * 3 / 2 - 64, half = bits % 8;
  uint8_t* last = to + bits / 8;
  for (size_t r = 0; r < rows; ++r) {
    v[r] = load64(last + r * to_stride) >> half;
  }
  for (size_t r = 0; r < kTogether; ++r) v[r] = last_of(v[r], odd[r]);
  for (size_t r = 0; r < rows; ++r) {
    uint8_t* p = last + r * to_stride;
    store64(p, half == 0 ? v[r] : v[r] << 4 | (*p & 15u));
    if (half != 0) p[8] = static_cast<uint8_t>(v[r] >> 60);
    to[r * to_stride + odd_at(groups)] = static_cast<uint8_t>(odd[r]);
  }
}

// [row][plane] of derived_bytes().
template <class V>
inline void derive(const uint64_t* x, size_t stride, size_t plane, size_t planes, size_t words,
                   size_t groups, size_t rows, uint8_t* to) {
  const size_t each = derived_bytes(groups);
  for (size_t r = 0; r < rows; r += kTogether)
    for (size_t j = 0; j < planes; ++j)
      derive_some<V>(x + r * stride + j * plane, stride, words, groups, least(kTogether, rows - r),
                     to + (r * planes + j) * each, planes * each);
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_DERIVE_H_
