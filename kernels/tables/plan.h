// What the ways share before their loops: shapes, the places of things in scratch, entries made
// ready for an ISA's inner products, rows arranged in blocks of whole dwords.
#ifndef QRT_KERNELS_TABLES_PLAN_H_
#define QRT_KERNELS_TABLES_PLAN_H_

#include <cstring>

#include "kernels/tables/tables.h"

namespace qrt::kernels::tables {
namespace {

constexpr size_t up_to(size_t x, size_t multiple) {
  return (x + multiple - 1) / multiple * multiple;
}
constexpr size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

// Places in scratch, handed out one after the other on 64 bytes.
struct Carve {
  size_t end = 0;
  size_t take(size_t bytes) {
    const size_t at = end;
    end += up_to(bytes, 64);
    return at;
  }
};

inline Shape shape_of(const Args& a) {
  const int8::Coded& s = a.source;
  const size_t blocks = (a.inputs + s.dim - 1) / s.dim;
  return {a.rows, a.outputs, a.inputs, blocks,  s.bits,       s.books,
          s.dim,  1,         a.keep,   a.shift, a.x_zero != 0};
}

inline bool in_contract(const Shape& s) {
  const bool bytes = s.keep == 8 && s.shift >= 8 && s.shift <= 15;
  const bool others = (s.keep == 7 || s.keep == 12) && s.shift >= 1 && s.shift <= 20;
  return (bytes || others) && s.bits <= kMaxBits && s.dim >= 1 && s.dim <= kMaxDim;
}

// The entries of the scope of a call.
inline const int8_t* entries_of(const Args& a, size_t book) {
  const int8::Coded& s = a.source;
  const size_t scope = s.scope_rows == 0 ? 0 : a.first_output / s.scope_rows;
  return s.entries + scope * s.scope_stride + book * s.book_stride;
}

// Tables are first made to 16 bits and then drop 16 - keep of them: inner products are shifted
// right by shift - (16 - keep), or left by as much as that is below 0. 2^21 * 2^15 / 2 cannot
// happen: keep 7 goes left by at most 8, keep 12 by 3, and an inner product of 64 is below 2^21.
constexpr int pre_shift(const Shape& s) {
  return static_cast<int>(s.shift + s.keep) - 16;
}

// Exact tables hold dot + bias, which is not below 0: whole 2^16, at least dim * 255 * 127.
inline int32_t planes_bias(uint32_t dim) {
  return static_cast<int32_t>((dim * 255 * 127 + 65535) / 65536 * 65536);
}

// What an inner product starts from where x is all zeros, as the ISA takes them: the half that
// rounds, and what makes bytes unsigned.
inline int32_t start_without_zero(const Args& a) {
  if (a.keep == kExactBits) return planes_bias(a.source.dim);
  const int32_t positive = a.keep == 12 ? 0 : 1 << (a.keep - 1 + a.shift);
  return (1 << (a.shift - 1)) + positive;
}

// The same with what the zero of x takes away from each product. `offset` is what the ISA takes
// from every x by itself.
inline int32_t start_of(const Args& a, const int8_t* entry, int32_t offset) {
  int32_t sum = 0;
  if (offset != a.x_zero)
    for (uint32_t t = 0; t < a.source.dim; ++t) sum += entry[t];
  return start_without_zero(a) + (offset - a.x_zero) * sum;
}

// Rows of a call from its first on.
inline Args rows_from(Args a, size_t first) {
  a.rows -= first;
  a.x += first * a.x_stride;
  if (a.y8) a.y8 += first * a.y_stride;
  if (a.y32) a.y32 += first * a.y_stride;
  if (a.finish.residual) a.finish.residual += first * a.finish.residual_stride;
  return a;
}

// Rows of x as blocks of whole dwords: where the blocks [first, first + count) of a row may be read
// as they lie, or a copy of them.
struct Arranged {
  const uint8_t* rows;
  size_t stride;
};
constexpr size_t arranged_stride(size_t blocks, uint32_t dim) {
  return up_to(blocks * up_to(dim, 4), 16) + 16;
}

inline bool in_place(const Args& a, size_t first, size_t count) {
  return a.taps == 1 && a.source.dim % 4 == 0 && (first + count) * a.source.dim <= a.inputs;
}

// Bytes beyond dim meet zeros of the entries and may be anything; inputs beyond the last are
// x_zero.
inline Arranged arrange(const Args& a, size_t first, size_t count, uint8_t* copy, uint32_t* place) {
  const uint32_t dim = a.source.dim;
  if (in_place(a, first, count)) return {a.x + first * dim, a.x_stride};
  const size_t padded = up_to(dim, 4), channels = a.inputs / a.taps, bytes = count * padded;
  const size_t stride = arranged_stride(count, dim);
  size_t missing = bytes;  // from here on there are no inputs
  for (size_t b = 0; b < count; ++b) {
    for (size_t t = 0; t < padded; ++t) {
      const size_t input = (first + b) * dim + t;
      const bool exists = t < dim && input < a.inputs;
      if (t < dim && input == a.inputs) missing = b * padded + t;
      place[b * padded + t] =
          exists ? static_cast<uint32_t>(input % a.taps * channels + input / a.taps) : 0;
    }
  }
  for (size_t r = 0; r < a.rows; ++r) {
    const uint8_t* x = a.x + r * a.x_stride;
    uint8_t* to = copy + r * stride;
    for (size_t i = 0; i < bytes; ++i) to[i] = x[place[i]];
    for (size_t i = missing; i < bytes; ++i) to[i] = static_cast<uint8_t>(a.x_zero);
  }
  return {copy, stride};
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_PLAN_H_
