// Activations stored as bits and thresholds of integer sums: what they mean, and what is refused.
#include <doctest/doctest.h>

#include <cmath>

#include "converter/eval/evaluate.h"
#include "converter/lower/lower.h"

namespace qrt {
namespace {

using Floats = std::vector<float>;

std::string problem(const std::string& text) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  const auto good = ir::verify(*g);
  return good.ok() ? "" : good.error().message;
}

Floats run(const std::string& text, std::vector<int64_t> shape, Floats x) {
  CHECK(problem(text) == "");
  auto g = ir::parse(text);
  CHECK(ir::print(*ir::parse(ir::print(*g))) == ir::print(*g));
  const std::vector<eval::Tensor> in = {{ir::ElementType::f32, std::move(shape), std::move(x), {}}};
  auto y = eval::evaluate(*g, in);
  REQUIRE_MESSAGE(y.ok(), (y.ok() ? "" : y.error().message));
  return (*y)[0].data;
}

// Bits in, two thresholds per output to bytes, one to bits.
const std::string kBits = R"(graph g
input %x: f32[N,3]
const %w: f32[2,3] = integers {1, -1, 1, 1, 1, 1} scales {0.5, 0.5}
const %t: i32[2,2] = {-1, 3, 1, 2}
const %u: i32[1,1] = {-3}
const %v: f32[1,2] = integers {-1, 1} scales {1}
node q = quantize(%x) -> %xq: f32[N,3] bits(0.25)
node a = linear(%xq, %w, %t) {thresholds=true, first=1, step=2} -> %a: f32[N,2] bytes(0.5, 3)
node b = linear(%a, %v, %u) {thresholds=true} -> %b: f32[N,1] bits(2)
node f = quantize(%b) -> %y: f32[N,1]
output %y
)";

TEST_CASE("thresholds: sums of signs count what they reach") {
  // Signs + - +: sums 3 and 1, bytes 1 + 2 * 2 and 1 + 2 * 1, less 3: 2 and 0; -2 + 0 >= -3.
  // Signs - + -: -3 and -1, bytes 1 and 1: -2 and -2, sum 0. 0 counts as +, NaN as -.
  CHECK(run(kBits, {2, 3}, {0, -1e-9f, 7, -5, 0.0f, std::nanf("")}) == Floats{2, 2});
  // Signs + - +, where the last layer asks for more.
  std::string more = kBits;
  more.replace(more.find("{-3}"), 4, "{-2}");
  CHECK(run(more, {1, 3}, {1, -1, 1}) == Floats{2});
  more.replace(more.find("{-2}"), 4, "{-1}");
  CHECK(run(more, {1, 3}, {1, -1, 1}) == Floats{-2});
}

TEST_CASE("thresholds: padding of bits adds nothing") {
  const std::string text = R"(graph g
input %x: f32[N,1,1,3]
const %w: f32[1,1,1,3] = integers {1, 1, 1} scales {1}
const %t: i32[1,1] = {2}
node q = quantize(%x) -> %xq: f32[N,1,1,3] bits(1)
node c = conv2d(%xq, %w, %t) {kernel=[1,3], pad=[0,1,0,1], thresholds=true} -> %c: f32[N,1,1,3] bits(1)
node f = quantize(%c) -> %y: f32[N,1,1,3]
output %y
)";
  // Sums of + + -: 2, 1, 0.
  CHECK(run(text, {1, 1, 1, 3}, {1, 1, -1}) == Floats{1, -1, -1});
}

TEST_CASE("thresholds: sums beyond 2^24 are compared exactly") {
  const std::string text = R"(graph g
input %x: f32[N,1024]
const %w: f32[1,1024] = integers fill 127 scales {1}
const %t: i32[1,2] = {33162240, 33162241}
node q = quantize(%x) -> %xq: f32[N,1024] bytes(1, 0)
node a = linear(%xq, %w, %t) {thresholds=true} -> %a: f32[N,1] bytes(1, 0)
node f = quantize(%a) -> %y: f32[N,1]
output %y
)";
  CHECK(run(text, {1, 1024}, Floats(1024, 255)) == Floats{1});  // 1024 * 255 * 127 = 33162240
}

TEST_CASE("thresholds: lowering hands them over") {
  auto file = lower::lower(*ir::parse(kBits));
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  const lower::Operator& op = file->operators.at(1);
  CHECK(op.thresholds == std::vector<int64_t>{-1, 3, 1, 2});
  CHECK(op.thresholds_each == 2);
  CHECK(file->tensors.at(op.inputs[0]).quantization.bits);
}

TEST_CASE("thresholds: what verify refuses") {
  const auto broken = [](const char* from, const char* to) {
    std::string text = kBits;
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return problem(text.replace(at, std::string(from).size(), to));
  };
  const char* cannot = "cannot have the quantization";
  CHECK(broken("{-1, 3, 1, 2}", "{-1, 3, 2, 1}").find("fall") != std::string::npos);
  CHECK(broken("bytes(0.5, 3)", "bits(0.5)").find("2 thresholds") != std::string::npos);
  CHECK(broken("%a: f32[N,2] bytes(0.5, 3)", "%a: f32[N,2]").find("in f32") != std::string::npos);
  CHECK(broken("step=2", "step=128").find("from 1 to 257") != std::string::npos);
  CHECK(broken("step=2", "step=0").find("steps of 0") != std::string::npos);
  CHECK(broken("first=1", "clamp=[0,none]").find("beside") != std::string::npos);
  CHECK(
      broken("linear(%xq, %w, %t) {thresholds=true, first=1, step=2} -> %a: f32[N,2] bytes(0.5, 3)",
             "linear(%xq, %w) -> %a: f32[N,2] bits(0.5)")
          .find(cannot) != std::string::npos);
  CHECK(
      broken("node f = quantize(%b) -> %y: f32[N,1]", "node f = unary(%b) -> %y: f32[N,1] bits(2)")
          .find(cannot) != std::string::npos);
}

}  // namespace
}  // namespace qrt
