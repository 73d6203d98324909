// Codebook layers of rounded numerics (schema/README.md): every block's inner products with the
// entries are tabulated, rounded to a few bits, and looked up by the codes.
//
//   dot(b, c) = sum over t < dim of (x[r][b * dim + t] - x_zero) * entry[c][t]      exact, int32
//   T(b, c)   = clamp((dot + 2^(shift - 1)) >> shift, -2^(keep - 1), 2^(keep - 1) - 1)
//   sum[r][n] = sum over books and blocks of T(b, code(b, n))                       exact, int32
//   y         = finish(sum), as int8/int8.h says; its scale holds 2^shift
//
// keep is 7, 8 or 12, shift 1..20, with 8 bits 8..15; or keep is kExactBits and shift 0, which is
// numerics `exact` of one book, for the ways that can. dim at most 64, code bits at most 8 (a layer
// with wider codes is decoded). One row of kernels.inc is one *way* on one ISA; all ways give the
// same bits, and however rows and outputs are split. Promises: no allocation; nothing outside the
// spans named here is touched, but that up to kRowSlack bytes behind a row of x may be read; a zero
// size does nothing.
#ifndef QRT_KERNELS_TABLES_TABLES_H_
#define QRT_KERNELS_TABLES_TABLES_H_

#include <cstddef>
#include <cstdint>

#include "kernels/int8/int8.h"

namespace qrt::kernels::tables {

inline constexpr size_t kRowSlack = 64;
inline constexpr size_t kMaxDim = 64;
inline constexpr uint32_t kMaxBits = 8;
inline constexpr uint32_t kExactBits = 24;

// What a way must know to say whether it can, how much scratch it needs, and how long it takes.
struct Shape {
  size_t rows, outputs, inputs, blocks;  // of one group
  uint32_t bits, books, dim, scopes;
  uint32_t keep, shift;
  bool zero;  // x_zero is not 0
};

struct Args {
  int8::Coded source;  // of one level
  uint32_t keep, shift;
  // Outputs of one scope. Any will do; calls that meet at multiples of `unit` share no vector of
  // outputs. x, y8, y32 and finish are of the call's first row and first output.
  size_t first_output, outputs;
  size_t inputs, taps;  // row k of x is input (k % C) * taps + k / C, C = inputs / taps
  size_t rows;          // at most the way's `rows`
  const uint8_t* x;
  size_t x_stride;
  int32_t x_zero;
  void* scratch;  // scratch() bytes on 64 bytes; holds nothing between calls
  uint8_t* y8;    // one of y8 and y32 is null
  float* y32;
  size_t y_stride;  // elements
  int8::Finish finish;
};

struct Way {
  size_t rows;  // most rows of a call, and the tile that it is best at
  size_t unit;  // of outputs: threads split there; 8 codes are a multiple of a byte
  size_t (*scratch)(const Shape&);  // bytes of a call with all outputs; 0: cannot
  float (*cost_ns)(const Shape&);   // predicted, one thread, all rows; negative: cannot
  void (*run)(const Args&);
};

#define QRT_TABLES(name, ...) extern const Way name;
#include "kernels/tables/kernels.inc"
#undef QRT_TABLES

struct Row {
  const char* name;
  IsaSet isa;
  const Way* way;
};
inline constexpr Row kWays[] = {
#define QRT_TABLES(name, isa) {#name, isa, &name},
#include "kernels/tables/kernels.inc"
#undef QRT_TABLES
};

}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_TABLES_H_
