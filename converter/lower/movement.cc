// Rules of what only moves data.
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

}  // namespace qrt::lower
