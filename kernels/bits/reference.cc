// The bits family by definition: words are compared and their ones counted.
#include <cstring>

#include "kernels/bits/bits.h"

namespace qrt::kernels::bits {
namespace {

// Kept: flips [output word], bounds [class][output].
size_t kept(const Shape& s) {
  if (s.form != Form::bits) return 0;
  return words_of(s.outputs) * sizeof(uint64_t) + s.classes * s.outputs * sizeof(int32_t);
}

void pack(const PackArgs& a) {
  const Shape& s = a.shape;
  if (s.form != Form::bits) return;
  uint64_t* to = static_cast<uint64_t*>(a.kept);
  for (size_t i = 0; i < words_of(s.outputs); ++i) *to++ = a.flips ? a.flips[i] : 0;
  std::memcpy(to, a.bounds, s.classes * s.outputs * sizeof(int32_t));
}

int32_t differ(const Args& a, const uint64_t* x, const uint64_t* w) {
  const size_t words = words_of(a.shape.inputs);
  int32_t count = 0;
  for (size_t i = 0; i < a.shape.w_planes; ++i)
    for (size_t j = 0; j < a.shape.x_planes; ++j)
      for (size_t k = 0; k < words; ++k)
        count += __builtin_popcountll(x[j * a.x_plane + k] ^ w[i * a.w_plane + k]) << (i + j);
  return count;
}

// Adding 1.5 * 2^23 leaves no bits behind the point: the sum is rounded to nearest even.
float nearest(float t) {
  constexpr float kMagic = 12582912.0f;
  return t + kMagic - kMagic;
}

void store(const Args& a, size_t row, size_t n, int32_t sum) {
  const size_t at = row * a.y_stride + n;
  if (a.sums) {
    a.sums[at] = sum;
    return;
  }
  const int8::Finish& f = a.finish;
  float t = static_cast<float>(sum);
  if (f.scale) t *= f.scale[n];
  if (f.bias) t += f.bias[n];
  if (f.residual) {
    const int32_t q = int32_t{f.residual[row * f.residual_stride + n]} - f.residual_zero;
    t += static_cast<float>(q) * f.residual_scale;
  }
  t = t > f.min ? t : f.min;  // a NaN is not greater
  t = t < f.max ? t : f.max;
  if (a.y8)
    a.y8[at] = static_cast<uint8_t>(static_cast<int32_t>(nearest(t)) + f.zero);
  else
    a.y32[at] = t;
}

void run(const Args& a) {
  const Shape& s = a.shape;
  const uint64_t* flips = static_cast<const uint64_t*>(a.kept);
  const int32_t* bounds = reinterpret_cast<const int32_t*>(flips + words_of(s.outputs));
  for (size_t r = 0; r < s.rows; ++r) {
    const size_t group = a.class_of ? a.class_of[r] : 0u;
    if (a.bits)
      for (size_t i = 0; i < words_of(a.outputs); ++i) a.bits[r * a.y_stride + i] = 0;
    for (size_t n = 0; n < a.outputs; ++n) {
      const size_t output = a.first_output + n;
      const int32_t count = differ(a, a.x + r * a.x_stride, a.weights + output * a.w_stride);
      if (a.bits) {
        const bool below = count < bounds[group * s.outputs + output];
        const bool flip = flips[output / kWord] >> output % kWord & 1u;
        a.bits[r * a.y_stride + n / kWord] |= uint64_t{below != flip} << n % kWord;
      } else {
        store(a, r, n, a.base[group * a.base_stride + n] - 2 * count);
      }
    }
  }
}

size_t scratch(const Shape&) {
  return kAlign;
}

// Not tuned: 1 ns per pair of words.
float cost_ns(const Shape& s) {
  if (!in_contract(s)) return -1.0f;
  return static_cast<float>(s.rows * s.outputs * words_of(s.inputs) * s.x_planes * s.w_planes);
}

}  // namespace

const Way bits_reference = {kWord, 1, kept, scratch, cost_ns, pack, run};

}  // namespace qrt::kernels::bits
