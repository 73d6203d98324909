// Random small quantized networks: what the streamlined graph computes in bytes, bits
// and integers is what the imported one means, as the exact interpreter has it.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>

#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"
#include "converter/lowbit/lowbit.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "tests/support/exact_interpreter.h"
#include "tests/support/opened_file.h"
#include "tests/support/run_file.h"

namespace qrt {
namespace {

constexpr uint32_t kNetworks = 150;

// A chain of layers with what exporters put around them. Half of the networks have scales that are
// powers of two and whole offsets: sums then fall on the middle between two levels.
class QuantizedNetwork {
 public:
  explicit QuantizedNetwork(uint32_t seed) : rng_(seed), dyadic_(seed % 2 == 0) {}

  ir::Graph make() {
    g_.name = "random";
    ir::Value x;
    x.name = "x";
    x.shape = {1, pick(1, 3), pick(4, 6), pick(4, 6)};
    g_.values.push_back(x);
    g_.inputs = {0};
    ir::ValueId v = quantizer(0, 1);
    for (int64_t layers = pick(1, 3); layers > 0; --layers) v = layer(v);
    v = node(ir::Reshape{{1, ir::element_count(shape(v))}}, {v});
    v = node(ir::Linear{}, {v, weight({pick(1, 4), shape(v)[1]})});
    g_.outputs = {v};
    return std::move(g_);
  }

  int64_t pick(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(rng_() % static_cast<uint32_t>(high - low + 1));
  }

  std::vector<float> floats(int64_t n, float low, float high) {
    std::vector<float> r(static_cast<size_t>(n));
    for (float& f : r) f = low + (high - low) * static_cast<float>(rng_() >> 8) / 16777216.0f;
    return r;
  }

 private:
  const std::vector<int64_t>& shape(ir::ValueId v) const {
    return g_.values[static_cast<size_t>(v)].shape;
  }

  ir::ValueId node(ir::Attr attr, std::vector<ir::ValueId> in) {
    std::string name("n");
    name += std::to_string(++count_);
    auto made = ir::add_node(g_, {name, std::move(attr), std::move(in), {}, {}}, name);
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    return *made;
  }

  ir::ValueId constant(std::vector<float> data) {
    const auto n = static_cast<int64_t>(data.size());
    return ir::add_floats(g_, "c", {n}, std::move(data));
  }

  float scale() {
    return dyadic_ ? std::ldexp(1.0f, -static_cast<int>(pick(0, 5))) : floats(1, 0.01f, 1)[0];
  }

  ir::ValueId weight(std::vector<int64_t> dims) {
    const int64_t outputs = dims[0], inputs = ir::element_count(dims) / outputs;
    quant::Affine a;
    a.bits = static_cast<int32_t>(pick(1, 5));
    a.is_signed = a.bits > 1;
    if (a.bits == 1) a.zero_halves = {1};
    const int32_t low = a.is_signed ? -(1 << (a.bits - 1)) : 0;
    for (int64_t i = 0; i < outputs * inputs; ++i)
      a.codes.push_back(static_cast<int16_t>(low + pick(0, (1 << a.bits) - 1)));
    for (int64_t o = 0; o < outputs; ++o) a.scales.values.push_back(scale());
    ir::Constant c;
    c.encoding = std::make_shared<const quant::Encoding>(a);
    c.source = "quant";
    return ir::add_constant(g_, "w", std::move(dims), std::move(c));
  }

  // Levels a few of which the values in front of it reach.
  ir::ValueId quantizer(ir::ValueId v, float width) {
    const int64_t kind = pick(0, 3);
    if (kind == 0) {
      const float s = scale();
      const ir::ValueId zero = ir::add_floats(g_, "t", {1, 1}, {0});
      return node(ir::Steps{2 * s, -s, 1}, {v, zero});
    }
    if (kind == 1) return node(ir::Unary{ir::Unary::Op::sign, 0, 0}, {v});
    ir::FakeQuantize f;
    const auto bits = static_cast<int>(pick(2, 8));
    const bool is_signed = pick(0, 1) > 0;
    f.low = is_signed ? -std::ldexp(1.0f, bits - 1) : 0;
    f.high = f.low + std::ldexp(1.0f, bits) - 1;
    f.rounding = static_cast<ir::FakeQuantize::Rounding>(pick(0, 6));
    f.zero_after = pick(0, 1) > 0;
    const float step =
        dyadic_ ? scale() * 4 : width * 4 / std::ldexp(1.0f, bits) * floats(1, 0.5f, 2)[0];
    const float zero = pick(0, 2) == 0 && !is_signed ? static_cast<float>(pick(0, 3)) : 0;
    return node(f, {v, constant({step}), constant({zero})});
  }

