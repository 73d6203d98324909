// How a call's scratch is cut up and its tiles are blocked; shared by every row.
#ifndef QRT_KERNELS_WINOGRAD_PLAN_H_
#define QRT_KERNELS_WINOGRAD_PLAN_H_

#include "kernels/winograd/winograd.h"

namespace qrt::kernels {

// One 2x2 tile of the output: where it starts and how much of it exists.
struct WinogradSpot {
  size_t image, y, x;   // of its upper left output
  size_t offset;        // of that output, in floats
  uint32_t rows, cols;  // 1 or 2
};

struct WinogradPlan {
  static constexpr size_t kLine = 16;                // floats of a line: the 4x4 positions
  static constexpr size_t kOutputs = 16;             // outputs whose codes are staged at once
  static constexpr size_t kMaxTiles = 96;            // of a block
  static constexpr size_t kBlockBytes = 512 * 1024;  // of V: half of the reference core's L2

  explicit WinogradPlan(const WinogradArgs& a);

  size_t halves;  // channels of a code block: dim / 9
  size_t lines;   // of one (scope, book, half): 2^code_bits
  size_t tiles;   // of a block of tiles, at most
  size_t padded;  // cin, rounded up to 16
  // Offsets into scratch, in bytes; every part starts on a line.
  size_t slots_at, zeros_at, spots_at, codes_at, sums_at, v_at, bytes;
};

// Slot of each channel in V: first every block's channel 0, then every block's
// channel 1 and so on. Each run over such a half touches one half of the table
// alone: 16 KiB for 256 centroids, whatever dim is, which L1 holds beside V.
void winograd_slots(const WinogradArgs& a, const WinogradPlan& p, uint32_t* slots);

// The tiles [begin, begin + n) as spots.
void winograd_spots(const WinogradArgs& a, size_t begin, size_t n, WinogradSpot* spots);

// Codes of the outputs [n0, n0 + kOutputs) as byte offsets into the table:
// to[n / group][book][slot][n % group]. Outputs past cout get a line that exists.
void winograd_stage_codes(const WinogradArgs& a, const WinogradPlan& p, const uint32_t* slots,
                          size_t n0, size_t group, uint32_t* to);

}  // namespace qrt::kernels

#endif  // QRT_KERNELS_WINOGRAD_PLAN_H_
