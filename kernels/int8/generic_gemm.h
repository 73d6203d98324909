// Rows by panels: the register tile of the int8 family, written once over the primitives of
// generic.h.
#ifndef QRT_KERNELS_INT8_GENERIC_GEMM_H_
#define QRT_KERNELS_INT8_GENERIC_GEMM_H_

#include <type_traits>

#include "kernels/int8/generic.h"

namespace qrt::kernels::int8 {

#define QRT_EACH_ROW _Pragma("GCC unroll 16") for (int r = 0; r < R; ++r)
#define QRT_EACH_SUM QRT_EACH_ROW _Pragma("GCC unroll 4") for (int j = 0; j < NV; ++j)
#define QRT_EACH_VECTOR _Pragma("GCC unroll 4") for (int j = 0; j < NV; ++j)

// Step `S` of the four for which 16 activations of every row are in registers.
template <class V, int R, int NV, int S>
inline void quad_step(typename V::Sum (&sum)[R][NV], const typename V::X16 (&v)[R],
                      const uint8_t* w) {
  typename V::W b[NV];
  QRT_EACH_VECTOR b[j] = V::load_w(w + S * step_bytes<V>() + j * V::kWBytes);
  QRT_EACH_SUM sum[r][j] = V::template mac_lane<S>(sum[r][j], v[r], b[j]);
}

// What the inputs' zero point adds to the sums of vector j: they begin with it where a vector of
// sums is one of int32.
template <class V>
inline typename V::Int start_of(const GemmArgs& a, size_t j) {
  const int32_t* head = static_cast<const int32_t*>(a.panel);
  return V::mul_i(V::load_i(head + j * V::kLanes), V::set1_i(V::kOffset - a.x_zero));
}
template <class V>
constexpr bool kStarts = std::is_same_v<typename V::Sum, typename V::Int>;

// `R` rows by `NV` vectors of sums, a.outputs = NV * kLanes. Every loop over the tile is
// unrolled: an array indexed by a variable would live in memory.
template <class V, int R, int NV>
inline __attribute__((always_inline)) void accumulate(const GemmArgs& a,
                                                      typename V::Sum (&sum)[R][NV]) {
  if constexpr (kStarts<V>) {
    typename V::Int start[NV];
    QRT_EACH_VECTOR start[j] = start_of<V>(a, j);
    QRT_EACH_SUM sum[r][j] = start[j];
  } else {
    QRT_EACH_SUM sum[r][j] = V::zero();
  }
  const int32_t* head = static_cast<const int32_t*>(a.panel);
  const uint8_t* run_w =
      reinterpret_cast<const uint8_t*>(head + kMaxTileN) + a.runs.first / kStep * step_bytes<V>();
  const uint8_t* run_x = a.x;
  const size_t stride = a.x_stride;
  for (size_t run = 0; run < a.runs.count; ++run) {
    const uint8_t *x = run_x, *w = run_w, *const end = x + a.inputs;
    if constexpr (V::kQuads) {
      for (; end - x >= 16; x += 16, w += 4 * step_bytes<V>()) {
        typename V::X16 v[R];
        QRT_EACH_ROW v[r] = V::load_x16(x + r * stride);
        quad_step<V, R, NV, 0>(sum, v, w), quad_step<V, R, NV, 1>(sum, v, w);
        quad_step<V, R, NV, 2>(sum, v, w), quad_step<V, R, NV, 3>(sum, v, w);
      }
    }
    for (; x < end; x += kStep, w += step_bytes<V>()) {
      typename V::W b[NV];
      QRT_EACH_VECTOR b[j] = V::load_w(w + j * V::kWBytes);
      QRT_EACH_ROW {
        const typename V::X v = V::set_x(x + r * stride);
        QRT_EACH_VECTOR sum[r][j] = V::mac(sum[r][j], v, b[j]);
      }
    }
    run_x += a.runs.next, run_w += a.runs.next / kStep * step_bytes<V>();
  }
}

template <class V, int R, int NV>
__attribute__((noinline)) void multiply(const GemmArgs& a, int32_t* sums) {
  constexpr size_t L = V::kLanes;
  typename V::Sum sum[R][NV];
  accumulate<V, R, NV>(a, sum);
  // Sums rest in a buffer before they are finished: a longer tail behind the loop makes g++-12 keep
  // all of them in memory during the loop, which is then twice as slow (gate `spills`).
  QRT_EACH_SUM V::store_i(sums + (r * NV + j) * L, V::total(sum[r][j]));
}
#undef QRT_EACH_ROW
#undef QRT_EACH_SUM
#undef QRT_EACH_VECTOR

// Where row r's outputs and residual are.
inline size_t row_of(const GemmArgs& a, size_t r) {
  return a.row_at ? a.row_at[r] : r;
}

// What a vector of outputs is finished with, in registers. Factors of 1 and zeros of either sign
// that are not there change nothing: t + -0 is t.
template <class V>
struct OutputVector {
  typename V::F scale, bias;
  typename V::Int start;

