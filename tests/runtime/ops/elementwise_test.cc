// binary, unary, affine and softmax against their definitions.
#include <doctest/doctest.h>

#include <functional>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

constexpr Clamp kNone{};

double combine(BinaryOp op, double x, double y) {
  switch (op) {
    case BinaryOp::add:
      return x + y;
    case BinaryOp::sub:
      return x - y;
    case BinaryOp::mul:
      return x * y;
    case BinaryOp::div:
      return x / y;
    case BinaryOp::max:
      return std::isnan(x) || std::isnan(y) ? kNan : std::max(x, y);
    case BinaryOp::min:
      return std::isnan(x) || std::isnan(y) ? kNan : std::min(x, y);
    default:
      return 0;
  }
}

double clamped(double x, const Clamp& c) {
  if (c.activation == Activation::none || std::isnan(x)) return x;
  if (x < c.min && c.min > kNoMin) return c.min;
  return x > c.max && c.max < kNoMax ? c.max : x;
}

// Element of a broadcast tensor at flat output index i.
double element(const HostTensor& t, const Shape& out, size_t i) {
  size_t offset = 0, step = 1;
  for (int axis = out.rank - 1; axis >= 0; --axis) {
    const size_t at = i % static_cast<size_t>(out[axis]);
    i /= static_cast<size_t>(out[axis]);
    const int own = axis - (out.rank - t.shape.rank);
    if (own < 0) continue;
    if (t.shape[own] != 1) offset += at * step;
    step *= static_cast<size_t>(t.shape[own]);
  }
  return t[offset];
}

void check_binary(const HostTensor& a, const HostTensor& b, const Shape& out_shape,
                  const Clamp& clamp = kNone) {
  for (int op = 0; op <= static_cast<int>(BinaryOp::min); ++op) {
    const BinaryAttr attr{static_cast<BinaryOp>(op), clamp};
    Node node;
    node.kind = OpKind::binary;
    node.binary = &attr;
    HostTensor out;
    out.shape = out_shape;
    std::vector<double> want(out.count());
    for (size_t i = 0; i < want.size(); ++i)
      want[i] =
          clamped(combine(attr.op, element(a, out_shape, i), element(b, out_shape, i)), clamp);
    for (uint32_t threads : {1u, 3u}) {
      OpRun run;
      run.threads = threads;
      const Status s = run(node, {a, b}, &out);
      REQUIRE_MESSAGE(s.ok(), s.what());
      CAPTURE(run.kernel);
      CHECK(difference(out, want) < 1e-6);
      CHECK(run.guards_held);
    }
  }
}

Status run_binary(const HostTensor& a, const HostTensor& b, const Shape& out_shape,
                  Clamp clamp = kNone) {
  const BinaryAttr attr{BinaryOp::add, clamp};
  Node node;
  node.kind = OpKind::binary;
  node.binary = &attr;
  HostTensor out;
  out.shape = out_shape;
  OpRun run;
  return run(node, {a, b}, &out);
}

Status run_unary(const UnaryAttr& attr, const HostTensor& in, HostTensor* out) {
  Node node;
  node.kind = OpKind::unary;
  node.unary = &attr;
  OpRun run;
  run.threads = 2;
  return run(node, {in}, out);
}

}  // namespace

TEST_CASE("binary: broadcasting") {
  auto pair = [](std::initializer_list<int> a, std::initializer_list<int> b,
                 std::initializer_list<int> out) {
    check_binary(random_tensor(shape(a), 1), random_tensor(shape(b), 2), shape(out));
  };
  pair({2, 3, 4, 5}, {2, 3, 4, 5}, {2, 3, 4, 5});
  pair({2, 3, 4, 5}, {5}, {2, 3, 4, 5});
  pair({5}, {2, 3, 4, 5}, {2, 3, 4, 5});
  pair({1}, {4, 9}, {4, 9});
  pair({}, {4, 9}, {4, 9});
  pair({}, {}, {});
  pair({1, 1}, {1}, {1, 1});
  pair({7, 1}, {1, 6}, {7, 6});
  pair({2, 8, 8, 16}, {2, 1, 1, 16}, {2, 8, 8, 16});
  pair({2, 8, 1, 16}, {1, 8, 5, 1}, {2, 8, 5, 16});
  pair({2, 1, 3, 1, 2, 1}, {1, 4, 1, 3, 1, 5}, {2, 4, 3, 3, 2, 5});
  pair({2, 2, 3, 3, 2, 5}, {3, 1, 5}, {2, 2, 3, 3, 2, 5});
  pair({2, 100, 200}, {2, 100, 200}, {2, 100, 200});  // worth threads
  pair({300, 200}, {300, 1}, {300, 200});
}

