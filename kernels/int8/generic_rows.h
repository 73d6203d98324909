// Coded weights whose blocks do not fit a panel's order of inputs: rows of weights first.
#ifndef QRT_KERNELS_INT8_GENERIC_ROWS_H_
#define QRT_KERNELS_INT8_GENERIC_ROWS_H_

#include "kernels/int8/generic_windows.h"

namespace qrt::kernels::int8 {

inline constexpr size_t kMaxStaged = 256;  // inputs of an output at a time

// Inputs first ... first + count of `live` outputs to rows[output][kMaxStaged].
template <class V>
void stage(const DecodeArgs& a, size_t column, size_t live, size_t first, size_t count,
           int8_t* rows) {
  const Coded& s = a.source;
  for (size_t i = 0; i < live; ++i, rows += kMaxStaged) {
    const size_t output = a.first_output + column + i;
    const int8_t* entries = s.entries + base_of<V>(s, output);
    for (size_t block = first / s.dim; block * s.dim < first + count; ++block) {
      const size_t from = block * s.dim < first ? first : block * s.dim;
      const size_t end = (block + 1) * s.dim, to = end < first + count ? end : first + count;
      for (uint32_t b = 0; b < s.books; ++b) {
        const uint8_t* row = s.codes + b * s.book_bytes + block * s.row_bytes;
        const int8_t* e = entries + b * s.book_stride + code_of<V>(s, row, output) * s.entry_stride;
        for (size_t k = from; k < to; ++k) {
          const int32_t sum = (b == 0 ? 0 : rows[k - first]) + e[k - block * s.dim];
          rows[k - first] = static_cast<int8_t>(sum < -128 ? -128 : (sum > 127 ? 127 : sum));
        }
      }
    }
  }
}

// Places from `place` on (a multiple of four) in the order of the source.
template <class V>
void decode_rows(const DecodeArgs& a, size_t column, size_t place, uint8_t* to) {
  constexpr size_t L = V::kLanes;
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  int8_t rows[L * kMaxStaged];
  uint32_t at[L];
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * kMaxStaged);
  for (; place < a.inputs; place += kMaxStaged) {
    const size_t left = a.inputs - place, depth = left < kMaxStaged ? left : kMaxStaged;
    std::memset(rows, 0, sizeof(rows));
    stage<V>(a, column, live, place, depth, rows);
    for (size_t k = 0; k < depth; k += kStep, to += step_bytes<V>())
      V::put_w(to, V::fours(rows + k, at));
  }
}

// Windows whose taps are at most kMaxStaged / 4 and whose channels are a multiple of four.
template <class V>
void decode_row_windows(const DecodeArgs& a, size_t column, uint8_t* to) {
  constexpr size_t L = V::kLanes;
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  const size_t tap_bytes = a.inputs / a.taps / kStep * step_bytes<V>();
  int8_t rows[L * kMaxStaged + 16] = {};  // quads reach beyond the last row
  uint32_t at[L];
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * kMaxStaged);
  const int8_t *p0 = rows, *p1 = p0 + a.taps, *p2 = p1 + a.taps, *p3 = p2 + a.taps;
  const Channels four{{p0, p1, p2, p3}, {at, at, at, at}, 1, 0, 0};
  for (size_t first = 0; first < a.inputs; first += 4 * a.taps, to += step_bytes<V>()) {
    stage<V>(a, column, live, first, 4 * a.taps, rows);
    put_window<V, false>(four, a.taps, to, tap_bytes, nullptr);
  }
}

// Anything: places one by one.
template <class V>
void decode_places(const DecodeArgs& a, size_t column, uint8_t* to) {
  constexpr size_t L = V::kLanes;
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  const size_t channels = a.inputs / a.taps;
  int8_t one[L * kMaxStaged];
  uint32_t at[L];
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * kStep);
  for (size_t place = 0; place < a.inputs; place += kStep, to += step_bytes<V>()) {
    int8_t four[L * kStep] = {};
    for (size_t j = 0; j < kStep && place + j < a.inputs; ++j) {
      stage<V>(a, column, live, (place + j) % channels * a.taps + (place + j) / channels, 1, one);
      for (size_t i = 0; i < live; ++i) four[i * kStep + j] = one[i * kMaxStaged];
    }
    V::put_w(to, V::fours(four, at));
  }
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_ROWS_H_
