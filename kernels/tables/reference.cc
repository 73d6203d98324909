// The tables family by definition: no table at all, each entry of it is computed where it is used.
#include "kernels/tables/tables.h"

namespace qrt::kernels::tables {
namespace {

constexpr size_t kRows = 64, kUnit = 8;

uint32_t code_at(const int8::Coded& s, size_t book, size_t block, size_t output) {
  const uint8_t* row = s.codes + book * s.book_bytes + block * s.row_bytes;
  uint32_t code = 0;
  for (uint32_t i = 0; i < s.bits; ++i) {
    const size_t bit = output * s.bits + i;
    code |= (uint32_t{row[bit / 8]} >> (bit % 8) & 1u) << i;
  }
  return code;
}

int32_t table(const Args& a, const uint8_t* x, size_t block, const int8_t* entry) {
  const size_t channels = a.inputs / a.taps, first = block * a.source.dim;
  int32_t dot = 0;
  for (size_t t = 0; t < a.source.dim && first + t < a.inputs; ++t) {
    const size_t input = first + t, place = input % a.taps * channels + input / a.taps;
    dot += (int32_t{x[place]} - a.x_zero) * entry[t];
  }
  const int32_t most = 1 << (a.keep - 1);
  const int32_t value = (dot + ((1 << a.shift) >> 1)) >> a.shift;
  return value < -most ? -most : value > most - 1 ? most - 1 : value;
}

// Adding 1.5 * 2^23 leaves no bits behind the point: the sum is rounded to nearest even.
float nearest(float t) {
  constexpr float kMagic = 12582912.0f;
  return t + kMagic - kMagic;
}

void store(const Args& a, size_t row, size_t n, int32_t sum) {
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
  const size_t at = row * a.y_stride + n;
  if (a.y8)
    a.y8[at] = static_cast<uint8_t>(static_cast<int32_t>(nearest(t)) + f.zero);
  else
    a.y32[at] = t;
}

void run(const Args& a) {
  const int8::Coded& s = a.source;
  const size_t blocks = (a.inputs + s.dim - 1) / s.dim;
  const size_t scope = s.scope_rows == 0 ? 0 : a.first_output / s.scope_rows;
  for (size_t r = 0; r < a.rows; ++r) {
    for (size_t n = 0; n < a.outputs; ++n) {
      int32_t sum = 0;
      for (size_t book = 0; book < s.books; ++book) {
        const int8_t* entries = s.entries + scope * s.scope_stride + book * s.book_stride;
        for (size_t b = 0; b < blocks; ++b) {
          const uint32_t code = code_at(s, book, b, a.first_output + n);
          sum += table(a, a.x + r * a.x_stride, b, entries + code * s.entry_stride);
        }
      }
      store(a, r, n, sum);
    }
  }
}

size_t scratch(const Shape&) {
  return 64;
}

// Not tuned and never chosen where another way can: 2 ns per product, 5 per code.
float cost_ns(const Shape& s) {
  return static_cast<float>(s.rows * s.outputs * s.blocks * s.books) *
         (5.0f + 2.0f * static_cast<float>(s.dim));
}

}  // namespace

const Way tables_reference = {kRows, kUnit, scratch, cost_ns, run};

}  // namespace qrt::kernels::tables
