// Operators on packed bits, to the bit: layers of signs and of bytes with thresholds, maxima,
// conversions and moves, against numbers worked out one by one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "schema/layout.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

using Ints = std::vector<int>;

Ints random_ints(size_t n, uint32_t seed, int lo, int hi) {
  std::mt19937 bits(seed);
  Ints v(n);
  for (int& x : v) x = lo + static_cast<int>((bits() >> 4) % static_cast<uint32_t>(hi - lo + 1));
  return v;
}

// Rows of -1 and +1 to words.
std::vector<unsigned char> packed(const Ints& values, size_t row) {
  const size_t words = (row + 63) / 64;
  std::vector<uint64_t> to(values.size() / row * words);
  for (size_t i = 0; i < values.size(); ++i)
    to[i / row * words + i % row / 64] |= uint64_t{values[i] > 0} << i % row % 64;
  std::vector<unsigned char> bytes(to.size() * 8);
  if (!to.empty()) std::memcpy(bytes.data(), to.data(), bytes.size());
  return bytes;
}

HostTensor bits_of(const Shape& s, const Ints& values, float scale = 0.5f) {
  return {DType::bits, s, packed(values, row_of(s)), false, {scale, 0}};
}
HostTensor bits_out(const Shape& s, float scale = 0.5f) {
  return {DType::bits, s, {}, false, {scale, 0}};
}

struct LayerCase {
  int batch, height, width, channels, outputs;  // of all groups
  Window window;
  uint32_t groups = 1;
  bool linear = false;
};

// What a layer's sums become.
enum class To { bits, steps, even_steps, bytes, floats };

struct BinaryLayer {
  LayerCase shape;
  Ints x, w, sums;
  std::vector<unsigned char> planes;
  std::vector<uint8_t> counts;
  std::vector<float> alphas, scale, bias;
  std::vector<int32_t> thresholds;
  std::vector<int64_t> lines;    // start and step of even ones
  std::vector<int8_t> integers;  // of the same weights, where they are dense i8
  Weights weights;
  Conv2dAttr conv{};
  LinearAttr linear{};
  Node node;
  std::vector<HostTensor> in;
  HostTensor out;

  Epilogue& epilogue() { return shape.linear ? linear.epilogue : conv.epilogue; }
};

