// See integer_model.h.
#include "tests/support/integer_model.h"

namespace qrt::testing {
namespace {

uint32_t quantized(ModelBuilder& b, const char* name, const std::vector<int32_t>& dims, float scale,
                   uint8_t zero) {
  const uint32_t t = b.tensor(name, dims, true, fb::DType::u8);
  b.model.tensors[t]->scale = scale, b.model.tensors[t]->zero = zero;
  return t;
}

uint32_t dense_i8(ModelBuilder& b, const char* name, uint32_t outputs, uint32_t inputs,
                  fb::InputOrder order) {
  auto w = std::make_unique<fb::WeightsT>();
  w->name = name, w->outputs = outputs, w->inputs = inputs, w->order = order;
  w->encoding = fb::Encoding::dense, w->numerics = fb::Numerics::exact;
  w->dense = std::make_unique<fb::DenseT>();
  w->dense->dtype = fb::DType::i8;
  std::vector<int8_t> values;
  for (const float v : random_floats(size_t{outputs} * inputs, outputs, -128, 128))
    values.push_back(static_cast<int8_t>(v));
  w->dense->buffer = b.buffer(values);
  w->dense->scales = std::make_unique<fb::ScalesT>();
  w->dense->scales->axis = fb::ScaleAxis::output;
  w->dense->scales->values = b.constant(random_floats(outputs, 31, 0.004f, 0.01f));
  b.model.weights.push_back(std::move(w));
  return static_cast<uint32_t>(b.model.weights.size() - 1);
}

uint32_t coded(ModelBuilder& b, const char* name, const CodebookSpec& spec,
               const std::vector<float>& levels) {
  const uint32_t w = b.codebook(name, spec);
  fb::WeightsT& weights = *b.model.weights[w];
  weights.numerics = fb::Numerics::exact;
  weights.codebook->levels = b.constant(levels);
  if (levels.size() == 1) return w;
  std::vector<uint8_t> level_of(spec.outputs);
  for (size_t n = 0; n < level_of.size(); ++n)
    level_of[n] = static_cast<uint8_t>(n % levels.size());
  weights.codebook->level_of = b.buffer(level_of), weights.codebook->has_level_of = true;
  return w;
}

void same_padding(fb::Conv2dT& c, size_t outputs, uint32_t seed, ModelBuilder& b) {
  c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = 1;
  c.epilogue->scale = b.constant(random_floats(outputs, seed, 0.5f, 1.5f));
  c.epilogue->bias = b.constant(random_floats(outputs, seed + 1));
  c.epilogue->activation = fb::Activation::clamp, c.epilogue->min = 0;
}

}  // namespace

IntegerModel integer_model() {
  IntegerModel m;
  ModelBuilder& b = m.b;
  const auto last = [&] { return b.model.operators.size() - 1; };
  m.image = b.tensor("image", {1, 9, 9, 3});
  m.bytes = quantized(b, "bytes", {1, 9, 9, 3}, 0.01f, 128);
  m.stem = quantized(b, "stem", {1, 9, 9, 40}, 0.05f, 3);
  m.block = quantized(b, "block", {1, 9, 9, 40}, 0.08f, 0);
  const uint32_t tables = quantized(b, "tables", {1, 9, 9, 40}, 0.1f, 40);
  m.pooled = quantized(b, "pooled", {1, 4, 4, 40}, 0.1f, 40);
  m.summed = quantized(b, "summed", {1, 4, 4, 40}, 0.15f, 11);
  m.mean = quantized(b, "mean", {1, 1, 1, 40}, 0.06f, 0);
  const uint32_t flat = quantized(b, "flat", {1, 40}, 0.06f, 0);
  m.logits = b.tensor("logits", {1, 7});
  b.input(m.image), b.output(m.logits);

  b.op("quantize", fb::OpKind::quantize, {m.image}, m.bytes), m.quantize = last();
  m.w_stem = dense_i8(b, "stem.w", 40, 27, fb::InputOrder::kh_kw_cin);
  same_padding(b.conv2d("stem", m.bytes, m.stem, m.w_stem, 3, 3), 40, 2, b), m.conv_stem = last();
  m.w_block = coded(b, "block.w", {40, 360, 64, 9}, {0.006f, 0.009f});
  fb::Conv2dT& block = b.conv2d("block", m.stem, m.block, m.w_block, 3, 3);
  m.conv_block = last(), same_padding(block, 40, 4, b);
  block.epilogue->residual = true, m.op(m.conv_block).inputs.push_back(m.stem);
  CodebookSpec small{40, 360, 16, 9};
  small.entry = fb::DType::f16;
  m.w_tables = coded(b, "tables.w", small, {0.016f});
  fb::WeightsT& rounded = m.weights(m.w_tables);
  rounded.numerics = fb::Numerics::rounded, rounded.table_bits = 8, rounded.table_shift = 9;
  same_padding(b.conv2d("tables", m.block, tables, m.w_tables, 3, 3), 40, 6, b);
  m.conv_tables = last();
  fb::Pool2dT& pool = b.pool2d("max", fb::PoolMode::max, tables, m.pooled, 3, 3);
  pool.stride_h = pool.stride_w = 2, m.max_pool = last();
  b.op("sum", fb::OpKind::binary, {m.pooled, m.pooled}, m.summed).binary =
      std::make_unique<fb::BinaryT>();
  m.sum = last();
  b.global_pool("mean", fb::PoolMode::average, m.summed, m.mean), m.average = last();
  b.op("flatten", fb::OpKind::reshape, {m.mean}, flat);
  m.w_fc = dense_i8(b, "fc.w", 7, 40, fb::InputOrder::linear);
  b.linear("fc", flat, m.logits, m.w_fc), m.fc = last();
  return m;
}

}  // namespace qrt::testing
