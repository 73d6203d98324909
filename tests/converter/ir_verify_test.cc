// Each invariant of verify(), broken one at a time, and the edits that keep them.
#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "converter/ir/edit.h"
#include "converter/ir/graph.h"

namespace qrt {
namespace {

ir::Graph sound() {
  Result<ir::Graph> graph = ir::parse(R"(
input %x: f32[N,4]
const %w: f32[2,4] = {1, 2, 3, 4, 5, 6, 7, 8}
const %b: f32[2] = {0, 1}
const %coded: f32[2,4] = codebook {books=1, count=2, dim=2, scope_rows=0, entry=f16} entries {1, 2, 3, 4} codes {0, 1, 1, 0}
node fc = linear(%x, %w, %b) {bias=true} -> %y
node relu = unary(%y) {beta=none} -> %z
node fc2 = linear(%x, %coded) -> %u
node sum = binary(%z, %u) -> %out
output %out
)");
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  return *graph;
}

ir::Value& value(ir::Graph& graph, const std::string& name) {
  for (ir::Value& v : graph.values) {
    if (v.name == name) return v;
  }
  FAIL("no such value");
  return graph.values[0];
}

TEST_CASE("verify accepts a sound graph and names what is broken") {
  ir::Graph graph = sound();
  Result<void> good = ir::verify(graph);
  CHECK_MESSAGE(good.ok(), good.error().message);

  struct Case {
    const char* why;
    std::function<void(ir::Graph&)> breaks;
  };
  const Case cases[] = {
      {"names value", [](ir::Graph& g) { g.nodes[0].in[0] = 99; }},
      {"names value", [](ir::Graph& g) { g.nodes[0].in[0] = -1; }},
      {"has 0 outputs", [](ir::Graph& g) { g.nodes[3].out.clear(); }},
      {"names value", [](ir::Graph& g) { g.outputs[0] = 99; }},
      {"names constant", [](ir::Graph& g) { value(g, "w").constant = 7; }},
      {"names node", [](ir::Graph& g) { value(g, "y").producer = 44; }},
      {"as its producer", [](ir::Graph& g) { value(g, "y").producer = 1; }},
      {"2 sources", [](ir::Graph& g) { g.inputs.push_back(1); }},
      {"2 sources", [](ir::Graph& g) { value(g, "y").constant = 0; }},
      {"has no name", [](ir::Graph& g) { value(g, "y").name.clear(); }},
      {"two values are named", [](ir::Graph& g) { value(g, "y").name = "z"; }},
      {"which nothing makes", [](ir::Graph& g) { g.inputs.clear(); }},
      {"no output", [](ir::Graph& g) { g.outputs.clear(); }},
      {"before it is made",
       [](ir::Graph& g) {
         std::swap(g.nodes[0], g.nodes[1]);
         value(g, "y").producer = 1;
         value(g, "z").producer = 0;
       }},
      {"is batched", [](ir::Graph& g) { value(g, "w").batched = true; }},
      {"its value says", [](ir::Graph& g) { value(g, "w").type = ir::ElementType::f16; }},
      {"elements for shape", [](ir::Graph& g) { g.constants[0].data.pop_back(); }},
      {"elements for shape", [](ir::Graph& g) { g.constants[0].ints.push_back(1); }},
      {"infinite value or NaN",
       [](ir::Graph& g) { g.constants[0].data[3] = std::numeric_limits<float>::quiet_NaN(); }},
      {"constant coded",
       [](ir::Graph& g) {
         quant::Encoding wrong = *g.constants[2].encoding;
         std::get<quant::Codebook>(wrong).codes[0] = 2;
         g.constants[2].encoding = std::make_shared<const quant::Encoding>(wrong);
       }},
      {"has shape", [](ir::Graph& g) { value(g, "x").shape[1] = -4; }},
      {"no dimension", [](ir::Graph& g) { value(g, "x").shape.clear(); }},
      {"it should be", [](ir::Graph& g) { value(g, "y").shape[1] = 3; }},
      {"it should be", [](ir::Graph& g) { value(g, "z").batched = false; }},
      {"has 3 inputs; expected 2",
       [](ir::Graph& g) { std::get<ir::Linear>(g.nodes[0].attr).bias = false; }},
  };
  for (const Case& c : cases) {
    ir::Graph broken = sound();
    c.breaks(broken);
    Result<void> found = ir::verify(broken);
    REQUIRE_MESSAGE(!found.ok(), c.why);
    CHECK(found.error().id == 571);
    CHECK_MESSAGE(found.error().message.find(c.why) != std::string::npos, found.error().message);
  }
}

TEST_CASE("inference refuses shapes and attributes that do not fit") {
  struct Case {
    const char* node;
    int id;
  };
  const Case cases[] = {
      {"conv2d(%x, %w)", 550},                           // kernel 1 1 by default, weight 3 3
      {"conv2d(%x, %w) {kernel=[3,3], groups=2}", 550},  // channels do not divide
      {"conv2d(%x, %w) {kernel=[3,3], stride=[0,1]}", 553},
      {"conv2d(%x, %w) {kernel=[3,3], pad=[-1,0,0,0]}", 553},
      {"conv2d(%x, %w) {kernel=[3,3], dilation=[9,9]}", 550},
      {"conv2d(%x, %w, %v) {kernel=[3,3], bias=true}", 550},
      {"conv2d(%x) {kernel=[3,3]}", 554},
      {"conv2d(%m, %w) {kernel=[3,3]}", 550},
      {"pool2d(%x) {kernel=[2,2], pad=[2,0,0,0]}", 553},
      {"pool2d(%x) {kernel=[2,2], stride=[1,1], pad=[0,0,2,0]}", 553},
      {"pool2d(%s) {kernel=[2,2], dilation=[2,2], pad=[3,1,1,1]}", 553},
      {"pool2d(%s) {mode=lp, power=0, kernel=[1,1]}", 553},
      {"pool2d(%s) {mode=lp, power=65, global=true}", 553},
      {"conv_transpose(%x, %w)", 550},
      {"conv_transpose(%x, %w) {kernel=[3,3], stride=[0,1]}", 553},
      {"conv_transpose(%x, %w) {kernel=[3,3], adjust=[-1,0]}", 553},
      {"conv_transpose(%x, %w) {kernel=[3,3], pad=[5,0,5,0]}", 553},
      {"conv_transpose(%x, %w, %v) {kernel=[3,3], bias=true}", 550},
      {"conv_transpose(%m, %w) {kernel=[3,3]}", 550},
      {"matmul(%m)", 554},
      {"matmul(%m, %two)", 550},
      {"matmul(%m, %v)", 550},
      {"matmul(%index, %m)", 550},
      {"pool2d(%x) {kernel=[0,2]}", 553},
      {"linear(%m, %v)", 550},
      {"binary(%x, %v)", 550},
      {"binary(%m, %two)", 552},  // [N,6] with [2,6]
      {"binary(%m, %index)", 550},
      {"affine(%m, %v, %v)", 550},
      {"batch_norm(%x, %v, %v, %v, %v)", 550},
      {"fake_quantize(%m, %v, %one)", 550},
      {"fake_quantize(%m, %one)", 554},
      {"fake_quantize(%m, %one, %one) {low=4, high=3}", 553},
      {"fake_quantize(%m, %one, %one) {high=0.5}", 553},
      {"fake_quantize(%m, %one, %one) {high=65537}", 553},
      {"fake_quantize(%m, %minus, %one)", 553},
      {"fake_quantize(%m, %one, %half) {zero_after=true}", 553},
      {"fake_quantize(%m, %one, %v) {axis=0}", 552},
      {"steps(%m, %one)", 550},
      {"steps(%m, %rows)", 550},
      {"steps(%m, %falls)", 553},
      {"softmax(%m) {axis=0}", 552},
      {"softmax(%m) {axis=2}", 553},
      {"concat(%m, %m) {axis=0}", 552},
      {"concat(%m, %x) {axis=1}", 550},
      {"transpose(%m) {perm=[1,0]}", 552},
      {"transpose(%m) {perm=[0,0]}", 553},
      {"reshape(%m) {dims=[1,5]}", 550},
      {"pad(%m) {before=[1,0], after=[0,0]}", 552},
      {"pad(%m) {mode=reflect, before=[0,6], after=[0,0]}", 553},
      {"pad(%m) {before=[0], after=[0]}", 553},
      {"gather(%m, %index) {axis=0}", 552},
      {"gather(%v, %v)", 550},
      {"cast(%v) {to=8}", 553},
      {"unsqueeze(%m) {axes=[0]}", 552},
      {"unsqueeze(%v) {axes=[0,0]}", 553},
      {"unsqueeze(%x) {axes=[1,2,3]}", 551},
      {"squeeze(%m) {axes=[0]}", 552},
      {"squeeze(%m) {axes=[1]}", 550},
      {"slice(%v) {starts=[0], ends=[1], axes=[0], steps=[0]}", 553},
      {"slice(%v) {starts=[0], ends=[1], axes=[0]}", 553},
      {"slice(%m) {starts=[0], ends=[1], axes=[0], steps=[1]}", 552},
      {"slice(%v) {starts=[0,1], ends=[1,2], axes=[0,-1], steps=[1,1]}", 553},
      {"gather(%v, %ids) {axis=0}", 550},
      {"gather(%two, %batch_ids) {axis=1}", 552},
      {"gather(%m, %batch_ids) {axis=1}", 552},
      {"resize(%x) {sizes=[0,0,4,4], scales=[0,0,0]}", 568},
      {"resize(%x) {sizes=[0,0,4,4], scales=[0,0,-1,0]}", 568},
      {"resize(%x) {sizes=[0,0,-4,4], scales=[0,0,0,0]}", 568},
      {"resize(%x) {sizes=[0,0,4,4], scales=[0,0,0,0], roi=[0,0,0,0,1,1,1,1]}", 568},
      {"resize(%x) {sizes=[2,0,4,4], scales=[0,0,0,0]}", 552},
      {"resize(%x) {sizes=[0,0,16777217,4], scales=[0,0,0,0]}", 551},
      {"resize(%index) {sizes=[4], scales=[0]}", 550},
      {"tile(%m) {repeats=[1]}", 569},
      {"expand(%m, %m)", 550},
      {"expand(%two, %m)", 550},
      {"expand(%s, %s)", 550},
      {"tile(%m) {repeats=[1,0]}", 569},
      {"tile(%m) {repeats=[2,1]}", 552},
      {"tile(%m) {repeats=[1,16777216]}", 551},
  };
  const std::string head = R"(
input %x: f32[N,3,8,8]
input %m: f32[N,6]
input %s: f32[1,1,1,1]
const %w: f32[4,3,3,3] = fill 1
const %v: f32[5] = fill 1
const %two: f32[2,6] = fill 1
const %index: i64[6] = fill 0
const %ids: f32[2] = fill 0
const %one: f32[1] = {1}
const %minus: f32[1] = {-1}
const %half: f32[1] = {0.5}
const %six: f32[1] = {6}
const %row: f32[1,2] = {1, 2}
const %rows: f32[2,1] = {1, 2}
const %falls: f32[1,2] = {2, 1}
input %batch_ids: i64[N,2]
)";
  for (const Case& c : cases) {
    // Text with a type skips inference, so that infer() itself can be asked.
    Result<ir::Graph> graph = ir::parse(head + "node n = " + c.node + " -> %y: f32[1]\n");
    REQUIRE_MESSAGE(graph.ok(), graph.error().message);
    Result<ir::ValueType> type = ir::infer(*graph, graph->nodes[0]);
    REQUIRE_MESSAGE(!type.ok(), c.node);
    CHECK_MESSAGE(type.error().id == c.id, type.error().message);
    CHECK_MESSAGE(type.error().message.find(" n: ") != std::string::npos, type.error().message);
  }
}

TEST_CASE("edits keep a graph sound") {
  ir::Graph graph = sound();
  const ir::ValueId y = 4, z = 5;
  REQUIRE(graph.values[y].name == "y");
  REQUIRE(graph.values[z].name == "z");

  // A node in the middle: producers behind it move, names stay unique.
  Result<ir::ValueId> twice = ir::add_node(graph, {"twice", ir::Binary{}, {y, y}, {}, {}}, "y", 1);
  REQUIRE_MESSAGE(twice.ok(), twice.error().message);
  CHECK(graph.values[*twice].name == "y_2");
  CHECK(graph.values[z].producer == 2);
  CHECK(ir::verify(graph).ok());

  // Readers move to another value; what nobody reads goes, the rest is renumbered.
  ir::replace_uses(graph, z, *twice);
  CHECK(ir::consumers(graph)[z].empty());
  ir::remove_dead(graph);
  CHECK(graph.nodes.size() == 4);
  CHECK(ir::verify(graph).ok());

  // A graph output hands its name on.
  const ir::ValueId out = graph.outputs[0], before = graph.nodes.back().in[0];
  ir::replace_uses(graph, out, before);
  ir::remove_dead(graph);
  CHECK(graph.values[graph.outputs[0]].name == "out");
  CHECK(graph.constants.size() == 2);
  CHECK(ir::verify(graph).ok());
}

}  // namespace
}  // namespace qrt
