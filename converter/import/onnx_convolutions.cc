// Convolution, straight and transposed.
//
// The graph knows both over images. A signal is an image of height 1. Of volumes,
//   straight     the depth's taps become channels (a depthwise convolution of ones
//                and zeros), then every slice is an image
//   transposed   every slice is an image that gives one output per tap of the depth,
//                and these are added up along it (a grouped one of ones and zeros)
// so that the layer with the weights is one that every method and kernel knows.
#include <algorithm>

#include "converter/import/onnx_windows.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

using layout::kMaxDim;

// What a constant must be, in the words of the message.
void need_fixed(const Node& n, ir::ValueId id, const char* what) {
  if (n.fixed(id)) return;
  refuse(513, "its ", what, " ", n.value(id).name,
         " is computed from the data; only constants are supported: export the model with it as an "
         "initializer");
}

// [N,C,D,H,W] to [N*D,C,H,W]: every slice an image.
ir::ValueId to_slices(Node& n, ir::ValueId x) {
  const ir::ValueId moved = n.step("depth_first", ir::Transpose{{0, 2, 1, 3, 4}}, {x});
  const std::vector<int64_t> s = n.value(moved).shape;
  return n.step("slices", ir::Reshape{{s[0] * s[1], s[2], s[3], s[4]}}, {moved});
}

// ---- convolution -------------------------------------------------------------------------------

// [N,C,D,H,W] to [N,C*kd,D',H,W]: channel c * kd + k is channel c under tap k of the depth.
ir::ValueId unfold_depth(Node& n, ir::ValueId x, const Axis& depth) {
  if (depth.kernel == 1 && depth.stride == 1 && depth.before + depth.after == 0) return x;
  const std::vector<int64_t> s = n.value(x).shape;
  const int64_t channels = s[1], taps = depth.kernel;
  const ir::ValueId flat = n.step("rows", ir::Reshape{{s[0], channels, s[2], s[3] * s[4]}}, {x});
  std::vector<float> ones(static_cast<size_t>(channels * taps * taps));
  for (size_t i = 0; i < ones.size(); i += static_cast<size_t>(taps)) {
    ones[i + i / static_cast<size_t>(taps) % static_cast<size_t>(taps)] = 1;
  }
  ir::Conv2d unfold;
  unfold.window = window_of(&depth, nullptr);
  unfold.groups = to_int32(channels, 1, kMaxDim, "the number of channels");
  const ir::ValueId weight = n.constant("taps", {channels * taps, 1, taps, 1}, std::move(ones));
  const ir::ValueId y = n.step("unfolded", unfold, {flat, weight});
  return n.step("volume", ir::Reshape{{s[0], channels * taps, n.value(y).shape[2], s[3], s[4]}},
                {y});
}

// The convolution of every slice, its images put together again.
void emit_slices(Node& n, const ir::Conv2d& conv, std::vector<ir::ValueId> in, int64_t batch) {
  in[0] = to_slices(n, in[0]);
  const ir::ValueId y = n.heart(conv, std::move(in));
  const std::vector<int64_t> s = n.value(y).shape;
  const ir::ValueId parts =
      n.step("parts", ir::Reshape{{batch, s[0] / batch, s[1], s[2], s[3]}}, {y});
  n.emit(ir::Transpose{{0, 2, 1, 3, 4}}, {parts});
}

}  // namespace

void import_conv(Node& n) {
  const std::vector<int64_t> image = windowed_shape(n);
  const ir::ValueId weight = n.in(1);
  need_fixed(n, weight, "weight");
  const std::vector<int64_t> shape = n.value(weight).shape;
  if (shape.size() != image.size()) {
    refuse(506, "its weight ", n.value(weight).name, " has shape ", shape_text(shape),
           "; expected rank ", image.size());
  }
  std::vector<int64_t> kernel = n.integers("kernel_shape");
  if (kernel.empty()) kernel.assign(shape.begin() + 2, shape.end());
  Axes axes = read_axes(n, image, kernel);
  pad_to_same(n, axes);

  ir::Conv2d conv;
  conv.window = window_of(axes);
  conv.groups = to_int32(n.integer("group", 1), 1, kMaxDim, "group");
  std::vector<ir::ValueId> in = {n.in(0), weight};
  if (n.has(2)) {
    conv.bias = true;
    in.push_back(n.in(2));
    need_fixed(n, in.back(), "bias");
  }
  if (axes.size() == 2) return n.emit(conv, in);
  if (axes.size() == 3) {
    if (kernel[0] != shape[2]) refuse(505, "kernel_shape is not that of the weight's shape");
    in[0] = unfold_depth(n, in[0], axes[0]);
    in[1] = n.step("weight", ir::Reshape{{shape[0], shape[1] * shape[2], shape[3], shape[4]}},
                   {weight});
    return emit_slices(n, conv, in, image[0]);
  }
  in[0] = n.step("image", ir::Reshape{{image[0], image[1], 1, image[2]}}, {in[0]});
  in[1] = n.step("weight", ir::Reshape{{shape[0], shape[1], 1, shape[2]}}, {weight});
  const ir::ValueId y = n.heart(conv, in);
  const std::vector<int64_t> made = n.value(y).shape;
  n.emit(ir::Reshape{{made[0], made[1], made[3]}}, {y});
}

// ---- transposed convolution --------------------------------------------------------------------

