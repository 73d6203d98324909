// Products of bytes that give int32: exactly, in floats. Every product of two bytes is
// below 2^16, so a sum stays below 2^24, where f32 holds every whole number, for some
// 258 terms; longer sums are cut into parts, whose int32 results are added up.
#include <algorithm>
#include <cmath>

#include "converter/import/onnx_quantized.h"

namespace qrt::import {
namespace {

using ir::ValueId;
constexpr float kExact = 16777216.0f;  // 2^24

// An operand less its zero point, as floats, and how far it may be from 0.
struct Operand {
  ValueId value;
  float reach;
};

Operand operand(Node& n, const char* name, size_t input, size_t zero_input, int32_t axis) {
  const ValueId x = n.in(input);
  const Levels levels = levels_of(n.value(x));
  float reach = std::max(levels.high, -levels.low);
  ValueId value = n.step(cat(name, "_float"), ir::Cast{onnx::TensorProto::FLOAT}, {x});
  if (!n.has(zero_input)) return {value, reach};
  ValueId zero = n.in(zero_input);
  const std::vector<int64_t> shape = n.value(zero).shape;
  if (const auto known = n.known(zero_input)) {
    reach = 0;
    for (const int64_t z : known->ints) {
      const auto at = static_cast<float>(z);
      reach = std::max({reach, levels.high - at, at - levels.low});
    }
  } else {
    reach = levels.high - levels.low;
  }
  zero = n.step(cat(name, "_zero"), ir::Cast{onnx::TensorProto::FLOAT}, {zero});
  if (shape.size() == 1 && ir::element_count(shape) > 1) {
    // One along an axis, counted from the end.
    std::vector<int64_t> along(static_cast<size_t>(-axis), 1);
    along[0] = shape[0];
    zero = n.step(cat(name, "_zeros"), ir::Reshape{along}, {zero});
  }
  value = n.step(cat(name, "_centred"), ir::Binary{ir::Binary::Op::sub}, {value, zero});
  return {value, reach};
}

// The terms of a sum that stay exact together, of which `taps` come at once.
int64_t exact_terms(float a, float b, int64_t taps) {
  const auto terms = static_cast<int64_t>(kExact / std::max(a * b, 1.0f)) / taps;
  if (terms < 1)
    refuse(514, "it sums ", taps, " products up to ", a * b,
           ", which floats do not hold exactly; use a smaller window");
  return terms;
}

ValueId part_of(Node& n, const char* name, ValueId x, int64_t axis, int64_t at, int64_t end) {
  return n.step(cat(name, at), ir::Slice{{at}, {end}, {axis}, {1}}, {x});
}

// The convolution of floats that this node is one of integers.
ValueId convolution(Node& n, const std::string& step, ValueId x, ValueId w) {
  onnx::NodeProto proto;
  proto.set_op_type("Conv");
  proto.set_name(cat(n.name(), "/", step));
  for (const ValueId v : {x, w}) {
    const std::string name = n.value(v).name;
    n.import().values.emplace(name, v);
    proto.add_input(name);
  }
  const std::string out = n.free_name(step.c_str());
  proto.add_output(out);
  *proto.mutable_attribute() = n.attributes();
  convert_node(n.import(), proto);
  return n.import().values.at(out);
}

// make(begin, end) gives the sum over these terms as floats; the sum of all becomes int32.
template <class Make>
void emit_sum(Node& n, int64_t terms, int64_t together, const Make& make) {
  constexpr ir::Cast to_int{onnx::TensorProto::INT32};
  if (terms <= together) return n.emit(to_int, {make(0, terms)});
  ValueId sum = -1;
  for (int64_t at = 0; at < terms; at += together) {
    const int64_t end = std::min(at + together, terms);
    const ValueId part = n.step(cat("int", at), to_int, {make(at, end)});
    const ir::Binary add{ir::Binary::Op::add};
    if (sum >= 0 && end == terms) return n.emit(add, {sum, part});
    sum = sum < 0 ? part : n.step(cat("sum", at), add, {sum, part});
  }
}

}  // namespace

void import_matmul_integer(Node& n) {
  const Operand a = operand(n, "a", 0, 2, -2), b = operand(n, "b", 1, 3, -1);
  const std::vector<int64_t> left = n.value(a.value).shape, right = n.value(b.value).shape;
  if (left.size() < 2 || right.size() < 2 || left.back() != right[right.size() - 2])
    refuse(506, "its operands have shapes ", shape_text(left), " and ", shape_text(right),
           "; expected matrices that multiply");
  const auto last = static_cast<int64_t>(left.size()) - 1,
             rows = static_cast<int64_t>(right.size()) - 2;
  const int64_t terms = left.back(), together = exact_terms(a.reach, b.reach, 1);
  const bool is_layer = n.fixed(b.value) && right.size() == 2 && !n.fixed(a.value);
  emit_sum(n, terms, together, [&](int64_t at, int64_t end) {
    const bool all = end - at == terms;
    const ValueId x = all ? a.value : part_of(n, "a", a.value, last, at, end);
    const ValueId w = all ? b.value : part_of(n, "b", b.value, rows, at, end);
    if (!is_layer) return n.step(cat("product", at), ir::MatMul{}, {x, w});
    const ValueId turned = n.step(cat("weight", at), ir::Transpose{{1, 0}}, {w});
    return n.step(cat("product", at), ir::Linear{}, {x, turned});
  });
}

void import_conv_integer(Node& n) {
  const Operand x = operand(n, "x", 0, 2, -1);
  const ValueId raw = n.in(1);
  const auto rank = static_cast<int32_t>(n.value(raw).shape.size());
  const Operand w = operand(n, "w", 1, 3, -rank);
  const std::vector<int64_t> shape = n.value(w.value).shape;
  if (!n.fixed(w.value) || shape.size() < 3)
    refuse(513, "its weight ", n.value(raw).name,
           " is computed from the data; only constants are supported");
  const int64_t taps = ir::element_count({shape.begin() + 2, shape.end()});
  const int64_t together = exact_terms(x.reach, w.reach, taps);
  if (shape[1] > together && n.integer("group", 1) != 1)
    refuse(514, "it sums ", shape[1] * taps, " products in each of several groups; at most ",
           together * taps, " are supported there");
  emit_sum(n, shape[1], together, [&](int64_t at, int64_t end) {
    const bool all = end - at == shape[1];
    return convolution(n, cat("product", at), all ? x.value : part_of(n, "x", x.value, 1, at, end),
                       all ? w.value : part_of(n, "w", w.value, 1, at, end));
  });
}

}  // namespace qrt::import