Shape out_shape(const LayerCase& c) {
  const Window& w = c.window;
  if (c.linear) return shape({c.batch, c.outputs});
  return shape({c.batch,
                out_extent(c.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
                out_extent(c.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right),
                c.outputs});
}

// `most` 1: x is bits; else bytes up to it.
void make_layer(const LayerCase& c, bool planes, BinaryLayer* b) {
  b->shape = c;
  const Shape in =
      c.linear ? shape({c.batch, c.channels}) : shape({c.batch, c.height, c.width, c.channels});
  const Shape out = out_shape(c);
  const auto taps = c.window.kernel_h * c.window.kernel_w;
  const size_t channels = static_cast<size_t>(c.channels) / c.groups, inputs = taps * channels;
  const auto outputs = static_cast<size_t>(c.outputs), each = outputs / c.groups;
  b->x = random_ints(*in.elements().get(), 3, 0, 1);
  for (int& v : b->x) v = 2 * v - 1;
  b->w = random_ints(outputs * inputs, 4, 0, 1);
  for (int& v : b->w) v = 2 * v - 1;
  b->sums.assign(*out.elements().get(), 0);
  if (c.linear) {
    for (size_t r = 0; r < b->sums.size(); ++r)
      for (size_t k = 0; k < inputs; ++k)
        b->sums[r] += b->x[r / outputs * inputs + k] * b->w[r % outputs * inputs + k];
  } else {
    for_taps(in, out, c.window, [&](int n, int oy, int ox, int iy, int ix, int ky, int kx) {
      const size_t tap = static_cast<size_t>(ky) * c.window.kernel_w + static_cast<size_t>(kx);
      for (size_t o = 0; o < outputs; ++o)
        for (size_t k = 0; k < channels; ++k)
          b->sums[offset4(out, n, oy, ox, static_cast<int>(o))] +=
              b->x[offset4(in, n, iy, ix, static_cast<int>(o / each * channels + k))] *
              b->w[(o * taps + tap) * channels + k];
    });
  }
  Weights& w = b->weights;
  w.outputs = static_cast<uint32_t>(outputs), w.inputs = static_cast<uint32_t>(inputs);
  w.order = InputOrder::kh_kw_cin, w.numerics = Numerics::exact;
  b->alphas = random_floats(outputs, 5), b->scale = random_floats(outputs, 6);
  b->bias = random_floats(outputs, 7);
  if (planes) {
    b->planes = packed(b->w, inputs), b->counts.assign(outputs, 1);
    w.encoding = Encoding::bit_planes;
    w.bit_planes = {PlanePacking::planes,
                    0,
                    {b->counts.data(), b->counts.size()},
                    {b->planes.data(), b->planes.size()},
                    constant_of(b->alphas)};
  } else {
    b->integers.assign(b->w.begin(), b->w.end());
    w.encoding = Encoding::dense;
    w.dense = {DType::i8,
               {reinterpret_cast<const uint8_t*>(b->integers.data()), b->integers.size()},
               {ScaleAxis::output, 0, constant_of(b->alphas)}};
  }
  b->conv = {&w, c.window, c.groups, {}};
  b->linear = {&w, {}};
  b->node.name = "layer", b->node.kind = c.linear ? OpKind::linear : OpKind::conv2d;
  if (c.linear)
    b->node.linear = &b->linear;
  else
    b->node.conv2d = &b->conv;
  b->in = {bits_of(in, b->x)};
  b->out.shape = out;
}

// Sets epilogue and output, and what must come out.
std::vector<unsigned char> expect(BinaryLayer& b, To to) {
  const auto outputs = static_cast<size_t>(b.shape.outputs);
  Epilogue& e = b.epilogue();
  e = {};
  const int reach = static_cast<int>(b.weights.inputs / 3 + 1);
  if (to == To::bits || to == To::steps || to == To::even_steps) {
    const size_t count = to == To::bits ? 1 : 3;
    const Ints t = random_ints(outputs * count, 8, -reach, reach);
    b.thresholds.assign(t.begin(), t.end());
    for (size_t n = 0; n < outputs; ++n)
      std::sort(b.thresholds.begin() + static_cast<long>(n * count),
                b.thresholds.begin() + static_cast<long>(n * count + count));
    b.thresholds[0] = INT32_MIN, b.thresholds.back() = INT32_MAX;
    e.thresholds = {b.thresholds.data(), b.thresholds.size()};
    if (to == To::even_steps) {
      b.lines.clear(), e.thresholds = {};
      for (size_t n = 0; n < outputs; ++n) {
        const int64_t start = int64_t{t[n]} * (int64_t{1} << 31), step = static_cast<int64_t>(n + 1)
                                                                         << 30;
        b.lines.push_back(start), b.lines.push_back(step);
        for (size_t k = 0; k < count; ++k)
          b.thresholds[n * count + k] = static_cast<int32_t>(std::floor(
              std::ldexp(static_cast<double>(start + static_cast<int64_t>(k) * step), -32)));
      }
      e.even_thresholds = {b.lines.data(), b.lines.size()};
    }
    e.threshold_count = static_cast<uint32_t>(count), e.threshold_first = 7, e.threshold_step = 5;
    Ints signs;
    std::vector<unsigned char> bytes;
    for (size_t i = 0; i < b.sums.size(); ++i) {
      int reached = 0;
      for (size_t k = 0; k < count; ++k)
        reached += b.sums[i] >= b.thresholds[i % outputs * count + k];
      signs.push_back(2 * reached - 1);
      bytes.push_back(static_cast<unsigned char>(7 + 5 * reached));
    }
    b.out.dtype = to == To::bits ? DType::bits : DType::u8;
    b.out.quantization = to == To::bits ? Quantization{0.5f, 0} : Quantization{0.25f, 9};
    return to == To::bits ? packed(signs, outputs) : bytes;
  }
  e.scale = constant_of(b.scale), e.bias = constant_of(b.bias), e.residual = true;
  e.clamp = {Activation::clamp, -30.0f, 40.0f};
  const Quantization r{0.1f, 31}, y{0.4f, 100};
  b.in.resize(1);
  b.in.push_back(random_bytes(b.out.shape, 9, r));
  b.out.dtype = to == To::bytes ? DType::u8 : DType::f32;
  b.out.quantization = to == To::bytes ? y : Quantization{};
  std::vector<unsigned char> want(b.sums.size() * (to == To::bytes ? 1 : 4));
  for (size_t i = 0; i < b.sums.size(); ++i) {
    const size_t n = i % outputs;
    const float inverse = to == To::bytes ? 1 / y.scale : 1.0f;
    volatile float a = 0.5f * b.alphas[n];
    a = a * b.scale[n], a = a * inverse;
    volatile float t = static_cast<float>(b.sums[i]) * a, c = b.bias[n] * inverse;
    volatile float rs = r.scale * inverse;
    volatile float add = static_cast<float>(int{b.in[1].bytes[i]} - r.zero) * rs;
    t = t + c, t = t + add;
    const float lo = to == To::bytes ? std::nearbyint(-30.0f * inverse) : -30.0f;
    const float hi = to == To::bytes ? std::nearbyint(40.0f * inverse) : 40.0f;
    const float v = std::min(hi, std::max(lo, float{t}));
    if (to == To::bytes)
      want[i] = static_cast<unsigned char>(y.zero + int(std::nearbyint(v)));
    else
      std::memcpy(want.data() + 4 * i, &v, 4);
  }
  return want;
}

// Weights in an order of their own, for which there is room only where memory is no matter.
bool keeps(const char* strategy) {
  const std::string name = strategy == nullptr ? "" : strategy;
  return name == "xnor_outputs" || name == "xnor_words";
}

void check_layer(BinaryLayer& b, To to, const char* prefix,
                 const std::vector<const char*>& strategies, const std::vector<uint32_t>& threads) {
  const std::vector<unsigned char> want = expect(b, to);
  for (const char* level : {"scalar", "avx2", "avx512vnni", "avx512vbmi", "neon", "neondot"}) {
    kernels::IsaSet isa = 0;
    if (!kernels::isa_level(level, &isa) || !kernels::includes(kernels::detect_isa(), isa))
      continue;
    for (const char* strategy : strategies)
      for (const uint32_t count : threads) {
        CAPTURE(level);
        CAPTURE(std::string(strategy == nullptr ? "" : strategy));
        CAPTURE(count);
        OpRun run;
        run.isa = isa, run.threads = count, run.strategy = strategy;
        run.mode = keeps(strategy) ? Mode::dense : Mode::compressed;
        run.repeats = 2;
        const Status s = run(b.node, b.in, &b.out);
        REQUIRE_MESSAGE(s.ok(), s.what());
        CHECK(run.kernel.substr(0, std::strlen(prefix)) == prefix);
        const bool equal = b.out.bytes == want;
        CHECK(equal);
        CHECK(run.guards_held);
        CHECK(run.repeatable);
        CHECK(run.leaked == 0);
      }
  }
}

const std::vector<const char*> kWays = {nullptr,     "xnor_outputs", "xnor_turned",
                                        "xnor_rows", "xnor_words",   "xnor_lines"};

TEST_CASE("bits: layers of signs, all results") {
  for (const int channels : {1, 3, 63, 64, 65, 100, 128})
    for (const To to : {To::bits, To::steps, To::even_steps, To::bytes, To::floats}) {
      CAPTURE(channels);
      CAPTURE(static_cast<int>(to));
      BinaryLayer b;
      make_layer({2, 7, 6, channels, 70, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}}, true, &b);
      check_layer(b, to, "xnor_", kWays, {1});
      BinaryLayer fc;
      make_layer({5, 1, 1, channels, 130, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, true}, true, &fc);
      check_layer(fc, to, "xnor_", kWays, {1});
    }
}