TEST_CASE("binary: clamp, NaN and infinity") {
  const HostTensor a = floats(shape({6}), {kNan, 1, kInf, -kInf, -3, 0.5f});
  const HostTensor b = floats(shape({6}), {1, kNan, 2, kInf, 1, 0});
  check_binary(a, b, shape({6}));
  check_binary(b, a, shape({6}));
  check_binary(a, b, shape({6}), {Activation::clamp, 0.0f, kNoMax});
  check_binary(a, b, shape({6}), {Activation::clamp, -1.0f, 1.0f});
}

TEST_CASE("binary: a constant may be f16; other types are refused") {
  HostTensor half =
      tensor_of<uint16_t>(DType::f16, shape({3}), {0x3c00, 0xc000, 0x3800});  // 1 -2 .5
  half.is_constant = true;
  const BinaryAttr attr{BinaryOp::mul, kNone};
  Node node;
  node.kind = OpKind::binary;
  node.binary = &attr;
  HostTensor out;
  out.shape = shape({2, 3});
  OpRun run;
  const HostTensor x = floats(shape({2, 3}), {1, 2, 3, 4, 5, 6});
  REQUIRE(run(node, {x, half}, &out).ok());
  CHECK(difference(out, {1, -4, 1.5, 4, -10, 3}) == 0);
  half.is_constant = false;
  CHECK(run(node, {x, half}, &out).id() == 252);
  const HostTensor three = random_tensor(shape({3}), 1);
  CHECK(run_binary(three, random_tensor(shape({4}), 1), shape({4})).id() == 261);
  CHECK(run_binary(three, three, shape({4})).id() == 253);
  CHECK(run_binary(three, three, shape({3}), {Activation::clamp, 2, 1}).id() == 257);
}

TEST_CASE("unary: every function") {
  using F = std::function<double(double)>;
  const double a = 0.3, b = 0.7;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto unit = [](double x) { return std::min(1.0, std::max(0.0, x)); };
  const F functions[] = {
      [&](double x) { return x < a   ? a
                             : x > b ? b
                                     : x; },
      [&](double x) { return x < 0 ? a * x : x; },
      [&](double x) { return x < 0 ? a * std::expm1(x) : x; },
      sigmoid,
      [&](double x) { return std::isnan(x) ? x : unit(a * x + b); },
      [](double x) { return std::tanh(x); },
      [&](double x) { return x * (std::isnan(x) ? x : unit(x / 6 + 0.5)); },
      [](double x) { return std::exp(x); },
      [](double x) { return std::log(x); },
      [](double x) { return std::sqrt(x); },
      [](double x) { return std::fabs(x); },
      [](double x) { return -x; },
      [](double x) { return std::erf(x); },
      [](double x) { return x > 30 ? x : std::log1p(std::exp(x)); },
      [&](double x) { return b * (x < 0 ? a * std::expm1(x) : x); },
      [](double x) { return 1 / x; },
      [](double x) { return std::floor(x); },
      [](double x) { return std::ceil(x); },
      [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); },
      [&](double x) { return x * sigmoid(x); },
  };
  std::vector<float> x = random_floats(20000, 7);
  for (float& v : x) v *= 8;
  x[0] = 0, x[1] = kNan, x[2] = 50, x[3] = -50, x[4] = 1;
  const HostTensor in = floats(shape({200, 100}), x);
  for (int op = 0; op <= static_cast<int>(UnaryOp::silu); ++op) {
    CAPTURE(op);
    HostTensor out;
    out.shape = in.shape;
    REQUIRE(run_unary({static_cast<UnaryOp>(op), 0.3f, 0.7f}, in, &out).ok());
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = functions[op](double{x[i]}), got = out[i];
      if (std::isnan(want) || std::isinf(want)) {
        CHECK(std::isnan(want) == std::isnan(got));
        CHECK(std::isinf(want) == std::isinf(got));
        continue;
      }
      CHECK(std::isfinite(got));
      worst = std::max(worst, std::fabs(got - want) / std::max(1.0, std::fabs(want)));
    }
    CHECK(worst < 2e-6);
  }
}

