// Channel permutation: the graph computes what it did, channels that others see stay,
// and hidden structure is found.
#include "converter/quant/permute.h"

#include <doctest/doctest.h>

#include <cmath>

#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"
#include "converter/quant/pq_layer.h"
#include "converter/quant/random.h"

using namespace qrt;
using quant::BlockedLayer;

namespace {

ir::Graph parsed(const char* text, uint64_t seed = 3) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  quant::Random r(seed);
  for (ir::Constant& c : g->constants)
    for (float& v : c.data) v = 0.3f * static_cast<float>(r.normal());
  return *g;
}

ir::NodeId node(const ir::Graph& g, const std::string& name) {
  for (size_t i = 0; i < g.nodes.size(); ++i)
    if (g.nodes[i].name == name) return static_cast<ir::NodeId>(i);
  FAIL("no node " << name);
  return -1;
}

std::vector<float> run(const ir::Graph& g) {
  quant::Random r(11);
  eval::Tensor x;
  x.shape = g.values[static_cast<size_t>(g.inputs[0])].shape;
  x.shape[0] = 2;
  for (int64_t i = 0; i < ir::element_count(x.shape); ++i)
    x.data.push_back(static_cast<float>(r.normal()));
  const auto y = eval::evaluate(g, std::vector<eval::Tensor>{x});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return (*y)[0].data;
}

void check_same(const ir::Graph& a, const ir::Graph& b) {
  REQUIRE(ir::verify(b).ok());
  const auto want = run(a), got = run(b);
  REQUIRE(want.size() == got.size());
  for (size_t i = 0; i < want.size(); ++i) CHECK(std::abs(want[i] - got[i]) < 1e-4);
}

}  // namespace

TEST_CASE("permute: pools, depthwise layers, concats and scales follow") {
  const ir::Graph before = parsed(R"(graph g
input %x : f32[N,3,8,8]
const %w0 : f32[16,3,3,3] = fill 1
const %s0 : f32[16] = fill 1
const %b0 : f32[16] = fill 1
const %w1 : f32[16,1,3,3] = fill 1
const %b1 : f32[16] = fill 1
const %w2 : f32[12,16,1,1] = fill 1
const %w3 : f32[8,16,3,3] = fill 1
const %w4 : f32[10,20,1,1] = fill 1
const %w5 : f32[5,10] = fill 1
node stem = conv2d(%x, %w0, %s0, %b0){kernel=[3,3], pad=[1,1,1,1], scale=true, bias=true, clamp=[0,none]} -> %a
node depth = conv2d(%a, %w1, %b1){kernel=[3,3], pad=[1,1,1,1], groups=16, bias=true} -> %c
node act = unary(%c){op=hard_swish} -> %d
node pool = pool2d(%d){mode=max, kernel=[2,2], stride=[2,2]} -> %e
node left = conv2d(%e, %w2){kernel=[1,1]} -> %f
node right = conv2d(%e, %w3){kernel=[3,3], pad=[1,1,1,1]} -> %h
node cat = concat(%f, %h){axis=1} -> %i
node last = conv2d(%i, %w4){kernel=[1,1]} -> %j
node mean = pool2d(%j){mode=average, global=true} -> %k
node flat = reshape(%k){dims=[1,10]} -> %l
node fc = linear(%l, %w5) -> %y
output %y
)");
  ir::Graph after = before;
  const std::vector<BlockedLayer> coded = {{node(before, "left"), 4},
                                           {node(before, "right"), 18},
                                           {node(before, "last"), 5},
                                           {node(before, "fc"), 2}};
  const auto report = quant::permute_channels(after, coded, 20, 1);
  REQUIRE(report.size() == 4);  // stem, left, right, last
  for (const auto& p : report) {
    CAPTURE(p.layer);
    CHECK(p.gain > 0);
  }
  CHECK(ir::print(before) != ir::print(after));
  check_same(before, after);
}

TEST_CASE("permute: what a residual, an output or an unknown operator sees stays") {
  const ir::Graph before = parsed(R"(graph g
input %x : f32[N,4,4,4]
const %w0 : f32[8,4,1,1] = fill 1
const %w1 : f32[8,8,1,1] = fill 1
const %w2 : f32[8,8,1,1] = fill 1
const %w3 : f32[8,8,1,1] = fill 1
const %w4 : f32[6,128] = fill 1
node a = conv2d(%x, %w0){kernel=[1,1]} -> %a
node b = conv2d(%a, %w1){kernel=[1,1], clamp=[0,none]} -> %b
node c = conv2d(%b, %w2, %a){kernel=[1,1], residual=true} -> %c
node d = conv2d(%c, %w3){kernel=[1,1]} -> %d
node soft = softmax(%d){axis=1} -> %e
node flat = reshape(%e){dims=[1,128]} -> %f
node fc = linear(%f, %w4) -> %y
output %y
)");
  ir::Graph after = before;
  std::vector<BlockedLayer> coded;
  for (const char* name : {"b", "c", "d", "fc"}) coded.push_back({node(before, name), 4});
  const auto report = quant::permute_channels(after, coded, 20, 1);
  REQUIRE(report.size() == 1);  // only b's outputs are between two layers
  CHECK(report[0].layer == "b");
  check_same(before, after);
}

TEST_CASE("permute: channels that belong together come together, and cluster better") {
  const char* text = R"(graph g
input %x : f32[N,4,4,4]
const %w0 : f32[16,4,1,1] = fill 1
const %w1 : f32[64,16,1,1] = fill 1
node a = conv2d(%x, %w0){kernel=[1,1]} -> %a
node b = conv2d(%a, %w1){kernel=[1,1]} -> %y
output %y
)";
  ir::Graph g = parsed(text);
  // Channel c and c + 8 of every output are nearly the same.
  std::vector<float>& w =
      g.constants[static_cast<size_t>(g.values[g.nodes[1].in[1]].constant)].data;
  quant::Random r(5);
  for (size_t o = 0; o < 64; ++o)
    for (size_t c = 0; c < 8; ++c)
      w[o * 16 + c + 8] = w[o * 16 + c] + 0.01f * static_cast<float>(r.normal());
  const ir::Graph before = g;
  const std::vector<BlockedLayer> coded = {{1, 2}};
  const auto report = quant::permute_channels(g, coded, 50, 1);
  REQUIRE(report.size() == 1);
  CHECK(report[0].gain > 1);  // log2 of 0.3 over 0.01 is about 5 for a block in its best order
  check_same(before, g);
  const auto lost = [](const ir::Graph& graph) {
    quant::PqLayerSettings s;
    s.dim = 2;
    s.centroids = 32;
    const auto& data =
        graph.constants[static_cast<size_t>(graph.values[graph.nodes[1].in[1]].constant)].data;
    auto coded_layer = quant::encode_pq_layer(data, 64, 16, s, {}, 1, 1);
    REQUIRE(coded_layer.ok());
    return coded_layer->weight_error;
  };
  CHECK(lost(g) < 0.5 * lost(before));
}