TEST_CASE("bits: strides, dilation, uneven padding, groups, kinds of windows") {
  const LayerCase cases[] = {
      {1, 9, 8, 64, 64, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}},
      {1, 8, 9, 20, 33, {2, 3, 1, 2, 1, 2, 0, 3, 1, 2}},
      {2, 6, 6, 128, 192, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}},
      {1, 6, 5, 128, 128, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 2},
      {1, 6, 5, 96, 30, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 3},
      {1, 4, 4, 12, 12, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 12},
      {1, 10, 9, 10, 66, {7, 7, 1, 1, 1, 1, 3, 3, 3, 3}},  // 49 kinds
      {1, 3, 3, 5, 4, {5, 5, 1, 1, 1, 1, 4, 4, 4, 4}},     // windows in the padding alone
  };
  for (const LayerCase& c : cases)
    for (const To to : {To::bits, To::steps, To::even_steps, To::bytes, To::floats}) {
      CAPTURE(c.channels);
      CAPTURE(static_cast<int>(to));
      BinaryLayer b;
      make_layer(c, true, &b);
      check_layer(b, to, "xnor_", {nullptr}, {1, 2});
    }
}

TEST_CASE("bits: what is kept is a quarter of what the file has, or all of it where asked for") {
  BinaryLayer b;
  make_layer({1, 1, 1, 2048, 512, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, true}, true, &b);
  expect(b, To::bytes);
  constexpr size_t kFile = 2048 / 8 * 512;
  for (const Mode mode : {Mode::compressed, Mode::dense}) {
    OpRun run;
    run.isa = kernels::detect_isa(), run.mode = mode;
    run.strategy = mode == Mode::dense ? "xnor_words" : nullptr;
    const Status s = run(b.node, b.in, &b.out);
    REQUIRE_MESSAGE(s.ok(), s.what());
    CHECK((run.weight_bytes <= kFile / 4) == (mode == Mode::compressed));
  }
}

