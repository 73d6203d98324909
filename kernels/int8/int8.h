// Layers of u8 activations and s8 weights, summed exactly in int32: dense int8, and
// the back end of everything that is decoded to int8.
//
//   sum[r][n] = sum over k of (x[r][k] - x_zero) * w[n][k]
//   t[r][n]   = float(sum) * scale[n] + bias[n] + float(residual - residual_zero) * residual_scale
//   y[r][n]   = clamp(t, min, max) as f32, or zero + that rounded to nearest even as u8
// or, with `bias_first`,
//   t[r][n]   = (float(sum) + bias[n]) * scale[n] + ... as above
//
// every operation rounded on its own. Sums must fit int32 at every step in any order
// (255 * sum |w| + 128 * |sum w| < 2^31, for the converter to check); then all kits give the
// same bits, however rows and outputs are split.
// One row of kernels.inc is one ISA's *kit*: functions that share a tile and a panel layout.
// Promises: no allocation; nothing outside the spans named here is touched, but that up to
// kRowSlack bytes behind a row of x may be read; a zero size does nothing.
#ifndef QRT_KERNELS_INT8_INT8_H_
#define QRT_KERNELS_INT8_INT8_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/int8/packed.h"
#include "kernels/kernel.h"

namespace qrt::kernels::int8 {

inline constexpr size_t kStep = 4;       // inputs of one output that lie together in a panel
inline constexpr size_t kRowSlack = 3;   // bytes behind a row of x that gemm may read
inline constexpr size_t kMaxTileN = 32;  // outputs of a panel, of any kit

// sums[n] = sum over k of w[n][k].
struct SumsArgs {
  const int8_t* weights;  // [outputs][stride]
  size_t stride, outputs, inputs;
  int32_t* sums;
};

// Lays `outputs` <= tile.n rows of weights out as the kit's gemm reads them. The layout is the
// kit's own; panel_bytes() of it, on 64 bytes. Columns from `outputs` on are zero.
struct PanelArgs {
  const int8_t* weights;  // [outputs][stride]
  size_t stride, outputs, inputs;
  void* panel;
};

// Coded weights: blocks of `dim` inputs of an output are an integer entry, named by a code of
// 0..16 bits. Entries exist once per level (a scale they were rounded to); an output has one.
struct Coded {
  const uint8_t* codes;  // [book][block][output], `bits` each, LSB first, rows on a byte
  const uint8_t* codes_end;
  size_t row_bytes;   // of the codes of one (book, block)
  size_t book_bytes;  // of the codes of one book
  // [level][scope][book][2^bits][entry_stride], on 64 bytes, fewer than 2^31 bytes; what the file
  // lacks is 0, and kEntrySlack bytes behind the last entry may be read
  const int8_t* entries;
  size_t entry_stride;      // bytes; round_up(dim, 4), the pad is 0
  size_t book_stride;       // bytes from one book's entries to the next
  size_t scope_stride;      // bytes from one scope's entries to the next
  size_t level_stride;      // bytes from one level's entries to the next
  size_t scope_rows;        // outputs that share a scope; 0: all of them
  const uint8_t* level_of;  // [output]; null: all have level 0
  uint32_t bits, books, dim;
};
inline constexpr size_t kEntrySlack = 64;

// Decodes `outputs` <= tile.n outputs into a panel as PanelArgs makes it, but that columns from
// `outputs` on hold anything. Books add up one after the other, each sum kept between -128 and 127.
// With taps T > 1 the weights of input c * T + t go to place t * (inputs / T) + c, so that a
// convolution reads its NHWC input in runs of channels.
struct DecodeArgs {
  Coded source;
  size_t first_output, outputs, inputs;
  size_t taps;  // divides inputs
  bool sums;    // false: gemm is called with x_zero 0, and the kit may leave the sums out
  void* panel;
};

// entries[i] = clamp(rne(values[i] * inverse), -127, 127); a NaN gives -127.
struct RoundArgs {
  const float* values;
  size_t count;
  float inverse;
  int8_t* entries;
};

// Null pointers stand for a scale of 1, a bias of 0 and no residual.
struct Finish {
  const float* scale;       // [outputs], of the first output of the call
  const float* bias;        // [outputs]
  const uint8_t* residual;  // [rows][residual_stride]
  size_t residual_stride;
  float residual_scale;
  int32_t residual_zero;
  float min, max;           // of t; for u8 whole numbers between -zero and 255 - zero
  int32_t zero;             // of the output, u8 only
  bool bias_first = false;  // bias is there, and added before the scale is multiplied
  bool tame = false;        // u8: |t| < 2^31 without a residual, and max = 255 - zero
};

// Which inputs of a panel are multiplied: `count` runs of GemmArgs::inputs, the first from input
// `first` of the panel on, each `next` inputs behind the one before, in x too. A convolution leaves
// out taps outside the image so. Where that is not all of a panel, x_zero is Kit::part_zero and
// all of these numbers are multiples of kStep.
struct Runs {
  size_t first = 0, count = 1, next = 0;
};

// One of y8 and y32 is null: it says what is stored.
struct GemmArgs {
  size_t rows, inputs, outputs;  // outputs <= tile.n
  const uint8_t* x;
  size_t x_stride;
  int32_t x_zero;
  const void* panel;
  uint8_t* y8;
  float* y32;
  size_t y_stride;  // elements
  Finish finish;
  Runs runs;
  // Row r of x gives row row_at[r] of y and of the residual; null: row r.
  const uint32_t* row_at = nullptr;
};

// One row of activations against rows of weights as they lie in the file.
struct DotArgs {
  size_t inputs, outputs;
  const uint8_t* x;
  int32_t x_zero;
  const int8_t* weights;  // [outputs][stride]
  size_t stride;
  const int32_t* sums;  // of the weights, as SumsArgs
  uint8_t* y8;
  float* y32;
  Finish finish;
};

// A few rows of activations against coded weights, multiplied as they are decoded. The source's
// order of inputs is that of x (one tap); nothing behind a row is read.
struct CodedDotArgs {
  Coded source;
  size_t first_output, outputs, inputs;
  size_t rows;  // at most kMaxDotRows
  const uint8_t* x;
  size_t x_stride;
  int32_t x_zero;
  uint8_t* y8;  // one of y8 and y32 is null
  float* y32;
  size_t y_stride;  // elements
  Finish finish;    // of first_output
};
inline constexpr size_t kMaxDotRows = 4;

// Depthwise convolution: output channel c of a pixel is a sum over its taps,
//   sum[pixel][c] = sum over t < taps of (x[pixel * next + t][c] - x_zero) * weights[t][c]
// where x[...] points to the channels of an input pixel, or of one in the padding: any `channels`
// bytes x_zero. With pointers in columns (tap = column * height + row), neighbouring pixels of an
// output row share them: next = stride * height. Sums fit as above; y and residual do not overlap.
struct DepthwisePanelArgs {
  const int8_t* weights;  // [taps][channels]
  size_t taps, channels;
  void* panel;  // depthwise_bytes() of it, on 64 bytes
};
struct DepthwiseArgs {
  size_t pixels, taps, channels;
  const uint8_t* const* x;
  size_t next;
  int32_t x_zero;
  const void* panel;
  uint8_t* y8;  // one of y8 and y32 is null
  float* y32;
  size_t y_stride;  // elements from a pixel to the next
  Finish finish;    // its outputs are the channels, its rows the pixels
};

// q = clamp(rne(x * inverse) + zero, 0, 255); a NaN gives 0.
struct QuantizeArgs {
  const float* x;
  size_t count;
  float inverse;  // 1 / scale
  int32_t zero;
  uint8_t* q;
};

struct Kit {
  size_t step_bytes;  // of a panel, for kStep inputs of tile.n outputs
  void (*sums)(const SumsArgs&);
  void (*panel)(const PanelArgs&);
  void (*gemm)(const GemmArgs&);
  void (*dot)(const DotArgs&);
  void (*quantize)(const QuantizeArgs&);
  void (*decode)(const DecodeArgs&);
  void (*round)(const RoundArgs&);
  void (*coded_dot)(const CodedDotArgs&);
  void (*depthwise_panel)(const DepthwisePanelArgs&);
  void (*depthwise)(const DepthwiseArgs&);
  int32_t part_zero;  // the x_zero that leaves sums of columns out of gemm
  void (*packed)(const PackedArgs&);
};

// A panel is the sums of its columns, then a step after the other.
constexpr size_t panel_bytes(const Kit& kit, size_t inputs) {
  return kMaxTileN * sizeof(int32_t) + (inputs + kStep - 1) / kStep * kit.step_bytes;
}

// Of every kit: at most 64 channels at a time, four taps together, as 16 bits at worst.
constexpr size_t depthwise_bytes(size_t taps, size_t channels) {
  return (channels + 63) / 64 * 64 * (sizeof(int32_t) + (taps + 3) / 4 * 4 * sizeof(int16_t));
}

#define QRT_INT8(name, ...) extern const Kit name;
#include "kernels/int8/kernels.inc"
#undef QRT_INT8

inline constexpr Kernel<const Kit> kKits[] = {
#define QRT_INT8(name, isa, tm, tn) {#name, isa, {tm, tn, kStep}, {0, 0}, &name},
#include "kernels/int8/kernels.inc"
#undef QRT_INT8
};

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_INT8_H_
