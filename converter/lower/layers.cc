// Rules of what has weights or a scale and bias per channel.
#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/lower/rules.h"

namespace qrt::lower {

namespace {

Result<void> need_nhwc(const ir::Node& n, ir::Layout layout) {
  if (layout == ir::Layout::nhwc) return {};
  return fail(601, n.name, " (", ir::name_of(n.attr),
              ") is laid out NCHW; the file holds NHWC: run layout_passes() first");
}

Result<void> take_vector(Context& context, const ir::Node& n, size_t& next, int64_t count,
                         std::vector<float>& to) {
  auto v = context.vector(n, n.in.at(next++), count);
  if (!v.ok()) return v.error();
  to = std::move(*v);
  return {};
}

// Inputs x, weight, then scale, bias, residual as flagged.
template <class Layer>
Result<void> lower_layer(Context& context, const ir::Node& n, const Layer& layer, InputOrder order,
                         Operator& op) {
  QRT_CHECK_OK(add_inputs(context, n, 0, 1, op));
  auto w = context.weights(n, n.in.at(1), order);
  if (!w.ok()) return w.error();
  op.weights = *w;
  const int64_t outputs = context.value(n.in[1]).shape.at(0);
  size_t next = 2;
  if (layer.scale) QRT_CHECK_OK(take_vector(context, n, next, outputs, op.scale));
  if (layer.bias) QRT_CHECK_OK(take_vector(context, n, next, outputs, op.bias));
  if constexpr (requires { layer.thresholds; })
    if (layer.thresholds) {
      const ir::Constant* t = ir::constant_of(context.graph(), n.in.at(next++));
      if (t == nullptr)
        return fail(602, n.name, ": its thresholds are computed at run time; expected a constant");
      op.thresholds = t->ints;
      op.thresholds_each = static_cast<uint32_t>(t->ints.size() / static_cast<size_t>(outputs));
    }
  return add_inputs(context, n, next, n.in.size(), op);
}

}  // namespace

Result<void> lower_conv2d(Context& context, const ir::Node& n, Operator& op) {
  const auto& conv = std::get<ir::Conv2d>(n.attr);
  QRT_CHECK_OK(need_nhwc(n, conv.layout));
  return lower_layer(context, n, conv, InputOrder::cin_kh_kw, op);
}

Result<void> lower_conv_transpose(Context& context, const ir::Node& n, Operator& op) {
  const auto& conv = std::get<ir::ConvTranspose>(n.attr);
  QRT_CHECK_OK(need_nhwc(n, conv.layout));
  return lower_layer(context, n, conv, InputOrder::cin_kh_kw, op);
}

Result<void> lower_matmul(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 2, op);
}

Result<void> lower_linear(Context& context, const ir::Node& n, Operator& op) {
  return lower_layer(context, n, std::get<ir::Linear>(n.attr), InputOrder::linear, op);
}

Result<void> lower_affine(Context& context, const ir::Node& n, Operator& op) {
  const auto& shape = context.value(n.in.at(0)).shape;
  const auto& affine = std::get<ir::Affine>(n.attr);
  if (shape.size() > 2) QRT_CHECK_OK(need_nhwc(n, affine.layout));
  QRT_CHECK_OK(add_inputs(context, n, 0, 1, op));
  size_t next = 1;
  QRT_CHECK_OK(take_vector(context, n, next, shape.back(), op.scale));
  return take_vector(context, n, next, shape.back(), op.bias);
}

namespace {

// The axis of a quantizer's rows, counted from the front; of a single row none, which is 0.
void row_axis(const Context& context, const ir::Node& n, int32_t& axis) {
  if (axis < 0) axis += static_cast<int32_t>(context.value(n.in.at(0)).shape.size());
  bool many = false;
  for (size_t i = 1; i < n.in.size(); ++i) many = many || context.value(n.in[i]).shape.at(0) > 1;
  if (!many) axis = 0;
}

}  // namespace

Result<void> lower_fake_quantize(Context& context, const ir::Node& n, Operator& op) {
  row_axis(context, n, std::get<ir::FakeQuantize>(op.attr).axis);
  QRT_CHECK_OK(add_inputs(context, n, 0, 1, op));
  size_t next = 1;
  const auto count = [&] { return context.value(n.in.at(next)).shape.at(0); };
  QRT_CHECK_OK(take_vector(context, n, next, count(), op.scale));
  return take_vector(context, n, next, count(), op.bias);
}

Result<void> lower_steps(Context& context, const ir::Node& n, Operator& op) {
  row_axis(context, n, std::get<ir::Steps>(op.attr).axis);
  QRT_CHECK_OK(add_inputs(context, n, 0, 1, op));
  const auto& thresholds = context.value(n.in.at(1)).shape;
  op.count = static_cast<uint32_t>(thresholds.at(1));
  size_t next = 1;
  return take_vector(context, n, next, thresholds.at(0) * thresholds.at(1), op.scale);
}

Result<void> lower_pool2d(Context& context, const ir::Node& n, Operator& op) {
  auto& pool = std::get<ir::Pool2d>(op.attr);
  QRT_CHECK_OK(need_nhwc(n, pool.layout));
  const auto& shape = context.value(n.in.at(0)).shape;
  if (pool.global && shape.size() == 4)  // the window a reader may want to see
    pool.window.kernel = {static_cast<int32_t>(shape[1]), static_cast<int32_t>(shape[2])};
  return add_inputs(context, n, 0, 1, op);
}

}  // namespace qrt::lower
