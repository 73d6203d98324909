// Elementwise operators, comparisons, reductions and normalizations: one ONNX node
// each, through import, passes and the file, run by the interpreter and by the
// runtime. Both must give the numbers of ONNX's definition.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "converter/emit/emit.h"
#include "converter/import/onnx.h"
#include "converter/ir/edit.h"
#include "converter/passes/pipeline.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/run_file.h"

namespace qrt {
namespace {

using eval::Tensor;
using test::OnnxBuilder;
using test::set;
using Dims = std::vector<int64_t>;
using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;
using Attributes = std::function<void(onnx::NodeProto&)>;

constexpr int32_t kFloat = onnx::TensorProto::FLOAT, kInt64 = onnx::TensorProto::INT64,
                  kInt32 = onnx::TensorProto::INT32, kBool = onnx::TensorProto::BOOL,
                  kUint8 = onnx::TensorProto::UINT8;

Tensor floats(Dims shape, Floats data) {
  return {ir::ElementType::f32, std::move(shape), std::move(data), {}};
}
Tensor ints(Dims shape, Ints data, int32_t type = kInt64) {
  return {*ir::element_type_of_onnx(type), std::move(shape), {}, std::move(data)};
}

// One node whose inputs x0, x1, ... are the model's.
OnnxBuilder one(const char* op, const std::vector<std::pair<Dims, int32_t>>& inputs,
                const Attributes& attributes = {}, int64_t opset = 13, int outputs = 1) {
  OnnxBuilder builder(opset);
  std::vector<std::string> names;
  for (const auto& [dims, type] : inputs) {
    names.push_back("x" + std::to_string(names.size()));
    builder.input(names.back(), dims, type);
  }
  onnx::NodeProto& node = builder.node(op, names, "y0");
  for (int k = 1; k < outputs; ++k) node.add_output("y" + std::to_string(k));
  if (attributes) attributes(node);
  for (int k = 0; k < outputs; ++k) builder.output("y" + std::to_string(k));
  return builder;
}

void check_close(const Tensor& got, const Tensor& want) {
  CHECK(got.shape == want.shape);
  CHECK(got.ints == want.ints);
  REQUIRE(got.data.size() == want.data.size());
  for (size_t i = 0; i < want.data.size(); ++i) {
    CAPTURE(i);
    const float g = got.data[i], w = want.data[i];
    CHECK(((std::isnan(g) && std::isnan(w)) || g == w ||
           std::abs(g - w) <= 2e-6f * std::max(1.0f, std::abs(w))));
  }
}

// The outputs by the interpreter before the layout passes, which those of the file must equal.
std::vector<Tensor> run(const OnnxBuilder& builder, const std::vector<Tensor>& inputs) {
  auto imported = import::import_onnx_bytes(builder.model.SerializeAsString(), "test.onnx", {});
  REQUIRE_MESSAGE(imported.ok(), imported.error().message);
  ir::Graph& graph = imported->graph;
  auto prepared = passes::run_pipeline(graph, passes::prepare_passes());
  REQUIRE_MESSAGE(prepared.ok(), prepared.error().message);
  auto want = eval::evaluate(graph, inputs);
  REQUIRE_MESSAGE(want.ok(), want.error().message);
  auto laid_out = passes::run_pipeline(graph, passes::layout_passes());
  REQUIRE_MESSAGE(laid_out.ok(), laid_out.error().message);
  auto file = emit::emit(graph, {});
  REQUIRE_MESSAGE(file.ok(), file.error().message);
  const std::vector<Tensor> got = testing::run_file(*file, inputs);
  REQUIRE(got.size() == want->size());
  for (size_t i = 0; i < got.size(); ++i) check_close(got[i], (*want)[i]);
  return *want;
}

Ints run_ints(const OnnxBuilder& builder, const std::vector<Tensor>& inputs) {
  return run(builder, inputs)[0].ints;
}
Floats run_floats(const OnnxBuilder& builder, const std::vector<Tensor>& inputs) {
  return run(builder, inputs)[0].data;
}

int refusal(const OnnxBuilder& builder) {
  auto imported = import::import_onnx_bytes(builder.model.SerializeAsString(), "test.onnx", {});
  REQUIRE(!imported.ok());
  return imported.error().id;
}

TEST_CASE("comparisons and logic give bool") {
  const Tensor a = floats({2, 2}, {1, 2, 3, NAN}), b = floats({2}, {2, 2});
  const std::vector<std::pair<Dims, int32_t>> types = {{{2, 2}, kFloat}, {{2}, kFloat}};
  CHECK(run_ints(one("Equal", types), {a, b}) == Ints{0, 1, 0, 0});
  CHECK(run_ints(one("Greater", types), {a, b}) == Ints{0, 0, 1, 0});
  CHECK(run_ints(one("Less", types), {a, b}) == Ints{1, 0, 0, 0});
  CHECK(run_ints(one("GreaterOrEqual", types), {a, b}) == Ints{0, 1, 1, 0});
  CHECK(run_ints(one("LessOrEqual", types), {a, b}) == Ints{1, 1, 0, 0});
  const Tensor p = ints({4}, {0, 0, 1, 1}, kBool), q = ints({4}, {0, 1, 0, 1}, kBool);
  const std::vector<std::pair<Dims, int32_t>> bools = {{{4}, kBool}, {{4}, kBool}};
  CHECK(run_ints(one("And", bools), {p, q}) == Ints{0, 0, 0, 1});
  CHECK(run_ints(one("Or", bools), {p, q}) == Ints{0, 1, 1, 1});
  CHECK(run_ints(one("Xor", bools), {p, q}) == Ints{0, 1, 1, 0});
  CHECK(run_ints(one("Equal", bools), {p, q}) == Ints{1, 0, 0, 1});
  CHECK(run_ints(one("Not", {{{4}, kBool}}), {p}) == Ints{1, 1, 0, 0});
  CHECK(run_ints(one("IsNaN", {{{2, 2}, kFloat}}), {a}) == Ints{0, 0, 0, 1});
  const Tensor far = floats({4}, {INFINITY, -INFINITY, 3, NAN});
  const auto detect = [](int64_t positive, int64_t negative) {
    return one("IsInf", {{{4}, kFloat}}, [=](auto& n) {
      set(n, "detect_positive", positive);
      set(n, "detect_negative", negative);
    });
  };
  CHECK(run_ints(detect(1, 1), {far}) == Ints{1, 1, 0, 0});
  CHECK(run_ints(detect(1, 0), {far}) == Ints{1, 0, 0, 0});
  CHECK(run_ints(detect(0, 1), {far}) == Ints{0, 1, 0, 0});
  CHECK(run_ints(detect(0, 0), {far}) == Ints{0, 0, 0, 0});
}

TEST_CASE("where chooses and broadcasts, also whole numbers") {
  const auto where = [](int32_t type) {
    return one("Where", {{{2, 1}, kBool}, {{2}, type}, {{1}, type}});
  };
  const Tensor condition = ints({2, 1}, {1, 0}, kBool);
  CHECK(run_floats(where(kFloat), {condition, floats({2}, {1, 2}), floats({1}, {9})}) ==
        Floats{1, 2, 9, 9});
  CHECK(run_ints(where(kInt64), {condition, ints({2}, {1, int64_t{1} << 60}), ints({1}, {9})}) ==
        Ints{1, int64_t{1} << 60, 9, 9});
}

TEST_CASE("powers and remainders") {
  const auto pow = [](int32_t a, int32_t b) { return one("Pow", {{{3}, a}, {{3}, b}}, {}, 15); };
  CHECK(run_floats(pow(kFloat, kFloat), {floats({3}, {1, 4, 9}), floats({3}, {3, 0.5f, -1})}) ==
        Floats{1, 2, 1.0f / 9});
  CHECK(run_floats(pow(kFloat, kInt64), {floats({3}, {1, 2, 3}), ints({3}, {4, 5, 6})}) ==
        Floats{1, 32, 729});
  CHECK(run_ints(pow(kInt32, kInt32), {ints({3}, {1, 2, -3}, kInt32),
                                       ints({3}, {4, 5, 3}, kInt32)}) == Ints{1, 32, -27});
  CHECK(run_ints(pow(kInt64, kFloat), {ints({3}, {1, 4, 9}), floats({3}, {2, 0.5f, 1})}) ==
        Ints{1, 2, 9});
  auto square = one("Pow", {{{2}, kFloat}}, {}, 13);
  square.graph().mutable_node(0)->add_input("two");
  square.floats("two", {}, {2});
  CHECK(run_floats(square, {floats({2}, {-3, 0.5f})}) == Floats{9, 0.25f});
  const auto mod = [](int32_t type, int64_t fmod) {
    return one("Mod", {{{6}, type}, {{6}, type}}, [=](auto& n) { set(n, "fmod", fmod); });
  };
  const Ints a = {-4, 7, 5, 4, -7, 8}, b = {2, -3, 8, -2, 3, 5};
  CHECK(run_ints(mod(kInt64, 0), {ints({6}, a), ints({6}, b)}) == Ints{0, -2, 5, 0, 2, 3});
  CHECK(run_ints(mod(kInt64, 1), {ints({6}, a), ints({6}, b)}) == Ints{0, 1, 5, 0, -1, 3});
  CHECK(run_floats(mod(kFloat, 1), {floats({6}, {-4.3f, 7.2f, 5, 4.3f, -7.2f, 8}),
                                    floats({6}, {2.1f, -3.4f, 8, -2.1f, 3.4f, 5})})[2] == 5);
}

TEST_CASE("small integers wrap at their own width") {
  const std::vector<std::pair<Dims, int32_t>> two = {{{2}, kUint8}, {{2}, kUint8}};
  const std::vector<Tensor> x = {ints({2}, {200, 3}, kUint8), ints({2}, {100, 5}, kUint8)};
  CHECK(run_ints(one("Add", two, {}, 14), x) == Ints{44, 8});
  CHECK(run_ints(one("Sub", two, {}, 14), x) == Ints{100, 254});
  CHECK(run_ints(one("Div", two, {}, 14), x) == Ints{2, 0});
  CHECK(run_ints(one("Max", two), x) == Ints{200, 5});
  CHECK(run_ints(one("Greater", two), x) == Ints{1, 0});
}

TEST_CASE("bounds of a Clip may be computed, and of integers") {
  const std::vector<std::pair<Dims, int32_t>> types = {{{4}, kFloat}, {{}, kFloat}, {{}, kFloat}};
  const Tensor x = floats({4}, {-5, -1, 1, 5});
  CHECK(run_floats(one("Clip", types), {x, floats({}, {-2}), floats({}, {3})}) ==
        Floats{-2, -1, 1, 3});
  auto whole = one("Clip", {{{3}, kInt64}});
  whole.graph().mutable_node(0)->add_input("low");
  whole.ints("low", {}, {0});
  CHECK(run_ints(whole, {ints({3}, {-3, 0, 4})}) == Ints{0, 0, 4});
  CHECK(run_ints(one("Relu", {{{3}, kInt32}}, {}, 14), {ints({3}, {-3, 0, 4}, kInt32)}) ==
        Ints{0, 0, 4});
  CHECK(run_floats(one("Mean", {{{2}, kFloat}, {{2}, kFloat}, {{1}, kFloat}}),
                   {floats({2}, {1, 2}), floats({2}, {3, 4}), floats({1}, {5})}) ==
        Floats{3, 11.0f / 3});
}

TEST_CASE("casts of data") {
  const auto cast = [](int32_t from, int32_t to) {
    return one("Cast", {{{4}, from}}, [=](auto& n) { set(n, "to", to); });
  };
  const Tensor x = floats({4}, {-1.5f, 0, 0.5f, 300});
  CHECK(run_ints(cast(kFloat, kInt64), {x}) == Ints{-1, 0, 0, 300});
  CHECK(run_ints(cast(kFloat, kBool), {x}) == Ints{1, 0, 1, 1});
  CHECK(run_ints(cast(kInt64, kInt32), {ints({4}, {1, -1, int64_t{1} << 32, 7})}) ==
        Ints{1, -1, 0, 7});
  CHECK(run_floats(cast(kUint8, kFloat), {ints({4}, {0, 1, 128, 255}, kUint8)}) ==
        Floats{0, 1, 128, 255});
  CHECK(run_floats(cast(kBool, onnx::TensorProto::FLOAT16), {ints({4}, {0, 1, 1, 0}, kBool)}) ==
        Floats{0, 1, 1, 0});
  CHECK(refusal(cast(kFloat, onnx::TensorProto::INT16)) == 514);
}

TEST_CASE("reductions over any axes") {
  const Tensor x = floats({2, 3, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const auto reduce = [](const char* op, const Ints& axes, int64_t keep) {
    return one(
        op, {{{2, 3, 2}, kFloat}},
        [=](auto& n) {
          if (!axes.empty()) set(n, "axes", axes);
          set(n, "keepdims", keep);
        },
        11);
  };
  CHECK(run(reduce("ReduceSum", {1}, 1), {x})[0].shape == Dims{2, 1, 2});
  CHECK(run_floats(reduce("ReduceSum", {1}, 0), {x}) == Floats{9, 12, 27, 30});
  CHECK(run_floats(reduce("ReduceMean", {0, -1}, 0), {x}) == Floats{4.5f, 6.5f, 8.5f});
  CHECK(run_floats(reduce("ReduceMax", {}, 0), {x}) == Floats{12});
  CHECK(run(reduce("ReduceMin", {}, 1), {x})[0].shape == Dims{1, 1, 1});
  CHECK(run_floats(reduce("ReduceProd", {2}, 0), {x}) == Floats{2, 12, 30, 56, 90, 132});
  CHECK(run_floats(reduce("ReduceSumSquare", {0, 1}, 0), {x}) == Floats{286, 364});
  CHECK(run_floats(reduce("ReduceL1", {0, 1, 2}, 0), {x}) == Floats{78});
  CHECK(run_floats(reduce("ReduceL2", {0, 1}, 0), {x})[0] == doctest::Approx(std::sqrt(286.0)));
  CHECK(run_floats(reduce("ReduceLogSum", {0, 1}, 0), {x})[1] == doctest::Approx(std::log(42.0)));
  CHECK(run_floats(reduce("ReduceLogSumExp", {2}, 0), {x})[0] ==
        doctest::Approx(2 + std::log1p(std::exp(-1.0))));
  // The axes of ReduceSum are an input since opset 13; none may mean none.
  auto none = one("ReduceSum", {{{2}, kFloat}}, [](auto& n) { set(n, "noop_with_empty_axes", 1); });
  CHECK(run_floats(none, {floats({2}, {1, 2})}) == Floats{1, 2});
  auto axes = one("ReduceSum", {{{2, 2}, kInt64}});
  axes.graph().mutable_node(0)->add_input("axes");
  axes.ints("axes", {1}, {-2});
  CHECK(run_ints(axes, {ints({2, 2}, {1, 2, 3, 4})}) == Ints{4, 6});
  CHECK(refusal(one("ReduceMean", {{{-1, 2}, kFloat}}, [](auto& n) { set(n, "axes", Ints{0}); })) ==
        552);
}

TEST_CASE("the largest and where it stands") {
  const Tensor x = floats({2, 4}, {1, 7, 7, 2, 5, 5, 3, 9});
  const auto arg = [](const char* op, int64_t last, int64_t keep) {
    return one(op, {{{2, 4}, kFloat}}, [=](auto& n) {
      set(n, "axis", 1);
      set(n, "select_last_index", last);
      set(n, "keepdims", keep);
    });
  };
  CHECK(run_ints(arg("ArgMax", 0, 0), {x}) == Ints{1, 3});
  CHECK(run_ints(arg("ArgMax", 1, 1), {x}) == Ints{2, 3});
  CHECK(run_ints(arg("ArgMin", 0, 1), {x}) == Ints{0, 2});
  const auto top = [](int64_t largest) {
    auto builder = one(
        "TopK", {{{2, 4}, kFloat}}, [=](auto& n) { set(n, "largest", largest); }, 11, 2);
    builder.graph().mutable_node(0)->add_input("k");
    builder.ints("k", {1}, {2});
    return builder;
  };
  const std::vector<Tensor> largest = run(top(1), {x}), smallest = run(top(0), {x});
  CHECK(largest[0].data == Floats{7, 7, 9, 5});
  CHECK(largest[1].ints == Ints{1, 2, 3, 0});
  CHECK(smallest[0].data == Floats{1, 2, 3, 5});
  CHECK(smallest[1].ints == Ints{0, 3, 2, 0});
  CHECK(run_floats(one("Hardmax", {{{2, 4}, kFloat}}), {x}) == Floats{0, 1, 0, 0, 0, 0, 0, 1});
  auto flat = one("Hardmax", {{{1, 2, 2}, kFloat}}, {}, 11);
  CHECK(run_floats(flat, {floats({1, 2, 2}, {1, 2, 4, 3})}) == Floats{0, 0, 1, 0});
}

TEST_CASE("normalizations are spelled in reductions") {
  auto instance = one("InstanceNormalization", {{{-1, 2, 1, 2}, kFloat}},
                      [](auto& n) { set(n, "epsilon", 0.0f); });
  for (const char* name : {"scale", "bias"}) instance.graph().mutable_node(0)->add_input(name);
  instance.floats("scale", {2}, {1, 10});
  instance.floats("bias", {2}, {0, 5});
  CHECK(run_floats(instance, {floats({1, 2, 1, 2}, {1, 3, 40, 20})}) == Floats{-1, 1, 15, -5});

  auto layer = one(
      "LayerNormalization", {{{-1, 2, 2}, kFloat}}, [](auto& n) { set(n, "epsilon", 1.0f); }, 17,
      3);
  layer.graph().mutable_node(0)->add_input("scale");
  layer.floats("scale", {2}, {1, 2});
  const std::vector<Tensor> y = run(layer, {floats({1, 2, 2}, {0, 0, 1, 7})});
  const float one_over = 1 / std::sqrt(10.0f);
  check_close(y[0], floats({1, 2, 2}, {0, 0, -3 * one_over, 6 * one_over}));
  check_close(y[1], floats({1, 2, 1}, {0, 4}));
  check_close(y[2], floats({1, 2, 1}, {1, one_over}));

  auto mvn = one("MeanVarianceNormalization", {{{2, 1, 1, 1}, kFloat}});
  check_close(run(mvn, {floats({2, 1, 1, 1}, {4, 6})})[0], floats({2, 1, 1, 1}, {-1, 1}));

  const auto lrn = one("LRN", {{{1, 3, 1, 1}, kFloat}}, [](auto& n) {
    set(n, "size", 2);
    set(n, "alpha", 2.0f);
    set(n, "beta", 1.0f);
    set(n, "bias", 1.0f);
  });
  // Channel c sees itself and the next: 1 + 2/2 * (x_c^2 + x_{c+1}^2).
  check_close(run(lrn, {floats({1, 3, 1, 1}, {1, 2, 3})})[0],
              floats({1, 3, 1, 1}, {1.0f / 6, 2.0f / 14, 3.0f / 10}));
}

TEST_CASE("images: reductions, choices and rankings follow the layout") {
  OnnxBuilder b(13);
  b.input("x", {-1, 3, 2, 2});
  b.floats("w", {3, 3, 1, 1}, {1, 0, 0, 0, 2, 0, 1, 1, -1});
  b.floats("limit", {3, 1, 1}, {1, 2, 3});
  b.ints("k", {1}, {2});
  b.node("Conv", {"x", "w"}, "c");
  b.node("Greater", {"c", "limit"}, "above");
  b.node("Where", {"above", "c", "limit"}, "chosen");
  auto& rows = b.node("ReduceMax", {"chosen"}, "rows");
  set(rows, "axes", Ints{2});
  set(rows, "keepdims", 0);
  set(b.node("ReduceSum", {"chosen", "one"}, "sum"), "keepdims", 0);
  b.ints("one", {1}, {1});
  set(b.node("ArgMax", {"chosen"}, "which"), "axis", 1);
  set(b.node("Cast", {"which"}, "as_float"), "to", 1);
  b.node("Add", {"chosen", "as_float"}, "both");
  auto& top = b.node("TopK", {"both", "k"}, "best");
  set(top, "axis", 1);
  top.add_output("places");
  for (const char* name : {"rows", "sum", "which", "both", "best", "places"}) b.output(name);
  const Tensor x = floats({1, 3, 2, 2}, {1, -2, 3, 4, 0.5f, 6, -7, 1, 2, 2, 0, -1});
  const std::vector<Tensor> y = run(b, {x});
  CHECK(y[0].shape == Dims{1, 3, 2});
  CHECK(y[0].data == Floats{3, 4, 2, 12, 3, 6});
  CHECK(y[1].shape == Dims{1, 2, 2});
  CHECK(y[1].data == Floats{6, 16, 8, 12});
  CHECK(y[2].ints == Ints{2, 1, 0, 2});
}

}  // namespace
}  // namespace qrt