  ir::ValueId layer(ir::ValueId v) {
    ir::Conv2d conv;
    const int64_t channels = shape(v)[1];
    for (size_t d = 0; d < 2; ++d)
      conv.window.kernel[d] = static_cast<int32_t>(pick(1, std::min<int64_t>(3, shape(v)[2 + d])));
    for (int32_t& p : conv.window.pad) p = static_cast<int32_t>(pick(0, 1));
    if (pick(0, 3) == 0) conv.groups = static_cast<int32_t>(channels);
    const int64_t outputs = conv.groups * pick(1, 4);
    v = node(conv, {v, weight({outputs, channels / conv.groups, conv.window.kernel[0],
                               conv.window.kernel[1]})});
    v = between(v, outputs);
    v = quantizer(v, 3);
    const auto& s = shape(v);
    if (pick(0, 1) == 0 && s[2] >= 2 && s[3] >= 2) {
      ir::Pool2d pool;
      pool.window.kernel = pool.window.stride = {2, 2};
      v = node(pool, {v});
    }
    return v;
  }

  ir::ValueId between(ir::ValueId v, int64_t outputs) {
    const auto numbers = [&](float low, float high) {
      std::vector<float> r = floats(outputs, low, high);
      if (dyadic_)
        for (float& f : r) f = std::round(f * 4) / 4;
      return r;
    };
    if (pick(0, 1) == 0) {
      std::vector<float> var = floats(outputs, 0.5f, 4);
      if (dyadic_) var.assign(var.size(), 0.25f);
      v = node(ir::BatchNorm{dyadic_ ? 0.0f : 1e-5f},
               {v, constant(numbers(-1, 2)), constant(numbers(-1, 1)), constant(numbers(-2, 2)),
                constant(var)});
    }
    if (pick(0, 2) == 0) {
      const ir::ValueId c = ir::add_floats(g_, "k", {outputs, 1, 1}, numbers(-1, 1));
      v = node(ir::Binary{pick(0, 1) > 0 ? ir::Binary::Op::add : ir::Binary::Op::sub}, {v, c});
    }
    if (pick(0, 2) == 0)
      v = node(ir::Binary{pick(0, 1) > 0 ? ir::Binary::Op::mul : ir::Binary::Op::div},
               {v, constant({pick(0, 1) > 0 ? 0.5f : -2.0f})});
    if (pick(0, 1) == 0) v = node(ir::Unary{ir::Unary::Op::clamp, 0, ir::kNoMax}, {v});
    return v;
  }

