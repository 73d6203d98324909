// The way `outputs`: outputs in lanes, tables of 16 bytes in registers, codes of 4 bits, any rows.
//
//   for up to V::kRowsSwept rows: for a group of blocks of one book:
//     table[row][block][c] = T(b, c) + 2^(keep - 1)          entries in lanes, 16 bytes
//     for V::kBytes outputs: code nibbles to a vector, which shuffles the table of each row
//
// Bytes come out as a *line* of one row, and are summed as lines are in generic_lanes.h. The order
// of a line is that of the nibbles: byte p < kBytes / 2 is the low half of the file's byte p,
// output 2 p, the others are the high halves: output_of() below. Few blocks at a time keep the rows
// of codes that are read side by side few when they come from memory: a row's group is one run of
// bytes.
#ifndef QRT_KERNELS_TABLES_GENERIC_OUTPUTS_H_
#define QRT_KERNELS_TABLES_GENERIC_OUTPUTS_H_

#include <utility>

#include "kernels/tables/generic_fill.h"
#include "kernels/tables/generic_lanes.h"
#include "kernels/tables/generic_line.h"

namespace qrt::kernels::tables {
namespace {

inline constexpr int kTogether = 4;  // vectors of outputs of one row
inline constexpr size_t kCacheLine = 64;

template <size_t kSize>
inline void prefetch(const uint8_t* p) {
  for (size_t i = 0; i < kSize; i += kCacheLine) __builtin_prefetch(p + i);
}

struct OutputsPlan {
  size_t group;  // blocks
  size_t entries, starts, narrow, scale, bias, tables, acc, sums, codes, copy, place, total;
};

template <class V>
OutputsPlan outputs_plan(const Shape& s) {
  const size_t dwords = up_to(s.dim, 4) / 4, rows = least(s.rows, V::kRowsSwept);
  const size_t outputs = up_to(s.outputs, V::kBytes);
  OutputsPlan p{};
  p.group = least(s.blocks, rows == 1 ? 16 : 128);
  Carve carve;
  p.entries = carve.take(s.books * dwords * 4 * V::Narrow::kXBytes);
  p.starts = carve.take(s.books * kNibbles * sizeof(int32_t));
  p.narrow = carve.take(V::kNarrow ? s.books * narrow_lanes_bytes(s.dim) : 0);
  p.scale = carve.take(outputs * sizeof(float));
  p.bias = carve.take(outputs * sizeof(float));
  p.tables = carve.take(rows * p.group * kNibbles);
  p.acc = carve.take(rows * outputs * 2);
  p.sums = carve.take(s.blocks * s.books <= 256 ? 0 : rows * outputs * sizeof(int32_t));
  p.codes = carve.take(p.group * V::kBytes / 2);
  p.copy = carve.take(rows * arranged_stride(p.group, s.dim));
  p.place = carve.take(p.group * dwords * 4 * sizeof(uint32_t));
  p.total = carve.end;
  return p;
}

// ---- lookups --------------------------------------------------------------------

struct Sweep {
  const uint8_t* codes;
  size_t stride;          // from one block's codes to the next one's
  size_t ahead;           // from codes to those that come soon after
  const uint8_t* tables;  // [row][table_stride], 16 bytes per block
  size_t table_stride, blocks;
  uint8_t* acc;  // [vector of outputs][row][2 * kBytes]
  bool first;
};

// R rows of C times kBytes outputs.
template <class V, int kKeep, int R, int C>
__attribute__((noinline)) void sweep(const Sweep& k) {
  constexpr size_t kHalf = V::kBytes / 2, kAcc = 2 * V::kBytes;
  typename V::Acc8 s[C * R];
#define QRT_EACH_ROW _Pragma("GCC unroll 8") for (int r = 0; r < R; ++r)
#define QRT_EACH _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) QRT_EACH_ROW
  if (k.first) {
    QRT_EACH s[c * R + r] = V::none8();
  } else {
    QRT_EACH s[c * R + r] = V::load8(k.acc + (c * R + r) * kAcc);
  }
  const uint8_t* codes = k.codes;
  const uint8_t* t = k.tables;
  const uint8_t* const end = t + k.blocks * kNibbles;
  const size_t table_stride = k.table_stride, stride = k.stride, ahead = k.ahead;
  const auto line = [table_stride](const uint8_t* table, int r, typename V::Vec at) {
    return V::pick(table + r * table_stride, at);
  };
  if (kKeep == 7) {
    for (; t + kNibbles < end; t += 2 * kNibbles, codes += 2 * stride) {
      _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
        const typename V::Vec at = V::nibbles(codes + c * kHalf);
        const typename V::Vec next = V::nibbles(codes + stride + c * kHalf);
        QRT_EACH_ROW s[c * R + r] =
            V::acc8(s[c * R + r], V::add8(line(t, r, at), line(t + kNibbles, r, next)));
      }
      if (C > 1) prefetch<C * kHalf>(codes + ahead), prefetch<C * kHalf>(codes + stride + ahead);
    }
  }
  for (; t < end; t += kNibbles, codes += stride) {
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
      const typename V::Vec at = V::nibbles(codes + c * kHalf);
      QRT_EACH_ROW s[c * R + r] = V::acc8(s[c * R + r], line(t, r, at));
    }
    if (C > 1) prefetch<C * kHalf>(codes + ahead);
  }
  QRT_EACH V::store8(k.acc + (c * R + r) * kAcc, s[c * R + r]);
#undef QRT_EACH
#undef QRT_EACH_ROW
}

