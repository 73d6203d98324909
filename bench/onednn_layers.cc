// Convolutions and linear layers: weights decoded once and reordered to what the chosen
// primitive wants.
#include <chrono>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "bench/onednn_graph.h"
#include "runtime/ops/decode_weights.h"

namespace qrt::bench {

using dnnl::convolution_forward;
using dnnl::inner_product_forward;

namespace {

constexpr int kTried = 3;  // implementations of one algorithm, oneDNN's favourite first

int64_t signed_of(uint32_t x) {
  return x;
}

bool is_reference(const char* implementation) {
  return std::strstr(implementation, "ref") != nullptr;
}

}  // namespace

void append_clamp(dnnl::post_ops& post, const Clamp& c) {
  if (c.activation != Activation::clamp) return;
  constexpr float kLargest = std::numeric_limits<float>::max();
  if (c.min == 0 && c.max >= kLargest)
    post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  else
    post.append_eltwise(1.0f, dnnl::algorithm::eltwise_clip, c.min, c.max);
}

Layer Builder::float_layer(const Weights& w, const Epilogue& e) const {
  std::vector<float> rows(size_t{w.outputs} * w.inputs);
  const Status s = decode_weights(w, rows.data());
  if (!s.ok()) throw std::runtime_error(std::string("weights '") + w.name + "': " + s.what());
  Layer layer{DataType::f32, DataType::f32, DataType::f32, {}, std::vector<float>(w.outputs), {}};
  for (uint32_t o = 0; o < w.outputs; ++o) {
    const float scale =
        e.scale.present() ? read_constant(e.scale, e.scale.count == 1 ? 0 : o) : 1.0f;
    for (uint32_t i = 0; i < w.inputs; ++i) rows[size_t{o} * w.inputs + i] *= scale;
    if (e.bias.present()) layer.bias[o] = read_constant(e.bias, e.bias.count == 1 ? 0 : o);
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(rows.data());
  layer.weights.assign(bytes, bytes + rows.size() * sizeof(float));
  dnnl::post_ops post;
  if (e.residual) post.append_sum(1.0f);
  append_clamp(post, e.clamp);
  layer.attributes.set_post_ops(post);
  return layer;
}

Layer Builder::layer(const Node& node, const Weights& w, const Epilogue& e, bool is_padded) const {
  return w.numerics == Numerics::f32 ? float_layer(w, e) : integer_layer(node, w, e, is_padded);
}

dnnl::memory Builder::constant(const Md& md, const void* from) {
  const auto type = md.data_type();
  dnnl::memory to = memory(allocate_constant(md));
  dnnl::memory source(row_major(md.dims(), type), engine_, const_cast<void*>(from));
  dnnl::reorder(source, to).execute(stream_, source, to);
  stream_.wait();
  return to;
}

Value Builder::destination(const Node& node, const Epilogue& e, const Md& md, bool is_image) {
  if (!e.residual) return allocate(md);
  const uint32_t tensor = node.inputs[1];
  const bool is_last = wanted_[tensor] == 1;
  Value residual = value(tensor);
  if (residual.md.data_type() != md.data_type())
    residual = to_floats(residual, model_.tensors[tensor].quantization);
  if (is_image) residual = as_nchw(residual);
  if (residual.md.dims() != md.dims()) residual.md = residual.md.reshape(md.dims());
  // Two owners: the tensor's own value and the local one. Any other is a view or an input.
  if (is_last && residual.md == md && residual.data.use_count() == 2) return residual;
  Value to = allocate(md);
  step(dnnl::reorder(memory(residual), memory(to)),
       {{DNNL_ARG_FROM, memory(residual)}, {DNNL_ARG_TO, memory(to)}});
  return to;
}

// The best of a few runs, with the reorder of the source that the choice would cost.
double Builder::milliseconds(const convolution_forward::primitive_desc& pd, const Md& source) {
  const convolution_forward run(pd);
  dnnl::memory given(source, engine_), src(pd.src_desc(), engine_), dst(pd.dst_desc(), engine_);
  dnnl::memory weights(pd.weights_desc(), engine_), bias(pd.bias_desc(), engine_);
  const bool reorders = source != pd.src_desc();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 6; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (reorders) dnnl::reorder(given, src).execute(stream_, given, src);
    run.execute(stream_, {{DNNL_ARG_SRC, src},
                          {DNNL_ARG_WEIGHTS, weights},
                          {DNNL_ARG_BIAS, bias},
                          {DNNL_ARG_DST, dst}});
    stream_.wait();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (i > 0) best = std::min(best, took.count());
  }
  return best;
}

convolution_forward::primitive_desc Builder::best_convolution(const Node& node, const Layer& layer,
                                                              const Md& source, const Dims& shape,
                                                              const Dims& out) {
  const Window& w = node.conv2d->window;
  const Md bias = any_format({node.conv2d->weights->outputs}, DataType::f32);
  std::unique_ptr<convolution_forward::primitive_desc> best;
  double best_ms = 0;
  for (const auto algorithm :
       {dnnl::algorithm::convolution_direct, dnnl::algorithm::convolution_winograd}) {
    const bool is_winograd = algorithm == dnnl::algorithm::convolution_winograd;
    if (is_winograd && layer.source != DataType::f32) continue;  // its sums are not exact
    const convolution_forward::desc desc(
        dnnl::prop_kind::forward_inference, algorithm, any_format(source.dims(), layer.source),
        any_format(shape, layer.weights_type), bias, any_format(out, layer.destination),
        {signed_of(w.stride_h), signed_of(w.stride_w)},
        {signed_of(w.dilation_h) - 1, signed_of(w.dilation_w) - 1},
        {signed_of(w.pad_top), signed_of(w.pad_left)},
        {signed_of(w.pad_bottom), signed_of(w.pad_right)});
    convolution_forward::primitive_desc pd(desc, layer.attributes, engine_, true);
    for (int tried = 0; pd && tried < kTried; ++tried) {
      const double ms = milliseconds(pd, source);
      if (best == nullptr || ms < best_ms) {
        best = std::make_unique<convolution_forward::primitive_desc>(pd);
        best_ms = ms;
      }
      if (!pd.next_impl() || is_reference(pd.impl_info_str())) break;
    }
  }
  if (best == nullptr)
    throw std::runtime_error(std::string("no convolution for operator '") + node.name + "'");
  ++convolutions;
  winograd += std::string(best->impl_info_str()).find("wino") != std::string::npos;
  integer_layers += layer.source == DataType::u8;
  return *best;
}

void Builder::add_conv2d(const Node& node) {
  const Conv2dAttr& a = *node.conv2d;
  const Window& w = a.window;
  const Weights& weights = *a.weights;
  const Value in = as_nchw(value(node.inputs[0]));
  const Dims out = dims(node.outputs[0]), out_nchw = {out[0], out[3], out[1], out[2]};
  const int64_t groups = a.groups, outputs = weights.outputs, kh = w.kernel_h, kw = w.kernel_w;
  const int64_t channels = weights.inputs / (kh * kw);
  Dims shape = {outputs, channels, kh, kw};
  if (groups != 1) shape = {groups, outputs / groups, channels, kh, kw};
  const bool is_padded = (w.pad_top | w.pad_left | w.pad_bottom | w.pad_right) != 0;
  const Layer l = layer(node, weights, a.epilogue, is_padded);
  const auto best = best_convolution(node, l, in.md, shape, out_nchw);

  // Rows of the file are [output][channel][tap] or [output][tap][channel].
  std::vector<uint8_t> oihw(l.weights.size());
  const int64_t taps = kh * kw;
  const bool taps_last = weights.order != InputOrder::kh_kw_cin;
  const size_t element = l.weights_type == DataType::f32 ? sizeof(float) : 1;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t at = taps_last ? c * taps + t : t * channels + c;
        std::memcpy(oihw.data() + static_cast<size_t>((o * channels + c) * taps + t) * element,
                    l.weights.data() + static_cast<size_t>(o * channels * taps + at) * element,
                    element);
      }
  const Value src = in_format(in, best.src_desc());
  const Value dst = destination(node, a.epilogue, best.dst_desc(), true);
  step(convolution_forward(best), {{DNNL_ARG_SRC, memory(src)},
                                   {DNNL_ARG_WEIGHTS, constant(best.weights_desc(), oihw.data())},
                                   {DNNL_ARG_BIAS, constant(best.bias_desc(), l.bias.data())},
                                   {DNNL_ARG_DST, memory(dst)}});
  set(node.outputs[0], as_nhwc(dst));
}