namespace {

// Padding from the output's size, given or automatic. Sizes larger than what the windows reach are
// rows and columns at the end that no input meets.
void settle_output(const Node& n, Axes& axes) {
  const std::string mode = padding_mode(n);
  std::vector<int64_t> sizes = n.integers("output_shape");
  const std::vector<int64_t> more = entries(n, "output_padding", axes.size(), 0);
  if (sizes.size() == axes.size() + 2) sizes.erase(sizes.begin(), sizes.begin() + 2);
  if (!sizes.empty() && sizes.size() != axes.size()) {
    refuse(505, "output_shape has ", sizes.size(), " entries; expected ", axes.size());
  }
  for (size_t k = 0; k < axes.size(); ++k) {
    Axis& axis = axes[k];
    axis.adjust = to_int32(more[k], 0, kMaxDim, "output_padding");
    const bool is_same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
    if (sizes.empty() && !is_same) continue;
    const int64_t size =
        sizes.empty() ? axis.input * axis.stride : to_int32(sizes[k], 1, kMaxDim, "output_shape");
    const int64_t total = (axis.input - 1) * axis.stride + axis.span() + axis.adjust - size;
    set_padding(axis, std::max<int64_t>(total, 0), mode == "SAME_UPPER");
    axis.adjust += std::max<int64_t>(-total, 0);
  }
}

// ONNX has [C, O/groups, taps]; the graph has outputs first and each group's inputs behind, with
// the taps of the depth, of which every one is an output of its own: [O * kd, C/groups, kh, kw].
ir::ValueId outputs_first(Node& n, ir::ValueId weight, int64_t groups, const Axes& axes) {
  const std::vector<int64_t> s = n.value(weight).shape;
  if (s[0] % groups != 0) {
    refuse(506, "its weight ", n.value(weight).name, " has shape ", shape_text(s), " with ", groups,
           " groups; the first dimension must divide by them");
  }
  const int64_t depth = axes.size() == 3 ? s[2] : 1;
  const int64_t kh = axes.size() > 1 ? s[s.size() - 2] : 1, kw = s.back();
  const ir::ValueId apart =
      n.step("groups", ir::Reshape{{groups, s[0] / groups, s[1], depth, kh * kw}}, {weight});
  const ir::ValueId moved = n.step("turned", ir::Transpose{{0, 2, 3, 1, 4}}, {apart});
  return n.step("weight", ir::Reshape{{groups * s[1] * depth, s[0] / groups, kh, kw}}, {moved});
}

// Adds the outputs of every tap of the depth, [N*D, O*kd, H, W], up along it: [N, O, D', H, W].
void emit_depth(Node& n, ir::ValueId taps, int64_t batch, const Axis& depth, ir::ConvTranspose conv,
                std::vector<ir::ValueId> in) {
  const std::vector<int64_t> s = n.value(taps).shape;
  const int64_t kernel = depth.kernel, outputs = s[1] / kernel;
  const ir::ValueId parts =
      n.step("parts", ir::Reshape{{batch, s[0] / batch, s[1], s[2] * s[3]}}, {taps});
  in[0] = n.step("columns", ir::Transpose{{0, 2, 1, 3}}, {parts});
  std::vector<float> ones(static_cast<size_t>(outputs * kernel * kernel));
  for (int64_t i = 0; i < outputs * kernel; ++i) {
    ones[static_cast<size_t>(i * kernel + i % kernel)] = 1;
  }
  in[1] = n.constant("taps", {outputs, kernel, kernel, 1}, std::move(ones));
  conv.window = window_of(&depth, nullptr);
  conv.adjust = {to_int32(depth.adjust, 0, kMaxDim, "output_padding"), 0};
  conv.groups = static_cast<int32_t>(outputs);
  const ir::ValueId y = n.step("summed", conv, in);
  n.emit(ir::Reshape{{batch, outputs, n.value(y).shape[2], s[2], s[3]}}, {y});
}

}  // namespace

void import_conv_transpose(Node& n) {
  const std::vector<int64_t> image = windowed_shape(n);
  const ir::ValueId weight = n.in(1);
  need_fixed(n, weight, "weight");
  const std::vector<int64_t> shape = n.value(weight).shape;
  if (shape.size() != image.size()) {
    refuse(506, "its weight ", n.value(weight).name, " has shape ", shape_text(shape),
           "; expected rank ", image.size());
  }
  const std::vector<int64_t> own(shape.begin() + 2, shape.end());
  std::vector<int64_t> kernel = n.integers("kernel_shape");
  if (kernel.empty()) kernel = own;
  if (kernel != own) refuse(505, "kernel_shape is [", join(kernel), "]; the weight's is another");
  Axes axes = read_axes(n, image, kernel);
  settle_output(n, axes);

  ir::ConvTranspose conv;
  conv.groups = to_int32(n.integer("group", 1), 1, kMaxDim, "group");
  conv.window = window_of(axes);
  conv.adjust[1] = to_int32(axes.back().adjust, 0, kMaxDim, "output_padding");
  if (axes.size() > 1) {
    conv.adjust[0] = to_int32(axes[axes.size() - 2].adjust, 0, kMaxDim, "output_padding");
  }
  std::vector<ir::ValueId> in = {n.in(0), outputs_first(n, weight, conv.groups, axes)};
  if (n.has(2)) {
    conv.bias = true;
    in.push_back(n.in(2));
    need_fixed(n, in.back(), "bias");
  }
  if (axes.size() == 2) return n.emit(conv, in);
  if (axes.size() == 3) {  // the bias belongs to the sums
    ir::ConvTranspose slices = conv;
    slices.bias = false;
    const ir::ValueId taps = n.heart(slices, {to_slices(n, in[0]), in[1]});
    return emit_depth(n, taps, image[0], axes[0], conv, in);
  }
  in[0] = n.step("image", ir::Reshape{{image[0], image[1], 1, image[2]}}, {in[0]});
  const ir::ValueId y = n.heart(conv, in);
  const std::vector<int64_t> made = n.value(y).shape;
  n.emit(ir::Reshape{{made[0], made[1], made[3]}}, {y});
}

}  // namespace qrt::import
