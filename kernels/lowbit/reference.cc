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

}  // namespace

const Kit lowbit_reference = {unpack, integers, floats};

}  // namespace qrt::kernels::lowbit
