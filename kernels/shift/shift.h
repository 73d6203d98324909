// Layers whose weights are k-bit codes of a few integers, each a short sum of powers of two: ESB,
// APoT, FP4 (E2M1), FP6, microscaling formats, ternary. Rows and columns as in int8/int8.h:
//
//   w[n][k]   = integers[code(n, k)]
//   sum[r][n] = sum over k of (x[r][k] - x_zero) * w[n][k]                   exact, int32
//   t[r][n]   = float(sum)                                                   without groups
//   t[r][n]   = sum over g ascending of float(sum of group g) * group_scale[n][g], from +0
//   y         = finish(t), as int8/int8.h says of float(sum)
//
// every operation on floats rounded on its own. code(n, k) is the code of input
// (k % C) * taps + k / C with C = inputs / taps, so that convolutions read NHWC. Sums must fit
// int32 in any order, for the caller to check with sums_fit(). Signed bytes x are their bytes
// with the top bit turned, and x_zero more by 128.
//
// One row of kernels.inc is one *way* on one ISA:
//   shift    a shift, a sign and an addition per term and product, outputs in the lanes
//   grouped  rows in the lanes: x of equal codes are added up, each sum is shifted once at the end
//   decode   codes become bytes by tables in registers, and those panels of the int8 family
//   dot      the same for a few rows, straight into inner products
// `shift` and `grouped` hold no instruction that multiplies but where floats begin. All ways give
// the same bits, however rows and outputs are split. Promises: no allocation; nothing outside the
// spans named here is touched, but that up to kRowSlack bytes behind a row of x may be read; a
// zero size does nothing.
#ifndef QRT_KERNELS_SHIFT_SHIFT_H_
#define QRT_KERNELS_SHIFT_SHIFT_H_

#include <cstddef>
#include <cstdint>

#include "kernels/int8/int8.h"

namespace qrt::kernels::shift {

inline constexpr uint32_t kMaxBits = 8, kMaxCodes = 256, kMaxTerms = 8;
inline constexpr int32_t kMaxInteger = 32639;  // 256 * 127 + 127: two signed bytes hold it
inline constexpr size_t kRowSlack = int8::kRowSlack;

// A table of integers and what the ways want to know of it. `terms` of a code are its signed
// digits, no two of them neighbours: the fewest powers of two whose sum it is.
struct Plan {
  uint32_t bits;
  uint32_t most_terms;  // of any code
  uint32_t most_shift;
  int32_t most;  // of |integer|
  bool two_planes;
  int16_t integers[kMaxCodes];
  int8_t low[kMaxCodes], high[kMaxCodes];  // integer = 256 * high + low
  uint8_t terms[kMaxCodes];
  uint8_t shift[kMaxCodes][kMaxTerms];
  bool negative[kMaxCodes][kMaxTerms];
};

// False if bits is not 1..8 or an integer is beyond kMaxInteger.
bool make_plan(const int16_t* integers, uint32_t bits, Plan*);

// The integers of ESB codes, sign, exponent field E and `fraction` bits M from the top down:
// M for E = 0, else (2^fraction + M) * 2^(E - 1), with the sign. (4,1) is FP4, (6,2) and (6,3)
// are FP6. False if no exponent bit is left or kMaxInteger is exceeded.
bool esb_integers(uint32_t bits, uint32_t fraction, int16_t* integers);

// Whether `inputs` products with |x - x_zero| <= most_x stay below 2^31 in any order, with the
// 128 * |w| that kits with signed activations add meanwhile, in every plane.
bool sums_fit(const Plan&, uint64_t inputs, uint32_t most_x);

struct Shape {
  size_t rows, outputs, inputs, taps, group;
  bool wide_x;
};

struct Args {
  const Plan* plan;
  const uint8_t* codes;  // [output][row_bytes], bits each, LSB first, rows on a byte
  const uint8_t* codes_end;
  size_t row_bytes;
  size_t first_output, outputs;  // of the codes; x, y, scales are of the call's first row, output
  size_t inputs, taps;           // taps divides inputs
  size_t group;                  // inputs that share a scale; 0: none. With groups taps is 1
  const float* group_scale;      // [outputs][group_stride]
  size_t group_stride;
  size_t rows;
  const uint8_t* x;  // one of x and x16 is null
  const int16_t* x16;
  size_t x_stride;  // elements
  int32_t x_zero;   // 0..255; of x16: 0
  void* scratch;    // scratch() bytes on 64 bytes; holds nothing between calls
  uint8_t* y8;      // one of y8 and y32 is null
  float* y32;
  size_t y_stride;  // elements
  int8::Finish finish;
};

struct Way {
  size_t unit;                                   // of outputs: the best multiple for a split
  size_t (*scratch)(const Plan&, const Shape&);  // bytes of a call; 0: cannot
  void (*run)(const Args&);
};

#define QRT_SHIFT(name, ...) extern const Way name;
#include "kernels/shift/kernels.inc"
#undef QRT_SHIFT

enum class Kind : uint8_t { shift, grouped, decode, dot };

struct Row {
  const char* name;
  Kind kind;
  IsaSet isa;
  const Way* way;
};
inline constexpr Row kWays[] = {
#define QRT_SHIFT(name, kind, isa) {#name, Kind::kind, isa, &name},
#include "kernels/shift/kernels.inc"
#undef QRT_SHIFT
};

// The best row of a kind that runs on `isa`; null: none does.
inline const Row* find_way(Kind kind, IsaSet isa) {
  for (const Row& row : kWays)
    if (row.kind == kind && includes(isa, row.isa)) return &row;
  return nullptr;
}

}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_SHIFT_H_
