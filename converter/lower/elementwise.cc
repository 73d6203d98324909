// Rules of what computes element by element, or along one axis.
#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/lower/rules.h"

namespace qrt::lower {

namespace {

// i8 and u8 may only move and be cast.
Result<void> need_computed(const Context& context, const ir::Node& n) {
  for (ir::ValueId v : n.in) {
    const ir::ElementType type = context.value(v).type;
    if (type == ir::ElementType::i8 || type == ir::ElementType::u8)
      return fail(604, n.name, " computes on ", context.value(v).name, " of type ",
                  ir::name_of(type), "; the engine computes in f32, i32, i64 and bool: cast it");
  }
  return {};
}

}  // namespace

Result<void> lower_binary(Context& context, const ir::Node& n, Operator& op) {
  QRT_CHECK_OK(need_computed(context, n));
  return add_inputs(context, n, 0, 2, op);
}

Result<void> lower_unary(Context& context, const ir::Node& n, Operator& op) {
  QRT_CHECK_OK(need_computed(context, n));
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_select(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 3, op);
}

namespace {

// The file counts axes from the front.
void from_front(const Context& context, const ir::Node& n, int32_t& axis) {
  if (axis < 0) axis += static_cast<int32_t>(context.value(n.in[0]).shape.size());
}

}  // namespace

Result<void> lower_reduce(Context& context, const ir::Node& n, Operator& op) {
  auto& reduce = std::get<ir::Reduce>(op.attr);
  const auto set = ir::axis_set(reduce.axes, context.value(n.in[0]).shape.size());
  reduce.axes.clear();
  for (size_t d = 0; d < set.size(); ++d)
    if (set[d]) reduce.axes.push_back(static_cast<int32_t>(d));
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_arg_reduce(Context& context, const ir::Node& n, Operator& op) {
  from_front(context, n, std::get<ir::ArgReduce>(op.attr).axis);
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_top_k(Context& context, const ir::Node& n, Operator& op) {
  from_front(context, n, std::get<ir::TopK>(op.attr).axis);
  return add_inputs(context, n, 0, 1, op);
}

// The engine holds no 16-bit integers and no u32: such a cast would not wrap as the source's does.
Result<void> lower_cast(Context& context, const ir::Node& n, Operator& op) {
  const int32_t to = std::get<ir::Cast>(n.attr).to;
  if (to == 4 || to == 5 || to == 12)
    return fail(604, n.name, " casts data to the ONNX data type ", to,
                "; the engine computes in f32, i32 and i64: cast to int32 or int64");
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_softmax(Context& context, const ir::Node& n, Operator& op) {
  auto& softmax = std::get<ir::Softmax>(op.attr);
  if (softmax.axis < 0) softmax.axis += static_cast<int32_t>(context.value(n.in[0]).shape.size());
  return add_inputs(context, n, 0, 1, op);
}

}  // namespace qrt::lower
