// Where bytes begin and end, as text: graph before, graph after.
#include "converter/int8/placement.h"

#include <doctest/doctest.h>

#include <set>

#include "converter/passes/layer.h"

namespace qrt::int8 {
namespace {

// All layers sum floats still, so the graph as it stands is not sound: placement alone is looked
// at.
ir::Graph placed(const std::string& text, const std::set<std::string>& f32 = {}) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  std::vector<bool> layers;
  for (const ir::Node& n : g->nodes)
    layers.push_back(passes::takes_codes(n) && f32.count(n.name) == 0);
  const Placement p = place(*g, layers);
  std::vector<ir::Quantization> q(g->values.size());
  for (size_t v = 0; v < q.size(); ++v)
    q[v] = {0.5f + static_cast<float>(p.group[v]), 10};  // the group shows
  const auto done = insert(*g, p, q);
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
  return *g;
}

ir::Quantization of(const ir::Graph& g, const std::string& value) {
  for (const ir::Value& v : g.values)
    if (v.name == value) return v.quantization;
  FAIL("no value " << value);
  return {};
}

std::vector<std::string> nodes(const ir::Graph& g) {
  std::vector<std::string> names;
  for (const ir::Node& n : g.nodes) names.push_back(n.name);
  return names;
}

using Names = std::vector<std::string>;

const char* const kHead =
    "graph g\ninput %x: f32[N,3,4,4]\n"
    "const %w1: f32[2,3,1,1] = fill 1\nconst %w2: f32[2,2,1,1] = fill 1\n";

TEST_CASE("placement: a residual block is bytes from the image to the last layer") {
  const ir::Graph g = placed(std::string(kHead) + R"(
node t = transpose(%x) {perm=[0,2,3,1]} -> %t
node a = conv2d(%t, %w1) {layout=nhwc, clamp=[0,none]} -> %a
node b = conv2d(%a, %w2) {layout=nhwc} -> %b
node c = conv2d(%b, %w2, %a) {layout=nhwc, residual=true} -> %c
node p = pool2d(%c) {mode=max, kernel=[2,2], layout=nhwc} -> %p
node d = conv2d(%p, %w2) {layout=nhwc} -> %d
output %d
)");
  CHECK(nodes(g) == Names{"x.bytes", "t", "a", "b", "c", "p", "d"});
  for (const char* v : {"x.q", "t", "a", "b", "c", "p"}) CHECK(of(g, v).present());
  CHECK(of(g, "x.q") == of(g, "t"));  // moved as it is
  CHECK(of(g, "c") == of(g, "p"));
  CHECK(!(of(g, "a") == of(g, "b")));
  CHECK(!of(g, "d").present());  // an output
}

TEST_CASE("placement: what computes in f32 has converters around it, one per value") {
  const ir::Graph g = placed(std::string(kHead) + R"(
node a = conv2d(%x, %w1) -> %a
node u = unary(%a) {op=sigmoid} -> %u
node m = binary(%a, %u) {op=mul} -> %m
node b = conv2d(%m, %w2) -> %b
node c = conv2d(%m, %w2) -> %c
node s = binary(%b, %c) {op=add} -> %s
node d = conv2d(%s, %w2) -> %d
output %d
)");
  CHECK(nodes(g) == Names{"x.bytes", "a", "u", "m", "m.bytes", "b", "c", "s", "d"});
  CHECK(!of(g, "a").present());
  CHECK(!of(g, "m").present());
  CHECK(of(g, "s").present());
}

TEST_CASE("placement: a value read as bytes and as floats is bytes, converted once") {
  const ir::Graph g = placed(std::string(kHead) + R"(
node a = conv2d(%x, %w1) -> %a
node b = conv2d(%a, %w2) -> %b
node u = unary(%a) {op=sigmoid} -> %u
node v = unary(%a) {op=tanh} -> %v
output %b
output %u
output %v
)");
  CHECK(nodes(g) == Names{"x.bytes", "a", "b", "a.f32", "u", "v"});
}

TEST_CASE("placement: an output is floats, and its other readers have bytes of their own") {
  const ir::Graph g = placed(std::string(kHead) + R"(
node a = conv2d(%x, %w1) -> %a
node b = conv2d(%a, %w2) -> %b
output %a
output %b
)");
  CHECK(nodes(g) == Names{"x.bytes", "a", "a.bytes", "b"});
  CHECK(!of(g, "a").present());
}

TEST_CASE("placement: branches that meet in a concat share their quantization") {
  const ir::Graph g = placed(std::string(kHead) + R"(
node a = conv2d(%x, %w1) -> %a
node b = conv2d(%a, %w2) -> %b
node c = conv2d(%a, %w2) -> %c
node k = concat(%b, %c) {axis=1} -> %k
node l = slice(%k) {starts=[0], ends=[2], axes=[1], steps=[1]} -> %l
node d = conv2d(%l, %w2) -> %d
output %d
)");
  CHECK(of(g, "b").present());
  for (const char* v : {"c", "k", "l"}) CHECK(of(g, v) == of(g, "b"));
}

TEST_CASE("placement: layers kept in f32, paddings that are not 0, sums of broadcasts") {
  const ir::Graph g = placed(std::string(kHead) + R"(
node a = conv2d(%x, %w1) -> %a
node p = pad(%a) {before=[0,0,1,1], after=[0,0,0,0], value=1} -> %p
node b = conv2d(%p, %w2) -> %b
node g = pool2d(%b) {mode=average, global=true} -> %g
node s = binary(%b, %g) {op=add} -> %s
node c = conv2d(%s, %w2) -> %c
output %c
)",
                             {"a"});
  CHECK(nodes(g) == Names{"a", "p", "p.bytes", "b", "g", "s", "s.bytes", "c"});
  CHECK(!of(g, "b").present());
}

TEST_CASE("placement: without layers of integers nothing changes") {
  const std::string text = std::string(kHead) + "node a = conv2d(%x, %w1) -> %a\noutput %a\n";
  CHECK(ir::print(placed(text, {"a"})) == ir::print(*ir::parse(text)));
}

}  // namespace
}  // namespace qrt::int8
