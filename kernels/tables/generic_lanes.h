// The way `lanes`: rows in the lanes of a vector, a *line* of them per entry of a table.
//
//   for a group of blocks:
//     codes become byte offsets, rows go to lanes
//     line[lookup][c] = T(b, c) for all rows            C * dim products per row and block
//     acc[n] += line[lookup][code(b, n)]                one load and one to three additions
//
// A line may have `kParts` vectors, which share the offsets: a lookup is two loads, and CPUs of two
// or three a cycle wait for these alone.
//
// Bytes (keep 7 and 8): lines are unsigned, T + 2^(keep - 1); kBytes rows, sums in 16 bits, exact
// for 256 lookups of 8 bits and 512 of 7, then widened. Two lines of 7 bits are added as bytes
// first, since 127 + 127 < 256. Words (keep 12): kBytes / 2 rows, exact for 16 lookups: |T| <=
// 2^11.
//
// An ISA file gives V: see x86_vector.inc and neon_vector.inc. Where the lanes of rows lie is V's:
// int32 vector z of a tile of rows, lane i, is lane_row(z, i) below when tables are made, and lane
// V::int_of(row) when sums are finished; a row's byte of a line is V::byte_of(row).
#ifndef QRT_KERNELS_TABLES_GENERIC_LANES_H_
#define QRT_KERNELS_TABLES_GENERIC_LANES_H_

#include "kernels/tables/generic_build.h"
#include "kernels/tables/generic_finish.h"
#include "kernels/tables/generic_look_up.h"
#include "kernels/tables/generic_narrow.h"

namespace qrt::kernels::tables {
namespace {

template <class V, size_t kVectorsOfLine>
struct Lines {
  using Simd = V;
  static constexpr size_t kParts = kVectorsOfLine;
};

// kRows are those of a part.
template <class L, int kKeep>
struct Bytes : L {
  using V = typename L::Simd;
  using Acc = typename V::Acc8;
  static constexpr size_t kRows = V::kBytes, kVectors = 4, kAccBytes = 2 * V::kBytes;
  static constexpr size_t kFlush = kKeep == 8 ? 256 : 512;
  static constexpr int32_t kBias = 1 << (kKeep - 1);
  static constexpr bool kPairs = kKeep == 7, kAverages = V::kAverages;
  static constexpr bool kNarrow = kKeep == 8 && V::kNarrow, kFloatSums = V::kFloatSums;

  static typename V::Vec line(const typename V::Vec* v) {
    return V::template bytes_of<16 - kKeep>(v[0], v[1], v[2], v[3]);
  }
  static Acc none() { return V::none8(); }
  static Acc load(const uint8_t* p) { return V::load8(p); }
  static void store(uint8_t* p, Acc s) { V::store8(p, s); }
  static Acc add(Acc s, typename V::Vec line) { return V::acc8(s, line); }
  static void ints(const uint8_t* acc, size_t lookups, typename V::Vec* v) {
    V::ints_of_acc8(V::load8(acc), static_cast<int32_t>(lookups) * kBias, v);
  }
};

template <class L>
struct Words : L {
  using V = typename L::Simd;
  using Acc = typename V::Vec;
  static constexpr size_t kRows = V::kBytes / 2, kVectors = 2, kAccBytes = V::kBytes;
  static constexpr size_t kFlush = 16;
  static constexpr bool kPairs = false, kAverages = false;
  static constexpr bool kNarrow = false, kFloatSums = false;

