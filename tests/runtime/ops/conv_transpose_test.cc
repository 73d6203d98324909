// conv_transpose on dense weights against its definition, through XNNPACK and
// through the plain code.
#include <doctest/doctest.h>

#include "runtime/dense/xnn.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

struct TransposeCase {
  int batch, height, width, channels, outputs;
  Window window;
  uint32_t adjust_h = 0, adjust_w = 0, groups = 1;
  InputOrder order = InputOrder::kh_kw_cin;
  bool scale = false, bias = true, residual = false;
  Clamp clamp{};
};

struct Built {
  Weights weights;
  std::vector<float> values, scale, bias;
  ConvTransposeAttr attr{};
  Node node;
  std::vector<HostTensor> in;
  HostTensor out;
};

int extent(int in, uint32_t k, uint32_t s, uint32_t d, uint32_t adjust, uint32_t pads) {
  return (in - 1) * static_cast<int>(s) + static_cast<int>(d * (k - 1) + 1 + adjust - pads);
}

void build(const TransposeCase& c, Built* b) {
  const Window& w = c.window;
  const int inputs =
      c.channels / static_cast<int>(c.groups) * static_cast<int>(w.kernel_h * w.kernel_w);
  b->values = random_floats(static_cast<size_t>(inputs) * c.outputs, 1);
  b->scale = random_floats(c.outputs, 2);
  b->bias = random_floats(c.outputs, 3);
  b->weights.outputs = static_cast<uint32_t>(c.outputs);
  b->weights.inputs = static_cast<uint32_t>(inputs);
  b->weights.order = c.order;
  b->weights.dense = {
      DType::f32,
      {reinterpret_cast<const uint8_t*>(b->values.data()), b->values.size() * sizeof(float)},
      {}};
  b->attr = {&b->weights, w, c.adjust_h, c.adjust_w, c.groups, {}};
  if (c.scale) b->attr.epilogue.scale = constant_of(b->scale);
  if (c.bias) b->attr.epilogue.bias = constant_of(b->bias);
  b->attr.epilogue.residual = c.residual;
  b->attr.epilogue.clamp = c.clamp;
  b->node.kind = OpKind::conv_transpose;
  b->node.conv_transpose = &b->attr;
  b->out.shape = shape(
      {c.batch,
       extent(c.height, w.kernel_h, w.stride_h, w.dilation_h, c.adjust_h, w.pad_top + w.pad_bottom),
       extent(c.width, w.kernel_w, w.stride_w, w.dilation_w, c.adjust_w, w.pad_left + w.pad_right),
       c.outputs});
  b->in.push_back(random_tensor(shape({c.batch, c.height, c.width, c.channels}), 4));
  if (c.residual) b->in.push_back(random_tensor(b->out.shape, 5));
}

// Every input adds its window to the output. for_taps() visits the pairs of the convolution whose
// transpose this is: its input is our output.
std::vector<double> naive(const TransposeCase& c, const Built& b) {
  const Shape &in = b.in[0].shape, &out = b.out.shape;
  const int gin = c.channels / static_cast<int>(c.groups),
            gout = c.outputs / static_cast<int>(c.groups);
  const int kh = static_cast<int>(c.window.kernel_h), kw = static_cast<int>(c.window.kernel_w);
  std::vector<double> y(b.out.count());
  for_taps(out, in, c.window, [&](int n, int iy, int ix, int oy, int ox, int ky, int kx) {
    for (int o = 0; o < c.outputs; ++o)
      for (int i = 0; i < gin; ++i) {
        const int k =
            c.order == InputOrder::cin_kh_kw ? (i * kh + ky) * kw + kx : (ky * kw + kx) * gin + i;
        y[offset4(out, n, oy, ox, o)] +=
            double{b.in[0][offset4(in, n, iy, ix, o / gout * gin + i)]} *
            b.values[static_cast<size_t>(o) * gin * kh * kw + k];
      }
  });
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t o = i % static_cast<size_t>(c.outputs);
    if (c.scale) y[i] *= b.scale[o];
    if (c.bias) y[i] += b.bias[o];
    if (c.residual) y[i] += b.in[1][i];
    if (c.clamp.activation == Activation::clamp)
      y[i] = std::min<double>(std::max<double>(y[i], c.clamp.min), c.clamp.max);
  }
  return y;
}

void check(const TransposeCase& c) {
  Built b;
  build(c, &b);
  const std::vector<double> want = naive(c, b);
  const bool fits =
      c.adjust_h < c.window.stride_h && c.adjust_w < c.window.stride_w &&
      XnnLayer::supports({1, 1, 1, 1, 1, 1, 1, 1, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}}, {0, 1});
  for (bool xnnpack : {true, false})
    for (uint32_t threads : {1u, 3u}) {
      OpRun run;
      run.use_xnnpack = xnnpack;
      run.threads = threads;
      run.repeats = 2;
      HostTensor got = b.out;
      const Status s = run(b.node, b.in, &got);
      CAPTURE(run.kernel);
      CAPTURE(threads);
      REQUIRE_MESSAGE(s.ok(), s.what());
      CHECK(difference(got, want) < 2e-6 * std::sqrt(double(b.weights.inputs)) + 1e-6);
      CHECK(run.guards_held);
      CHECK(run.repeatable);
      CHECK(run.leaked == 0);
      CHECK(run.kernel ==
            (xnnpack && fits ? "xnnpack_f32_conv_transpose" : "plain_f32_conv_transpose"));
    }
}

}  // namespace

