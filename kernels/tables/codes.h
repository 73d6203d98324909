// Codes of the file as byte offsets into tables, eight at a time without a branch on their width.
//
// Code i of eight starts at bit first + i * bits of the row, so it lies in byte (first + i * bits)
// / 8 and the next one: a byte shuffle brings these two into 16-bit lane i as w, where the code has
// sh = (first + i * bits) % 8 bits below it. Since sh + bits <= 15, w * 2^(16 - bits - sh) modulo
// 2^16 has the code on top, and two shifts put it where it is wanted: 4 instructions.
#ifndef QRT_KERNELS_TABLES_CODES_H_
#define QRT_KERNELS_TABLES_CODES_H_

#include <cstring>

#include "kernels/tables/tables.h"

namespace qrt::kernels::tables {
namespace {

inline constexpr size_t kChunk = 16;  // outputs that are looked up, finished and stored together

struct Unpack {
  alignas(16) uint8_t bytes[16];   // of the row, for each byte of eight 16-bit lanes
  alignas(16) uint16_t factor[8];  // 2^(16 - bits - sh); 0 for codes of no bits
  int down;                        // 16 - bits, then
  int up;                          //   log2 of the bytes of a table's entry
};

// For rows of codes from output `first` on, 2^up bytes per entry.
inline Unpack unpack_of(const int8::Coded& s, size_t first, int up) {
  Unpack u;
  for (uint32_t i = 0; i < 8; ++i) {
    const uint32_t bit = static_cast<uint32_t>(first * s.bits % 8) + i * s.bits;
    u.bytes[2 * i] = static_cast<uint8_t>(bit / 8);
    u.bytes[2 * i + 1] = static_cast<uint8_t>(bit / 8 + 1);
    u.factor[i] = s.bits == 0 ? uint16_t{0} : static_cast<uint16_t>(1u << (16 - s.bits - bit % 8));
  }
  u.down = 16 - static_cast<int>(s.bits), u.up = up;
  return u;
}

// Offsets of `outputs` codes of one (book, block), kChunk at a time, `step` elements from one chunk
// to the next. Whole chunks are written; codes that do not exist have any value.
template <class V>
void unpack(const int8::Coded& s, const Unpack& u, size_t book, size_t block, size_t first,
            size_t outputs, uint16_t* to, size_t step) {
  const uint8_t* from = s.codes + book * s.book_bytes + block * s.row_bytes + first * s.bits / 8;
  // Sixteen codes are read as two times 16 bytes, the second `bits` bytes behind the first.
  const size_t reads = s.bits + 16, chunk_bytes = kChunk / 8 * s.bits;
  const auto codes = V::unpack_of(u);
  for (size_t n = 0; n < outputs; n += kChunk, from += chunk_bytes, to += step) {
    if (static_cast<size_t>(s.codes_end - from) >= reads) {
      V::unpack16(codes, from, s.bits, to);
    } else {
      uint8_t copy[24] = {};
      std::memcpy(copy, from, static_cast<size_t>(s.codes_end - from));
      V::unpack16(codes, copy, s.bits, to);
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_CODES_H_
