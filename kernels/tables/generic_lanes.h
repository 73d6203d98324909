// The way `lanes`: rows in the lanes of a vector, a *line* of them per entry of a table.
//
//   for a group of blocks:
//     codes become byte offsets, rows go to lanes
//     line[lookup][c] = T(b, c) for all rows            C * dim products per row and block
//     acc[n] += line[lookup][code(b, n)]                one load and one to three additions
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

#include "kernels/tables/codes.h"
#include "kernels/tables/generic_finish.h"
#include "kernels/tables/plan.h"

namespace qrt::kernels::tables {
namespace {

template <class V, int kKeep>
struct Bytes {
  using Simd = V;
  using Acc = typename V::Acc8;
  static constexpr size_t kRows = V::kBytes, kVectors = 4, kAccBytes = 2 * V::kBytes;
  static constexpr size_t kFlush = kKeep == 8 ? 256 : 512;
  static constexpr int32_t kBias = 1 << (kKeep - 1);
  static constexpr bool kPairs = kKeep == 7;

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

template <class V>
struct Words {
  using Simd = V;
  using Acc = typename V::Vec;
  static constexpr size_t kRows = V::kBytes / 2, kVectors = 2, kAccBytes = V::kBytes;
  static constexpr size_t kFlush = 16;
  static constexpr bool kPairs = false;

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
  size_t weights, starts, x, tables, offsets, acc, sums, copy, place, total;
};

template <class T>
LanesPlan lanes_plan(const Shape& s) {
  using V = typename T::Simd;
  const size_t dwords = up_to(s.dim, 4) / 4, count = size_t{1} << s.bits;
  // Measured: 32 tables of 16 entries, 16 of more, see kernels/README.md. Two blocks at least where
  // they go in pairs.
  size_t group = (s.bits <= 4 && T::kFlush > 16 ? 32 : 16) / s.books;
  group = least(group, s.blocks);
  const size_t lookups = group * s.books, outputs = up_to(s.outputs, kChunk);
  Carve carve;
  LanesPlan p{};
  p.group = group;
  p.weights = carve.take(V::kWBytes == 4 ? 0 : s.books * count * dwords * V::kWBytes);
  p.starts = carve.take(s.books * count * sizeof(int32_t));
  p.x = carve.take(up_to(group * dwords, 4) * T::kVectors * V::kXBytes);
  p.tables = carve.take(lookups * count * V::kBytes);
  p.offsets = carve.take(outputs * lookups * sizeof(uint16_t));
  p.acc = carve.take((T::kFlush == 16 ? kChunk : outputs) * T::kAccBytes);
  p.sums = carve.take(s.blocks * s.books <= T::kFlush ? 0 : outputs * T::kVectors * V::kBytes);
  p.copy = carve.take(T::kRows * arranged_stride(group, s.dim));
  p.place = carve.take(group * dwords * 4 * sizeof(uint32_t));
  p.total = carve.end;
  return p;
}

// The row whose dwords lane i of int32 vector z takes: packs take turns of four dwords, so that of
// eight rows the first four come from the even vector.
template <class V>
constexpr size_t lane_row(size_t z, size_t i) {
  return z / 2 * (V::kBytes / 2) + i / 4 * 8 + z % 2 * 4 + i % 4;
}

template <class T>
void rows_to_lanes(const Arranged& from, size_t rows, size_t dwords, uint8_t* to) {
  using V = typename T::Simd;
  constexpr size_t kStep = T::kVectors * V::kXBytes;
  for (size_t z = 0; z < T::kVectors; ++z) {
    uint32_t at[V::kLanes];
    for (size_t i = 0; i < V::kLanes; ++i) {
      const size_t row = lane_row<V>(z, i);
      at[i] = static_cast<uint32_t>(row < rows ? row * from.stride : 0);
    }
    for (size_t d = 0; d < dwords; d += 4) {
      const typename V::Four f = V::transpose4(from.rows + 4 * d, at);
      for (size_t i = 0; i < 4; ++i) V::put_x(to + (d + i) * kStep + z * V::kXBytes, f.v[i]);
    }
  }
}

// ---- tables ---------------------------------------------------------------------

struct Build {
  const uint8_t* x;  // dwords of one block, rows in lanes
  const uint8_t* weights;
  size_t weight_stride, dwords, count;
  const int32_t* starts;
  int pre_shift;
  uint8_t* lines;
};

enum class Pre { none, right, left };

template <class V, Pre kPre>
inline typename V::Vec shifted(typename V::Vec v, typename V::Count n) {
  if (kPre == Pre::right) return V::right32(v, n);
  if (kPre == Pre::left) return V::left32(v, n);
  return v;
}

// E entries at a time share the loads of x.
template <class T, Pre kPre, size_t E>
inline void build_entries(const Build& b, size_t c, typename T::Simd::Count pre) {
  using V = typename T::Simd;
  constexpr size_t Z = T::kVectors;
  typename V::Sum sum[E][Z];
#define QRT_EACH_ENTRY _Pragma("GCC unroll 4") for (size_t e = 0; e < E; ++e)
#define QRT_EACH_VECTOR _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z)
  QRT_EACH_ENTRY QRT_EACH_VECTOR sum[e][z] = V::start(b.starts[c + e]);
  const uint8_t* x = b.x;
  const uint8_t* w = b.weights + c * b.weight_stride;
  for (size_t d = 0; d < b.dwords; ++d, x += Z * V::kXBytes, w += V::kWBytes) {
    typename V::W weight[E];
    QRT_EACH_ENTRY weight[e] = V::load_w(w + e * b.weight_stride);
    QRT_EACH_VECTOR {
      const typename V::X v = V::load_x(x + z * V::kXBytes);
      QRT_EACH_ENTRY sum[e][z] = V::mac(sum[e][z], v, weight[e]);
    }
  }
  QRT_EACH_ENTRY {
    typename V::Vec v[Z];
    QRT_EACH_VECTOR v[z] = shifted<V, kPre>(V::total(sum[e][z]), pre);
    V::store(b.lines + (c + e) * V::kBytes, T::line(v));
  }
#undef QRT_EACH_ENTRY
#undef QRT_EACH_VECTOR
}

template <class T, Pre kPre>
__attribute__((noinline)) void build(const Build& b) {
  using V = typename T::Simd;
  const auto pre = V::count(b.pre_shift < 0 ? -b.pre_shift : b.pre_shift);
  size_t c = 0;
  for (; c + V::kEntries <= b.count; c += V::kEntries)
    build_entries<T, kPre, V::kEntries>(b, c, pre);
  for (; c < b.count; ++c) build_entries<T, kPre, 1>(b, c, pre);
}

template <class T>
void build_table(const Build& b) {
  if (b.pre_shift == 0)
    build<T, Pre::none>(b);
  else if (b.pre_shift > 0)
    build<T, Pre::right>(b);
  else
    build<T, Pre::left>(b);
}

// ---- lookups --------------------------------------------------------------------

struct Lookup {
  const uint8_t* tables;
  size_t table_bytes, lookups;
  const uint16_t* offsets;  // [lookup][kChunk]
  uint8_t* acc;
  bool first;  // acc holds nothing yet
};

// V::kUnroll outputs stay in registers over all lookups of the group.
template <class T>
__attribute__((noinline)) void look_up(const Lookup& k) {
  using V = typename T::Simd;
  constexpr size_t U = V::kUnroll;
#define QRT_EACH _Pragma("GCC unroll 16") for (size_t u = 0; u < U; ++u)
  for (size_t n = 0; n < kChunk; n += U) {
    typename T::Acc s[U];
    uint8_t* const acc = k.acc + n * T::kAccBytes;
    if (k.first) {
      QRT_EACH s[u] = T::none();
    } else {
      QRT_EACH s[u] = T::load(acc + u * T::kAccBytes);
    }
    const uint8_t* t = k.tables;
    const uint16_t* at = k.offsets + n;
    const uint16_t* const end = at + k.lookups * kChunk;
    if (T::kPairs) {
      for (; at + kChunk < end; at += 2 * kChunk, t += 2 * k.table_bytes) {
        const uint8_t* const t1 = t + k.table_bytes;
        QRT_EACH s[u] = T::add(s[u], V::add8(V::load(t + at[u]), V::load(t1 + at[kChunk + u])));
      }
    }
    for (; at < end; at += kChunk, t += k.table_bytes) {
      QRT_EACH s[u] = T::add(s[u], V::load(t + at[u]));
    }
    QRT_EACH T::store(acc + u * T::kAccBytes, s[u]);
  }
#undef QRT_EACH
}

// sums[n] (+)= acc[n], kChunk outputs.
template <class T>
void flush(const uint8_t* acc, size_t lookups, bool first, uint8_t* sums) {
  using V = typename T::Simd;
  for (size_t n = 0; n < kChunk; ++n) {
    typename V::Vec v[T::kVectors];
    T::ints(acc + n * T::kAccBytes, lookups, v);
    for (size_t z = 0; z < T::kVectors; ++z) {
      uint8_t* const p = sums + (n * T::kVectors + z) * V::kBytes;
      V::store(p, first ? v[z] : V::add32(v[z], V::load(p)));
    }
  }
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

template <class T>
void build_group(const Args& a, const LanesPlan& p, size_t first, size_t blocks) {
  using V = typename T::Simd;
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  const int8::Coded& s = a.source;
  const size_t dwords = up_to(s.dim, 4) / 4, count = size_t{1} << s.bits;
  const Arranged rows =
      arrange(a, first, blocks, at + p.copy, reinterpret_cast<uint32_t*>(at + p.place));
  rows_to_lanes<T>(rows, a.rows, blocks * dwords, at + p.x);
  Build b{};
  b.dwords = dwords, b.count = count, b.pre_shift = pre_shift(shape_of(a));
  b.lines = at + p.tables;
  for (size_t i = 0; i < blocks; ++i) {
    b.x = at + p.x + i * dwords * T::kVectors * V::kXBytes;
    for (size_t book = 0; book < s.books; ++book, b.lines += count * V::kBytes) {
      const bool direct = V::kWBytes == 4;
      b.weight_stride = direct ? s.entry_stride : dwords * V::kWBytes;
      b.weights = direct ? reinterpret_cast<const uint8_t*>(entries_of(a, book))
                         : at + p.weights + book * count * b.weight_stride;
      b.starts = reinterpret_cast<const int32_t*>(at + p.starts) + book * count;
      build_table<T>(b);
    }
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

// At most T::kRows rows, all outputs of the call.
template <class T>
void lanes_tile(const Args& a) {
  using V = typename T::Simd;
  const Shape s = shape_of(a);
  const LanesPlan p = lanes_plan<T>(s);
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  prepare_entries<V>(a, at + p.weights, reinterpret_cast<int32_t*>(at + p.starts));
  constexpr int kUp = V::kBytes == 64 ? 6 : V::kBytes == 32 ? 5 : 4;
  const Unpack codes = unpack_of(a.source, a.first_output, kUp);
  const bool flushes = s.blocks * s.books > T::kFlush;
  size_t held = 0;  // lookups in acc
  bool flushed = false;
  for (size_t b = 0, blocks; b < s.blocks; b += blocks) {
    blocks = least(p.group, s.blocks - b);
    build_group<T>(a, p, b, blocks);
    unpack_group<T>(a, codes, p, b, blocks);
    Lookup k{at + p.tables, V::kBytes << s.bits, blocks * s.books, nullptr, nullptr, held == 0};
    held += k.lookups;
    const bool last = b + blocks == s.blocks;
    const bool full = flushes && (last || held + p.group * s.books > T::kFlush);
    for (size_t n = 0; n < s.outputs; n += kChunk) {
      k.offsets = reinterpret_cast<const uint16_t*>(at + p.offsets) + n * k.lookups;
      k.acc = at + p.acc + (T::kFlush == 16 ? 0 : n * T::kAccBytes);
      look_up<T>(k);
      uint8_t* const sums = at + p.sums + n * T::kVectors * V::kBytes;
      if (full) flush<T>(k.acc, held, !flushed, sums);
      if (last) finish<T>(a, n, flushes ? nullptr : k.acc, held, sums);
    }
    if (full) held = 0, flushed = true;
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_LANES_H_
