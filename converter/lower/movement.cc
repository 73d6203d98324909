// Rules of what only moves data.
#include "converter/ir/edit.h"
#include "converter/lower/rules.h"

namespace qrt::lower {

Result<void> lower_concat(Context& context, const ir::Node& n, Operator& op) {
  auto& concat = std::get<ir::Concat>(op.attr);
  if (concat.axis < 0) concat.axis += static_cast<int32_t>(context.value(n.in[0]).shape.size());
  return add_inputs(context, n, 0, n.in.size(), op);
}

Result<void> lower_transpose(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_reshape(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_pad(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 1, op);
}

// One entry per axis, counted from the front: starts inside of the axis, `ends` one step behind the
// last index taken. A whole axis is 0 to 0.
Result<void> lower_slice(Context& context, const ir::Node& n, Operator& op) {
  const auto& source = std::get<ir::Slice>(n.attr);
  const std::vector<int64_t>& shape = context.value(n.in[0]).shape;
  const size_t rank = shape.size();
  ir::Slice slice;
  slice.starts.assign(rank, 0);
  slice.ends.assign(rank, 0);
  slice.steps.assign(rank, 1);
  for (size_t k = 0; k < source.starts.size(); ++k) {
    const int64_t axis = source.axes[k];
    const auto at = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
    const ir::SliceRange range = ir::slice_range(source, k, shape[at]);
    slice.starts[at] = range.start;
    slice.steps[at] = range.count > 1 ? range.step : 1;  // a step nobody takes may be huge
    slice.ends[at] = range.start + range.count * slice.steps[at];
  }
  op.attr = slice;
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_resize(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_gather(Context& context, const ir::Node& n, Operator& op) {
  auto& gather = std::get<ir::Gather>(op.attr);
  if (gather.axis < 0) gather.axis += static_cast<int32_t>(context.value(n.in[0]).shape.size());
  return add_inputs(context, n, 0, 2, op);
}

Result<void> lower_expand(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 2, op);
}

Result<void> lower_quantize(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_tile(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 1, op);
}

}  // namespace qrt::lower
