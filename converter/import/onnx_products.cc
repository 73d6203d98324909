// Gemm, MatMul and batch normalization. A product with a constant matrix is a
// layer (Linear), whose weights can be compressed; all others are MatMul.
#include <numeric>

#include "converter/import/onnx_node.h"

namespace qrt::import {
namespace {

using ir::ValueId;

// x with its last two axes exchanged.
ValueId transposed(Node& n, const char* step, ValueId x) {
  std::vector<int32_t> perm(n.value(x).shape.size());
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return n.step(step, ir::Transpose{perm}, {x});
}

// The weight [inputs, outputs] turned to [outputs, inputs]. A transpose that stands in front of it
// already is undone rather than repeated.
ValueId turned(Node& n, ValueId weight) {
  const ir::NodeId producer = n.value(weight).producer;
  if (producer >= 0) {
    const ir::Node& before = n.import().graph.nodes[producer];
    if (std::holds_alternative<ir::Transpose>(before.attr) && n.value(weight).shape.size() == 2 &&
        std::get<ir::Transpose>(before.attr).perm == std::vector<int32_t>{1, 0}) {
      return before.in[0];
    }
  }
  return n.step("weight", ir::Transpose{{1, 0}}, {weight});
}

// The bias of a Gemm as [outputs], if it is one number per output; -1 if it must be added apart.
ValueId bias_vector(Node& n, ValueId bias, int64_t outputs) {
  const std::vector<int64_t> shape = n.value(bias).shape;
  if (!n.fixed(bias) || shape.empty() || shape.back() != outputs ||
      ir::element_count(shape) != outputs) {
    return -1;
  }
  if (shape.size() == 1) return bias;
  return n.step("bias", ir::Reshape{{outputs}}, {bias});
}

// The operands of a product as matrices, and what the product of these is.
struct Product {
  ir::Attr attr;
  std::vector<ValueId> in;
  bool turned = false;  // the result has its last two axes exchanged
};

// a [..., M, K] times b [..., K, N]. A constant matrix on the left is a layer on the turned data:
// (a b)' = b' a', and a has outputs first as it stands.
Product product_of(Node& n, ValueId a, ValueId b) {
  const auto is_weight = [&](ValueId v) { return n.fixed(v) && n.value(v).shape.size() == 2; };
  if (is_weight(b) && !n.fixed(a)) return {ir::Linear{}, {a, turned(n, b)}};
  if (is_weight(a) && !n.fixed(b)) return {ir::Linear{}, {transposed(n, "columns", b), a}, true};
  return {ir::MatMul{}, {a, b}};
}

}  // namespace

// NumPy's rules: a vector on the left is one row, on the right one column, and that axis is
// dropped from the result.
void import_matmul(Node& n) {
  ValueId a = n.in(0), b = n.in(1);
  for (ValueId v : {a, b}) {
    if (n.value(v).shape.empty()) refuse(506, "its input ", n.value(v).name, " is a single number");
  }
  const bool is_row = n.value(a).shape.size() == 1, is_column = n.value(b).shape.size() == 1;
  for (ValueId v : {a, b}) {
    if (n.value(v).batched && n.value(v).shape.size() == 1) {
      n.unsupported("it sums over the free batch; fix it with --shape");
    }
  }
  if (is_row) a = n.step("row", ir::Reshape{{1, n.value(a).shape[0]}}, {a});
  if (is_column) b = n.step("column", ir::Reshape{{n.value(b).shape[0], 1}}, {b});
  const Product product = product_of(n, a, b);
  if (!is_row && !is_column && !product.turned) return n.emit(product.attr, product.in);
  const ValueId y = n.heart(product.attr, product.in);
  if (!is_row && !is_column) {
    std::vector<int32_t> perm(n.value(y).shape.size());
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    return n.emit(ir::Transpose{perm}, {y});
  }
  // The dropped axis has one element: the order of the last two does not matter.
  std::vector<int64_t> dims = n.value(y).shape;
  const int64_t rows = product.turned ? dims.back() : dims[dims.size() - 2];
  const int64_t columns = product.turned ? dims[dims.size() - 2] : dims.back();
  dims.resize(dims.size() - 2);
  if (!is_row) dims.push_back(rows);
  if (!is_column) dims.push_back(columns);
  n.emit(ir::Reshape{dims}, {y});
}

// Y = alpha * A' * B' + beta * C. Of a layer, alpha is the scale and C, where it is one number per
// output, the bias.
void import_gemm(Node& n) {
  ValueId a = n.in(0), b = n.in(1);
  for (ValueId v : {a, b}) {
    if (n.value(v).shape.size() == 2) continue;
    refuse(506, "its input ", n.value(v).name, " has shape ", shape_text(n.value(v).shape),
           "; expected a matrix");
  }
  if (n.integer("transA", 0) != 0) a = transposed(n, "a", a);
  if (n.integer("transB", 0) != 0) b = transposed(n, "b", b);
  const float alpha = n.real("alpha", 1), beta = n.real("beta", 1);
  const Product product = product_of(n, a, b);
  std::vector<ValueId> in = product.in;
  ir::Attr attr = product.attr;
  ir::Linear* linear = std::get_if<ir::Linear>(&attr);
  const bool has_c = n.has(2) && beta != 0, scaled = alpha != 1 && linear == nullptr;

  if (linear && alpha != 1) {
    const int64_t outputs = n.value(in[1]).shape[0];
    linear->scale = true;
    in.push_back(
        n.constant("alpha", {outputs}, std::vector<float>(static_cast<size_t>(outputs), alpha)));
  }
  ValueId c = has_c ? n.in(2) : -1;
  if (has_c && beta != 1) {
    const ValueId factor = n.constant("beta", {}, {beta});
    c = n.step("beta_c", ir::Binary{ir::Binary::Op::mul}, {c, factor});
  }
  if (linear && has_c && !product.turned) {
    if (const ValueId vector = bias_vector(n, c, n.value(in[1]).shape[0]); vector >= 0) {
      linear->bias = true;
      in.push_back(vector);
      return n.emit(attr, in);
    }
  }
  if (!has_c && !product.turned && !scaled) return n.emit(attr, in);
  ValueId y = n.heart(attr, in);
  if (product.turned && !has_c) return n.emit(ir::Transpose{{1, 0}}, {y});
  if (product.turned) y = n.step("product", ir::Transpose{{1, 0}}, {y});
  if (scaled) {
    const ir::Binary times{ir::Binary::Op::mul};
    const ValueId factor = n.constant("alpha", {}, {alpha});
    if (!has_c) return n.emit(times, {y, factor});
    y = n.step("alpha_product", times, {y, factor});
  }
  n.emit(ir::Binary{ir::Binary::Op::add}, {y, c});
}

namespace {

// A parameter per channel, in front of as many axes of 1 as x has behind its channels.
ValueId per_channel(Node& n, const char* step, ValueId parameter, size_t rank) {
  std::vector<int64_t> dims(rank - 1, 1);
  dims[0] = n.value(parameter).shape.at(0);
  return n.step(step, ir::Reshape{dims}, {parameter});
}

// (x - mean) / sqrt(variance + eps) * scale + bias, where the parameters are computed.
void emit_computed_norm(Node& n, const std::vector<ValueId>& in, float eps) {
  using Op = ir::Binary::Op;
  const size_t rank = n.value(in[0]).shape.size();
  for (size_t i = 0; i < 5; ++i) {
    if (i == 0 ? rank >= 2 : n.value(in[i]).shape.size() == 1 && !n.value(in[i]).batched) continue;
    refuse(506, "its input ", n.value(in[i]).name, " has shape ", shape_text(n.value(in[i]).shape),
           "; expected ", i == 0 ? "[N,C,...]" : "one number per channel");
  }
  const ValueId scale = per_channel(n, "scale", in[1], rank);
  const ValueId bias = per_channel(n, "bias", in[2], rank);
  const ValueId mean = per_channel(n, "mean", in[3], rank);
  const ValueId variance = per_channel(n, "variance", in[4], rank);
  const ValueId above =
      n.step("above_zero", ir::Binary{Op::add}, {variance, n.constant("epsilon", {}, {eps})});
  const ValueId deviation = n.step("deviation", ir::Unary{ir::Unary::Op::sqrt}, {above});
  const ValueId factor = n.step("factor", ir::Binary{Op::div}, {scale, deviation});
  const ValueId centred = n.step("centred", ir::Binary{Op::sub}, {in[0], mean});
  const ValueId scaled = n.step("scaled", ir::Binary{Op::mul}, {centred, factor});
  n.emit(ir::Binary{Op::add}, {scaled, bias});
}

}  // namespace

// Opsets 7 and 8 have `spatial`, 14 and later `training_mode`; inference is the same in all.
void import_batch_norm(Node& n) {
  if (n.integer("training_mode", 0) != 0)
    n.unsupported("it is in training mode; export for inference");
  if (n.integer("spatial", 1) == 0) n.unsupported("spatial 0 (opset 7) is not supported");
  std::vector<ValueId> in;
  bool fixed = true;
  for (size_t i = 0; i < 5; ++i) {
    in.push_back(n.in(i));
    fixed = fixed && (i == 0 || n.fixed(in[i]));
  }
  const float eps = n.real("epsilon", 1e-5f);
  if (!fixed) return emit_computed_norm(n, in, eps);
  n.emit(ir::BatchNorm{eps}, in);
}

}  // namespace qrt::import
