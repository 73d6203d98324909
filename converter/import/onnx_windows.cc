// Convolution and pooling: kernel windows of one or two dimensions, automatic
// padding and ceil mode turned into plain padding. One-dimensional operators run
// as two-dimensional ones on images of height 1.
#include <algorithm>

#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

using layout::kMaxDim;

// A list attribute of `count` entries, `otherwise` everywhere if absent.
std::vector<int64_t> entries(const Node& n, const char* key, size_t count, int64_t otherwise) {
  std::vector<int64_t> list = n.integers(key);
  if (list.empty()) list.assign(count, otherwise);
  if (list.size() != count) {
    refuse(505, key, " has ", list.size(), " entries; expected ", count,
           "; check the source model");
  }
  return list;
}

// The image behind input 0: shape [N,C,H,W], 1-D signals get a height of 1.
struct Image {
  ir::ValueId id;
  bool is_signal;
  size_t spatial() const { return is_signal ? 1 : 2; }
};

Image image_of(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  if (shape.size() == 4) return {x, false};
  if (shape.size() == 3) {
    return {n.step("image", ir::Reshape{{shape[0], shape[1], 1, shape[2]}}, {x}), true};
  }
  n.unsupported("its input has rank ", shape.size(),
                "; images of rank 4 and signals of rank 3 are supported");
}

// Emits the operator; signals lose the height of 1 again.
void emit_image(Node& n, const Image& image, ir::Attr attr, std::vector<ir::ValueId> in) {
  if (!image.is_signal) return n.emit(std::move(attr), std::move(in));
  const ir::ValueId y = n.heart(std::move(attr), std::move(in));
  const std::vector<int64_t> shape = n.value(y).shape;
  n.emit(ir::Reshape{{shape[0], shape[1], shape[3]}}, {y});
}

// Padding that makes the output ceil(input / stride): the smaller half before (upper) or behind.
void pad_to_same(ir::Window2d& w, size_t axis, int64_t input, bool upper) {
  const int64_t span = int64_t{w.dilation[axis]} * (w.kernel[axis] - 1) + 1;
  const int64_t outputs = (input + w.stride[axis] - 1) / w.stride[axis];
  const int64_t total = std::max<int64_t>((outputs - 1) * w.stride[axis] + span - input, 0);
  const int64_t small = total / 2, large = total - small;
  w.pad[axis] = to_int32(upper ? small : large, 0, kMaxDim, "automatic padding");
  w.pad[axis + 2] = to_int32(upper ? large : small, 0, kMaxDim, "automatic padding");
}

ir::Window2d read_window(const Node& n, const Image& image, const std::vector<int64_t>& kernel) {
  const size_t spatial = image.spatial();
  const std::vector<int64_t> stride = entries(n, "strides", spatial, 1);
  const std::vector<int64_t> dilation = entries(n, "dilations", spatial, 1);
  const std::vector<int64_t> pads = entries(n, "pads", 2 * spatial, 0);
  if (kernel.size() != spatial) {
    refuse(505, "kernel_shape has ", kernel.size(), " entries; expected ", spatial);
  }
  ir::Window2d w;
  for (size_t k = 0; k < spatial; ++k) {
    const size_t axis = k + 2 - spatial;  // a signal runs along the width
    w.kernel[axis] = to_int32(kernel[k], 1, kMaxDim, "kernel_shape");
    w.stride[axis] = to_int32(stride[k], 1, kMaxDim, "strides");
    w.dilation[axis] = to_int32(dilation[k], 1, kMaxDim, "dilations");
    w.pad[axis] = to_int32(pads[k], 0, kMaxDim, "pads");
    w.pad[axis + 2] = to_int32(pads[k + spatial], 0, kMaxDim, "pads");
  }
  const std::string mode = n.text("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode.empty()) return w;
  if (mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    refuse(505, "auto_pad is '", mode,
           "'; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER; check the source model");
  }
  w.pad = {0, 0, 0, 0};
  if (mode == "VALID") return w;
  const std::vector<int64_t>& shape = n.value(image.id).shape;
  for (size_t axis = 2 - spatial; axis < 2; ++axis) {
    pad_to_same(w, axis, shape[axis + 2], mode == "SAME_UPPER");
  }
  return w;
}

// Ceil mode asks for ceil((in + pads - span) / stride) + 1 outputs, but for windows that would
// start behind the input and its padding before: those see nothing and are dropped (as PyTorch and
// the later ONNX text have it). Returns the rows that the last window sticks out.
int64_t ceil_overhang(const ir::Window2d& w, size_t axis, int64_t input) {
  const int64_t span = int64_t{w.dilation[axis]} * (w.kernel[axis] - 1) + 1;
  const int64_t padded = input + w.pad[axis] + w.pad[axis + 2];
  if (padded < span) return 0;  // refused by shape inference
  int64_t outputs = (padded - span + w.stride[axis] - 1) / w.stride[axis] + 1;
  if ((outputs - 1) * w.stride[axis] >= input + w.pad[axis]) --outputs;
  return std::max<int64_t>((outputs - 1) * w.stride[axis] + span - padded, 0);
}

// Averages that count the padding count the declared one, not what ceil mode adds: then the
// declared padding becomes a Pad of zeros before a pool that counts its input alone.
ir::ValueId resolve_ceil(Node& n, ir::ValueId x, ir::Pool2d& pool) {
  ir::Window2d& w = pool.window;
  const std::vector<int64_t> shape = n.value(x).shape;
  std::array<int32_t, 2> overhang{};
  for (size_t axis = 0; axis < 2; ++axis) {
    overhang[axis] = to_int32(ceil_overhang(w, axis, shape[axis + 2]), 0, kMaxDim, "ceil_mode");
  }
  if (overhang[0] == 0 && overhang[1] == 0) return x;
  if (pool.count_include_pad) {
    ir::Pad pad;
    pad.before = {0, 0, w.pad[0], w.pad[1]};
    pad.after = {0, 0, w.pad[2], w.pad[3]};
    if (w.pad != std::array<int32_t, 4>{}) x = n.step("padded", pad, {x});
    w.pad = {0, 0, 0, 0};
    pool.count_include_pad = false;
  }
  w.pad[2] += overhang[0];
  w.pad[3] += overhang[1];
  return x;
}

}  // namespace

