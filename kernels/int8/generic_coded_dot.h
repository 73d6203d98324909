// A few rows against coded weights: each vector of entries is multiplied where decode would store
// it.
#ifndef QRT_KERNELS_INT8_GENERIC_CODED_DOT_H_
#define QRT_KERNELS_INT8_GENERIC_CODED_DOT_H_

#include "kernels/int8/generic_decode.h"

namespace qrt::kernels::int8 {

// Sums of kLanes outputs for R rows; with kOnes row R are the sums of the weights. One vector of
// outputs at a time: with two, 16 registers are too few for four rows.
template <class V, int R, bool kOnes>
struct RowSums {
  static constexpr int kRows = R + (kOnes ? 1 : 0);
  typename V::Sum at[kRows];
};

template <class V, int R, bool kOnes>
inline void add_step(RowSums<V, R, kOnes>& s, const uint8_t* const (&x)[R], size_t k,
                     typename V::Raw raw) {
  const typename V::W w = V::widen_w(raw);
  _Pragma("GCC unroll 4") for (int r = 0; r < R; ++r) s.at[r] =
      V::mac(s.at[r], V::set_x(x[r] + k), w);
  constexpr int kLast = RowSums<V, R, kOnes>::kRows - 1;
  if (kOnes) s.at[kLast] = V::mac(s.at[kLast], ones<V>(), w);
}

// `count` blocks from input k on.
template <class V, uint32_t kDim, bool kAdd, int R, bool kOnes>
__attribute__((noinline)) void dot_blocks(const Coded& s, const uint32_t* at, size_t count,
                                          const uint8_t* const* rows, size_t k,
                                          RowSums<V, R, kOnes>& total) {
  constexpr int kRows = RowSums<V, R, kOnes>::kRows;
  const uint8_t* x[R];
  _Pragma("GCC unroll 4") for (int r = 0; r < R; ++r) x[r] = rows[r];
  RowSums<V, R, kOnes> sums;
  _Pragma("GCC unroll 5") for (int r = 0; r < kRows; ++r) sums.at[r] = total.at[r];
  const int8_t* p = s.entries;
  const size_t dim = kDim ? kDim : s.dim, stride = V::kTileN * (kAdd ? s.books : 1);
  for (; count != 0; --count, at += stride, k += dim) {
    each_step<V, kDim, kAdd>(s, p, at, [&](size_t i, typename V::Raw raw) {
      add_step<V, R, kOnes>(sums, x, k + i * kStep, raw);
    });
  }
  _Pragma("GCC unroll 5") for (int r = 0; r < kRows; ++r) total.at[r] = sums.at[r];
}

// Inputs from k on through rows of weights: blocks that are no whole steps, and a cut last one.
template <class V, int R, bool kOnes>
__attribute__((noinline)) void dot_rows(const DecodeArgs& tile, const uint8_t* const (&x)[R],
                                        size_t k, RowSums<V, R, kOnes> (&total)[2]) {
  constexpr size_t N = V::kTileN;
  int8_t rows[N * kMaxStaged];
  uint8_t copy[R][kMaxStaged];
  const uint8_t* from[R];
  for (int r = 0; r < R; ++r) from[r] = copy[r];
  uint32_t at[N];
  for (size_t i = 0; i < N; ++i) at[i] = static_cast<uint32_t>(i * kMaxStaged);
  for (; k < tile.inputs; k += kMaxStaged) {
    const size_t left = tile.inputs - k, depth = left < kMaxStaged ? left : kMaxStaged;
    std::memset(rows, 0, sizeof(rows));
    std::memset(copy, 0, sizeof(copy));
    stage<V>(tile, 0, tile.outputs, k, depth, rows);
    for (int r = 0; r < R; ++r) std::memcpy(copy[r], x[r] + k, depth);
    for (size_t i = 0; i < depth; i += kStep)
      for (size_t j = 0; j < 2; ++j)
        add_step<V, R, kOnes>(total[j], from, i, V::fours(rows + i, at + j * V::kLanes));
  }
}

// Tiles of outputs that are decoded side by side: 64 codes of 8 bits are one cache line.
template <class V>
inline constexpr size_t kSide = 64 / V::kTileN;

template <class V, int R, bool kOnes>
void dot_tiles(const DecodeArgs& a, const uint8_t* const (&x)[R],
               RowSums<V, R, kOnes> (&total)[kSide<V>][2]) {
  constexpr size_t N = V::kTileN;
  const Coded& s = a.source;
  const size_t blocks = s.dim % kStep == 0 ? a.inputs / s.dim : 0, ahead = kAhead / s.books;
  const auto dot = s.books > 1  ? dot_blocks<V, 0, true, R, kOnes>
                   : s.dim == 4 ? dot_blocks<V, 4, false, R, kOnes>
                   : s.dim == 8 ? dot_blocks<V, 8, false, R, kOnes>
                                : dot_blocks<V, 0, false, R, kOnes>;
  Outputs<V> outputs[kSide<V>];
  size_t tiles = 0;
  for (size_t n = 0; n < a.outputs; n += N, ++tiles)
    outputs[tiles] = {s, a.first_output + n, a.outputs - n < N ? a.outputs - n : N};
  alignas(64) uint32_t at[kAhead][N];
  for (size_t block = 0; block < blocks; block += ahead) {
    const size_t count = blocks - block < ahead ? blocks - block : ahead;
    for (size_t t = 0; t < tiles; ++t) {
      for (uint32_t b = 0; b < s.books; ++b) outputs[t].offsets(b, block, count, at + b, s.books);
      dot(s, at[0], count, x, block * s.dim, total[t][0]);
      dot(s, at[0] + V::kLanes, count, x, block * s.dim, total[t][1]);
    }
  }
  if (blocks * s.dim == a.inputs) return;
  for (size_t t = 0; t < tiles; ++t) {
    const DecodeArgs tile{s, outputs[t].first, outputs[t].live, a.inputs, 1, false, nullptr};
    dot_rows<V, R, kOnes>(tile, x, blocks * s.dim, total[t]);
  }
}

template <class V, int R, bool kOnes>
void coded_dot_of(const CodedDotArgs& a) {
  constexpr size_t L = V::kLanes, kOutputs = kSide<V> * V::kTileN;
  const uint8_t* x[R];
  for (size_t r = 0; r < R; ++r) x[r] = a.x + (r < a.rows ? r : 0) * a.x_stride;
  const typename V::Int offset = V::set1_i(V::kOffset - a.x_zero);
  for (size_t n0 = 0; n0 < a.outputs; n0 += kOutputs) {
    const size_t outputs = a.outputs - n0 < kOutputs ? a.outputs - n0 : kOutputs;
    RowSums<V, R, kOnes> total[kSide<V>][2];
    for (auto& tile : total)
      for (auto& sums : tile)
        for (typename V::Sum& sum : sums.at) sum = V::zero();
    dot_tiles<V, R, kOnes>({a.source, a.first_output + n0, outputs, a.inputs, 1, false, nullptr}, x,
                           total);
    for (size_t n = 0; n < outputs; n += L) {
      const RowSums<V, R, kOnes>& sums = total[n / L / 2][n / L % 2];
      for (size_t r = 0; r < a.rows; ++r) {
        typename V::Int sum = V::total(sums.at[r]);
        if (kOnes) sum = V::add_i(sum, V::mul_i(V::total(sums.at[R - !kOnes]), offset));
        int32_t lanes[L];
        V::store_i(lanes, sum);
        finish_row<V>(a.finish, r, n0 + n, outputs - n < L ? outputs - n : L, lanes,
                      a.y8 ? a.y8 + r * a.y_stride : nullptr,
                      a.y32 ? a.y32 + r * a.y_stride : nullptr);
      }
    }
  }
}

// Two and three rows go as four, the first one repeated: decoding is most of the time.
template <class V>
void coded_dot(const CodedDotArgs& a) {
  const bool ones = V::kOffset != a.x_zero;
  if (a.rows == 1)
    (ones ? coded_dot_of<V, 1, true> : coded_dot_of<V, 1, false>)(a);
  else if (a.rows != 0)
    (ones ? coded_dot_of<V, 4, true> : coded_dot_of<V, 4, false>)(a);
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_CODED_DOT_H_
