// Rows of a convolution from its NHWC input, a few at a time: the part of im2col
// that a tile needs, never all of it.
#include "runtime/ops/codebook_layer.h"

namespace qrt {
namespace {

// Where the taps of one output position lie in the input.
struct Position {
  const CodebookLayer& layer;
  const float* image;  // channel 0 of the group
  size_t oy, ox;

  // Channel 0 of a tap; null outside the image.
  const float* tap(size_t ky, size_t kx) const {
    const Window& w = layer.window;
    // Unsigned wrap-around makes one comparison of the two borders.
    const size_t iy = oy * w.stride_h + ky * w.dilation_h - w.pad_top;
    const size_t ix = ox * w.stride_w + kx * w.dilation_w - w.pad_left;
    if (iy >= layer.in_h || ix >= layer.in_w) return nullptr;
    return image + (iy * layer.in_w + ix) * layer.channels * layer.groups;
  }
};

// Collects runs and copies them when enough are there, all of one length.
class Runs {
 public:
  Runs(const CodebookLayer& layer, float* to) : gather_(layer.kit->run->gather), to_(to) {}
  void add(const float* pixel, size_t c0, size_t c1) {
    if (count_ == kMost || c1 - c0 != length_) flush();
    length_ = c1 - c0;
    runs_[count_++] = pixel == nullptr ? nullptr : pixel + c0;
  }
  void flush() {
    if (count_ != 0) gather_({runs_, count_, length_, to_});
    to_ += count_ * length_, count_ = 0;
  }

 private:
  static constexpr size_t kMost = 32;
  void (*gather_)(const kernels::codebook::GatherArgs&);
  float* to_;
  const float* runs_[kMost];
  size_t count_ = 0, length_ = 0;
};

// Channels [c0, c1) of every tap, tap after tap.
void gather_taps(const Position& at, size_t c0, size_t c1, Runs& runs) {
  for (size_t ky = 0; ky < at.layer.window.kernel_h; ++ky)
    for (size_t kx = 0; kx < at.layer.window.kernel_w; ++kx) runs.add(at.tap(ky, kx), c0, c1);
}

// Inputs [k0, k1) of the order tap, channel.
void gather_range(const Position& at, size_t k0, size_t k1, Runs& runs) {
  const size_t channels = at.layer.channels;
  while (k0 < k1) {
    const size_t tap = k0 / channels, c0 = k0 % channels;
    const size_t c1 = channels - c0 < k1 - k0 ? channels : c0 + (k1 - k0);
    runs.add(at.tap(tap / at.layer.window.kernel_w, tap % at.layer.window.kernel_w), c0, c1);
    k0 += c1 - c0;
  }
}

}  // namespace

void gather_rows(const CodebookLayer& layer, const float* x, const RowRange& range, float* dst,
                 size_t stride) {
  const size_t pixels = layer.out_h * layer.out_w;
  const size_t image_floats = layer.in_h * layer.in_w * layer.channels * layer.groups;
  const float* image = x + range.row0 / pixels * image_floats + range.group * layer.channels;
  const size_t pixel = range.row0 % pixels;
  Position at{layer, image, pixel / layer.out_w, pixel % layer.out_w};
  for (size_t r = 0; r < range.rows; ++r, dst += stride) {
    Runs runs(layer, dst);
    if (layer.interleaved)
      gather_taps(at, range.k0 / layer.taps, range.k1 / layer.taps, runs);
    else
      gather_range(at, range.k0, range.k1, runs);
    runs.flush();
    if (++at.ox < layer.out_w) continue;
    at.ox = 0;
    if (++at.oy < layer.out_h) continue;
    at.oy = 0, at.image += image_floats;
  }
}

}  // namespace qrt