void Builder::add_linear(const Node& node) {
  const LinearAttr& a = *node.linear;
  const Weights& weights = *a.weights;
  const int64_t inputs = weights.inputs, outputs = weights.outputs;
  Value in = value(node.inputs[0]);
  if (in.md.dims().size() != 2) {
    in = plain(in);
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < in.md.dims().size(); ++i) rows *= in.md.dims()[i];
    in.md = row_major({rows, inputs}, in.md.data_type());
  }
  const int64_t rows = in.md.dims()[0];
  const Layer l = layer(node, weights, a.epilogue, false);
  integer_layers += l.source == DataType::u8;
  const inner_product_forward::desc desc(
      dnnl::prop_kind::forward_inference, any_format({rows, inputs}, l.source),
      any_format({outputs, inputs}, l.weights_type), any_format({outputs}, DataType::f32),
      any_format({rows, outputs}, l.destination));
  const inner_product_forward::primitive_desc pd(desc, l.attributes, engine_);
  const Value src = in_format(in, pd.src_desc());
  Value dst = destination(node, a.epilogue, pd.dst_desc(), false);
  step(inner_product_forward(pd),
       {{DNNL_ARG_SRC, memory(src)},
        {DNNL_ARG_WEIGHTS, constant(pd.weights_desc(), l.weights.data())},
        {DNNL_ARG_BIAS, constant(pd.bias_desc(), l.bias.data())},
        {DNNL_ARG_DST, memory(dst)}});
  const Dims out = dims(node.outputs[0]);
  if (out.size() != 2) {
    dst = plain(dst);
    dst.md = row_major(out, l.destination);
  }
  set(node.outputs[0], dst);
}

}  // namespace qrt::bench
