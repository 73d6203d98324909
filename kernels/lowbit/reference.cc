// The lowbit family in plain code: what is meant.
#include "kernels/lowbit/lowbit.h"

namespace qrt::kernels::lowbit {
namespace {

uint32_t code_at(const Packed& p, size_t i) {
  if (p.bits == kTrits) {
    uint32_t byte = p.codes[i / 5];
    for (size_t skip = i % 5; skip != 0; --skip) byte /= 3;
    return byte % 3;
  }
  const size_t bit = i * p.bits;
  uint32_t word = p.codes[bit / 8];
  if (bit % 8 + p.bits > 8) word |= uint32_t{p.codes[bit / 8 + 1]} << 8;
  return word >> bit % 8 & ((1u << p.bits) - 1u);
}

void unpack(const UnpackArgs& a) {
  for (size_t i = 0; i < a.count; ++i) a.to[i] = static_cast<uint8_t>(code_at(a.packed, i));
}

void integers(const IntegersArgs& a) {
  for (size_t i = 0; i < a.count; ++i) {
    const int32_t q = ((a.codes[i] ^ a.flip) << a.doubled) - a.zero;
    a.to[i] = a.map != nullptr ? a.map[a.codes[i]] : static_cast<int8_t>(q);
  }
}

void floats(const FloatsArgs& a) {
  for (size_t i = 0; i < a.count; ++i) {
    const int32_t twice = 2 * (a.codes[i] ^ a.flip) - a.zero2;
    float v = a.map != nullptr ? a.map[a.codes[i]] : static_cast<float>(twice) * a.unit;
    v *= a.scale;
    if (a.has_offset) v += a.offset;
    a.to[i] = a.adds ? a.to[i] + v : v;
  }
}

constexpr size_t kWidth = 1;

void spread(const SpreadArgs& a) {
  for (size_t k = 0; k < spread_bytes(lowbit_reference, a.bits, a.inputs); ++k)
    a.to[k] = static_cast<int8_t>(k < a.inputs ? a.x[k] - 128 : 0);
}

bool can_dot(uint32_t bits, const int8_t* map) {
  return bits != kTrits || map == nullptr;
}

void dot(const DotArgs& a) {
  Packed row = a.packed;
  for (size_t n = 0; n < a.outputs; ++n, row.codes += a.row_bytes) {
    int32_t sum = 0;
    for (size_t k = 0; k < a.inputs; ++k) {
      const uint32_t code = code_at(row, k);
      sum += (a.map ? a.map[code] : static_cast<int32_t>(code ^ a.flip)) * a.x[k];
    }
    a.sums[n] = sum;
  }
}

void finish(const FinishArgs& a) {
  const int8::Finish& f = a.finish;
  for (size_t n = 0; n < a.outputs; ++n) {
    float t = static_cast<float>(a.sums[n]);
    if (f.bias_first) t += f.bias[n];
    if (f.scale) t *= f.scale[n];
    if (f.bias && !f.bias_first) t += f.bias[n];
    if (f.residual) t += static_cast<float>(f.residual[n] - f.residual_zero) * f.residual_scale;
    t = t > f.min ? t : f.min;
    t = t < f.max ? t : f.max;
    if (a.y32) a.y32[n] = t;
    if (a.y8)
      a.y8[n] = static_cast<uint8_t>(static_cast<int32_t>(t + 12582912.0f - 12582912.0f) + f.zero);
  }
}

}  // namespace

const Kit lowbit_reference = {unpack, integers, floats, kWidth, can_dot, spread, dot, finish};

}  // namespace qrt::kernels::lowbit
