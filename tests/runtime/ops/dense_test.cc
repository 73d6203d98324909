// conv2d and linear on dense weights against their definition, through XNNPACK and
// through the plain code, in every order and type that weights are stored in.
#include <doctest/doctest.h>

#include "runtime/dense/xnn.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

struct ConvCase {
  int batch, height, width, channels, outputs;
  Window window;
  uint32_t groups = 1;
  InputOrder order = InputOrder::kh_kw_cin;
  bool scale = false, bias = true, residual = false;
  Clamp clamp{};
};

struct Built {
  Weights weights;
  std::vector<float> values, scale, bias;
  Conv2dAttr attr{};
  Node node;
  std::vector<HostTensor> in;
  HostTensor out;
};

Bytes bytes_of(const std::vector<float>& v) {
  return {reinterpret_cast<const uint8_t*>(v.data()), v.size() * sizeof(float)};
}

void build(const ConvCase& c, Built* b) {
  const Window& w = c.window;
  const int inputs =
      c.channels / static_cast<int>(c.groups) * static_cast<int>(w.kernel_h * w.kernel_w);
  b->values = random_floats(static_cast<size_t>(inputs) * c.outputs, 1);
  b->scale = random_floats(c.outputs, 2);
  b->bias = random_floats(c.outputs, 3);
  b->weights.outputs = static_cast<uint32_t>(c.outputs);
  b->weights.inputs = static_cast<uint32_t>(inputs);
  b->weights.order = c.order;
  b->weights.dense = {DType::f32, bytes_of(b->values), {}};
  b->attr = {&b->weights, w, c.groups, {}};
  if (c.scale) b->attr.epilogue.scale = constant_of(b->scale);
  if (c.bias) b->attr.epilogue.bias = constant_of(b->bias);
  b->attr.epilogue.residual = c.residual;
  b->attr.epilogue.clamp = c.clamp;
  b->node.kind = OpKind::conv2d;
  b->node.conv2d = &b->attr;
  const int oh =
      out_extent(c.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom);
  const int ow = out_extent(c.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right);
  b->out.shape = shape({c.batch, oh, ow, c.outputs});
  b->in.push_back(random_tensor(shape({c.batch, c.height, c.width, c.channels}), 4));
  if (c.residual) b->in.push_back(random_tensor(b->out.shape, 5));
}

std::vector<double> naive(const ConvCase& c, const Built& b) {
  const Shape &in = b.in[0].shape, &out = b.out.shape;
  const int gin = c.channels / static_cast<int>(c.groups),
            gout = c.outputs / static_cast<int>(c.groups);
  const int kh = static_cast<int>(c.window.kernel_h), kw = static_cast<int>(c.window.kernel_w);
  std::vector<double> y(b.out.count());
  for_taps(in, out, c.window, [&](int n, int oy, int ox, int iy, int ix, int ky, int kx) {
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

void check(const ConvCase& c) {
  Built b;
  build(c, &b);
  const std::vector<double> want = naive(c, b);
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
      CHECK(run.weight_bytes >= b.values.size() * sizeof(float));
      const bool expect_xnnpack = xnnpack && XnnLayer::supports({}, {0, 1});
      CHECK(run.kernel.rfind(expect_xnnpack ? "xnnpack_f32_" : "plain_f32_", 0) == 0);
    }
}

constexpr Clamp kRelu{Activation::clamp, 0.0f, kNoMax};
constexpr Clamp kRelu6{Activation::clamp, 0.0f, 6.0f};

}  // namespace

TEST_CASE("conv2d: the shapes of residual networks") {
  check({1,
         20,
         20,
         3,
         64,
         {7, 7, 2, 2, 1, 1, 3, 3, 3, 3},
         1,
         InputOrder::cin_kh_kw,
         true,
         true,
         false,
         kRelu});
  check({1,
         14,
         14,
         32,
         48,
         {3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
         1,
         InputOrder::cin_kh_kw,
         true,
         true,
         true,
         kRelu});
  check({1, 14, 14, 32, 48, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}});
  check(
      {2, 7, 7, 33, 17, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, InputOrder::linear, false, false, true});
  check({1, 9, 9, 16, 24, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}});
}

TEST_CASE("conv2d: windows that hurt") {
  check({1, 1, 1, 1, 1, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}});    // one value
  check({1, 1, 1, 5, 7, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}});    // mostly padding
  check({1, 5, 4, 3, 5, {2, 3, 1, 2, 1, 1, 0, 2, 1, 0}});    // asymmetric
  check({1, 11, 13, 4, 6, {3, 2, 1, 1, 3, 2, 2, 0, 1, 3}});  // dilation
  check({3, 6, 6, 5, 3, {2, 2, 4, 5, 1, 1, 0, 0, 0, 0}});    // stride > kernel
  check({1, 4, 4, 2, 3, {4, 4, 1, 1, 1, 1, 3, 3, 3, 3}});    // full padding
  check({1, 5, 5, 2, 3, {1, 1, 1, 1, 1, 1, 2, 1, 0, 1}});    // padded 1x1
  check({1, 3, 70, 2, 16, {1, 5, 1, 3, 1, 1, 0, 2, 0, 2}, 1, InputOrder::cin_kh_kw});
}

