// Shapes of layers, pools and what works per channel. Elementwise operators and
// reductions stand in infer_elementwise.cc, what only moves data in
// infer_movement.cc. One function per operator, chosen by overload.
//
// A shape holds for batch 1. Where `batched` is set, dimension 0 is multiplied
// by the batch when the graph runs, so no operator may mix it with another
// dimension: that is what QRT-E0552 refuses.
#include "converter/ir/infer.h"

#include <algorithm>

#include "schema/layout.h"

namespace qrt::ir::detail {

Result<void> need_vector(const Inference& i, size_t input, int64_t length, const char* what) {
  QRT_CHECK_OK(need_float(i, input));
  const Value& value = i.in(input);
  if (value.shape == std::vector<int64_t>{length} && !value.batched) return {};
  return i.error(550, what, " ", value.name, " has shape ", shape_text(value.shape, value.batched),
                 "; expected [", length, "]: check the source model");
}

Result<void> check_window(const Inference& i, const Window2d& w) {
  for (int axis = 0; axis < 2; ++axis) {
    if (w.kernel[axis] < 1 || w.stride[axis] < 1 || w.dilation[axis] < 1) {
      return i.error(553, "kernel, stride and dilation must be at least 1; found ", w.kernel[axis],
                     ", ", w.stride[axis], ", ", w.dilation[axis]);
    }
    for (int side = 0; side < 2; ++side) {
      const int32_t pad = w.pad[axis + 2 * side];
      if (pad < 0 || pad > layout::kMaxDim) {
        return i.error(553, "padding must be 0 to ", layout::kMaxDim, "; found ", pad);
      }
    }
  }
  return {};
}

Result<ImageAxes> image_axes(const Inference& i, Layout layout) {
  const Value& x = i.in(0);
  QRT_CHECK_OK(need_float(i, 0));
  if (x.shape.size() != 4) {
    return i.error(550, "input ", x.name, " has shape ", shape_text(x.shape, x.batched),
                   "; expected an image of rank 4");
  }
  return layout == Layout::nchw ? ImageAxes{1, 2, 3} : ImageAxes{3, 1, 2};
}

Result<void> check_weight(const Inference& i, const Window2d& window, int64_t groups,
                          int64_t channels) {
  QRT_CHECK_OK(need_float(i, 1));
  const Value& w = i.in(1);
  if (w.shape.size() != 4 || w.batched || w.shape[2] != window.kernel[0] ||
      w.shape[3] != window.kernel[1]) {
    return i.error(550, "weight ", w.name, " has shape ", shape_text(w.shape, w.batched),
                   "; expected [outputs,", channels, "/groups,", window.kernel[0], ",",
                   window.kernel[1], "]");
  }
  if (groups < 1 || channels % groups != 0 || w.shape[0] % groups != 0 ||
      w.shape[1] != channels / groups) {
    return i.error(550, "weight ", w.name, " has shape ", shape_text(w.shape), " with ", groups,
                   " groups for an input of ", channels,
                   " channels; expected [outputs,channels/groups,kh,kw], all divisible by groups");
  }
  return {};
}

namespace {

// Output size along one axis: floor((in + pads - window) / stride) + 1.
Result<int64_t> window_output(const Inference& i, const Window2d& w, int axis, int64_t input) {
  const int64_t span = static_cast<int64_t>(w.dilation[axis]) * (w.kernel[axis] - 1) + 1;
  const int64_t padded = input + w.pad[axis] + w.pad[axis + 2];
  if (padded < span) {
    return i.error(550, "the window spans ", span, " of an input of ", padded,
                   " (padding included); make the input larger or check --shape");
  }
  return (padded - span) / w.stride[axis] + 1;
}

}  // namespace

Result<ValueType> infer(const Inference& i, const Conv2d& conv) {
  QRT_CHECK_OK(i.at_least(2));
  Result<ImageAxes> axes = image_axes(i, conv.layout);
  if (!axes.ok()) return axes.error();
  QRT_CHECK_OK(check_window(i, conv.window));
  const Value &x = i.in(0), &w = i.in(1);
  QRT_CHECK_OK(check_weight(i, conv.window, conv.groups, x.shape[axes->channel]));
  ValueType result{ElementType::f32, x.shape, x.batched};
  result.shape[axes->channel] = w.shape[0];
  for (int axis = 0; axis < 2; ++axis) {
    const size_t at = axis == 0 ? axes->height : axes->width;
    Result<int64_t> size = window_output(i, conv.window, axis, x.shape[at]);
    if (!size.ok()) return size.error();
    result.shape[at] = *size;
  }
  QRT_CHECK_OK(check_epilogue(i, conv, w.shape[0], result));
  return result;
}

Result<ValueType> infer(const Inference& i, const Linear& linear) {
  QRT_CHECK_OK(i.at_least(2));
  QRT_CHECK_OK(need_float(i, 0));
  QRT_CHECK_OK(need_float(i, 1));
  const Value &x = i.in(0), &w = i.in(1);
  if (x.shape.empty() || (x.batched && x.shape.size() < 2)) {
    return i.error(550, "input ", x.name, " has shape ", shape_text(x.shape, x.batched),
                   "; expected [...,inputs]");
  }
  if (w.shape.size() != 2 || w.batched || w.shape[1] != x.shape.back()) {
    return i.error(550, "weight ", w.name, " has shape ", shape_text(w.shape, w.batched),
                   "; expected [outputs,", x.shape.back(), "]");
  }
  ValueType result{ElementType::f32, x.shape, x.batched};
  result.shape.back() = w.shape[0];
  QRT_CHECK_OK(check_epilogue(i, linear, w.shape[0], result));
  return result;
}

Result<ValueType> infer(const Inference& i, const Pool2d& pool) {
  QRT_CHECK_OK(i.arity(1));
  Result<ImageAxes> axes = image_axes(i, pool.layout);
  if (!axes.ok()) return axes.error();
  const Value& x = i.in(0);
  ValueType result{ElementType::f32, x.shape, x.batched};
  if (pool.power < 1 || pool.power > layout::kMaxPoolPower) {
    return i.error(553, "power is ", pool.power, "; allowed are 1 to ", layout::kMaxPoolPower);
  }
  if (pool.global) {
    result.shape[axes->height] = result.shape[axes->width] = 1;
    return result;
  }
  const Window2d& w = pool.window;
  QRT_CHECK_OK(check_window(i, w));
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t span = static_cast<int64_t>(w.dilation[axis]) * (w.kernel[axis] - 1) + 1;
    const size_t at = axis == 0 ? axes->height : axes->width;
    Result<int64_t> size = window_output(i, w, axis, x.shape[at]);
    if (!size.ok()) return size.error();
    if (w.pad[axis] >= span || w.pad[axis + 2] >= span) {
      return i.error(553, "padding ", w.pad[axis], " and ", w.pad[axis + 2], " leaves a window of ",
                     span, " without input; use less padding than the window spans");
    }
    result.shape[at] = *size;
  }
  return result;
}