  OutputVector() = default;
  OutputVector(const GemmArgs& a, size_t j)
      : scale(a.finish.scale ? V::load(a.finish.scale + j * V::kLanes) : V::set1(1.0f)),
        bias(a.finish.bias ? V::load(a.finish.bias + j * V::kLanes) : V::set1(-0.0f)),
        start(start_of<V>(a, j)) {}
  // Not between the bounds yet; `first` as Finish::bias_first.
  typename V::F value(const int32_t* sum, bool first) const {
    typename V::Int all = V::load_i(sum);
    if constexpr (!kStarts<V>) all = V::add_i(all, start);
    return of(all, first);
  }
  typename V::F of(typename V::Int all, bool first) const {
    const typename V::F t = V::to_float(all);
    return first ? V::mul(V::add(t, bias), scale) : V::add(V::mul(t, scale), bias);
  }
};

// Row r of vector j.
template <class V, int NV>
inline typename V::F value_of(const GemmArgs& a, const OutputVector<V>& v, const int32_t* sums,
                              size_t r, size_t j) {
  const Finish& f = a.finish;
  const typename V::F t = v.value(sums + (r * NV + j) * V::kLanes, f.bias_first);
  if (!f.residual) return t;
  const uint8_t* p = f.residual + row_of(a, r) * f.residual_stride + j * V::kLanes;
  return V::add(t, residual<V>(f, p));
}

// Four vectors become bytes together: two rows, or four of one vector. Whatever the stores of
// bytes might change is read before.
template <class V, int R, int NV, class RowAt>
inline void finish_bytes(const GemmArgs& a, const int32_t* sums, const RowAt& row_at) {
  constexpr int kRows = 4 / NV;
  const typename V::F least = V::set1(a.finish.min), most = V::set1(a.finish.max);
  const typename V::Bounds bounds(a.finish);
  OutputVector<V> v[NV];
  for (size_t j = 0; j < NV; ++j) v[j] = OutputVector<V>(a, j);
  uint8_t* const y = a.y8;
  const size_t stride = a.y_stride;
  const bool first = row_at.bias_first();
  size_t r = 0;
  for (; r + kRows <= R; r += kRows) {
    typename V::Int q[4];
    _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; ++i) {
      const typename V::F t = v[i % NV].value(sums + (r * NV + i) * V::kLanes, first);
      q[i] = RowAt::whole(row_at.add(t, r + i / NV, i % NV), least, most);
    }
    const typename V::Raw bytes = V::pack4(q[0], q[1], q[2], q[3], bounds);
    _Pragma("GCC unroll 4") for (int i = 0; i < kRows; ++i)
        V::template store_part<kRows>(y + row_at(r + i) * stride, bytes, i);
  }
  if constexpr (R % kRows != 0) {
    const typename V::Int zero = V::set1_i(a.finish.zero);
    for (; r < R; ++r)
      for (size_t j = 0; j < NV; ++j) {
        const int32_t* sum = sums + (r * NV + j) * V::kLanes;
        const typename V::F t = row_at.add(v[j].value(sum, first), r, j);
        V::store_u8(y + row_at(r) * stride + j * V::kLanes, V::min(V::max(t, least), most), zero);
      }
  }
}