TEST_CASE("conv2d: groups and depthwise") {
  const Window three{3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, two{3, 3, 2, 2, 1, 1, 0, 0, 1, 1};
  check({1, 8, 8, 12, 18, three, 3, InputOrder::cin_kh_kw, true, true, true, kRelu6});
  check({2, 8, 7, 32, 32, two, 8});
  check({1, 8, 8, 19, 19, three, 19, InputOrder::cin_kh_kw, true, true, false, kRelu6});
  check({2, 9, 8, 6, 18, two, 6, InputOrder::cin_kh_kw});  // multiplier 3
  check({1, 9, 9, 8, 8, {5, 5, 1, 1, 2, 2, 4, 4, 4, 4}, 8, InputOrder::linear, true});
  check({1,
         9,
         9,
         4,
         4,
         {7, 7, 1, 1, 1, 1, 3, 3, 3, 3},
         4,
         InputOrder::kh_kw_cin,
         false,
         false,
         true});
}

TEST_CASE("conv2d: sixty windows drawn at random") {
  std::mt19937 bits(2024);
  const auto draw = [&](uint32_t from, uint32_t to) {
    return from + static_cast<uint32_t>((bits() >> 8) % (to - from + 1));
  };
  for (int i = 0; i < 60; ++i) {
    const uint32_t groups = draw(0, 2) == 0 ? draw(2, 4) : 1;
    ConvCase c{
        static_cast<int>(draw(1, 2)),           0,  0,     static_cast<int>(groups * draw(1, 9)),
        static_cast<int>(groups * draw(1, 19)), {}, groups};
    Window& w = c.window;
    w = {draw(1, 4), draw(1, 4), draw(1, 3), draw(1, 3), draw(1, 2), draw(1, 2), 0, 0, 0, 0};
    w.pad_top = draw(0, w.kernel_h - 1), w.pad_bottom = draw(0, w.kernel_h - 1);
    w.pad_left = draw(0, w.kernel_w - 1), w.pad_right = draw(0, w.kernel_w - 1);
    c.height = static_cast<int>(draw(w.dilation_h * (w.kernel_h - 1) + 1, 12));
    c.width = static_cast<int>(draw(w.dilation_w * (w.kernel_w - 1) + 1, 12));
    c.order = draw(0, 1) == 0 ? InputOrder::cin_kh_kw : InputOrder::kh_kw_cin;
    c.scale = draw(0, 1) == 0, c.bias = draw(0, 1) == 0, c.residual = draw(0, 1) == 0;
    if (draw(0, 1) == 0) c.clamp = {Activation::clamp, -0.5f, draw(0, 1) == 0 ? 0.75f : kNoMax};
    CAPTURE(i);
    check(c);
  }
}

TEST_CASE("conv2d: a clamp that leaves one value is the plain code's") {
  ConvCase c{1, 4, 4, 2, 3, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}};
  c.clamp = {Activation::clamp, 0.5f, 0.5f};
  Built b;
  build(c, &b);
  OpRun run;
  REQUIRE(run(b.node, b.in, &b.out).ok());
  CHECK(run.kernel == "plain_f32_conv2d");
  CHECK(difference(b.out, std::vector<double>(b.out.count(), 0.5)) == 0);
}

TEST_CASE("conv2d: XNNPACK is not asked for gigabytes of pointers") {
  const Limits any{-kInf, kInf};
  ConvGeometry g{1, 800, 800, 3, 800, 800, 8, 1, {7, 7, 1, 1, 1, 1, 3, 3, 3, 3}};
  CHECK(XnnLayer::supports(g, any) == XnnLayer::supports(linear_geometry(1, 1, 1), any));
  g.in_h = g.out_h = 4000;
  CHECK_FALSE(XnnLayer::supports(g, any));
  g.window.kernel_h = g.window.kernel_w = 0xffffffffu;
  CHECK_FALSE(XnnLayer::supports(g, any));
}