void import_conv(Node& n) {
  const Image image = image_of(n);
  ir::ValueId weight = n.in(1);
  if (!n.fixed(weight)) {
    refuse(513, "its weight ", n.value(weight).name,
           " is computed from the data; only constant weights are supported");
  }
  const std::vector<int64_t> shape = n.value(weight).shape;
  if (shape.size() != image.spatial() + 2) {
    refuse(506, "its weight ", n.value(weight).name, " has shape ", shape_text(shape),
           "; expected rank ", image.spatial() + 2);
  }
  std::vector<int64_t> kernel = n.integers("kernel_shape");
  if (kernel.empty()) kernel.assign(shape.begin() + 2, shape.end());
  if (image.is_signal) {
    weight = n.step("weight", ir::Reshape{{shape[0], shape[1], 1, shape[2]}}, {weight});
  }
  ir::Conv2d conv;
  conv.window = read_window(n, image, kernel);
  conv.groups = to_int32(n.integer("group", 1), 1, kMaxDim, "group");
  std::vector<ir::ValueId> in = {image.id, weight};
  if (n.has(2)) {
    conv.bias = true;
    in.push_back(n.in(2));
    if (!n.fixed(in.back())) refuse(513, "its bias is computed from the data; make it a constant");
  }
  emit_image(n, image, conv, in);
}

void import_pool(Node& n) {
  const Image image = image_of(n);
  if (n.integer("storage_order", 0) != 0) n.unsupported("storage_order 1 is not supported");
  ir::Pool2d pool;
  if (n.op() == "AveragePool") pool.mode = ir::Pool2d::Mode::average;
  pool.count_include_pad = n.integer("count_include_pad", 0) != 0;
  pool.window = read_window(n, image, n.integers("kernel_shape"));
  ir::ValueId x = image.id;
  // Automatic padding says the output size by itself, whatever the ceil mode.
  const std::string automatic = n.text("auto_pad", "NOTSET");
  const bool explicit_pads = automatic.empty() || automatic == "NOTSET";
  if (explicit_pads && n.integer("ceil_mode", 0) != 0) x = resolve_ceil(n, x, pool);
  emit_image(n, image, pool, {x});
}

void import_global_pool(Node& n) {
  ir::Pool2d pool;
  pool.global = true;
  if (n.op() == "GlobalAveragePool") pool.mode = ir::Pool2d::Mode::average;
  const Image image = image_of(n);
  emit_image(n, image, pool, {image.id});
}

// The mean over the two spatial axes of an image, channels before or behind them.
void import_reduce_mean(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  const int64_t rank = static_cast<int64_t>(shape.size());
  std::vector<int64_t> axes = n.integers("axes");
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::sort(axes.begin(), axes.end());
  const bool keep = n.integer("keepdims", 1) != 0;
  const bool first = axes == std::vector<int64_t>{2, 3};
  const bool last = axes == std::vector<int64_t>{1, 2};
  const bool signal = rank == 3 && axes == std::vector<int64_t>{2};
  if (!signal && (rank != 4 || (!first && !last))) {
    n.unsupported("it averages axes [", join(axes), "] of ", shape_text(shape),
                  "; supported are the two spatial axes of an image");
  }
  ir::Pool2d pool;
  pool.global = true;
  pool.mode = ir::Pool2d::Mode::average;
  ir::ValueId from = x;
  if (signal) from = n.step("image", ir::Reshape{{shape[0], shape[1], 1, shape[2]}}, {x});
  if (!signal && last) from = n.step("nchw", ir::Transpose{{0, 3, 1, 2}}, {x});
  const int64_t channels = n.value(from).shape[1];
  std::vector<int64_t> dims = {shape[0], channels};
  if (keep) {
    if (first) return n.emit(pool, {from});
    dims = signal ? std::vector<int64_t>{shape[0], channels, 1}
                  : std::vector<int64_t>{shape[0], 1, 1, channels};
  }
  const ir::ValueId mean = n.heart(pool, {from});
  n.emit(ir::Reshape{dims}, {mean});
}

}  // namespace qrt::import
