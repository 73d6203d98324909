// Inside of shape inference: what infer*.cc share. Others
// use infer() of edit.h.
#ifndef QRT_CONVERTER_IR_INFER_H_
#define QRT_CONVERTER_IR_INFER_H_

#include <cstddef>
#include <cstdint>

#include "converter/base/text.h"
#include "converter/ir/edit.h"

namespace qrt::ir::detail {

// A node under inference, and the sentences of its errors.
struct Inference {
  const Graph& graph;
  const Node& node;

  const Value& in(size_t input) const { return graph.values[node.in[input]]; }

  template <class... Parts>
  Error error(int id, const Parts&... parts) const {
    return fail(id, name_of(node.attr), " ", node.name, ": ", parts...);
  }
  Error batch_error(const char* why) const {
    return error(552, why, ", which takes the batch; fix the batch with --shape NAME=1,...");
  }
  Result<void> arity(size_t expected) const {
    if (node.in.size() == expected) return {};
    return error(554, "has ", node.in.size(), " inputs; expected ", expected);
  }
  Result<void> at_least(size_t expected) const {
    if (node.in.size() >= expected) return {};
    return error(554, "has ", node.in.size(), " inputs; expected at least ", expected);
  }
  // A possibly negative axis of `value`, counted from 0.
  Result<size_t> axis(int64_t axis, const Value& value) const {
    const int64_t rank = static_cast<int64_t>(value.shape.size());
    if (axis >= -rank && axis < rank) return static_cast<size_t>(axis < 0 ? axis + rank : axis);
    return error(553, "axis ", axis, " of ", value.name, " with shape ",
                 shape_text(value.shape, value.batched), " does not exist");
  }
};

// ---- what several operators check --------------------------------------------------------------

// Marks the axes named, each once, negative ones counted from the end of `rank`.
Result<std::vector<bool>> mark_axes(const Inference&, const std::vector<int32_t>& axes,
                                    size_t rank);
// The input holds floats, and at least one.
Result<void> need_float(const Inference&, size_t input);
// The input is a vector of `length` floats; `what` names it in the message.
Result<void> need_vector(const Inference&, size_t input, int64_t length, const char* what);
// Kernel, stride and dilation are positive, the padding is none of it negative.
Result<void> check_window(const Inference&, const Window2d&);

struct ImageAxes {
  size_t channel, height, width;
};
// Input 0 is an image of rank 4.
Result<ImageAxes> image_axes(const Inference&, Layout);

// The shape of the weight of a convolution, straight or transposed, over `channels` inputs.
Result<void> check_weight(const Inference&, const Window2d&, int64_t groups, int64_t channels);

// Thresholds stand alone: i32 [outputs, n], whose largest step is a byte.
template <class Layer>
Result<void> check_thresholds(const Inference& i, const Layer& layer, int64_t outputs) {
  QRT_CHECK_OK(i.arity(3));
  if (layer.scale || layer.bias || layer.residual || layer.bias_first || layer.clamp != kNoClamp)
    return i.error(553, "has thresholds and another epilogue beside them");
  const Value& t = i.in(2);
  if (t.type != ElementType::i32 || t.batched || t.shape.size() != 2 || t.shape[0] != outputs ||
      t.shape[1] < 1 || t.shape[1] > 255)
    return i.error(550, "thresholds ", t.name, " are ", name_of(t.type),
                   shape_text(t.shape, t.batched), "; expected i32[", outputs, ",1..255]");
  const int64_t last = layer.first + layer.step * t.shape[1];
  if (layer.first < 0 || layer.step < 1 || layer.step > 255 || last > 255)
    return i.error(553, "thresholds give bytes from ", layer.first, " to ", last, " in steps of ",
                   layer.step, "; allowed are 0 to 255 in steps of at least 1");
  return {};
}

// Optional inputs behind the weight: scale, bias, residual as flagged, or thresholds.
template <class Layer>
Result<void> check_epilogue(const Inference& i, const Layer& layer, int64_t outputs,
                            const ValueType& result) {
  if constexpr (requires { layer.thresholds; })
    if (layer.thresholds) return check_thresholds(i, layer, outputs);
  size_t next = 2;
  QRT_CHECK_OK(i.arity(2 + layer.scale + layer.bias + layer.residual));
  if (layer.scale) QRT_CHECK_OK(need_vector(i, next++, outputs, "scale"));
  if (layer.bias) QRT_CHECK_OK(need_vector(i, next++, outputs, "bias"));
  if (!layer.residual) return {};
  const Value& added = i.in(next);
  if (added.shape == result.shape && added.batched == result.batched) return {};
  return i.error(550, "residual ", added.name, " has shape ",
                 shape_text(added.shape, added.batched), "; expected ",
                 shape_text(result.shape, result.batched));
}

// ---- one per operator --------------------------------------------------------------------------

Result<ValueType> infer(const Inference&, const Conv2d&);
Result<ValueType> infer(const Inference&, const Linear&);
Result<ValueType> infer(const Inference&, const Pool2d&);
Result<ValueType> infer(const Inference&, const Binary&);
Result<ValueType> infer(const Inference&, const Unary&);
Result<ValueType> infer(const Inference&, const Affine&);
Result<ValueType> infer(const Inference&, const BatchNorm&);
Result<ValueType> infer(const Inference&, const Softmax&);
Result<ValueType> infer(const Inference&, const Concat&);
Result<ValueType> infer(const Inference&, const Transpose&);
Result<ValueType> infer(const Inference&, const Reshape&);
Result<ValueType> infer(const Inference&, const Pad&);
Result<ValueType> infer(const Inference&, const Gather&);
Result<ValueType> infer(const Inference&, const Cast&);
Result<ValueType> infer(const Inference&, const Identity&);
Result<ValueType> infer(const Inference&, const Shape&);
Result<ValueType> infer(const Inference&, const Unsqueeze&);
Result<ValueType> infer(const Inference&, const Squeeze&);
Result<ValueType> infer(const Inference&, const Slice&);
Result<ValueType> infer(const Inference&, const Resize&);
Result<ValueType> infer(const Inference&, const Tile&);
Result<ValueType> infer(const Inference&, const Expand&);
Result<ValueType> infer(const Inference&, const Quantize&);
Result<ValueType> infer(const Inference&, const MatMul&);
Result<ValueType> infer(const Inference&, const ConvTranspose&);
Result<ValueType> infer(const Inference&, const Select&);
Result<ValueType> infer(const Inference&, const Reduce&);
Result<ValueType> infer(const Inference&, const ArgReduce&);
Result<ValueType> infer(const Inference&, const TopK&);
Result<ValueType> infer(const Inference&, const FakeQuantize&);
Result<ValueType> infer(const Inference&, const Steps&);

}  // namespace qrt::ir::detail

#endif  // QRT_CONVERTER_IR_INFER_H_