// Rows as they come, and nothing to add; kTame as Finish::tame.
template <class V, bool kTame>
struct PlainRows {
  size_t operator()(size_t r) const { return r; }
  static constexpr bool bias_first() { return false; }
  static typename V::Int whole(typename V::F t, typename V::F least, typename V::F most) {
    if constexpr (kTame) return V::whole(t);
    return V::whole_within(t, least, most);
  }
  typename V::F add(typename V::F t, size_t, size_t) const { return t; }
};
// The same with a residual.
template <class V>
struct ResidualRows {
  const uint8_t* from;
  size_t stride;
  typename V::F scale;
  typename V::Int zero;
  explicit ResidualRows(const Finish& f)
      : from(f.residual),
        stride(f.residual_stride),
        scale(V::set1(f.residual_scale)),
        zero(V::set1_i(f.residual_zero)) {}
  static typename V::Int whole(typename V::F t, typename V::F least, typename V::F most) {
    return V::whole_within(t, least, most);
  }
  typename V::F add(typename V::F t, size_t r, size_t j) const {
    const typename V::Int q = V::sub_i(V::widen_u8(from + r * stride + j * V::kLanes), zero);
    return V::add(t, V::mul(V::to_float(q), scale));
  }
};
template <class V>
struct AnyRows {
  const uint32_t* order;
  Finish f;
  size_t operator()(size_t r) const { return order ? order[r] : r; }
  bool bias_first() const { return f.bias_first; }
  static typename V::Int whole(typename V::F t, typename V::F least, typename V::F most) {
    return V::whole_within(t, least, most);
  }
  typename V::F add(typename V::F t, size_t r, size_t j) const {
    if (!f.residual) return t;
    return V::add(t, residual<V>(f, f.residual + (*this)(r)*f.residual_stride + j * V::kLanes));
  }
};

template <class V, int R, int NV>
inline void finish_floats(const GemmArgs& a, const int32_t* sums) {
  const typename V::F least = V::set1(a.finish.min), most = V::set1(a.finish.max);
  for (size_t j = 0; j < NV; ++j) {
    const OutputVector<V> v(a, j);
    for (size_t r = 0; r < R; ++r)
      V::store(a.y32 + row_of(a, r) * a.y_stride + j * V::kLanes,
               V::min(V::max(value_of<V, NV>(a, v, sums, r, j), least), most));
  }
}

// multiply() and finish_bytes() at once, straight from the registers that the sums are in.
template <class V, int R, class RowAt>
__attribute__((noinline)) void multiply_bytes(const GemmArgs& a, const RowAt& row_at) {
  typename V::Sum sum[R][2];
  accumulate<V, R, 2>(a, sum);
  _Pragma("GCC unroll 16") for (int r = 0; r < R; ++r)
      _Pragma("GCC unroll 2") for (int j = 0; j < 2; ++j) sum[r][j] = V::detach(sum[r][j]);
  const typename V::F least = V::set1(a.finish.min), most = V::set1(a.finish.max);
  const typename V::Bounds bounds(a.finish);
  const OutputVector<V> v[2] = {OutputVector<V>(a, 0), OutputVector<V>(a, 1)};
  uint8_t* const y = a.y8;
  const size_t stride = a.y_stride;
  _Pragma("GCC unroll 8") for (int r = 0; r + 2 <= R; r += 2) {
    typename V::Int q[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) {
      const typename V::F t = v[i % 2].of(sum[r + i / 2][i % 2], false);
      q[i] = RowAt::whole(row_at.add(t, r + i / 2, i % 2), least, most);
    }
    const typename V::Raw bytes = V::pack4(q[0], q[1], q[2], q[3], bounds);
    V::template store_part<2>(y + r * stride, bytes, 0);
    V::template store_part<2>(y + (r + 1) * stride, bytes, 1);
  }
  if constexpr (R % 2 != 0) {
    const typename V::Int zero = V::set1_i(a.finish.zero);
    _Pragma("GCC unroll 2") for (int j = 0; j < 2; ++j) {
      const typename V::F t = row_at.add(v[j].of(sum[R - 1][j], false), R - 1, j);
      V::store_u8(y + (R - 1) * stride + j * V::kLanes, V::min(V::max(t, least), most), zero);
    }
  }
}

