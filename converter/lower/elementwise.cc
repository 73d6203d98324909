// Rules of what computes element by element, or along one axis.
#include "converter/lower/rules.h"

namespace qrt::lower {

Result<void> lower_binary(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 2, op);
}

Result<void> lower_unary(Context& context, const ir::Node& n, Operator& op) {
  return add_inputs(context, n, 0, 1, op);
}

Result<void> lower_softmax(Context& context, const ir::Node& n, Operator& op) {
  auto& softmax = std::get<ir::Softmax>(op.attr);
  if (softmax.axis < 0) softmax.axis += static_cast<int32_t>(context.value(n.in[0]).shape.size());
  return add_inputs(context, n, 0, 1, op);
}

}  // namespace qrt::lower
