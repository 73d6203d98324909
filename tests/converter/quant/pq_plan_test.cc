// Plans of method pq: which layers, which sizes, and that placeholders have exactly them.
#include "converter/quant/pq_plan.h"

#include <doctest/doctest.h>

#include "converter/ir/edit.h"
#include "converter/quant/layer_rules.h"

using namespace qrt;
using quant::PqOptions;
using quant::PqPlan;
using quant::PqPlans;

namespace {

ir::Graph network() {
  auto g = ir::parse(R"(graph g
input %x : f32[N,3,8,8]
const %w0 : f32[16,3,3,3] = fill 1
const %w1 : f32[32,16,3,3] = fill 1
const %w2 : f32[32,1,3,3] = fill 1
const %w3 : f32[64,32,1,1] = fill 1
const %w4 : f32[2,64] = fill 1
node stem = conv2d(%x, %w0){kernel=[3,3], pad=[1,1,1,1]} -> %a
node body = conv2d(%a, %w1){kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} -> %c
node depth = conv2d(%c, %w2){kernel=[3,3], pad=[1,1,1,1], groups=32} -> %d
node point = conv2d(%d, %w3){kernel=[1,1]} -> %e
node pool = pool2d(%e){mode=average, global=true} -> %f
node flat = reshape(%f){dims=[1,64]} -> %h
node fc = linear(%h, %w4) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  return *g;
}

PqOptions with(const std::string& json) {
  PqOptions o;
  auto rules = quant::parse_layer_rules(json);
  REQUIRE_MESSAGE(rules.ok(), rules.error().message);
  o.layers = *rules;
  return o;
}

const PqPlan& layer(const PqPlans& plans, const std::string& name) {
  for (const PqPlan& p : plans.layers)
    if (p.layer == name) return p;
  FAIL("no layer " << name);
  return plans.layers[0];
}

PqPlans plan(const PqOptions& o) {
  auto p = quant::plan_pq(network(), o);
  REQUIRE_MESSAGE(p.ok(), p.error().message);
  return *p;
}

}  // namespace

TEST_CASE("pq plan: defaults, and layers that stay dense with their reasons") {
  const PqPlans p = plan({});
  REQUIRE(p.layers.size() == 5);
  CHECK(layer(p, "stem").why_not == "the first convolution");
  CHECK(layer(p, "depth").why_not == "depthwise");
  CHECK(layer(p, "body").is_coded());
  CHECK(layer(p, "body").settings.dim == 9);
  CHECK(layer(p, "body").settings.centroids == 64);  // 512 blocks
  CHECK_FALSE(layer(p, "body").is_fixed);
  CHECK(layer(p, "depth").is_fixed);
  CHECK(layer(p, "point").settings.dim == 4);
  CHECK(p.notes.empty());
  CHECK(p.warnings.empty());
}

TEST_CASE("pq plan: a codebook that would be larger than the weights is no codebook") {
  // 2 x 64 in blocks of one: 128 points, 16 entries: smaller. f32 entries of 32 inputs: larger.
  CHECK(layer(plan(with(R"({"layers": [{"match": "fc", "block": 1}]})")), "fc").is_coded());
  const std::string json =
      R"({"layers": [{"match": "depth", "block": 9, "entries": "f32", "clip": "largest",)";
  const PqPlans p = plan(with(json + R"( "books": 4, "force": true}]})"));
  CHECK(layer(p, "depth").is_coded());
  // 32 blocks of nine, four books of eight: 4 * (8 * 9 * 4) bytes of entries beside 1152 dense.
  CHECK(quant::planned_bytes(layer(p, "depth")) > 1152);
  PqOptions o = with(R"({"default": {"entries": "f32", "books": 4, "clip": "largest", "block": 64},
                         "layers": [{"match": "depth", "dense": true}]})");
  const PqPlans large = plan(o);
  CHECK(layer(large, "fc").why_not.find("too small: 2 blocks") == 0);
}

