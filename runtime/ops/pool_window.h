// The pixels under the windows of a pool, one row of outputs at a time.
#ifndef QRT_RUNTIME_OPS_POOL_WINDOW_H_
#define QRT_RUNTIME_OPS_POOL_WINDOW_H_

#include "runtime/dense/geometry.h"

namespace qrt {

// Rows [y, y + rows) of columns [x, x + columns) inside the image, steps apart; `first` is null
// where the window lies wholly in the padding.
template <class T>
struct View {
  const T* first;
  size_t rows, columns;
  size_t row_step, column_step;  // in elements

  size_t pixels() const { return rows * columns; }
  // Calls visit(pixel) for all but the first.
  template <class F>
  void rest(F&& visit) const {
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = r == 0 ? 1 : 0; c < columns; ++c)
        visit(first + r * row_step + c * column_step);
  }
};

// Calls pixel(view, output pixel) for every window of one row of outputs; `row` counts over the
// batch.
template <class T, class F>
void for_windows(const ConvGeometry& g, const T* in, size_t row, F&& pixel) {
  const Window& k = g.window;
  const size_t image = row / g.out_h, y = row % g.out_h;
  const int64_t top = static_cast<int64_t>(y * k.stride_h) - int64_t{k.pad_top};
  const TapRange ty = taps_inside(top, k.kernel_h, k.dilation_h, g.in_h);
  for (size_t x = 0; x < g.out_w; ++x) {
    const int64_t left = static_cast<int64_t>(x * k.stride_w) - int64_t{k.pad_left};
    const TapRange tx = taps_inside(left, k.kernel_w, k.dilation_w, g.in_w);
    View<T> v{nullptr, ty.last - ty.first, tx.last - tx.first, k.dilation_h * g.in_w * g.in_c,
              k.dilation_w * g.in_c};
    if (v.pixels() != 0) {
      const size_t iy = static_cast<size_t>(top + static_cast<int64_t>(ty.first * k.dilation_h));
      const size_t ix = static_cast<size_t>(left + static_cast<int64_t>(tx.first * k.dilation_w));
      v.first = in + ((image * g.in_h + iy) * g.in_w + ix) * g.in_c;
    }
    pixel(v, row * g.out_w + x);
  }
}

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_POOL_WINDOW_H_