template <class V, int kKeep, int... R>
inline void sweep_rows(size_t rows, const Sweep& k, std::integer_sequence<int, R...>) {
  using Fn = void(const Sweep&);
  static constexpr Fn* kByRows[] = {&sweep<V, kKeep, R + 1, 1>...};
  kByRows[rows - 1](k);
}

// Where the codes of `bytes` bytes' outputs from n on of `blocks` blocks can be read in the file:
// false if they start inside a byte or end behind the file's.
inline bool find_codes(const Args& a, size_t book, size_t first, size_t blocks, size_t n,
                       size_t bytes, Sweep* k) {
  const int8::Coded& s = a.source;
  const size_t at = a.first_output + n;
  k->codes = s.codes + book * s.book_bytes + first * s.row_bytes + at / 2;
  k->stride = s.row_bytes;
  const uint8_t* const last = k->codes + (blocks - 1) * s.row_bytes;
  return at % 2 == 0 && static_cast<size_t>(s.codes_end - last) >= bytes;
}

// Else they are copied.
template <class V>
void copy_codes(const Args& a, size_t blocks, size_t n, uint8_t* copy, Sweep* k) {
  constexpr size_t kHalf = V::kBytes / 2;
  const bool even = (a.first_output + n) % 2 == 0;
  for (size_t b = 0; b < blocks; ++b) {
    const uint8_t* const row = k->codes + b * k->stride;
    uint8_t bytes[kHalf + 1] = {};
    std::memcpy(bytes, row, least(kHalf + 1, static_cast<size_t>(a.source.codes_end - row)));
    for (size_t i = 0; i < kHalf; ++i)
      copy[b * kHalf + i] =
          even ? bytes[i] : static_cast<uint8_t>(bytes[i] >> 4 | bytes[i + 1] << 4);
  }
  k->codes = copy, k->stride = kHalf;
}

// Looks `blocks` blocks of a book up for the outputs from n on; how many vectors of them.
template <class V, int kKeep>
size_t sweep_some(const Args& a, size_t book, size_t first, size_t blocks, size_t n, uint8_t* copy,
                  Sweep* k) {
  constexpr size_t kHalf = V::kBytes / 2;
  // One row: several vectors, so that whole lines of memory are read at once, and those that are
  // next but one are asked for: further on in the row or where the next blocks begin.
  if (a.rows == 1 && n + kTogether * V::kBytes <= a.outputs &&
      find_codes(a, book, first, blocks, n, kTogether * kHalf, k)) {
    const size_t two = 2 * kTogether * kHalf, row = a.outputs / 2;
    const bool inside = n / 2 + two < row;
    k->ahead = inside ? two : blocks * k->stride + two - row;
    sweep<V, kKeep, 1, kTogether>(*k);
    return kTogether;
  }
  if (!find_codes(a, book, first, blocks, n, kHalf, k)) copy_codes<V>(a, blocks, n, copy, k);
  sweep_rows<V, kKeep>(a.rows, *k, std::make_integer_sequence<int, V::kRowsSwept>{});
  return 1;
}

