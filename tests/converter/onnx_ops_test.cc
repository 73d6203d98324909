// Small ONNX models through the import: what each operator becomes, and that the
// interpreter then gives ONNX's numbers.
#include <doctest/doctest.h>

#include "tests/support/onnx_run.h"

namespace qrt {
namespace {

using test::Floats;
using test::folded;
using test::imported;
using test::one;
using test::OnnxBuilder;
using test::run;
using test::set;

TEST_CASE("convolution: automatic padding, groups, signals") {
  auto builder = one("Conv", {1, 1, 1, 4},
                     [](auto& n) {
                       set(n, "auto_pad", "SAME_LOWER");
                       set(n, "kernel_shape", std::vector<int64_t>{1, 2});
                     },
                     13, {"w"});
  builder.floats("w", {1, 1, 1, 2}, {1, 10});
  CHECK(run(builder, {1, 1, 1, 4}, {1, 2, 3, 4}) == Floats{10, 21, 32, 43});
  builder.graph().mutable_node(0)->mutable_attribute(0)->set_s("SAME_UPPER");
  CHECK(run(builder, {1, 1, 1, 4}, {1, 2, 3, 4}) == Floats{21, 32, 43, 4});
  builder.graph().mutable_node(0)->mutable_attribute(0)->set_s("VALID");
  CHECK(run(builder, {1, 1, 1, 4}, {1, 2, 3, 4}) == Floats{21, 32, 43});

  auto signal = one("Conv", {-1, 2, 4},
                    [](auto& n) {
                      set(n, "group", 2);
                      set(n, "strides", std::vector<int64_t>{2});
                      set(n, "pads", std::vector<int64_t>{1, 0});
                    },
                    13, {"w", "b"});
  signal.floats("w", {2, 1, 3}, {1, 1, 1, 0, 0, 1});
  signal.floats("b", {2}, {0, 100});
  CHECK(run(signal, {1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}) == Floats{3, 9, 106, 108});
}

TEST_CASE("pools: ceil mode becomes padding, averages keep their counts") {
  const Floats ramp = {1, 2, 3, 4, 5};
  auto pool = [&](const char* op, int ceil, int count, std::vector<int64_t> pads, int64_t stride) {
    return run(one(op, {1, 1, 5},
                   [&](auto& n) {
                     set(n, "kernel_shape", std::vector<int64_t>{2});
                     set(n, "strides", std::vector<int64_t>{stride});
                     set(n, "pads", pads);
                     set(n, "ceil_mode", ceil);
                     if (count) set(n, "count_include_pad", 1);
                   }),
               {1, 1, 5}, ramp);
  };
  CHECK(pool("MaxPool", 0, 0, {0, 0}, 2) == Floats{2, 4});
  CHECK(pool("MaxPool", 1, 0, {0, 0}, 2) == Floats{2, 4, 5});
  CHECK(pool("AveragePool", 1, 0, {0, 0}, 2) == Floats{1.5f, 3.5f, 5});
  // What ceil mode adds is never counted, declared padding is.
  CHECK(pool("AveragePool", 1, 1, {0, 0}, 2) == Floats{1.5f, 3.5f, 5});
  CHECK(pool("AveragePool", 0, 1, {1, 0}, 2) == Floats{0.5f, 2.5f, 4.5f});
  // A window that starts behind the input sees nothing: it is dropped.
  CHECK(pool("MaxPool", 1, 0, {1, 1}, 3) == Floats{1, 4});
  CHECK(run(one("GlobalMaxPool", {1, 1, 5}), {1, 1, 5}, ramp) == Floats{5});
  CHECK(run(one("GlobalAveragePool", {1, 1, 1, 5}), {1, 1, 1, 5}, ramp) == Floats{3});
}

TEST_CASE("ceil mode with counted padding on both sides") {
  // Input 1..4, padding 1 and 1, window 3, stride 2: padded 0 1 2 3 4 0, windows 012, 234, then
  // 40 and one place that only ceil mode adds: (4 + 0) / 2.
  auto builder = one("AveragePool", {1, 1, 4}, [](auto& n) {
    set(n, "kernel_shape", std::vector<int64_t>{3});
    set(n, "strides", std::vector<int64_t>{2});
    set(n, "pads", std::vector<int64_t>{1, 1});
    set(n, "ceil_mode", 1);
    set(n, "count_include_pad", 1);
  });
  CHECK(run(builder, {1, 1, 4}, {1, 2, 3, 4}) == Floats{1, 3, 2});
}

TEST_CASE("means over spatial axes are pools") {
  for (const auto& axes : {std::vector<int64_t>{2, 3}, std::vector<int64_t>{-1, -2}}) {
    for (const int keep : {0, 1}) {
      const auto builder = one("ReduceMean", {-1, 2, 1, 2}, [&](auto& n) {
        set(n, "axes", axes);
        set(n, "keepdims", keep);
      });
      CHECK(run(builder, {1, 2, 1, 2}, {1, 3, 5, 9}) == Floats{2, 7});
      const ir::Graph graph = folded(builder);
      CHECK(graph.values[graph.outputs[0]].shape.size() == (keep ? 4 : 2));
    }
  }
  const auto last = one("ReduceMean", {1, 1, 2, 2}, [](auto& n) {
    set(n, "axes", std::vector<int64_t>{1, 2});
  });
  CHECK(run(last, {1, 1, 2, 2}, {1, 10, 3, 30}) == Floats{2, 20});
}

TEST_CASE("Gemm and MatMul become linear layers") {
  auto gemm = [](int trans_b, const std::vector<int64_t>& bias, const Floats& b) {
    auto builder = one("Gemm", {-1, 2},
                       [&](auto& n) {
                         set(n, "alpha", 2.0f);
                         set(n, "beta", 0.5f);
                         set(n, "transB", trans_b);
                       },
                       13, {"w", "c"});
    builder.floats("w", trans_b ? std::vector<int64_t>{3, 2} : std::vector<int64_t>{2, 3},
                   trans_b ? Floats{1, 4, 2, 5, 3, 6} : Floats{1, 2, 3, 4, 5, 6});
    builder.floats("c", bias, b);
    return builder;
  };
  for (const int trans_b : {0, 1}) {
    CHECK(run(gemm(trans_b, {3}, {2, 4, 6}), {1, 2}, {1, 10}) == Floats{83, 106, 129});
    CHECK(run(gemm(trans_b, {1, 3}, {2, 4, 6}), {1, 2}, {1, 10}) == Floats{83, 106, 129});
    CHECK(run(gemm(trans_b, {}, {2}), {1, 2}, {1, 10}) == Floats{83, 105, 127});
  }
  CHECK(folded(gemm(1, {3}, {2, 4, 6})).nodes.size() == 1);

  auto matmul = one("MatMul", {-1, 1, 2}, 13, {"w"});
  matmul.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(run(matmul, {1, 1, 2}, {1, 10}) == Floats{41, 52, 63});

  // A transpose in front of the weight is undone, not repeated: the layer reads the initializer.
  OnnxBuilder turned;
  turned.input("x", {-1, 2});
  turned.floats("w", {3, 2}, {1, 4, 2, 5, 3, 6});
  set(turned.node("Transpose", {"w"}, "wt"), "perm", std::vector<int64_t>{1, 0});
  turned.node("MatMul", {"x", "wt"}, "y");
  turned.output("y");
  const ir::Graph graph = imported(turned);
  REQUIRE(graph.nodes.size() == 1);
  CHECK(graph.values[graph.nodes[0].in[1]].name == "w");
}

TEST_CASE("activations") {
  const std::vector<int64_t> four = {1, 4};
  const Floats x = {-2, -1, 1, 8};
  CHECK(run(one("Relu", four), four, x) == Floats{0, 0, 1, 8});
  CHECK(run(one("LeakyRelu", four, [](auto& n) { set(n, "alpha", 0.5f); }), four, x) ==
        Floats{-1, -0.5f, 1, 8});
  CHECK(run(one(
                "Clip", four, [](auto& n) { set(n, "max", 6.0f); }, 7),
            four, x) == Floats{-2, -1, 1, 6});
  auto clip = one("Clip", four, 13, {"", "high"});
  clip.floats("high", {}, {6});
  CHECK(run(clip, four, x) == Floats{-2, -1, 1, 6});
  auto prelu = one("PRelu", {1, 2, 2}, 13, {"slope"});
  prelu.floats("slope", {2, 1}, {0.5f, 2});
  CHECK(run(prelu, {1, 2, 2}, {-2, 1, -1, 8}) == Floats{-1, 1, -2, 8});
  auto scalar = one("PRelu", four, 13, {"slope"});
  scalar.floats("slope", {1}, {0.25f});
  CHECK(run(scalar, four, x) == Floats{-0.5f, -0.25f, 1, 8});
  CHECK(run(one("HardSigmoid", four), four, x)[1] == doctest::Approx(0.3));
  CHECK(run(one("Elu", four), four, x)[1] == doctest::Approx(-0.6321206));
  CHECK(run(one("Selu", four), four, x)[2] == doctest::Approx(1.0507010));
  for (const char* op : {"Sigmoid", "HardSwish", "Tanh", "Softplus", "Erf", "Exp", "Log", "Sqrt",
                         "Abs", "Neg", "Reciprocal", "Floor", "Ceil"}) {
    CHECK_MESSAGE(folded(one(op, four, 14)).nodes.size() == 1, op);
  }
}

TEST_CASE("softmax flattens before opset 13 and does not since") {
  const auto attributes = [](auto& n) { set(n, "axis", 1); };
  const Floats zeros(4, 0.0f);
  CHECK(run(one("Softmax", {-1, 2, 2}, attributes, 12), {1, 2, 2}, zeros) == Floats(4, 0.25f));
  CHECK(run(one("Softmax", {-1, 2, 2}, attributes, 13), {1, 2, 2}, zeros) == Floats(4, 0.5f));
}

TEST_CASE("sums of many, normalization, dropout") {
  OnnxBuilder builder(9);
  builder.input("x", {-1, 2});
  builder.floats("s", {2}, {1, 2});
  builder.floats("b", {2}, {0, 1});
  builder.floats("v", {2}, {1, 4});
  set(builder.node("BatchNormalization", {"x", "s", "b", "b", "v"}, "n"), "epsilon", 0.0f);
  builder.node("Dropout", {"n"}, "d");
  builder.node("Sum", {"x", "d", "x"}, "m");
  builder.node("Max", {"m", "x"}, "y");
  builder.output("y");
  CHECK(run(builder, {1, 2}, {1, 3}) == Floats{3, 9});
}

TEST_CASE("shapes computed from the input, with a free batch") {
  // x.view(x.size(0), -1) as exporters write it.
  OnnxBuilder builder;
  builder.input("x", {-1, 2, 3});
  builder.ints("zero", {}, {0});
  builder.ints("axis", {1}, {0});
  builder.ints("minus", {1}, {-1});
  builder.node("Shape", {"x"}, "size");
  builder.node("Gather", {"size", "zero"}, "batch");
  builder.node("Unsqueeze", {"batch", "axis"}, "first");
  set(builder.node("Concat", {"first", "minus"}, "target"), "axis", 0);
  builder.node("Reshape", {"x", "target"}, "y");
  builder.output("y");
  CHECK(ir::print(imported(builder)) ==
        "graph test\ninput %x: f32[N,2,3]\n"
        "node y = reshape(%x) {dims=[1,6]} -> %y: f32[N,6] from y\noutput %y\n");
}

TEST_CASE("slices, casts and pads of constants and images") {
  OnnxBuilder builder;
  builder.input("x", {-1, 1, 2});
  builder.raw("halves", {3}, onnx::TensorProto::FLOAT16,
              std::string("\x00\x3c\x00\x40\x00\x42", 6));
  builder.ints("from", {1}, {1});
  builder.ints("to", {1}, {9223372036854775807});
  builder.ints("pads", {6}, {0, 0, 1, 0, 0, 0});
  builder.floats("value", {}, {7});
  builder.node("Slice", {"halves", "from", "to"}, "tail");
  set(builder.node("Cast", {"tail"}, "floats"), "to", 1);
  builder.node("Mul", {"x", "floats"}, "m");
  builder.node("Pad", {"m", "pads", "value"}, "y");
  builder.output("y");
  CHECK(run(builder, {1, 1, 2}, {10, 100}) == Floats{7, 20, 300});
}

TEST_CASE("names survive: Identity, Constant and ConstantOfShape make named constants") {
  OnnxBuilder builder;
  builder.input("x", {-1, 2});
  builder.floats("shared", {2}, {1, 2});
  builder.ints("shape", {2}, {2, 2});
  builder.node("ConstantOfShape", {"shape"}, "fc.weight");
  builder.node("Identity", {"shared"}, "fc.bias");
  set(builder.node("Gemm", {"x", "fc.weight", "fc.bias"}, "g"), "transB", 1);
  builder.node("Add", {"g", "shared"}, "y");
  builder.output("y");
  CHECK(ir::print(imported(builder)) ==
        "graph test\ninput %x: f32[N,2]\nconst %shared: f32[2] = {1, 2}\n"
        "const %fc.weight: f32[2,2] = {0, 0, 0, 0}\nconst %fc.bias: f32[2] = {1, 2}\n"
        "node g = linear(%x, %fc.weight, %fc.bias) {bias=true} -> %g: f32[N,2] from g\n"
        "node y = binary(%g, %shared) -> %y: f32[N,2] from y\noutput %y\n");
}

TEST_CASE("nodes out of order are sorted; steps between get free names") {
  OnnxBuilder builder;
  builder.input("x", {-1, 2});
  builder.node("Relu", {"m"}, "y");
  builder.node("Relu", {"x"}, "m/partial1");
  builder.node("Sum", {"x", "m/partial1", "x"}, "m");
  builder.output("y");
  CHECK(run(builder, {1, 2}, {-1, 2}) == Floats{0, 6});
}

TEST_CASE("nodes of the same name are told apart") {
  OnnxBuilder builder;
  builder.input("x", {-1, 2});
  builder.node("Relu", {"x"}, "a", "relu");
  builder.node("Neg", {"a"}, "b", "relu");
  builder.node("Relu", {"b"}, "y", "relu");
  builder.output("y");
  const ir::Graph graph = imported(builder);
  CHECK(graph.nodes[0].name == "relu");
  CHECK(graph.nodes[1].name == "relu_2");
  CHECK(graph.nodes[2].name == "relu_3");
}

TEST_CASE("--shape settles what the file leaves free") {
  auto builder = one("Relu", {-1, 3, -1, -1});
  const std::string path = builder.save("free.onnx");
  auto refused = import::import_onnx(path, {});
  REQUIRE(!refused.ok());
  CHECK(refused.error().id == 511);
  CHECK(refused.error().message.find("--shape x=1,3,D,D") != std::string::npos);
  auto free = import::import_onnx(path, {{{"x", {-1, 3, 8, 9}}}});
  REQUIRE_MESSAGE(free.ok(), free.error().message);
  CHECK(free->graph.values[0].batched);
  CHECK(free->graph.values[0].shape == std::vector<int64_t>{1, 3, 8, 9});
  auto fixed = import::import_onnx(path, {{{"x", {4, 3, 8, 9}}}});
  REQUIRE_MESSAGE(fixed.ok(), fixed.error().message);
  CHECK(!fixed->graph.values[0].batched);
  CHECK(import::import_onnx(path, {{{"x", {1, 4, 8, 8}}}}).error().id == 515);
  CHECK(import::import_onnx(path, {{{"x", {1, 3}}}}).error().id == 515);
  CHECK(import::import_onnx(path, {{{"z", {1}}}}).error().id == 515);
  CHECK(import::import_onnx(path, {{{"x", {1, 3, 99999999, 8}}}}).error().id == 512);
}

}  // namespace
}  // namespace qrt
