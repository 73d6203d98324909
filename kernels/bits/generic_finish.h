// Counts of a row become what the layer gives, in plain loops that compilers turn into vectors.
#ifndef QRT_KERNELS_BITS_GENERIC_FINISH_H_
#define QRT_KERNELS_BITS_GENERIC_FINISH_H_

#include "kernels/bits/generic.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kMaxLanes = 512;

// What ways keep that compare integers: flips, then bounds, zeros behind the outputs up to whole
// words.
struct Bounds {
  static size_t kept(const Shape& s) {
    const size_t words = words_of(s.outputs);
    return s.form == Form::bits ? words * (sizeof(uint64_t) + s.classes * kWord * sizeof(int32_t))
                                : 0;
  }
  static void pack(const PackArgs& a, void* kept) {
    const size_t words = words_of(a.shape.outputs), outputs = a.shape.outputs;
    uint64_t* flips = static_cast<uint64_t*>(kept);
    for (size_t i = 0; i < words; ++i) flips[i] = a.flips ? a.flips[i] : 0;
    int32_t* to = reinterpret_cast<int32_t*>(flips + words);
    for (size_t i = 0; i < a.shape.classes; ++i, to += words * kWord) {
      std::memcpy(to, a.bounds + i * outputs, outputs * sizeof(int32_t));
      for (size_t n = outputs; n < words * kWord; ++n) to[n] = 0;
    }
  }
  Bounds(const Shape& s, const void* kept)
      : flips(static_cast<const uint64_t*>(kept)),
        stride(words_of(s.outputs) * kWord),
        bounds(reinterpret_cast<const int32_t*>(flips + words_of(s.outputs))) {}
  const uint64_t* flips;
  size_t stride;
  const int32_t* bounds;  // [class] at stride, [output]
};

// Adding 1.5 * 2^23 leaves no bits behind the point: the sum is rounded to nearest even.
inline float nearest(float t) {
  constexpr float kMagic = 12582912.0f;
  return t + kMagic - kMagic;
}

inline void affine(const int8::Finish& f, size_t row, size_t first, size_t count, float* t) {
  if (f.scale)
    for (size_t n = 0; n < count; ++n) t[n] *= f.scale[first + n];
  if (f.bias)
    for (size_t n = 0; n < count; ++n) t[n] += f.bias[first + n];
  if (f.residual) {
    const uint8_t* add = f.residual + row * f.residual_stride + first;
    for (size_t n = 0; n < count; ++n)
      t[n] += static_cast<float>(int32_t{add[n]} - f.residual_zero) * f.residual_scale;
  }
  for (size_t n = 0; n < count; ++n) {
    const float low = t[n] > f.min ? t[n] : f.min;  // a NaN is not greater
    t[n] = low < f.max ? low : f.max;
  }
}

// `count` outputs of a row from the call's output `first` on.
__attribute__((noinline)) void finish_row(const Args& a, size_t row, size_t first, size_t count,
                                          const int32_t* differ) {
  const int32_t* base = a.base + (a.class_of ? a.class_of[row] : 0u) * a.base_stride + first;
  if (a.sums) {
    int32_t* y = a.sums + row * a.y_stride + first;
    for (size_t n = 0; n < count; ++n) y[n] = base[n] - 2 * differ[n];
    return;
  }
  alignas(64) float t[kMaxLanes];
  for (size_t n = 0; n < count; ++n) t[n] = static_cast<float>(base[n] - 2 * differ[n]);
  affine(a.finish, row, first, count, t);
  if (a.y32) {
    std::memcpy(a.y32 + row * a.y_stride + first, t, count * sizeof(float));
    return;
  }
  uint8_t* y = a.y8 + row * a.y_stride + first;
  const int32_t zero = a.finish.zero;
  for (size_t n = 0; n < count; ++n)
    y[n] = static_cast<uint8_t>(static_cast<int32_t>(nearest(t[n])) + zero);
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_FINISH_H_