TEST_CASE("pq plan: rules set, pin, keep dense and force") {
  const PqPlans p = plan(with(R"({"layers": [
    {"match": "body", "block": 16, "centroids": 8},
    {"match": "p.*", "dense": true},
    {"match": "stem", "force": true},
    {"match": "depth", "block": 3}]})"));
  CHECK(layer(p, "body").settings.dim == 16);
  CHECK(layer(p, "body").settings.centroids == 8);
  CHECK(layer(p, "body").is_fixed);
  CHECK(layer(p, "point").why_not == "a rule of --layers");
  CHECK(layer(p, "stem").is_coded());
  CHECK_FALSE(layer(p, "stem").is_fixed);  // a search may still choose how
  CHECK(layer(p, "depth").why_not == "depthwise");
  REQUIRE(p.notes.size() == 1);
  CHECK(p.notes[0].find("depth stays dense all the same (depthwise); \"force\": true") !=
        std::string::npos);
}

TEST_CASE("pq plan: a default of dense codes only what rules name") {
  const PqPlans p =
      plan(with(R"({"default": {"dense": true}, "layers": [{"match": "body", "centroids": 16}]})"));
  int coded = 0;
  for (const PqPlan& l : p.layers) coded += l.is_coded();
  CHECK(coded == 1);
  CHECK(layer(p, "body").settings.centroids == 16);
}

TEST_CASE("pq plan: what cannot be is refused") {
  const auto refused = [](const PqOptions& o, int id, const char* says) {
    const auto p = quant::plan_pq(network(), o);
    REQUIRE(!p.ok());
    CAPTURE(p.error().message);
    CHECK(p.error().id == id);
    CHECK(p.error().message.find(says) != std::string::npos);
  };
  refused(with(R"({"layers": [{"match": "fc", "block": 64, "force": true}]})"), 737, "fc");
  PqOptions o = with(R"({"layers": [{"match": "body", "force": true}]})");
  o.skip = {"body"};
  refused(o, 736, "--pq skip");
  PqOptions unknown;
  unknown.skip = {"nobody"};
  refused(unknown, 714, "nobody");
  const PqPlans warned = plan(with(R"({"layers": [{"match": "bodi", "block": 2}]})"));
  REQUIRE(warned.warnings.size() == 1);
  CHECK(warned.warnings[0].find("names are body") != std::string::npos);
}

TEST_CASE("pq plan: placeholders are sound and take the planned bytes") {
  for (const char* json :
       {R"({"default": {"books": 2, "centroids": 16}})", R"({"default": {"entries": "i8"}})",
        R"({"default": {"block": 5}})", R"({"default": {"entries": "f32", "clip": "paper"}})"}) {
    CAPTURE(json);
    const PqPlans plans = plan(with(json));
    ir::Graph g = network();
    quant::apply_placeholders(g, plans);
    REQUIRE(ir::verify(g).ok());
    int coded = 0;
    for (const PqPlan& p : plans.layers) {
      const ir::Constant* c = nullptr;
      for (const ir::Node& n : g.nodes)
        if (n.name == p.layer) c = ir::constant_of(g, n.in[1]);
      REQUIRE(c != nullptr);
      CHECK(bool(c->encoding) == p.is_coded());
      if (!p.is_coded()) continue;
      ++coded;
      CHECK(quant::check(*c->encoding, p.outputs, p.inputs).ok());
      const auto bytes = quant::stored_bytes(*c->encoding, p.outputs, p.inputs);
      CHECK(bytes.codes + bytes.entries + bytes.scales == quant::planned_bytes(p));
    }
    CHECK(coded >= 2);
  }
}

TEST_CASE("pq plan: block lengths divide the row where they can") {
  CHECK(quant::block_length(9, 27, 9) == 9);
  CHECK(quant::block_length(18, 27, 9) == 9);
  CHECK(quant::block_length(4, 18, 1) == 3);
  CHECK(quant::block_length(4, 7, 1) == 4);
  CHECK(quant::block_length(64, 7, 1) == 7);
}