TEST_CASE("linear: rows, ranks, epilogues") {
  for (int rows : {1, 2, 5, 16})
    for (int outputs : {1, 15, 16, 37}) {
      const int inputs = 29 + rows;
      Built b;
      b.values = random_floats(static_cast<size_t>(inputs) * outputs, 6);
      b.scale = random_floats(outputs, 7);
      b.bias = random_floats(outputs, 8);
      b.weights.outputs = static_cast<uint32_t>(outputs);
      b.weights.inputs = static_cast<uint32_t>(inputs);
      b.weights.dense = {DType::f32, bytes_of(b.values), {}};
      LinearAttr attr{&b.weights, {constant_of(b.scale), constant_of(b.bias), rows > 2, kRelu}};
      b.node.kind = OpKind::linear;
      b.node.linear = &attr;
      b.in.push_back(random_tensor(rows == 16 ? shape({2, 8, inputs}) : shape({rows, inputs}), 9));
      b.out.shape = rows == 16 ? shape({2, 8, outputs}) : shape({rows, outputs});
      if (rows > 2) b.in.push_back(random_tensor(b.out.shape, 10));
      std::vector<double> want(b.out.count());
      for (size_t i = 0; i < want.size(); ++i) {
        const size_t o = i % outputs, r = i / outputs;
        for (int k = 0; k < inputs; ++k)
          want[i] += double{b.in[0][r * inputs + k]} * b.values[o * inputs + k];
        want[i] = want[i] * b.scale[o] + b.bias[o] + (rows > 2 ? b.in[1][i] : 0.0f);
        want[i] = std::max(want[i], 0.0);
      }
      for (bool xnnpack : {true, false}) {
        OpRun run;
        run.use_xnnpack = xnnpack;
        REQUIRE(run(b.node, b.in, &b.out).ok());
        CHECK(difference(b.out, want) < 2e-5);
        CHECK(run.guards_held);
      }
    }
}

TEST_CASE("conv2d: the result does not depend on the number of threads") {
  ConvCase c{1, 13, 11, 24, 40, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}};
  Built b;
  build(c, &b);
  for (bool xnnpack : {true, false}) {
    OpRun one, many;
    one.use_xnnpack = many.use_xnnpack = xnnpack;
    many.threads = 4;
    HostTensor first = b.out, second = b.out;
    REQUIRE(one(b.node, b.in, &first).ok());
    REQUIRE(many(b.node, b.in, &second).ok());
    CHECK(first.bytes == second.bytes);
  }
}

TEST_CASE("conv2d: refuses what does not fit together") {
  const Window one{1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
  auto refusal = [&](auto&& spoil) {
    Built b;
    build({1, 4, 4, 4, 6, one}, &b);
    spoil(b);
    OpRun run;
    const Status s = run(b.node, b.in, &b.out);
    CHECK(run.leaked == 0);
    return s.id();
  };
  CHECK(refusal([](Built& b) { b.weights.encoding = Encoding::table; }) == 256);
  CHECK(refusal([](Built& b) { b.in.clear(); }) == 251);
  CHECK(refusal([](Built& b) { b.attr.epilogue.residual = true; }) == 251);
  CHECK(refusal([](Built& b) { b.in[0].dtype = DType::i32; }) == 252);
  CHECK(refusal([](Built& b) { b.out.shape[1] = 5; }) == 253);
  CHECK(refusal([](Built& b) { b.in[0] = random_tensor(shape({4, 16}), 1); }) == 254);
  CHECK(refusal([](Built& b) { b.attr.groups = 4; }) == 254);
  CHECK(refusal([](Built& b) { b.attr.groups = 0; }) == 254);
  CHECK(refusal([](Built& b) { b.attr.window.kernel_h = 9; }) == 255);
  CHECK(refusal([](Built& b) { b.attr.window.stride_w = 0; }) == 255);
  CHECK(refusal([](Built& b) { b.attr.window.dilation_w = 0xffffffffu; }) == 255);
  CHECK(refusal([](Built& b) { b.weights.inputs = 5; }) == 256);
  CHECK(refusal([](Built& b) { b.weights.dense.data = {b.weights.dense.data.data(), 8}; }) == 256);
  CHECK(refusal([](Built& b) { b.attr.epilogue.clamp = {Activation::clamp, 1, 0}; }) == 257);
  CHECK(refusal([](Built& b) { b.attr.epilogue.clamp = {Activation::clamp, kNan, 0}; }) == 257);
  CHECK(refusal([](Built& b) { b.attr.epilogue.bias.count = 5; }) == 259);
}

TEST_CASE("conv2d: no memory is refused and nothing leaks") {
  Built b;
  build({1, 4, 4, 4, 6, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 1, InputOrder::cin_kh_kw, true}, &b);
  for (bool xnnpack : {true, false}) {
    bool succeeded = false;
    for (int64_t n = 0; n < 50 && !succeeded; ++n) {
      OpRun run;
      run.use_xnnpack = xnnpack;
      run.fail_after = n;
      const Status s = run(b.node, b.in, &b.out);
      succeeded = s.ok();
      if (!s.ok()) CHECK(s.code() == Code::out_of_memory);
      CHECK(run.leaked == 0);
    }
    CHECK(succeeded);
  }
}

}  // namespace qrt::test
