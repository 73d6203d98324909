// Everything without coded weights: pools, elementwise operators, softmax, concat, and the
// operators that only look at memory another way.
#include <limits>
#include <stdexcept>
#include <string>

#include "bench/onednn_graph.h"

namespace qrt::bench {

namespace {

using Algorithm = dnnl::algorithm;
constexpr auto kInference = dnnl::prop_kind::forward_inference;

[[noreturn]] void refuse(const Node& node, const char* what) {
  throw std::runtime_error(std::string("operator '") + node.name + "': " + what);
}

Algorithm algorithm_of(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return Algorithm::binary_add;
    case BinaryOp::sub:
      return Algorithm::binary_sub;
    case BinaryOp::mul:
      return Algorithm::binary_mul;
    case BinaryOp::div:
      return Algorithm::binary_div;
    case BinaryOp::max:
      return Algorithm::binary_max;
    case BinaryOp::min:
      return Algorithm::binary_min;
    default:
      return Algorithm::undef;
  }
}

struct Eltwise {
  Algorithm algorithm = Algorithm::undef;
  float alpha = 0, beta = 0;
};

Eltwise eltwise_of(const UnaryAttr& a) {
  switch (a.op) {
    case UnaryOp::clamp:
      if (a.alpha == 0 && a.beta >= std::numeric_limits<float>::max())
        return {Algorithm::eltwise_relu, 0, 0};
      return {Algorithm::eltwise_clip, a.alpha, a.beta};
    case UnaryOp::leaky_relu:
      return {Algorithm::eltwise_relu, a.alpha, 0};
    case UnaryOp::elu:
      return {Algorithm::eltwise_elu, a.alpha, 0};
    case UnaryOp::sigmoid:
      return {Algorithm::eltwise_logistic, 0, 0};
    case UnaryOp::hard_sigmoid:
      return {Algorithm::eltwise_linear, a.alpha, a.beta};  // then 0..1
    case UnaryOp::tanh:
      return {Algorithm::eltwise_tanh, 0, 0};
    case UnaryOp::hard_swish:
      return {Algorithm::eltwise_hardswish, 0, 0};
    case UnaryOp::exp:
      return {Algorithm::eltwise_exp, 0, 0};
    case UnaryOp::log:
      return {Algorithm::eltwise_log, 0, 0};
    case UnaryOp::sqrt:
      return {Algorithm::eltwise_sqrt, 0, 0};
    case UnaryOp::abs:
      return {Algorithm::eltwise_abs, 0, 0};
    case UnaryOp::neg:
      return {Algorithm::eltwise_linear, -1, 0};
    case UnaryOp::softplus:
      return {Algorithm::eltwise_soft_relu, 0, 0};
    case UnaryOp::reciprocal:
      return {Algorithm::eltwise_pow, 1, -1};
    case UnaryOp::gelu:
      return {Algorithm::eltwise_gelu_erf, 0, 0};
    case UnaryOp::silu:
      return {Algorithm::eltwise_swish, 1, 0};
    case UnaryOp::gelu_tanh:
      return {Algorithm::eltwise_gelu_tanh, 0, 0};
    case UnaryOp::round:
      return {Algorithm::eltwise_round, 0, 0};
    default:
      return {};
  }
}

}  // namespace

void Builder::add_pool2d(const Node& node) {
  const Pool2dAttr& a = *node.pool2d;
  Window w = a.window;
  const Quantization from = model_.tensors[node.inputs[0]].quantization;
  const bool is_max = a.mode == PoolMode::max;
  Value in = value(node.inputs[0]);
  if (!is_max) in = to_floats(in, from);
  in = as_nchw(in);
  if (a.is_global)
    w = {static_cast<uint32_t>(in.md.dims()[2]),
         static_cast<uint32_t>(in.md.dims()[3]),
         1,
         1,
         1,
         1,
         0,
         0,
         0,
         0};
  if (w.dilation_h != 1 || w.dilation_w != 1) refuse(node, "a dilated pool");
  if (a.mode == PoolMode::lp) refuse(node, "a pool by norm");
  const Dims out = dims(node.outputs[0]);
  const Algorithm algorithm = is_max                ? Algorithm::pooling_max
                              : a.count_include_pad ? Algorithm::pooling_avg_include_padding
                                                    : Algorithm::pooling_avg_exclude_padding;
  const Md any = any_format({out[0], out[3], out[1], out[2]}, in.md.data_type());
  const dnnl::pooling_forward::desc desc(kInference, algorithm, in.md, any,
                                         {w.stride_h, w.stride_w}, {w.kernel_h, w.kernel_w},
                                         {w.pad_top, w.pad_left}, {w.pad_bottom, w.pad_right});
  const dnnl::pooling_forward::primitive_desc pd(desc, engine_);
  const Value dst = allocate(pd.dst_desc());
  step(dnnl::pooling_forward(pd), {{DNNL_ARG_SRC, memory(in)}, {DNNL_ARG_DST, memory(dst)}});
  const Value images = as_nhwc(dst);
  set(node.outputs[0],
      is_max ? images : to_bytes(images, model_.tensors[node.outputs[0]].quantization));
}

