// The dense competitor on integer layers against the definition of schema/README.md, written out
// below: zero points, residuals, levels of codebooks, padding.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "runtime/tools/bench_baseline.h"
#include "schema/layout.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::ModelBuilder;
using testing::random_floats;
using Bytes8 = std::vector<uint8_t>;

constexpr int kSize = 7, kChannels = 16;

// A 7 x 7 map of 16 channels.
struct Map {
  Quantization q;
  Bytes8 bytes;
};

struct IntLayer {
  std::vector<int> weights;  // [output][channel][tap]
  std::vector<float> scale, bias;
  int kernel;
  Clamp clamp;
};

Bytes8 quantized(const std::vector<float>& x, Quantization q) {
  Bytes8 out;
  for (const float v : x) {
    const float t = std::nearbyint(v * (1.0f / q.scale)) + static_cast<float>(q.zero);
    out.push_back(static_cast<uint8_t>(std::clamp(t, 0.0f, 255.0f)));
  }
  return out;
}

int exact_sum(const IntLayer& l, const Map& x, int row, int column, int output) {
  int sum = 0;
  for (int c = 0; c < kChannels; ++c)
    for (int t = 0; t < l.kernel * l.kernel; ++t) {
      const int i = row + t / l.kernel - l.kernel / 2, j = column + t % l.kernel - l.kernel / 2;
      if (i < 0 || j < 0 || i >= kSize || j >= kSize) continue;
      const int byte = x.bytes[static_cast<size_t>((i * kSize + j) * kChannels + c)];
      sum += (byte - x.q.zero) *
             l.weights[static_cast<size_t>((output * kChannels + c) * l.kernel * l.kernel + t)];
    }
  return sum;
}

// Stride 1, padded to the same size; `to` says how the output is quantized, not at all with scale
// 0.
std::vector<float> layer_values(const IntLayer& l, const Map& x, const Map* residual,
                                Quantization to) {
  std::vector<float> out(kSize * kSize * kChannels);
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t n = i % kChannels, pixel = i / kChannels;
    const int sum = exact_sum(l, x, static_cast<int>(pixel) / kSize,
                              static_cast<int>(pixel) % kSize, static_cast<int>(n));
    float v = static_cast<float>(sum) * (x.q.scale * l.scale[n]) + l.bias[n];
    if (residual)
      v += residual->q.scale * static_cast<float>(residual->bytes[i] - residual->q.zero);
    if (l.clamp.activation == Activation::clamp) v = std::clamp(v, l.clamp.min, l.clamp.max);
    out[i] = v;
    if (to.present()) out[i] = to.scale * static_cast<float>(quantized({v}, to)[0] - to.zero);
  }
  return out;
}

// Adds a layer to a model and says what it is.
struct Net {
  ModelBuilder b;
  uint32_t map(const char* name, Quantization q) {
    const uint32_t t = b.tensor(name, {1, kSize, kSize, kChannels}, true,
                                q.present() ? fb::DType::u8 : fb::DType::f32);
    b.model.tensors[t]->scale = q.scale;
    b.model.tensors[t]->zero = static_cast<uint8_t>(q.zero);
    return t;
  }
  void convolution(const char* name, uint32_t in, uint32_t out, uint32_t weights,
                   const IntLayer& l) {
    const auto k = static_cast<uint32_t>(l.kernel);
    fb::Conv2dT& c = b.conv2d(name, in, out, weights, k, k);
    c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = k / 2;
    c.epilogue->bias = b.constant(l.bias);
    if (l.clamp.activation == Activation::none) return;
    c.epilogue->activation = fb::Activation::clamp;
    c.epilogue->min = l.clamp.min, c.epilogue->max = l.clamp.max;
  }
  uint32_t dense(const char* name, IntLayer& l, uint32_t seed) {
    const auto inputs = static_cast<uint32_t>(kChannels * l.kernel * l.kernel);
    const std::vector<float> drawn = random_floats(size_t{kChannels} * inputs, seed, -127, 127);
    std::vector<int8_t> bytes;
    for (const float v : drawn) bytes.push_back(static_cast<int8_t>(v));
    l.weights.assign(bytes.begin(), bytes.end());
    l.scale = random_floats(kChannels, seed + 1, 1e-4f, 2e-4f);
    const uint32_t w = b.dense(name, kChannels, inputs, {});
    fb::WeightsT& weights = *b.model.weights[w];
    weights.numerics = fb::Numerics::exact;
    weights.dense->dtype = fb::DType::i8;
    weights.dense->buffer = b.buffer(bytes);
    weights.dense->scales = std::make_unique<fb::ScalesT>();
    weights.dense->scales->axis = fb::ScaleAxis::output;
    weights.dense->scales->values = b.constant(l.scale);
    return w;
  }
  // Two books of 20 entries of 9, rounded to one of three levels.
  uint32_t codebook(const char* name, IntLayer& l) {
    constexpr uint32_t kCount = 20, kDim = 9, kBooks = 2;
    const uint32_t w = b.codebook(name, {kChannels, kChannels * kDim, kCount, kDim, kBooks});
    fb::WeightsT& weights = *b.model.weights[w];
    const std::vector<float> levels = {1.0f / 100, 1.0f / 190, 1.0f / 60};
    const std::vector<float> entries = random_floats(size_t{kBooks} * kCount * kDim, 1);
    Bytes8 level_of;
    for (uint32_t n = 0; n < kChannels; ++n) level_of.push_back(static_cast<uint8_t>(n % 3));
    weights.numerics = fb::Numerics::exact;
    fb::CodebookT& c = *weights.codebook;
    c.levels = b.constant(levels);
    c.level_of = b.buffer(level_of), c.has_level_of = true;
    const uint8_t* codes = b.model.buffers[c.codes]->data.data();
    const uint64_t row = layout::codebook_row_bytes(kChannels, c.code_bits);
    l.weights.assign(size_t{kChannels} * kChannels * kDim, 0);
    for (uint32_t book = 0; book < kBooks; ++book)
      for (uint32_t n = 0; n < kChannels; ++n)
        for (uint32_t i = 0; i < kChannels * kDim; ++i) {
          const uint32_t code =
              layout::read_code(codes + (book * kChannels + i / kDim) * row, n, c.code_bits);
          const float entry = entries[(book * kCount + code) * kDim + i % kDim];
          int& sum = l.weights[n * kChannels * kDim + i];
          const float rounded = std::nearbyint(entry * (1.0f / levels[level_of[n]]));
          sum = std::clamp(sum + static_cast<int>(std::clamp(rounded, -127.0f, 127.0f)), -128, 127);
        }
    for (const uint8_t level : level_of) l.scale.push_back(levels[level]);
    return w;
  }
};

