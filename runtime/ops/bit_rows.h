// Rows of packed bits and bytes that are 0 or 1: bit i of a word is byte i. Words are
// little-endian, as everything of the file format is.
#ifndef QRT_RUNTIME_OPS_BIT_ROWS_H_
#define QRT_RUNTIME_OPS_BIT_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace qrt {

inline constexpr size_t kWordBits = 64;

// Of 8 bytes b[i] at 8 i, the product with the sum of 2^(56 - 7 i) has b[i] at 56 + i, and nothing
// below carries into it.
inline uint64_t packed(const uint8_t (&bytes)[kWordBits]) {
  uint64_t word = 0;
  for (size_t i = 0; i < 8; ++i) {
    uint64_t eight;
    std::memcpy(&eight, bytes + 8 * i, sizeof eight);
    word |= (eight * 0x0102040810204080u >> 56) << 8 * i;
  }
  return word;
}

// `count` bytes at most, each `low` or, where its bit is set, `high`.
inline void unpack(uint64_t word, size_t count, uint8_t low, uint8_t high, uint8_t* to) {
  for (size_t i = 0; i < count; i += 8, word >>= 8) {
    // Byte j of `spread` keeps bit j; adding 127 carries it to the top of its byte.
    const uint64_t spread = (word & 0xff) * 0x0101010101010101u & 0x8040201008040201u;
    const uint64_t ones = (((spread & 0x7f7f7f7f7f7f7f7fu) + 0x7f7f7f7f7f7f7f7fu) | spread) >> 7 &
                          0x0101010101010101u;
    const uint64_t mask = ones * 0xff;
    const uint64_t eight =
        (mask & high * 0x0101010101010101u) | (~mask & low * 0x0101010101010101u);
    std::memcpy(to + i, &eight, count - i < 8 ? count - i : 8);
  }
}

// A row of `n` of them.
inline void unpack_row(const uint64_t* from, size_t n, uint8_t low, uint8_t high, uint8_t* to) {
  for (size_t i = 0; i < n; i += kWordBits)
    unpack(*from++, n - i < kWordBits ? n - i : kWordBits, low, high, to + i);
}

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_BIT_ROWS_H_