TEST_CASE("unary: an absent limit lets infinities pass, NaN stays NaN") {
  const HostTensor in = floats(shape({4}), {kInf, -kInf, kNan, -2});
  HostTensor out;
  out.shape = in.shape;
  REQUIRE(run_unary({UnaryOp::clamp, 0, kNoMax}, in, &out).ok());
  CHECK(difference(out, {kInf, 0, kNan, 0}) == 0);
  CHECK(run_unary({UnaryOp::clamp, 1, 0}, in, &out).id() == 257);
  CHECK(run_unary({static_cast<UnaryOp>(77), 1, 0}, in, &out).id() == 260);
  out.shape = shape({2, 2});
  CHECK(run_unary({UnaryOp::abs, 0, 0}, in, &out).id() == 253);
}

TEST_CASE("affine: scale and bias over the last axis") {
  for (int channels : {1, 3, 64}) {
    const HostTensor in = random_tensor(shape({3, 50, 5, channels}), 8);
    const std::vector<float> scale = random_floats(channels, 9), bias = random_floats(channels, 10);
    AffineAttr attr{constant_of(scale), constant_of(bias), {Activation::clamp, 0.0f, 0.5f}};
    Node node;
    node.kind = OpKind::affine;
    node.affine = &attr;
    HostTensor out;
    out.shape = in.shape;
    OpRun run;
    run.threads = 3;
    REQUIRE(run(node, {in}, &out).ok());
    std::vector<double> want(in.count());
    for (size_t i = 0; i < want.size(); ++i)
      want[i] = clamped(double{scale[i % channels]} * in[i] + bias[i % channels], attr.clamp);
    CHECK(difference(out, want) < 1e-6);
    for (int64_t n = 0; n < 2; ++n) {  // the session's first requests for memory fail
      OpRun poor;
      poor.fail_after = n;
      const Status s = poor(node, {in}, &out);
      CHECK((s.ok() || s.id() == 258));
      CHECK((n > 0 || !s.ok()));
      CHECK(poor.leaked == 0);
    }
    attr.bias.count = 0;
    CHECK(run(node, {in}, &out).id() == 259);
  }
}

TEST_CASE("softmax: every axis, both forms, no overflow") {
  std::vector<float> x = random_floats(2 * 3 * 40 * 7, 11);
  for (float& v : x) v *= 100;
  const HostTensor in = floats(shape({2, 3, 40, 7}), x);
  for (int axis = 0; axis < 4; ++axis)
    for (bool log : {false, true}) {
      const SoftmaxAttr attr{axis, log};
      Node node;
      node.kind = OpKind::softmax;
      node.softmax = &attr;
      HostTensor out;
      out.shape = in.shape;
      OpRun run;
      run.threads = 2;
      REQUIRE(run(node, {in}, &out).ok());
      size_t inner = 1;
      for (int i = axis + 1; i < 4; ++i) inner *= static_cast<size_t>(in.shape[i]);
      const size_t extent = static_cast<size_t>(in.shape[axis]);
      std::vector<double> want(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t first = i / (extent * inner) * extent * inner + i % inner;
        double sum = 0;
        for (size_t k = 0; k < extent; ++k) sum += std::exp(double{x[first + k * inner]} - x[i]);
        want[i] = log ? -std::log(sum) : 1 / sum;
      }
      CHECK(difference(out, want) < 2e-6);
    }
  const SoftmaxAttr bad{4, false};
  Node node;
  node.kind = OpKind::softmax;
  node.softmax = &bad;
  HostTensor out;
  out.shape = in.shape;
  OpRun run;
  CHECK(run(node, {in}, &out).id() == 260);
}

}  // namespace qrt::test
