// Sums of rows in lanes become outputs: the affine and the residual of int8.h in the lanes, then 16
// outputs by all rows are transposed as bytes, so that each row stores 16 of them at once.
#ifndef QRT_KERNELS_TABLES_GENERIC_FINISH_H_
#define QRT_KERNELS_TABLES_GENERIC_FINISH_H_

#include "kernels/tables/codes.h"
#include "kernels/tables/plan.h"

namespace qrt::kernels::tables {
namespace {

// 16 lines of V::kBytes to and fro: byte p of line i is byte i of line p % 16, 16-byte lane p / 16.
// Taking turns of bytes from lines i and i + 8 is one of the four steps of a transpose.
template <class V>
inline void transpose_lines(uint8_t* lines) {
  typename V::Vec a[16], b[16];
#define QRT_STEP(to, from)                                 \
  _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; ++i) { \
    to[2 * i] = V::zip_lo8(from[i], from[i + 8]);          \
    to[2 * i + 1] = V::zip_hi8(from[i], from[i + 8]);      \
  }
  _Pragma("GCC unroll 16") for (size_t i = 0; i < 16; ++i) a[i] = V::load(lines + i * V::kBytes);
  QRT_STEP(b, a)
  QRT_STEP(a, b)
  QRT_STEP(b, a)
  QRT_STEP(a, b)
  _Pragma("GCC unroll 16") for (size_t i = 0; i < 16; ++i) V::store(lines + i * V::kBytes, a[i]);
#undef QRT_STEP
}

// Where a row's 16 bytes are once lines are transposed.
template <class V>
struct Places {
  uint16_t of[V::kBytes] = {};
  constexpr Places() {
    for (size_t row = 0; row < V::kBytes; ++row)
      of[row] =
          static_cast<uint16_t>(V::row_byte(row) % 16 * V::kBytes + V::row_byte(row) / 16 * 16);
  }
};
template <class V>
inline constexpr Places<V> kPlaces;

template <class V>
void copy_rows(uint8_t* to, size_t stride, size_t rows, size_t live, const uint8_t* lines) {
  if (live == kChunk) {
    for (size_t r = 0; r < rows; ++r)
      std::memcpy(to + r * stride, lines + kPlaces<V>.of[r], kChunk);
  } else {
    for (size_t r = 0; r < rows; ++r) std::memcpy(to + r * stride, lines + kPlaces<V>.of[r], live);
  }
}

template <class V, size_t Z>
inline void clamp(const int8::Finish& f, typename V::F* t) {
  const typename V::F lo = V::set_f(f.min), hi = V::set_f(f.max);
  _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z) t[z] = V::min_f(V::max_f(t[z], lo), hi);
}

// t += residual, given as integers.
template <class V, size_t Z>
inline void add_residual(const int8::Finish& f, const typename V::Vec* q, typename V::F* t) {
  const typename V::Vec zero = V::set32(-f.residual_zero);
  _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z) t[z] =
      V::add_f(t[z], V::mul_f(V::to_float(V::add32(q[z], zero)), V::set_f(f.residual_scale)));
}

// One output, all rows of the tile: v becomes t of int8.h before its clamp. `residual` is a line or
// null.
template <class V, size_t Z>
inline void affine(const int8::Finish& f, size_t n, const uint8_t* residual,
                   const typename V::Vec* v, typename V::F* t) {
  _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z) {
    t[z] = V::to_float(v[z]);
    if (f.scale) t[z] = V::mul_f(t[z], V::set_f(f.scale[n]));
    if (f.bias) t[z] = V::add_f(t[z], V::set_f(f.bias[n]));
  }
  if (residual) {
    typename V::Vec q[Z];
    V::rows_of_line(V::load(residual), Z, q);
    add_residual<V, Z>(f, q, t);
  }
}

