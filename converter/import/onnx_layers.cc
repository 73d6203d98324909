// Operators on single values, and softmax.
#include <cmath>
#include <iterator>

#include "converter/import/onnx_node.h"

namespace qrt::import {
void import_unary(Node& n) {
  using Op = ir::Unary::Op;
  struct Row {
    const char* name;
    Op op;
    const char* alpha;  // attribute that sets alpha, or nullptr: the constant
    float alpha_default;
    const char* beta;
    float beta_default;
  };
  static constexpr Row kRows[] = {
      {"Relu", Op::clamp, nullptr, 0, nullptr, ir::kNoMax},
      {"LeakyRelu", Op::leaky_relu, "alpha", 0.01f, nullptr, 0},
      {"Sigmoid", Op::sigmoid, nullptr, 0, nullptr, 0},
      {"HardSigmoid", Op::hard_sigmoid, "alpha", 0.2f, "beta", 0.5f},
      {"HardSwish", Op::hard_swish, nullptr, 0, nullptr, 0},
      {"Tanh", Op::tanh, nullptr, 0, nullptr, 0},
      {"Elu", Op::elu, "alpha", 1, nullptr, 0},
      {"Selu", Op::selu, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f},
      {"Softplus", Op::softplus, nullptr, 0, nullptr, 0},
      {"Erf", Op::erf, nullptr, 0, nullptr, 0},
      {"Exp", Op::exp, nullptr, 0, nullptr, 0},
      {"Log", Op::log, nullptr, 0, nullptr, 0},
      {"Sqrt", Op::sqrt, nullptr, 0, nullptr, 0},
      {"Abs", Op::abs, nullptr, 0, nullptr, 0},
      {"Neg", Op::neg, nullptr, 0, nullptr, 0},
      {"Reciprocal", Op::reciprocal, nullptr, 0, nullptr, 0},
      {"Floor", Op::floor, nullptr, 0, nullptr, 0},
      {"Ceil", Op::ceil, nullptr, 0, nullptr, 0},
  };
  for (const Row& row : kRows) {
    if (n.op() != row.name) continue;
    ir::Unary unary{row.op, row.alpha_default, row.beta_default};
    if (row.alpha) unary.alpha = n.real(row.alpha, row.alpha_default);
    if (row.beta) unary.beta = n.real(row.beta, row.beta_default);
    return n.emit(unary, {n.in(0)});
  }
  n.unsupported("there is no such unary operator");
}

// Bounds are attributes before opset 11, inputs since.
void import_clip(Node& n) {
  float low = ir::kNoMin, high = ir::kNoMax;
  if (n.opset() < 11) {
    low = n.real("min", low);
    high = n.real("max", high);
  } else {
    if (n.has(1)) low = n.known_float(1, "the minimum");
    if (n.has(2)) high = n.known_float(2, "the maximum");
  }
  if (!(low <= high)) n.unsupported("its minimum ", low, " is above its maximum ", high);
  n.emit(ir::Unary{ir::Unary::Op::clamp, low, high}, {n.in(0)});
}

// One slope: leaky_relu. A slope per channel: max(x, 0) + slope * min(x, 0).
void import_prelu(Node& n) {
  const ir::ValueId x = n.in(0), slope = n.in(1);
  if (!n.fixed(slope)) refuse(513, "its slope is computed from the data; make it a constant");
  if (const ir::Constant* constant = ir::constant_of(n.import().graph, slope);
      constant && constant->data.size() == 1) {
    return n.emit(ir::Unary{ir::Unary::Op::leaky_relu, constant->data[0], 0}, {x});
  }
  using Op = ir::Unary::Op;
  const ir::ValueId above = n.step("above", ir::Unary{Op::clamp, 0, ir::kNoMax}, {x});
  const ir::ValueId below = n.step("below", ir::Unary{Op::clamp, ir::kNoMin, 0}, {x});
  const ir::ValueId sloped = n.step("sloped", ir::Binary{ir::Binary::Op::mul}, {below, slope});
  n.emit(ir::Binary{ir::Binary::Op::add}, {above, sloped});
}

namespace {

ir::Binary::Op binary_op(const std::string& name) {
  using Op = ir::Binary::Op;
  if (name == "Sub") return Op::sub;
  if (name == "Mul") return Op::mul;
  if (name == "Div") return Op::div;
  if (name == "Max") return Op::max;
  if (name == "Min") return Op::min;
  return Op::add;  // Add, Sum
}

}  // namespace

void import_binary(Node& n) {
  n.emit(ir::Binary{binary_op(n.op())}, {n.in(0), n.in(1)});
}

void import_variadic(Node& n) {
  if (n.inputs() == 1) return n.emit(ir::Identity{}, {n.in(0)});
  const ir::Binary binary{binary_op(n.op())};
  ir::ValueId sum = n.in(0);
  for (size_t i = 1; i + 1 < n.inputs(); ++i) {
    sum = n.step(cat("partial", i), binary, {sum, n.in(i)});
  }
  n.emit(binary, {sum, n.in(n.inputs() - 1)});
}

// Before opset 13 softmax runs over all dimensions from `axis` on, seen as one.
void import_softmax(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  const int64_t rank = static_cast<int64_t>(shape.size());
  int64_t axis = n.integer("axis", n.opset() < 13 ? 1 : -1);
  if (axis < -rank || axis >= rank) {
    refuse(505, "axis is ", axis, "; allowed are ", -rank, " to ", rank - 1);
  }
  if (axis < 0) axis += rank;
  ir::Softmax softmax;
  softmax.axis = static_cast<int32_t>(axis);
  softmax.log = n.op() == "LogSoftmax";
  if (n.opset() >= 13 || axis == rank - 1) return n.emit(softmax, {x});
  if (axis == 0 && n.value(x).batched) n.unsupported("it runs over the batch; fix it with --shape");
  std::vector<int64_t> dims(shape.begin(), shape.begin() + axis);
  dims.push_back(ir::element_count({shape.begin() + axis, shape.end()}));
  const ir::ValueId flat = n.step("flat", ir::Reshape{dims}, {x});
  n.emit(ir::Reshape{shape}, {n.heart(softmax, {flat})});
}

}  // namespace qrt::import