TEST_CASE("conv_transpose: upsampling as networks do it") {
  check({1, 7, 9, 16, 8, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}});
  check({2, 5, 6, 24, 12, {4, 4, 2, 2, 1, 1, 1, 1, 1, 1}});
  check({1, 6, 6, 9, 9, {4, 4, 2, 2, 1, 1, 1, 1, 1, 1}, 0, 0, 9});  // bilinear, depthwise
  TransposeCase unet{1, 5, 5, 8, 6, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 1, 1};
  unet.scale = unet.residual = true;
  unet.order = InputOrder::cin_kh_kw;
  unet.clamp = {Activation::clamp, 0.0f, kNoMax};
  check(unet);
}

TEST_CASE("conv_transpose: windows that hurt") {
  check({1, 1, 1, 1, 1, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}});
  check({1, 3, 4, 2, 3, {1, 1, 3, 2, 1, 1, 0, 0, 0, 0}});        // outputs that no input meets
  check({1, 3, 3, 2, 3, {3, 2, 1, 2, 2, 3, 2, 1, 1, 2}});        // dilation, asymmetric
  check({1, 3, 3, 2, 3, {2, 2, 2, 2, 1, 1, 2, 2, 2, 2}});        // cut deep into the input
  check({2, 2, 3, 3, 2, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}, 3, 5});  // more rows than a stride
}

TEST_CASE("conv_transpose: sixty windows drawn at random") {
  std::mt19937 bits(2025);
  const auto draw = [&](uint32_t from, uint32_t to) {
    return from + static_cast<uint32_t>((bits() >> 8) % (to - from + 1));
  };
  for (int i = 0; i < 60; ++i) {
    TransposeCase c{};
    c.groups = draw(0, 2) == 0 ? draw(2, 4) : 1;
    c.batch = static_cast<int>(draw(1, 2));
    c.channels = static_cast<int>(c.groups * draw(1, 9));
    c.outputs = static_cast<int>(c.groups * draw(1, 19));
    Window& w = c.window;
    w = {draw(1, 4), draw(1, 4), draw(1, 3), draw(1, 3), draw(1, 2), draw(1, 2), 0, 0, 0, 0};
    w.pad_top = draw(0, w.kernel_h - 1), w.pad_bottom = draw(0, w.kernel_h - 1);
    w.pad_left = draw(0, w.kernel_w - 1), w.pad_right = draw(0, w.kernel_w - 1);
    c.height = static_cast<int>(draw(w.kernel_h * 2, 11));
    c.width = static_cast<int>(draw(w.kernel_w * 2, 11));
    c.adjust_h = draw(0, w.stride_h), c.adjust_w = draw(0, w.stride_w - 1);
    c.order = draw(0, 1) == 0 ? InputOrder::cin_kh_kw : InputOrder::kh_kw_cin;
    c.scale = draw(0, 1) == 0, c.bias = draw(0, 1) == 0, c.residual = draw(0, 1) == 0;
    if (draw(0, 1) == 0) c.clamp = {Activation::clamp, -0.5f, draw(0, 1) == 0 ? 0.75f : kNoMax};
    CAPTURE(i);
    check(c);
  }
}

TEST_CASE("conv_transpose: refuses what does not fit together") {
  auto refusal = [&](auto&& spoil) {
    Built b;
    build({1, 4, 4, 4, 6, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}}, &b);
    spoil(b);
    OpRun run;
    const Status s = run(b.node, b.in, &b.out);
    CHECK(run.leaked == 0);
    return s.id();
  };
  CHECK(refusal([](Built& b) { b.weights.encoding = Encoding::codebook; }) == 250);
  CHECK(refusal([](Built& b) { b.in.clear(); }) == 251);
  CHECK(refusal([](Built& b) { b.attr.epilogue.residual = true; }) == 251);
  CHECK(refusal([](Built& b) { b.in[0].dtype = DType::i32; }) == 252);
  CHECK(refusal([](Built& b) { b.attr.adjust_h = 1; }) == 253);
  CHECK(refusal([](Built& b) { b.in[0] = random_tensor(shape({4, 16}), 1); }) == 254);
  CHECK(refusal([](Built& b) { b.attr.groups = 4; }) == 254);
  CHECK(refusal([](Built& b) { b.attr.window.pad_top = 8; }) == 255);
  CHECK(refusal([](Built& b) { b.attr.window.stride_w = 0; }) == 255);
  CHECK(refusal([](Built& b) { b.attr.adjust_w = 0xffffffffu; }) == 255);
  CHECK(refusal([](Built& b) { b.weights.inputs = 5; }) == 256);
  CHECK(refusal([](Built& b) { b.weights.order = InputOrder::linear; }) == 256);
}

}  // namespace qrt::test