// At most `most` steps apart, and nearly all of them equal.
void check_steps(const float* got, const std::vector<float>& want, float step, double most = 1) {
  size_t equal = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double steps = std::fabs(double{got[i]} - double{want[i]}) / double{step};
    CHECK(steps <= most + 1e-3);
    equal += steps < 0.5;
  }
  CHECK(equal * 100 >= want.size() * 97);
  const std::set<float> values(want.begin(), want.end());
  CHECK(values.size() > 30);  // not all of them saturated
}

TEST_CASE("onednn: integer layers as the format defines them") {
  Net net;
  const Quantization none, qx{0.02f, 100}, qa{0.25f, 131}, qb{0.05f, 0};
  const Clamp relu{Activation::clamp, 0, 3.4028235e38f}, window{Activation::clamp, -3.0f, 5.5f};
  IntLayer a{{}, {}, random_floats(kChannels, 5), 3, window};
  IntLayer b{{}, {}, random_floats(kChannels, 6), 1, relu};
  IntLayer c{{}, {}, random_floats(kChannels, 7), 3, {}};
  ModelBuilder& m = net.b;
  const uint32_t x = net.map("x", none), xq = net.map("xq", qx), aq = net.map("aq", qa);
  const uint32_t bq = net.map("bq", qb), ya = net.map("ya", none), yb = net.map("yb", none);
  const uint32_t yc = net.map("yc", none), sum = net.map("sum", qa), ys = net.map("ys", none);
  m.input(x);
  m.op("quantize", fb::OpKind::quantize, {x}, xq);
  net.convolution("a", xq, aq, net.codebook("wa", a), a);
  net.convolution("b", aq, bq, net.dense("wb", b, 20), b);
  m.model.operators.back()->inputs.push_back(xq);
  m.model.operators.back()->conv2d->epilogue->residual = true;
  net.convolution("c", bq, yc, net.dense("wc", c, 30), c);
  m.op("sum", fb::OpKind::binary, {bq, aq}, sum).binary = std::make_unique<fb::BinaryT>();
  m.op("back_a", fb::OpKind::quantize, {aq}, ya);
  m.op("back_b", fb::OpKind::quantize, {bq}, yb);
  m.op("back_s", fb::OpKind::quantize, {sum}, ys);
  for (const uint32_t t : {ya, yb, yc, ys}) m.output(t);

  const testing::AlignedBytes file(m.finish());
  Arena keep(default_allocator());
  Model model;
  const Status opened = open_model(file.bytes(), keep, model);
  INFO(opened.what());
  REQUIRE(opened.ok());
  const auto other = tools::make_onednn_baseline(model, 1, 1);
  CHECK(std::string(other->name()) == "dense int8, oneDNN");
  const std::vector<float> input = random_floats(kSize * kSize * kChannels, 11, -2.5f, 2.5f);
  other->set_input(0, input.data(), input.size() * sizeof(float));

  const Map mx{qx, quantized(input, qx)};
  const std::vector<float> want_a = layer_values(a, mx, nullptr, qa);
  const Map ma{qa, quantized(want_a, qa)};
  const std::vector<float> want_b = layer_values(b, ma, &mx, qb);
  const Map mb{qb, quantized(want_b, qb)};
  const std::vector<float> want_c = layer_values(c, mb, nullptr, none);
  std::vector<float> want_sum;
  for (size_t i = 0; i < want_a.size(); ++i) {
    const Bytes8 q = quantized({want_a[i] + want_b[i]}, qa);
    want_sum.push_back(qa.scale * static_cast<float>(q[0] - qa.zero));
  }
  for (int run = 0; run < 2; ++run) {  // the second finds its buffers used
    other->run();
    check_steps(other->output(0), want_a, qa.scale);
    check_steps(other->output(1), want_b, qb.scale);
    // A step of an input is 127 * 2e-4 of a step of this.
    check_steps(other->output(2), want_c, qb.scale, 0.1);
    check_steps(other->output(3), want_sum, qa.scale);
  }
}

}  // namespace
}  // namespace qrt
