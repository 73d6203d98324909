// Windows of an image of bits, and what is missing of them at its border. A row is the window of
// one output pixel: bit t * channels + c is channel c of tap t, without gaps, which is how a file
// holds the weights of a convolution. So weights are never laid out anew for a window.
//
// A binary grid has no zero, but a tap outside of the image adds nothing. The row is gathered with
// zeros there, and what those zeros counted is taken back by the *class* of the row, which stands
// for the rectangle of taps that are inside:
//
//   differ(zeros gathered) = differ(inside) + sum over taps outside of popcount(w[n][tap])
//   sum  = (channels * taps inside) - 2 * differ(inside)
//   base[class][n] = channels * taps inside + 2 * sum over taps outside of popcount(w[n][tap])
//
// so an image needs as many classes as it has kinds of windows: 9 for a 3x3 one with padding 1.
// Padding of -1 or +1 is an input like any other: an operator before the layer writes it.
#ifndef QRT_KERNELS_BITS_BORDER_H_
#define QRT_KERNELS_BITS_BORDER_H_

#include "kernels/bits/bits.h"

namespace qrt::kernels::bits {

// Copies `count` bits; what lies around them in `to` stays.
void copy_bits(const uint64_t* from, size_t from_bit, size_t count, uint64_t* to, size_t to_bit);

// Taps [y0, y1) x [x0, x1) of a window are inside.
struct Inside {
  uint32_t y0, y1, x0, x1;
};

// base for the classes of an image, of one plane of weights.
struct BaseArgs {
  size_t kernel_h, kernel_w, channels;
  size_t outputs, classes;
  const uint64_t* weights;  // [output] at stride words
  size_t stride;
  const Inside* inside;  // [class]
  int32_t* base;         // [class] at base_stride, [output]
  size_t base_stride;
  int32_t* work;  // (kernel_h + 1) * (kernel_w + 1) of them
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

// Rows from `row0` on, which counts over all images. Pixels are `pixel` words apart and hold
// `channels` bits from bit `first_channel` on.
struct GatherArgs {
  size_t in_h, in_w, out_h, out_w;
  size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  size_t channels, first_channel, pixel;
  const uint64_t* x;
  size_t row0, rows;
  uint64_t* to;  // [row] at stride words, words_of(kernel_h * kernel_w * channels) of them written
  size_t stride;
};
void gather(const GatherArgs&);

}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_BORDER_H_