  static typename V::Vec line(const typename V::Vec* v) {
    return V::template words_of<4>(v[0], v[1]);
  }
  static Acc none() { return V::zero(); }
  static Acc load(const uint8_t* p) { return V::load(p); }
  static void store(uint8_t* p, Acc s) { V::store(p, s); }
  static Acc add(Acc s, typename V::Vec line) { return V::add16(s, line); }
  static void ints(const uint8_t* acc, size_t, typename V::Vec* v) {
    V::ints_of_words(V::load(acc), v);
  }
};

// Blocks of a group and where things lie in scratch.
struct LanesPlan {
  size_t group;  // blocks
  size_t weights, starts, narrow, x, pairs, tables, offsets, acc, sums, copy, place, total;
};

template <class T>
LanesPlan lanes_plan(const Shape& s) {
  using V = typename T::Simd;
  const size_t dwords = up_to(s.dim, 4) / 4, count = size_t{1} << s.bits;
  // Measured: 32 tables of 16 entries, 16 of more, see kernels/README.md. Two blocks at least where
  // they go in pairs.
  size_t group = (s.bits <= 4 && T::kFlush > 16 && T::kParts == 1 ? 32 : 16) / s.books;
  group = least(group, s.blocks);
  const size_t lookups = group * s.books, outputs = up_to(s.outputs, kChunk);
  Carve carve;
  LanesPlan p{};
  p.group = group;
  p.weights = carve.take(V::kWBytes == 4 ? 0 : s.books * count * dwords * V::kWBytes);
  p.starts = carve.take(s.books * count * sizeof(int32_t));
  p.narrow = carve.take(T::kNarrow ? s.books * narrow_book_bytes(s.dim, count) : 0);
  p.x = carve.take(up_to(group * dwords, 4) * T::kVectors * V::kXBytes);
  p.pairs = carve.take(T::kNarrow ? up_to(group * dwords, 4) * 4 * V::kBytes : 0);
  p.tables = carve.take(lookups * count * T::kParts * V::kBytes);
  p.offsets = carve.take(outputs * lookups * sizeof(uint16_t));
  p.acc = carve.take((T::kFlush == 16 ? kChunk : outputs) * T::kParts * T::kAccBytes);
  p.sums = carve.take(
      s.blocks * s.books <= T::kFlush ? 0 : outputs * T::kParts * T::kVectors * V::kBytes);
  p.copy = carve.take(T::kParts * T::kRows * arranged_stride(group, s.dim));
  p.place = carve.take(group * dwords * 4 * sizeof(uint32_t));
  p.total = carve.end;
  return p;
}

// ---- a tile of rows --------------------------------------------------------------

// Entries as V::load_w() reads them, and what their inner products start from.
template <class V>
void prepare_entries(const Args& a, uint8_t* weights, int32_t* starts) {
  const size_t count = size_t{1} << a.source.bits, stride = a.source.entry_stride;
  for (size_t book = 0; book < a.source.books; ++book) {
    const int8_t* entries = entries_of(a, book);
    for (size_t c = 0; c < count; ++c, entries += stride) {
      *starts++ = start_of(a, entries, V::kOffset);
      if (V::kWBytes == 4) continue;
      for (size_t t = 0; t < a.source.dim; t += 4, weights += V::kWBytes)
        V::put_w(weights, entries + t);
    }
  }
}

// Which layouts of rows the lines of a call are made of.
struct Layouts {
  bool lanes, pairs;
};

template <class T>
Layouts sort_all(const Args& a, uint8_t* narrow) {
  if constexpr (T::kNarrow) {
    Layouts needed{false, false};
    for (size_t book = 0; book < a.source.books; ++book) {
      const Narrow n = sort_entries<typename T::Simd>(a, book, narrow);
      needed.lanes |= n.narrow == 0 || n.wide != 0, needed.pairs |= n.narrow != 0;
      narrow += narrow_book_bytes(a.source.dim, size_t{1} << a.source.bits);
    }
    return needed;
  }
  return {true, false};
}

// One book of a part of a group: b.lines and b.x are its first block's, the next one's are `step`
// and `x_step` on.
template <class T>
void build_wide(Build b, size_t blocks, size_t x_step, size_t step) {
  for (size_t i = 0; i < blocks; ++i, b.x += x_step, b.lines += step) build_table<T>(b);
}

template <class T>
void build_book(const Args& a, const LanesPlan& p, size_t book, size_t blocks, Build b) {
  using V = typename T::Simd;
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  const int8::Coded& s = a.source;
  const size_t dwords = b.dwords, count = b.count;
  const size_t x_step = dwords * T::kVectors * V::kXBytes, step = s.books * count * b.line_bytes;
  constexpr bool kDirect = V::kWBytes == 4;
  b.x = at + p.x;
  b.weight_stride = kDirect ? s.entry_stride : dwords * V::kWBytes;
  b.weights = kDirect ? reinterpret_cast<const uint8_t*>(entries_of(a, book))
                      : at + p.weights + book * count * b.weight_stride;
  b.starts = reinterpret_cast<const int32_t*>(at + p.starts) + book * count;
  if constexpr (T::kNarrow) {
    const Narrow n =
        narrow_of(at + p.narrow + book * narrow_book_bytes(s.dim, count), s.dim, count);
    if (n.narrow == 0) return build_wide<T>(b, blocks, x_step, step);
    BuildNarrow some{at + p.pairs, dwords * 4 * V::kBytes,
                     blocks,       n.records,
                     n.narrow,     narrow_pairs(s.dim),
                     a.shift,      b.lines,
                     b.line_bytes, step};
    build_narrow_table<V>(some, a.x_zero != 0);
    some.records = n.halves, some.count = n.split;
    if (n.split != 0) build_split<V>(some);
    b.count = 1;
    for (uint32_t i = 0; i < n.wide; ++i) {
      Build one = b;
      one.weights += n.others[i] * b.weight_stride, one.starts += n.others[i];
      one.lines += n.others[i] * b.line_bytes;
      build_wide<T>(one, blocks, x_step, step);
    }
  } else {
    build_wide<T>(b, blocks, x_step, step);
  }
}

template <class T>
void build_group(const Args& a, const LanesPlan& p, size_t first, size_t blocks, Layouts needed) {
  using V = typename T::Simd;
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  const int8::Coded& s = a.source;
  const size_t dwords = up_to(s.dim, 4) / 4, count = size_t{1} << s.bits;
  const Arranged rows =
      arrange(a, first, blocks, at + p.copy, reinterpret_cast<uint32_t*>(at + p.place));
  Build b{};
  b.dwords = dwords, b.count = count, b.pre_shift = pre_shift(shape_of(a));
  b.line_bytes = T::kParts * V::kBytes;
  for (size_t part = 0; part < T::kParts; ++part) {
    const size_t first_row = part * T::kRows, left = a.rows - first_row;
    const Arranged of_part = {rows.rows + first_row * rows.stride, rows.stride};
    if (needed.lanes) rows_to_lanes<T>(of_part, left, blocks * dwords, at + p.x);
    if constexpr (T::kNarrow)
      if (needed.pairs) rows_to_pairs<T>(of_part, left, blocks * dwords, at + p.pairs);
    b.lines = at + p.tables + part * V::kBytes;
    for (size_t book = 0; book < s.books; ++book, b.lines += count * b.line_bytes)
      build_book<T>(a, p, book, blocks, b);
  }
}

template <class T>
void unpack_group(const Args& a, const Unpack& u, const LanesPlan& p, size_t first, size_t blocks) {
  uint16_t* to = reinterpret_cast<uint16_t*>(static_cast<uint8_t*>(a.scratch) + p.offsets);
  const size_t step = blocks * a.source.books * kChunk;
  for (size_t i = 0; i < blocks; ++i)
    for (size_t book = 0; book < a.source.books; ++book, to += kChunk)
      unpack<typename T::Simd>(a.source, u, book, first + i, a.first_output, a.outputs, to, step);
}

// The last step of a tile: chunk after chunk is finished, and stored where kStored are together.
template <class T>
class Finisher {
 public:
  using V = typename T::Simd;
  explicit Finisher(const Args& a) : tame_(a.y8 && is_tame(a)) {
    for (size_t part = 0; part < T::kParts; ++part) {
      part_[part] = rows_from(a, part * T::kRows);
      part_[part].rows = least(part_[part].rows, T::kRows);
    }
  }

