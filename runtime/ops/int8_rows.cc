// Rows of a convolution from its NHWC bytes, a few at a time: the part of im2col that a tile needs.
#include <cstring>

#include "runtime/dense/geometry.h"
#include "runtime/ops/int8_layer.h"

namespace qrt {
namespace {

// Short copies, where a call of memcpy would cost as much as the bytes: pieces of a fixed size,
// the last of which overlaps the one before.
template <size_t N>
inline void copy_pieces(uint8_t* to, const uint8_t* from, size_t n) {
  for (size_t i = 0; i + N < n; i += N) std::memcpy(to + i, from + i, N);
  std::memcpy(to + n - N, from + n - N, N);
}
inline void copy_run(uint8_t* to, const uint8_t* from, size_t n) {
  if (n > 512)
    std::memcpy(to, from, n);
  else if (n >= 16)
    copy_pieces<16>(to, from, n);
  else if (n >= 4)
    copy_pieces<4>(to, from, n);
  else
    for (size_t i = 0; i < n; ++i) to[i] = from[i];
}

// One output position. Neighbouring taps of a row of the image are one run where nothing lies
// between them.
class Patch {
 public:
  Patch(const Int8Layer& layer)
      : layer_(layer),
        depth_(layer.channels * layer.groups),
        pixel_(layer.window.dilation_w * depth_),
        line_(layer.window.kernel_w * layer.channels),
        merged_(layer.groups == 1 && layer.window.dilation_w == 1) {}

  // `image` is channel 0 of the group.
  void copy(const uint8_t* image, size_t oy, size_t ox, uint8_t* to) const {
    const Window& w = layer_.window;
    const int64_t top = static_cast<int64_t>(oy * w.stride_h) - w.pad_top;
    const int64_t left = static_cast<int64_t>(ox * w.stride_w) - w.pad_left;
    const TapRange y = taps_inside(top, w.kernel_h, w.dilation_h, layer_.in_h);
    const TapRange x = taps_inside(left, w.kernel_w, w.dilation_w, layer_.in_w);
    if (x.first == x.last || y.first == y.last) return fill(to, 0, w.kernel_h * w.kernel_w);
    fill(to, 0, y.first * w.kernel_w);
    fill(to, y.last * w.kernel_w, w.kernel_h * w.kernel_w);
    const ptrdiff_t first_y = top + static_cast<ptrdiff_t>(y.first * w.dilation_h);
    const ptrdiff_t first_x = left + static_cast<ptrdiff_t>(x.first * w.dilation_w);
    const ptrdiff_t pixel = first_y * static_cast<ptrdiff_t>(layer_.in_w) + first_x;
    lines(image + pixel * static_cast<ptrdiff_t>(depth_), y.last - y.first, x,
          to + y.first * line_);
  }

 private:
  void fill(uint8_t* to, size_t first, size_t last) const {
    if (first < last)
      std::memset(to + first * layer_.channels, layer_.x.zero, (last - first) * layer_.channels);
  }
  // `count` rows of the window; tap x.first of the first lies at `from`.
  void lines(const uint8_t* from, size_t count, const TapRange& x, uint8_t* to) const {
    const size_t c = layer_.channels, taps = layer_.window.kernel_w;
    const size_t step = layer_.window.dilation_h * layer_.in_w * depth_;
    const size_t n = (x.last - x.first) * c;
    const bool whole = x.last - x.first == taps;
    if (whole && merged_ && n >= 16 && n <= 32) {  // rows of a first layer, many and short
      for (size_t i = 0; i < count; ++i) copy_pieces<16>(to + i * line_, from + i * step, n);
      return;
    }
    for (size_t i = 0; i < count; ++i, to += line_) {
      if (!whole) fill(to, 0, x.first), fill(to, x.last, taps);
      const uint8_t* line = from + i * step;
      uint8_t* at = to + x.first * c;
      if (merged_) {
        copy_run(at, line, n);
        continue;
      }
      for (size_t t = 0; t < x.last - x.first; ++t) copy_run(at + t * c, line + t * pixel_, c);
    }
  }

  const Int8Layer& layer_;
  const size_t depth_;  // bytes from one pixel to the next
  const size_t pixel_;  // bytes from one tap to the next
  const size_t line_;   // bytes of the taps of one row of the window
  const bool merged_;
};

}  // namespace

void gather_rows(const Int8Layer& layer, const uint8_t* x, const Int8RowRange& range, uint8_t* dst,
                 size_t stride) {
  const Patch patch(layer);
  const size_t pixels = layer.out_h * layer.out_w;
  const size_t image_bytes = layer.in_h * layer.in_w * layer.channels * layer.groups;
  const uint8_t* first = x + range.group * layer.channels;
  size_t image = range.row0 / pixels, pixel = range.row0 % pixels;
  for (size_t r = 0; r < range.rows; ++r, dst += stride) {
    if (range.order) image = range.order[r] / pixels, pixel = range.order[r] % pixels;
    patch.copy(first + image * image_bytes, pixel / layer.out_w, pixel % layer.out_w, dst);
    if (++pixel == pixels) pixel = 0, ++image;
  }
}

}  // namespace qrt
