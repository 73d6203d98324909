// Operators that cut, pick, pad, repeat and resize: small ONNX models through the
// importer and the interpreter, and what is refused. ONNX's own cases run elsewhere.
#include <doctest/doctest.h>

#include <functional>

#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/lower/lower.h"
#include "converter/passes/passes.h"
#include "converter/passes/pipeline.h"
#include "tests/support/onnx_builder.h"

namespace qrt {
namespace {

using test::OnnxBuilder;
using test::set;
using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;

Result<ir::Graph> import(const OnnxBuilder& builder) {
  auto imported = import::import_onnx(builder.save("moves.onnx"), {});
  if (!imported.ok()) return imported.error();
  Result<void> done = passes::fold_constants(imported->graph);
  if (!done.ok()) return done.error();
  Result<void> good = ir::verify(imported->graph);
  if (!good.ok()) return good.error();
  return std::move(imported->graph);
}

ir::Graph imported(const OnnxBuilder& builder) {
  auto graph = import(builder);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  return std::move(*graph);
}

int refused(const OnnxBuilder& builder) {
  auto graph = import(builder);
  REQUIRE(!graph.ok());
  CHECK(graph.error().message.size() > 40);
  return graph.error().id;
}

std::vector<eval::Tensor> run(const OnnxBuilder& builder, Ints shape, Floats data) {
  const eval::Tensor x{ir::ElementType::f32, std::move(shape), std::move(data), {}};
  auto y = eval::evaluate(imported(builder), {&x, 1});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return *y;
}

// One node on input x, more inputs being initializers the test adds.
struct One : OnnxBuilder {
  One(const char* op, const Ints& dims, const std::vector<std::string>& more = {},
      int64_t opset = 13)
      : OnnxBuilder(opset) {
    input("x", dims);
    std::vector<std::string> inputs = {"x"};
    inputs.insert(inputs.end(), more.begin(), more.end());
    node(op, inputs, "y");
    output("y");
  }
  onnx::NodeProto& only() { return *graph().mutable_node(0); }
  One& with(const std::string& name, const Ints& values) {
    ints(name, {static_cast<int64_t>(values.size())}, values);
    return *this;
  }
  One& with(const std::string& name, const Floats& values) {
    floats(name, {static_cast<int64_t>(values.size())}, values);
    return *this;
  }
};

const Floats kSix = {1, 2, 3, 4, 5, 6};

TEST_CASE("Slice: both spellings, negative steps, the free batch whole") {
  One old("Slice", {2, 3}, {}, 9);
  set(old.only(), "starts", Ints{0, -2});
  set(old.only(), "ends", Ints{1, 100});
  CHECK(run(old, {2, 3}, kSix)[0].data == Floats{2, 3});

  One back("Slice", {2, 3}, {"s", "e", "a", "t"});
  back.with("s", Ints{-1}).with("e", Ints{-100}).with("a", Ints{-1}).with("t", Ints{-2});
  CHECK(run(back, {2, 3}, kSix)[0].data == Floats{3, 1, 6, 4});

  One flip("Slice", {-1, 3}, {"s", "e", "a", "t"});  // as PyTorch writes it
  flip.with("s", Ints{-1}).with("e", Ints{-INT64_MAX}).with("a", Ints{1}).with("t", Ints{-1});
  CHECK(run(flip, {2, 3}, kSix)[0].data == Floats{3, 2, 1, 6, 5, 4});

  One batch("Slice", {-1, 3}, {"s", "e"});
  batch.with("s", Ints{0, 1}).with("e", Ints{INT32_MAX, 3});
  CHECK(run(batch, {2, 3}, kSix)[0].data == Floats{2, 3, 5, 6});
  batch.graph().mutable_initializer(1)->set_int64_data(0, 1);
  CHECK(refused(batch) == 552);

  // x[:, :shape(x)[0]] asks for the batch.
  OnnxBuilder sized;
  sized.input("x", {-1, 3});
  sized.ints("zero", {1}, {0});
  sized.ints("one", {1}, {1});
  sized.node("Shape", {"x"}, "shape");
  sized.node("Gather", {"shape", "zero"}, "n");
  sized.node("Slice", {"x", "zero", "n", "one"}, "y");
  sized.output("y");
  CHECK(refused(sized) == 535);
}

TEST_CASE("Split: equal and given parts, every output by its name") {
  const auto split = [](int64_t opset, const Ints& parts) {
    OnnxBuilder b(opset);
    b.input("x", {-1, 3});
    auto& node = b.node("Split", {"x"}, "first");
    node.add_output("second");
    set(node, "axis", 1);
    if (opset < 13 && !parts.empty()) set(node, "split", parts);
    if (opset >= 13 && !parts.empty()) {
      b.ints("parts", {static_cast<int64_t>(parts.size())}, parts);
      node.add_input("parts");
    }
    b.output("second");
    b.output("first");
    return b;
  };
  for (int64_t opset : {11, 13}) {
    const auto y = run(split(opset, {1, 2}), {2, 3}, kSix);
    CHECK(y[0].data == Floats{2, 3, 5, 6});
    CHECK(y[1].data == Floats{1, 4});
    CHECK(refused(split(opset, {1, 1})) == 505);
    CHECK(refused(split(opset, {3})) == 505);
    CHECK(refused(split(opset, {4, -1})) == 505);
    CHECK(refused(split(opset, {})) == 505);  // 3 into 2
  }
  OnnxBuilder thirds;
  thirds.input("x", {3});
  auto& node = thirds.node("Split", {"x"}, "a");
  node.add_output("");
  node.add_output("c");
  thirds.output("c");
  CHECK(run(thirds, {3}, {1, 2, 3})[0].data == Floats{3});
}

TEST_CASE("Gather on data: lists that count are slices, others gather") {
  const auto gather = [](const Ints& dims, const Ints& indices) {
    OnnxBuilder b;
    b.input("x", {2, 3});
    b.ints("i", dims, indices);
    set(b.node("Gather", {"x", "i"}, "y"), "axis", 1);
    b.output("y");
    return b;
  };
  struct Case {
    Ints dims, indices;
    const char* becomes;
    Floats want;
  };
  const Case cases[] = {
      {{}, {-1}, "slice", {3, 6}},
      {{2}, {0, 2}, "slice", {1, 3, 4, 6}},
      {{3}, {2, 1, 0}, "slice", {3, 2, 1, 6, 5, 4}},
      {{3}, {0, 0, 1}, "gather", {1, 1, 2, 4, 4, 5}},
      {{2}, {1, 1}, "gather", {2, 2, 5, 5}},
      {{1, 2}, {2, 0}, "gather", {3, 1, 6, 4}},
  };
  for (const Case& c : cases) {
    const auto b = gather(c.dims, c.indices);
    CHECK(run(b, {2, 3}, kSix)[0].data == c.want);
    CHECK(ir::name_of(imported(b).nodes[0].attr) == std::string(c.becomes));
  }
  CHECK(refused(gather({1}, {3})) == 538);
  CHECK(refused(gather({}, {-4})) == 538);
}

TEST_CASE("Pad: modes, crops, whole numbers") {
  One cut("Pad", {2, 3}, {"p", "v"});
  cut.with("p", Ints{1, -1, -1, 2}).floats("v", {}, {9});
  CHECK(run(cut, {2, 3}, kSix)[0].data == Floats{9, 9, 9, 9, 2, 3, 9, 9});
  One only_cut("Pad", {2, 3}, {"p"});
  only_cut.with("p", Ints{0, -2, 0, 0});
  CHECK(run(only_cut, {2, 3}, kSix)[0].data == Floats{3, 6});
  One mirror("Pad", {3}, {"p"});
  mirror.with("p", Ints{2, 1});
  set(mirror.only(), "mode", "reflect");
  CHECK(run(mirror, {3}, {1, 2, 3})[0].data == Floats{3, 2, 1, 2, 3, 2});
  mirror.only().mutable_attribute(0)->set_s("edge");
  CHECK(run(mirror, {3}, {1, 2, 3})[0].data == Floats{1, 1, 1, 2, 3, 3});
  mirror.only().mutable_attribute(0)->set_s("wrap");
  CHECK(refused(mirror) == 514);
  One gone("Pad", {2, 3}, {"p"});
  gone.with("p", Ints{0, -2, 0, -1});
  CHECK(refused(gone) == 505);
}

TEST_CASE("Tile and Expand") {
  One tile("Tile", {-1, 2}, {"r"});
  tile.with("r", Ints{1, 2});
  CHECK(run(tile, {2, 2}, {1, 2, 3, 4})[0].data == Floats{1, 2, 1, 2, 3, 4, 3, 4});
  tile.graph().mutable_initializer(0)->set_int64_data(0, 2);
  CHECK(refused(tile) == 552);
  tile.graph().mutable_initializer(0)->set_int64_data(0, 0);
  CHECK(refused(tile) == 569);

  One expand("Expand", {2, 1}, {"s"});
  expand.with("s", Ints{2, 1, 3});
  const auto y = run(expand, {2, 1}, {1, 2});
  CHECK(y[0].shape == Ints{2, 2, 3});
  CHECK(y[0].data == Floats{1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2});
  expand.graph().mutable_initializer(0)->set_int64_data(1, 4);
  CHECK(refused(expand) == 505);

  // To the shape of something batched: the batch is the input's own.
  OnnxBuilder like;
  like.input("x", {-1, 1});
  like.floats("w", {3, 1}, {1, 10, 100});
  like.node("Gemm", {"x", "w"}, "wide").add_attribute()->CopyFrom([] {
    onnx::NodeProto n;
    set(n, "transB", 1);
    return n.attribute(0);
  }());
  like.node("Shape", {"wide"}, "shape");
  like.node("Expand", {"x", "shape"}, "y");
  like.output("y");
  CHECK(run(like, {2, 1}, {5, 6})[0].data == Floats{5, 5, 5, 6, 6, 6});
}

TEST_CASE("constants that take the free batch") {
  // The batch as exporters ask for it: shape(x)[0].
  const auto model = [](const char* op, bool second) {
    OnnxBuilder b;
    b.input("x", {-1, 1, 2});
    b.ints("zero", {1}, {0});
    b.ints("rest", {2}, {3, 1});
    b.floats("token", {1, 1, 2}, {7, 8});
    b.node("Shape", {"x"}, "shape");
    b.node("Gather", {"shape", "zero"}, "n");
    const std::vector<std::string> front = {"n", "rest"}, behind = {"rest", "n"};
    set(b.node("Concat", second ? behind : front, "target"), "axis", 0);
    const std::vector<std::string> sized = {"target"}, repeated = {"token", "target"};
    b.node(op, op == std::string("ConstantOfShape") ? sized : repeated, "many");
    b.output("many");
    return b;
  };
  const Floats x = {1, 2, 3, 4};
  const Floats two_threes = {7, 8, 7, 8, 7, 8, 7, 8, 7, 8, 7, 8};
  auto y = run(model("Expand", false), {2, 1, 2}, x);
  CHECK(y[0].shape == Ints{2, 3, 2});
  CHECK(y[0].data == two_threes);
  y = run(model("Tile", false), {2, 1, 2}, x);
  CHECK(y[0].shape == Ints{2, 3, 2});
  CHECK(y[0].data == two_threes);
  y = run(model("ConstantOfShape", false), {2, 1, 2}, x);
  CHECK(y[0].shape == Ints{2, 3, 1});
  CHECK(y[0].data == Floats(6));
  CHECK(refused(model("Expand", true)) == 536);
  CHECK(refused(model("Tile", true)) == 536);
  CHECK(refused(model("ConstantOfShape", true)) == 537);
}

TEST_CASE("expand() with -1 as PyTorch writes it, along a free batch") {
  OnnxBuilder b;
  b.input("x", {-1, 1, 2});
  b.ints("zero", {1}, {0});
  b.ints("minus", {2}, {-1, -1});
  b.ints("keep", {3}, {-1, -1, -1});
  b.ints("ones", {3}, {1, 1, 1});
  b.floats("token", {1, 1, 2}, {7, 8});
  b.node("Shape", {"x"}, "shape");
  b.node("Gather", {"shape", "zero"}, "n");
  set(b.node("Concat", {"n", "minus"}, "wanted"), "axis", 0);
  b.node("Equal", {"wanted", "keep"}, "kept");
  b.node("Where", {"kept", "ones", "wanted"}, "target");
  b.node("Expand", {"token", "target"}, "y");
  b.output("y");
  const auto y = run(b, {2, 1, 2}, {1, 2, 3, 4});
  CHECK(y[0].shape == Ints{2, 1, 2});
  CHECK(y[0].data == Floats{7, 8, 7, 8});
}

TEST_CASE("blocks of pixels to channels and back") {
  One depth("DepthToSpace", {-1, 4, 1, 2});
  set(depth.only(), "blocksize", 2);
  const Floats x = {0, 1, 10, 11, 20, 21, 30, 31};
  CHECK(run(depth, {1, 4, 1, 2}, x)[0].data == Floats{0, 10, 1, 11, 20, 30, 21, 31});
  set(depth.only(), "mode", "XYZ");
  CHECK(refused(depth) == 514);
  One space("SpaceToDepth", {1, 1, 2, 4});
  set(space.only(), "blocksize", 2);
  CHECK(run(space, {1, 1, 2, 4}, {0, 10, 1, 11, 20, 30, 21, 31})[0].data == x);
  space.only().mutable_attribute(0)->set_i(3);
  CHECK(refused(space) == 505);
  space.only().mutable_attribute(0)->set_i(0);
  CHECK(refused(space) == 505);
}

TEST_CASE("Resize: scales, sizes with the batch, and what is refused") {
  One by_scale("Resize", {-1, 1, 1, 2}, {"", "s"});
  by_scale.with("s", Floats{1, 1, 1, 2});
  set(by_scale.only(), "mode", "linear");
  CHECK(run(by_scale, {1, 1, 1, 2}, {1, 2})[0].data == Floats{1, 1.25f, 1.75f, 2});
  by_scale.graph().mutable_initializer(0)->set_float_data(0, 2);
  CHECK(refused(by_scale) == 552);
  by_scale.graph().mutable_initializer(0)->set_float_data(0, 0);
  CHECK(refused(by_scale) == 505);

  // sizes = concat(shape(x)[:2], [2, 4]), as exporters write it.
  OnnxBuilder sized;
  sized.input("x", {-1, 1, 1, 2});
  sized.ints("zero", {1}, {0});
  sized.ints("two", {1}, {2});
  sized.ints("image", {2}, {2, 4});
  sized.node("Shape", {"x"}, "shape");
  sized.node("Slice", {"shape", "zero", "two"}, "front");
  set(sized.node("Concat", {"front", "image"}, "sizes"), "axis", 0);
  auto& node = sized.node("Resize", {"x", "", "", "sizes"}, "y");
  set(node, "coordinate_transformation_mode", "asymmetric");
  set(node, "nearest_mode", "floor");
  sized.output("y");
  CHECK(run(sized, {1, 1, 1, 2}, {1, 2})[0].data == Floats{1, 1, 2, 2, 1, 1, 2, 2});
  set(node, "mode", "area");
  CHECK(refused(sized) == 514);

  One neither("Resize", {1, 1, 1, 2});
  CHECK(refused(neither) == 506);
  One old("Upsample", {1, 1, 1, 2}, {}, 7);
  auto* scales = old.only().add_attribute();
  scales->set_name("scales");
  scales->set_type(onnx::AttributeProto::FLOATS);
  for (float scale : {1.0f, 1.0f, 2.0f, 2.0f}) scales->add_floats(scale);
  CHECK(run(old, {1, 1, 1, 2}, {1, 2})[0].data == Floats{1, 1, 2, 2, 1, 1, 2, 2});
}

TEST_CASE("shapes and counts are constants, also as outputs") {
  OnnxBuilder b(15);
  b.input("x", {2, 3, 4});
  set(b.node("Shape", {"x"}, "tail"), "start", -2);
  b.node("Size", {"x"}, "size");
  b.ints("from", {}, {7});
  b.ints("to", {}, {1});
  b.ints("by", {}, {-3});
  b.node("Range", {"from", "to", "by"}, "count");
  b.floats("mask", {2, 2}, {0, 1, 2, 0});
  b.node("NonZero", {"mask"}, "places");
  for (const char* name : {"tail", "size", "count", "places"}) b.output(name);
  const auto y = run(b, {2, 3, 4}, Floats(24));
  CHECK(y[0].ints == Ints{3, 4});
  CHECK(y[1].ints == Ints{24});
  CHECK(y[2].ints == Ints{7, 4});
  CHECK(y[3].ints == Ints{0, 1, 1, 0});
  CHECK(y[3].shape == Ints{2, 2});

  CHECK(refused(One("Size", {-1, 3})) == 537);
  One endless("Relu", {1});
  endless.floats("zero", {}, {0});
  endless.floats("one", {}, {1});
  endless.node("Range", {"zero", "one", "zero"}, "z");
  endless.output("z");
  CHECK(refused(endless) == 505);
  CHECK(refused(One("NonZero", {3})) == 513);
}

TEST_CASE("Concat: parts without elements add nothing, from constants and from cuts") {
  OnnxBuilder b;
  b.input("x", {1, 4});
  b.floats("none", {1, 0}, {});
  b.ints("two", {1}, {2});
  b.ints("one", {1}, {1});
  b.node("Slice", {"x", "two", "two", "one"}, "cut");
  set(b.node("Concat", {"none", "x", "cut", "x"}, "y"), "axis", 1);
  b.output("y");
  CHECK(run(b, {1, 4}, {1, 2, 3, 4})[0].data == Floats{1, 2, 3, 4, 1, 2, 3, 4});
  auto whole = import::import_onnx(b.save("moves.onnx"), {});
  REQUIRE(whole.ok());
  REQUIRE(passes::run_pipeline(whole->graph, passes::prepare_passes()).ok());
  REQUIRE(passes::run_pipeline(whole->graph, passes::layout_passes()).ok());
  auto file = lower::lower(whole->graph);
  CHECK_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  // What has no elements itself is refused, by name.
  OnnxBuilder empty;
  empty.input("x", {1, 4});
  empty.ints("two", {1}, {2});
  empty.ints("one", {1}, {1});
  empty.node("Slice", {"x", "two", "two", "one"}, "cut");
  empty.output("cut");
  auto cut = import::import_onnx(empty.save("moves.onnx"), {});
  REQUIRE(cut.ok());
  auto none = lower::lower(cut->graph);
  REQUIRE(!none.ok());
  CHECK(none.error().message.find("value cut has shape [1,0]; dimensions must be 1 to") !=
        std::string::npos);
  CHECK(none.error().message.find("without what cuts it to nothing") != std::string::npos);
  OnnxBuilder input;
  input.input("x", {1, 0, 4});
  input.node("Relu", {"x"}, "y");
  input.output("y");
  auto free = import::import_onnx(input.save("moves.onnx"), {});
  REQUIRE(!free.ok());
  CHECK(free.error().message.find("leaves dimension 1 free (the file says 0)") !=
        std::string::npos);
}

TEST_CASE("constants of uint64 are read as int64, in either field") {
  const auto indices = [](bool raw) {
    OnnxBuilder b;
    b.input("x", {1, 4});
    if (raw) {
      const uint64_t values[] = {1, 3};
      b.raw("u", {2}, onnx::TensorProto::UINT64,
            std::string(reinterpret_cast<const char*>(values), sizeof values));
    } else {
      auto& u = b.raw("u", {2}, onnx::TensorProto::UINT64, "");
      u.clear_raw_data();
      u.add_uint64_data(1), u.add_uint64_data(3);
    }
    set(b.node("Cast", {"u"}, "i"), "to", onnx::TensorProto::INT64);
    set(b.node("Gather", {"x", "i"}, "y"), "axis", 1);
    b.output("y");
    return b;
  };
  for (const bool raw : {false, true})
    CHECK(run(indices(raw), {1, 4}, {1, 2, 3, 4})[0].data == Floats{2, 4});
}

}  // namespace
}  // namespace qrt
