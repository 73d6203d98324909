// Weights that are packed codes of few bits, row after row, as a panel is made of them.
#ifndef QRT_KERNELS_INT8_PACKED_H_
#define QRT_KERNELS_INT8_PACKED_H_

#include <cstddef>
#include <cstdint>

namespace qrt::kernels::int8 {

// Lays `outputs` <= tile.n rows of codes out as PanelArgs does those of their integers
//   w[n][k] = map[code], or ((code ^ flip) << doubled[n]) - zero[n], modulo 2^8
// but that columns from `outputs` on hold anything. A row begins on a byte, LSB first; a byte of
// trits (five, least significant first) is below 243.
struct PackedArgs {
  const uint8_t* codes;    // of the first output
  const uint8_t* end;      // of the buffer that holds them: nothing is read there or behind
  size_t row_bytes;        // from one output's codes to the next
  uint32_t bits;           // 1..8, or 0: trits
  const int8_t* map;       // 256 integers, 16 where codes have at most 4 bits; null: none
  uint8_t flip;            // the sign bit of signed codes; with a map or trits 0
  const uint8_t* doubled;  // [outputs], 0 or 1; with a map or trits 0
  const int8_t* zero;      // [outputs]; with a map 0
  size_t outputs, inputs;
  bool sums;  // false: gemm is called with x_zero 0, and the kit may leave the sums out
  void* panel;
};

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_PACKED_H_
