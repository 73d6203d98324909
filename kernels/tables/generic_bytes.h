// The way `bytes`: outputs in lanes, keep 7 and 8, codes of any width, any rows. A table of bytes
// stays in registers, one for 64 entries, while the codes of all outputs pass by as they lie in the
// file; a byte shuffle that ignores the upper bits of its indices looks 64 of them up.
//
//   for 8 rows: for 256 blocks of one book in 4 or 8 parts: for each row: for kTabled of each part:
//     table[block][c] = T(b, c) + 2^(keep - 1)      entries in lanes
//     for one of each part, for a chunk of outputs: sum += table[block][code]
//
// Codes of   a chunk is           64 lookups are, beside the sum's three instructions
//   8 bits   64 outputs           2 shuffles of 128 entries, a test of the top bit, a blend
//   7 bits   64                   1 shuffle, and 2 that bring a code to every byte
//   4 bits   128 (64 if the codes start inside a byte)
//                                 1 shuffle, half a shift: low nibbles, then the high ones
//   others   64                   1 shuffle, and the 2 of 7 bits
//
// Sums of bytes are those of generic_lanes.h: exact for 256 lookups of 8 bits, 512 of 7. Lookups
// and what becomes of their sums are in generic_sweep.h.
#ifndef QRT_KERNELS_TABLES_GENERIC_BYTES_H_
#define QRT_KERNELS_TABLES_GENERIC_BYTES_H_

#include "kernels/tables/generic_sweep.h"

