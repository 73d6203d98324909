// The loops of the lowbit family, written once. An ISA file gives a struct V in an anonymous
// namespace with
//
//   static void codes16(const uint8_t* p, const Steps&, uint8_t* to)   16 codes of the 16 bytes at
//       p, of which they fill the first 2 * bits, to 16 bytes at `to`
//   static void map16(const uint8_t* codes, const int8_t* map, int8_t* to)   16 codes below 16
//
// Conversions are plain loops that the compiler turns into vectors of the file's ISA.
#ifndef QRT_KERNELS_LOWBIT_GENERIC_H_
#define QRT_KERNELS_LOWBIT_GENERIC_H_

#include <cstring>

#include "kernels/lowbit/lowbit.h"

namespace qrt::kernels::lowbit {
namespace {

// How to take 16 codes out of 16 bytes: for each the two bytes from its first bit on as a word,
// which is shifted up until the code ends at the top, then down by the same number for all. A code
// begins at bit s <= 7 of its word and s + bits <= 15.
struct Steps {
  alignas(32) uint8_t bytes[32];
  alignas(32) uint16_t factor[16];  // 2^(16 - s - bits)
  alignas(32) int16_t up[16];       // 16 - s - bits
  int down;

  explicit Steps(uint32_t bits) : down(static_cast<int>(16 - bits)) {
    for (uint32_t i = 0; i < 16; ++i) {
      const uint32_t bit = i * bits, byte = bit / 8;
      bytes[2 * i] = static_cast<uint8_t>(byte);
      // The 17th byte is behind 16 codes of 8 bits; 0x80 gives zero.
      bytes[2 * i + 1] = static_cast<uint8_t>(byte + 1 < 16 ? byte + 1 : 0x80);
      up[i] = static_cast<int16_t>(16 - bit % 8 - bits);
      factor[i] = static_cast<uint16_t>(1u << up[i]);
    }
  }
};

// The five trits of every byte below 243, eight bytes apart.
struct TritTable {
  uint8_t trits[243][8];
  constexpr TritTable() : trits{} {
    for (unsigned byte = 0; byte < 243; ++byte) {
      unsigned rest = byte;
      for (unsigned i = 0; i < 5; ++i, rest /= 3) trits[byte][i] = static_cast<uint8_t>(rest % 3);
    }
  }
};
constexpr TritTable kTritTable;

// Eight bytes at a time, of which the next overwrite three.
inline void unpack_trits(const UnpackArgs& a) {
  const uint8_t* p = a.packed.codes;
  uint8_t* to = a.to;
  size_t left = a.count;
  for (; left >= 8; left -= 5, to += 5) std::memcpy(to, kTritTable.trits[*p++], 8);
  for (; left != 0; ++p) {
    const size_t some = left < 5 ? left : 5;
    std::memcpy(to, kTritTable.trits[*p], some);
    to += some, left -= some;
  }
}

template <class V>
void unpack(const UnpackArgs& a) {
  const uint32_t bits = a.packed.bits;
  if (bits == kTrits) return unpack_trits(a);
  if (bits == 8) {
    if (a.count != 0) std::memcpy(a.to, a.packed.codes, a.count);
    return;
  }
  const Steps steps(bits);
  const uint8_t* p = a.packed.codes;
  size_t i = 0;
  for (; i + 16 <= a.count && a.packed.end - p >= 16; i += 16, p += 2 * bits)
    V::codes16(p, steps, a.to + i);
  for (; i < a.count; i += 16, p += 2 * bits) {
    const size_t some = a.count - i < 16 ? a.count - i : 16;
    uint8_t from[16] = {}, to[16];
    std::memcpy(from, p, (some * bits + 7) / 8);
    V::codes16(from, steps, to);
    std::memcpy(a.to + i, to, some);
  }
}

inline void affine_integers(const uint8_t* __restrict codes, size_t count, uint8_t flip,
                            uint32_t doubled, uint8_t zero, int8_t* __restrict to) {
  const uint8_t factor = static_cast<uint8_t>(1u << doubled);
  for (size_t i = 0; i < count; ++i)
    to[i] = static_cast<int8_t>(static_cast<uint8_t>((codes[i] ^ flip) * factor - zero));
}

template <class V>
void integers(const IntegersArgs& a) {
  if (a.map == nullptr)
    return affine_integers(a.codes, a.count, a.flip, a.doubled, static_cast<uint8_t>(a.zero), a.to);
  size_t i = 0;
  for (; a.below16 && i + 16 <= a.count; i += 16) V::map16(a.codes + i, a.map, a.to + i);
  for (; i < a.count; ++i) a.to[i] = a.map[a.codes[i]];
}

inline void affine_floats(const uint8_t* __restrict codes, size_t count, uint8_t flip,
                          int32_t zero2, float unit, float scale, float* __restrict to) {
  for (size_t i = 0; i < count; ++i)
    to[i] = static_cast<float>(2 * (codes[i] ^ flip) - zero2) * unit * scale;
}
inline void add_affine_floats(const uint8_t* __restrict codes, size_t count, uint8_t flip,
                              int32_t zero2, float unit, float scale, float* __restrict to) {
  for (size_t i = 0; i < count; ++i)
    to[i] += static_cast<float>(2 * (codes[i] ^ flip) - zero2) * unit * scale;
}

template <class V>
void floats(const FloatsArgs& a) {
  if (a.map == nullptr && !a.has_offset)
    return (a.adds ? add_affine_floats : affine_floats)(a.codes, a.count, a.flip, a.zero2, a.unit,
                                                        a.scale, a.to);
  for (size_t i = 0; i < a.count; ++i) {
    const int32_t twice = 2 * (a.codes[i] ^ a.flip) - a.zero2;
    float v = a.map != nullptr ? a.map[a.codes[i]] : static_cast<float>(twice) * a.unit;
    v *= a.scale;
    if (a.has_offset) v += a.offset;
    a.to[i] = a.adds ? a.to[i] + v : v;
  }
}

}  // namespace
}  // namespace qrt::kernels::lowbit

#endif  // QRT_KERNELS_LOWBIT_GENERIC_H_
