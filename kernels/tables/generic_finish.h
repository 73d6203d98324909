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

// Chunks of outputs that are stored together, so that a row's line of the cache is touched once:
// rows are often a power of two apart and push each other out.
inline constexpr size_t kStored = 4;

// `live` outputs of all rows of a part, from transposed lines of one chunk after the other.
template <class V>
__attribute__((noinline)) void copy_rows(uint8_t* to, size_t stride, size_t rows, size_t live,
                                         const uint8_t* lines) {
  constexpr size_t kLines = kChunk * V::kBytes;
  for (size_t r = 0; r < rows; ++r, to += stride) {
    const uint8_t* const from = lines + kPlaces<V>.of[r];
    if (live == kStored * kChunk) {
      _Pragma("GCC unroll 4") for (size_t i = 0; i < kStored; ++i)
          std::memcpy(to + i * kChunk, from + i * kLines, kChunk);
    } else {
      for (size_t n = 0, i = 0; n < live; n += kChunk, ++i)
        std::memcpy(to + n, from + i * kLines, least(kChunk, live - n));
    }
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

// The largest magnitude; more than any other number where one of them is not a number, since
// magnitudes order as their bits do.
inline float largest(const float* values, size_t count) {
  uint32_t most = 0;
  for (size_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bits &= 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  float value;
  std::memcpy(&value, &most, sizeof value);
  return value;
}

// Whether |t| < 2^22 for all outputs, whatever their sums. Then t may be rounded first and clamped
// as an integer by saturating packs: bounds are whole, so that the two commute. A NaN or an
// infinity among the constants is not less than anything.
inline bool is_tame(const Args& a) {
  const int8::Finish& f = a.finish;
  const Shape s = shape_of(a);
  const float most = static_cast<float>((s.blocks * s.books) << (a.keep - 1));
  const float scale = f.scale ? largest(f.scale, a.outputs) : 1.0f;
  const float bias = f.bias ? largest(f.bias, a.outputs) : 0.0f;
  const float step = f.residual_scale < 0 ? -f.residual_scale : f.residual_scale;
  return most * scale + bias + (f.residual ? 255.0f * step : 0.0f) < 4194304.0f;
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

// What is to be finished: 16-bit sums of `lookups` lookups or, acc being null, int32 ones.
struct Sums {
  const uint8_t* acc;
  size_t lookups;
  const uint8_t* sums;
};

// What is most frequent, with all that does not change between outputs in registers: bytes of
// 16-bit sums, scale and bias, no residual, no t that is large.
template <class T>
__attribute__((noinline)) void finish_plain(const int8::Finish& f, size_t n, size_t live,
                                            const Sums& from, uint8_t* lines) {
  using V = typename T::Simd;
  const typename V::Limits limits =
      V::limits(f.zero, static_cast<int>(f.min) + f.zero, static_cast<int>(f.max) + f.zero);
  const typename V::F take = V::to_take(static_cast<int32_t>(from.lookups) * T::kBias);
  const float *const scale = f.scale + n, *const bias = f.bias + n;
  const uint8_t* const acc = from.acc;
  for (size_t i = 0; i < live; ++i) {
    typename V::F t[4];
    V::floats_of_acc8(V::load8(acc + i * T::kAccBytes), take, t);
    const typename V::F by = V::set_f(scale[i]), plus = V::set_f(bias[i]);
    _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z) t[z] =
        V::add_f(V::mul_f(t[z], by), plus);
    V::store(lines + i * V::kBytes, V::line_of_floats(t, 4, limits));
  }
  if (live < kChunk) std::memset(lines + live * V::kBytes, 0, (kChunk - live) * V::kBytes);
  transpose_lines<V>(lines);
}

// Outputs [n, n + kChunk) of the call: bytes to `lines`, transposed, for copy_rows(); floats to
// where they belong.
template <class T>
__attribute__((noinline)) void finish(const Args& a, bool tame, size_t n, const Sums& from,
                                      uint8_t* lines) {
  using V = typename T::Simd;
  constexpr size_t Z = T::kVectors;
  const size_t live = least(kChunk, a.outputs - n);
  if constexpr (T::kFloatSums) {
    const int8::Finish& f = a.finish;
    if (a.y8 && tame && from.acc && f.scale && f.bias && !f.residual)
      return finish_plain<T>(f, n, live, from, lines);
  }
  alignas(64) uint8_t residual[kChunk * V::kBytes];
  float floats[kChunk][Z * V::kLanes];
  if (live < kChunk) std::memset(lines, 0, kChunk * V::kBytes);
  if (a.finish.residual) {
    const uint8_t* const bytes = a.finish.residual + n;
    if (live < kChunk || a.rows < T::kRows) std::memset(residual, 0, sizeof residual);
    for (size_t r = 0; r < a.rows; ++r)
      std::memcpy(residual + kPlaces<V>.of[r], bytes + r * a.finish.residual_stride, live);
    transpose_lines<V>(residual);
  }
  const typename V::Limits limits =
      tame ? V::limits(a.finish.zero, static_cast<int>(a.finish.min) + a.finish.zero,
                       static_cast<int>(a.finish.max) + a.finish.zero)
           : V::limits(0, 0, 255);
  for (size_t i = 0; i < live; ++i) {
    typename V::Vec v[Z];
    typename V::F t[Z];
    if (from.acc) {
      T::ints(from.acc + i * T::kAccBytes, from.lookups, v);
    } else {
      _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z) v[z] =
          V::load(from.sums + (i * Z + z) * V::kBytes);
    }
    affine<V, Z>(a.finish, n + i, a.finish.residual ? residual + i * V::kBytes : nullptr, v, t);
    if (a.y8) {
      V::store(lines + i * V::kBytes, line_of<V, Z>(a.finish, tame, limits, t));
    } else {
      clamp<V, Z>(a.finish, t);
      for (size_t z = 0; z < Z; ++z) V::store_f(floats[i] + z * V::kLanes, t[z]);
    }
  }
  if (a.y8) return transpose_lines<V>(lines);
  for (size_t r = 0; r < a.rows; ++r)
    for (size_t i = 0; i < live; ++i) a.y32[r * a.y_stride + n + i] = floats[i][V::int_of(r)];
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_FINISH_H_
