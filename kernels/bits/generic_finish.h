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
inline int32_t nearest(float t) {
  constexpr float kMagic = 12582912.0f;
  return static_cast<int32_t>(t + kMagic - kMagic);
}
inline uint8_t stored(float t, int32_t zero, uint8_t) {
  return static_cast<uint8_t>(nearest(t) + zero);
}
inline float stored(float t, int32_t, float) {
  return t;
}

// What stands for scales and biases that are not there: t * 1 and t + -0 are t to the bit.
struct Neutral {
  float ones[kMaxLanes], zeros[kMaxLanes];
};
constexpr Neutral neutral() {
  Neutral n{};
  for (size_t i = 0; i < kMaxLanes; ++i) n.ones[i] = 1.0f, n.zeros[i] = -0.0f;
  return n;
}
constexpr Neutral kNeutral = neutral();

// One loop, so that nothing goes to memory between its steps.
template <bool kResidual, class Out>
inline void finish_as(const int8::Finish& f, size_t row, size_t first, size_t count,
                      const int32_t* base, const int32_t* differ, Out* __restrict y) {
  const float* scale = f.scale ? f.scale + first : kNeutral.ones;
  const float* bias = f.bias ? f.bias + first : kNeutral.zeros;
  const uint8_t* add = kResidual ? f.residual + row * f.residual_stride + first : nullptr;
  const float min = f.min, max = f.max, add_scale = f.residual_scale;
  const int32_t zero = f.zero, add_zero = f.residual_zero;
  for (size_t n = 0; n < count; ++n) {
    float t = static_cast<float>(base[n] - 2 * differ[n]) * scale[n];
    t += bias[n];
    if (kResidual) t += static_cast<float>(int32_t{add[n]} - add_zero) * add_scale;
    t = t > min ? t : min;  // a NaN is not greater
    t = t < max ? t : max;
    y[n] = stored(t, zero, Out{});
  }
}

// `count` outputs of a row from the call's output `first` on.
__attribute__((noinline)) void finish_row(const Args& a, size_t row, size_t first, size_t count,
                                          const int32_t* differ) {
  const int32_t* base = a.base + (a.class_of ? a.class_of[row] : 0u) * a.base_stride + first;
  const size_t at = row * a.y_stride + first;
  const int8::Finish& f = a.finish;
  if (a.sums) {
    int32_t* __restrict y = a.sums + at;
    for (size_t n = 0; n < count; ++n) y[n] = base[n] - 2 * differ[n];
  } else if (a.y8) {
    if (f.residual)
      finish_as<true>(f, row, first, count, base, differ, a.y8 + at);
    else
      finish_as<false>(f, row, first, count, base, differ, a.y8 + at);
  } else {
    if (f.residual)
      finish_as<true>(f, row, first, count, base, differ, a.y32 + at);
    else
      finish_as<false>(f, row, first, count, base, differ, a.y32 + at);
  }
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_FINISH_H_
