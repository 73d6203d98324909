// Quantized operators that name the grids of their operands and of their result:
// dequantize, compute in floats, quantize, spelled as the ONNX nodes that say so and
// read by their readers. Integers may differ by 1 from the standard's where a sum lies
// between two of them.
#include <cmath>
#include <utility>

#include "converter/import/onnx_quantized.h"

namespace qrt::import {
namespace {

using Attributes = google::protobuf::RepeatedPtrField<onnx::AttributeProto>;

void add_integer(Attributes& to, const char* key, int64_t value) {
  onnx::AttributeProto& a = *to.Add();
  a.set_name(key);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(value);
}

// The nodes that one stands for.
class Spelling {
 public:
  explicit Spelling(Node& n) : n_(n) {}

  // The name of what the operator makes of these inputs; empty ones are absent.
  std::string step(const char* op, const char* step, std::vector<std::string> in,
                   const Attributes& attributes = {}) {
    const std::string out = n_.free_name(step);
    make(op, cat(n_.name(), "/", step), std::move(in), out, attributes);
    return out;
  }
  // What the node is about: it keeps the name.
  std::string heart(const char* op, std::vector<std::string> in, const Attributes& attributes) {
    const std::string out = n_.free_name("float");
    make(op, n_.name(), std::move(in), out, attributes);
    return out;
  }
  void last(const char* op, std::vector<std::string> in, const Attributes& attributes = {}) {
    make(op, cat(n_.name(), "/", "quantize"), std::move(in), n_.output_name(0), attributes);
  }

  // Inputs first, first + 1 and first + 2 are a tensor, its scale and its zero point.
  std::string dequantized(const char* what, size_t first, int64_t axis = 0) {
    Attributes attributes;
    add_integer(attributes, "axis", axis);
    return step("DequantizeLinear", what, names(first, 3), attributes);
  }
  // The result, on the grid of inputs `first` and `first` + 1.
  void quantize(const std::string& x, size_t first) {
    std::vector<std::string> in = names(first, 2);
    in.insert(in.begin(), x);
    last("QuantizeLinear", std::move(in));
  }
  // The int32 bias on the grid of the sums, as floats.
  std::string bias(size_t input, size_t x_scale, size_t w_scale, float alpha = 1) {
    const std::vector<float> x = known_numbers(n_, x_scale, "the scale of its input");
    std::vector<float> scale = known_numbers(n_, w_scale, "the scale of its weight");
    if (x.size() != 1) refuse(523, "its input has ", x.size(), " scales; expected 1");
    for (float& s : scale) s *= x[0] * alpha;
    const std::string name = n_.free_name("bias_scale");
    const auto count = static_cast<int64_t>(scale.size());
    n_.import().values[name] = n_.import().add_constant(
        name, {ir::ElementType::f32,
               count == 1 ? std::vector<int64_t>{} : std::vector<int64_t>{count},
               scale,
               {}});
    Attributes attributes;
    add_integer(attributes, "axis", -1);
    return step("DequantizeLinear", "bias", {n_.input_name(input), name}, attributes);
  }
  Attributes attributes_without(std::initializer_list<const char*> keys) const {
    Attributes kept;
    for (const auto& a : n_.attributes()) {
      bool keep = true;
      for (const char* key : keys) keep = keep && a.name() != key;
      if (keep) *kept.Add() = a;
    }
    return kept;
  }

 private:
  std::vector<std::string> names(size_t first, size_t count) const {
    std::vector<std::string> names;
    for (size_t i = first; i < first + count; ++i)
      names.push_back(n_.has(i) ? n_.input_name(i) : std::string());
    return names;
  }

  void make(const char* op, const std::string& name, std::vector<std::string> in,
            const std::string& out, const Attributes& attributes) {
    onnx::NodeProto proto;
    proto.set_op_type(op);
    proto.set_name(name);
    for (std::string& input : in) *proto.add_input() = std::move(input);
    *proto.add_output() = out;
    *proto.mutable_attribute() = attributes;
    convert_node(n_.import(), proto);
  }

  Node& n_;
};

// channels_last means another order of the axes than the graph's.
void need_channels_first(const Node& n) {
  if (n.integer("channels_last", 0) != 0)
    refuse(514, "its channels stand last; supported is the order N, C, H, W");
}

}  // namespace

void import_qlinear_conv(Node& n) {
  Spelling s(n);
  std::vector<std::string> in = {s.dequantized("x", 0), s.dequantized("w", 3)};
  if (n.has(8)) in.push_back(s.bias(8, 1, 4));
  s.quantize(s.heart("Conv", std::move(in), n.attributes()), 6);
}

// Scales of the left matrix lie along its rows, of the right one along its columns.
void import_qlinear_matmul(Node& n) {
  Spelling s(n);
  const std::string a = s.dequantized("a", 0, -2), b = s.dequantized("b", 3, -1);
  s.quantize(s.heart("MatMul", {a, b}, {}), 6);
}

void import_qlinear_binary(Node& n) {
  Spelling s(n);
  const char* op = n.op() == "QLinearAdd" ? "Add" : "Mul";
  const std::string a = s.dequantized("a", 0), b = s.dequantized("b", 3);
  s.quantize(s.heart(op, {a, b}, {}), 6);
}

void import_qlinear_unary(Node& n) {
  need_channels_first(n);
  Spelling s(n);
  const std::string op = n.op().substr(std::string("QLinear").size());
  const std::string x = s.dequantized("x", 0);
  s.quantize(s.heart(op.c_str(), {x}, s.attributes_without({"channels_last"})), 3);
}

// Scale and zero point of the result come first, then three inputs for each part.
void import_qlinear_concat(Node& n) {
  if (n.inputs() % 3 != 2)
    refuse(506, "has ", n.inputs(), " inputs; expected 2 and 3 for each part; the file is damaged");
  Spelling s(n);
  std::vector<std::string> parts;
  for (size_t i = 2; i < n.inputs(); i += 3)
    parts.push_back(s.dequantized(cat("part", i / 3).c_str(), i));
  s.quantize(s.heart("Concat", std::move(parts), n.attributes()), 0);
}

// alpha * A * B + C, where C lies on the grid of the sums times alpha; without a scale of the
// result it stays in floats.
void import_qgemm(Node& n) {
  Spelling s(n);
  const int64_t outputs_axis = n.integer("transB", 0) != 0 ? 0 : 1;
  std::vector<std::string> in = {s.dequantized("a", 0), s.dequantized("b", 3, outputs_axis)};
  if (n.has(6)) in.push_back(s.bias(6, 1, 4, n.real("alpha", 1)));
  if (n.has(7)) return s.quantize(s.heart("Gemm", std::move(in), n.attributes()), 7);
  s.last("Gemm", std::move(in), n.attributes());
}

}  // namespace qrt::import