TEST_CASE("bits: many rows and outputs, every number of threads") {
  for (const To to : {To::bits, To::steps, To::even_steps}) {
    BinaryLayer b;
    make_layer({1, 30, 30, 64, 600, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}}, true, &b);
    check_layer(b, to, "xnor_", {nullptr}, {1, 2, 3, 8});
    BinaryLayer one;
    make_layer({1, 1, 1, 1000, 1030, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, true}, true, &one);
    check_layer(one, to, "xnor_", kWays, {3});
    check_layer(one, to, "xnor_", {nullptr}, {1, 2, 8});
  }
}

TEST_CASE("bits: layers of other integers take them as bytes") {
  for (const int channels : {3, 64, 70})
    for (const To to : {To::bits, To::steps, To::even_steps, To::bytes, To::floats}) {
      BinaryLayer b;
      make_layer({2, 7, 6, channels, 70, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}}, false, &b);
      check_layer(b, to, "int8_", {nullptr}, {1, 2});
    }
}

TEST_CASE("bits: bytes in, thresholds behind") {
  for (const To to : {To::bits, To::steps, To::even_steps})
    for (const int channels : {3, 70}) {
      BinaryLayer b;
      make_layer({2, 7, 6, channels, 70, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}}, false, &b);
      // Bytes 6 and 8 about 7 are -1 and +1.
      b.in[0].dtype = DType::u8, b.in[0].quantization.zero = 7;
      b.in[0].bytes.clear();
      for (const int v : b.x) b.in[0].bytes.push_back(static_cast<unsigned char>(7 + v));
      check_layer(b, to, "int8_", {nullptr}, {1, 2});
    }
}

TEST_CASE("bits: what a layer refuses") {
  const auto refusal = [](auto&& change) {
    BinaryLayer b;
    make_layer({1, 4, 4, 8, 16, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}}, true, &b);
    expect(b, To::bits);
    change(b);
    OpRun run;
    const Status s = run(b.node, b.in, &b.out);
    CHECK(run.leaked == 0);
    return static_cast<int>(s.id());
  };
  CHECK(refusal([](BinaryLayer&) {}) == 0);
  CHECK(refusal([](BinaryLayer& b) { b.weights.order = InputOrder::cin_kh_kw; }) == 269);
  CHECK(refusal([](BinaryLayer& b) { b.weights.bit_planes.alphas.count = 3; }) == 269);
  CHECK(refusal([](BinaryLayer& b) { b.weights.bit_planes.planes = {b.planes.data(), 8}; }) == 269);
  CHECK(refusal([](BinaryLayer& b) { b.epilogue().threshold_count = 2; }) == 267);
  CHECK(refusal([](BinaryLayer& b) { b.out.dtype = DType::i8; }) == 269);
  CHECK(refusal([](BinaryLayer& b) { b.weights.bit_planes.packing = PlanePacking::ternary5; }) ==
        256);
  CHECK(refusal([](BinaryLayer& b) {
          b.out.dtype = DType::u8, b.out.quantization = {0.25f, 9};
          b.epilogue().thresholds = {b.thresholds.data(), 3};
        }) == 267);
  // Sums of bytes can reach it, and floats cannot tell it from its neighbour.
  BinaryLayer b;
  make_layer({1, 1, 1, 4096, 2, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, true}, false, &b);
  expect(b, To::bits);
  b.thresholds[0] = (1 << 24) + 1;
  OpRun run;
  CHECK(static_cast<int>(run(b.node, b.in, &b.out).id()) == 268);
  for (int64_t n = 0; n < 40; ++n) {
    run.fail_after = n;
    run(b.node, b.in, &b.out).ok();
    CHECK(run.leaked == 0);
  }
}

