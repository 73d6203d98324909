// See conv_geometry.h.
#include "runtime/ops/conv_geometry.h"

#include "runtime/ops/checks.h"
#include "schema/layout.h"

namespace qrt {
namespace {

const char* const kAgain = "convert the model again";

// Output extent of one axis; 0 when the window fits nowhere or a size is absurd.
size_t output_extent(size_t in, uint64_t kernel, uint64_t stride, uint64_t dilation,
                     uint64_t before, uint64_t after) {
  constexpr uint64_t kMax = layout::kMaxDim;
  if (kernel == 0 || stride == 0 || dilation == 0) return 0;
  if (kernel > kMax || stride > kMax || dilation > kMax || before > kMax || after > kMax) return 0;
  const uint64_t reach = dilation * (kernel - 1) + 1, padded = in + before + after;
  if (padded < reach) return 0;
  const uint64_t out = (padded - reach) / stride + 1;
  return out <= kMax ? static_cast<size_t>(out) : 0;
}

// Output extent of one axis of a transposed convolution, likewise.
size_t transposed_extent(size_t in, uint64_t kernel, uint64_t stride, uint64_t dilation,
                         uint64_t adjust, uint64_t pads) {
  constexpr uint64_t kMax = layout::kMaxDim;
  if (kernel == 0 || stride == 0 || dilation == 0) return 0;
  if (kernel > kMax || stride > kMax || dilation > kMax || adjust > kMax || pads > kMax) return 0;
  const uint64_t whole = (in - 1) * stride + dilation * (kernel - 1) + 1 + adjust;
  if (whole <= pads || whole - pads > kMax) return 0;
  return static_cast<size_t>(whole - pads);
}

// The parts of `g` that the input says.
Status read_image(const PrepareContext& ctx, ConvGeometry* g) {
  const Shape& in = ctx.in[0].shape;
  if (in.rank != 4)
    return Status(Code::invalid_model, 254, "a windowed operator needs an NHWC input of rank 4")
        .values(in.rank, 4)
        .next(kAgain);
  for (int i = 0; i < 4; ++i)
    if (in[i] < 1)
      return Status(Code::invalid_model, 254, "a windowed operator's input has an empty dimension")
          .values(in[i], 1)
          .next(kAgain);
  g->batch = static_cast<size_t>(in[0]);
  g->in_h = static_cast<size_t>(in[1]);
  g->in_w = static_cast<size_t>(in[2]);
  g->in_c = static_cast<size_t>(in[3]);
  return {};
}

// The declared output is [batch, out_h, out_w, out_c].
Status check_image(const PrepareContext& ctx, const ConvGeometry& g) {
  if (g.out_h == 0 || g.out_w == 0)
    return Status(Code::invalid_model, 255, "a window does not fit the padded image")
        .values(g.out_h == 0 ? g.window.kernel_h : g.window.kernel_w,
                static_cast<int64_t>(g.out_h == 0 ? g.in_h : g.in_w))
        .next("check kernel, stride, dilation and padding, or convert with a larger --shape");
  Shape out;
  out.rank = 4;
  out[0] = ctx.in[0].shape[0];
  out[1] = static_cast<int32_t>(g.out_h);
  out[2] = static_cast<int32_t>(g.out_w);
  out[3] = static_cast<int32_t>(g.out_c);
  return check_output(ctx, out);
}

// Groups, the size of the weights and their order, once the image is known.
Status check_convolution(const Weights& w, uint32_t groups, ConvGeometry* g) {
  g->groups = groups;
  if (groups == 0 || g->in_c % groups != 0 || w.outputs % groups != 0)
    return Status(Code::invalid_model, 254, "groups do not divide the channels of a convolution")
        .values(groups, static_cast<int64_t>(g->in_c))
        .next(kAgain);
  const std::optional<size_t> inputs =
      (CheckedSize(g->window.kernel_h) * g->window.kernel_w * g->group_in())
          .get(layout::kMaxElements);
  if (!inputs || w.inputs != *inputs)
    return Status(Code::invalid_model, 256, "weights of a convolution do not match its window")
        .values(w.inputs, static_cast<int64_t>(inputs.value_or(0)))
        .next(kAgain);
  if (w.order == InputOrder::linear && g->taps() > 1 && g->group_in() > 1)
    return Status(Code::invalid_model, 256, "a convolution's weights do not say their order")
        .values(static_cast<int64_t>(w.order), static_cast<int64_t>(InputOrder::kh_kw_cin))
        .next(kAgain);
  return {};
}

}  // namespace

Status window_geometry(const PrepareContext& ctx, const Window& w, size_t out_c, ConvGeometry* g) {
  QRT_TRY(read_image(ctx, g));
  g->out_c = out_c;
  g->window = w;
  g->out_h = output_extent(g->in_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom);
  g->out_w = output_extent(g->in_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right);
  return check_image(ctx, *g);
}

Status conv_geometry(const PrepareContext& ctx, const Conv2dAttr& a, ConvGeometry* g) {
  QRT_TRY(window_geometry(ctx, a.window, a.weights->outputs, g));
  return check_convolution(*a.weights, a.groups, g);
}

Status conv_transpose_geometry(const PrepareContext& ctx, const ConvTransposeAttr& a,
                               ConvGeometry* g) {
  const Window& w = a.window;
  QRT_TRY(read_image(ctx, g));
  g->transposed = true;
  g->adjust_h = a.adjust_h;
  g->adjust_w = a.adjust_w;
  g->out_c = a.weights->outputs;
  g->window = w;
  g->out_h = transposed_extent(g->in_h, w.kernel_h, w.stride_h, w.dilation_h, a.adjust_h,
                               uint64_t{w.pad_top} + w.pad_bottom);
  g->out_w = transposed_extent(g->in_w, w.kernel_w, w.stride_w, w.dilation_w, a.adjust_w,
                               uint64_t{w.pad_left} + w.pad_right);
  QRT_TRY(check_image(ctx, *g));
  return check_convolution(*a.weights, a.groups, g);
}

}  // namespace qrt
