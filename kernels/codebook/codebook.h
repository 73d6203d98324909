// The codebook family in f32: y = x * W^T where every `dim` consecutive weights
// of an output are an entry of a codebook, named by a code of 0..16 bits.
//
// One row of kernels.inc is one ISA's *kit*: a handful of functions that share
// a tile, from which runtime/ops/codebook_* builds its strategies. reference.cc
// defines each function in plain code; the others agree within f32 rounding and
// give the same bits however the caller splits rows and outputs.
// Promises: no allocation, no reads past Source::codes_end, nothing outside the
// spans named here; a zero size does nothing. Spans never overlap. Scratch (panels,
// lanes, tables, sums) is fastest on 64-byte boundaries and right on any.
#ifndef QRT_KERNELS_CODEBOOK_CODEBOOK_H_
#define QRT_KERNELS_CODEBOOK_CODEBOOK_H_

#include <cstddef>
#include <cstdint>

#include "kernels/kernel.h"

namespace qrt::kernels::codebook {

inline constexpr size_t kMaxBooks = 4;
inline constexpr size_t kMaxLanes = 16;  // of any kit

// The coded weights of a layer, entries already widened to f32.
struct Source {
  const uint8_t* codes;  // [book][block][output], `bits` each, LSB first, rows on a byte
  const uint8_t* codes_end;
  size_t row_bytes;   // of the codes of one (book, block)
  size_t book_bytes;  // of the codes of one book
  // [scope][book][2^bits][entry_stride], fewer than 2^32 floats; what the file lacks is 0
  const float* entries;
  size_t entry_stride;  // floats; round_up(dim, 4), the pad is 0
  size_t book_stride;   // floats from one book's entries to the next
  size_t scope_stride;  // floats from one scope's entries to the next
  size_t scope_rows;    // outputs that share a scope; 0: all of them
  uint32_t bits, books, dim;
};

// f16 to f32, subnormals included.
struct WidenArgs {
  const uint16_t* halves;  // any even address
  size_t count;
  float* floats;
};

// Writes the decoded weights of `outputs` <= tile.n outputs as a panel of
// [inputs][tile.n] floats; columns from `outputs` on hold anything. With taps T > 1 the
// weights of input c * T + t go to row t * (inputs / T) + c, so that a
// convolution can read its NHWC input in runs of channels.
struct PanelArgs {
  Source source;
  size_t first_output, outputs;
  size_t first_block, inputs;  // inputs may end inside a block, never start there
  size_t taps;                 // divides inputs
  float* panel;
};

// What happens to a sum before it is stored: clamp(scale * sum + bias + residual).
// Null pointers stand for 1, 0 and 0. A NaN passes through the clamp.
struct Finish {
  const float* scale;  // [outputs], of the first output of the call
  const float* bias;
  const float* residual;  // [rows][residual_stride]
  size_t residual_stride;
  float min, max;
};

// y[m][n] (+)= sum over k of x[m][k] * panel[k][n], k ascending.
struct GemmArgs {
  size_t rows, inputs, outputs;  // outputs <= tile.n
  const float* x;
  size_t x_stride;
  const float* panel;  // [inputs][tile.n]
  float* y;
  size_t y_stride;
  bool first;  // sums start at 0, else at y
  bool last;   // `finish` is applied
  Finish finish;
};

// One row of activations against outputs first_output ... : codes are decoded
// straight into the products. The whole of K in one call.
struct DotArgs {
  Source source;
  size_t first_output, outputs;
  size_t blocks;
  const float* x;  // [block][entry_stride], inputs the source lacks are 0
  float* y;        // [outputs]
  Finish finish;   // residual points at this row
};

// Lays runs of `length` floats one behind the other; a null run stands for zeros.
struct GatherArgs {
  const float* const* runs;
  size_t count, length;
  float* to;  // [count][length]
};

// Rows into lanes: lanes[k][r] = x[r][k'] for r < rows, other lanes hold anything.
// k' = k, or with taps T > 1 the place t * (inputs / T) + c of input k = c * T + t.
struct PackArgs {
  size_t rows, inputs, taps;  // rows <= lanes of the kit
  const float* x;
  size_t x_stride;
  float* lanes;  // [inputs][lanes]
};

// sums[n][r] (+)= sum over blocks b of table(b)[code(b, n)][r], where
// table(b)[c][r] = sum over t of entry[c][t] * x[b * dim + t][r]: `lanes` rows
// at once, one vector per entry. All outputs of a call have the same scope.
struct LookupArgs {
  Source source;
  size_t first_output, outputs;
  size_t first_block, inputs;
  const float* x;  // [inputs][lanes]
  float* tables;   // lookup_table_floats() of scratch
  float* sums;     // [outputs][lanes]
  bool first;
};

// y[r][n] = finish(sums[n][r]), rows <= lanes.
struct StoreArgs {
  size_t rows, outputs;
  const float* sums;  // [outputs][lanes]
  float* y;
  size_t y_stride;
  Finish finish;
};

struct Kit {
  size_t lanes;         // rows that pack, lookup and store hold in a vector
  size_t table_blocks;  // (book, block) tables that lookup keeps at a time
  void (*widen)(const WidenArgs&);
  void (*panel)(const PanelArgs&);
  void (*gemm)(const GemmArgs&);
  void (*dot)(const DotArgs&);
  void (*gather)(const GatherArgs&);
  void (*pack)(const PackArgs&);
  void (*lookup)(const LookupArgs&);
  void (*store)(const StoreArgs&);
  const char *decode_name, *dot_name, *lookup_name;  // for profiles
};

inline constexpr uint32_t kMaxLookupBits = 12;

// Floats of LookupArgs::tables; bits <= kMaxLookupBits.
constexpr size_t lookup_table_floats(const Kit& kit, uint32_t bits) {
  return kit.table_blocks * (size_t{1} << bits) * kit.lanes;
}

#define QRT_CODEBOOK(name, ...) extern const Kit name;
#include "kernels/codebook/kernels.inc"
#undef QRT_CODEBOOK

inline constexpr Kernel<const Kit> kKits[] = {
#define QRT_CODEBOOK(name, isa, tm, tn, tk) {#name, isa, {tm, tn, tk}, {0, 0}, &name},
#include "kernels/codebook/kernels.inc"
#undef QRT_CODEBOOK
};

}  // namespace qrt::kernels::codebook

#endif  // QRT_KERNELS_CODEBOOK_CODEBOOK_H_
