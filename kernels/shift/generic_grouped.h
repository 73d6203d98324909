// Grouping: rows in the lanes, weights of an output sorted by what they are worth.
//
//   sum over k of x[k] * w[n][k] = sum over magnitudes v of v * (sum of x[k] with w = v
//                                                               - sum of x[k] with w = -v)
//
// The inner sums need one addition per weight and vector of rows, none for a zero; multiplying by
// v waits until the end, and is a shift and an addition per term of v. Where a table has too many
// magnitudes for that (7 or 8 bits), lists hold digits instead: v is then always 2^e, and a
// weight of two terms is in two lists. The choice is by counting additions (`Lists`).
//
// Overflow: lanes of 16 bits hold kPiece = 128 differences of bytes, 128 * 255 < 2^15; longer
// lists end early. x of 16 bits goes in lanes of 32 and needs no end.
//
// A line is 128 bytes: 64 rows of 16 bits, 32 of 32. A chunk of 256 lines stays in L1 while
// kOutputs outputs use it; its offsets fit 16 bits. Per weight and line: one load of an offset,
// 128 / kBytes additions from memory.
#ifndef QRT_KERNELS_SHIFT_GENERIC_GROUPED_H_
#define QRT_KERNELS_SHIFT_GENERIC_GROUPED_H_

#include "kernels/shift/generic.h"

