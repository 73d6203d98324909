// Winograd convolution F(2x2,3x3) on codebooks, in f32: 3x3 kernels, stride 1,
// dilation 1, one group, whose weights are codes into blocks of whole 3x3 kernels
// (dim a multiple of 9, input order cin_kh_kw). Only the codebook is transformed;
// the codes then address the transformed lines. generic.h has the derivation.
#ifndef QRT_KERNELS_WINOGRAD_WINOGRAD_H_
#define QRT_KERNELS_WINOGRAD_WINOGRAD_H_

#include <cstddef>
#include <cstdint>

#include "kernels/kernel.h"

namespace qrt::kernels {

// All memory is borrowed. Activations are dense NHWC.
struct WinogradArgs {
  size_t batch, in_h, in_w, cin;
  size_t out_h, out_w, cout;
  size_t pad_top, pad_left;  // output (y, x) reads input rows y - pad_top + 0..2; outside is zero
  const float* input;        // [batch][in_h][in_w][cin]
  float* output;             // [batch][out_h][out_w][cout]
  // y = clamp(scale[n] * sum + bias[n] + residual). Null: 1, 0, 0. `residual` has
  // the output's shape and may be the output. Unbounded: -inf, +inf.
  const float *scale, *bias, *residual;
  float min, max;
  // Codes [book][block][output], LSB first, each (book, block) row on a byte, as in
  // the file; a block is dim / 9 input channels, the last one may be short.
  // `code_bits` 0..16. `scope_rows` outputs share their books; 0: all of them do.
  const uint8_t* codes;
  uint32_t books, dim, code_bits, scope_rows;
  const float* table;  // made by winograd_build_table, 64-byte aligned
  // This call computes tiles [tile_begin, tile_end) of winograd_tiles(); calls for
  // disjoint tiles may run at once, each with its own scratch.
  size_t tile_begin, tile_end;
  void* scratch;  // winograd_scratch_bytes(), 64-byte aligned, contents of no interest
};
using WinogradFn = void(const WinogradArgs&);

// 2x2 outputs each; the ones at odd borders are cut. Batch, then rows, then columns.
constexpr size_t winograd_tiles(const WinogradArgs& a) {
  return a.batch * ((a.out_h + 1) / 2) * ((a.out_w + 1) / 2);
}

// Bytes of the transformed codebook: one 64-byte line per scope, book, channel of
// the block and possible code (2^code_bits, so that no code points outside). The
// kernels address it with 32 bits. 0 where it would not fit in 2 GiB.
size_t winograd_table_bytes(const WinogradArgs& a);

// Transforms a codebook in f32, [scope][book][2^code_bits][entry_stride], of whose
// entries the first `dim` floats count: U = G g G^T for each 3x3 kernel in it.
void winograd_build_table(const WinogradArgs& a, const float* entries, size_t entry_stride,
                          float* table);

// Predicted nanoseconds of all tiles on one thread: steps of the register tile, and the
// transforms of cin and cout lines per tile.
float winograd_cost_ns(const WinogradArgs& a, const Kernel<WinogradFn>& row);

// Bytes of scratch of one call: transformed input of a block of tiles, and the codes
// of a few outputs as addresses. Grows with cin * books, not with cin * cout.
size_t winograd_scratch_bytes(const WinogradArgs& a);

#define QRT_WINOGRAD(name, ...) WinogradFn name;
#include "kernels/winograd/kernels.inc"
#undef QRT_WINOGRAD

// Tile: m = 2x2 tiles of the output, n = outputs, k = input channels of one step.
inline constexpr Kernel<WinogradFn> kWinograd[] = {
#define QRT_WINOGRAD(name, isa, tm, tn, tk, call, tile) \
  {#name, isa, {tm, tn, tk}, {call, tile}, &name},
#include "kernels/winograd/kernels.inc"
#undef QRT_WINOGRAD
};

}  // namespace qrt::kernels

#endif  // QRT_KERNELS_WINOGRAD_WINOGRAD_H_
