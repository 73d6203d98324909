// The matrices of both sizes, applied along one axis to vectors or scalars of unsigned integers:
// everything is modulo 2^16 (entries, input) or 2^32 (output).
//
//   y = A' ((G g G') * (B' d B)) A, the points of F(2x2,3x3) being 0, 1, -1, infinity and those of
//   F(4x4,3x3) 0, 1, -1, 2, -2, infinity.
//
// Rows of G have fractions: over 2 in F(2x2), over 4, 6, 6, 24, 24 and 1 in F(4x4). Each is scaled
// by itself to whole numbers as small as can be, which A' makes up for: with all rows over 2 the
// result is 2 * 2 = 4 times the sum; in F(4x4) weights 6, 4, 4, 1, 1, 24 in A' make it 24 * 24.
//
//   G  (2 0 0) ( 1  1  1) ( 1 -1  1) (0 0 2)
//   G  (1 0 0) (-1 -1 -1) (-1  1 -1) (1 2 4) (1 -2 4) (0 0 1)
//
// Sizes: |x - x_zero| <= 255 and rows of B' add up to 2 and to 10 in absolute values, so that
// |B'dB| <= 4 * 255 = 1020 and 100 * 255 = 25500; |g| <= 127 and rows of G add up to 3 and to 7, so
// that |GgG'| <= 9 * 127 and 49 * 127 = 6223. All fit 16 signed bits.
#ifndef QRT_KERNELS_WINOGRAD8_TRANSFORMS_H_
#define QRT_KERNELS_WINOGRAD8_TRANSFORMS_H_

#include <cstddef>
#include <cstdint>

namespace qrt::kernels::winograd8 {
namespace {

template <int E>
constexpr size_t kAxis = E + 2;  // of a window
template <int E>
constexpr size_t kPositions = kAxis<E>* kAxis<E>;
template <int E>
constexpr size_t kLine = E == 2 ? 16 : 48;

// v[i * s] = row i of G times (g0, g1, g2).
template <int E, class T>
constexpr void entry_axis(T g0, T g1, T g2, T* v, size_t s) {
  const auto put = [&](size_t i, auto x) { v[i * s] = static_cast<T>(x); };
  if constexpr (E == 2) {
    put(0, g0 + g0), put(1, g0 + g1 + g2), put(2, g0 - g1 + g2), put(3, g2 + g2);
  } else {
    put(0, g0), put(1, -g0 - g1 - g2), put(2, g1 - g0 - g2);
    put(3, g0 + 2 * g1 + 4 * g2), put(4, g0 - 2 * g1 + 4 * g2), put(5, g2);
  }
}

// v[i * s] = row i of B' times the d[j * s].
template <int E, class T>
inline void input_axis(const T* d, T* v, size_t s) {
  const T a = d[0], b = d[s], c = d[2 * s], e = d[3 * s];
  if constexpr (E == 2) {
    v[0] = a - c, v[s] = b + c, v[2 * s] = c - b, v[3 * s] = b - e;
  } else {
    const T f = d[4 * s], g = d[5 * s], x = (e - b) << 1, y = f - c;
    v[0] = ((a - c) << 2) - c + f;
    v[s] = e + f - ((b + c) << 2);
    v[2 * s] = ((b - c) << 2) + f - e;
    v[3 * s] = y + x, v[4 * s] = y - x;
    v[5 * s] = ((b - e) << 2) - e + g;
  }
}

// y[i * t] = row i of the scaled A' times the m[j * s].
template <int E, class T>
inline void output_axis(const T* m, size_t s, T* y, size_t t) {
  if constexpr (E == 2) {
    y[0] = m[0] + m[s] + m[2 * s], y[t] = m[s] - m[2 * s] - m[3 * s];
  } else {
    const T a = (m[s] + m[2 * s]) << 2, b = (m[s] - m[2 * s]) << 2;
    const T c = m[3 * s] + m[4 * s], e = m[3 * s] - m[4 * s];
    y[0] = (m[0] << 2) + (m[0] << 1) + a + c;
    y[t] = b + (e << 1);
    y[2 * t] = a + (c << 2);
    y[3 * t] = b + (e << 3) + (m[5 * s] << 4) + (m[5 * s] << 3);
  }
}

// 954437177 * 9 = 2 * 2^32 + 1: times this, 576 = 9 * 64 times the sum is 64 times the sum. An
// arithmetic shift finds the sum where its product with 4 or 64 does not leave 32 signed bits.
constexpr uint32_t kInverse9 = 954437177;

}  // namespace
}  // namespace qrt::kernels::winograd8

#endif  // QRT_KERNELS_WINOGRAD8_TRANSFORMS_H_
