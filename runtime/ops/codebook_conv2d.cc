// Convolution with codebook weights: input and output NHWC, weights [outputs][inputs].
#include <initializer_list>

#include "runtime/ops/codebook_layer.h"
#include "schema/layout.h"

namespace qrt {
namespace {

// Output positions along one axis; 0 where the window does not fit.
size_t positions(uint64_t in, uint64_t before, uint64_t after, uint64_t kernel, uint64_t stride,
                 uint64_t dilation) {
  const uint64_t reach = (kernel - 1) * dilation + 1, size = in + before + after;
  return size < reach ? 0 : static_cast<size_t>((size - reach) / stride + 1);
}

class CodebookConv2d final : public CodebookOp {
 protected:
  Status describe(const Node& node, const PrepareContext& context, CodebookLayer& layer,
                  Epilogue& epilogue) override {
    const Conv2dAttr& a = *node.conv2d;
    const Shape& in = context.in[0].shape;
    const Shape& out = context.out[0].shape;
    QRT_REQUIRE(in.rank == 4 && out.rank == 4, Code::invalid_model, 331,
                "a convolution needs input and output of rank 4 (NHWC)");
    const Window& w = a.window;
    QRT_REQUIRE(w.kernel_h && w.kernel_w && w.stride_h && w.stride_w && w.dilation_h &&
                    w.dilation_w && a.groups,
                Code::invalid_model, 331, "a kernel, stride, dilation or group count is zero");
    for (const uint32_t pad : {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right})
      if (pad > static_cast<uint32_t>(layout::kMaxDim))
        return Status(Code::invalid_model, 331, "padding is too large")
            .values(pad, layout::kMaxDim);
    layer.weights = a.weights;
    layer.window = w;
    layer.groups = a.groups;
    layer.batch = static_cast<size_t>(in[0]);
    layer.in_h = static_cast<size_t>(in[1]);
    layer.in_w = static_cast<size_t>(in[2]);
    layer.out_h =
        positions(layer.in_h, w.pad_top, w.pad_bottom, w.kernel_h, w.stride_h, w.dilation_h);
    layer.out_w =
        positions(layer.in_w, w.pad_left, w.pad_right, w.kernel_w, w.stride_w, w.dilation_w);
    epilogue = a.epilogue;
    QRT_TRY(layer.derive());
    if (static_cast<size_t>(in[3]) != layer.channels * layer.groups)
      return Status(Code::invalid_model, 331, "the input's channels do not fit the weights")
          .values(in[3], static_cast<int64_t>(layer.channels * layer.groups));
    QRT_REQUIRE(static_cast<size_t>(out[0]) == layer.batch &&
                    static_cast<size_t>(out[1]) == layer.out_h &&
                    static_cast<size_t>(out[2]) == layer.out_w &&
                    static_cast<size_t>(out[3]) == layer.outputs,
                Code::invalid_model, 332, "the output's shape is not that of this convolution");
    return {};
  }
};

}  // namespace

Op* make_codebook_conv2d(Arena& keep) {
  return keep.make<CodebookConv2d>();
}

}  // namespace qrt
