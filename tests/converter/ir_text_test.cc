// The text form: what is printed parses back to the same text, and what does not
// parse is refused with its line.
#include <doctest/doctest.h>

#include "converter/ir/edit.h"
#include "converter/ir/graph.h"
#include "converter/ir/text.h"

namespace qrt {
namespace {

// Every operator with attributes away from their defaults, every constant form, odd names.
const char* const kEverything = R"(graph everything
input %x: f32[N,2,4,4]
input %"in put:0": f32[4]
const %w: f32[2,1,3,3] = fill 0.5
const %s: f32[2] = {1, -0.25}
const %s1: f32[1] = {0.5}
const %zeros: f32[2] = {1, -2}
const %rows: f32[2,3] = {-1, 0, 1, 2, 2, 5}
const %half: f16[3] = {0.5, 1, 2}
const %codes: u8[2] = {1, 0}
const %index: i64[3] = {0, -1, 1}
const %w1: f32[1,3] = {1, 2, 3}
const %coded: f32[2,4] = codebook {books=1, count=2, dim=2, scope_rows=0, entry=f16} entries {1, 2, 3, 4} codes {0, 1, 1, 0} source gather
node conv = conv2d(%x, %w, %s, %s, %x) {kernel=[3,3], pad=[1,1,1,1], groups=2, scale=true, bias=true, residual=true, clamp=[0,none]} -> %c: f32[N,2,4,4] from conv1, relu1
node pool = pool2d(%c) {mode=average, kernel=[2,2], stride=[2,2], count_include_pad=true} -> %p: f32[N,2,2,2]
node global = pool2d(%c) {global=true, layout=nhwc} -> %g: f32[N,1,1,4]
node bn = batch_norm(%p, %s, %s, %s, %s) {eps=0.001} -> %bn: f32[N,2,2,2]
node affine = affine(%bn, %s, %s) {clamp=[none,6]} -> %a: f32[N,2,2,2]
node sum = binary(%a, %p) {op=sub, clamp=[-1,1]} -> %sum: f32[N,2,2,2]
node act = unary(%sum) {op=hard_sigmoid, alpha=0.2, beta=0.5} -> %act: f32[N,2,2,2]
node relu = unary(%act) {beta=none} -> %relu: f32[N,2,2,2]
node soft = softmax(%relu) {axis=1, log=true} -> %soft: f32[N,2,2,2]
node cat = concat(%soft, %act) {axis=1} -> %cat: f32[N,4,2,2]
node turn = transpose(%cat) {perm=[0,2,3,1]} -> %turn: f32[N,2,2,4]
node flat = reshape(%turn) {dims=[4,4]} -> %flat: f32[4N,4]
node fc = linear(%flat, %coded) -> %fc: f32[4N,2]
node pad = pad(%fc) {mode=reflect, before=[0,1], after=[0,0]} -> %pad: f32[4N,3]
node look = gather(%half, %index) -> %look: f16[3]
node cast = cast(%codes) {to=6} -> %cast: i32[2]
node id = identity(%look) -> %id: f16[3]
node size = shape(%x) -> %size: i64[4]
node up = unsqueeze(%id) {axes=[0]} -> %up: f16[1,3]
node down = squeeze(%up) {axes=[0]} -> %down: f16[3]
node cut = slice(%size) {starts=[1], ends=[3], axes=[0], steps=[1]} -> %cut: i64[2]
node bigger = resize(%c) {mode=cubic, coordinates=tf_crop_and_resize, nearest=ceil, sizes=[0,0,8,8], scales=[0,0,2,1.5], roi=[0,0,0.25,0,1,1,0.75,1], cubic_a=-0.5, exclude_outside=true, outside=3} -> %bigger: f32[N,2,8,8]
node many = tile(%bigger) {repeats=[1,2,1,1]} -> %many: f32[N,4,8,8]
node all = expand(%w1, %x) -> %all: f32[N,3]
node grid = fake_quantize(%c, %s1, %zeros) {rounding=half_away, low=0, high=15, zero_after=true, axis=-3} -> %grid: f32[N,2,4,4]
node steps = steps(%c, %rows) {scale=0.5, bias=-1, axis=-3} -> %stepped: f32[N,2,4,4]
output %pad
output %all
output %many
output %grid
output %stepped
output %down
output %cut
output %cast
output %g
)";

TEST_CASE("every operator prints and parses back") {
  Result<ir::Graph> graph = ir::parse(kEverything);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  CHECK(ir::print(*graph) == kEverything);
  Result<void> good = ir::verify(*graph);
  CHECK_MESSAGE(good.ok(), good.error().message);
}

TEST_CASE("types may be left to inference") {
  Result<ir::Graph> graph = ir::parse(
      "input %x: f32[2N,3]\n"
      "# a comment\n\n"
      "node f = reshape(%x) {dims=[1,6]} -> %y  # and another\n"
      "output %y\n");
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  CHECK(graph->values[1].shape == std::vector<int64_t>{1, 6});
  CHECK(graph->values[1].batched);
}

TEST_CASE("encodings of few bits read back as they print") {
  const std::string text =
      "graph g\n"
      "input %x: f32[N,4]\n"
      "const %a: f32[2,4] = affine {bits=2, signed=true} zero_halves {1, -3} codes {-2, 1, 0, 1, "
      "-1, 0, 0, 1} scales output {0.5, 2} source quant\n"
      "const %t: f32[1,4] = table {bits=1} values {0.25, 3} codes {0, 1, 1, 0} scales group 2 "
      "{1, 2} offset {0.5}\n"
      "const %i: f32[1,2,1,2] = table {bits=1, taps=2} integers {-7, 300} codes {0, 1, 1, 0} "
      "scales layer {1}\n"
      "const %p: f32[1,4] = bit_planes {group=2} counts {2, 1} signs {1, 0, 0, 0, 1, 1} alphas "
      "{1, 2, 3}\n"
      "const %s: f32[2,2] = bit_planes {group=0, ternary5=true} counts {1, 0} signs {2, 1} alphas "
      "{0.5}\n"
      "output %x\n";
  Result<ir::Graph> graph = ir::parse(text);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  CHECK(ir::print(*graph) == text);
  Result<void> good = ir::verify(*graph);
  CHECK_MESSAGE(good.ok(), good.error().message);
}

TEST_CASE("large constants print as a hash, and differ") {
  ir::Graph graph;
  std::vector<float> data(65, 1.0f);
  data[64] = 2;
  ir::add_floats(graph, "a", {65}, data);
  data[64] = 3;
  ir::add_floats(graph, "b", {65}, data);
  const std::string text = ir::print(graph);
  const size_t first = text.find("hash "), second = text.find("hash ", first + 1);
  REQUIRE(second != std::string::npos);
  CHECK(text.substr(first, 21) != text.substr(second, 21));
  Result<ir::Graph> again = ir::parse(text);
  REQUIRE(!again.ok());
  CHECK(again.error().id == 570);
  CHECK(again.error().message.find("line 2") == 0);
}

TEST_CASE("names of any bytes survive") {
  ir::Graph graph;
  const std::string odd = "a \"b\" \\ \n \x01\xff:0";
  graph.inputs = {0};
  graph.values.push_back({odd, ir::ElementType::f32, {1}, false, -1, -1});
  graph.outputs = {0};
  Result<ir::Graph> again = ir::parse(ir::print(graph));
  REQUIRE_MESSAGE(again.ok(), again.error().message);
  CHECK(again->values[0].name == odd);
}

TEST_CASE("what does not parse names its line and the reason") {
  struct Case {
    const char *text, *line, *why;
  };
  const Case cases[] = {
      {"input %x: f32[1]\nnonsense\n", "line 2", "expected graph, input"},
      {"input %x f32[1]", "line 1", "expected ':'"},
      {"const %w: f32[1,2] = affine {bits=9} codes {1, 2} scales layer {1}", "line 1", "9 bits"},
      {"const %w: f32[1,2] = affine {bits=2} codes {1, 2} scales group 0 {1}", "line 1", "group"},
      {"const %w: f32[1,2] = table {bit=2} values {1, 2}", "line 1", "no attribute bit"},
      {"const %w: f32[1,2] = bit_planes {group=0} counts {1} signs {1, 2} alphas {1}", "line 1",
       "a sign is 2"},
      {"input %x: f31[1]", "line 1", "no type"},
      {"input %x: f32[1,-2]", "line 1", "negative"},
      {"input %x: f32[99999999999,99999999999]", "line 1", "too large"},
      {"input %x: f32[1]\ninput %x: f32[1]", "line 2", "defined twice"},
      {"node n = unary(%x) -> %y", "line 1", "not defined above"},
      {"input %x: f32[1]\nnode n = blend(%x) -> %y", "line 2", "no operator blend"},
      {"input %x: f32[1]\nnode n = unary(%x) {gamma=1} -> %y", "line 2", "no attribute gamma"},
      {"input %x: f32[1]\nnode n = unary(%x) {op=sing} -> %y", "line 2", "no value of op"},
      {"input %x: f32[1]\nnode n = unary(%x) {alpha=q} -> %y", "line 2", "expected a number"},
      {"input %x: f32[1]\nnode n = unary(%x, %x) -> %y", "line 2", "has 2 inputs"},
      {"input %x: f32[1]\nnode n = unary(%x) -> %y extra", "line 2", "unexpected 'extra'"},
      {"const %c: f32[2] = {1}", "line 1", "found 1 values"},
      {"const %c: f32[2] = {1, 2", "line 1", "expected ','"},
      {"const %c: f32[2000000000] = fill 1", "line 1", "fill of more"},
      {"const %\"c: f32[2] = {1, 2}", "line 1", "does not end"},
      {"const %c: f32[1,2] = codebook {count=1, dim=2} entries {1, 2} codes {1}", "line 1", "code"},
      {"const %c: f32[1,2] = codebook {count=1, dim=0} entries {1, 2} codes {0}", "line 1",
       "at least 1"},
      {"output %y", "line 1", "not defined above"},
  };
  for (const Case& c : cases) {
    Result<ir::Graph> graph = ir::parse(c.text);
    REQUIRE_MESSAGE(!graph.ok(), c.text);
    CHECK(graph.error().id == 570);
    CHECK_MESSAGE(graph.error().message.find(c.line) == 0, graph.error().message);
    CHECK_MESSAGE(graph.error().message.find(c.why) != std::string::npos, graph.error().message);
  }
}

TEST_CASE("no prefix of a text crashes the parser") {
  const std::string text = kEverything;
  size_t refused = 0;
  for (size_t length = 0; length < text.size(); ++length) {
    refused += !ir::parse(text.substr(0, length)).ok();
  }
  CHECK(refused > text.size() / 2);
}

}  // namespace
}  // namespace qrt