namespace qrt::kernels::tables {
namespace {

inline constexpr size_t kBytesRows = 8, kArranged = 256, kTabled = 8;

struct BytesPlan {
  size_t group;  // blocks that are arranged at once
  size_t entries, starts, tables, acc, acc_row, sums, sums_row, tail, copy, place, total;
};

template <class V>
BytesPlan bytes_plan(const Shape& s) {
  const size_t dwords = up_to(s.dim, 4) / 4, rows = least(s.rows, kBytesRows);
  const size_t outputs = up_to(s.outputs, 2 * V::kBytes);
  const size_t words = up_to(size_t{1} << s.bits, V::kBytes);
  BytesPlan p{};
  p.group = least(s.blocks, kArranged);
  Carve carve;
  p.entries = carve.take(s.books * words * dwords * 4 * V::kXBytes / V::kBytes);
  p.starts = carve.take(s.books * words * sizeof(int32_t));
  p.tables = carve.take(kTabled * (s.bits == 8 ? 4 : 8) * words);
  p.acc_row = outputs * 2;
  p.acc = carve.take(rows * p.acc_row);
  p.sums_row = outputs;
  p.sums = carve.take(s.blocks * s.books <= 256 ? 0 : rows * outputs * sizeof(int32_t));
  p.tail = carve.take(8 * V::kBytes);
  p.copy = carve.take(rows * arranged_stride(p.group, s.dim));
  p.place = carve.take(p.group * dwords * 4 * sizeof(uint32_t));
  p.total = carve.end;
  return p;
}

// ---- tables ---------------------------------------------------------------------

// Lines of V::kBytes entries, each for all blocks: with one or two dwords its products stay in
// registers.
template <class V, int kKeep, Pre kPre, int kDwords>
__attribute__((noinline)) void fill_line(const Fill& f, size_t table) {
  const auto pre = V::count(f.pre_shift < 0 ? -f.pre_shift : f.pre_shift);
  const size_t dwords = kDwords == 0 ? f.dwords : kDwords;
  typename V::Sum start[4];
  typename V::X e[kDwords == 0 ? 1 : kDwords][4];
#define QRT_EACH _Pragma("GCC unroll 4") for (int z = 0; z < 4; ++z)
  QRT_EACH start[z] = V::start_e(f.starts + static_cast<size_t>(z) * V::kLanes);
  _Pragma("GCC unroll 2") for (int d = 0; d < kDwords; ++d) QRT_EACH e[d][z] =
      V::load_x(f.entries + static_cast<size_t>(d * 4 + z) * V::kXBytes);
  const uint8_t* x = f.x;
  uint8_t* to = f.tables;
  for (size_t b = 0; b < f.blocks; ++b, to += table, x += 4 * dwords) {
    typename V::Sum sum[4];
    typename V::Vec v[4];
    QRT_EACH sum[z] = start[z];
    if constexpr (kDwords != 0) {
      _Pragma("GCC unroll 2") for (int d = 0; d < kDwords; ++d) {
        const typename V::W four = V::dup_x(x + 4 * d);
        QRT_EACH sum[z] = V::mac_e(sum[z], e[d][z], four);
      }
    } else {
      for (size_t d = 0; d < dwords; ++d) {
        const typename V::W four = V::dup_x(x + 4 * d);
        QRT_EACH sum[z] = V::mac_e(
            sum[z], V::load_x(f.entries + (d * 4 + static_cast<size_t>(z)) * V::kXBytes), four);
      }
    }
    QRT_EACH v[z] = shifted<V, kPre>(V::total(sum[z]), pre);
    V::store(to, V::template bytes_of<16 - kKeep>(v[0], v[1], v[2], v[3]));
  }
#undef QRT_EACH
}

template <class V, int kKeep, Pre kPre>
void fill_line_of(const Fill& f, size_t table) {
  if (f.dwords == 1)
    fill_line<V, kKeep, kPre, 1>(f, table);
  else if (f.dwords == 2)
    fill_line<V, kKeep, kPre, 2>(f, table);
  else
    fill_line<V, kKeep, kPre, 0>(f, table);
}

template <class V, int kKeep>
void fill_lines(Fill f, size_t table) {
  for (size_t line = 0; line < table; line += V::kBytes) {
    if (f.pre_shift == 0)
      fill_line_of<V, kKeep, Pre::none>(f, table);
    else if (f.pre_shift > 0)
      fill_line_of<V, kKeep, Pre::right>(f, table);
    else
      fill_line_of<V, kKeep, Pre::left>(f, table);
    f.entries += f.dwords * 4 * V::kXBytes, f.starts += V::kBytes, f.tables += V::kBytes;
  }
}

// ---- rows -----------------------------------------------------------------------

// Blocks of a book, whose arranged row is at f.x, are added to a row's sums at flow.acc. kStreams
// of them are looked up at a time, as far apart as they can be: codes of blocks that follow each
// other lie behind each other, and memory is read fastest as a few streams.
template <class V, Codes kCodes, int kKeep>
void add_blocks(const Args& a, Fill f, Flow<V> flow, size_t blocks, uint8_t* tail) {
  using K = Kind<kCodes>;
  constexpr size_t kStreams = static_cast<size_t>(K::kTogether);
  const auto fill_some = [&](size_t first, size_t stream, size_t count) {
    Fill some = f;
    some.x += first * f.dwords * 4, some.blocks = count;
    some.tables += stream * kTabled * K::kTable;
    if constexpr (K::kTable == kNibbles)
      fill_tables<typename V::Narrow, kKeep>(some);
    else
      fill_lines<V, kKeep>(some, K::kTable);
  };
  const size_t row = flow.stride, each = blocks / kStreams, ahead = rows_ahead(row);
  flow.stride = each * row, flow.table_stride = kTabled * K::kTable;
  for (size_t done = 0, count; done < each; done += count) {
    count = least(kTabled, each - done);
    for (size_t k = 0; k < kStreams; ++k) fill_some(k * each + done, k, count);
    flow.tables = f.tables;
    for (size_t i = done; i < done + count; ++i, flow.codes += row, flow.tables += K::kTable) {
      flow.ahead = (i + ahead < each ? ahead : blocks - each + ahead) * row;
      sweep_outputs<V, BytesSweep<V, kCodes, kKeep, K::kTogether>>(a, &flow, tail);
      flow.first = false;
    }
  }
  flow.codes += (kStreams - 1) * flow.stride, flow.stride = row, flow.tables = f.tables;
  const size_t left = blocks - kStreams * each;
  if (left != 0) fill_some(kStreams * each, 0, left);
  for (size_t i = 0; i < left; ++i, flow.codes += row, flow.tables += K::kTable) {
    flow.ahead = row;
    sweep_outputs<V, BytesSweep<V, kCodes, kKeep, 1>>(a, &flow, tail);
    flow.first = false;
  }
}

// At most kBytesRows rows.
template <class V, Codes kCodes, int kKeep>
void bytes_rows(const Args& a, const BytesPlan& p) {
  using N = std::conditional_t<kCodes == Codes::nibbles, typename V::Narrow, V>;
  constexpr size_t kFlush = kKeep == 8 ? 256 : 512, kTable = Kind<kCodes>::kTable;
  const int8::Coded& c = a.source;
  const Shape s = shape_of(a);
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  Settle to{nullptr, nullptr, nullptr, 0, nullptr, true, false};
  Fill f{};
  f.dwords = up_to(s.dim, 4) / 4, f.pre_shift = pre_shift(s), f.tables = at + p.tables;
  Flow<V> flow{};
  flow.stride = c.row_bytes;
  flow.step = kCodes == Codes::nibbles ? V::kBytes : V::kBytes / 8 * c.bits;
  const typename V::Spread spread = V::spread_of(a.first_output * c.bits % 8, c.bits);
  flow.spread = &spread;
  for (size_t book = 0; book < s.books; ++book) {
    f.entries = at + p.entries + book * kTable / N::kBytes * f.dwords * 4 * N::kXBytes;
    f.starts = reinterpret_cast<const int32_t*>(at + p.starts) + book * kTable;
    for (size_t b = 0, blocks; b < s.blocks; b += blocks) {
      blocks = least(p.group, s.blocks - b);
      const Arranged rows =
          arrange(a, b, blocks, at + p.copy, reinterpret_cast<uint32_t*>(at + p.place));
      flow.codes = c.codes + book * c.book_bytes + b * c.row_bytes + a.first_output * c.bits / 8;
      flow.first = to.lookups == 0;
      to.lookups += blocks;
      to.last = book + 1 == s.books && b + blocks == s.blocks;
      const bool full = to.last || to.lookups + p.group > kFlush;
      for (size_t r = 0; r < a.rows; ++r) {
        f.x = rows.rows + r * rows.stride;
        flow.acc = at + p.acc + r * p.acc_row;
        add_blocks<V, kCodes, kKeep>(a, f, flow, blocks, at + p.tail);
        to.acc = flow.acc;
        to.sums = reinterpret_cast<int32_t*>(at + p.sums) + r * p.sums_row;
        if (full) settle_row<V, kCodes, kKeep>(a, r, to);
      }
      if (full) to.lookups = 0, to.first = false;
    }
  }
}

template <class V, Codes kCodes>
void bytes_call(const Args& a) {
  using N = std::conditional_t<kCodes == Codes::nibbles, typename V::Narrow, V>;
  const BytesPlan p = bytes_plan<V>(shape_of(a));
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  entries_to_lanes<N>(a, Kind<kCodes>::kTable / N::kBytes, packed_byte<N>, at + p.entries,
                      reinterpret_cast<int32_t*>(at + p.starts),
                      kCodes == Codes::nibbles ? own_entry : V::entry_at);
  for (size_t first = 0; first < a.rows; first += kBytesRows) {
    Args tile = rows_from(a, first);
    tile.rows = least(tile.rows, kBytesRows);
    (a.keep == 8 ? bytes_rows<V, kCodes, 8> : bytes_rows<V, kCodes, 7>)(tile, p);
  }
}

// Nanoseconds of 64 entries of a table (or 16) made, of each of their dwords; of a byte arranged;
// of 64 lookups by the kind of codes; of an output finished.
struct BytesCost {
  float table, dword, byte, nibbles, packed, sevens, bytes, finish;
};

template <class V>
struct Shuffled {
  static constexpr size_t kUnit = 2 * V::kBytes;

