// fold_constants, infer_shapes and lower_batch_norm: text in, text out.
#include <doctest/doctest.h>

#include "converter/passes/passes.h"

namespace qrt {
namespace {

ir::Graph parsed(const std::string& text) {
  Result<ir::Graph> graph = ir::parse(text);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  return *graph;
}

std::string after(Result<void> (*pass)(ir::Graph&), const std::string& text) {
  ir::Graph graph = parsed(text);
  Result<void> done = pass(graph);
  REQUIRE_MESSAGE(done.ok(), done.error().message);
  Result<void> good = ir::verify(graph);
  CHECK_MESSAGE(good.ok(), good.error().message);
  return ir::print(graph);
}

Error refusal(Result<void> (*pass)(ir::Graph&), const std::string& text) {
  ir::Graph graph = parsed(text);
  Result<void> done = pass(graph);
  REQUIRE(!done.ok());
  return done.error();
}

TEST_CASE("a codebook spelled as Gather folds to a weight of the same name") {
  CHECK(after(passes::fold_constants, R"(graph g
input %x: f32[N,4]
const %book: f16[2,2] = {1, 2, 3, 4}
const %codes: u8[2,2] = {0, 1, 1, 0}
node c1 = cast(%book) {to=1} -> %book32
node c2 = cast(%codes) {to=6} -> %codes32
node look = gather(%book32, %codes32) -> %blocks
node form = reshape(%blocks) {dims=[2,4]} -> %fc.weight
node fc = linear(%x, %fc.weight) -> %y
output %y
)") == R"(graph g
input %x: f32[N,4]
const %fc.weight: f32[2,4] = {1, 2, 3, 4, 3, 4, 1, 2}
node fc = linear(%x, %fc.weight) -> %y: f32[N,2]
output %y
)");
}

TEST_CASE("shapes, slices and integer arithmetic fold away") {
  CHECK(after(passes::fold_constants, R"(graph g
input %x: f32[2,3]
const %one: i64[1] = {1}
node size = shape(%x) -> %size
node cut = slice(%size) {starts=[1], ends=[2], axes=[0], steps=[1]} -> %width
node add = binary(%width, %one) -> %wider
node two = concat(%wider, %one) {axis=0} -> %list
node f = cast(%list) {to=1} -> %floats
node up = unsqueeze(%floats) {axes=[0]} -> %up
node down = squeeze(%up) {axes=[0]} -> %down
node third = gather(%down, %one) -> %picked
node sum = binary(%x, %picked) -> %y
output %y
)") == R"(graph g
input %x: f32[2,3]
const %picked: f32[1] = {1}
node sum = binary(%x, %picked) -> %y: f32[2,3]
output %y
)");
}

TEST_CASE("on activations Identity vanishes, Squeeze and Unsqueeze become Reshape") {
  CHECK(after(passes::fold_constants, R"(graph g
input %x: f32[N,3,1]
node i1 = identity(%x) -> %x1
node s = squeeze(%x1) {axes=[2]} -> %s
node c = cast(%s) {to=1} -> %c
node u = unsqueeze(%c) {axes=[1]} -> %u
node i2 = identity(%u) -> %y
node copy = identity(%x) -> %z
output %y
output %z
)") == R"(graph g
input %x: f32[N,3,1]
node s = reshape(%x) {dims=[1,3]} -> %s: f32[N,3]
node u = reshape(%s) {dims=[1,1,3]} -> %y: f32[N,1,3]
node copy = reshape(%x) {dims=[1,3,1]} -> %z: f32[N,3,1]
output %y
output %z
)");
}

TEST_CASE("types follow a cast that vanishes") {
  CHECK(after(passes::fold_constants, R"(graph g
input %x: f32[N,4]
node c = cast(%x) {to=10} -> %half
node r = reshape(%half) {dims=[1,2,2]} -> %y
output %y
)") == R"(graph g
input %x: f32[N,4]
node r = reshape(%x) {dims=[1,2,2]} -> %y: f32[N,2,2]
output %y
)");
}

TEST_CASE("an encoded weight keeps its encoding through a reshape") {
  CHECK(after(passes::fold_constants, R"(graph g
input %x: f32[N,2,1,4]
const %w: f32[2,2,2] = codebook {books=1, count=2, dim=2, scope_rows=0, entry=f16} entries {1, 2, 3, 4} codes {0, 1, 1, 0} source checkpoint
node as_image = reshape(%w) {dims=[2,2,1,2]} -> %w2
node conv = conv2d(%x, %w2) {kernel=[1,2]} -> %y
output %y
)") == R"(graph g
input %x: f32[N,2,1,4]
const %w2: f32[2,2,1,2] = codebook {books=1, count=2, dim=2, scope_rows=0, entry=f16} entries {1, 2, 3, 4} codes {0, 1, 1, 0} source checkpoint
node conv = conv2d(%x, %w2) {kernel=[1,2]} -> %y: f32[N,2,1,3]
output %y
)");
}

TEST_CASE("what cannot fold is refused with all its nodes") {
  const Error leftovers = refusal(passes::fold_constants, R"(
input %x: f32[N,4]
const %i: i64[1] = {0}
node size = shape(%x) -> %size
node pick = gather(%x, %i) {axis=1} -> %picked
output %size
output %picked
)");
  CHECK(leftovers.id == 555);
  CHECK_MESSAGE(leftovers.message.find("shape size [N,4]") != std::string::npos, leftovers.message);

  CHECK(refusal(passes::fold_constants,
                "const %c: f32[1] = {0}\nnode n = unary(%c) {op=log} -> %y\noutput %y\n")
            .id == 562);
  CHECK(refusal(passes::fold_constants,
                "const %w: f32[2,2] = codebook {count=1, dim=2} entries {1, 2} codes {0, 0}\n"
                "node t = transpose(%w) {perm=[1,0]} -> %y\noutput %y\n")
            .id == 556);
  CHECK(refusal(passes::fold_constants,
                "const %c: f32[20000,1] = fill 1\nconst %d: f32[1,30000] = fill 1\n"
                "node n = binary(%c, %d) -> %y\noutput %y\n")
            .id == 561);
}

TEST_CASE("an output that is a constant is a copy of it") {
  const char* const once = R"(graph g
input %x: f32[2,3]
const %y.constant: i64[2] = {2, 3}
const %z.constant: f32[1] = {0.5}
node sum = binary(%x, %z.constant) -> %w: f32[2,3]
node y = reshape(%y.constant) {dims=[2]} -> %y: i64[2]
node z = reshape(%z.constant) {dims=[1]} -> %z: f32[1]
output %y
output %z
output %w
)";
  CHECK(after(passes::fold_constants, R"(graph g
input %x: f32[2,3]
const %c: f16[1,1] = {-0.5}
node size = shape(%x) -> %y
node form = reshape(%c) {dims=[1]} -> %h
node n = unary(%h) {op=neg} -> %z
node sum = binary(%x, %z) -> %w
output %y
output %z
output %w
)") == once);
  CHECK(after(passes::fold_constants, once) == once);
}

TEST_CASE("infer_shapes follows a changed input") {
  ir::Graph graph = parsed(
      "graph g\ninput %x: f32[N,2,4,4]\nnode p = pool2d(%x) {kernel=[2,2], stride=[2,2]} -> %y\n"
      "output %y\n");
  graph.values[0].shape = {1, 2, 8, 6};
  REQUIRE(passes::infer_shapes(graph).ok());
  CHECK(graph.values[1].shape == std::vector<int64_t>{1, 2, 4, 3});
  graph.values[0].shape = {1, 2, 1, 6};
  CHECK(passes::infer_shapes(graph).error().id == 550);
}

TEST_CASE("batch normalization becomes affine") {
  const std::string head = R"(graph g
input %x: f32[N,2]
const %s: f32[2] = {1, 2}
const %b: f32[2] = {1, 0}
const %m: f32[2] = {3, 0.5}
)";
  CHECK(after(passes::lower_batch_norm, head + R"(const %v: f32[2] = {4, 0.25}
node bn = batch_norm(%x, %s, %b, %m, %v) {eps=0} -> %y
output %y
)") == R"(graph g
input %x: f32[N,2]
const %bn/scale: f32[2] = {0.5, 4}
const %bn/bias: f32[2] = {-0.5, -2}
node bn = affine(%x, %bn/scale, %bn/bias) -> %y: f32[N,2]
output %y
)");
  CHECK(refusal(passes::lower_batch_norm, head + R"(const %v: f32[2] = {4, -1}
node bn = batch_norm(%x, %s, %b, %m, %v) -> %y
output %y
)")
            .id == 557);
}

}  // namespace
}  // namespace qrt
