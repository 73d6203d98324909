// Method pq on graphs: clipping, which layers are coded, determinism, options,
// and that activations make the outputs better.
#include "converter/quant/product.h"

#include <doctest/doctest.h>

#include <cmath>

#include "converter/eval/evaluate.h"
#include "converter/quant/calibrate.h"
#include "converter/quant/random.h"

using namespace qrt;
using quant::CalibrationData;
using quant::MethodOptions;
using quant::MethodReport;
using quant::PqOptions;

namespace {

// conv 3x3 -> conv 3x3 -> depthwise -> 1x1 -> flatten -> linear, random weights.
ir::Graph network() {
  auto g = ir::parse(R"(graph g
input %x : f32[N,3,8,8]
const %w0 : f32[16,3,3,3] = fill 1
const %w1 : f32[32,16,3,3] = fill 1
const %w2 : f32[32,1,3,3] = fill 1
const %w3 : f32[64,32,1,1] = fill 1
const %w4 : f32[10,64] = fill 1
node stem = conv2d(%x, %w0){kernel=[3,3], pad=[1,1,1,1]} -> %a
node relu = unary(%a){op=clamp, alpha=0, beta=6} -> %b
node body = conv2d(%b, %w1){kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} -> %c
node depth = conv2d(%c, %w2){kernel=[3,3], pad=[1,1,1,1], groups=32} -> %d
node point = conv2d(%d, %w3){kernel=[1,1]} -> %e
node pool = pool2d(%e){mode=average, global=true} -> %f
node flat = reshape(%f){dims=[1,64]} -> %h
node fc = linear(%h, %w4) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  quant::Random r(9);
  for (ir::Constant& c : g->constants)
    for (float& v : c.data) v = 0.2f * static_cast<float>(r.normal());
  return *g;
}

CalibrationData images(int64_t rows = 20, uint64_t seed = 5) {
  quant::Random r(seed);
  eval::Tensor x;
  x.shape = {rows, 3, 8, 8};
  // Neighbouring pixels alike, as in pictures.
  for (int64_t i = 0; i < rows * 3 * 8; ++i) {
    double level = r.normal();
    for (int t = 0; t < 8; ++t) x.data.push_back(static_cast<float>(level += 0.3 * r.normal()));
  }
  return {{x}};
}

const quant::LayerReport& layer(const MethodReport& r, const std::string& name) {
  for (const auto& l : r.layers)
    if (l.layer == name) return l;
  FAIL("no layer " << name);
  return r.layers[0];
}

bool mentions(const MethodReport& r, const char* text) {
  for (const auto& n : r.notes)
    if (n.find(text) != std::string::npos) return true;
  return false;
}

double output_error(const ir::Graph& coded, const CalibrationData& data) {
  const auto want = eval::evaluate(network(), data.inputs);
  const auto got = eval::evaluate(coded, data.inputs);
  REQUIRE(want.ok());
  REQUIRE(got.ok());
  double error = 0, energy = 0;
  for (size_t i = 0; i < (*want)[0].data.size(); ++i) {
    error += std::pow((*want)[0].data[i] - (*got)[0].data[i], 2);
    energy += std::pow((*want)[0].data[i], 2);
  }
  return error / energy;
}

}  // namespace

TEST_CASE("pq: k is clipped as the paper's code clips it") {
  CHECK(quant::clipped_centroids(256, 64 * 8) == 64);  // ResNet-50 layer1.0.conv1: 512 / 4 = 128
  CHECK(quant::clipped_centroids(256, 513) == 128);
  CHECK(quant::clipped_centroids(256, 64 * 64) == 256);
  CHECK(quant::clipped_centroids(200, 64 * 64) == 200);
  CHECK(quant::clipped_centroids(256, 5) == 1);
  CHECK(quant::clipped_centroids(256, 4) == 0);
  CHECK(quant::clipped_centroids(2048, 0) == 0);
  CHECK(quant::clipped_centroids(65536, int64_t{1} << 40) == 65536);
}

TEST_CASE("pq: codes what pays, says what does not and why") {
  ir::Graph g = network();
  auto r = quant::quantize_pq(g, {}, images());
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  REQUIRE(ir::verify(g).ok());
  REQUIRE(r->layers.size() == 5);
  CHECK(layer(*r, "stem").why_not == "the first convolution");
  CHECK(layer(*r, "depth").why_not == "depthwise");
  const auto& body = layer(*r, "body");
  CHECK(body.is_encoded);
  CHECK(body.block == 9);
  CHECK(body.centroids == 64);  // 512 blocks
  CHECK(body.bits_per_weight == doctest::Approx((512 * 6 + 64 * 9 * 16) / 4608.0));
  CHECK(body.weight_snr_db > 1);
  CHECK(body.output_error < 0.5);
  CHECK(layer(*r, "point").block == 4);
  CHECK(layer(*r, "fc").centroids == 32);  // 160 blocks
  for (const ir::Node& n : g.nodes) {
    if (n.in.size() < 2) continue;
    const ir::Constant& c = g.constants[g.values[n.in[1]].constant];
    CHECK(bool(c.encoding) == layer(*r, n.name).is_encoded);
    if (!c.encoding) continue;
    CHECK(c.source == "pq");
    CHECK(g.values[n.in[1]].name.size() == 2);  // the name is kept
  }
  CHECK(output_error(g, images(20, 6)) < 0.7);
}

TEST_CASE("pq: two runs give the same encodings") {
  const auto run = [] {
    ir::Graph g = network();
    REQUIRE(quant::quantize_pq(g, {}, images()).ok());
    std::vector<float> all;
    for (const ir::Constant& c : g.constants) {
      if (!c.encoding) continue;
      const auto& b = std::get<quant::Codebook>(*c.encoding);
      all.insert(all.end(), b.entries.begin(), b.entries.end());
      all.insert(all.end(), b.codes.begin(), b.codes.end());
    }
    return all;
  };
  const auto first = run();
  CHECK(first.size() > 1000);
  CHECK(first == run());
}

TEST_CASE("pq: activations lower the error of the outputs") {
  ir::Graph weighted = network(), plain = network(), blind = network();
  PqOptions o;
  auto with = quant::quantize_pq(weighted, o, images(64));
  REQUIRE(with.ok());
  CHECK(with->notes.empty());
  auto without = quant::quantize_pq(blind, o, {});
  REQUIRE(without.ok());
  CHECK(mentions(*without, "no calibration data"));
  o.use_activations = false;
  auto refused = quant::quantize_pq(plain, o, images());
  REQUIRE(refused.ok());
  CHECK(mentions(*refused, "activations=no"));
  CHECK(output_error(plain, images(30, 8)) == output_error(blind, images(30, 8)));
  // Behind three layers a single start of k-means proves little: the mean of a few.
  double errors[2] = {0, 0};
  for (o.seed = 10; o.seed < 50; o.seed += 10)
    for (const bool is_weighted : {false, true}) {
      ir::Graph g = network();
      o.use_activations = is_weighted;
      REQUIRE(quant::quantize_pq(g, o, images(64)).ok());
      errors[is_weighted] += output_error(g, images(30, 8));
    }
  CHECK(errors[true] < 0.7 * errors[false]);
}

TEST_CASE("pq: decoding is as near as the centroids allow, entries are f16") {
  ir::Graph g = network();
  const ir::Graph before = g;
  PqOptions in_place;
  in_place.permute = 0;  // blocks of the original order
  REQUIRE(quant::quantize_pq(g, in_place, {}).ok());
  const auto weight = [](const ir::Graph& graph, const char* node) -> const ir::Constant& {
    for (const ir::Node& n : graph.nodes)
      if (n.name == node) return graph.constants[graph.values[n.in[1]].constant];
    FAIL("no node");
    return graph.constants[0];
  };
  const quant::Encoding& e = *weight(g, "body").encoding;
  REQUIRE(quant::check(e, 32, 144).ok());
  const auto got = quant::decode(e, 32, 144);
  const auto& want = weight(before, "body").data;
  const auto& book = std::get<quant::Codebook>(e);
  for (size_t block = 0; block < want.size(); block += 9) {
    const auto distance = [&](const float* c) {
      double sum = 0;
      for (int t = 0; t < 9; ++t) sum += std::pow(double{want[block + t]} - double{c[t]}, 2);
      return sum;
    };
    const double mine = distance(&got[block]);
    for (int32_t c = 0; c < book.count; ++c) CHECK(mine <= distance(&book.entries[c * 9]) + 1e-6);
  }
}

TEST_CASE("pq: blocks that do not divide the row shrink; large scopes and f32 entries work") {
  ir::Graph g = network();
  MethodOptions words = {{"block_3x3", "18"}, {"block_1x1", "7"},     {"block_fc", "5"},
                         {"entries", "f32"},  {"skip", "first+body"}, {"iterations", "3"}};
  auto o = quant::parse_pq_options(words);
  REQUIRE_MESSAGE(o.ok(), o.error().message);
  auto r = quant::quantize_pq(g, *o, {});
  REQUIRE(r.ok());
  CHECK(layer(*r, "body").why_not == "skipped by name");
  CHECK(layer(*r, "point").block == 4);  // of 32 inputs
  CHECK(layer(*r, "fc").block == 4);     // of 64
  ir::Graph h = network();
  o->skip.clear();
  o->skip_first = false;
  r = quant::quantize_pq(h, *o, {});
  REQUIRE(r.ok());
  CHECK(layer(*r, "body").block == 18);
  CHECK(layer(*r, "stem").block == 9);  // 27 inputs: 18 does not divide, whole kernels do
}

TEST_CASE("pq: books, kinds of entries, clipping and Gram matrices by option") {
  ir::Graph g = network();
  const MethodOptions words = {
      {"books", "2"},      {"entries", "i8"},      {"clip", "paper"},  {"gram", "per_block"},
      {"iterations", "8"}, {"centroids_fc", "16"}, {"block_1x1", "8"}, {"centroids_conv", "16"}};
  auto o = quant::parse_pq_options(words);
  REQUIRE_MESSAGE(o.ok(), o.error().message);
  CHECK(o->gram == quant::GramKind::per_block);
  const auto r = quant::quantize_pq(g, *o, images());
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  REQUIRE(ir::verify(g).ok());
  for (const ir::Constant& c : g.constants) {
    if (!c.encoding) continue;
    const auto& b = std::get<quant::Codebook>(*c.encoding);
    CHECK(b.books == 2);
    CHECK(b.count == 16);
    CHECK(b.entry == quant::EntryType::i8);
  }
  // Two 4-bit codes for 9 weights each; 32 entries of 9 bytes and a scale of two.
  CHECK(layer(*r, "body").bits_per_weight == doctest::Approx((512 * 8 + 32 * 11 * 8) / 4608.0));
  ir::Graph one = network();
  quant::PqOptions plain = *o;
  plain.books = 1;
  REQUIRE(quant::quantize_pq(one, plain, images()).ok());
  CHECK(output_error(g, images(20, 6)) < output_error(one, images(20, 6)));
}

TEST_CASE("pq: bad options and weights are refused by name") {
  const auto refused = [](const char* key, const char* value) {
    const auto o = quant::parse_pq_options({{key, value}});
    REQUIRE(!o.ok());
    CHECK(o.error().id == 712);
    CHECK(o.error().message.find(key) != std::string::npos);
  };
  for (const char* value : {"", "0", "-1", "nine", "9x", "99999999999", "1.5"})
    refused("block_3x3", value);
  refused("centroids_fc", "1");
  refused("centroids_conv", "65537");
  refused("entries", "i4");
  refused("books", "5");
  refused("books", "0");
  refused("clip", "none");
  refused("gram", "all");
  refused("refit", "maybe");
  refused("rounds", "0");
  refused("permute", "-1");
  refused("activations", "maybe");
  refused("bloks", "9");
  CHECK(quant::parse_pq_options({{"seed", "18446744073709551615"}}).ok());

  ir::Graph g = network();
  PqOptions o;
  o.skip = {"nowhere"};
  CHECK(quant::quantize_pq(g, o, {}).error().id == 714);
  g.constants[1].data[7] = INFINITY;
  CHECK(quant::quantize_pq(g, {}, {}).error().id == 713);
  g.constants[1].data[7] = 70000;
  CHECK(quant::quantize_pq(g, {}, {}).error().id == 713);
  CHECK(!g.constants[1].encoding);
  o = {};
  o.entries = quant::EntryType::f32;
  o.iterations = 2;
  CHECK(quant::quantize_pq(g, o, {}).ok());

  CalibrationData bad = images(2);
  bad.inputs[0].data[5] = NAN;
  g = network();
  CHECK(quant::quantize_pq(g, {}, bad).error().id == 711);
  bad = images(2);
  bad.inputs[0].shape[3] = 7;
  CHECK(!quant::quantize_pq(g, {}, bad).ok());
  CHECK(quant::find_method("nonsense").error().id == 710);
  REQUIRE(quant::find_method("pq").ok());
}

TEST_CASE("pq: zero activations fall back to plain k-means, and say so") {
  ir::Graph g = network();
  CalibrationData zero = images(3);
  for (float& v : zero.inputs[0].data) v = 0;
  auto r = quant::quantize_pq(g, {}, zero);
  REQUIRE(r.ok());
  CHECK(mentions(*r, "all zero"));
}

TEST_CASE("calibrate: Gram matrices are the sums they claim, padding and stride included") {
  ir::Graph g = network();
  const CalibrationData data = images(19);  // more than one batch of the interpreter
  ir::NodeId body = -1, fc = -1;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].name == "body") body = static_cast<ir::NodeId>(i);
    if (g.nodes[i].name == "fc") fc = static_cast<ir::NodeId>(i);
  }
  const std::vector<quant::GramRequest> requests = {{body, 9}, {fc, 64}};
  auto grams = quant::collect_grams(g, requests, data, 1000, 1);
  REQUIRE_MESSAGE(grams.ok(), grams.error().message);
  CHECK((*grams)[0].rows == 19 * 16 * 16);
  CHECK((*grams)[1].rows == 19);
  const std::vector<quant::GramRequest> by_block = {{body, 9, true}, {fc, 5, true}};
  const auto parts = quant::collect_grams(g, by_block, data, 1000, 1);
  REQUIRE(parts.ok());
  REQUIRE((*parts)[0].sums.size() == 16 * 81);
  REQUIRE((*parts)[1].sums.size() == 13 * 25);
  for (size_t i = 0; i < 81; ++i) {
    double sum = 0;
    for (size_t b = 0; b < 16; ++b) sum += (*parts)[0].sums[b * 81 + i];
    CHECK(sum == doctest::Approx((*grams)[0].sums[i]).epsilon(1e-12));
  }
  CHECK((*parts)[1].sums[7 * 25 + 6] == (*grams)[1].sums[36 * 65]);  // input 7 * 5 + 1, squared
  CHECK((*parts)[1].sums.back() == 0);                               // behind the last input
  std::vector<float> b, h;
  const auto out = eval::evaluate(g, data.inputs, [&](ir::ValueId id, const eval::Tensor& t) {
    if (g.values[id].name == "b") b = t.data;
    if (g.values[id].name == "h") h = t.data;
  });
  REQUIRE(out.ok());
  // Entry (0, 4) of a 3x3 block: top left times centre.
  double want = 0;
  for (int plane = 0; plane < 19 * 16; ++plane)
    for (int y = 0; y < 8; y += 2)
      for (int x = 0; x < 8; x += 2)
        if (y > 0 && x > 0)
          want += double{b[plane * 64 + (y - 1) * 8 + x - 1]} * double{b[plane * 64 + y * 8 + x]};
  CHECK((*grams)[0].sums[4] == doctest::Approx(want).epsilon(1e-9));
  double square = 0;
  for (int i = 0; i < 19; ++i) square += double{h[i * 64 + 3]} * double{h[i * 64 + 3]};
  CHECK((*grams)[1].sums[3 * 65] == doctest::Approx(square).epsilon(1e-9));
}
