// Inside of the interpreter: one compute() per operator, chosen by overload.
// Shapes are right already (ir::infer has seen them), sizes fit in memory.
#ifndef QRT_CONVERTER_EVAL_COMPUTE_H_
#define QRT_CONVERTER_EVAL_COMPUTE_H_

#include <span>
#include <vector>

#include "converter/base/text.h"
#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"

namespace qrt::eval {

// A borrowed tensor. Exactly one of the two data spans is filled.
struct View {
  ir::ElementType type = ir::ElementType::f32;
  std::span<const int64_t> shape;
  std::span<const float> data;
  std::span<const int64_t> ints;
  ir::Quantization quantization = {};
  const quant::Encoding* encoding = nullptr;  // of an encoded constant
  int64_t count() const { return static_cast<int64_t>(data.size() + ints.size()); }
};
View view(const Tensor& tensor);

// NaN stays NaN, and a limit that is none (kNoMin, kNoMax) lets infinities pass, as in the engine.
inline float clamped(float x, const ir::Clamp& clamp) {
  if (x < clamp.min && clamp.min != ir::kNoMin) return clamp.min;
  if (x > clamp.max && clamp.max != ir::kNoMax) return clamp.max;
  return x;
}

// A node about to run: its inputs, and the output with type and shape set and zeros inside.
struct Call {
  const ir::Node& node;
  std::vector<View> in;
  Tensor out;
  bool strict = true;                  // refuse integers that overflow instead of wrapping them
  ir::Quantization quantization = {};  // of the output

  template <class... Parts>
  Error error(const Parts&... parts) const {
    return fail(562, ir::name_of(node.attr), " ", node.name, ": ", parts...);
  }
};

// Runs one node; `shape` and `type` are the output's, the batch multiplied in. `strict` is for
// constants: where integers overflow, are divided by zero or come of a float that is none, the
// source model is damaged. Data wraps and saturates, as in the runtime. A quantized output is
// rounded to its grid. A layer with a quantized input and integer weights sums integers, exactly as
// schema/README.md, Numerics, says.
Result<Tensor> run_node(const ir::Node& node, std::vector<View> inputs, ir::ElementType type,
                        std::vector<int64_t> shape, bool strict = true,
                        ir::Quantization quantization = {});

Result<void> compute(Call&, const ir::Conv2d&);
Result<void> compute(Call&, const ir::Linear&);
Result<void> compute(Call&, const ir::Pool2d&);
Result<void> compute(Call&, const ir::Binary&);
Result<void> compute(Call&, const ir::Unary&);
Result<void> compute(Call&, const ir::Affine&);
Result<void> compute(Call&, const ir::BatchNorm&);
Result<void> compute(Call&, const ir::Softmax&);
Result<void> compute(Call&, const ir::Concat&);
Result<void> compute(Call&, const ir::Transpose&);
Result<void> compute(Call&, const ir::Reshape&);
Result<void> compute(Call&, const ir::Pad&);
Result<void> compute(Call&, const ir::Gather&);
Result<void> compute(Call&, const ir::Cast&);
Result<void> compute(Call&, const ir::Identity&);
Result<void> compute(Call&, const ir::Shape&);
Result<void> compute(Call&, const ir::Unsqueeze&);
Result<void> compute(Call&, const ir::Squeeze&);
Result<void> compute(Call&, const ir::Slice&);
Result<void> compute(Call&, const ir::Resize&);
Result<void> compute(Call&, const ir::Tile&);
Result<void> compute(Call&, const ir::Select&);
Result<void> compute(Call&, const ir::Reduce&);
Result<void> compute(Call&, const ir::ArgReduce&);
Result<void> compute(Call&, const ir::TopK&);
Result<void> compute(Call&, const ir::Expand&);
Result<void> compute(Call&, const ir::Quantize&);
Result<void> compute(Call&, const ir::FakeQuantize&);
Result<void> compute(Call&, const ir::Steps&);
Result<void> compute(Call&, const ir::MatMul&);
Result<void> compute(Call&, const ir::ConvTranspose&);

// Sizes of an image tensor and the distance between neighbours along each axis.
struct Image {
  int64_t n, channels, height, width;
  int64_t image, channel, row, pixel;  // strides

  Image(std::span<const int64_t> shape, ir::Layout layout) : n(shape[0]) {
    const bool nchw = layout == ir::Layout::nchw;
    channels = shape[nchw ? 1 : 3];
    height = shape[nchw ? 2 : 1];
    width = shape[nchw ? 3 : 2];
    image = channels * height * width;
    channel = nchw ? height * width : 1;
    row = nchw ? width : width * channels;
    pixel = nchw ? 1 : channels;
  }
};

// y = clamp(scale * y + bias + residual) where outputs are `step` apart, `inner` values in a row.
template <class Layer>
void finish(Call& call, const Layer& layer, int64_t outputs, int64_t inner) {
  size_t next = 2;
  const float* scale = layer.scale ? call.in[next++].data.data() : nullptr;
  const float* bias = layer.bias ? call.in[next++].data.data() : nullptr;
  const float* residual = layer.residual ? call.in[next].data.data() : nullptr;
  float* y = call.out.data.data();
  const int64_t count = static_cast<int64_t>(call.out.data.size());
  for (int64_t at = 0; at < count;) {
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t end = at + inner; at < end; ++at) {
        float value = y[at];
        if (scale) value *= scale[o];
        if (bias) value += bias[o];
        if (residual) value += residual[at];
        y[at] = clamped(value, layer.clamp);
      }
    }
  }
}

}  // namespace qrt::eval

#endif  // QRT_CONVERTER_EVAL_COMPUTE_H_
