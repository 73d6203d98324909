// 3x3 convolutions of stride 1 on u8 whose weights are codes into blocks of whole 3x3 kernels, by
// F(2x2,3x3) or F(4x4,3x3) in whole numbers: sums are those of int8/int8.h bit for bit.
//
//   sum = A' ((G g G') * (B' d B)) A / D      g a kernel, d a window of x - x_zero, D = 4 or 576
//
// with G scaled to whole numbers. Only the entries are transformed; codes address transformed
// entries. generic.h derives why 16 bits hold every factor and 32 bits, modulo 2^32, the rest. The
// division is exact where the sum itself is at least -limit and below it, limit = 2^29 or 2^25.
// Promises: no allocation; nothing outside the spans named here is touched; a zero size does
// nothing. All kits give the same bits, however tiles and outputs are split.
#ifndef QRT_KERNELS_WINOGRAD8_WINOGRAD8_H_
#define QRT_KERNELS_WINOGRAD8_WINOGRAD8_H_

#include "kernels/int8/int8.h"

namespace qrt::kernels::winograd8 {

// Of 3x3 kernels of i8, each a line of line_words() words.
struct EntriesArgs {
  const int8_t* entries;  // [count][stride], each `kernels` times nine, row by row
  size_t stride, count, kernels;
  int16_t* lines;  // [count][kernels][line_words], on 64 bytes; what they hold is the kit's own
};

struct Args {
  size_t batch, in_h, in_w, channels;
  size_t out_h, out_w, outputs;
  size_t pad_top, pad_left;  // output (y, x) reads rows y - pad_top + 0..2; outside is x_zero
  const uint8_t* x;          // [batch][in_h][in_w][channels]
  int32_t x_zero;            // 0..255
  uint8_t* y8;               // [batch][out_h][out_w][outputs]; one of y8 and y32 is null
  float* y32;
  int8::Finish finish;  // of the first row and output of all; residual and y do not overlap
  // As the file has it, but with lines in place of entries: one book, dim a multiple of 9,
  // entry_stride = dim / 9 lines in bytes, the other strides after that.
  int8::Coded table;
  // Tiles are those of tiles_of(): batch, then rows, then columns. `input` holds B'dB of tiles
  // [block_begin, block_end); a call of transform makes those of [tile_begin, tile_end), a call of
  // run computes their outputs [output_begin, output_end) once they are made. Calls for disjoint
  // tiles or outputs may run at once, each with its own scratch. output_begin is a multiple of the
  // kit's tile n.
  size_t block_begin, block_end;
  void* input;  // input_bytes() on 64 bytes
  size_t tile_begin, tile_end, output_begin, output_end;
  void* scratch;  // scratch_bytes() on 64 bytes; holds nothing between calls
};

// One of the two sizes of output tiles.
struct Way {
  void (*entries)(const EntriesArgs&);
  size_t (*input_bytes)(const Args&);
  size_t (*scratch_bytes)(const Args&);
  void (*transform)(const Args&);
  void (*run)(const Args&);
};
struct Kit {
  Way two, four;
};

// `edge` is 2 or 4 everywhere.
constexpr size_t line_words(size_t edge) {
  return edge == 2 ? 16 : 48;
}
constexpr int64_t limit(size_t edge) {
  return int64_t{1} << (edge == 2 ? 29 : 25);
}
constexpr size_t tiles_of(const Args& a, size_t edge) {
  return a.batch * ((a.out_h + edge - 1) / edge) * ((a.out_w + edge - 1) / edge);
}

// Nanoseconds, for predictions: a step of the register tile (kStep channels of m tiles and n
// outputs, one position), a position of a code decoded, of a channel of a tile transformed, and of
// an output of a tile finished.
struct Costs {
  float step, code, input, output;
};
inline constexpr size_t kStep = 2;

struct Row {
  const char* name;
  IsaSet isa;
  size_t tile_m, tile_n;
  Costs costs;
  const Kit* kit;
};
// Of one run on one thread; `entries` are those of all scopes and levels in use.
float cost_ns(const Args&, size_t edge, size_t entries, const Row&);

#define QRT_WINOGRAD8(name, ...) extern const Kit name;
#include "kernels/winograd8/kernels.inc"
#undef QRT_WINOGRAD8

inline constexpr Row kRows[] = {
#define QRT_WINOGRAD8(name, isa, tm, tn, step, code, input, output) \
  {#name, isa, tm, tn, {step, code, input, output}, &name},
#include "kernels/winograd8/kernels.inc"
#undef QRT_WINOGRAD8
};

}  // namespace qrt::kernels::winograd8

#endif  // QRT_KERNELS_WINOGRAD8_WINOGRAD8_H_
