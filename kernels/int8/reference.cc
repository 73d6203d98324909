// The int8 family by definition.
#include <cstring>

#include "kernels/int8/int8.h"

namespace qrt::kernels::int8 {
namespace {

constexpr size_t kTileN = 8;

void sums(const SumsArgs& a) {
  for (size_t n = 0; n < a.outputs; ++n) {
    int32_t sum = 0;
    for (size_t k = 0; k < a.inputs; ++k) sum += a.weights[n * a.stride + k];
    a.sums[n] = sum;
  }
}

// Behind the sums (which this kit does not need): [inputs rounded up][kTileN].
int8_t* body(void* panel) {
  return static_cast<int8_t*>(panel) + kMaxTileN * sizeof(int32_t);
}

void panel(const PanelArgs& a) {
  for (size_t k = 0; k < (a.inputs + kStep - 1) / kStep * kStep; ++k)
    for (size_t n = 0; n < kTileN; ++n)
      body(a.panel)[k * kTileN + n] =
          n < a.outputs && k < a.inputs ? a.weights[n * a.stride + k] : int8_t{0};
}

// Adding 1.5 * 2^23 leaves no bits behind the point: the sum is rounded to nearest even.
float nearest(float t) {
  constexpr float kMagic = 12582912.0f;
  return t + kMagic - kMagic;
}

void store(const Finish& f, size_t row, size_t n, int32_t sum, uint8_t* y8, float* y32) {
  float t = static_cast<float>(sum);
  if (f.bias_first) t += f.bias[n];
  if (f.scale) t *= f.scale[n];
  if (f.bias && !f.bias_first) t += f.bias[n];
  if (f.residual) {
    const int32_t q = int32_t{f.residual[row * f.residual_stride + n]} - f.residual_zero;
    t += static_cast<float>(q) * f.residual_scale;
  }
  t = t < f.min ? f.min : t;
  t = t > f.max ? f.max : t;
  if (y8)
    *y8 = static_cast<uint8_t>(static_cast<int32_t>(nearest(t)) + f.zero);
  else
    *y32 = t;
}

void gemm(const GemmArgs& a) {
  const int8_t* w = body(const_cast<void*>(a.panel)) + a.runs.first * kTileN;
  for (size_t m = 0; m < a.rows; ++m) {
    const size_t row = a.row_at ? a.row_at[m] : m;
    for (size_t n = 0; n < a.outputs; ++n) {
      int32_t sum = 0;
      for (size_t run = 0; run < a.runs.count; ++run) {
        for (size_t k = run * a.runs.next; k < run * a.runs.next + a.inputs; ++k)
          sum += (int32_t{a.x[m * a.x_stride + k]} - a.x_zero) * w[k * kTileN + n];
      }
      const size_t at = row * a.y_stride + n;
      store(a.finish, row, n, sum, a.y8 ? a.y8 + at : nullptr, a.y32 ? a.y32 + at : nullptr);
    }
  }
}

void dot(const DotArgs& a) {
  for (size_t n = 0; n < a.outputs; ++n) {
    int32_t sum = 0;
    for (size_t k = 0; k < a.inputs; ++k)
      sum += (int32_t{a.x[k]} - a.x_zero) * a.weights[n * a.stride + k];
    store(a.finish, 0, n, sum, a.y8 ? a.y8 + n : nullptr, a.y32 ? a.y32 + n : nullptr);
  }
}

void quantize(const QuantizeArgs& a) {
  const float lo = static_cast<float>(-a.zero), hi = static_cast<float>(255 - a.zero);
  for (size_t i = 0; i < a.count; ++i) {
    float t = a.x[i] * a.inverse;
    t = t > lo ? t : lo;  // a NaN is not greater
    t = t < hi ? t : hi;
    a.q[i] = static_cast<uint8_t>(static_cast<int32_t>(nearest(t)) + a.zero);
  }
}

uint32_t code_of(const Coded& s, const uint8_t* row, size_t output) {
  uint32_t code = 0;
  for (uint32_t i = 0; i < s.bits; ++i) {
    const size_t bit = output * s.bits + i;
    code |= (row[bit / 8] >> bit % 8 & 1u) << i;
  }
  return code;
}

int8_t weight_of(const Coded& s, size_t output, size_t input) {
  const int8_t* entries = s.entries;
  if (s.level_of) entries += s.level_of[output] * s.level_stride;
  if (s.scope_rows) entries += output / s.scope_rows * s.scope_stride;
  int32_t sum = 0;
  for (uint32_t book = 0; book < s.books; ++book, entries += s.book_stride) {
    const uint8_t* row = s.codes + book * s.book_bytes + input / s.dim * s.row_bytes;
    sum += entries[code_of(s, row, output) * s.entry_stride + input % s.dim];
    sum = sum < -128 ? -128 : (sum > 127 ? 127 : sum);
  }
  return static_cast<int8_t>(sum);
}

void decode(const DecodeArgs& a) {
  const size_t channels = a.inputs / a.taps;
  for (size_t k = 0; k < (a.inputs + kStep - 1) / kStep * kStep; ++k)
    for (size_t n = 0; n < kTileN; ++n)
      body(a.panel)[k * kTileN + n] =
          n < a.outputs && k < a.inputs
              ? weight_of(a.source, a.first_output + n, k % channels * a.taps + k / channels)
              : int8_t{0};
}

uint32_t packed_code(const PackedArgs& a, size_t n, size_t k) {
  const uint8_t* row = a.codes + n * a.row_bytes;
  uint32_t code = 0;
  if (a.bits == 0) {
    code = row[k / 5];
    for (size_t skip = k % 5; skip != 0; --skip) code /= 3;
    return code % 3;
  }
  for (uint32_t i = 0; i < a.bits; ++i) {
    const size_t bit = k * a.bits + i;
    code |= (row[bit / 8] >> bit % 8 & 1u) << i;
  }
  return code;
}

void packed(const PackedArgs& a) {
  for (size_t k = 0; k < (a.inputs + kStep - 1) / kStep * kStep; ++k)
    for (size_t n = 0; n < kTileN; ++n) {
      int8_t w = 0;
      if (n < a.outputs && k < a.inputs) {
        const uint32_t code = packed_code(a, n, k);
        w = a.map ? a.map[code]
                  : static_cast<int8_t>(((code ^ a.flip) << a.doubled[n]) -
                                        static_cast<uint32_t>(a.zero[n]));
      }
      body(a.panel)[k * kTileN + n] = w;
    }
}

void coded_dot(const CodedDotArgs& a) {
  for (size_t m = 0; m < a.rows; ++m) {
    for (size_t n = 0; n < a.outputs; ++n) {
      int32_t sum = 0;
      for (size_t k = 0; k < a.inputs; ++k)
        sum += (int32_t{a.x[m * a.x_stride + k]} - a.x_zero) *
               weight_of(a.source, a.first_output + n, k);
      const size_t at = m * a.y_stride + n;
      store(a.finish, m, n, sum, a.y8 ? a.y8 + at : nullptr, a.y32 ? a.y32 + at : nullptr);
    }
  }
}

void depthwise_panel(const DepthwisePanelArgs& a) {
  const size_t bytes = a.taps * a.channels;
  if (bytes != 0) std::memcpy(a.panel, a.weights, bytes);
}

void depthwise(const DepthwiseArgs& a) {
  const int8_t* w = static_cast<const int8_t*>(a.panel);
  for (size_t p = 0; p < a.pixels; ++p) {
    for (size_t c = 0; c < a.channels; ++c) {
      int32_t sum = 0;
      for (size_t t = 0; t < a.taps; ++t)
        sum += (int32_t{a.x[p * a.next + t][c]} - a.x_zero) * w[t * a.channels + c];
      const size_t at = p * a.y_stride + c;
      store(a.finish, p, c, sum, a.y8 ? a.y8 + at : nullptr, a.y32 ? a.y32 + at : nullptr);
    }
  }
}

void round(const RoundArgs& a) {
  for (size_t i = 0; i < a.count; ++i) {
    float t = a.values[i] * a.inverse;
    t = t > -127 ? t : -127;  // a NaN is not greater
    t = t < 127 ? t : 127;
    a.entries[i] = static_cast<int8_t>(static_cast<int32_t>(nearest(t)));
  }
}

}  // namespace

const Kit int8_reference = {kStep * kTileN, sums,   panel, gemm,      dot,
                            quantize,       decode, round, coded_dot, depthwise_panel,
                            depthwise,      0,      packed};

}  // namespace qrt::kernels::int8