template <class V, int R, int NV>
void tile(const GemmArgs& a) {
  // From 85 rows on every tile is 12 to 14 high.
  if constexpr (V::kDirect && NV == 2 && R >= 12) {
    const bool in_order = a.y8 && !a.row_at && !a.finish.bias_first;
    if (in_order && a.finish.residual) return multiply_bytes<V, R>(a, ResidualRows<V>(a.finish));
    if (in_order && a.finish.tame) return multiply_bytes<V, R>(a, PlainRows<V, true>{});
  }
  alignas(64) int32_t sums[R * NV * V::kLanes];
  multiply<V, R, NV>(a, sums);
  const bool plain = a.y8 && !a.row_at && !a.finish.residual && !a.finish.bias_first;
  if (V::kTame && plain && a.finish.tame)
    finish_bytes<V, R, NV>(a, sums, PlainRows<V, V::kTame>{});
  else if (plain)
    finish_bytes<V, R, NV>(a, sums, PlainRows<V, false>{});
  else if (a.y8)
    finish_bytes<V, R, NV>(a, sums, AnyRows<V>{a.row_at, a.finish});
  else
    finish_floats<V, R, NV>(a, sums);
}

template <class V, int NV, int... R>
inline void tile_of(const GemmArgs& a, std::integer_sequence<int, R...>) {
  using Fn = void(const GemmArgs&);
  static constexpr Fn* kByRows[] = {&tile<V, R + 1, NV>...};
  kByRows[a.rows - 1](a);
}

template <class V>
inline void tile_of_rows(const GemmArgs& a) {
  static_assert(V::kTileN == 2 * V::kLanes, "panels of one vector and of two");
  constexpr std::make_integer_sequence<int, V::kTileM> heights{};
  if (a.outputs > V::kLanes)
    tile_of<V, 2>(a, heights);
  else
    tile_of<V, 1>(a, heights);
}

// The last columns of a layer: what is read or written by whole vectors is staged in a tile of
// our own, so that tile() needs no partial form.
template <class V>
void narrow_tile(const GemmArgs& a) {
  constexpr size_t N = V::kTileN;
  float y32[V::kTileM * N], scale[N] = {}, bias[N] = {};
  uint8_t y8[V::kTileM * N], add[V::kTileM * N] = {};
  GemmArgs b = a;
  if (a.y8) b.y8 = y8;
  if (a.y32) b.y32 = y32;
  b.row_at = nullptr, b.y_stride = N;
  b.outputs = a.outputs > V::kLanes ? N : V::kLanes;
  const size_t bytes = a.outputs * sizeof(float);
  if (a.finish.scale) std::memcpy(scale, a.finish.scale, bytes), b.finish.scale = scale;
  if (a.finish.bias) std::memcpy(bias, a.finish.bias, bytes), b.finish.bias = bias;
  if (a.finish.residual) {
    for (size_t r = 0; r < a.rows; ++r)
      std::memcpy(add + r * N, a.finish.residual + row_of(a, r) * a.finish.residual_stride,
                  a.outputs);
    b.finish.residual = add, b.finish.residual_stride = N;
  }
  tile_of_rows<V>(b);
  for (size_t r = 0; r < a.rows; ++r) {
    const size_t at = row_of(a, r) * a.y_stride;
    if (a.y8) std::memcpy(a.y8 + at, y8 + r * N, a.outputs);
    if (a.y32) std::memcpy(a.y32 + at, y32 + r * N, bytes);
  }
}

// Tiles of about equal height: 49 rows go as 13 + 12 + 12 + 12 and not as 3 * 14 + 7.
template <class V>
void gemm(const GemmArgs& all) {
  if (all.outputs == 0) return;
  const size_t tiles = (all.rows + V::kTileM - 1) / V::kTileM;
  GemmArgs a = all;
  for (size_t t = 0; t < tiles; ++t) {
    a.rows = all.rows / tiles + (t < all.rows % tiles ? 1 : 0);
    if (a.outputs % V::kLanes == 0)
      tile_of_rows<V>(a);
    else
      narrow_tile<V>(a);
    a.x += a.rows * a.x_stride;
    if (a.row_at) {
      a.row_at += a.rows;
      continue;
    }
    if (a.y8) a.y8 += a.rows * a.y_stride;
    if (a.y32) a.y32 += a.rows * a.y_stride;
    if (a.finish.residual) a.finish.residual += a.rows * a.finish.residual_stride;
  }
}
}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_GEMM_H_