namespace qrt::kernels::shift {
namespace {

constexpr size_t kLine = 128, kChunk = 256, kPiece = 128, kOutputs = 16;
constexpr size_t kMaxLists = 128;

// Which lists a code is in, and what a list is worth.
struct Lists {
  size_t count;
  uint8_t terms[kMaxCodes];            // of a code: the lists it is in
  uint8_t slot[kMaxCodes][kMaxTerms];  // 2 * list + negative
  uint8_t worth_terms[kMaxLists];
  uint8_t shift[kMaxLists][kMaxTerms];
  bool negative[kMaxLists][kMaxTerms];
};

// One list per exponent.
inline void lists_of_digits(const Plan& p, Lists* l) {
  l->count = p.most_shift + 1;
  for (size_t e = 0; e < l->count; ++e)
    l->worth_terms[e] = 1, l->shift[e][0] = static_cast<uint8_t>(e), l->negative[e][0] = false;
  for (size_t code = 0; code < size_t{1} << p.bits; ++code) {
    l->terms[code] = p.terms[code];
    for (size_t t = 0; t < p.terms[code]; ++t)
      l->slot[code][t] = static_cast<uint8_t>(2 * p.shift[code][t] + p.negative[code][t]);
  }
}

// One list per magnitude; false if there are too many.
inline bool lists_of_magnitudes(const Plan& p, Lists* l) {
  int32_t magnitude[kMaxLists];
  l->count = 0;
  for (size_t code = 0; code < size_t{1} << p.bits; ++code) {
    const int32_t v = p.integers[code], size = v < 0 ? -v : v;
    l->terms[code] = v != 0;
    if (v == 0) continue;
    size_t i = 0;
    while (i < l->count && magnitude[i] != size) ++i;
    if (i == kMaxLists) return false;
    l->slot[code][0] = static_cast<uint8_t>(2 * i + (v < 0));
    if (i < l->count) continue;
    magnitude[l->count++] = size;
    l->worth_terms[i] = p.terms[code];
    for (size_t t = 0; t < p.terms[code]; ++t) {
      l->shift[i][t] = p.shift[code][t];
      l->negative[i][t] = p.negative[code][t] != (v < 0);
    }
  }
  return true;
}

// Additions for a chunk in which all codes are equally frequent; ending a list is 3 instructions
// and 4 per term.
inline size_t additions(const Plan& p, const Lists& l) {
  size_t all = 0, ends = 0;
  for (size_t code = 0; code < size_t{1} << p.bits; ++code) all += l.terms[code];
  for (size_t i = 0; i < l.count; ++i) ends += 3 + 4 * size_t{l.worth_terms[i]};
  return all * kChunk / (size_t{1} << p.bits) + ends;
}

inline void make_lists(const Plan& p, Lists* l) {
  Lists other;
  lists_of_digits(p, l);
  if (lists_of_magnitudes(p, &other) && additions(p, other) < additions(p, *l)) *l = other;
}

// Offsets of the lines of a chunk, list by list: first the positive weights, then the negative.
struct Sorted {
  uint16_t ends[2 * kMaxLists];
  uint16_t offsets[kMaxTerms * kChunk];
};

// A counting sort; ends[slot] is where the slot's offsets begin, then where they end.
[[maybe_unused]] __attribute__((noinline)) void sort_codes(const Lists& l, const uint8_t* codes,
                                                           size_t count, Sorted* to) {
  uint16_t counts[2 * kMaxLists] = {};
  for (size_t k = 0; k < count; ++k)
    for (size_t t = 0; t < l.terms[codes[k]]; ++t) ++counts[l.slot[codes[k]][t]];
  uint16_t end = 0;
  for (size_t slot = 0; slot < 2 * l.count; ++slot) {
    to->ends[slot] = end;
    end = static_cast<uint16_t>(end + counts[slot]);
  }
  for (size_t k = 0; k < count; ++k)
    for (size_t t = 0; t < l.terms[codes[k]]; ++t)
      to->offsets[to->ends[l.slot[codes[k]][t]]++] = static_cast<uint16_t>(k * kLine);
}

// The lanes of one kind of x. `total` are 32-bit sums in the order of rows.
template <size_t kBytes>
struct Words {
  using Lane = int16_t;
  using Vec = Vector<int16_t, kBytes>;
  using Int = Vector<int32_t, kBytes>;
  static constexpr size_t kRows = kLine / 2, kLanes = kBytes / 2, kMost = kPiece;
  // Even lanes are the first half of a vector's rows: they widen by two shifts.
  static constexpr size_t place_of(size_t row) {
    const size_t i = row % kLanes;
    return row / kLanes * kLanes + i % (kLanes / 2) * 2 + i / (kLanes / 2);
  }
  static constexpr size_t kInts = 2;
  static void widen(const Vec& v, Int* to) {
    to[0] = ((Int)v << 16) >> 16;
    to[1] = (Int)v >> 16;
  }
};

template <size_t kBytes>
struct Dwords {
  using Lane = int32_t;
  using Vec = Vector<int32_t, kBytes>;
  using Int = Vec;
  static constexpr size_t kRows = kLine / 4, kMost = kMaxTerms * kChunk, kInts = 1;
  static constexpr size_t place_of(size_t row) { return row; }
  static void widen(const Vec& v, Int* to) { to[0] = v; }
};

// One piece of a list: `plus` lines added, `minus` lines taken away.
template <class T, size_t kBytes>
inline void add_lines(const uint8_t* lines, const uint16_t* plus, const uint16_t* plus_end,
                      const uint16_t* minus, const uint16_t* minus_end,
                      typename T::Vec (&acc)[kLine / kBytes]) {
  using Vec = typename T::Vec;
  constexpr size_t kVectors = kLine / kBytes;
  for (; plus != plus_end; ++plus) {
    const Vec* line = reinterpret_cast<const Vec*>(lines + *plus);
    _Pragma("GCC unroll 8") for (size_t i = 0; i < kVectors; ++i) acc[i] += line[i];
  }
  for (; minus != minus_end; ++minus) {
    const Vec* line = reinterpret_cast<const Vec*>(lines + *minus);
    _Pragma("GCC unroll 8") for (size_t i = 0; i < kVectors; ++i) acc[i] -= line[i];
  }
}

// total += v * acc, v being what the list is worth: its terms one after the other.
template <class T, size_t kBytes>
inline void add_worth(const Lists& l, size_t list, const typename T::Vec (&acc)[kLine / kBytes],
                      typename T::Int (&total)[kLine / kBytes * T::kInts]) {
  constexpr size_t kInts = kLine / kBytes * T::kInts;
  typename T::Int wide[kInts];
  _Pragma("GCC unroll 8") for (size_t i = 0; i < kLine / kBytes; ++i)
      T::widen(acc[i], wide + i * T::kInts);
  _Pragma("GCC unroll 1") for (size_t t = 0; t < l.worth_terms[list]; ++t) {
    const int by = l.shift[list][t];
    if (l.negative[list][t]) {
      _Pragma("GCC unroll 16") for (size_t i = 0; i < kInts; ++i) total[i] -= wide[i] << by;
    } else {
      _Pragma("GCC unroll 16") for (size_t i = 0; i < kInts; ++i) total[i] += wide[i] << by;
    }
  }
}

// One output, one chunk, one line of rows: totals += what the chunk is worth.
template <class T, size_t kBytes>
__attribute__((noinline)) void add_chunk(const Lists& l, const Sorted& s, const uint8_t* lines,
                                         typename T::Int* totals) {
  constexpr size_t kInts = kLine / kBytes * T::kInts;
  typename T::Int total[kInts];
  _Pragma("GCC unroll 16") for (size_t i = 0; i < kInts; ++i) total[i] = totals[i];
  const uint16_t* plus = s.offsets;
  for (size_t list = 0; list < l.count; ++list) {
    const uint16_t* plus_end = s.offsets + s.ends[2 * list];
    const uint16_t *minus = plus_end, *minus_end = s.offsets + s.ends[2 * list + 1];
    while (plus != plus_end || minus != minus_end) {
      const size_t more = least(T::kMost, static_cast<size_t>(plus_end - plus));
      const size_t fewer = least(T::kMost - more, static_cast<size_t>(minus_end - minus));
      typename T::Vec acc[kLine / kBytes] = {};
      add_lines<T, kBytes>(lines, plus, plus + more, minus, minus + fewer, acc);
      plus += more, minus += fewer;
      add_worth<T, kBytes>(l, list, acc, total);
    }
    plus = minus_end;
  }
  _Pragma("GCC unroll 16") for (size_t i = 0; i < kInts; ++i) totals[i] = total[i];
}

template <class T, size_t kBytes>
struct Grouped {
  struct Layout {
    size_t x, lists, sorted, sums, floats, end;
  };
  static Layout layout(const Shape& s) {
    const size_t rows = up_to(s.rows, T::kRows);
    Carve c;
    Layout l;
    l.x = c.take(rows * s.inputs * sizeof(typename T::Lane));
    l.lists = c.take(sizeof(Lists));
    l.sorted = c.take(kOutputs * sizeof(Sorted));
    l.sums = c.take(rows * kOutputs * 4);
    l.floats = c.take(s.group ? rows * kOutputs * 4 : 0);
    l.end = c.end;
    return l;
  }

