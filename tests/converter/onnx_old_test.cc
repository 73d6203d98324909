// Forms of operators before opset 7: what they become, and which are refused.
#include <doctest/doctest.h>

#include <string>

#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/passes/passes.h"
#include "tests/support/onnx_builder.h"

namespace qrt {
namespace {

using test::OnnxBuilder;
using test::set;
using Floats = std::vector<float>;

// A node of `op` on x (2 x 3 x 2) and the constant c, in `opset`.
OnnxBuilder two(const char* op, int64_t opset, const std::vector<int64_t>& dims, Floats c) {
  OnnxBuilder builder(opset);
  builder.input("x", {2, 3, 2});
  builder.floats("c", dims, c);
  builder.node(op, {"x", "c"}, "y");
  builder.output("y");
  return builder;
}

// The outputs for x = -6, -5, ..., 5; empty where refused, with the reason in `why`.
Floats run(const OnnxBuilder& builder, std::string* why = nullptr) {
  auto imported = import::import_onnx(builder.save("old.onnx"), {});
  if (!imported.ok()) {
    if (why) *why = imported.error().message;
    return {};
  }
  ir::Graph graph = std::move(imported->graph);
  REQUIRE(passes::fold_constants(graph).ok());
  REQUIRE(ir::verify(graph).ok());
  eval::Tensor x{ir::ElementType::f32, {2, 3, 2}, {}, {}};
  for (int i = -6; i < 6; ++i) x.data.push_back(static_cast<float>(i));
  auto y = eval::evaluate(graph, {&x, 1});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return (*y)[0].data;
}

TEST_CASE("old opsets: axis says where a broadcast operand starts") {
  auto add = two("Add", 6, {3}, {10, 20, 30});
  set(*add.graph().mutable_node(0), "broadcast", 1);
  set(*add.graph().mutable_node(0), "axis", 1);
  CHECK(run(add) == Floats{4, 5, 16, 17, 28, 29, 10, 11, 22, 23, 34, 35});
  // Dimensions 0 and 1 of x.
  auto mul = two("Mul", 6, {2, 3}, {1, 2, 3, 4, 5, 6});
  set(*mul.graph().mutable_node(0), "broadcast", 1);
  set(*mul.graph().mutable_node(0), "axis", 0);
  CHECK(run(mul) == Floats{-6, -5, -8, -6, -6, -3, 0, 4, 10, 15, 24, 30});
  // Without an axis the last dimensions, as since opset 7.
  auto sub = two("Sub", 6, {2}, {1, 2});
  set(*sub.graph().mutable_node(0), "broadcast", 1);
  CHECK(run(sub) == Floats{-7, -7, -5, -5, -3, -3, -1, -1, 1, 1, 3, 3});
}

TEST_CASE("old opsets: an axis out of range is refused") {
  for (const int64_t axis : {int64_t{3}, int64_t{-1}, INT64_MIN, INT64_MAX}) {
    auto add = two("Add", 6, {3}, {10, 20, 30});
    set(*add.graph().mutable_node(0), "broadcast", 1);
    set(*add.graph().mutable_node(0), "axis", axis);
    std::string why;
    CHECK(run(add, &why).empty());
    CHECK_MESSAGE(why.find("axis is") != std::string::npos, why);
  }
}

TEST_CASE("old opsets: the slopes of PRelu belong to channels") {
  CHECK(run(two("PRelu", 6, {3}, {10, 100, 1000})) ==
        Floats{-60, -50, -400, -300, -2000, -1000, 0, 1, 2, 3, 4, 5});
  CHECK(run(two("PRelu", 6, {1}, {2})) == Floats{-12, -10, -8, -6, -4, -2, 0, 1, 2, 3, 4, 5});
}

TEST_CASE("old opsets: batch norm and dropout must say that they infer") {
  OnnxBuilder builder(6);
  builder.input("x", {2, 3, 2});
  onnx::NodeProto& node = builder.node("Dropout", {"x"}, "y");
  builder.output("y");
  std::string why;
  CHECK(run(builder, &why).empty());
  CHECK_MESSAGE(why.find("training") != std::string::npos, why);
  set(node, "is_test", 1);
  CHECK(run(builder) == Floats{-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5});
}

TEST_CASE("old opsets: a form that is not read is refused by name") {
  OnnxBuilder builder(1);
  builder.input("x", {2, 3, 2});
  set(builder.node("Selu", {"x"}, "y"), "alpha", 1.5f);
  builder.output("y");
  std::string why;
  CHECK(run(builder, &why).empty());
  CHECK_MESSAGE(why.find("before opset 6") != std::string::npos, why);
}

}  // namespace
}  // namespace qrt