Result<ValueType> infer(const Inference& i, const Affine& affine) {
  QRT_CHECK_OK(i.arity(3));
  QRT_CHECK_OK(need_float(i, 0));
  const Value& x = i.in(0);
  if (x.shape.size() < 2) {
    return i.error(550, "input ", x.name, " has rank ", x.shape.size(), "; expected 2 or more");
  }
  const int64_t channels = affine.layout == Layout::nchw ? x.shape[1] : x.shape.back();
  QRT_CHECK_OK(need_vector(i, 1, channels, "scale"));
  QRT_CHECK_OK(need_vector(i, 2, channels, "bias"));
  return ValueType{ElementType::f32, x.shape, x.batched};
}

Result<ValueType> infer(const Inference& i, const BatchNorm& norm) {
  QRT_CHECK_OK(i.arity(5));
  QRT_CHECK_OK(need_float(i, 0));
  const Value& x = i.in(0);
  if (x.shape.size() < 2) {
    return i.error(550, "input ", x.name, " has rank ", x.shape.size(), "; expected 2 or more");
  }
  if (!(norm.eps >= 0)) return i.error(553, "epsilon is ", norm.eps, "; expected 0 or more");
  const char* const names[] = {"scale", "bias", "mean", "variance"};
  for (size_t k = 0; k < 4; ++k) QRT_CHECK_OK(need_vector(i, k + 1, x.shape[1], names[k]));
  return ValueType{ElementType::f32, x.shape, x.batched};
}

Result<ValueType> infer(const Inference& i, const Softmax& softmax) {
  QRT_CHECK_OK(i.arity(1));
  QRT_CHECK_OK(need_float(i, 0));
  Result<size_t> axis = i.axis(softmax.axis, i.in(0));
  if (!axis.ok()) return axis.error();
  if (*axis == 0 && i.in(0).batched) return i.batch_error("softmax runs over dimension 0");
  return ValueType{ElementType::f32, i.in(0).shape, i.in(0).batched};
}

}  // namespace qrt::ir::detail

namespace qrt::ir {

Result<ValueType> infer(const Graph& graph, const Node& node) {
  const detail::Inference inference{graph, node};
  Result<ValueType> result =
      std::visit([&](const auto& attr) { return detail::infer(inference, attr); }, node.attr);
  if (!result.ok()) return result;
  if (result->shape.size() > static_cast<size_t>(layout::kMaxRank)) {
    return inference.error(551, "the result ", shape_text(result->shape), " has rank ",
                           result->shape.size(), "; at most ", layout::kMaxRank, " are allowed");
  }
  const bool too_long = std::any_of(result->shape.begin(), result->shape.end(),
                                    [](int64_t dim) { return dim < 0 || dim > layout::kMaxDim; });
  if (too_long || element_count(result->shape) < 0) {
    return inference.error(551, "the result ", shape_text(result->shape, result->batched),
                           " is larger than ", layout::kMaxDim, " along a dimension or than ",
                           layout::kMaxElements, " elements; use a smaller input");
  }
  return result;
}

}  // namespace qrt::ir
