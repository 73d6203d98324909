// Operators on single values: functions of one, two, three or many tensors, and
// casts. The graph computes in f32, i32, i64 and bool; small integers are widened
// for arithmetic and cut back to their own width afterwards, as ONNX wraps them.
#include <cmath>

#include "converter/import/onnx_node.h"

namespace qrt::import {
namespace {

using Op = ir::Binary::Op;
using Type = ir::ElementType;

// The ONNX data type whose values an element type holds.
int32_t onnx_type_of(Type type) {
  switch (type) {
    case Type::i8:
      return onnx::TensorProto::INT8;
    case Type::u8:
      return onnx::TensorProto::UINT8;
    case Type::i32:
      return onnx::TensorProto::INT32;
    case Type::i64:
      return onnx::TensorProto::INT64;
    case Type::boolean:
      return onnx::TensorProto::BOOL;
    default:
      return onnx::TensorProto::FLOAT;
  }
}

bool is_small(Type type) {
  return type == Type::i8 || type == Type::u8;
}

Type type_of(Node& n, ir::ValueId id) {
  return n.value(id).type;
}

ir::ValueId cast_to(Node& n, const std::string& step, ir::ValueId id, Type type) {
  if (type_of(n, id) == type) return id;
  return n.step(step, ir::Cast{onnx_type_of(type)}, {id});
}

// A step of two inputs; small integers go through i32.
ir::ValueId combine(Node& n, const std::string& step, Op op, ir::ValueId a, ir::ValueId b) {
  const Type type = type_of(n, a);
  if (!is_small(type) || (n.fixed(a) && n.fixed(b)) || type_of(n, b) != type)
    return n.step(step, ir::Binary{op}, {a, b});
  const ir::ValueId wide =
      n.step(step + "_wide", ir::Binary{op},
             {cast_to(n, step + "_a", a, Type::i32), cast_to(n, step + "_b", b, Type::i32)});
  if (type_of(n, wide) == Type::boolean) return wide;
  return cast_to(n, step, wide, type);
}

// The same as the node's output.
void emit_combined(Node& n, Op op, ir::ValueId a, ir::ValueId b) {
  const Type type = type_of(n, a);
  if (!is_small(type) || (n.fixed(a) && n.fixed(b)) || type_of(n, b) != type)
    return n.emit(ir::Binary{op}, {a, b});
  const ir::ValueId wide_a = cast_to(n, "a", a, Type::i32), wide_b = cast_to(n, "b", b, Type::i32);
  if (op >= Op::equal) return n.emit(ir::Binary{op}, {wide_a, wide_b});
  const ir::ValueId wide = n.heart(ir::Binary{op}, {wide_a, wide_b});
  n.emit(ir::Cast{onnx_type_of(type)}, {wide});
}

// A constant number of the type of `like`.
ir::ValueId number(Node& n, const char* step, ir::ValueId like, float value) {
  const ir::ValueId constant = n.constant(step, {}, {value});
  return cast_to(n, std::string(step) + "_typed", constant, type_of(n, like));
}

struct UnaryRow {
  const char* name;
  ir::Unary::Op op;
  const char* alpha;  // attribute that sets alpha, or nullptr: the constant
  float alpha_default;
  const char* beta;
  float beta_default;
};

const UnaryRow* find_unary(const std::string& name) {
  using U = ir::Unary::Op;
  static constexpr UnaryRow kRows[] = {
      {"Relu", U::clamp, nullptr, 0, nullptr, ir::kNoMax},
      {"LeakyRelu", U::leaky_relu, "alpha", 0.01f, nullptr, 0},
      {"Sigmoid", U::sigmoid, nullptr, 0, nullptr, 0},
      {"HardSigmoid", U::hard_sigmoid, "alpha", 0.2f, "beta", 0.5f},
      {"HardSwish", U::hard_swish, nullptr, 0, nullptr, 0},
      {"Tanh", U::tanh, nullptr, 0, nullptr, 0},
      {"Elu", U::elu, "alpha", 1, nullptr, 0},
      {"Selu", U::selu, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f},
      {"Celu", U::celu, "alpha", 1, nullptr, 0},
      {"ThresholdedRelu", U::thresholded_relu, "alpha", 1, nullptr, 0},
      {"Shrink", U::shrink, "lambd", 0.5f, "bias", 0},
      {"Softplus", U::softplus, nullptr, 0, nullptr, 0},
      {"Softsign", U::softsign, nullptr, 0, nullptr, 0},
      {"Erf", U::erf, nullptr, 0, nullptr, 0},
      {"Exp", U::exp, nullptr, 0, nullptr, 0},
      {"Log", U::log, nullptr, 0, nullptr, 0},
      {"Sqrt", U::sqrt, nullptr, 0, nullptr, 0},
      {"Abs", U::abs, nullptr, 0, nullptr, 0},
      {"Neg", U::neg, nullptr, 0, nullptr, 0},
      {"Sign", U::sign, nullptr, 0, nullptr, 0},
      {"Reciprocal", U::reciprocal, nullptr, 0, nullptr, 0},
      {"Floor", U::floor, nullptr, 0, nullptr, 0},
      {"Ceil", U::ceil, nullptr, 0, nullptr, 0},
      {"Round", U::round, nullptr, 0, nullptr, 0},
      {"Sin", U::sin, nullptr, 0, nullptr, 0},
      {"Cos", U::cos, nullptr, 0, nullptr, 0},
      {"Tan", U::tan, nullptr, 0, nullptr, 0},
      {"Asin", U::asin, nullptr, 0, nullptr, 0},
      {"Acos", U::acos, nullptr, 0, nullptr, 0},
      {"Atan", U::atan, nullptr, 0, nullptr, 0},
      {"Sinh", U::sinh, nullptr, 0, nullptr, 0},
      {"Cosh", U::cosh, nullptr, 0, nullptr, 0},
      {"Asinh", U::asinh, nullptr, 0, nullptr, 0},
      {"Acosh", U::acosh, nullptr, 0, nullptr, 0},
      {"Atanh", U::atanh, nullptr, 0, nullptr, 0},
      {"Not", U::logical_not, nullptr, 0, nullptr, 0},
  };
  for (const UnaryRow& row : kRows)
    if (name == row.name) return &row;
  return nullptr;
}

}  // namespace

void import_unary(Node& n) {
  const ir::ValueId x = n.in(0);
  const UnaryRow* row = find_unary(n.op());
  if (!row) n.unsupported("there is no such unary operator");
  // Relu of integers (since opset 14).
  if (row->op == ir::Unary::Op::clamp && !ir::is_float(type_of(n, x)))
    return emit_combined(n, Op::max, x, number(n, "zero", x, 0));
  ir::Unary unary{row->op, row->alpha_default, row->beta_default};
  if (row->alpha) unary.alpha = n.real(row->alpha, row->alpha_default);
  if (row->beta) unary.beta = n.real(row->beta, row->beta_default);
  if (is_small(type_of(n, x)) && !n.fixed(x)) {
    const ir::ValueId wide = n.heart(unary, {cast_to(n, "wide", x, Type::i32)});
    return n.emit(ir::Cast{onnx_type_of(type_of(n, x))}, {wide});
  }
  n.emit(unary, {x});
}

// Bounds are attributes before opset 11, inputs since. Known ones of floats are the limits of one
// operator, others are a maximum and a minimum.
void import_clip(Node& n) {
  const ir::ValueId x = n.in(0);
  float low = ir::kNoMin, high = ir::kNoMax;
  const bool attributes = n.opset() < 11;
  const auto is_limit = [&](size_t k) {
    if (attributes || !n.has(k)) return true;
    const auto known = n.known(k);
    return known && ir::is_float(known->type) && known->data.size() == 1;
  };
  if (attributes) {
    low = n.real("min", low);
    high = n.real("max", high);
  }
  if (!is_limit(1) || !is_limit(2)) {
    if (!n.has(2)) return emit_combined(n, Op::max, x, n.in(1));
    if (!n.has(1)) return emit_combined(n, Op::min, x, n.in(2));
    return emit_combined(n, Op::min, combine(n, "above", Op::max, x, n.in(1)), n.in(2));
  }
  if (!ir::is_float(type_of(n, x))) return n.emit(ir::Identity{}, {x});  // no bounds at all
  if (!attributes && n.has(1)) low = n.known_float(1, "the minimum");
  if (!attributes && n.has(2)) high = n.known_float(2, "the maximum");
  if (!(low <= high)) n.unsupported("its minimum ", low, " is above its maximum ", high);
  n.emit(ir::Unary{ir::Unary::Op::clamp, low, high}, {x});
}

// One slope: leaky_relu. Else max(x, 0) + slope * min(x, 0).
void import_prelu(Node& n) {
  const ir::ValueId x = n.in(0), slope = n.in(1);
  if (const ir::Constant* constant = ir::constant_of(n.import().graph, slope);
      constant && constant->data.size() == 1) {
    return n.emit(ir::Unary{ir::Unary::Op::leaky_relu, constant->data[0], 0}, {x});
  }
  using U = ir::Unary::Op;
  const ir::ValueId above = n.step("above", ir::Unary{U::clamp, 0, ir::kNoMax}, {x});
  const ir::ValueId below = n.step("below", ir::Unary{U::clamp, ir::kNoMin, 0}, {x});
  const ir::ValueId sloped = n.step("sloped", ir::Binary{Op::mul}, {below, slope});
  n.emit(ir::Binary{Op::add}, {above, sloped});
}

namespace {

Op binary_op(const Node& n) {
  static constexpr struct {
    const char* name;
    Op op;
  } kRows[] = {{"Add", Op::add},
               {"Sum", Op::add},
               {"Mean", Op::add},
               {"Sub", Op::sub},
               {"Mul", Op::mul},
               {"Div", Op::div},
               {"Max", Op::max},
               {"Min", Op::min},
               {"Equal", Op::equal},
               {"Greater", Op::greater},
               {"GreaterOrEqual", Op::greater_equal},
               {"Less", Op::less},
               {"LessOrEqual", Op::less_equal},
               {"And", Op::logical_and},
               {"Or", Op::logical_or},
               {"Xor", Op::logical_xor}};
  for (const auto& row : kRows)
    if (n.op() == row.name) return row.op;
  if (n.op() == "Mod") return n.integer("fmod", 0) != 0 ? Op::fmod : Op::mod;
  n.unsupported("there is no such binary operator");
}

}  // namespace

void import_binary(Node& n) {
  emit_combined(n, binary_op(n), n.in(0), n.in(1));
}

// Squares and roots are cheaper than powers, and exact. The result has the base's type.
void import_pow(Node& n) {
  const ir::ValueId base = n.in(0), exponent = n.in(1);
  const Type type = type_of(n, base);
  if (const auto known = n.known(1); known && known->count() == 1 && known->shape.empty()) {
    const double e = known->ints.empty() ? double{known->data[0]} : double(known->ints[0]);
    if (e == 1) return n.emit(ir::Identity{}, {base});
    if (e == 2) return emit_combined(n, Op::mul, base, base);
    if (e == 0.5 && ir::is_float(type)) return n.emit(ir::Unary{ir::Unary::Op::sqrt}, {base});
  }
  if (ir::is_float(type) || !ir::is_float(type_of(n, exponent)))
    return emit_combined(n, Op::pow, base, cast_to(n, "exponent", exponent, type));
  const ir::ValueId power =
      n.heart(ir::Binary{Op::pow}, {cast_to(n, "base", base, Type::f32), exponent});
  n.emit(ir::Cast{onnx_type_of(type)}, {power});
}

void import_variadic(Node& n) {
  if (n.inputs() == 1) return n.emit(ir::Identity{}, {n.in(0)});
  const Op op = binary_op(n);
  const bool mean = n.op() == "Mean";
  ir::ValueId sum = n.in(0);
  for (size_t i = 1; i + (mean ? 0 : 1) < n.inputs(); ++i)
    sum = combine(n, cat("partial", i), op, sum, n.in(i));
  if (!mean) return emit_combined(n, op, sum, n.in(n.inputs() - 1));
  const ir::ValueId count = n.constant("count", {}, {static_cast<float>(n.inputs())});
  n.emit(ir::Binary{Op::div}, {sum, count});
}

void import_where(Node& n) {
  n.emit(ir::Select{}, {n.in(0), n.in(1), n.in(2)});
}

// Only a NaN differs from itself.
void import_is_nan(Node& n) {
  const ir::ValueId same = n.heart(ir::Binary{Op::equal}, {n.in(0), n.in(0)});
  n.emit(ir::Unary{ir::Unary::Op::logical_not}, {same});
}

// Only infinities lie beyond the largest finite numbers.
void import_is_inf(Node& n) {
  const ir::ValueId x = n.in(0);
  const bool above = n.integer("detect_positive", 1) != 0;
  const bool below = n.integer("detect_negative", 1) != 0;
  if (!above && !below) return n.emit(ir::Binary{Op::less}, {x, x});
  const auto largest = [&] { return n.constant("largest", {}, {ir::kNoMax}); };
  const auto lowest = [&] { return n.constant("lowest", {}, {ir::kNoMin}); };
  if (!below) return n.emit(ir::Binary{Op::greater}, {x, largest()});
  if (!above) return n.emit(ir::Binary{Op::less}, {x, lowest()});
  const ir::ValueId plus = n.step("positive", ir::Binary{Op::greater}, {x, largest()});
  const ir::ValueId minus = n.step("negative", ir::Binary{Op::less}, {x, lowest()});
  n.emit(ir::Binary{Op::logical_or}, {plus, minus});
}

namespace {

// Casts of data between float types vanish: the graph computes in f32.
void emit_cast(Node& n, ir::ValueId x, int32_t to, Type type) {
  if (n.fixed(x)) return n.emit(ir::Cast{to}, {x});
  const Type from = type_of(n, x);
  if (from == type || (ir::is_float(from) && ir::is_float(type)))
    return n.emit(ir::Identity{}, {x});
  if (ir::is_float(type)) return n.emit(ir::Cast{onnx::TensorProto::FLOAT}, {x});
  const bool exact = onnx_type_of(type) == to;
  if (!exact && from != Type::boolean) {
    n.unsupported("it casts data to ", onnx::TensorProto::DataType_Name(to),
                  "; supported are the float types, int8, uint8, int32, int64 and bool");
  }
  n.emit(ir::Cast{onnx_type_of(type)}, {x});
}

}  // namespace

void import_cast(Node& n) {
  const int64_t to = n.integer("to", 0);
  const auto type = ir::element_type_of_onnx(to_int32(to, 0, 100, "to"));
  if (!type) n.unsupported("it casts to the ONNX data type ", to);
  emit_cast(n, n.in(0), static_cast<int32_t>(to), *type);
}

void import_cast_like(Node& n) {
  const Type type = type_of(n, n.in(1));
  emit_cast(n, n.in(0), type == Type::f16 ? 10 : onnx_type_of(type), type);
}

}  // namespace qrt::import