  static void run(const Args& a) {
    const Layout at = layout(shape_of(a));
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    stage_rows<typename T::Lane, T::kRows>(a, reinterpret_cast<typename T::Lane*>(base + at.x),
                                           T::place_of);
    Lists* lists = reinterpret_cast<Lists*>(base + at.lists);
    make_lists(*a.plan, lists);
    for (size_t n = 0; n < a.outputs; n += kOutputs) block(a, at, *lists, n);
  }

  // kOutputs outputs, all rows: totals are [tile of rows][output][row].
  static void block(const Args& a, const Layout& at, const Lists& lists, size_t n0) {
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    const size_t outputs = least(kOutputs, a.outputs - n0),
                 tiles = up_to(a.rows, T::kRows) / T::kRows;
    Sorted* sorted = reinterpret_cast<Sorted*>(base + at.sorted);
    const size_t tile_bytes = kOutputs * T::kRows * 4;
    std::memset(base + at.sums, 0, tiles * tile_bytes);
    if (a.group) std::memset(base + at.floats, 0, tiles * tile_bytes);
    const auto totals = [&](size_t tile) {
      return Totals{reinterpret_cast<int32_t*>(base + at.sums + tile * tile_bytes),
                    reinterpret_cast<float*>(base + at.floats + tile * tile_bytes), 1, T::kRows};
    };
    each_segment(a, kChunk, [&](const Segment& s) {
      uint8_t codes[kChunk];
      for (size_t n = 0; n < outputs; ++n) {
        codes_of(a, n0 + n, s.first, s.count, codes);
        sort_codes(lists, codes, s.count, sorted + n);
      }
      // An output's lists are walked for all tiles in turn: branches repeat and are foreseen.
      for (size_t n = 0; n < outputs; ++n)
        for (size_t tile = 0; tile < tiles; ++tile)
          add_chunk<T, kBytes>(
              lists, sorted[n], base + at.x + (tile * a.inputs + s.first) * kLine,
              reinterpret_cast<typename T::Int*>(totals(tile).sums + n * T::kRows));
      for (size_t tile = 0; s.ends_group && tile < tiles; ++tile)
        end_group(a, s.group, n0, outputs, T::kRows, totals(tile));
    });
    for (size_t tile = 0; tile < tiles; ++tile) {
      const size_t row0 = tile * T::kRows;
      finish_tile(a, row0, least(T::kRows, a.rows - row0), n0, outputs, totals(tile));
    }
  }
};

template <size_t kBytes>
size_t grouped_scratch(const Plan&, const Shape& s) {
  return s.wide_x ? Grouped<Dwords<kBytes>, kBytes>::layout(s).end
                  : Grouped<Words<kBytes>, kBytes>::layout(s).end;
}

template <size_t kBytes>
void grouped(const Args& a) {
  if (a.outputs == 0 || a.rows == 0) return;
  if (a.x16)
    Grouped<Dwords<kBytes>, kBytes>::run(a);
  else
    Grouped<Words<kBytes>, kBytes>::run(a);
}

}  // namespace
}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_GENERIC_GROUPED_H_
