// Input and output of a convolution are NHWC, those of a linear layer [..., inputs] and
// [..., outputs]; weights are [outputs][inputs].
#include "runtime/ops/layer_geometry.h"

#include "runtime/base/checked.h"
#include "schema/layout.h"

namespace qrt {
namespace {

// Output positions along one axis; 0 where the window does not fit.
size_t positions(uint64_t in, uint64_t before, uint64_t after, uint64_t kernel, uint64_t stride,
                 uint64_t dilation) {
  const uint64_t reach = (kernel - 1) * dilation + 1, size = in + before + after;
  return size < reach ? 0 : static_cast<size_t>((size - reach) / stride + 1);
}

Status check_window(const Window& w, uint32_t groups) {
  QRT_REQUIRE(w.kernel_h && w.kernel_w && w.stride_h && w.stride_w && w.dilation_h &&
                  w.dilation_w && groups,
              Code::invalid_model, 331, "a kernel, stride, dilation or group count is zero");
  for (const uint32_t pad : {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right})
    if (pad > static_cast<uint32_t>(layout::kMaxDim))
      return Status(Code::invalid_model, 331, "padding is too large").values(pad, layout::kMaxDim);
  return {};
}

// What follows from weights, window and positions.
Status derive(LayerGeometry* g) {
  const Weights& w = *g->weights;
  g->outputs = w.outputs, g->inputs = w.inputs;
  const uint64_t taps = uint64_t{g->window.kernel_h} * g->window.kernel_w;
  QRT_REQUIRE(g->outputs > 0 && g->inputs > 0 && taps <= g->inputs && g->inputs % taps == 0 &&
                  g->outputs % g->groups == 0,
              Code::invalid_model, 331, "the weights do not fit the kernel window or the groups");
  g->taps = static_cast<size_t>(taps);
  g->channels = g->inputs / g->taps, g->group_outputs = g->outputs / g->groups;
  g->interleaved = w.order == InputOrder::cin_kh_kw && g->taps > 1;
  const auto rows = (CheckedSize(g->batch) * g->out_h * g->out_w).get();
  if (!rows) return layer_too_large();
  g->rows = *rows;
  return {};
}

Status describe_conv2d(const Conv2dAttr& a, const PrepareContext& context, LayerGeometry* g) {
  const Shape& in = context.in[0].shape;
  const Shape& out = context.out[0].shape;
  QRT_REQUIRE(in.rank == 4 && out.rank == 4, Code::invalid_model, 331,
              "a convolution needs input and output of rank 4 (NHWC)");
  const Window& w = a.window;
  QRT_TRY(check_window(w, a.groups));
  g->weights = a.weights, g->window = w, g->groups = a.groups;
  g->batch = static_cast<size_t>(in[0]);
  g->in_h = static_cast<size_t>(in[1]), g->in_w = static_cast<size_t>(in[2]);
  g->out_h = positions(g->in_h, w.pad_top, w.pad_bottom, w.kernel_h, w.stride_h, w.dilation_h);
  g->out_w = positions(g->in_w, w.pad_left, w.pad_right, w.kernel_w, w.stride_w, w.dilation_w);
  QRT_TRY(derive(g));
  if (static_cast<size_t>(in[3]) != g->channels * g->groups)
    return Status(Code::invalid_model, 331, "the input's channels do not fit the weights")
        .values(in[3], static_cast<int64_t>(g->channels * g->groups));
  QRT_REQUIRE(static_cast<size_t>(out[0]) == g->batch && static_cast<size_t>(out[1]) == g->out_h &&
                  static_cast<size_t>(out[2]) == g->out_w &&
                  static_cast<size_t>(out[3]) == g->outputs,
              Code::invalid_model, 332, "the output's shape is not that of this convolution");
  return {};
}

Status describe_linear(const LinearAttr& a, const PrepareContext& context, LayerGeometry* g) {
  const Shape& in = context.in[0].shape;
  const Shape& out = context.out[0].shape;
  QRT_REQUIRE(in.rank >= 1 && out.rank == in.rank, Code::invalid_model, 331,
              "a linear layer needs input and output of one rank, at least 1");
  g->weights = a.weights;
  for (int i = 0; i + 1 < in.rank; ++i) g->batch *= static_cast<size_t>(in[i]);
  QRT_TRY(derive(g));
  if (static_cast<size_t>(in[in.rank - 1]) != g->inputs)
    return Status(Code::invalid_model, 331, "the input's last dimension does not fit the weights")
        .values(in[in.rank - 1], static_cast<int64_t>(g->inputs));
  Shape want = in;
  want[in.rank - 1] = static_cast<int32_t>(g->outputs);
  QRT_REQUIRE(out == want, Code::invalid_model, 332,
              "the output's shape is not that of this linear layer");
  return {};
}

}  // namespace

Status describe_layer(const Node& node, const PrepareContext& context, LayerGeometry* g) {
  *g = {};
  if (node.kind == OpKind::conv2d)
    QRT_TRY(describe_conv2d(*node.conv2d, context, g));
  else
    QRT_TRY(describe_linear(*node.linear, context, g));
  if (epilogue_of(node)->residual)
    QRT_REQUIRE(context.in.size() >= 2 && context.in[1].shape == context.out[0].shape,
                Code::invalid_model, 332, "the residual input must have the output's shape");
  return {};
}

Status widen_constant(const Constant& c, size_t outputs, Arena& keep, float** out) {
  *out = nullptr;
  if (!c.present()) return {};
  if (c.count != outputs && c.count != 1)
    return Status(Code::invalid_model, 333, "a scale or bias has a wrong number of values")
        .values(c.count, static_cast<int64_t>(outputs));
  Span<float> values = keep.array<float>(outputs);
  QRT_REQUIRE(values.size() == outputs, Code::out_of_memory, 334, "out of memory");
  for (size_t n = 0; n < outputs; ++n)
    values[n] = read_constant(c, c.count == 1 ? 0 : static_cast<uint32_t>(n));
  *out = values.data();
  return {};
}

}  // namespace qrt
