// Shape arithmetic as exporters write it, with a free batch: it must fold away.
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
using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

// Imports, folds and runs on x.
Floats run(const OnnxBuilder& builder, Ints shape, Floats data) {
  auto imported = import::import_onnx(builder.save("exporters.onnx"), {});
  REQUIRE_MESSAGE(imported.ok(), imported.error().message);
  ir::Graph graph = std::move(imported->graph);
  REQUIRE(passes::fold_constants(graph).ok());
  REQUIRE(ir::verify(graph).ok());
  const eval::Tensor x{ir::ElementType::f32, std::move(shape), std::move(data), {}};
  auto y = eval::evaluate(graph, {&x, 1});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return (*y)[0].data;
}

// PyTorch lists pads from the last dimension on; its exporter turns them round with nodes: rows of
// (before, after), a Slice that runs backwards to INT64_MIN + 1, a Transpose.
TEST_CASE("exporters: pads turned round by nodes, free batch") {
  OnnxBuilder builder(13);
  builder.input("x", {-1, 1, 1, 2});
  builder.ints("torch", {4, 2}, {1, 2, 0, 1, 0, 0, 0, 0});  // width, height, channel, batch
  builder.ints("starts", {1}, {-1});
  builder.ints("ends", {1}, {INT64_MIN + 1});
  builder.ints("axes", {1}, {0});
  builder.ints("steps", {1}, {-1});
  builder.ints("flat", {1}, {-1});
  builder.node("Slice", {"torch", "starts", "ends", "axes", "steps"}, "turned");
  set(builder.node("Transpose", {"turned"}, "columns"), "perm", Ints{1, 0});
  builder.node("Reshape", {"columns", "flat"}, "list");
  set(builder.node("Cast", {"list"}, "pads"), "to", 7);
  builder.node("Pad", {"x", "pads"}, "y");
  builder.output("y");
  CHECK(run(builder, {2, 1, 1, 2}, {1, 2, 3, 4}) ==
        Floats{0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0});
}

// x.view(x.size(0), -1) and x.view(n, 2, c // 2, w).
TEST_CASE("exporters: targets of a view computed from the size, free batch") {
  OnnxBuilder builder(13);
  builder.input("x", {-1, 4, 2});
  for (const char* at : {"0", "1", "2"}) {
    builder.ints(std::string("i") + at, {}, {at[0] - '0'});
    builder.node("Shape", {"x"}, std::string("shape") + at);
    set(builder.node("Gather", {std::string("shape") + at, std::string("i") + at},
                     std::string("size") + at),
        "axis", 0);
  }
  builder.ints("two", {}, {2});
  builder.ints("zero", {1}, {0});
  builder.ints("two_list", {1}, {2});
  builder.node("Div", {"size1", "two"}, "half");
  builder.node("Unsqueeze", {"size0", "zero"}, "n");
  builder.node("Unsqueeze", {"half", "zero"}, "c");
  builder.node("Unsqueeze", {"size2", "zero"}, "w");
  set(builder.node("Concat", {"n", "two_list", "c", "w"}, "target"), "axis", 0);
  builder.node("Reshape", {"x", "target"}, "groups");
  set(builder.node("Transpose", {"groups"}, "y"), "perm", Ints{0, 2, 1, 3});
  builder.output("y");
  CHECK(run(builder, {1, 4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}) == Floats{1, 2, 5, 6, 3, 4, 7, 8});
}

// Only where somebody reads it: exporters name the mask of every Dropout.
TEST_CASE("exporters: the mask of a Dropout needs a fixed batch where it is read") {
  OnnxBuilder builder(13);
  builder.input("x", {-1, 2});
  builder.node("Dropout", {"x"}, "kept").add_output("mask");
  builder.node("Neg", {"kept"}, "y");
  builder.output("y");
  CHECK(run(builder, {2, 2}, {1, 2, 3, 4}) == Floats{-1, -2, -3, -4});
  builder.output("mask");
  const auto refused = import::import_onnx(builder.save("exporters.onnx"), {});
  REQUIRE(!refused.ok());
  CHECK(refused.error().id == 514);
  const auto fixed = import::import_onnx(builder.save("exporters.onnx"), {{{"x", {2, 2}}}});
  CHECK(fixed.ok());
}

}  // namespace
}  // namespace qrt
