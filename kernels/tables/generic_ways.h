// Ways made of the loops: which widths of vectors take how many rows, and what that costs.
#ifndef QRT_KERNELS_TABLES_GENERIC_WAYS_H_
#define QRT_KERNELS_TABLES_GENERIC_WAYS_H_

#include "kernels/tables/generic_lanes.h"
#include "kernels/tables/generic_outputs.h"

namespace qrt::kernels::tables {
namespace {

// Nanoseconds of one table made, of each of its dwords; of one vector of codes unpacked, of one
// looked up for a row; of one output of one row finished.
struct OutputsCost {
  float table, dword, codes, lookup, finish;
};

// V: the widest vector.
template <class V>
struct Outputs {
  // A byte of codes is two outputs; whole lines of a thread's own.
  static constexpr size_t kUnit = V::kBytes;

  static float cost_ns(const Shape& s, const OutputsCost& c) {
    if (!can(s)) return -1.0f;
    const float rows = static_cast<float>(s.rows), lookups = static_cast<float>(s.blocks * s.books);
    const float tiles = static_cast<float>((s.rows + V::kRowsSwept - 1) / V::kRowsSwept);
    const float lines = static_cast<float>(up_to(s.outputs, V::kBytes) / V::kBytes);
    const float dwords = static_cast<float>(up_to(s.dim, 4) / 4);
    return lookups * rows * (c.table + dwords * c.dword) +
           lookups * lines * (tiles * c.codes + rows * c.lookup) +
           rows * static_cast<float>(s.outputs) * c.finish;
  }
  static bool can(const Shape& s) { return in_contract(s) && s.bits == 4 && s.keep != 12; }
  static size_t scratch(const Shape& s) { return can(s) ? outputs_plan<V>(s).total : 0; }
  static void run(const Args& a) {
    if (a.rows == 0 || a.outputs == 0) return;
    if (a.keep == 8)
      outputs_call<V, 8>(a);
    else
      outputs_call<V, 7>(a);
  }
};

// Rows that a tile of lines of T takes of `rows`; 0: narrower lines will do. They cost more than
// their share, so that a half and a quarter of a line are slower than the line.
template <class T, class... Narrow>
constexpr size_t taken(size_t rows) {
  constexpr size_t kTile = T::kParts * T::kRows;
  return sizeof...(Narrow) > 0 && rows <= kTile / 2 ? 0 : least(rows, kTile);
}

template <class T, class... Narrow>
void lanes_rows(Args a) {
  for (size_t rows; a.rows != 0 && (rows = taken<T, Narrow...>(a.rows)) != 0;
       a = rows_from(a, rows)) {
    Args tile = a;
    tile.rows = rows;
    lanes_tile<T>(tile);
  }
  if constexpr (sizeof...(Narrow) > 0) lanes_rows<Narrow...>(a);
}

// Nanoseconds of one tile of rows, whatever its width: lines of a table made, by dwords of x;
// lookups of one line, tables in L1 (16 entries), in part (64) and in L2 (256); one code
// unpacked; one output of one row finished. An ISA file says where they were measured.
struct LanesCost {
  float line, dword, lookup16, lookup64, lookup256, code, finish;
  float narrow = 1.0f;  // of line and dword: what is left where sums are taken in 16 bits
};

template <class T>
float tile_cost_ns(const Shape& s, size_t rows, const LanesCost& c) {
  const float lookups = static_cast<float>(s.blocks * s.books);
  const float outputs = static_cast<float>(up_to(s.outputs, kChunk));
  const float lines = static_cast<float>(size_t{1} << s.bits);
  const float dwords = static_cast<float>(up_to(s.dim, 4) / 4);
  const float lookup = s.bits <= 4 ? c.lookup16 : s.bits <= 6 ? c.lookup64 : c.lookup256;
  // Words are half as many to a line, and make half as many vectors.
  const float vectors = static_cast<float>(T::kVectors) / 4.0f;
  const float line = (c.line + dwords * c.dword) * (T::kNarrow ? c.narrow : 1.0f);
  return lookups * (lines * vectors * line + outputs * (lookup + c.code)) +
         outputs * static_cast<float>(rows) * c.finish;
}

template <class T, class... Narrow>
float lanes_cost_ns(const Shape& s, size_t rows, const LanesCost* c) {
  float ns = 0;
  for (size_t take; rows != 0 && (take = taken<T, Narrow...>(rows)) != 0; rows -= take)
    ns += tile_cost_ns<T>(s, take, *c);
  if constexpr (sizeof...(Narrow) > 0) ns += lanes_cost_ns<Narrow...>(s, rows, c + 1);
  return ns;
}

// L: the lines, the longest first. Rows left over that fill no more than 16 lanes, or 17 where
// tables are cheap, go to the way `outputs` where it can, which pads no rows.
template <class Wide, class... L>
struct Lanes {
  using Few = Outputs<typename Wide::Simd>;

  static size_t few(const Shape& s) {
    const size_t left = s.rows % Bytes<Wide, 8>::kRows;
    return Few::can(s) && left <= (Wide::Simd::kNarrow ? 17 : 16) ? left : 0;
  }
  static float cost_ns(const Shape& s, const LanesCost* c, const OutputsCost& few_cost) {
    if (!in_contract(s)) return -1.0f;
    Shape rest = s;
    rest.rows = few(s);
    const float ns = rest.rows == 0 ? 0.0f : Few::cost_ns(rest, few_cost);
    const size_t rows = s.rows - rest.rows;
    return ns + (s.keep == 12 ? lanes_cost_ns<Words<Wide>, Words<L>...>(s, rows, c)
                              : lanes_cost_ns<Bytes<Wide, 8>, Bytes<L, 8>...>(s, rows, c));
  }
  static void run(const Args& a) {
    if (a.rows == 0 || a.outputs == 0) return;
    Args most = a;
    const size_t left = few(shape_of(a));
    most.rows = a.rows - left;
    if (a.keep == 8)
      lanes_rows<Bytes<Wide, 8>, Bytes<L, 8>...>(most);
    else if (a.keep == 7)
      lanes_rows<Bytes<Wide, 7>, Bytes<L, 7>...>(most);
    else
      lanes_rows<Words<Wide>, Words<L>...>(most);
    Few::run(rows_from(a, most.rows));
  }
  static size_t scratch(const Shape& s) {
    if (!in_contract(s)) return 0;
    const size_t bytes[] = {
        Few::scratch(s),
        (s.keep == 12 ? lanes_plan<Words<Wide>>(s) : lanes_plan<Bytes<Wide, 8>>(s)).total,
        (s.keep == 12 ? lanes_plan<Words<L>>(s) : lanes_plan<Bytes<L, 8>>(s)).total...};
    size_t most = 0;
    for (const size_t b : bytes) most = b > most ? b : most;
    return most;
  }
};

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_WAYS_H_
