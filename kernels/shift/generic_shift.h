// True shift-add: outputs in the lanes, each with its own shift and sign per term.
//
//   x * w = sum over terms (+-)x << e;      -v = (v xor -1) + 1
//
// so a term is a shift by a vector, an exclusive or and an addition; the + 1 of negative terms
// does not depend on x and is counted per output beforehand (`start`). A code with fewer terms
// than the table's most shifts x out: 63 places leave 0. Three instructions per vector of products
// where an inner product of bytes is one for 4 of 32 bits: this wins where multiplication is slow.
//
// Lanes are of 16 bits if |x - x_zero| << shift is at most 255 << 4, so that kFlush = 8 additions
// stay below 2^15 (8 * (255 * 16 + 1) = 32648); else of 32. An ISA file gives struct V:
//
//   kBytes                   of a vector
//   shl(Vector<T, kBytes> v, by)   lanes to the left, 0 from the width of a lane to 63; T int16_t
//                            where kWords, and int32_t
//   kWords                   whether there are shifts of 16-bit lanes
#ifndef QRT_KERNELS_SHIFT_GENERIC_SHIFT_H_
#define QRT_KERNELS_SHIFT_GENERIC_SHIFT_H_

#include "kernels/shift/generic.h"

namespace qrt::kernels::shift {
namespace {

constexpr size_t kTileRows = 4, kVectors = 2, kDepth = 64, kFlush = 8;
constexpr uint32_t kWordShift = 4, kAway = 63;

// Weights of a segment: steps of a place and a term, [step][shifts, signs][kVectors] lanes.
template <class T>
struct Panel {
  size_t terms, steps;  // per place; in all, up to a whole flush
  T* lanes;
  alignas(64) int32_t start[128];                // [output]
  uint16_t places[kDepth * kMaxTerms + kFlush];  // of a step, times kTileRows
};

template <class V, class T>
struct Shifted {
  using Vec = Vector<T, V::kBytes>;
  using Int = Vector<int32_t, V::kBytes>;
  static constexpr bool kNarrow = sizeof(T) == 2;
  static constexpr size_t kLanes = V::kBytes / sizeof(T), kTileOutputs = kVectors * kLanes;
  static constexpr size_t kIntsPer = kNarrow ? 2 : 1;  // vectors of sums per vector of lanes

  // Where an output is among the lanes of its vector: even lanes widen to the first half.
  static constexpr size_t lane_of(size_t output) {
    const size_t i = output % kLanes, half = kLanes / 2;
    return output / kLanes * kLanes + (kNarrow ? i % half * 2 + i / half : i);
  }

  static void build(const Args& a, const Segment& s, size_t n0, size_t outputs, Panel<T>* panel) {
    const Plan& p = *a.plan;
    const size_t terms = panel->terms, live_steps = s.count * terms;
    panel->steps = up_to(live_steps, kFlush);
    for (size_t i = 0; i < panel->steps; ++i)
      panel->places[i] = static_cast<uint16_t>(i < live_steps ? i / terms * kTileRows : 0);
    for (size_t i = 0; i < kTileOutputs; ++i) {
      uint8_t codes[kDepth];
      if (i < outputs) codes_of(a, n0 + i, s.first, s.count, codes);
      int32_t start = 0;
      T* to = panel->lanes + lane_of(i);
      for (size_t k = 0; k < s.count; ++k) {
        for (size_t t = 0; t < terms; ++t, to += 2 * kTileOutputs) {
          const bool live = i < outputs && t < p.terms[codes[k]];
          const bool negative = live && p.negative[codes[k]][t];
          to[0] = static_cast<T>(live ? p.shift[codes[k]][t] : kAway);
          to[kTileOutputs] = static_cast<T>(negative ? -1 : 0);
          start += negative;
        }
      }
      panel->start[i] = start;
    }
    // Steps beyond the last shift everything out.
    T* to = panel->lanes + live_steps * 2 * kTileOutputs;
    for (size_t step = live_steps; step < panel->steps; ++step, to += 2 * kTileOutputs)
      for (size_t i = 0; i < kTileOutputs; ++i) to[i] = kAway, to[kTileOutputs + i] = 0;
  }

  static void add_lanes(const Vec& v, Int* sum) {
    if constexpr (kNarrow) {
      sum[0] += ((Int)v << 16) >> 16;
      sum[1] += (Int)v >> 16;
    } else {
      sum[0] += v;
    }
  }

