// QONNX's quantizers: what they compute, in every domain they are met in, and what is
// refused, all of it in one message.
#include <doctest/doctest.h>

#include "tests/support/onnx_run.h"

namespace qrt {
namespace {

using test::Floats;
using test::OnnxBuilder;
using test::refusal;
using test::run;
using test::set;

struct QuantCase {
  Floats scale = {1}, zero = {0}, bits = {3};
  std::vector<int64_t> shape = {};  // of scale and zero
  int is_signed = 1, narrow = 0;
  const char* rounding = "ROUND";
  const char* domain = "qonnx.custom_op.general";
  const char* op = "Quant";
};

OnnxBuilder quant(const QuantCase& c, const std::vector<int64_t>& dims) {
  OnnxBuilder b;
  b.input("x", dims);
  b.floats("s", c.scale.size() > 1 ? c.shape : std::vector<int64_t>{}, c.scale);
  b.floats("z", c.zero.size() > 1 ? c.shape : std::vector<int64_t>{}, c.zero);
  b.floats("b", {}, c.bits);
  onnx::NodeProto& node = b.node(c.op, {"x", "s", "z", "b"}, "y");
  node.set_domain(c.domain);
  set(node, "signed", c.is_signed);
  set(node, "narrow", c.narrow);
  if (*c.rounding) set(node, "rounding_mode", c.rounding);
  b.output("y");
  return b;
}

const Floats kX = {-9, -2.5f, -1.5f, -0.4f, 0, 0.5f, 1.5f, 2.6f, 9};

Floats quantized(const QuantCase& c) {
  return run(quant(c, {1, 9}), {1, 9}, kX);
}

TEST_CASE("Quant: levels of signed, unsigned and narrow grids") {
  CHECK(quantized({}) == Floats{-4, -2, -2, 0, 0, 0, 2, 3, 3});
  CHECK(quantized({.narrow = 1}) == Floats{-3, -2, -2, 0, 0, 0, 2, 3, 3});
  CHECK(quantized({.is_signed = 0}) == Floats{0, 0, 0, 0, 0, 0, 2, 3, 7});
  CHECK(quantized({.is_signed = 0, .narrow = 1}) == Floats{0, 0, 0, 0, 0, 0, 2, 3, 6});
  CHECK(quantized({.scale = {0.5f}, .zero = {1}}) ==
        Floats{-2.5f, -2.5f, -1.5f, -0.5f, 0, 0.5f, 1, 1, 1});
  CHECK(quantized({.bits = {1}, .is_signed = 0}) == Floats{0, 0, 0, 0, 0, 0, 1, 1, 1});
  CHECK(quantized({.scale = {0.25f}, .bits = {1}}) ==
        Floats{-0.25f, -0.25f, -0.25f, -0.25f, 0.25f, 0.25f, 0.25f, 0.25f, 0.25f});
  CHECK(quantized({.bits = {16}}) == Floats{-9, -2, -2, 0, 0, 0, 2, 3, 9});
}

TEST_CASE("Quant: every rounding mode, in any case") {
  CHECK(quantized({.rounding = ""}) == Floats{-4, -2, -2, 0, 0, 0, 2, 3, 3});
  CHECK(quantized({.rounding = "HALF_EVEN"}) == Floats{-4, -2, -2, 0, 0, 0, 2, 3, 3});
  CHECK(quantized({.rounding = "half_up"}) == Floats{-4, -3, -2, 0, 0, 1, 2, 3, 3});
  CHECK(quantized({.rounding = "HALF_DOWN"}) == Floats{-4, -2, -1, 0, 0, 0, 1, 3, 3});
  CHECK(quantized({.rounding = "floor"}) == Floats{-4, -3, -2, -1, 0, 0, 1, 2, 3});
  CHECK(quantized({.rounding = "CEIL"}) == Floats{-4, -2, -1, 0, 0, 1, 2, 3, 3});
  CHECK(quantized({.rounding = "UP"}) == Floats{-4, -3, -2, -1, 0, 1, 2, 3, 3});
  CHECK(quantized({.rounding = "DOWN"}) == Floats{-4, -2, -1, 0, 0, 0, 1, 2, 3});
}

TEST_CASE("Quant: every domain, with or without an import") {
  for (const char* domain :
       {"", "ai.onnx", "onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general"})
    for (const bool imports : {false, true}) {
      OnnxBuilder b = quant({.domain = domain}, {1, 9});
      if (imports && *domain) {
        auto* entry = b.model.add_opset_import();
        entry->set_domain(domain);
        entry->set_version(1);
      }
      CHECK(run(b, {1, 9}, kX) == Floats{-4, -2, -2, 0, 0, 0, 2, 3, 3});
    }
  CHECK(quantized({.op = "IntQuant"}) == Floats{-4, -2, -2, 0, 0, 0, 2, 3, 3});
  CHECK(refusal(quant({.domain = "com.microsoft"}, {1, 9})) == 504);
}

TEST_CASE("Quant: one scale along any axis of the data") {
  const Floats x = {0.3f, 0.6f, 0.9f, 1.2f, 1.5f, 1.8f};
  const auto along = [&](std::vector<int64_t> shape, Floats scale) {
    return run(quant({.scale = scale, .bits = {4}, .shape = shape}, {1, 2, 3}), {1, 2, 3}, x);
  };
  CHECK(along({1, 2, 1}, {1, 0.5f}) == Floats{0, 1, 1, 1, 1.5f, 2});
  CHECK(along({3}, {1, 0.5f, 0.25f}) == Floats{0, 0.5f, 1, 1, 1.5f, 1.75f});
  CHECK(refusal(quant({.scale = Floats(6, 1), .shape = {2, 3}}, {1, 2, 3})) == 523);
  CHECK(refusal(quant({.scale = {1, 1}, .shape = {2}}, {1, 2, 3})) == 523);
}

TEST_CASE("Quant of constants folds, a bias of many bits too") {
  OnnxBuilder b;
  b.input("x", {-1, 2});
  b.floats("w", {3, 2}, {0.2f, -0.6f, 3, -9, 0.5f, 1.5f});
  b.floats("s", {3, 1}, {0.5f, 1, 1});
  b.floats("c", {3}, {1e6f, 0.3f, -0.3f});
  b.floats("cs", {1}, {0.25f});
  b.floats("one", {}, {1});
  b.floats("zero", {}, {0});
  b.floats("three", {}, {3});
  b.floats("bits", {}, {20});
  b.node("Quant", {"w", "s", "zero", "three"}, "wq");
  b.node("Ceil", {"bits"}, "computed");
  b.node("Quant", {"c", "cs", "zero", "computed"}, "cq");
  b.node("Transpose", {"wq"}, "wt");
  b.node("MatMul", {"x", "wt"}, "m");
  b.node("Add", {"m", "cq"}, "y");
  b.output("y");
  const ir::Graph g = test::folded(b);
  REQUIRE(g.nodes.size() == 2);
  // 20 signed bits end at 524287, a quarter of which is 131071.75.
  CHECK(run(b, {1, 2}, {1, 10}) == Floats{131066.75f, -37 + 0.25f, 20 - 0.25f});
}

TEST_CASE("BipolarQuant: 0 is above, per tensor and per channel") {
  OnnxBuilder b;
  b.input("x", {1, 2, 2});
  b.floats("s", {2, 1}, {0.5f, 3});
  b.node("BipolarQuant", {"x", "s"}, "y").set_domain("onnx.brevitas");
  b.output("y");
  CHECK(run(b, {1, 2, 2}, {0, -0.1f, 7, -7}) == Floats{0.5f, -0.5f, 3, -3});
  OnnxBuilder one;
  one.input("x", {4});
  one.floats("s", {1}, {0.1f});
  one.node("BipolarQuant", {"x", "s"}, "y");
  one.output("y");
  CHECK(run(one, {4}, {-0.0f, -0.1f, 7, -7}) == Floats{0.1f, -0.1f, 0.1f, -0.1f});
}

OnnxBuilder multi_threshold(const std::vector<int64_t>& shape, const Floats& thresholds,
                            const char* layout) {
  OnnxBuilder b;
  b.input("x", {1, 2, 2, 2});
  b.floats("t", shape, thresholds);
  onnx::NodeProto& node = b.node("MultiThreshold", {"x", "t"}, "y");
  node.set_domain("finn.custom_op.general");
  set(node, "out_scale", 0.5f);
  set(node, "out_bias", -1.0f);
  set(node, "out_dtype", "UINT2");
  set(node, "data_layout", layout);
  b.output("y");
  return b;
}

TEST_CASE("MultiThreshold: channels first and last, one row or many") {
  const Floats x = {-1, 0, 1, 2, 3, 4, 5, 6};
  const auto of = [&](std::vector<int64_t> shape, Floats t, const char* layout) {
    return run(multi_threshold(shape, t, layout), {1, 2, 2, 2}, x);
  };
  CHECK(of({2, 2}, {0, 2, 3, 6}, "NCHW") == Floats{-1, -0.5f, -0.5f, 0, -0.5f, -0.5f, -0.5f, 0});
  CHECK(of({2, 2}, {0, 2, 3, 6}, "NHWC") == Floats{-1, -1, -0.5f, -1, 0, -0.5f, 0, 0});
  CHECK(of({1, 3}, {0, 0, 4}, "NCHW") == Floats{-1, 0, 0, 0, 0, 0.5f, 0.5f, 0.5f});
  CHECK(refusal(multi_threshold({2, 2}, {0, 2, 6, 3}, "NCHW")) == 522);
  CHECK(refusal(multi_threshold({3, 1}, {0, 2, 6}, "NCHW")) == 523);
  CHECK(refusal(multi_threshold({1, 1}, {0}, "CHWN")) == 523);
}

TEST_CASE("Trunc: both versions") {
  OnnxBuilder b;
  b.input("x", {6});
  b.floats("s", {}, {0.25f});
  b.floats("z", {}, {0});
  b.floats("from", {}, {8});
  b.floats("to", {}, {6});
  b.node("Trunc", {"x", "s", "z", "from", "to"}, "y").set_domain("qonnx.custom_op.general");
  b.output("y");
  // 16 quarters are 4 after two bits are cut, and the scale stays.
  CHECK(run(b, {6}, {4, 4.75f, -0.25f, 0.3f, -8, 0}) == Floats{1, 1, -0.25f, 0, -2, 0});
  set(*b.graph().mutable_node(0), "rounding_mode", "ROUND");
  CHECK(run(b, {6}, {4, 4.75f, -0.25f, 0.3f, -8, 0}) == Floats{1, 1.25f, 0, 0, -2, 0});
  OnnxBuilder two = b;
  two.graph().clear_node();
  two.floats("s2", {}, {1});
  two.floats("z2", {}, {0});
  two.floats("bits", {}, {3});
  two.node("Trunc", {"x", "s", "z", "from", "s2", "z2", "bits"}, "y");
  CHECK(run(two, {6}, {4, 4.75f, -0.25f, 0.3f, -8, 0}) == Floats{3, 3, -1, 0, -4, 0});
}

TEST_CASE("what a quantizer cannot be is refused") {
  const auto id = [](const QuantCase& c) { return refusal(quant(c, {1, 9})); };
  CHECK(id({}) == 0);
  CHECK(id({.rounding = "STOCHASTIC"}) == 517);
  CHECK(id({.bits = {0}}) == 518);
  CHECK(id({.bits = {17}}) == 518);
  CHECK(id({.bits = {2.5f}}) == 518);
  CHECK(id({.bits = {1}, .is_signed = 0, .narrow = 1}) == 518);
  CHECK(id({.scale = {0}}) == 520);
  CHECK(id({.scale = {-1}}) == 520);
  CHECK(id({.scale = {1e-41f}}) == 520);
  CHECK(id({.scale = {3.4028234e38f}}) == 520);
  CHECK(id({.scale = {std::nanf("")}}) == 509);
  CHECK(id({.zero = {4}}) == 521);
  CHECK(id({.zero = {-5}}) == 521);
  CHECK(id({.zero = {1}, .bits = {1}}) == 521);
  OnnxBuilder computed;
  computed.input("x", {1, 4});
  computed.input("s", {});
  computed.floats("z", {}, {0});
  computed.floats("b", {}, {4});
  computed.node("Quant", {"x", "s", "z", "b"}, "y");
  computed.output("y");
  CHECK(refusal(computed) == 519);
  OnnxBuilder integers = quant({}, {1, 9});
  integers.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT32);
  CHECK(refusal(integers) == 523);
}

TEST_CASE("one message names every quantizer at fault") {
  OnnxBuilder b;
  b.input("x", {1, 4});
  for (const auto& [name, value] : std::vector<std::pair<std::string, float>>{
           {"s", 1}, {"s0", 0}, {"z", 0}, {"b", 4}, {"b0", 40}})
    b.floats(name, {}, {value});
  b.floats("t", {1, 2}, {2, 1});
  b.node("Quant", {"x", "s0", "z", "b"}, "zero_scale");
  b.node("Quant", {"x", "s", "z", "b0"}, "too_wide");
  set(b.node("Quant", {"x", "s", "z", "b"}, "odd_mode"), "rounding_mode", "SOMEHOW");
  b.node("MultiThreshold", {"x", "t"}, "falling");
  b.node("Add", {"zero_scale", "too_wide"}, "y");
  b.output("y");
  const auto result = import::import_onnx(b.save("quantizers.onnx"), {});
  REQUIRE(!result.ok());
  for (const char* text : {"4 of 5 nodes", "zero_scale", "too_wide", "odd_mode", "falling",
                           "'SOMEHOW'", "its scale 0 is 0", "is 40", "do not ascend"})
    CHECK_MESSAGE(result.error().message.find(text) != std::string::npos, text,
                  result.error().message);
}

}  // namespace
}  // namespace qrt
