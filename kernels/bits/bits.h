// Layers whose weights and activations are bits, or few planes of bits: -1 and +1 packed 64 to a
// word, bit 1 means +1. Bits that two rows do not share are counted:
//
//   differ[r][n] = sum over i < w_planes, j < x_planes of 2^(i+j) * popcount(x_j[r] ^ w_i[n])
//   sum[r][n]    = base[class(r)][n] - 2 * differ[r][n]                     int32
//   bit[r][n]    = (differ[r][n] < bound[class(r)][n]) != flip[n]
//   y[r][n]      = finish(sum[r][n]), as int8/int8.h says
//
// With base = inputs and one plane each, sum is the inner product of the two rows. With several,
// it is that of the odd numbers sum over i of 2^i * (+-1). Bits behind the inputs of a row are 0
// in x and in w, so that they never differ. A binary grid has no zero: what is missing at the
// border of a convolution is in base and bound, which a *class* of rows has its own of: border.h.
//
// One row of kernels.inc is one *way* on one ISA; all ways give the same bits, and however rows and
// outputs are split. Promises: no allocation; nothing outside the spans named here is touched; a
// zero size does nothing.
#ifndef QRT_KERNELS_BITS_BITS_H_
#define QRT_KERNELS_BITS_BITS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/int8/int8.h"

namespace qrt::kernels::bits {

inline constexpr size_t kWord = 64;               // bits of a word
inline constexpr size_t kMaxClasses = 32;         // of rows
inline constexpr uint32_t kMaxDiffer = 0xffffff;  // most that differ may come to
inline constexpr size_t kAlign = 64;              // bytes, of kept and scratch memory
constexpr size_t words_of(size_t bits) {
  return (bits + kWord - 1) / kWord;
}

enum class Form : uint8_t { sums, bits, finish };

// What a way must know to say whether it can, what it needs and how long it takes.
struct Shape {
  size_t rows, outputs, inputs;  // of one group; inputs: places of a row, words_of() them is words
  uint32_t x_planes, w_planes;
  size_t classes;  // of rows, at least 1
  Form form;
};

// Most that differ can come to.
constexpr uint64_t most_differ(const Shape& s) {
  return uint64_t{s.inputs} * ((1u << s.x_planes) - 1) * ((1u << s.w_planes) - 1);
}
constexpr bool in_contract(const Shape& s) {
  return s.x_planes >= 1 && s.x_planes <= 8 && s.w_planes >= 1 && s.w_planes <= 8 &&
         s.classes >= 1 && s.classes <= kMaxClasses && most_differ(s) <= kMaxDiffer;
}

// What a way keeps of the weights and of the bounds of Form::bits; read only, shared by threads.
// Weights are laid out anew only where it pays (kept() says how many bytes): the others are read
// where they lie by each call, so they must stay.
struct PackArgs {
  Shape shape;
  const uint64_t* weights;  // [output] at `stride` words, [plane] at `plane`, [words_of(inputs)]
  size_t stride, plane;
  const int32_t* bounds;  // [class][outputs]; null unless Form::bits
  const uint64_t* flips;  // words_of(outputs); null: no flips
  void* kept;             // kept() bytes
};

struct Args {
  Shape shape;  // as packed, but for rows, which are those of this call
  // Outputs of this call, from a multiple of the way's `unit` on. What is indexed by outputs below
  // is of the call's first one, and x, class_of and y are of its first row.
  size_t first_output, outputs;
  const uint64_t* x;  // [row] at x_stride words, [plane] at x_plane, [words_of(inputs)]
  size_t x_stride, x_plane;
  const uint8_t* class_of;  // [row], below classes; null: class 0
  const uint64_t* weights;  // of output 0, as packed
  size_t w_stride, w_plane;
  const void* kept;
  void* scratch;        // scratch() bytes; holds nothing between calls
  const int32_t* base;  // [class] at base_stride, [output]; null for Form::bits
  size_t base_stride;
  // Form::sums: sums; Form::bits: bits, words_of(outputs) to a row, behind the outputs 0;
  // Form::finish: one of y8 and y32. The others are null.
  int32_t* sums;
  uint64_t* bits;
  uint8_t* y8;
  float* y32;
  size_t y_stride;  // elements; of bits: words
  int8::Finish finish;
};

struct Way {
  size_t unit;                      // of outputs: threads split there; whole words
  size_t rows;                      // of a call: it is best at multiples of them
  size_t (*kept)(const Shape&);     // bytes of packed weights and bounds
  size_t (*scratch)(const Shape&);  // bytes of a call
  float (*cost_ns)(const Shape&);   // predicted, one thread; negative: cannot
  void (*pack)(const PackArgs&);
  void (*run)(const Args&);
};

#define QRT_BITS(name, ...) extern const Way name;
#include "kernels/bits/kernels.inc"
#undef QRT_BITS

struct Row {
  const char* name;
  IsaSet isa;
  const Way* way;
};
inline constexpr Row kWays[] = {
#define QRT_BITS(name, isa) {#name, isa, &name},
#include "kernels/bits/kernels.inc"
#undef QRT_BITS
};

}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_BITS_H_