  // kTileRows rows, x is [place][kTileRows]; sums are [row][kTileOutputs].
  __attribute__((noinline)) static void add_shifted(const Panel<T>& panel, const T* x,
                                                    int32_t* sums) {
#define QRT_EACH_ROW _Pragma("GCC unroll 4") for (size_t r = 0; r < kTileRows; ++r)
#define QRT_EACH_VECTOR _Pragma("GCC unroll 2") for (size_t j = 0; j < kVectors; ++j)
    Int sum[kTileRows][kVectors][kIntsPer];
    QRT_EACH_ROW QRT_EACH_VECTOR _Pragma("GCC unroll 2") for (size_t i = 0; i < kIntsPer; ++i)
        sum[r][j][i] = reinterpret_cast<const Int*>(panel.start)[j * kIntsPer + i];
    const Vec* w = reinterpret_cast<const Vec*>(panel.lanes);
    for (size_t block = 0; block < panel.steps; block += kFlush) {
      Vec acc[kTileRows][kVectors];
      QRT_EACH_ROW QRT_EACH_VECTOR acc[r][j] = Vec{};
      for (size_t step = block; step < block + kFlush; ++step, w += 2 * kVectors) {
        const T* row = x + panel.places[step];
        QRT_EACH_ROW {
          const Vec v = Vec{} + row[r];
          QRT_EACH_VECTOR acc[r][j] += V::shl(v, w[j]) ^ w[kVectors + j];
        }
      }
      QRT_EACH_ROW QRT_EACH_VECTOR add_lanes(acc[r][j], sum[r][j]);
    }
    QRT_EACH_ROW QRT_EACH_VECTOR
        _Pragma("GCC unroll 2") for (size_t i = 0; i < kIntsPer; ++i) reinterpret_cast<Int*>(
            sums + r * kTileOutputs)[j * kIntsPer + i] += sum[r][j][i];
#undef QRT_EACH_ROW
#undef QRT_EACH_VECTOR
  }

  struct Layout {
    size_t x, lanes, sums, floats, end;
  };
  static Layout layout(const Plan& p, const Shape& s) {
    const size_t rows = up_to(s.rows, kTileRows), steps = kDepth * p.most_terms + kFlush;
    Carve c;
    Layout l;
    l.x = c.take((rows * s.inputs + kTileRows) * sizeof(T));
    l.lanes = c.take(steps * 2 * kTileOutputs * sizeof(T));
    l.sums = c.take(rows * kTileOutputs * 4);
    l.floats = c.take(s.group ? rows * kTileOutputs * 4 : 0);
    l.end = c.end;
    return l;
  }

  static void run(const Args& a) {
    const Layout at = layout(*a.plan, shape_of(a));
    T* x = reinterpret_cast<T*>(static_cast<uint8_t*>(a.scratch) + at.x);
    stage_rows<T, kTileRows>(a, x, [](size_t row) { return row; });
    for (size_t n = 0; n < a.outputs; n += kTileOutputs) block(a, at, n);
  }

  static void block(const Args& a, const Layout& at, size_t n0) {
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    const T* x = reinterpret_cast<const T*>(base + at.x);
    const size_t outputs = least(kTileOutputs, a.outputs - n0), rows = up_to(a.rows, kTileRows);
    const Totals totals = {reinterpret_cast<int32_t*>(base + at.sums),
                           reinterpret_cast<float*>(base + at.floats), kTileOutputs, 1};
    std::memset(totals.sums, 0, rows * kTileOutputs * 4);
    if (a.group) std::memset(totals.floats, 0, rows * kTileOutputs * 4);
    static_assert(kTileOutputs <= sizeof(Panel<T>::start) / sizeof(int32_t), "room for starts");
    Panel<T> panel;
    panel.terms = a.plan->most_terms, panel.lanes = reinterpret_cast<T*>(base + at.lanes);
    each_segment(a, kDepth, [&](const Segment& s) {
      build(a, s, n0, outputs, &panel);
      for (size_t r = 0; r < rows; r += kTileRows)
        add_shifted(panel, x + r * a.inputs + s.first * kTileRows, totals.sums + r * kTileOutputs);
      if (s.ends_group) end_group(a, s.group, n0, outputs, a.rows, totals);
    });
    finish_tile(a, 0, a.rows, n0, outputs, totals);
  }
};

template <class V>
constexpr bool in_words(const Plan& p, bool wide_x) {
  return V::kWords && !wide_x && p.most_shift <= kWordShift;
}

template <class V>
size_t shift_scratch(const Plan& p, const Shape& s) {
  if constexpr (V::kWords)
    if (in_words<V>(p, s.wide_x)) return Shifted<V, int16_t>::layout(p, s).end;
  return Shifted<V, int32_t>::layout(p, s).end;
}

template <class V>
void shifted(const Args& a) {
  if (a.outputs == 0 || a.rows == 0) return;
  if constexpr (V::kWords)
    if (in_words<V>(*a.plan, a.x16 != nullptr)) return Shifted<V, int16_t>::run(a);
  Shifted<V, int32_t>::run(a);
}

}  // namespace
}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_GENERIC_SHIFT_H_
