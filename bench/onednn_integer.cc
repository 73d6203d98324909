// Integer layers for oneDNN: weights as s8, and an epilogue that computes what the file defines
// (schema/README.md, Numerics) but for the last bit of a float. With the source's zero point zx,
// the output's zy, the residual's zr and s = x.scale * weight_scale * epilogue.scale / y.scale,
//
//   y = u8(s * (sum of x w - zx * sum of w) + bias / y.scale + (r - zr) * r.scale / y.scale + zy)
//     = u8(s * (sum of x w + b) + r * r.scale / y.scale),
//   b = (bias / y.scale + zy - zr * r.scale / y.scale) / s - zx * sum of w:
//
// all three zero points are part of the bias, and a ReLU to zy is the saturation of u8. Only a
// padded convolution needs zx by itself. Rounded tables have no dense twin: their layers are summed
// exactly here.
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "bench/onednn_graph.h"
#include "runtime/ops/decode_weights.h"
#include "runtime/tensor/half.h"
#include "schema/layout.h"

namespace qrt::bench {
namespace {

struct Integers {
  std::vector<int8_t> weights;  // [output][input] in the order of the file
  std::vector<float> scale;     // [output]
};

float entry_of(const CodebookWeights& c, size_t entry, size_t i) {
  const size_t at = entry * c.dim + i;
  if (c.entry == DType::i8)
    return read_constant(c.entry_scales, static_cast<uint32_t>(entry)) *
           static_cast<float>(static_cast<int8_t>(c.entries[at]));
  if (c.entry == DType::f16) {
    uint16_t half;
    std::memcpy(&half, c.entries.data() + 2 * at, sizeof half);
    return half_to_float(half);
  }
  float value;
  std::memcpy(&value, c.entries.data() + 4 * at, sizeof value);
  return value;
}

int32_t limited(float v, float lo, float hi) {
  return static_cast<int32_t>(std::fmin(std::fmax(std::nearbyint(v), lo), hi));
}

void add_block(const Weights& w, uint32_t book, uint32_t block, Integers& to) {
  const CodebookWeights& c = w.codebook;
  const uint64_t blocks = layout::codebook_blocks(w.inputs, c.dim);
  const uint64_t row = layout::codebook_row_bytes(w.outputs, c.code_bits);
  const uint8_t* codes = c.codes.data() + (book * blocks + block) * row;
  for (uint32_t n = 0; n < w.outputs; ++n) {
    const size_t scope = c.scope_rows == 0 ? 0 : n / c.scope_rows;
    const size_t entry =
        (scope * c.books + book) * c.count + layout::read_code(codes, n, c.code_bits);
    const float inverse = 1.0f / to.scale[n];
    for (uint32_t i = 0; i < c.dim && block * c.dim + i < w.inputs; ++i) {
      int8_t& weight = to.weights[size_t{n} * w.inputs + block * c.dim + i];
      const int32_t sum = weight + limited(entry_of(c, entry, i) * inverse, -127, 127);
      weight = static_cast<int8_t>(limited(static_cast<float>(sum), -128, 127));
    }
  }
}

Integers integers_of(const Weights& w) {
  const Status s = check_weights(w);
  if (!s.ok()) throw std::runtime_error(std::string("weights '") + w.name + "': " + s.what());
  Integers out{std::vector<int8_t>(size_t{w.outputs} * w.inputs), std::vector<float>(w.outputs)};
  if (w.encoding == Encoding::dense) {
    const Scales& scales = w.dense.scales;
    if (scales.axis == ScaleAxis::group)
      throw std::runtime_error(std::string("weights '") + w.name + "': a scale per group");
    std::memcpy(out.weights.data(), w.dense.data.data(), out.weights.size());
    for (uint32_t n = 0; n < w.outputs; ++n)
      out.scale[n] = read_constant(scales.values, scales.axis == ScaleAxis::output ? n : 0);
    return out;
  }
  const CodebookWeights& c = w.codebook;
  for (uint32_t n = 0; n < w.outputs; ++n)
    out.scale[n] = read_constant(c.levels, c.level_of.size() == 0 ? 0 : c.level_of[n]);
  const auto blocks = static_cast<uint32_t>(layout::codebook_blocks(w.inputs, c.dim));
  for (uint32_t book = 0; book < c.books; ++book)
    for (uint32_t block = 0; block < blocks; ++block) add_block(w, book, block, out);
  return out;
}

float of_output(const Constant& c, uint32_t n, float absent) {
  return c.present() ? read_constant(c, c.count == 1 ? 0 : n) : absent;
}

}  // namespace

void append_clamp(dnnl::post_ops& post, const Clamp& c, const Quantization& q) {
  if (c.activation != Activation::clamp) return;
  const float inverse = 1.0f / q.scale, zero = static_cast<float>(q.zero);
  const float lo = std::fmax(c.min * inverse + zero, 0),
              hi = std::fmin(c.max * inverse + zero, 255);
  if (lo > 0 || hi < 255) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_clip, lo, hi);
}