// Whether |t| < 2^22 for `live` outputs from n on, whatever their sums. Then t may be rounded first
// and clamped as an integer by saturating packs: bounds are whole, so that the two commute. A NaN
// or an infinity among the constants is not less than anything.
inline bool is_tame(const Args& a, size_t n, size_t live) {
  const int8::Finish& f = a.finish;
  const Shape s = shape_of(a);
  const float most = static_cast<float>((s.blocks * s.books) << (a.keep - 1));
  const auto size = [](float x) { return x < 0 ? -x : x; };
  const float residual = f.residual ? 255.0f * size(f.residual_scale) : 0.0f;
  bool tame = true;
  for (size_t i = n; i < n + live; ++i) {
    const float scale = f.scale ? size(f.scale[i]) : 1.0f, bias = f.bias ? size(f.bias[i]) : 0.0f;
    tame = tame && most * scale + bias + residual < 4194304.0f;
  }
  return tame;
}

// t, clamped, rounded and made bytes.
template <class V, size_t Z>
inline typename V::Vec line_of(const int8::Finish& f, bool tame, const typename V::Limits& limits,
                               typename V::F* t) {
  if (tame) return V::line_of_floats(t, Z, limits);
  const typename V::Vec zero = V::set32(f.zero);
  typename V::Vec v[Z];
  clamp<V, Z>(f, t);
  _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z) v[z] = V::add32(V::nearest(t[z]), zero);
  return V::line_of_rows(v, Z);
}

// Outputs [n, n + kChunk) of the call, from 16-bit sums of `lookups` lookups or, acc being null,
// from int32 ones.
template <class T>
__attribute__((noinline)) void finish(const Args& a, size_t n, const uint8_t* acc, size_t lookups,
                                      const uint8_t* sums) {
  using V = typename T::Simd;
  constexpr size_t Z = T::kVectors;
  const size_t live = least(kChunk, a.outputs - n);
  alignas(64) uint8_t lines[kChunk * V::kBytes], residual[kChunk * V::kBytes];
  float floats[kChunk][Z * V::kLanes];
  if (live < kChunk) std::memset(lines, 0, sizeof lines);
  if (a.finish.residual) {
    const uint8_t* from = a.finish.residual + n;
    if (live < kChunk || a.rows < T::kRows) std::memset(residual, 0, sizeof residual);
    for (size_t r = 0; r < a.rows; ++r)
      std::memcpy(residual + kPlaces<V>.of[r], from + r * a.finish.residual_stride, live);
    transpose_lines<V>(residual);
  }
  const bool tame = a.y8 && is_tame(a, n, live);
  const typename V::Limits limits =
      tame ? V::limits(a.finish.zero, static_cast<int>(a.finish.min) + a.finish.zero,
                       static_cast<int>(a.finish.max) + a.finish.zero)
           : V::limits(0, 0, 255);
  for (size_t i = 0; i < live; ++i) {
    typename V::Vec v[Z];
    typename V::F t[Z];
    if (acc) {
      T::ints(acc + i * T::kAccBytes, lookups, v);
    } else {
      _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z) v[z] =
          V::load(sums + (i * Z + z) * V::kBytes);
    }
    affine<V, Z>(a.finish, n + i, a.finish.residual ? residual + i * V::kBytes : nullptr, v, t);
    if (a.y8) {
      V::store(lines + i * V::kBytes, line_of<V, Z>(a.finish, tame, limits, t));
    } else {
      clamp<V, Z>(a.finish, t);
      for (size_t z = 0; z < Z; ++z) V::store_f(floats[i] + z * V::kLanes, t[z]);
    }
  }
  if (a.y8) {
    transpose_lines<V>(lines);
    copy_rows<V>(a.y8 + n, a.y_stride, a.rows, live, lines);
    return;
  }
  for (size_t r = 0; r < a.rows; ++r)
    for (size_t i = 0; i < live; ++i) a.y32[r * a.y_stride + n + i] = floats[i][V::int_of(r)];
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_FINISH_H_
