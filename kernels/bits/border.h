// The border of a convolution of bits. Rows are windows: `taps` runs of `channels` bits, each run
// on a word of its own (plain rows are one tap), in the order of weights and of gathered rows.
//
// A tap outside of the image holds what `outside` says. For all bits 0 or 1 (-1 or +1) that is
// an input like any other and only the gathered row knows of it. "Adds nothing" is no such value:
// the row is gathered with zeros there, and what those zeros counted is taken back by the class of
// the row, which stands for a set of taps that are outside:
//
//   differ(zeros gathered) = differ(inside) + sum over taps outside of popcount(w[n][tap])
//   sum  = (channels * taps inside) - 2 * differ(inside)
//   base[class][n] = channels * taps inside + 2 * sum over taps outside of popcount(w[n][tap])
//
// so an image needs as many classes as it has kinds of windows: 9 for a 3x3 one with padding 1.
#ifndef QRT_KERNELS_BITS_BORDER_H_
#define QRT_KERNELS_BITS_BORDER_H_

#include "kernels/bits/bits.h"

namespace qrt::kernels::bits {

struct Window {
  size_t taps, channels;
};
constexpr size_t tap_words(const Window& w) {
  return words_of(w.channels);
}
// Places of a gathered row: behind the last channel of the last tap nothing is counted.
constexpr size_t places(const Window& w) {
  return (w.taps - 1) * tap_words(w) * kWord + w.channels;
}

// Rows of weights as a file has them, places k = t * channels + c or, channel_major, c * taps + t,
// become rows of windows.
struct ArrangeArgs {
  Window window;
  bool channel_major;
  size_t outputs;
  const uint64_t* from;  // [output] at from_stride words
  size_t from_stride;
  uint64_t* to;  // [output] at to_stride words, at least words_of(places(window))
  size_t to_stride;
};
void arrange(const ArrangeArgs&);

// base for the classes of an image, of one plane of arranged weights.
struct BaseArgs {
  Window window;
  size_t outputs, classes;
  const uint64_t* weights;  // [output] at stride words
  size_t stride;
  const uint8_t* outside;  // [class][tap]: 1 where the tap is outside and adds nothing
  int32_t* base;           // [class][output]
};
void bases(const BaseArgs&);

// The bound that says sum >= theta or, with the flip, sum <= theta:
//   base - 2 * differ >= theta   iff  differ < floor((base - theta) / 2) + 1
//   base - 2 * differ <= theta   iff  not differ < ceil((base - theta) / 2)
constexpr int32_t bound_of(int32_t base, int64_t theta, bool flip) {
  const int64_t room = int64_t{base} - theta;
  if (room < 0) return 0;
  const int64_t bound = flip ? (room + 1) / 2 : room / 2 + 1;
  return static_cast<int32_t>(bound > kMaxDiffer ? int64_t{kMaxDiffer} + 1 : bound);
}

// Gathers rows: tap t of row r lies at x + at[r * taps + t] words; kOutside is filled.
inline constexpr int32_t kOutside = -1;
struct GatherArgs {
  Window window;
  size_t rows;
  const uint64_t* x;  // runs of tap_words(window) words, bits behind the channels 0
  const int32_t* at;  // [row][tap]
  bool outside_ones;  // +1 outside; else zeros, which are -1 or nothing
  uint64_t* to;       // [row] at stride words
  size_t stride;
};
void gather(const GatherArgs&);

}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_BORDER_H_