  std::mt19937 rng_;
  bool dyadic_;
  ir::Graph g_;
  int count_ = 0;
};

void run(ir::Graph& g, std::span<const ir::Pass> list) {
  const auto done = passes::run_pipeline(g, list);
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
}

void check_close(const std::vector<float>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  double most = 1e-6;
  for (const double w : want) most = std::max(most, std::fabs(w));
  for (size_t i = 0; i < got.size(); ++i)
    CHECK(std::fabs(static_cast<double>(got[i]) - want[i]) <= 1e-5 * most);
}

TEST_CASE("lowbit: random quantized networks compute what they mean") {
  int integers = 0, thresholds = 0, requantized = 0, bits = 0;
  for (uint32_t seed = 1; seed <= kNetworks; ++seed) {
    CAPTURE(seed);
    QuantizedNetwork random(seed);
    ir::Graph g = random.make();
    const std::string before = ir::print(g);
    CAPTURE(before);
    const auto& shape = g.values[0].shape;
    eval::Tensor x{ir::ElementType::f32, shape, random.floats(ir::element_count(shape), -3, 3), {}};
    std::string unknown;
    const auto want = testing::run_exactly(g, {{shape, {x.data.begin(), x.data.end()}}}, &unknown);
    REQUIRE(unknown.empty());
    const std::vector<double> scores = want.at(g.outputs[0]).data;

    run(g, lowbit::steps_passes());
    run(g, passes::prepare_passes());
    auto floats = eval::evaluate(g, {&x, 1});
    REQUIRE(floats.ok());
    check_close((*floats)[0].data, scores);

    run(g, passes::layout_passes());
    auto report = lowbit::streamline(g);
    REQUIRE(report.ok());
    const auto sound = ir::verify(g);
    const std::string after = ir::print(g);
    CAPTURE(after);
    REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
    auto got = eval::evaluate(g, {&x, 1});
    REQUIRE(got.ok());
    check_close((*got)[0].data, scores);
    for (const lowbit::LayerReport& l : report->layers) {
      integers += l.what.compare(0, 3, "f32") != 0;
      thresholds += l.what.find("thresholds") != std::string::npos;
      requantized += l.what.find("requantized") != std::string::npos;
    }
    for (const ir::Value& v : g.values) bits += v.quantization.bits;
  }
  // The networks are such that every way is taken.
  CHECK(integers > 300);
  CHECK(thresholds > 50);
  CHECK(requantized > 50);
  CHECK(bits > 5);
}

std::vector<uint8_t> file_of(const ir::Graph& g) {
  const auto lowered = lower::lower(g);
  REQUIRE_MESSAGE(lowered.ok(), (lowered.ok() ? "" : lowered.error().message));
  const auto file = emit::emit(*lowered, {});
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  return *file;
}

// 4200 inputs of 8 bits, sums up to 2^27: output 0 has its thresholds among them and output 1 half
// of them, no sum of output 2 reaches any, every sum of output 3 all.
struct LongRows {
  ir::Graph floats, integers;
  std::vector<uint8_t> file;
  size_t even = 0;  // numbers of start and step
};
LongRows long_rows(const std::string& thresholds) {
  auto g = ir::parse(R"(graph g
input %x: f32[N,4200]
const %one: f32[1] = {1}
const %zero: f32[1] = {0}
const %w: f32[4,4200] = affine {bits=8, signed=true} codes fill 127 scales layer {1}
const %b: f32[4] = {0, 8000000, -1e10, 1e10}
const %t: f32[1,15] = {)" +
                     thresholds +
                     R"(}
const %v: f32[4,4] = affine {bits=2, signed=true} codes {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1} scales layer {1}
node q = fake_quantize(%x, %one, %zero) {low=0, high=255} -> %q
node a = linear(%q, %w, %b) {bias=true} -> %a
node s = steps(%a, %t) {scale=2, bias=-15} -> %s
node y = linear(%s, %v) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  for (ir::Constant& c : g->constants) {
    if (c.encoding == nullptr || std::get<quant::Affine>(*c.encoding).codes.size() < 100) continue;
    auto a = std::get<quant::Affine>(*c.encoding);
    std::fill_n(a.codes.begin() + 2 * 4200, 4200, int16_t{100});  // sums that end before others
    std::fill_n(a.codes.begin() + 3 * 4200, 4200, int16_t{-100});
    c.encoding = std::make_shared<const quant::Encoding>(a);
  }
  run(*g, passes::prepare_passes());
  run(*g, passes::layout_passes());
  LongRows r;
  r.floats = *g;
  auto report = lowbit::streamline(*g);
  REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : report.error().message));
  CHECK(report->layers.at(0).what.ends_with("thresholds"));
  const std::vector<uint8_t> file = file_of(*g);
  const testing::OpenedFile opened(file);
  REQUIRE_MESSAGE(opened.status.ok(), opened.status.what());
  for (const Node& n : opened.model.nodes)
    if (n.kind == OpKind::linear) r.even += n.linear->epilogue.even_thresholds.size();
  r.integers = *g, r.file = file;
  return r;
}

TEST_CASE("lowbit: thresholds of long rows, some of which no sum or every sum reaches") {
  std::string line, far;
  for (int k = 0; k < 15; ++k) {
    line += (k > 0 ? ", " : "") + std::to_string(1000000 * (k + 1));
    far += (k > 0 ? ", " : "") + (k == 14 ? "1e12" : std::to_string(1000000 * (k + 1)));
  }
  for (const std::string& thresholds : {line, far}) {
    CAPTURE(thresholds);
    const LongRows r = long_rows(thresholds);
    // A start and a step each; with a last threshold off the line, all of them.
    CHECK(r.even == (thresholds == line ? 2 * 4 : 0));
    for (const float level : {0.0f, 3.0f, 9.0f, 27.0f, 250.0f}) {
      CAPTURE(level);
      const eval::Tensor x{ir::ElementType::f32, {1, 4200}, std::vector<float>(4200, level), {}};
      auto want = eval::evaluate(r.floats, {&x, 1});
      auto got = eval::evaluate(r.integers, {&x, 1});
      REQUIRE(want.ok());
      REQUIRE(got.ok());
      CHECK((*got)[0].data == (*want)[0].data);
      CHECK(testing::run_file(r.file, {x})[0].data == (*want)[0].data);
    }
  }
}

// One of four outputs has a threshold off its line: the file has three lines and that output's
// thresholds, and every output counts what it counted before.
TEST_CASE("lowbit: outputs whose thresholds are not even are listed behind those whose are") {
  const auto g = ir::parse(R"(graph g
input %x: f32[N,4]
const %w: f32[4,4] = integers {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1} scales {1, 1, 1, 1}
const %t: i32[4,8] = {-40, -30, -20, -10, 0, 10, 20, 30, -8, -7, -6, -5, -4, -3, -2, -1, -40, -30, -20, 0, 1, 2, 9, 64, 0, 0, 0, 0, 0, 0, 0, 0}
node q = quantize(%x) -> %xq: f32[N,4] bytes(1, 128)
node a = linear(%xq, %w, %t) {thresholds=true, step=1} -> %a: f32[N,4] bytes(1, 0)
node y = quantize(%a) -> %y: f32[N,4]
output %y
)");
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  const std::vector<uint8_t> file = file_of(*g);
  const testing::OpenedFile opened(file);
  REQUIRE_MESSAGE(opened.status.ok(), opened.status.what());
  size_t layers = 0;
  for (const Node& n : opened.model.nodes) {
    if (n.kind != OpKind::linear) continue;
    ++layers;
    CHECK(n.linear->epilogue.even_thresholds.size() == 2 * 4);
    CHECK(n.linear->epilogue.thresholds.size() == 8);
    CHECK(n.linear->epilogue.threshold(0, 7) == 30);
    CHECK(n.linear->epilogue.threshold(2, 3) == 0);
    CHECK(n.linear->epilogue.threshold(2, 7) == 64);
    CHECK(n.linear->epilogue.threshold(3, 0) == 0);
  }
  CHECK(layers == 1);
  for (int v = -128; v < 128; ++v) {
    const eval::Tensor x{ir::ElementType::f32, {1, 4}, std::vector<float>(4, float(v)), {}};
    auto want = eval::evaluate(*g, {&x, 1});
    REQUIRE(want.ok());
    CHECK(testing::run_file(file, {x})[0].data == (*want)[0].data);
  }
}

// APoT's weights as its trainer has them: a level of 1, rounded, times the clip value, rounded. Of
// this clip value no f32 times 1 .. 10 gives all of them to the last bit.
ir::Graph twice_rounded(float farther) {
  std::string zeros = "0";
  for (int i = 1; i < 32 * 64; ++i) zeros += ", 0";
  auto g = ir::parse(R"(graph g
input %x: f32[N,64]
const %one: f32[1] = {1}
const %zero: f32[1] = {0}
const %w: f32[32,64] = {)" +
                     zeros + R"(}
node q = fake_quantize(%x, %one, %zero) {low=0, high=48} -> %q
node y = linear(%q, %w) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  std::mt19937 rng(7);
  for (ir::Constant& c : g->constants)
    for (float& weight : c.data) {
      if (c.data.size() == 1) continue;
      constexpr float kLevels[] = {0, 1, 2, 3, 4, 6, 8, 10};
      const float level = kLevels[rng() % 8] / 10.0f;
      weight = (rng() % 2 > 0 ? -level : level) * 1.6727946f;
      if (level == 0.1f) weight *= farther;
    }
  return *g;
}

TEST_CASE("lowbit: weights that a trainer rounded twice are integers, others stay floats") {
  for (const float farther : {1.0f, 1.000002f}) {
    CAPTURE(farther);
    ir::Graph g = twice_rounded(farther);
    std::vector<float> before;
    for (const ir::Constant& c : g.constants)
      if (c.data.size() == 32 * 64) before = c.data;
    REQUIRE(before.size() == 32 * 64);
    run(g, lowbit::steps_passes());
    const quant::Encoding* found = nullptr;
    for (const ir::Constant& c : g.constants)
      if (c.encoding != nullptr) found = c.encoding.get();
    REQUIRE((found != nullptr) == (farther == 1.0f));
    if (found == nullptr) continue;
    CHECK(quant::is_integer(*found));
    const std::vector<float> made = quant::decode(*found, 32, 64);
    int off = 0;
    for (size_t i = 0; i < made.size(); ++i) {
      off += made[i] != before[i];
      CHECK(std::fabs(made[i] - before[i]) <= 0x1p-22f * std::fabs(before[i]));
    }
    CHECK(off > 0);  // it is not exact
  }
}

}  // namespace
}  // namespace qrt