// ---- rows -------------------------------------------------------------------------

template <class V, int kKeep>
void outputs_group(const Args& a, const OutputsPlan& p, size_t book, size_t first, size_t blocks) {
  using N = typename V::Narrow;
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  const size_t dwords = up_to(a.source.dim, 4) / 4;
  const Arranged rows =
      arrange(a, first, blocks, at + p.copy, reinterpret_cast<uint32_t*>(at + p.place));
  Fill f{};
  f.entries = at + p.entries + book * dwords * 4 * N::kXBytes;
  f.starts = reinterpret_cast<const int32_t*>(at + p.starts) + book * kNibbles;
  f.dwords = dwords, f.blocks = blocks, f.pre_shift = pre_shift(shape_of(a));
  const uint8_t* const narrow = at + p.narrow + book * narrow_lanes_bytes(a.source.dim);
  f.narrow = narrow + 64, f.halves = N::kNarrow && kKeep == 8 ? narrow[0] : 0;
  f.pairs = narrow_pairs(a.source.dim);
  for (size_t r = 0; r < a.rows; ++r) {
    f.x = rows.rows + r * rows.stride;
    f.tables = at + p.tables + r * p.group * kNibbles;
    fill_tables<N, kKeep>(f);
  }
}

// At most V::kRowsSwept rows.
template <class V, int kKeep>
void outputs_rows(const Args& a, const OutputsPlan& p, bool tame) {
  constexpr size_t kFlush = kKeep == 8 ? 256 : 512;
  const Shape s = shape_of(a);
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  Settle to{reinterpret_cast<const float*>(at + p.scale),
            reinterpret_cast<const float*>(at + p.bias),
            nullptr,
            0,
            nullptr,
            true,
            false,
            tame};
  for (size_t book = 0; book < s.books; ++book) {
    for (size_t b = 0, blocks; b < s.blocks; b += blocks) {
      blocks = least(p.group, s.blocks - b);
      outputs_group<V, kKeep>(a, p, book, b, blocks);
      Sweep k{nullptr, 0, 0, at + p.tables, p.group * kNibbles, blocks, nullptr, to.lookups == 0};
      to.lookups += blocks;
      to.last = book + 1 == s.books && b + blocks == s.blocks;
      const bool full = to.last || to.lookups + p.group > kFlush;
      for (size_t n = 0; n < s.outputs;) {
        k.acc = at + p.acc + n * a.rows * 2;
        const size_t vectors = sweep_some<V, kKeep>(a, book, b, blocks, n, at + p.codes, &k);
        for (size_t i = 0; i < vectors; ++i, n += V::kBytes) {
          to.acc = at + p.acc + n * a.rows * 2;
          to.sums = reinterpret_cast<int32_t*>(at + p.sums) + n * a.rows;
          if (full) settle<V, kKeep>(a, n, to);
        }
      }
      if (full) to.lookups = 0, to.first = false;
    }
  }
}

template <class V, int kKeep>
void outputs_call(const Args& a) {
  const OutputsPlan p = outputs_plan<V>(shape_of(a));
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  entries_to_lanes<typename V::Narrow>(a, 1, packed_byte<typename V::Narrow>, at + p.entries,
                                       reinterpret_cast<int32_t*>(at + p.starts));
  order_affine<V>(a, reinterpret_cast<float*>(at + p.scale), reinterpret_cast<float*>(at + p.bias));
  if constexpr (V::kNarrow && kKeep == 8)
    for (size_t book = 0; book < a.source.books; ++book)
      narrow_to_lanes<typename V::Narrow>(a, book,
                                          at + p.narrow + book * narrow_lanes_bytes(a.source.dim));
  const bool tame = a.y8 && is_tame(a);
  // Tiles of about equal height: 49 rows are 7 times 7.
  const size_t tiles = (a.rows + V::kRowsSwept - 1) / V::kRowsSwept;
  for (size_t t = 0, first = 0; t < tiles; ++t) {
    Args tile = rows_from(a, first);
    tile.rows = a.rows / tiles + (t < a.rows % tiles ? 1 : 0);
    first += tile.rows;
    outputs_rows<V, kKeep>(tile, p, tame);
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_OUTPUTS_H_
