// Dimensions here are 64-bit: a file's are at most 2^24 and a batch as much, so
// no sum or product of two below overflows; products of more go through
// CheckedSize.
#include "runtime/model/shapes.h"

#include "runtime/base/checked.h"

namespace qrt {
namespace {

constexpr Code kBad = Code::invalid_model;

struct LongShape {
  int32_t rank = 0;
  int64_t dim[kMaxRank] = {};
};

LongShape at_batch(const TensorInfo& t, int64_t batch) {
  LongShape s;
  s.rank = t.shape.rank;
  for (int i = 0; i < s.rank; ++i) s.dim[i] = t.shape[i];
  if (t.batched) s.dim[0] *= batch;
  return s;
}

Status same_shape(const LongShape& found, const LongShape& wanted, const char* what) {
  if (found.rank != wanted.rank)
    return Status(kBad, 180, "the output's rank is not what the inputs give")
        .values(found.rank, wanted.rank);
  for (int i = 0; i < found.rank; ++i)
    if (found.dim[i] != wanted.dim[i])
      return Status(kBad, 180, what).values(found.dim[i], wanted.dim[i]);
  return {};
}

Status need_rank(const LongShape& s, int32_t rank) {
  if (s.rank != rank)
    return Status(kBad, 182, "the input's rank does not suit the operator").values(s.rank, rank);
  return {};
}

// floor((in + pads - reach) / stride) + 1, where a window reaches over (kernel - 1) * dilation + 1.
Status window_out(int64_t in, int64_t pads, int64_t kernel, int64_t dilation, int64_t stride,
                  int64_t* out) {
  const int64_t reach = (kernel - 1) * dilation + 1;
  if (in + pads < reach)
    return Status(kBad, 182, "the window is larger than the padded input")
        .at_most(reach, in + pads);
  *out = (in + pads - reach) / stride + 1;
  return {};
}

Status windows_out(const LongShape& in, const Window& w, LongShape* out) {
  QRT_TRY(need_rank(in, 4));
  *out = in;
  QRT_TRY(window_out(in.dim[1], int64_t{w.pad_top} + w.pad_bottom, w.kernel_h, w.dilation_h,
                     w.stride_h, &out->dim[1]));
  return window_out(in.dim[2], int64_t{w.pad_left} + w.pad_right, w.kernel_w, w.dilation_w,
                    w.stride_w, &out->dim[2]);
}

Status conv_out(const LongShape& in, const Conv2dAttr& a, LongShape* out) {
  QRT_TRY(windows_out(in, a.window, out));
  const int64_t channels = in.dim[3];
  if (channels % a.groups != 0)
    return Status(kBad, 163, "the input channels are not a multiple of the groups");
  const int64_t inputs = channels / a.groups * a.window.kernel_h * a.window.kernel_w;
  if (inputs != a.weights->inputs) {
    return Status(kBad, 183, "the weights' inputs are not kernel_h x kernel_w x channels / groups")
        .values(a.weights->inputs, inputs);
  }
  out->dim[3] = a.weights->outputs;
  return {};
}

// (in - 1) * stride + reach + adjust - pads along both axes. Factors are below 2^24, 2^16 and 2^32.
Status conv_transpose_out(const LongShape& in, const ConvTransposeAttr& a, LongShape* out) {
  QRT_TRY(need_rank(in, 4));
  const Window& w = a.window;
  const int64_t channels = in.dim[3];
  if (channels % a.groups != 0)
    return Status(kBad, 163, "the input channels are not a multiple of the groups");
  const int64_t inputs = channels / a.groups * w.kernel_h * w.kernel_w;
  if (inputs != a.weights->inputs) {
    return Status(kBad, 183, "the weights' inputs are not kernel_h x kernel_w x channels / groups")
        .values(a.weights->inputs, inputs);
  }
  const auto extent = [](int64_t size, int64_t kernel, int64_t dilation, int64_t stride) {
    return (size - 1) * stride + (kernel - 1) * dilation + 1;
  };
  *out = in;
  out->dim[1] = extent(in.dim[1], w.kernel_h, w.dilation_h, w.stride_h) + a.adjust_h - w.pad_top -
                w.pad_bottom;
  out->dim[2] = extent(in.dim[2], w.kernel_w, w.dilation_w, w.stride_w) + a.adjust_w - w.pad_left -
                w.pad_right;
  out->dim[3] = a.weights->outputs;
  for (int axis = 1; axis < 3; ++axis)
    if (out->dim[axis] < 1)
      return Status(kBad, 182, "the padding cuts all of the output").at_least(out->dim[axis], 1);
  return {};
}

Status linear_out(const LongShape& in, const LinearAttr& a, LongShape* out) {
  if (in.rank < 1) return need_rank(in, 2);
  if (in.dim[in.rank - 1] != a.weights->inputs) {
    return Status(kBad, 183, "the weights' inputs are not the input's last dimension")
        .values(a.weights->inputs, in.dim[in.rank - 1]);
  }
  *out = in;
  out->dim[in.rank - 1] = a.weights->outputs;
  return {};
}

// NumPy: shapes are aligned at their last axes; 1 stretches.
Status broadcast(const LongShape& a, const LongShape& b, LongShape* out) {
  out->rank = a.rank > b.rank ? a.rank : b.rank;
  for (int i = 1; i <= out->rank; ++i) {
    const int64_t x = i <= a.rank ? a.dim[a.rank - i] : 1;
    const int64_t y = i <= b.rank ? b.dim[b.rank - i] : 1;
    if (x != y && x != 1 && y != 1)
      return Status(kBad, 182, "the inputs' shapes do not broadcast").values(x, y);
    out->dim[out->rank - i] = x == 1 ? y : x;
  }
  return {};
}

// Axes before the matrices broadcast; the matrices multiply.
Status matmul_out(const LongShape& a, const LongShape& b, LongShape* out) {
  for (const LongShape* s : {&a, &b})
    if (s->rank < 2) return need_rank(*s, 2);
  const int64_t rows = a.dim[a.rank - 2], summed = a.dim[a.rank - 1];
  if (summed != b.dim[b.rank - 2]) {
    return Status(kBad, 182, "the matrices' shapes do not multiply")
        .values(b.dim[b.rank - 2], summed);
  }
  LongShape outer_a = a, outer_b = b;
  outer_a.dim[a.rank - 2] = outer_b.dim[b.rank - 2] = 1;
  outer_a.dim[a.rank - 1] = 1;
  QRT_TRY(broadcast(outer_a, outer_b, out));
  out->dim[out->rank - 2] = rows;
  return {};
}

Status concat_out(const Model& m, const Node& node, int64_t batch, LongShape* out) {
  const auto axis = node.concat->axis;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const LongShape next = at_batch(m.tensors[node.inputs[i]], batch);
    QRT_TRY(need_rank(next, out->rank));
    for (int k = 0; k < out->rank; ++k) {
      if (k != axis && next.dim[k] != out->dim[k])
        return Status(kBad, 182, "the inputs' shapes do not join").values(next.dim[k], out->dim[k]);
    }
    out->dim[axis] += next.dim[axis];  // at most 4096 addends below 2^49
  }
  return {};
}

Status reshape_out(const LongShape& in, const LongShape& claimed, LongShape* out) {
  CheckedSize from(1), to(1);
  for (int i = 0; i < in.rank; ++i) from = from * static_cast<uint64_t>(in.dim[i]);
  for (int i = 0; i < claimed.rank; ++i) to = to * static_cast<uint64_t>(claimed.dim[i]);
  // 64 bits on every machine: the batch tried here is larger than any that fits a 32-bit one.
  if (!from.get64() || !to.get64() || *from.get64() != *to.get64()) {
    return Status(kBad, 180, "a reshape's output has another number of elements than its input");
  }
  *out = claimed;
  return {};
}

// The validator has seen that every index taken lies inside of the axis for batch 1.
Status slice_out(const SliceAttr& a, LongShape* out) {
  for (int i = 0; i < out->rank; ++i)
    if (a.size[i] != 0) out->dim[i] = a.size[i];
  return {};
}

// The indices' shape in place of the axis.
Status gather_out(const LongShape& in, const LongShape& indices, int axis, LongShape* out) {
  out->rank = in.rank - 1 + indices.rank;
  if (out->rank > kMaxRank)
    return Status(kBad, 182, "the input's rank does not suit the operator")
        .at_most(out->rank, kMaxRank);
  for (int i = 0; i < indices.rank; ++i) out->dim[axis + i] = indices.dim[i];
  for (int i = axis + 1; i < in.rank; ++i) out->dim[indices.rank + i - 1] = in.dim[i];
  return {};
}

// Dimension 0 is the second input's.
Status expand_out(const LongShape& in, const LongShape& like, LongShape* out) {
  if (in.rank < 1 || like.rank < 1) return need_rank(in.rank < 1 ? in : like, 1);
  if (in.dim[0] != 1)
    return Status(kBad, 182, "what follows the batch has a dimension 0 of its own")
        .values(in.dim[0], 1);
  out->dim[0] = like.dim[0];
  return {};
}

Status select_out(const Model& m, const Node& node, int64_t batch, LongShape* out) {
  LongShape both;
  QRT_TRY(broadcast(at_batch(m.tensors[node.inputs[1]], batch),
                    at_batch(m.tensors[node.inputs[2]], batch), &both));
  return broadcast(at_batch(m.tensors[node.inputs[0]], batch), both, out);
}

// `in` without the axes that `gone` marks, or with 1 in their place.
template <class Gone>
void without(const LongShape& in, const Gone& gone, bool keep_dims, LongShape* out) {
  out->rank = 0;
  for (int i = 0; i < in.rank; ++i) {
    if (!gone(i)) out->dim[out->rank++] = in.dim[i];
    if (gone(i) && keep_dims) out->dim[out->rank++] = 1;
  }
}

// One row, or one for each element of the axis.
Status rows_fit(int64_t rows, const LongShape& in, int32_t axis) {
  if (rows == 1 || rows == in.dim[axis]) return {};
  return Status(kBad, 164, "the rows of a quantizer do not count the axis")
      .values(rows, in.dim[axis]);
}

Status output_shape(const Model& m, const Node& node, int64_t batch, LongShape* out) {
  const LongShape in = at_batch(m.tensors[node.inputs[0]], batch);
  *out = in;
  switch (node.kind) {
    case OpKind::conv2d:
      return conv_out(in, *node.conv2d, out);
    case OpKind::linear:
      return linear_out(in, *node.linear, out);
    case OpKind::conv_transpose:
      return conv_transpose_out(in, *node.conv_transpose, out);
    case OpKind::matmul:
      return matmul_out(in, at_batch(m.tensors[node.inputs[1]], batch), out);
    case OpKind::pool2d:
      return windows_out(in, node.pool2d->window, out);
    case OpKind::binary:
      return broadcast(in, at_batch(m.tensors[node.inputs[1]], batch), out);
    case OpKind::unary:
    case OpKind::cast:
    case OpKind::quantize:
    case OpKind::softmax:
      return {};
    case OpKind::select:
      return select_out(m, node, batch, out);
    case OpKind::reduce:
      without(
          in, [&](int i) { return node.reduce->axis[i]; }, node.reduce->keep_dims, out);
      return {};
    case OpKind::arg_reduce:
      without(
          in, [&](int i) { return i == node.arg_reduce->axis; }, node.arg_reduce->keep_dims, out);
      return {};
    case OpKind::top_k:
      out->dim[node.top_k->axis] = node.top_k->k;
      return {};
    case OpKind::affine:
      if (in.rank < 1) return need_rank(in, 2);
      if (in.dim[in.rank - 1] != node.affine->scale.count) {
        return Status(kBad, 164, "the scales do not count the input's last dimension")
            .values(node.affine->scale.count, in.dim[in.rank - 1]);
      }
      return {};
    case OpKind::fake_quantize: {
      const FakeQuantizeAttr& a = *node.fake_quantize;
      QRT_TRY(rows_fit(a.scale.count, in, a.axis));
      return rows_fit(a.zero.count, in, a.axis);
    }
    case OpKind::steps:
      return rows_fit(node.steps->thresholds.count / node.steps->count, in, node.steps->axis);
    case OpKind::concat:
      return concat_out(m, node, batch, out);
    case OpKind::transpose:
      for (int i = 0; i < in.rank; ++i) out->dim[i] = in.dim[node.transpose->perm[i]];
      return {};
    case OpKind::reshape:
      return reshape_out(in, at_batch(m.tensors[node.outputs[0]], batch), out);
    case OpKind::pad:
      for (int i = 0; i < in.rank; ++i)
        out->dim[i] += int64_t{node.pad->before[i]} + node.pad->after[i];
      return {};
    case OpKind::slice:
      return slice_out(*node.slice, out);
    case OpKind::resize:
      for (int i = 0; i < in.rank; ++i)
        if (node.resize->size[i] != 0) out->dim[i] = node.resize->size[i];
      return {};
    case OpKind::gather:
      return gather_out(in, at_batch(m.tensors[node.inputs[1]], batch), node.gather->axis, out);
    case OpKind::expand:
      return expand_out(in, at_batch(m.tensors[node.inputs[1]], batch), out);
    case OpKind::tile:  // below 2^48: batch 1 comes first and holds the product to 2^24
      for (int i = 0; i < in.rank; ++i) out->dim[i] *= node.tile->repeats[i];
      return {};
  }
  return {};
}

bool is_wide(DType t) {
  return t == DType::f32 || t == DType::i32 || t == DType::i64;
}

Status need_types(bool good, const char* what) {
  return good ? Status() : Status(kBad, 181, what);
}

const Quantization& quantization_of(const Model& m, uint32_t tensor) {
  return m.tensors[tensor].quantization;
}

bool any_bits(const Model& m, const Node& node) {
  bool any = m.tensors[node.outputs[0]].dtype == DType::bits;
  for (const uint32_t t : node.inputs) any = any || m.tensors[t].dtype == DType::bits;
  return any;
}

// Packed bits go into layers and maxima, and through what moves rows.
bool takes_bits(const Node& node) {
  switch (node.kind) {
    case OpKind::conv2d:
    case OpKind::linear:
    case OpKind::quantize:
    case OpKind::concat:
    case OpKind::transpose:
    case OpKind::reshape:
    case OpKind::pad:
      return true;
    case OpKind::pool2d:
      return node.pool2d->mode == PoolMode::max;
    default:
      return false;
  }
}

// Layers of integers: bytes or bits in, a residual of bytes; bits come of one threshold alone.
Status check_integer_layer(const Model& m, const Node& node) {
  const TensorInfo& out = m.tensors[node.outputs[0]];
  const auto need = [](bool good, const char* what) {
    return good ? Status() : Status(kBad, 186, what);
  };
  const Numerics numerics = weights_of(node)->numerics;
  QRT_TRY(need(numerics != Numerics::f32, "a layer with f32 weights has a quantized tensor"));
  bool all = true;
  for (const uint32_t t : node.inputs) all = all && quantization_of(m, t).present();
  QRT_TRY(need(all && (out.dtype == DType::f32 || out.quantization.present()),
               "an integer layer needs quantized inputs and an f32 or quantized output"));
  QRT_TRY(need(node.inputs.size() < 2 || m.tensors[node.inputs[1]].dtype == DType::u8,
               "the residual of an integer layer is not of bytes"));
  QRT_TRY(need(m.tensors[node.inputs[0]].dtype != DType::bits || numerics == Numerics::exact,
               "a layer of rounded tables takes bytes, not bits"));
  QRT_TRY(need(!epilogue_of(node)->bias_first ||
                   (m.tensors[node.inputs[0]].dtype == DType::u8 && out.dtype == DType::u8),
               "a bias before the scale needs bytes in and out"));
  const uint32_t thresholds = epilogue_of(node)->threshold_count;
  if (out.dtype == DType::bits) return need(thresholds == 1, "bits come of one threshold alone");
  return need(thresholds == 0 || out.quantization.present(),
              "the result of thresholds is neither bytes nor bits");
}

// Operators on quantized tensors. Called where one of the tensors is quantized.
Status check_quantized(const Model& m, const Node& node) {
  const Quantization in = quantization_of(m, node.inputs[0]);
  const TensorInfo& out = m.tensors[node.outputs[0]];
  bool all = true, alike = true;
  for (const uint32_t t : node.inputs) {
    all = all && quantization_of(m, t).present();
    alike = alike && quantization_of(m, t) == out.quantization;
  }
  const DType from = m.tensors[node.inputs[0]].dtype;
  const bool to_f32 = out.dtype == DType::f32, to_bytes = out.quantization.present();
  const auto need = [&](bool good, const char* what) {
    return good ? Status() : Status(kBad, 186, what);
  };
  if (any_bits(m, node))
    QRT_TRY(need(takes_bits(node), "the operator cannot compute on packed bits"));
  switch (node.kind) {
    case OpKind::quantize:
      return need(
          in.present() ? to_f32 || (to_bytes && from != out.dtype) : from == DType::f32 && to_bytes,
          "quantize goes from f32 to a quantized tensor or back, or between bytes and bits");
    case OpKind::conv2d:
    case OpKind::linear:
      return check_integer_layer(m, node);
    case OpKind::pool2d:
      if (node.pool2d->mode == PoolMode::average)
        return need(all && (to_f32 || to_bytes), "a pool of a tensor that is not quantized");
      return need(node.pool2d->mode == PoolMode::max && all && alike && from == out.dtype,
                  "a maximum must have the quantization of its input");
    case OpKind::binary:
      return need(node.binary->op == BinaryOp::add && all && to_bytes,
                  "of quantized tensors only sums are computed, to a quantized tensor");
    case OpKind::gather:
    case OpKind::expand:
      return need(in == out.quantization, "a moved tensor must keep its quantization");
    case OpKind::concat:
    case OpKind::transpose:
    case OpKind::reshape:
    case OpKind::pad:
    case OpKind::slice:
    case OpKind::tile:
      return need(alike, "a moved tensor must keep its quantization");
    default:
      return need(false, "the operator cannot compute on quantized tensors");
  }
}

bool any_quantized(const Model& m, const Node& node) {
  bool any = quantization_of(m, node.outputs[0]).present();
  for (const uint32_t t : node.inputs) any = any || quantization_of(m, t).present();
  return any;
}

// What each kind computes on; `in` is the type of all inputs but a select's condition
// and a gather's indices.
Status check_types(const Model& m, const Node& node) {
  const DType out = m.tensors[node.outputs[0]].dtype;
  const DType first = m.tensors[node.inputs[0]].dtype;
  const DType in = m.tensors[node.inputs[node.kind == OpKind::select ? 1 : 0]].dtype;
  // Beside bits a residual is of bytes.
  const bool one = node.kind == OpKind::gather || node.kind == OpKind::expand ||
                   (in == DType::bits && epilogue_of(node) != nullptr);
  const size_t alike = one ? 1 : node.inputs.size();
  for (size_t i = node.kind == OpKind::select ? 1 : 0; i < alike; ++i)
    QRT_TRY(need_types(m.tensors[node.inputs[i]].dtype == in,
                       "the operator's inputs differ in element type"));
  if (any_quantized(m, node)) QRT_TRY(check_quantized(m, node));
  constexpr const char* kOutput = "the operator's output has another element type than it gives";
  switch (node.kind) {
    case OpKind::concat:
    case OpKind::transpose:
    case OpKind::reshape:
    case OpKind::pad:
    case OpKind::slice:
    case OpKind::tile:
    case OpKind::expand:  // only the shape of its second input counts
      return need_types(out == in, kOutput);
    case OpKind::gather: {
      const DType indices = m.tensors[node.inputs[1]].dtype;
      QRT_TRY(need_types(indices == DType::i32 || indices == DType::i64,
                         "the indices of a gather are neither i32 nor i64"));
      return need_types(out == in, kOutput);
    }
    case OpKind::select:
      QRT_TRY(need_types(first == DType::boolean, "a select's condition is not bool"));
      return need_types(out == in && in != DType::f16, kOutput);
    case OpKind::cast:
      return need_types(in != DType::f16 && out != DType::f16, "a cast from or to f16");
    case OpKind::arg_reduce:
      QRT_TRY(need_types(is_wide(in), "the operator takes f32, i32 and i64 only"));
      return need_types(out == DType::i64, kOutput);
    case OpKind::top_k:
      QRT_TRY(need_types(is_wide(in), "the operator takes f32, i32 and i64 only"));
      return need_types(out == (node.top_k->indices ? DType::i64 : in), kOutput);
    case OpKind::reduce: {
      const ReduceMode mode = node.reduce->mode;
      const bool whole = mode != ReduceMode::mean && mode != ReduceMode::l2 &&
                         mode != ReduceMode::log_sum && mode != ReduceMode::log_sum_exp;
      QRT_TRY(need_types(in == DType::f32 || (whole && is_wide(in)),
                         "the reduction does not take this element type"));
      return need_types(out == in, kOutput);
    }
    case OpKind::unary: {
      const UnaryOp op = node.unary->op;
      const bool signs = op == UnaryOp::abs || op == UnaryOp::neg || op == UnaryOp::sign;
      const bool good = op == UnaryOp::logical_not ? in == DType::boolean
                                                   : in == DType::f32 || (signs && is_wide(in));
      QRT_TRY(need_types(good, "the function does not take this element type"));
      return need_types(out == in, kOutput);
    }
    case OpKind::binary: {
      if (any_quantized(m, node)) return {};
      const BinaryOp op = node.binary->op;
      const bool whole_only = op == BinaryOp::mod;
      const bool good = is_logical(op) ? in == DType::boolean
                                       : (is_wide(in) && !(whole_only && in == DType::f32)) ||
                                             (op == BinaryOp::equal && in == DType::boolean);
      QRT_TRY(need_types(good, "the operation does not take this element type"));
      const bool gives_bool = is_logical(op) || compares(op);
      QRT_TRY(need_types(out == (gives_bool ? DType::boolean : in), kOutput));
      return need_types(out == DType::f32 || node.binary->clamp.activation == Activation::none,
                        "a clamp on a result that is not f32");
    }
    case OpKind::quantize:
      return need_types(any_quantized(m, node),
                        "a quantize between tensors that are not quantized");
    case OpKind::pool2d:
      if (any_quantized(m, node)) return {};
      QRT_TRY(need_types(in == DType::f32, "the operator computes in f32 only"));
      return need_types(out == DType::f32, kOutput);
    default:
      if (const Weights* w = weights_of(node); w != nullptr && w->numerics != Numerics::f32)
        return need_types(any_quantized(m, node), "an integer layer needs quantized inputs");
      QRT_TRY(need_types(in == DType::f32, "the operator computes in f32 only"));
      return need_types(out == DType::f32, kOutput);
  }
}

}  // namespace

Status check_node_shapes(const Model& m, const Node& node, int64_t batch) {
  QRT_TRY(check_types(m, node));
  LongShape wanted;
  QRT_TRY(output_shape(m, node, batch, &wanted));
  const LongShape found = at_batch(m.tensors[node.outputs[0]], batch);
  QRT_TRY(same_shape(found, wanted, "the output's shape is not what the inputs give"));
  const Epilogue* epilogue = epilogue_of(node);
  if (epilogue == nullptr || !epilogue->residual) return {};
  return same_shape(at_batch(m.tensors[node.inputs[1]], batch), wanted,
                    "the residual's shape is not the output's");
}

}  // namespace qrt
