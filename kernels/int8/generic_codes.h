// Codes of coded weights, and where their entries are.
#ifndef QRT_KERNELS_INT8_GENERIC_CODES_H_
#define QRT_KERNELS_INT8_GENERIC_CODES_H_

#include <cstring>

#include "kernels/int8/int8.h"

namespace qrt::kernels::int8 {

// A code lies in the four bytes from its first bit on; nothing at or past codes_end is read.
template <class V>
inline uint32_t code_of(const Coded& s, const uint8_t* row, size_t output) {
  if (s.bits == 8) return row[output];
  const size_t bit = output * s.bits;
  const uint8_t* p = row + bit / 8;
  uint32_t word = 0;
  if (s.codes_end - p >= 4) {
    std::memcpy(&word, p, 4);
  } else {
    for (ptrdiff_t byte = 0; byte < s.codes_end - p; ++byte) word |= uint32_t{p[byte]} << 8 * byte;
  }
  return word >> bit % 8 & ((1u << s.bits) - 1u);
}

// Where the entries of an output begin: those of its level and its scope.
template <class V>
inline uint32_t base_of(const Coded& s, size_t output) {
  const size_t level = s.level_of ? s.level_of[output] * s.level_stride : 0;
  const size_t scope = s.scope_rows ? output / s.scope_rows * s.scope_stride : 0;
  return static_cast<uint32_t>(level + scope);
}

// How to take eight codes, which begin on a byte, out of 16 bytes: the four bytes from a code's
// first bit on for each (byte shuffles of both 128-bit halves), then shifts and a mask.
struct CodeSteps {
  alignas(32) uint8_t bytes[32];
  alignas(32) uint32_t shift[8];
  int32_t mask, stride;
};

template <class V>
inline CodeSteps code_steps(const Coded& s) {
  CodeSteps u;
  for (uint32_t i = 0; i < 8; ++i) {
    const uint32_t bit = i * s.bits;
    u.shift[i] = bit % 8;
    for (uint32_t j = 0; j < 4; ++j)  // the 17th byte holds no bit of ours: 0x80 gives zero
      u.bytes[i * 4 + j] = static_cast<uint8_t>(bit / 8 + j < 16 ? bit / 8 + j : 0x80);
  }
  u.mask = (1 << s.bits) - 1, u.stride = static_cast<int32_t>(s.entry_stride);
  return u;
}

// Outputs of a tile, and the offsets of their entries from Coded::entries.
template <class V>
struct Outputs {
  static constexpr size_t N = V::kTileN;

  Outputs() = default;
  Outputs(const Coded& source, size_t first_output, size_t outputs)
      : s(&source), steps(code_steps<V>(source)), first(first_output), live(outputs) {
    for (size_t i = 0; i < N; ++i) base[i] = i < live ? base_of<V>(source, first + i) : 0;
  }

  // Of `count` blocks of one book, a row of N every `stride` rows; outputs beyond the last get any.
  __attribute__((noinline)) void offsets(uint32_t book, size_t block, size_t count,
                                         uint32_t (*at)[N], size_t stride) const {
    const uint32_t bits = s->bits;
    const uint8_t* row = s->codes + book * s->book_bytes + block * s->row_bytes;
    for (; count != 0; --count, row += s->row_bytes, at += stride) {
      const uint8_t* p = row + first * bits / 8;
      const bool whole = s->codes_end - p >= static_cast<ptrdiff_t>(N * bits / 8 + 16);
      if (first * bits % 8 != 0 || !whole) {
        one_by_one(row, *at);
      } else {
        for (size_t i = 0; i < N; i += 8, p += bits) V::unpack8(p, steps, base + i, *at + i);
      }
    }
  }

  __attribute__((noinline)) void one_by_one(const uint8_t* row, uint32_t* at) const {
    const uint32_t entry = static_cast<uint32_t>(s->entry_stride);
    for (size_t i = 0; i < N; ++i)
      at[i] = base[i] + (i < live ? code_of<V>(*s, row, first + i) * entry : 0);
  }

  const Coded* s;
  CodeSteps steps;
  size_t first, live;
  uint32_t base[N];
};

// Rows of offsets that are kept. Codes become offsets some blocks ahead of their use: written as
// vectors and read back as scalars, they must have reached the cache.
inline constexpr size_t kAhead = 16;

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_CODES_H_
