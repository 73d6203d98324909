// Networks of integers in ONNX: pairs of QuantizeLinear and DequantizeLinear, operators
// that name their grids, and exact products; small models against hand-made numbers.
#include <doctest/doctest.h>

#include "tests/support/onnx_run.h"

namespace qrt {
namespace {

using test::Floats;
using test::OnnxBuilder;
using test::refusal;
using test::run;
using test::set;

constexpr int kU8 = onnx::TensorProto::UINT8, kI8 = onnx::TensorProto::INT8;

std::string bytes(const std::vector<int>& values) {
  return {values.begin(), values.end()};
}

// Scales and zero points s, z (u8: 0.5, 3), t, y (u8: 0.25, 10).
OnnxBuilder with_grids() {
  OnnxBuilder b;
  b.floats("s", {}, {0.5f});
  b.raw("z", {}, kU8, bytes({3}));
  b.floats("t", {}, {0.25f});
  b.raw("y0", {}, kU8, bytes({10}));
  return b;
}

std::vector<int64_t> ints_of(const OnnxBuilder& b, const std::vector<eval::Tensor>& in) {
  const ir::Graph g = test::folded(b);
  auto y = eval::evaluate(g, in);
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return (*y)[0].ints;
}

eval::Tensor floats(std::vector<int64_t> shape, Floats data) {
  return {ir::ElementType::f32, std::move(shape), std::move(data), {}};
}
eval::Tensor u8(std::vector<int64_t> shape, std::vector<int64_t> data) {
  return {ir::ElementType::u8, std::move(shape), {}, std::move(data)};
}

TEST_CASE("a pair of quantize and dequantize is one FakeQuantize") {
  OnnxBuilder b = with_grids();
  b.input("x", {1, 5});
  b.node("QuantizeLinear", {"x", "s", "z"}, "q");
  b.node("Reshape", {"q", "shape"}, "r");
  b.ints("shape", {1}, {5});
  b.node("DequantizeLinear", {"r", "s", "z"}, "y");
  b.output("y");
  const ir::Graph g = test::folded(b);
  REQUIRE(g.nodes.size() == 2);
  CHECK(std::holds_alternative<ir::FakeQuantize>(g.nodes[0].attr));
  CHECK(std::holds_alternative<ir::Reshape>(g.nodes[1].attr));
  // 0.25 / 0.5 is half way: to even, then the zero point.
  CHECK(run(b, {1, 5}, {0.25f, 0.75f, -9, 1000, 1.3f}) == Floats{0, 1, -1.5f, 126, 1.5f});
}

TEST_CASE("the integers of a grid are made where they are read") {
  OnnxBuilder b = with_grids();
  b.input("x", {4});
  b.node("QuantizeLinear", {"x", "s", "z"}, "q");
  b.output("q");
  CHECK(ints_of(b, {floats({4}, {0.25f, 0.75f, -9, 1000})}) == std::vector<int64_t>{3, 5, 0, 255});
  // Another scale and zero point than it was made with, as some exporters write.
  OnnxBuilder other = with_grids();
  other.input("x", {4});
  other.node("QuantizeLinear", {"x", "s", "z"}, "q");
  other.node("DequantizeLinear", {"q", "t", "y0"}, "y");
  other.output("y");
  CHECK(run(other, {4}, {0.25f, 0.75f, -9, 1000}) == Floats{-1.75f, -1.25f, -2.5f, 61.25f});
}

TEST_CASE("grids along an axis, signed and without a zero point") {
  OnnxBuilder b;
  b.input("x", {1, 2, 2});
  b.floats("s", {2}, {1, 0.5f});
  b.raw("z", {2}, kI8, bytes({0, -128}));
  onnx::NodeProto& q = b.node("QuantizeLinear", {"x", "s", "z"}, "q");
  set(q, "axis", -1);
  set(b.node("DequantizeLinear", {"q", "s", "z"}, "y"), "axis", 2);
  b.output("y");
  CHECK(run(b, {1, 2, 2}, {200, 200, -1.5f, 0.3f}) == Floats{127, 127.5f, -2, 0.5f});
  OnnxBuilder none;
  none.input("x", {3});
  none.floats("s", {1}, {2});
  none.node("QuantizeLinear", {"x", "s"}, "y");
  none.output("y");
  CHECK(ints_of(none, {floats({3}, {-4, 5, 600})}) == std::vector<int64_t>{0, 2, 255});
}

TEST_CASE("QLinearConv: padding is the zero point, scales by output, int32 bias") {
  OnnxBuilder b = with_grids();
  b.input("x", {1, 1, 2, 2}, kU8);
  b.raw("w", {2, 1, 2, 2}, kI8, bytes({1, -1, 2, 0, 1, 1, 1, 1}));
  b.floats("ws", {2}, {0.5f, 1});
  b.raw("wz", {2}, kI8, bytes({0, 1}));
  const int32_t bias[] = {4, -2};
  b.raw("bias", {2}, onnx::TensorProto::INT32,
        std::string(reinterpret_cast<const char*>(bias), sizeof bias));
  onnx::NodeProto& conv =
      b.node("QLinearConv", {"x", "s", "z", "w", "ws", "wz", "t", "y0", "bias"}, "q");
  set(conv, "pads", std::vector<int64_t>{0, 0, 1, 0});
  b.output("q");
  // x - 3 = {1, 2, 3, -3}; output 0 over 0.25: (1 - 2 + 6 + 4), then (3 + 3 + 4); output 1 has no
  // weight left but its bias of -2 over 0.5.
  CHECK(ints_of(b, {u8({1, 1, 2, 2}, {4, 5, 6, 0})}) == std::vector<int64_t>{19, 20, 6, 6});
}

TEST_CASE("QLinearMatMul, sums, averages and parts of com.microsoft") {
  OnnxBuilder b = with_grids();
  b.input("x", {1, 2}, kU8);
  b.raw("w", {2, 2}, kI8, bytes({1, 2, 3, -4}));
  b.floats("ws", {2}, {1, 0.5f});
  b.raw("wz", {2}, kI8, bytes({0, 0}));
  b.node("QLinearMatMul", {"x", "s", "z", "w", "ws", "wz", "t", "y0"}, "q");
  b.node("QLinearAdd", {"q", "t", "y0", "x", "s", "z", "s", "z"}, "a").set_domain("com.microsoft");
  b.output("a");
  // {1, 2}: {7, -6} halves of {1, 0.5}: {3.5, -1.5}; with {0.5, 1} on the grid of halves: {4,
  // -0.5}.
  CHECK(ints_of(b, {u8({1, 2}, {4, 5})}) == std::vector<int64_t>{11, 2});

  OnnxBuilder pool = with_grids();
  pool.input("x", {1, 2, 1, 2}, kU8);
  pool.node("QLinearGlobalAveragePool", {"x", "s", "z", "t", "y0"}, "p")
      .set_domain("com.microsoft");
  onnx::NodeProto& join =
      pool.node("QLinearConcat", {"s", "z", "p", "t", "y0", "p", "t", "y0"}, "q");
  join.set_domain("com.microsoft");
  set(join, "axis", 1);
  pool.output("q");
  CHECK(ints_of(pool, {u8({1, 2, 1, 2}, {4, 7, 9, 3})}) == std::vector<int64_t>{5, 6, 5, 6});
  set(*pool.graph().mutable_node(0), "channels_last", 1);
  CHECK(refusal(pool) == 514);
}

TEST_CASE("QGemm: with a grid of its own, and as floats") {
  for (const bool to_floats : {false, true}) {
    OnnxBuilder b = with_grids();
    b.input("x", {1, 2}, kU8);
    b.raw("w", {2, 2}, kI8, bytes({1, 3, 2, -4}));
    b.floats("ws", {}, {0.5f});
    b.raw("wz", {}, kI8, bytes({0}));
    const int32_t bias[] = {4, -2};
    b.raw("c", {2}, onnx::TensorProto::INT32,
          std::string(reinterpret_cast<const char*>(bias), sizeof bias));
    std::vector<std::string> in = {"x", "s", "z", "w", "ws", "wz", "c"};
    if (!to_floats) in.insert(in.end(), {"t", "y0"});
    onnx::NodeProto& gemm = b.node("QGemm", in, "q");
    gemm.set_domain("com.microsoft");
    set(gemm, "transB", 1);
    set(gemm, "alpha", 2.0f);
    b.output("q");
    // {1, 2} times {1, 3} and {2, -4}: 7 and -6, with the bias 11 and -8, over 2.
    if (to_floats)
      CHECK(run(b, {u8({1, 2}, {4, 5})}) == Floats{5.5f, -4});
    else
      CHECK(ints_of(b, {u8({1, 2}, {4, 5})}) == std::vector<int64_t>{32, 0});
  }
}

TEST_CASE("integer products are exact however long the sum") {
  for (const int64_t terms : {3, 1000}) {
    OnnxBuilder b;
    b.input("x", {1, terms}, kU8);
    b.raw("w", {terms, 1}, kU8, std::string(static_cast<size_t>(terms), '\xff'));
    b.raw("xz", {}, kU8, bytes({1}));
    b.node("MatMulInteger", {"x", "w", "xz"}, "y");
    b.output("y");
    CHECK(ints_of(b, {u8({1, terms}, std::vector<int64_t>(static_cast<size_t>(terms), 255))}) ==
          std::vector<int64_t>{254 * 255 * terms});
    OnnxBuilder c;
    c.input("x", {1, terms, 2, 1}, kU8);
    c.raw("w", {1, terms, 2, 1}, kI8, std::string(static_cast<size_t>(terms * 2), '\x80'));
    c.node("ConvInteger", {"x", "w"}, "y");
    c.output("y");
    const std::vector<int64_t> full(static_cast<size_t>(terms * 2), 255);
    CHECK(ints_of(c, {u8({1, terms, 2, 1}, full)}) == std::vector<int64_t>{-128 * 255 * 2 * terms});
  }
}

TEST_CASE("grids that make no sense are refused") {
  const auto id = [](const char* op, const std::vector<float>& scale, int zero, int type,
                     const std::vector<int64_t>& shape) {
    OnnxBuilder b;
    b.input("x", {2, 3}, std::string(op) == "QuantizeLinear" ? onnx::TensorProto::FLOAT : type);
    b.floats("s", shape, scale);
    b.raw("z", {}, type, std::string(type == kU8 || type == kI8 ? 1 : 4, static_cast<char>(zero)));
    b.node(op, {"x", "s", "z"}, "y");
    b.output("y");
    return refusal(b);
  };
  for (const char* op : {"QuantizeLinear", "DequantizeLinear"}) {
    CHECK(id(op, {1}, 0, kU8, {}) == 0);
    CHECK(id(op, {0}, 0, kU8, {}) == 520);
    CHECK(id(op, {-1}, 0, kI8, {}) == 520);
    CHECK(id(op, {1, 1}, 0, kU8, {2}) == 523);
    CHECK(id(op, {1, 1, 0}, 0, kU8, {3}) == 520);
  }
  CHECK(id("QuantizeLinear", {1}, 0, onnx::TensorProto::INT32, {}) == 523);
}

}  // namespace
}  // namespace qrt