  static bool can(const Shape& s) { return in_contract(s) && s.keep != 12 && s.bits != 0; }
  static size_t scratch(const Shape& s) { return can(s) ? bytes_plan<V>(s).total : 0; }
  static float cost_ns(const Shape& s, const BytesCost& c) {
    if (!can(s)) return -1.0f;
    const float rows = static_cast<float>(s.rows), lookups = static_cast<float>(s.blocks * s.books);
    const float dwords = static_cast<float>(up_to(s.dim, 4) / 4);
    const float tables = s.bits <= 6 ? 1.0f : static_cast<float>(1u << (s.bits - 6));
    const float arranged = s.dim % 4 == 0 ? 0.0f : 4.0f * dwords * c.byte;
    const float lines = static_cast<float>(up_to(s.outputs, V::kBytes) / V::kBytes);
    const float lookup = s.bits == 8   ? c.bytes
                         : s.bits == 7 ? c.sevens
                         : s.bits == 4 ? c.nibbles
                                       : c.packed;
    return rows * (lookups * (tables * (c.table + dwords * c.dword) + arranged + lines * lookup) +
                   static_cast<float>(s.outputs) * c.finish);
  }
  static void run(const Args& a) {
    if (a.rows == 0 || a.outputs == 0) return;
    if (a.source.bits == 8)
      bytes_call<V, Codes::bytes>(a);
    else if (a.source.bits == 7)
      bytes_call<V, Codes::sevens>(a);
    else if (a.source.bits == 4 && a.first_output % 2 == 0)
      bytes_call<V, Codes::nibbles>(a);
    else
      bytes_call<V, Codes::packed>(a);
  }
};

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_BYTES_H_
