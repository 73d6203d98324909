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

#include "kernels/tables/generic_lanes.h"
#include "kernels/tables/generic_line.h"

namespace qrt::kernels::tables {
namespace {

inline constexpr size_t kNibbles = 16;  // entries
inline constexpr int kTogether = 4;     // vectors of outputs of one row
inline constexpr size_t kCacheLine = 64;

template <size_t kSize>
inline void prefetch(const uint8_t* p) {
  for (size_t i = 0; i < kSize; i += kCacheLine) __builtin_prefetch(p + i);
}

// Entries of a book in lanes as generic_narrow.h has rows: words of what sums start from, then of
// pairs; where not all of them are narrow, those of their other halves behind. In front how many
// there are: 0, 1 or 2.
constexpr size_t narrow_words(uint32_t dim) {
  return (1 + narrow_pairs(dim)) * kNibbles;
}
constexpr size_t narrow_lanes_bytes(uint32_t dim) {
  return 64 + up_to(2 * narrow_words(dim) * 2, 64);
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

// ---- tables ---------------------------------------------------------------------

// The byte of a packed line that lane `lane` of int32 vector z becomes.
template <class N>
constexpr size_t packed_byte(size_t z, size_t lane) {
  return N::byte_of(lane_row<N>(z, lane));
}

// Entries to lanes, [line][dword][vector], so that a line of N::kBytes entries has entry e in byte
// e, `byte` saying where lanes go. Entries beyond those that exist repeat them.
template <class N>
void entries_to_lanes(const Args& a, size_t lines, size_t (*byte)(size_t z, size_t lane),
                      uint8_t* to, int32_t* starts) {
  const size_t dwords = up_to(a.source.dim, 4) / 4, stride = a.source.entry_stride;
  const size_t last = (size_t{1} << a.source.bits) - 1;
  for (size_t i = 0; i < a.source.books * lines; ++i) {
    const int8_t* const entries = entries_of(a, i / lines);
    for (size_t z = 0; z < 4; ++z) {
      uint32_t at[N::kLanes];
      for (size_t j = 0; j < N::kLanes; ++j) {
        const size_t e = i % lines * N::kBytes + byte(z, j);
        at[j] = static_cast<uint32_t>((e & last) * stride);
        starts[z * N::kLanes + j] = start_of(a, entries + at[j], N::kOffset);
      }
      for (size_t d = 0; d < dwords; d += 4) {
        const typename N::Four f =
            N::transpose4(reinterpret_cast<const uint8_t*>(entries) + 4 * d, at);
        for (size_t k = 0; k < least(4, dwords - d); ++k)
          N::put_e(to + ((d + k) * 4 + z) * N::kXBytes, f.v[k]);
      }
    }
    to += dwords * 4 * N::kXBytes, starts += N::kBytes;
  }
}

template <class N>
void narrow_to_lanes(const Args& a, size_t book, uint8_t* to) {
  const uint32_t dim = a.source.dim;
  const size_t stride = a.source.entry_stride, dwords = narrow_dwords(dim);
  const int8_t* const entries = entries_of(a, book);
  uint16_t* const words = reinterpret_cast<uint16_t*>(to + 64);
  uint32_t records[2 * narrow_dwords(kMaxDim) + 3];
  uint8_t halves = 1;
  for (size_t e = 0; e < kNibbles; ++e)
    if (!is_narrow<N>(entries + e * stride, dim, a.x_zero, 0, records)) halves = 2;
  for (size_t e = 0; e < kNibbles && halves != 0; ++e) {
    if (halves == 1)
      is_narrow<N>(entries + e * stride, dim, a.x_zero, 0, records);
    else if (!is_split<N>(entries + e * stride, dim, a.x_zero, records))
      halves = 0;
    for (size_t k = 0; k < halves; ++k)
      for (size_t p = 0; p <= narrow_pairs(dim); ++p)
        words[k * narrow_words(dim) + p * kNibbles + e] =
            static_cast<uint16_t>(records[k * dwords + p + 1]);
  }
  to[0] = halves;
}

struct Fill {
  const uint8_t* x;  // arranged blocks of one row
  const uint8_t* entries;
  const int32_t* starts;
  size_t dwords, blocks;
  int pre_shift;
  uint8_t* tables;
  const uint8_t* narrow;
  size_t pairs, halves;
};

template <class N, int kKeep, Pre kPre>
__attribute__((noinline)) void fill(const Fill& f) {
  const auto pre = N::count(f.pre_shift < 0 ? -f.pre_shift : f.pre_shift);
  const uint8_t* x = f.x;
  for (size_t b = 0; b < f.blocks; ++b) {
    typename N::Sum sum[4];
    typename N::Vec v[4];
#define QRT_EACH _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z)
    QRT_EACH sum[z] = N::start_e(f.starts + 4 * z);
    const uint8_t* e = f.entries;
    for (size_t d = 0; d < f.dwords; ++d, x += 4, e += 4 * N::kXBytes) {
      const typename N::W four = N::dup_x(x);
      QRT_EACH sum[z] = N::mac_e(sum[z], N::load_x(e + z * N::kXBytes), four);
    }
    QRT_EACH v[z] = shifted<N, kPre>(N::total(sum[z]), pre);
    N::store(f.tables + b * kNibbles, N::template bytes_of<16 - kKeep>(v[0], v[1], v[2], v[3]));
#undef QRT_EACH
  }
}

// kPairs as many as there are; 0: any number of them.
template <class N, size_t kPairs, size_t kHalves>
__attribute__((noinline)) void fill_narrow(const Fill& f) {
  const size_t pairs = kPairs != 0 ? kPairs : f.pairs, other = (1 + pairs) * 2 * N::kBytes;
  const auto factor = static_cast<int16_t>(kHalves << (7 - f.pre_shift));
  const uint8_t *x = f.x, *const e = f.narrow;
  for (size_t b = 0; b < f.blocks; ++b, x += f.dwords * 4) {
    typename N::Vec sum[kHalves][2];
#define QRT_EACH                                               \
  _Pragma("GCC unroll 2") for (size_t k = 0; k < kHalves; ++k) \
      _Pragma("GCC unroll 2") for (size_t h = 0; h < 2; ++h)
    QRT_EACH sum[k][h] = N::load(e + k * other + h * N::kBytes);
    _Pragma("GCC unroll 4") for (size_t p = 0; p < pairs; ++p) {
      int16_t two;
      std::memcpy(&two, x + 2 * p, sizeof two);
      const typename N::Vec bytes = N::set16(two);
      QRT_EACH sum[k][h] = N::add16(
          sum[k][h], N::mul_pairs(bytes, N::load(e + k * other + (2 * p + 2 + h) * N::kBytes)));
    }
#undef QRT_EACH
    if constexpr (kHalves == 2)
      for (size_t h = 0; h < 2; ++h) sum[0][h] = N::mean16(sum[0][h], sum[1][h]);
    N::store(f.tables + b * kNibbles,
             N::bytes_of_words(N::mul_rounded(sum[0][0], N::set16(factor)),
                               N::mul_rounded(sum[0][1], N::set16(factor))));
  }
}

template <class N, size_t kHalves>
void fill_narrow_of(const Fill& f) {
  if (f.pairs == 2) return fill_narrow<N, 2, kHalves>(f);
  if (f.pairs == 4) return fill_narrow<N, 4, kHalves>(f);
  fill_narrow<N, 0, kHalves>(f);
}

template <class N, int kKeep>
void fill_tables(const Fill& f) {
  if constexpr (N::kNarrow && kKeep == 8) {
    if (f.halves == 1) return fill_narrow_of<N, 1>(f);
    if (f.halves == 2) return fill_narrow_of<N, 2>(f);
  }
  if (f.pre_shift == 0)
    fill<N, kKeep, Pre::none>(f);
  else if (f.pre_shift > 0)
    fill<N, kKeep, Pre::right>(f);
  else
    fill<N, kKeep, Pre::left>(f);
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