// ---- other operators ---------------------------------------------------------------------------

void check_op(const Node& node, const std::vector<HostTensor>& in, HostTensor out,
              const std::vector<unsigned char>& want, const char* kernel) {
  for (const uint32_t threads : {1u, 3u}) {
    OpRun run;
    run.threads = threads;
    const Status s = run(node, in, &out);
    REQUIRE_MESSAGE(s.ok(), s.what());
    CHECK(run.kernel == kernel);
    const bool equal = out.bytes == want;
    CHECK(equal);
    CHECK(run.guards_held);
  }
}

Ints signs(size_t n, uint32_t seed) {
  Ints v = random_ints(n, seed, 0, 1);
  for (int& x : v) x = 2 * x - 1;
  return v;
}

TEST_CASE("bits: from and to f32 and bytes") {
  Node node;
  node.name = "q", node.kind = OpKind::quantize;
  for (const int row : {1, 63, 64, 65, 130}) {
    const Shape s = shape({3, row});
    std::vector<float> x = random_floats(static_cast<size_t>(3 * row), 1);
    x[0] = -0.0f, x.back() = NAN;
    Ints want;
    for (const float v : x) want.push_back(v >= 0 ? 1 : -1);
    check_op(node, {floats(s, x)}, bits_out(s), packed(want, row_of(s)), "plain_bits_pack");
    const HostTensor bytes = random_bytes(s, 2, {0.1f, 120});
    want.clear();
    for (const unsigned char b : bytes.bytes) want.push_back(b >= 120 ? 1 : -1);
    check_op(node, {bytes}, bits_out(s), packed(want, row_of(s)), "plain_bits_pack");
    const Ints v = signs(static_cast<size_t>(3 * row), 3);
    std::vector<float> back;
    std::vector<unsigned char> quantized;
    for (const int sign : v) {
      back.push_back(0.75f * static_cast<float>(sign));
      quantized.push_back(sign > 0 ? 14 : 6);  // 0.75 / 0.2 = 3.75: 4 steps from 10
    }
    HostTensor f32{DType::f32, s, {}, false, {}};
    check_op(node, {bits_of(s, v, 0.75f)}, f32, floats(s, back).bytes, "plain_bits_unpack");
    HostTensor u8{DType::u8, s, {}, false, {0.2f, 10}};
    check_op(node, {bits_of(s, v, 0.75f)}, u8, quantized, "plain_bits_unpack");
  }
}

TEST_CASE("bits: maxima") {
  for (const int channels : {1, 64, 70}) {
    const Window w{3, 2, 2, 1, 1, 2, 1, 1, 1, 1};
    const Shape in = shape({2, 7, 6, channels});
    const Shape out =
        shape({2, out_extent(7, 3, 2, 1, 1, 1), out_extent(6, 2, 1, 2, 1, 1), channels});
    const Ints x = signs(*in.elements().get(), 1);
    Ints want(*out.elements().get(), -1);
    for_taps(in, out, w, [&](int n, int oy, int ox, int iy, int ix, int, int) {
      for (int c = 0; c < channels; ++c) {
        int& y = want[offset4(out, n, oy, ox, c)];
        y = std::max(y, x[offset4(in, n, iy, ix, c)]);
      }
    });
    const Pool2dAttr attr{PoolMode::max, w, false, false, 0};
    Node node;
    node.name = "pool", node.kind = OpKind::pool2d, node.pool2d = &attr;
    check_op(node, {bits_of(in, x)}, bits_out(out), packed(want, row_of(out)),
             "plain_bits_max_pool2d");
  }
}

