// The codebook family by definition: the plain code that every other kit must
// agree with, and what runs where no ISA of ours is built. Each output's sum is
// one chain over k ascending, so tiles and threads never change a bit.
#include <cstring>

#include "kernels/codebook/codebook.h"

namespace qrt::kernels::codebook {
namespace {

constexpr size_t kTileN = 8, kLanes = 4;

float widen_one(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  uint32_t exponent = (half >> 10) & 31u, fraction = half & 1023u, bits;
  if (exponent == 31) {
    bits = 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0u);  // a NaN becomes quiet
  } else if (exponent != 0) {
    bits = (exponent + 112) << 23 | fraction << 13;
  } else if (fraction == 0) {
    bits = 0;
  } else {  // subnormal: shift the leading one up to bit 10; 113 = 127 - 14
    for (exponent = 113; !(fraction & 1024u); --exponent) fraction <<= 1;
    bits = exponent << 23 | (fraction & 1023u) << 13;
  }
  bits |= sign;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void widen(const WidenArgs& a) {
  for (size_t i = 0; i < a.count; ++i) a.floats[i] = widen_one(a.halves[i]);
}

// Code i of a packed row; schema/layout.h has the definition.
uint32_t read_code(const uint8_t* row, size_t i, uint32_t bits) {
  uint32_t code = 0;
  for (uint32_t b = 0; b < bits; ++b) {
    const size_t bit = i * bits + b;
    code |= (row[bit / 8] >> bit % 8 & 1u) << b;
  }
  return code;
}

const float* entry(const Source& s, size_t book, size_t block, size_t output) {
  const uint32_t code =
      read_code(s.codes + book * s.book_bytes + block * s.row_bytes, output, s.bits);
  const size_t scope = s.scope_rows == 0 ? 0 : output / s.scope_rows;
  return s.entries + scope * s.scope_stride + book * s.book_stride + code * s.entry_stride;
}

float finish(const Finish& f, size_t row, size_t n, float sum) {
  if (f.scale) sum *= f.scale[n];
  if (f.bias) sum += f.bias[n];
  if (f.residual) sum += f.residual[row * f.residual_stride + n];
  sum = sum < f.min ? f.min : sum;
  return sum > f.max ? f.max : sum;
}

size_t place(size_t k, size_t inputs, size_t taps) {
  return taps == 1 ? k : k % taps * (inputs / taps) + k / taps;
}

void panel(const PanelArgs& a) {
  for (size_t k = 0; k < a.inputs; ++k) {
    float* row = a.panel + place(k, a.inputs, a.taps) * kTileN;
    for (size_t n = 0; n < kTileN; ++n) row[n] = 0;
    for (size_t n = 0; n < a.outputs; ++n)
      for (size_t book = 0; book < a.source.books; ++book)
        row[n] += entry(a.source, book, a.first_block + k / a.source.dim,
                        a.first_output + n)[k % a.source.dim];
  }
}

void gemm(const GemmArgs& a) {
  for (size_t m = 0; m < a.rows; ++m) {
    for (size_t n = 0; n < a.outputs; ++n) {
      float& y = a.y[m * a.y_stride + n];
      float sum = a.first ? 0 : y;
      for (size_t k = 0; k < a.inputs; ++k)
        sum += a.x[m * a.x_stride + k] * a.panel[k * kTileN + n];
      y = a.last ? finish(a.finish, m, n, sum) : sum;
    }
  }
}

void dot(const DotArgs& a) {
  for (size_t n = 0; n < a.outputs; ++n) {
    float sum = 0;
    for (size_t b = 0; b < a.blocks; ++b) {
      for (size_t book = 0; book < a.source.books; ++book) {
        const float* w = entry(a.source, book, b, a.first_output + n);
        for (size_t t = 0; t < a.source.dim; ++t) sum += w[t] * a.x[b * a.source.entry_stride + t];
      }
    }
    a.y[n] = finish(a.finish, 0, n, sum);
  }
}

void gather(const GatherArgs& a) {
  for (size_t i = 0; i < a.count; ++i)
    for (size_t k = 0; k < a.length; ++k)
      a.to[i * a.length + k] = a.runs[i] == nullptr ? 0.0f : a.runs[i][k];
}

void pack(const PackArgs& a) {
  for (size_t k = 0; k < a.inputs; ++k)
    for (size_t r = 0; r < kLanes; ++r)
      a.lanes[k * kLanes + r] =
          r < a.rows ? a.x[r * a.x_stride + place(k, a.inputs, a.taps)] : 0.0f;
}

void lookup(const LookupArgs& a) {
  const Source& s = a.source;
  const size_t count = size_t{1} << s.bits;
  if (a.first)
    for (size_t i = 0; i < a.outputs * kLanes; ++i) a.sums[i] = 0;
  for (size_t k = 0; k < a.inputs; k += s.dim) {
    const size_t depth = a.inputs - k < s.dim ? a.inputs - k : s.dim;
    for (size_t book = 0; book < s.books; ++book) {
      const size_t scope = s.scope_rows == 0 ? 0 : a.first_output / s.scope_rows;
      const float* entries = s.entries + scope * s.scope_stride + book * s.book_stride;
      for (size_t c = 0; c < count; ++c) {
        for (size_t r = 0; r < kLanes; ++r) {
          float sum = 0;
          for (size_t t = 0; t < depth; ++t)
            sum += entries[c * s.entry_stride + t] * a.x[(k + t) * kLanes + r];
          a.tables[c * kLanes + r] = sum;
        }
      }
      const uint8_t* codes =
          s.codes + book * s.book_bytes + (a.first_block + k / s.dim) * s.row_bytes;
      for (size_t n = 0; n < a.outputs; ++n) {
        const uint32_t code = read_code(codes, a.first_output + n, s.bits);
        for (size_t r = 0; r < kLanes; ++r) a.sums[n * kLanes + r] += a.tables[code * kLanes + r];
      }
    }
  }
}

void store(const StoreArgs& a) {
  for (size_t r = 0; r < a.rows; ++r)
    for (size_t n = 0; n < a.outputs; ++n)
      a.y[r * a.y_stride + n] = finish(a.finish, r, n, a.sums[n * kLanes + r]);
}

}  // namespace

const Kit codebook_reference = {kLanes,
                                1,
                                widen,
                                panel,
                                gemm,
                                dot,
                                gather,
                                pack,
                                lookup,
                                store,
                                "codebook_decode_reference",
                                "codebook_dot_reference",
                                "codebook_lookup_reference"};

}  // namespace qrt::kernels::codebook
