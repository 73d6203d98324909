// The shift family by definition.
#include "kernels/shift/shift.h"

namespace qrt::kernels::shift {
namespace {

uint32_t code_of(const Args& a, size_t output, size_t input) {
  const uint8_t* row = a.codes + output * a.row_bytes;
  uint32_t code = 0;
  for (uint32_t i = 0; i < a.plan->bits; ++i) {
    const size_t bit = input * a.plan->bits + i;
    code |= (row[bit / 8] >> bit % 8 & 1u) << i;
  }
  return code;
}

int32_t sum_of(const Args& a, size_t row, size_t n, size_t first, size_t end) {
  const size_t channels = a.inputs / a.taps;
  int32_t sum = 0;
  for (size_t k = first; k < end; ++k) {
    const size_t at = row * a.x_stride + k, input = k % channels * a.taps + k / channels;
    const int32_t x = a.x ? int32_t{a.x[at]} - a.x_zero : a.x16[at];
    sum += x * a.plan->integers[code_of(a, a.first_output + n, input)];
  }
  return sum;
}

// Adding 1.5 * 2^23 leaves no bits behind the point: the sum is rounded to nearest even.
float nearest(float t) {
  constexpr float kMagic = 12582912.0f;
  return t + kMagic - kMagic;
}

void store(const Args& a, size_t row, size_t n, float t) {
  const int8::Finish& f = a.finish;
  if (f.bias_first) t += f.bias[n];
  if (f.scale) t *= f.scale[n];
  if (f.bias && !f.bias_first) t += f.bias[n];
  if (f.residual) {
    const int32_t q = int32_t{f.residual[row * f.residual_stride + n]} - f.residual_zero;
    t += static_cast<float>(q) * f.residual_scale;
  }
  t = t > f.min ? t : f.min;  // a NaN is not greater
  t = t < f.max ? t : f.max;
  const size_t at = row * a.y_stride + n;
  if (a.y8)
    a.y8[at] = static_cast<uint8_t>(static_cast<int32_t>(nearest(t)) + f.zero);
  else
    a.y32[at] = t;
}

void run(const Args& a) {
  for (size_t r = 0; r < a.rows; ++r) {
    for (size_t n = 0; n < a.outputs; ++n) {
      float t = 0;
      if (a.group == 0) t = static_cast<float>(sum_of(a, r, n, 0, a.inputs));
      for (size_t k = 0, g = 0; a.group != 0 && k < a.inputs; k += a.group, ++g) {
        const size_t end = a.inputs - k < a.group ? a.inputs : k + a.group;
        t += static_cast<float>(sum_of(a, r, n, k, end)) * a.group_scale[n * a.group_stride + g];
      }
      store(a, r, n, t);
    }
  }
}

size_t scratch(const Plan&, const Shape&) {
  return 64;
}

}  // namespace

const Way shift_reference = {1, scratch, run};

}  // namespace qrt::kernels::shift
