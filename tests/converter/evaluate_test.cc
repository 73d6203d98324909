// The interpreter against hand-made numbers and against the definitions in plain
// loops, in both layouts and with a batch.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"
#include "converter/passes/passes.h"
#include "tests/support/real_data.h"

namespace qrt {
namespace {

using eval::Tensor;
using test::relative_error;
using Floats = std::vector<float>;

ir::Graph graph_of(const std::string& text) {
  Result<ir::Graph> graph = ir::parse(text);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  Result<void> good = ir::verify(*graph);
  REQUIRE_MESSAGE(good.ok(), good.error().message);
  return *graph;
}

Tensor floats(std::vector<int64_t> shape, Floats data) {
  return {ir::ElementType::f32, std::move(shape), std::move(data), {}};
}

Floats run(const ir::Graph& graph, const Tensor& x) {
  auto y = eval::evaluate(graph, {&x, 1});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return (*y)[0].data;
}

// One operator on one input.
Floats run_op(const std::string& node, const Tensor& x, const std::string& constants = "") {
  std::string dims;
  for (int64_t dim : x.shape) dims += (dims.empty() ? "" : ",") + std::to_string(dim);
  return run(graph_of("input %x: f32[" + dims + "]\n" + constants + "node n = " + node +
                      " -> %y\noutput %y\n"),
             x);
}

Floats random_floats(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(-1, 1);
  Floats out(count);
  for (float& value : out) value = draw(random);
  return out;
}

struct ConvCase {
  int64_t n, c, h, w, o;
  ir::Window2d window;
  int32_t groups;
};

// The definition, one output at a time, NCHW in and out.
Floats direct_conv(const ConvCase& k, const Floats& x, const Floats& weight, int64_t oh,
                   int64_t ow) {
  const int64_t cg = k.c / k.groups, og = k.o / k.groups;
  const auto& win = k.window;
  Floats y;
  for (int64_t n = 0; n < k.n; ++n) {
    for (int64_t o = 0; o < k.o; ++o) {
      for (int64_t p = 0; p < oh * ow; ++p) {
        double sum = 0;
        for (int64_t t = 0; t < cg * win.kernel[0] * win.kernel[1]; ++t) {
          const int64_t kx = t % win.kernel[1], ky = t / win.kernel[1] % win.kernel[0];
          const int64_t c = t / (win.kernel[0] * win.kernel[1]) + o / og * cg;
          const int64_t iy = p / ow * win.stride[0] + ky * win.dilation[0] - win.pad[0];
          const int64_t ix = p % ow * win.stride[1] + kx * win.dilation[1] - win.pad[1];
          if (iy < 0 || iy >= k.h || ix < 0 || ix >= k.w) continue;
          sum += static_cast<double>(x[((n * k.c + c) * k.h + iy) * k.w + ix]) *
                 weight[o * cg * win.kernel[0] * win.kernel[1] + t];
        }
        y.push_back(static_cast<float>(sum));
      }
    }
  }
  return y;
}

// Rewrites NCHW data as NHWC, or back with the dimensions named in NHWC order.
Floats permuted(const Floats& x, int64_t n, int64_t c, int64_t pixels, bool to_nhwc) {
  Floats y(x.size());
  for (int64_t i = 0; i < n * c * pixels; ++i) {
    const int64_t p = i % pixels, ch = i / pixels % c, im = i / pixels / c;
    const int64_t j = (im * pixels + p) * c + ch;
    if (to_nhwc)
      y[j] = x[i];
    else
      y[i] = x[j];
  }
  return y;
}

TEST_CASE("convolution is its definition, in both layouts") {
  const ConvCase cases[] = {
      {1, 3, 7, 5, 4, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 1},
      {2, 4, 9, 8, 6, {{3, 2}, {2, 3}, {2, 1}, {0, 1, 2, 0}}, 2},
      {3, 5, 6, 6, 5, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 5},
      {1, 8, 4, 4, 3, {{1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}}, 1},
      {1, 2, 1, 9, 2, {{1, 5}, {1, 2}, {1, 2}, {0, 4, 0, 4}}, 1},
  };
  for (const ConvCase& k : cases) {
    for (const bool nhwc : {false, true}) {
      const int64_t taps = k.c / k.groups * k.window.kernel[0] * k.window.kernel[1];
      const Floats x = random_floats(static_cast<size_t>(k.n * k.c * k.h * k.w), 1);
      const Floats weight = random_floats(static_cast<size_t>(k.o * taps), 2);
      ir::Graph graph;
      const std::vector<int64_t> shape =
          nhwc ? std::vector<int64_t>{1, k.h, k.w, k.c} : std::vector<int64_t>{1, k.c, k.h, k.w};
      graph.values.push_back({"x", ir::ElementType::f32, shape, true, -1, -1});
      graph.inputs = {0};
      const ir::ValueId w = ir::add_floats(
          graph, "w", {k.o, k.c / k.groups, k.window.kernel[0], k.window.kernel[1]}, weight);
      ir::Conv2d conv;
      conv.window = k.window;
      conv.groups = k.groups;
      conv.layout = nhwc ? ir::Layout::nhwc : ir::Layout::nchw;
      auto y = ir::add_node(graph, {"conv", conv, {0, w}, {}, {}}, "y");
      REQUIRE_MESSAGE(y.ok(), y.error().message);
      graph.outputs = {*y};
      const auto& out = graph.values[*y].shape;
      const int64_t oh = out[nhwc ? 1 : 2], ow = out[nhwc ? 2 : 3];
      std::vector<int64_t> given = shape;
      given[0] = k.n;
      Floats got = run(graph, floats(given, nhwc ? permuted(x, k.n, k.c, k.h * k.w, true) : x));
      if (nhwc) got = permuted(got, k.n, k.o, oh * ow, false);
      CHECK(relative_error(got, direct_conv(k, x, weight, oh, ow)) < 1e-5);
    }
  }
}

TEST_CASE("layers end with scale, bias, residual and clamp, in this order") {
  const std::string constants =
      "const %w: f32[2,3] = {1, 2, 3, 4, 5, 6}\n"
      "const %s: f32[2] = {2, -1}\n"
      "const %b: f32[2] = {0.5, 1}\n"
      "const %r: f32[1,2] = {10, 20}\n";
  // Sums 14 and 32; scaled 28, -32; biased 28.5, -31; with residual 38.5, -11; clamped to -5.
  CHECK(run_op("linear(%x, %w, %s, %b, %r) {scale=true, bias=true, residual=true, clamp=[-5,none]}",
               floats({1, 3}, {1, 2, 3}), constants) == Floats{38.5f, -5});
}

TEST_CASE("pools know padding, counting and whole images") {
  const Tensor x = floats({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const std::string window = "kernel=[2,2], stride=[2,2], pad=[1,1,0,0]";
  CHECK(run_op("pool2d(%x) {" + window + "}", x) == Floats{1, 3, 7, 9});
  CHECK(run_op("pool2d(%x) {mode=average, " + window + "}", x) == Floats{1, 2.5f, 5.5f, 7});
  CHECK(run_op("pool2d(%x) {mode=average, count_include_pad=true, " + window + "}", x) ==
        Floats{0.25f, 1.25f, 2.75f, 7});
  CHECK(run_op("pool2d(%x) {kernel=[2,2], dilation=[2,2]}", x) == Floats{9});
  CHECK(run_op("pool2d(%x) {mode=average, global=true}", x) == Floats{5});
  CHECK(run_op("pool2d(%x) {global=true, layout=nhwc}", floats({1, 2, 1, 2}, {1, 5, 3, 2})) ==
        Floats{3, 5});
}

TEST_CASE("unary operators follow their ONNX formulas") {
  const Floats x = {-2, -0.5f, 0, 0.5f, 2};
  struct Case {
    const char* attributes;
    double (*formula)(double);
  };
  const Case cases[] = {
      {"alpha=-1, beta=1", [](double v) { return std::min(std::max(v, -1.0), 1.0); }},
      {"op=leaky_relu, alpha=0.1", [](double v) { return v < 0 ? 0.1 * v : v; }},
      {"op=elu, alpha=2", [](double v) { return v < 0 ? 2 * (std::exp(v) - 1) : v; }},
      {"op=sigmoid", [](double v) { return 1 / (1 + std::exp(-v)); }},
      {"op=hard_sigmoid, alpha=0.2, beta=0.5",
       [](double v) { return std::min(std::max(0.2 * v + 0.5, 0.0), 1.0); }},
      {"op=tanh", [](double v) { return std::tanh(v); }},
      {"op=hard_swish", [](double v) { return v * std::min(std::max(v / 6 + 0.5, 0.0), 1.0); }},
      {"op=exp", [](double v) { return std::exp(v); }},
      {"op=abs", [](double v) { return std::abs(v); }},
      {"op=neg", [](double v) { return -v; }},
      {"op=erf", [](double v) { return std::erf(v); }},
      {"op=softplus", [](double v) { return std::log(1 + std::exp(v)); }},
      {"op=selu, alpha=1.5, beta=2",
       [](double v) { return 2 * (v < 0 ? 1.5 * (std::exp(v) - 1) : v); }},
      {"op=floor", [](double v) { return std::floor(v); }},
      {"op=ceil", [](double v) { return std::ceil(v); }},
      {"op=gelu", [](double v) { return v * 0.5 * (1 + std::erf(v / std::sqrt(2.0))); }},
      {"op=silu", [](double v) { return v / (1 + std::exp(-v)); }},
  };
  for (const Case& c : cases) {
    Floats want;
    for (float v : x) want.push_back(static_cast<float>(c.formula(v)));
    const Floats got = run_op(std::string("unary(%x) {") + c.attributes + "}", floats({5}, x));
    CHECK_MESSAGE(relative_error(got, want) < 1e-6, c.attributes);
  }
  CHECK(relative_error(run_op("unary(%x) {op=log}", floats({2}, {1, 4})), {0, 1.3862944f}) < 1e-6);
  CHECK(run_op("unary(%x) {op=sqrt}", floats({2}, {1, 4})) == Floats{1, 2});
  CHECK(run_op("unary(%x) {op=reciprocal}", floats({2}, {1, 4})) == Floats{1, 0.25f});
  // No overflow far out.
  CHECK(run_op("unary(%x) {op=softplus}", floats({2}, {200, -200})) == Floats{200, 0});
}

TEST_CASE("binary operators broadcast like NumPy") {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::string row = "const %c: f32[3] = {1, 2, 4}\n";
  CHECK(run_op("binary(%x, %c)", x, row) == Floats{2, 4, 7, 5, 7, 10});
  CHECK(run_op("binary(%c, %x) {op=sub}", x, row) == Floats{0, 0, 1, -3, -3, -2});
  CHECK(run_op("binary(%x, %c) {op=mul, clamp=[none,10]}", x, row) == Floats{1, 4, 10, 4, 10, 10});
  CHECK(run_op("binary(%x, %c) {op=div}", x, "const %c: f32[2,1] = {1, 2}\n") ==
        Floats{1, 2, 3, 2, 2.5f, 3});
  CHECK(run_op("binary(%x, %c) {op=max}", x, row) == Floats{1, 2, 4, 4, 5, 6});
  CHECK(run_op("binary(%x, %c) {op=min}", x, "const %c: f32[] = {3}\n") ==
        Floats{1, 2, 3, 3, 3, 3});
  CHECK(run_op("binary(%x, %c)", floats({2}, {1, 2}), "const %c: f32[2,1,1] = {10, 20}\n") ==
        Floats{11, 12, 21, 22});
}

TEST_CASE("normalization, affine and softmax") {
  const std::string constants =
      "const %s: f32[2] = {2, 3}\nconst %b: f32[2] = {1, -1}\n"
      "const %m: f32[2] = {1, 2}\nconst %v: f32[2] = {4, 0.25}\n";
  const Tensor x = floats({1, 2, 1, 2}, {3, 5, 2, 3});
  CHECK(run_op("batch_norm(%x, %s, %b, %m, %v) {eps=0}", x, constants) == Floats{3, 5, -1, 5});
  CHECK(run_op("affine(%x, %s, %b) {clamp=[none,8]}", x, constants) == Floats{7, 8, 5, 8});
  CHECK(run_op("affine(%x, %s, %b) {layout=nhwc}", x, constants) == Floats{7, 14, 5, 8});
  const Floats soft = run_op("softmax(%x) {axis=1}", floats({1, 2, 2}, {0, 1000, 0, 1000}));
  CHECK(relative_error(soft, {0.5f, 0.5f, 0.5f, 0.5f}) < 1e-6);
  const Floats log_soft = run_op("softmax(%x) {log=true}", floats({1, 2}, {0, 1}));
  CHECK(relative_error(log_soft, {-1.3132617f, -0.3132617f}) < 1e-6);
}

TEST_CASE("quantizers round, clamp and count") {
  const Tensor x = floats({1, 2, 4}, {-0.5f, 0.5f, 1.5f, 9, -1.2f, 0.2f, 2.5f, -9});
  const auto grid = [&](const char* options) {
    return run_op(std::string("fake_quantize(%x, %s, %z) {low=-2, high=3, ") + options + "}", x,
                  "const %s: f32[2] = {1, 0.5}\nconst %z: f32[1] = {0}\n");
  };
  CHECK(grid("rounding=half_even") == Floats{0, 0, 2, 3, -1, 0, 1.5f, -1});
  CHECK(grid("rounding=half_away") == Floats{-1, 1, 2, 3, -1, 0, 1.5f, -1});
  CHECK(grid("rounding=half_to_zero") == Floats{0, 0, 1, 3, -1, 0, 1.5f, -1});
  CHECK(grid("rounding=floor") == Floats{-1, 0, 1, 3, -1, 0, 1.5f, -1});
  CHECK(grid("rounding=ceil") == Floats{0, 1, 2, 3, -1, 0.5f, 1.5f, -1});
  CHECK(grid("rounding=to_zero") == Floats{0, 0, 1, 3, -1, 0, 1.5f, -1});
  CHECK(grid("rounding=away") == Floats{-1, 1, 2, 3, -1, 0.5f, 1.5f, -1});
  // A zero of a half, added before the rounding; one of 1, after it.
  CHECK(run_op("fake_quantize(%x, %s, %z) {low=0, high=3}", floats({4}, {0, 0.9f, 1.1f, -5}),
               "const %s: f32[1] = {1}\nconst %z: f32[1] = {0.5}\n") ==
        Floats{-0.5f, 0.5f, 1.5f, -0.5f});
  CHECK(run_op("fake_quantize(%x, %s, %z) {low=0, high=3, zero_after=true}",
               floats({4}, {0.5f, 1.5f, 9, -5}),
               "const %s: f32[1] = {1}\nconst %z: f32[1] = {1}\n") == Floats{0, 2, 2, -1});
  const std::string rows = "const %t: f32[2,2] = {0, 1, -2, 2.5}\n";
  CHECK(run_op("steps(%x, %t) {scale=2, bias=-1, axis=1}", x, rows) ==
        Floats{-1, 1, 3, 3, 1, 1, 3, -1});
  CHECK(run_op("steps(%x, %t) {scale=2, bias=-1, axis=-1}", floats({2, 2}, {0, 2.5f, 1, -3}),
               rows) == Floats{1, 3, 3, -1});
}

TEST_CASE("data moves where it should") {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(run_op("transpose(%x) {perm=[1,0]}", x) == Floats{1, 4, 2, 5, 3, 6});
  CHECK(run_op("concat(%x, %c) {axis=1}", x, "const %c: f32[2,1] = {8, 9}\n") ==
        Floats{1, 2, 3, 8, 4, 5, 6, 9});
  CHECK(run_op("concat(%x, %x) {axis=-2}", x) == Floats{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6});
  CHECK(run_op("pad(%x) {before=[0,1], after=[1,0], value=7}", x) ==
        Floats{7, 1, 2, 3, 7, 4, 5, 6, 7, 7, 7, 7});
  CHECK(run_op("pad(%x) {mode=reflect, before=[0,2], after=[1,0]}", x) ==
        Floats{3, 2, 1, 2, 3, 6, 5, 4, 5, 6, 3, 2, 1, 2, 3});
  CHECK(run_op("pad(%x) {mode=edge, before=[0,0], after=[0,2]}", x) ==
        Floats{1, 2, 3, 3, 3, 4, 5, 6, 6, 6});
  CHECK(run_op("slice(%x) {starts=[2,-1], ends=[-4,9], axes=[1,0], steps=[-2,1]}", x) ==
        Floats{6, 4});
  CHECK(run_op("gather(%x, %i) {axis=1}", x, "const %i: i64[2] = {-1, 0}\n") == Floats{3, 1, 6, 4});
  CHECK(run_op("cast(%x) {to=10}", floats({2}, {1.0001f, 3})) == Floats{1, 3});
  CHECK(run_op("squeeze(%x)", floats({1, 2, 1}, {1, 2})) == Floats{1, 2});
}

TEST_CASE("a batch multiplies the first dimension through the graph") {
  const ir::Graph graph = graph_of(R"(
input %x: f32[N,2,2]
input %z: f32[N,4]
const %w: f32[2,2] = {1, 0, 1, 1}
node split = reshape(%x) {dims=[2,2]} -> %rows
node fc = linear(%rows, %w) -> %fc
node join = reshape(%fc) {dims=[1,4]} -> %joined
node sum = binary(%joined, %z) -> %y
output %y
)");
  const Tensor in[] = {floats({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}),
                       floats({2, 4}, {0, 0, 0, 0, 1, 1, 1, 1})};
  std::vector<std::string> seen;
  auto y = eval::evaluate(graph, in, [&](ir::ValueId id, const Tensor& value) {
    seen.push_back(graph.values[id].name);
    CHECK(value.shape[0] % 2 == 0);
  });
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  CHECK((*y)[0].shape == std::vector<int64_t>{2, 4});
  CHECK((*y)[0].data == Floats{1, 3, 3, 7, 6, 12, 8, 16});
  CHECK(seen == std::vector<std::string>{"x", "z", "rows", "fc", "joined", "y"});
}

TEST_CASE("encoded weights mean what decode says") {
  const std::string coded =
      "const %w: f32[2,4] = codebook {books=1, count=2, dim=2, entry=f32} "
      "entries {1, 2, 3, 4} codes {0, 1, 1, 0}\n";
  // Rows 1 2 3 4 and 3 4 1 2.
  CHECK(run_op("linear(%x, %w)", floats({1, 4}, {1, 10, 100, 1000}), coded) == Floats{4321, 2143});
}

TEST_CASE("inputs that do not match and impossible integers are refused") {
  const ir::Graph graph =
      graph_of("input %x: f32[N,2]\nnode n = unary(%x) {op=abs} -> %y\noutput %y\n");
  const Tensor wrong[] = {floats({2}, {1, 2}),
                          floats({1, 3}, {1, 2, 3}),
                          floats({0, 2}, {}),
                          floats({1, 2}, {1}),
                          {ir::ElementType::i64, {1, 2}, {}, {1, 2}}};
  for (const Tensor& x : wrong) {
    auto y = eval::evaluate(graph, {&x, 1});
    REQUIRE(!y.ok());
    CHECK(y.error().id == 560);
  }
  CHECK(eval::evaluate(graph, {}).error().id == 560);

  const Tensor x = floats({2}, {1, 2});
  const ir::Graph bad = graph_of(
      "input %x: f32[2]\nconst %i: i64[1] = {2}\nnode n = gather(%x, %i) -> %y\noutput %y\n");
  auto y = eval::evaluate(bad, {&x, 1});
  REQUIRE(!y.ok());
  CHECK(y.error().id == 562);
}

TEST_CASE("integers wrap and saturate in data, and are refused in constants") {
  struct {
    const char* node;
    int64_t want;
  } const rows[] = {{"binary(%i, %zero) {op=div}", 0},
                    {"binary(%i, %zero) {op=mod}", 0},
                    {"binary(%big, %big) {op=add}", -446744073709551616},
                    {"cast(%huge) {to=7}", INT64_MAX},
                    {"cast(%huge) {to=6}", INT32_MAX}};
  for (const auto& row : rows) {
    const std::string text =
        "const %i: i64[1] = {2}\nconst %zero: i64[1] = {0}\nconst %huge: f32[1] = {1e30}\n"
        "const %big: i64[1] = {9000000000000000000}\nnode n = " +
        std::string(row.node) + " -> %y\noutput %y\n";
    ir::Graph graph = graph_of(text);
    auto y = eval::evaluate(graph, {});
    REQUIRE_MESSAGE(y.ok(), row.node);
    CHECK((*y)[0].ints == std::vector<int64_t>{row.want});
    auto folded = passes::fold_constants(graph);
    REQUIRE(!folded.ok());
    CHECK(folded.error().id == 562);
  }
}

}  // namespace
}  // namespace qrt