Layer Builder::integer_layer(const Node& node, const Weights& w, const Epilogue& e,
                             bool is_padded) const {
  const Quantization x = model_.tensors[node.inputs[0]].quantization;
  const Quantization y = model_.tensors[node.outputs[0]].quantization;
  Integers integers = integers_of(w);
  Layer layer{DataType::u8, DataType::s8, type(node.outputs[0]), {}, {}, {}};
  const float inverse = y.present() ? 1.0f / y.scale : 1.0f;
  float shift = static_cast<float>(y.zero), residual_scale = 1;
  if (e.residual && y.present()) {
    const Quantization r = model_.tensors[node.inputs[1]].quantization;
    residual_scale = r.scale * inverse;
    shift -= static_cast<float>(r.zero) * residual_scale;
  }
  std::vector<float> scales(w.outputs);
  layer.bias.resize(w.outputs);
  for (uint32_t n = 0; n < w.outputs; ++n) {
    int8_t* row = integers.weights.data() + size_t{n} * w.inputs;
    const float offset = of_output(e.bias, n, 0) * inverse + shift;
    scales[n] = x.scale * integers.scale[n] * of_output(e.scale, n, 1) * inverse;
    if (!std::isnormal(scales[n])) {  // nothing comes of the sum
      std::memset(row, 0, w.inputs);
      scales[n] = 1;
    }
    const int32_t sum = is_padded ? 0 : std::accumulate(row, row + w.inputs, 0);
    layer.bias[n] = offset / scales[n] - static_cast<float>(x.zero * sum);
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(integers.weights.data());
  layer.weights.assign(bytes, bytes + integers.weights.size());

  dnnl::post_ops post;
  if (e.residual) post.append_sum(residual_scale);
  if (y.present())
    append_clamp(post, e.clamp, y);
  else
    append_clamp(post, e.clamp);
  layer.attributes.set_post_ops(post);
  layer.attributes.set_output_scales(1 << 1, scales);
  if (is_padded && x.zero != 0) layer.attributes.set_zero_points(DNNL_ARG_SRC, 0, {x.zero});
  return layer;
}

namespace {

// A reorder that multiplies: oneDNN rounds to nearest even and saturates.
dnnl::reorder scaled_reorder(const dnnl::engine& engine, const Md& from, const Md& to, float scale,
                             int arg, int32_t zero) {
  dnnl::primitive_attr attr;
  attr.set_output_scales(0, {scale});
  if (zero != 0) attr.set_zero_points(arg, 0, {zero});
  return dnnl::reorder(dnnl::reorder::primitive_desc(engine, from, engine, to, attr));
}

}  // namespace

Value Builder::to_floats(const Value& v, const Quantization& q) {
  if (!q.present()) return v;
  const Value to = allocate(row_major(v.md.dims()));
  step(scaled_reorder(engine_, v.md, to.md, q.scale, DNNL_ARG_SRC, q.zero),
       {{DNNL_ARG_FROM, memory(v)}, {DNNL_ARG_TO, memory(to)}});
  return to;
}

Value Builder::to_bytes(const Value& v, const Quantization& q) {
  if (!q.present()) return v;
  const Value to = allocate(row_major(v.md.dims(), DataType::u8));  // NHWC, as int8 kernels like it
  step(scaled_reorder(engine_, v.md, to.md, 1.0f / q.scale, DNNL_ARG_DST, q.zero),
       {{DNNL_ARG_FROM, memory(v)}, {DNNL_ARG_TO, memory(to)}});
  return to;
}

void Builder::add_quantize(const Node& node) {
  const Value in = value(node.inputs[0]);
  const Quantization from = model_.tensors[node.inputs[0]].quantization;
  set(node.outputs[0], from.present() ? to_floats(in, from)
                                      : to_bytes(in, model_.tensors[node.outputs[0]].quantization));
}

// a * sa + b * sb - (za * sa + zb * sb) + zy with scales over the output's: a sum and a shift.
void Builder::add_byte_sum(const Node& node) {
  const Value a = value(node.inputs[0]), b = in_format(value(node.inputs[1]), a.md);
  if (a.md.dims() != b.md.dims())
    throw std::runtime_error(std::string("operator '") + node.name + "': a broadcast of bytes");
  const Quantization y = model_.tensors[node.outputs[0]].quantization;
  dnnl::primitive_attr attr;
  float shift = static_cast<float>(y.zero);
  for (size_t i = 0; i < 2; ++i) {
    const Quantization q = model_.tensors[node.inputs[i]].quantization;
    const float scale = q.scale / y.scale;
    attr.set_scales(i == 0 ? DNNL_ARG_SRC_0 : DNNL_ARG_SRC_1, 0, {scale});
    shift -= static_cast<float>(q.zero) * scale;
  }
  dnnl::post_ops post;
  if (shift != 0) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_linear, 1.0f, shift);
  append_clamp(post, node.binary->clamp, y);
  attr.set_post_ops(post);
  const Value dst = allocate(a.md);
  const dnnl::binary::primitive_desc pd(
      dnnl::binary::desc(dnnl::algorithm::binary_add, a.md, b.md, dst.md), attr, engine_);
  step(dnnl::binary(pd),
       {{DNNL_ARG_SRC_0, memory(a)}, {DNNL_ARG_SRC_1, memory(b)}, {DNNL_ARG_DST, memory(dst)}});
  set(node.outputs[0], dst);
}

}  // namespace qrt::bench
