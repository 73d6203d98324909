// The way `outputs`: outputs in lanes, tables of 16 bytes in registers, codes of 4 bits, any rows.
//
//   for up to V::kUnroll rows: for a group of blocks of one book:
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

namespace qrt::kernels::tables {
namespace {

inline constexpr size_t kNibbles = 16;  // entries

struct OutputsPlan {
  size_t group;  // blocks
  size_t entries, starts, tables, acc, sums, codes, copy, place, total;
};

template <class V>
OutputsPlan outputs_plan(const Shape& s) {
  const size_t dwords = up_to(s.dim, 4) / 4, rows = least(s.rows, V::kUnroll);
  const size_t outputs = up_to(s.outputs, V::kBytes);
  OutputsPlan p{};
  p.group = least(s.blocks, rows == 1 ? 32 : 128);
  Carve carve;
  p.entries = carve.take(s.books * dwords * 4 * V::Narrow::kXBytes);
  p.starts = carve.take(s.books * kNibbles * sizeof(int32_t));
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

// Entries to lanes, so that a packed line of them has entry e in byte e.
template <class N>
void entries_to_lanes(const Args& a, uint8_t* to, int32_t* starts) {
  const size_t dwords = up_to(a.source.dim, 4) / 4, stride = a.source.entry_stride;
  for (size_t book = 0; book < a.source.books; ++book) {
    const int8_t* const entries = entries_of(a, book);
    for (size_t z = 0; z < 4; ++z) {
      uint32_t at[4];
      for (size_t i = 0; i < 4; ++i) {
        const size_t e = N::byte_of(lane_row<N>(z, i));
        at[i] = static_cast<uint32_t>(e * stride);
        starts[z * 4 + i] = start_of(a, entries + e * stride, N::kOffset);
      }
      for (size_t d = 0; d < dwords; d += 4) {
        const typename N::Four f =
            N::transpose4(reinterpret_cast<const uint8_t*>(entries) + 4 * d, at);
        for (size_t i = 0; i < least(4, dwords - d); ++i)
          N::put_e(to + ((d + i) * 4 + z) * N::kXBytes, f.v[i]);
      }
    }
    to += dwords * 4 * N::kXBytes, starts += kNibbles;
  }
}

struct Fill {
  const uint8_t* x;  // arranged blocks of one row
  const uint8_t* entries;
  const int32_t* starts;
  size_t dwords, blocks;
  int pre_shift;
  uint8_t* tables;
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

template <class N, int kKeep>
void fill_tables(const Fill& f) {
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
  const uint8_t* tables;  // [row][table_stride], 16 bytes per block
  size_t table_stride, blocks;
  uint8_t* acc;  // [row][2 * kBytes]
  bool first;
};

// kBytes outputs of R rows.
template <class V, int kKeep, int R>
__attribute__((noinline)) void sweep(const Sweep& k) {
  typename V::Acc8 s[R];
#define QRT_EACH _Pragma("GCC unroll 8") for (int r = 0; r < R; ++r)
  if (k.first) {
    QRT_EACH s[r] = V::none8();
  } else {
    QRT_EACH s[r] = V::load8(k.acc + r * 2 * V::kBytes);
  }
  const uint8_t* codes = k.codes;
  const uint8_t* t = k.tables;
  const uint8_t* const end = t + k.blocks * kNibbles;
  const size_t table_stride = k.table_stride;
  if (kKeep == 7) {
    for (; t + kNibbles < end; t += 2 * kNibbles, codes += 2 * k.stride) {
      const typename V::Vec n0 = V::nibbles(codes), n1 = V::nibbles(codes + k.stride);
      QRT_EACH {
        const uint8_t* const row = t + r * table_stride;
        s[r] = V::acc8(s[r], V::add8(V::pick(row, n0), V::pick(row + kNibbles, n1)));
      }
    }
  }
  for (; t < end; t += kNibbles, codes += k.stride) {
    const typename V::Vec n = V::nibbles(codes);
    QRT_EACH s[r] = V::acc8(s[r], V::pick(t + r * table_stride, n));
  }
  QRT_EACH V::store8(k.acc + r * 2 * V::kBytes, s[r]);
#undef QRT_EACH
}

template <class V, int kKeep, int... R>
inline void sweep_rows(size_t rows, const Sweep& k, std::integer_sequence<int, R...>) {
  using Fn = void(const Sweep&);
  static constexpr Fn* kByRows[] = {&sweep<V, kKeep, R + 1>...};
  kByRows[rows - 1](k);
}

// Where the codes of kBytes outputs from n on of `blocks` blocks can be read: in the file, or in a
// copy if they start inside a byte or end behind the file's.
template <class V>
void find_codes(const Args& a, size_t book, size_t first, size_t blocks, size_t n, uint8_t* copy,
                Sweep* k) {
  constexpr size_t kHalf = V::kBytes / 2;
  const int8::Coded& s = a.source;
  const size_t at = a.first_output + n;
  k->codes = s.codes + book * s.book_bytes + first * s.row_bytes + at / 2;
  k->stride = s.row_bytes;
  const uint8_t* const last = k->codes + (blocks - 1) * s.row_bytes;
  const bool inside = static_cast<size_t>(s.codes_end - last) >= kHalf;
  if (at % 2 == 0 && inside) return;
  for (size_t b = 0; b < blocks; ++b) {
    const uint8_t* const row = k->codes + b * s.row_bytes;
    uint8_t bytes[kHalf + 1] = {};
    std::memcpy(bytes, row, least(kHalf + 1, static_cast<size_t>(s.codes_end - row)));
    for (size_t i = 0; i < kHalf; ++i)
      copy[b * kHalf + i] =
          at % 2 == 0 ? bytes[i] : static_cast<uint8_t>(bytes[i] >> 4 | bytes[i + 1] << 4);
  }
  k->codes = copy, k->stride = kHalf;
}

// ---- outputs --------------------------------------------------------------------

// The output, from the first of its line, that byte p of a line belongs to.
template <class V>
constexpr size_t output_of(size_t p) {
  return p < V::kBytes / 2 ? 2 * p : 2 * (p - V::kBytes / 2) + 1;
}

// scale, bias and residual in the order of a line's int32 vectors.
template <class V>
struct InOrder {
  alignas(64) float scale[V::kBytes], bias[V::kBytes];
  InOrder(const int8::Finish& f, size_t n, size_t live) {
    for (size_t p = 0; p < V::kBytes; ++p) {
      const size_t to = V::int_of_byte(p), from = output_of<V>(p);
      scale[to] = f.scale && from < live ? f.scale[n + from] : 0.0f;
      bias[to] = f.bias && from < live ? f.bias[n + from] : 0.0f;
    }
  }
};

// The bytes of `live` outputs as a line: even ones, then odd ones; and back.
template <class V>
inline void line_of_bytes(const uint8_t* from, size_t live, uint8_t* line) {
  using N = typename V::Narrow;
  alignas(64) uint8_t all[V::kBytes + 16] = {};
  std::memcpy(all, from, live);
  alignas(64) uint8_t even[V::kBytes / 2 + 16], odd[V::kBytes / 2 + 16];
  for (size_t i = 0; i < V::kBytes; i += 32)
    N::unzip8(N::load(all + i), N::load(all + (i + 16) % V::kBytes), even + i / 2, odd + i / 2);
  std::memcpy(line, even, V::kBytes / 2), std::memcpy(line + V::kBytes / 2, odd, V::kBytes / 2);
}
template <class V>
inline void bytes_of_line(const uint8_t* line, size_t live, uint8_t* to) {
  using N = typename V::Narrow;
  alignas(64) uint8_t halves[2 * V::kBytes], all[V::kBytes + 16];
  std::memcpy(halves, line, V::kBytes / 2);
  std::memcpy(halves + V::kBytes, line + V::kBytes / 2, V::kBytes / 2);
  for (size_t i = 0; i < V::kBytes / 2; i += 16) {
    const typename N::Vec even = N::load(halves + i), odd = N::load(halves + V::kBytes + i);
    N::store(all + 2 * i, N::zip_lo8(even, odd));
    if (V::kBytes > 16) N::store(all + 2 * i + 16, N::zip_hi8(even, odd));
  }
  if (live == V::kBytes)
    std::memcpy(to, all, V::kBytes);
  else
    std::memcpy(to, all, live);
}

// One row of a line's outputs, n being the first.
template <class V>
inline void finish_line(const Args& a, size_t row, size_t n, size_t live, const InOrder<V>& order,
                        const typename V::Vec* v) {
  typename V::F t[4];
  const int8::Finish& f = a.finish;
#define QRT_EACH _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z)
  QRT_EACH {
    t[z] = V::to_float(v[z]);
    if (f.scale) t[z] = V::mul_f(t[z], V::load_f(order.scale + z * V::kLanes));
    if (f.bias) t[z] = V::add_f(t[z], V::load_f(order.bias + z * V::kLanes));
  }
  if (f.residual) {
    alignas(64) uint8_t line[V::kBytes];
    line_of_bytes<V>(f.residual + row * f.residual_stride + n, live, line);
    add_residual<V, 4>(f, line, t);
  }
  QRT_EACH t[z] = V::min_f(V::max_f(t[z], V::set_f(f.min)), V::set_f(f.max));
  if (a.y8) {
    alignas(64) uint8_t line[V::kBytes];
    typename V::Vec q[4];
    QRT_EACH q[z] = V::add32(V::nearest(t[z]), V::set32(f.zero));
    V::store(line, V::line_of_ints(q, 4));
    bytes_of_line<V>(line, live, a.y8 + row * a.y_stride + n);
    return;
  }
  float floats[V::kBytes];
  QRT_EACH V::store_f(floats + z * V::kLanes, t[z]);
#undef QRT_EACH
  float* const y = a.y32 + row * a.y_stride + n;
  for (size_t p = 0; p < V::kBytes; ++p)
    if (output_of<V>(p) < live) y[output_of<V>(p)] = floats[V::int_of_byte(p)];
}

// Sums in 16 bits of `lookups` lookups are added to those in 32 bits, or finished.
template <class V, int kKeep>
__attribute__((noinline)) void settle(const Args& a, size_t n, const uint8_t* acc, size_t lookups,
                                      int32_t* sums, bool first, bool last) {
  const size_t live = least(V::kBytes, a.outputs - n);
  const InOrder<V> order(a.finish, n, last ? live : 0);
  for (size_t r = 0; r < a.rows; ++r) {
    typename V::Vec v[4];
    V::ints_of_acc8(V::load8(acc + r * 2 * V::kBytes), static_cast<int32_t>(lookups) << (kKeep - 1),
                    v);
    uint8_t* const p = reinterpret_cast<uint8_t*>(sums + r * V::kBytes);
    for (size_t z = 0; z < 4; ++z) {
      if (!first) v[z] = V::add32(v[z], V::load(p + z * V::kBytes));
      if (!last) V::store(p + z * V::kBytes, v[z]);
    }
    if (last) finish_line<V>(a, r, n, live, order, v);
  }
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
  for (size_t r = 0; r < a.rows; ++r) {
    f.x = rows.rows + r * rows.stride;
    f.tables = at + p.tables + r * p.group * kNibbles;
    fill_tables<N, kKeep>(f);
  }
}

// At most V::kUnroll rows.
template <class V, int kKeep>
void outputs_rows(const Args& a) {
  constexpr size_t kFlush = kKeep == 8 ? 256 : 512;
  const Shape s = shape_of(a);
  const OutputsPlan p = outputs_plan<V>(s);
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  entries_to_lanes<typename V::Narrow>(a, at + p.entries,
                                       reinterpret_cast<int32_t*>(at + p.starts));
  size_t held = 0;  // lookups in acc
  bool settled = false;
  for (size_t book = 0; book < s.books; ++book) {
    for (size_t b = 0, blocks; b < s.blocks; b += blocks) {
      blocks = least(p.group, s.blocks - b);
      outputs_group<V, kKeep>(a, p, book, b, blocks);
      Sweep k{nullptr, 0, at + p.tables, p.group * kNibbles, blocks, nullptr, held == 0};
      held += blocks;
      const bool last = book + 1 == s.books && b + blocks == s.blocks;
      const bool full = last || held + p.group > kFlush;
      for (size_t n = 0; n < s.outputs; n += V::kBytes) {
        k.acc = at + p.acc + n * a.rows * 2;
        find_codes<V>(a, book, b, blocks, n, at + p.codes, &k);
        sweep_rows<V, kKeep>(a.rows, k, std::make_integer_sequence<int, V::kUnroll>{});
        int32_t* const sums = reinterpret_cast<int32_t*>(at + p.sums) + n * a.rows;
        if (full) settle<V, kKeep>(a, n, k.acc, held, sums, !settled, last);
      }
      if (full) held = 0, settled = true;
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_OUTPUTS_H_
