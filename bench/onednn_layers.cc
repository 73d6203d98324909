// Convolutions and linear layers: weights decoded once to f32 and reordered to
// what the chosen primitive wants.
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>

#include "bench/onednn_graph.h"
#include "runtime/ops/decode_weights.h"

namespace qrt::bench {

using dnnl::convolution_forward;
using dnnl::inner_product_forward;
using DataType = dnnl::memory::data_type;

namespace {

Md any_format(const Dims& dims) {
  return {dims, DataType::f32, dnnl::memory::format_tag::any};
}

dnnl::primitive_attr attributes(const Epilogue& e) {
  dnnl::post_ops post;
  if (e.residual) post.append_sum(1.0f);
  append_clamp(post, e.clamp);
  dnnl::primitive_attr attr;
  attr.set_post_ops(post);
  return attr;
}

int64_t signed_of(uint32_t x) {
  return x;
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

std::vector<float> Builder::layer_weights(const Weights& w, const Epilogue& e) const {
  std::vector<float> out(size_t{w.outputs} * w.inputs);
  const Status s = decode_weights(w, out.data());
  if (!s.ok()) throw std::runtime_error(std::string("weights '") + w.name + "': " + s.what());
  for (uint32_t o = 0; o < w.outputs && e.scale.present(); ++o) {
    const float scale = read_constant(e.scale, e.scale.count == 1 ? 0 : o);
    for (uint32_t i = 0; i < w.inputs; ++i) out[size_t{o} * w.inputs + i] *= scale;
  }
  return out;
}

dnnl::memory Builder::constant(const Md& md, const float* from) {
  dnnl::memory to = memory(allocate_constant(md));
  dnnl::memory source(row_major(md.dims()), engine_, const_cast<float*>(from));
  dnnl::reorder(source, to).execute(stream_, source, to);
  stream_.wait();
  return to;
}

dnnl::memory Builder::bias(const Epilogue& e, uint32_t outputs) {
  std::vector<float> values(outputs);
  for (uint32_t o = 0; o < outputs && e.bias.present(); ++o)
    values[o] = read_constant(e.bias, e.bias.count == 1 ? 0 : o);
  return constant(row_major({outputs}), values.data());
}

Value Builder::destination(const Node& node, const Epilogue& e, const Md& md, bool is_image) {
  if (!e.residual) return allocate(md);
  const uint32_t tensor = node.inputs[1];
  const bool is_last = wanted_[tensor] == 1;
  Value residual = value(tensor);
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

  std::unique_ptr<convolution_forward::primitive_desc> best;
  double best_ms = 0;
  bool is_winograd = false;
  for (const auto algorithm :
       {dnnl::algorithm::convolution_auto, dnnl::algorithm::convolution_winograd}) {
    const convolution_forward::desc desc(
        dnnl::prop_kind::forward_inference, algorithm, any_format(in.md.dims()), any_format(shape),
        any_format({outputs}), any_format(out_nchw), {signed_of(w.stride_h), signed_of(w.stride_w)},
        {signed_of(w.dilation_h) - 1, signed_of(w.dilation_w) - 1},
        {signed_of(w.pad_top), signed_of(w.pad_left)},
        {signed_of(w.pad_bottom), signed_of(w.pad_right)});
    const convolution_forward::primitive_desc pd(desc, attributes(a.epilogue), engine_, true);
    if (!pd) continue;  // no Winograd for this shape
    const double ms = milliseconds(pd, in.md);
    if (best != nullptr && ms >= best_ms) continue;
    best = std::make_unique<convolution_forward::primitive_desc>(pd);
    best_ms = ms;
    is_winograd = algorithm == dnnl::algorithm::convolution_winograd;
  }
  if (best == nullptr)
    throw std::runtime_error(std::string("no convolution for operator '") + node.name + "'");
  ++convolutions;
  winograd += is_winograd;

  // Rows of the file are [output][channel][tap] or [output][tap][channel].
  const std::vector<float> stored = layer_weights(weights, a.epilogue);
  std::vector<float> oihw(stored.size());
  const int64_t taps = kh * kw;
  const bool taps_last = weights.order != InputOrder::kh_kw_cin;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < taps; ++t)
        oihw[static_cast<size_t>((o * channels + c) * taps + t)] = stored[static_cast<size_t>(
            o * channels * taps + (taps_last ? c * taps + t : t * channels + c))];

  const Value src = in_format(in, best->src_desc());
  const Value dst = destination(node, a.epilogue, best->dst_desc(), true);
  step(convolution_forward(*best), {{DNNL_ARG_SRC, memory(src)},
                                    {DNNL_ARG_WEIGHTS, constant(best->weights_desc(), oihw.data())},
                                    {DNNL_ARG_BIAS, bias(a.epilogue, weights.outputs)},
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
    in.md = row_major({rows, inputs});
  }
  const int64_t rows = in.md.dims()[0];
  const inner_product_forward::desc desc(dnnl::prop_kind::forward_inference,
                                         any_format({rows, inputs}), any_format({outputs, inputs}),
                                         any_format({outputs}), any_format({rows, outputs}));
  const inner_product_forward::primitive_desc pd(desc, attributes(a.epilogue), engine_);
  const Value src = in_format(in, pd.src_desc());
  Value dst = destination(node, a.epilogue, pd.dst_desc(), false);
  step(inner_product_forward(pd),
       {{DNNL_ARG_SRC, memory(src)},
        {DNNL_ARG_WEIGHTS, constant(pd.weights_desc(), layer_weights(weights, a.epilogue).data())},
        {DNNL_ARG_BIAS, bias(a.epilogue, weights.outputs)},
        {DNNL_ARG_DST, memory(dst)}});
  const Dims out = dims(node.outputs[0]);
  if (out.size() != 2) {
    dst = plain(dst);
    dst.md = row_major(out);
  }
  set(node.outputs[0], dst);
}

}  // namespace qrt::bench