  void finish_chunk(size_t part, size_t n, const Sums& from) {
    const Args& a = part_[part];
    const size_t i = n / kChunk % kStored, end = least(n + kChunk, a.outputs);
    finish<T>(a, tame_, n, from, lines_[part][i]);
    if (a.y8 && (i + 1 == kStored || end == a.outputs))
      copy_rows<V>(a.y8 + n - i * kChunk, a.y_stride, a.rows, end - (n - i * kChunk),
                   lines_[part][0]);
  }

 private:
  Args part_[T::kParts];
  bool tame_;
  alignas(64) uint8_t lines_[T::kParts][kStored][kChunk * V::kBytes];
};

// More than (kParts - 1) * kRows rows, at most kParts * kRows; all outputs of the call.
template <class T>
void lanes_tile(const Args& a) {
  using V = typename T::Simd;
  const Shape s = shape_of(a);
  const LanesPlan p = lanes_plan<T>(s);
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  const Layouts needed = sort_all<T>(a, at + p.narrow);
  if (needed.lanes)
    prepare_entries<V>(a, at + p.weights, reinterpret_cast<int32_t*>(at + p.starts));
  constexpr size_t kLine = T::kParts * V::kBytes;
  constexpr int kUp = kLine == 64 ? 6 : kLine == 32 ? 5 : 4;
  const Unpack codes = unpack_of(a.source, a.first_output, kUp);
  const bool flushes = s.blocks * s.books > T::kFlush;
  Finisher<T> finisher(a);
  size_t held = 0;  // lookups in acc
  bool flushed = false;
  for (size_t b = 0, blocks; b < s.blocks; b += blocks) {
    blocks = least(p.group, s.blocks - b);
    build_group<T>(a, p, b, blocks, needed);
    unpack_group<T>(a, codes, p, b, blocks);
    Lookup k{at + p.tables, kLine << s.bits, blocks * s.books, nullptr, nullptr, held == 0};
    held += k.lookups;
    const bool last = b + blocks == s.blocks;
    const bool full = flushes && (last || held + p.group * s.books > T::kFlush);
    for (size_t n = 0; n < s.outputs; n += kChunk) {
      k.offsets = reinterpret_cast<const uint16_t*>(at + p.offsets) + n * k.lookups;
      k.acc = at + p.acc + (T::kFlush == 16 ? 0 : n * T::kParts * T::kAccBytes);
      look_up_chunk<T>(k);
      for (size_t part = 0; part < T::kParts; ++part) {
        const uint8_t* const acc = k.acc + part * kChunk * T::kAccBytes;
        uint8_t* const sums =
            at + p.sums + (n * T::kParts + part * kChunk) * T::kVectors * V::kBytes;
        if (full) flush<T>(acc, held, !flushed, sums);
        if (last) finisher.finish_chunk(part, n, {flushes ? nullptr : acc, held, sums});
      }
    }
    if (full) held = 0, flushed = true;
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_LANES_H_