void Builder::add_binary(const Node& node) {
  if (type(node.outputs[0]) == DataType::u8) return add_byte_sum(node);
  Value a = value(node.inputs[0]), b = value(node.inputs[1]);
  const Dims out = dims(node.outputs[0]);
  // NumPy's rule: missing leading dimensions are 1.
  for (Value* v : {&a, &b}) {
    Dims d = v->md.dims();
    if (d.size() == out.size()) continue;
    *v = plain(*v);
    d.insert(d.begin(), out.size() - d.size(), 1);
    v->md = row_major(d, v->md.data_type());
  }
  const BinaryOp op = node.binary->op;
  if (algorithm_of(op) == Algorithm::undef) refuse(node, "oneDNN has no such arithmetic");
  if (a.md.dims() != out && op != BinaryOp::sub && op != BinaryOp::div) std::swap(a, b);
  if (a.md.dims() != out) refuse(node, "a broadcast of the first operand");
  if (b.md.dims() == out) b = in_format(b, a.md);
  dnnl::post_ops post;
  append_clamp(post, node.binary->clamp);
  dnnl::primitive_attr attr;
  attr.set_post_ops(post);
  const Value dst = allocate(a.md);
  const dnnl::binary::primitive_desc pd(dnnl::binary::desc(algorithm_of(op), a.md, b.md, dst.md),
                                        attr, engine_);
  step(dnnl::binary(pd),
       {{DNNL_ARG_SRC_0, memory(a)}, {DNNL_ARG_SRC_1, memory(b)}, {DNNL_ARG_DST, memory(dst)}});
  set(node.outputs[0], dst);
}

void Builder::add_unary(const Node& node) {
  const UnaryAttr& a = *node.unary;
  const Eltwise e = eltwise_of(a);
  if (e.algorithm == Algorithm::undef) refuse(node, "oneDNN has no such function");
  dnnl::post_ops post;
  if (a.op == UnaryOp::hard_sigmoid) append_clamp(post, {Activation::clamp, 0, 1});
  dnnl::primitive_attr attr;
  attr.set_post_ops(post);
  const Value in = value(node.inputs[0]), dst = allocate(in.md);
  const dnnl::eltwise_forward::primitive_desc pd(
      dnnl::eltwise_forward::desc(kInference, e.algorithm, in.md, e.alpha, e.beta), attr, engine_);
  step(dnnl::eltwise_forward(pd), {{DNNL_ARG_SRC, memory(in)}, {DNNL_ARG_DST, memory(dst)}});
  set(node.outputs[0], dst);
}

// scale[c] * x + bias[c]: a product whose post-op is the sum.
void Builder::add_affine(const Node& node) {
  const AffineAttr& a = *node.affine;
  const Value in = value(node.inputs[0]), dst = allocate(in.md);
  const Dims shape = in.md.dims();
  Dims one(shape.size(), 1);
  one.back() = shape.back();
  const Md md = row_major(one);
  const size_t channels = static_cast<size_t>(shape.back());
  std::vector<float> scale(channels), shift(channels);
  for (uint32_t c = 0; c < channels; ++c) {
    scale[c] = read_constant(a.scale, a.scale.count == 1 ? 0 : c);
    shift[c] = read_constant(a.bias, a.bias.count == 1 ? 0 : c);
  }
  dnnl::post_ops post;
  post.append_binary(Algorithm::binary_add, md);
  append_clamp(post, a.clamp);
  dnnl::primitive_attr attr;
  attr.set_post_ops(post);
  const dnnl::binary::primitive_desc pd(
      dnnl::binary::desc(Algorithm::binary_mul, in.md, md, dst.md), attr, engine_);
  step(dnnl::binary(pd),
       {{DNNL_ARG_SRC_0, memory(in)},
        {DNNL_ARG_SRC_1, constant(md, scale.data())},
        {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, constant(md, shift.data())},
        {DNNL_ARG_DST, memory(dst)}});
  set(node.outputs[0], dst);
}

void Builder::add_softmax(const Node& node) {
  const SoftmaxAttr& a = *node.softmax;
  const Value in = plain(value(node.inputs[0])), dst = allocate(in.md);
  dnnl::primitive p;
  if (a.log)
    p = dnnl::logsoftmax_forward({{kInference, in.md, a.axis}, engine_});
  else
    p = dnnl::softmax_forward({{kInference, in.md, a.axis}, engine_});
  step(p, {{DNNL_ARG_SRC, memory(in)}, {DNNL_ARG_DST, memory(dst)}});
  set(node.outputs[0], dst);
}

void Builder::add_concat(const Node& node) {
  std::vector<Md> sources;
  std::unordered_map<int, dnnl::memory> arguments;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Value v = value(node.inputs[i]);
    sources.push_back(v.md);
    arguments[DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i)] = memory(v);
  }
  const dnnl::concat::primitive_desc pd(node.concat->axis, sources, engine_);
  const Value dst = allocate(pd.dst_desc());
  arguments[DNNL_ARG_DST] = memory(dst);
  step(dnnl::concat(pd), arguments);
  set(node.outputs[0], dst);
}

// Axis perm[i] of the input is axis i of the output: the same memory, named anew.
void Builder::add_transpose(const Node& node) {
  Value v = value(node.inputs[0]);
  std::vector<int> axes(v.md.dims().size());
  for (size_t i = 0; i < axes.size(); ++i)
    axes[static_cast<size_t>(node.transpose->perm[i])] = static_cast<int>(i);
  v.md = v.md.permute_axes(axes);
  set(node.outputs[0], v);
}

void Builder::add_reshape(const Node& node) {
  Value v = plain(value(node.inputs[0]));
  v.md = row_major(dims(node.outputs[0]), v.md.data_type());
  set(node.outputs[0], v);
}

}  // namespace qrt::bench