TEST_CASE("bits: reshapes, transposes, concatenations, pads") {
  for (const int c : {1, 5, 64, 70}) {
    const Shape s = shape({2, 3, c});
    const Ints x = signs(*s.elements().get(), 1);
    Node node;
    node.name = "move", node.kind = OpKind::reshape;
    for (const Shape& to : {shape({6 * c}), shape({c, 6}), shape({2 * c, 3})})
      check_op(node, {bits_of(s, x)}, bits_out(to), packed(x, row_of(to)), "plain_bits_reshape");

    node.kind = OpKind::transpose;
    for (const std::array<int, 3>& p :
         {std::array<int, 3>{1, 0, 2}, {2, 0, 1}, {0, 2, 1}, {2, 1, 0}}) {
      TransposeAttr attr{{p[0], p[1], p[2]}};
      node.transpose = &attr;
      const Shape to = shape({s[p[0]], s[p[1]], s[p[2]]});
      Ints want;
      for (int i = 0; i < to[0]; ++i)
        for (int j = 0; j < to[1]; ++j)
          for (int k = 0; k < to[2]; ++k) {
            int at[3];
            at[p[0]] = i, at[p[1]] = j, at[p[2]] = k;
            want.push_back(x[static_cast<size_t>((at[0] * 3 + at[1]) * c + at[2])]);
          }
      check_op(node, {bits_of(s, x)}, bits_out(to), packed(want, row_of(to)),
               "plain_bits_transpose");
    }

    node.kind = OpKind::concat;
    const Ints z = signs(*s.elements().get(), 2);
    for (const int axis : {0, 1, 2}) {
      ConcatAttr attr{axis};
      node.concat = &attr;
      Shape to = s;
      to[axis] *= 2;
      const size_t inner = static_cast<size_t>(axis == 0 ? 6 * c : axis == 1 ? 3 * c : c);
      Ints want;
      for (size_t i = 0; i < x.size(); i += inner)
        for (const Ints* v : {&x, &z})
          want.insert(want.end(), v->begin() + static_cast<long>(i),
                      v->begin() + static_cast<long>(i + inner));
      check_op(node, {bits_of(s, x), bits_of(s, z)}, bits_out(to), packed(want, row_of(to)),
               "plain_bits_concat");
    }

    node.kind = OpKind::pad;
    for (const float value : {-1.0f, 0.0f}) {
      PadAttr attr{PadMode::constant, {1, 0, 2}, {0, 2, 3}, value};
      node.pad = &attr;
      const Shape to = shape({3, 5, c + 5});
      Ints want;
      for (int i = 0; i < to[0]; ++i)
        for (int j = 0; j < to[1]; ++j)
          for (int k = 0; k < to[2]; ++k) {
            const bool inside = i >= 1 && j < 3 && k >= 2 && k < c + 2;
            want.push_back(inside      ? x[static_cast<size_t>(((i - 1) * 3 + j) * c + k - 2)]
                           : value < 0 ? -1
                                       : 1);
          }
      check_op(node, {bits_of(s, x)}, bits_out(to), packed(want, row_of(to)), "plain_bits_pad");
    }
  }
}

TEST_CASE("bits: operators that do not move them say so") {
  SliceAttr slice{{0, 0}, {1, 1}, {0, 0}};
  Node node;
  node.name = "slice", node.kind = OpKind::slice, node.slice = &slice;
  HostTensor out = bits_out(shape({2, 8}));
  OpRun run;
  CHECK(static_cast<int>(run(node, {bits_of(shape({2, 8}), signs(16, 1))}, &out).id()) == 266);
  PadAttr edge{PadMode::edge, {1, 0}, {0, 0}, 0};
  node.kind = OpKind::pad, node.pad = &edge;
  out = bits_out(shape({3, 8}));
  CHECK(static_cast<int>(run(node, {bits_of(shape({2, 8}), signs(16, 1))}, &out).id()) == 266);
}

}  // namespace
}  // namespace qrt::test
