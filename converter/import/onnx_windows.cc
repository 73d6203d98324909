// See onnx_windows.h.
#include "converter/import/onnx_windows.h"

#include <algorithm>

#include "schema/layout.h"

namespace qrt::import {

using layout::kMaxDim;

std::vector<int64_t> entries(const Node& n, const char* key, size_t count, int64_t otherwise) {
  std::vector<int64_t> list = n.integers(key);
  if (list.empty()) list.assign(count, otherwise);
  if (list.size() != count) {
    refuse(505, key, " has ", list.size(), " entries; expected ", count,
           "; check the source model");
  }
  return list;
}

std::vector<int64_t> windowed_shape(const Node& n) {
  const std::vector<int64_t> shape = n.value(n.in(0)).shape;
  if (shape.size() < 3 || shape.size() > 5) {
    n.unsupported("its input has rank ", shape.size(),
                  "; signals, images and volumes (rank 3 to 5) are supported");
  }
  if (ir::element_count(shape) < 1) refuse(506, "its input of ", shape_text(shape), " is empty");
  return shape;
}

std::string padding_mode(const Node& n) {
  const std::string mode = n.text("auto_pad", "NOTSET");
  if (mode.empty()) return "NOTSET";
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    refuse(505, "auto_pad is '", mode,
           "'; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER; check the source model");
  }
  return mode;
}

Axes read_axes(const Node& n, const std::vector<int64_t>& shape,
               const std::vector<int64_t>& kernel) {
  const size_t spatial = shape.size() - 2;
  const std::vector<int64_t> stride = entries(n, "strides", spatial, 1);
  const std::vector<int64_t> dilation = entries(n, "dilations", spatial, 1);
  const std::vector<int64_t> pads = entries(n, "pads", 2 * spatial, 0);
  if (kernel.size() != spatial) {
    refuse(505, "kernel_shape has ", kernel.size(), " entries; expected ", spatial);
  }
  const bool is_explicit = padding_mode(n) == "NOTSET";
  Axes axes(spatial);
  for (size_t k = 0; k < spatial; ++k) {
    Axis& axis = axes[k];
    axis.input = shape[k + 2];
    axis.kernel = to_int32(kernel[k], 1, kMaxDim, "kernel_shape");
    axis.stride = to_int32(stride[k], 1, kMaxDim, "strides");
    axis.dilation = to_int32(dilation[k], 1, kMaxDim, "dilations");
    const int64_t before = to_int32(pads[k], 0, kMaxDim, "pads");
    const int64_t after = to_int32(pads[k + spatial], 0, kMaxDim, "pads");
    if (is_explicit) axis.before = before, axis.after = after;
  }
  return axes;
}

void set_padding(Axis& axis, int64_t total, bool larger_behind) {
  const int64_t small = total / 2, large = total - small;
  axis.before = larger_behind ? small : large;
  axis.after = larger_behind ? large : small;
}

void pad_to_same(const Node& n, Axes& axes) {
  const std::string mode = padding_mode(n);
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") return;
  for (Axis& axis : axes) {
    const int64_t outputs = (axis.input + axis.stride - 1) / axis.stride;
    const int64_t total = (outputs - 1) * axis.stride + axis.span() - axis.input;
    set_padding(axis, std::max<int64_t>(total, 0), mode == "SAME_UPPER");
  }
}

ir::Window2d window_of(const Axis* height, const Axis* width) {
  ir::Window2d w;
  const Axis* axes[] = {height, width};
  for (size_t k = 0; k < 2; ++k) {
    if (!axes[k]) continue;
    const Axis& axis = *axes[k];
    w.kernel[k] = static_cast<int32_t>(axis.kernel);
    w.stride[k] = static_cast<int32_t>(axis.stride);
    w.dilation[k] = static_cast<int32_t>(axis.dilation);
    w.pad[k] = to_int32(axis.before, 0, kMaxDim, "padding");
    w.pad[k + 2] = to_int32(axis.after, 0, kMaxDim, "padding");
  }
  return w;
}
ir::Window2d window_of(const Axes& axes) {
  return window_of(axes.size() > 1 ? &axes[axes.size() - 2] : nullptr, &axes.back());
}

}  // namespace qrt::import
