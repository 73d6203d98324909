// Layers whose weights are packed codes of 1 to 8 bits or five trits to a byte, row after row:
// k-bit integers, codes into small tables, planes of signs. Rows are unpacked to bytes, and from
// there to f32 or to the s8 that kernels/int8 multiplies.
//
// One row of kernels.inc is one ISA's *kit*; reference.cc defines each function, and all kits give
// the same bits. Promises: no allocation; no read at or past Packed::end, nothing outside the spans
// named here is touched; a zero size does nothing. Spans never overlap.
#ifndef QRT_KERNELS_LOWBIT_LOWBIT_H_
#define QRT_KERNELS_LOWBIT_LOWBIT_H_

#include <cstddef>
#include <cstdint>

#include "kernels/int8/int8.h"

namespace qrt::kernels::lowbit {

inline constexpr uint32_t kTrits = 0;  // as `bits`: five trits in a byte, least significant first

// Codes that begin on a byte, LSB first. A byte of trits is below 243.
struct Packed {
  const uint8_t* codes;
  const uint8_t* end;  // of the buffer that holds them
  uint32_t bits;       // 1..8 or kTrits
};

// Codes from the first one on come together in whole bytes after so many.
constexpr size_t codes_per_byte_run(uint32_t bits) {
  return bits == kTrits ? 5 : 8;
}

// to[i] = code i.
struct UnpackArgs {
  Packed packed;
  size_t count;
  uint8_t* to;
};

// to[i] = map[codes[i]] where there is a map of 256 integers (16 where codes are below 16), else
// ((codes[i] ^ flip) << doubled) - zero, both as s8.
struct IntegersArgs {
  const uint8_t* codes;
  size_t count;
  const int8_t* map;
  bool below16;      // the codes
  uint8_t flip;      // the sign bit of signed codes
  uint32_t doubled;  // 0 or 1
  int32_t zero;
  int8_t* to;
};

// to[i] (+)= value(codes[i]) * scale + offset, every operation rounded on its own;
// value(c) = map[c] where there is a map of 256 floats, else (2 * (c ^ flip) - zero2) * unit.
// Without an offset nothing is added, so that signs of zeros stay.
struct FloatsArgs {
  const uint8_t* codes;
  size_t count;
  const float* map;
  uint8_t flip;
  int32_t zero2;  // below 2^20 in magnitude
  float unit;     // 1/2 or 1: exact
  float scale, offset;
  bool has_offset;
  bool adds;  // to what is there
  float* to;
};

// One row of u8 activations laid out for dot: bytes of trits or of codes of 1, 2 or 4 bits are
// multiplied as they lie in the file, a code of every byte at a time, so x is sorted by the place
// that its code has in a byte:
//   to[block][place][i] = x[(block * width + i) * codes + place] - 128   as s8
// with `width` of the kit and `codes` of a byte, 0 behind the inputs; the order of places is the
// kit's own. Codes of other widths are spread to bytes, `codes` is 1. spread_bytes() of it.
struct SpreadArgs {
  const uint8_t* x;
  size_t inputs;
  uint32_t bits;
  int8_t* to;
};

// sums[n] = sum over k of v(code[n][k]) * (x[k] - 128), modulo 2^32, with v(c) = map[c] where there
// is a map of 2^bits integers, else c ^ flip. Inputs are at most kMaxDotInputs, and the kit's
// can_dot(bits, map) holds.
struct DotArgs {
  Packed packed;     // of the first output; trits have neither map nor flip
  size_t row_bytes;  // from one output's codes to the next
  size_t inputs, outputs;
  const int8_t* map;
  uint8_t flip;
  const int8_t* x;  // as spread
  int32_t* sums;    // [outputs]
};
inline constexpr size_t kMaxDotInputs = size_t{1} << 20;
constexpr size_t dot_places(uint32_t bits) {  // of codes in a byte
  return bits == kTrits ? 5 : bits == 1 || bits == 2 || bits == 4 ? 8 / bits : 1;
}

// What becomes of the sums of one row, as int8/int8.h says; one of y8 and y32 is null.
struct FinishArgs {
  const int32_t* sums;
  size_t outputs;
  int8::Finish finish;
  uint8_t* y8;
  float* y32;
};

struct Kit {
  void (*unpack)(const UnpackArgs&);
  void (*integers)(const IntegersArgs&);
  void (*floats)(const FloatsArgs&);
  size_t width;  // bytes of codes that dot takes at a time
  bool (*can_dot)(uint32_t bits, const int8_t* map);
  void (*spread)(const SpreadArgs&);
  void (*dot)(const DotArgs&);
  void (*finish)(const FinishArgs&);
};

constexpr size_t spread_bytes(const Kit& kit, uint32_t bits, size_t inputs) {
  const size_t block = kit.width * dot_places(bits);
  return (inputs + block - 1) / block * block;
}

#define QRT_LOWBIT(name, ...) extern const Kit name;
#include "kernels/lowbit/kernels.inc"
#undef QRT_LOWBIT

inline constexpr Kernel<const Kit> kKits[] = {
#define QRT_LOWBIT(name, isa) {#name, isa, {1, 1, 1}, {0, 0}, &name},
#include "kernels/lowbit/kernels.inc"
#undef QRT_LOWBIT
};

}  // namespace qrt::kernels::lowbit

#endif  // QRT_KERNELS_LOWBIT_LOWBIT_H_
