// Sequential coding of networks: what is captured, that repairs lower the error of the
// outputs, and what each promises by itself.
#include "converter/quant/network.h"

#include <doctest/doctest.h>

#include <cmath>

#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"
#include "converter/quant/capture.h"
#include "converter/quant/product.h"
#include "converter/quant/random.h"

using namespace qrt;
using quant::CalibrationData;
using quant::PqOptions;

namespace {

// A stem, a block with a residual, a depthwise layer and a classifier.
ir::Graph network(uint64_t seed = 9) {
  auto g = ir::parse(R"(graph g
input %x : f32[N,3,6,6]
const %w0 : f32[16,3,3,3] = fill 1
const %w1 : f32[16,16,3,3] = fill 1
const %s1 : f32[16] = fill 1
const %b1 : f32[16] = fill 1
const %w2 : f32[16,16,3,3] = fill 1
const %w3 : f32[16,1,3,3] = fill 1
const %w4 : f32[32,16,1,1] = fill 1
const %w5 : f32[10,32] = fill 1
node stem = conv2d(%x, %w0){kernel=[3,3], pad=[1,1,1,1], clamp=[0,none]} -> %a
node one = conv2d(%a, %w1, %s1, %b1){kernel=[3,3], pad=[1,1,1,1], scale=true, bias=true, clamp=[0,none]} -> %b
node two = conv2d(%b, %w2, %a){kernel=[3,3], pad=[1,1,1,1], residual=true, clamp=[0,none]} -> %c
node depth = conv2d(%c, %w3){kernel=[3,3], stride=[2,2], pad=[1,1,1,1], groups=16, clamp=[0,none]} -> %d
node point = conv2d(%d, %w4){kernel=[1,1], clamp=[0,none]} -> %e
node mean = pool2d(%e){mode=average, global=true} -> %f
node flat = reshape(%f){dims=[1,32]} -> %h
node fc = linear(%h, %w5) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  quant::Random r(seed);
  for (ir::Constant& c : g->constants)
    for (float& v : c.data) v = 0.2f * static_cast<float>(r.normal());
  return *g;
}

CalibrationData images(int64_t rows, uint64_t seed) {
  quant::Random r(seed);
  eval::Tensor x;
  x.shape = {rows, 3, 6, 6};
  for (int64_t i = 0; i < rows * 3 * 6; ++i) {
    double level = r.normal();
    for (int t = 0; t < 6; ++t) x.data.push_back(static_cast<float>(level += 0.3 * r.normal()));
  }
  return {{x}};
}

ir::NodeId node(const ir::Graph& g, const std::string& name) {
  for (size_t i = 0; i < g.nodes.size(); ++i)
    if (g.nodes[i].name == name) return static_cast<ir::NodeId>(i);
  FAIL("no node " << name);
  return -1;
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

PqOptions plain() {
  PqOptions o;
  o.permute = 0;
  o.repairs = {false, false, false, false, false, false, false, false, 5, 1e-2};
  return o;
}

}  // namespace

TEST_CASE("capture: moments are sums over the coded inputs, targets are the float outputs") {
  const ir::Graph reference = network();
  ir::Graph coded = reference;
  quant::Random r(1);
  // The stem was coded: other weights, so that both inputs of `two` differ.
  for (float& v : coded.constants[0].data) v += 0.1f * static_cast<float>(r.normal());
  const CalibrationData data = images(11, 2);  // two chunks
  quant::Capture capture(reference, coded);
  REQUIRE(capture.open(data, 100).ok());
  CHECK(capture.samples() == 11);
  capture.changed(0);
  const ir::NodeId two = node(reference, "two");
  REQUIRE(capture.run_before(two).ok());
  auto m = capture.moments(two, 1 << 20, 1);
  REQUIRE_MESSAGE(m.ok(), m.error().message);
  CHECK(m->rows == 11 * 36);
  CHECK(m->inputs == 144);

  // The same, spelled out. Value names are those of the text.
  std::map<std::string, eval::Tensor> want, got;
  const auto keep = [](const ir::Graph& g, auto& to) {
    return [&g, &to](ir::ValueId id, const eval::Tensor& t) {
      to[g.values[static_cast<size_t>(id)].name] = t;
    };
  };
  REQUIRE(eval::evaluate(reference, data.inputs, keep(reference, want)).ok());
  REQUIRE(eval::evaluate(coded, data.inputs, keep(coded, got)).ok());
  const std::vector<float>& w = reference.constants[4].data;  // %w2
  const auto pixel = [](const eval::Tensor& t, int64_t n, int64_t c, int64_t y, int64_t x) {
    const bool inside = y >= 0 && y < 6 && x >= 0 && x < 6;
    return inside ? double{t.data[static_cast<size_t>(((n * 16 + c) * 6 + y) * 6 + x)]} : 0.0;
  };
  const int64_t o = 5, i = 3 * 9 + 1, j = 7 * 9 + 6;  // an output; inputs (3,0,1) and (7,2,0)
  double xi = 0, xij = 0, t = 0, tt = 0, txi = 0;
  for (int64_t n = 0; n < 11; ++n)
    for (int64_t y = 0; y < 6; ++y)
      for (int64_t x = 0; x < 6; ++x) {
        double target = pixel(want["a"], n, o, y, x) - pixel(got["a"], n, o, y, x);
        for (int64_t k = 0; k < 144; ++k)
          target += double{w[static_cast<size_t>(o * 144 + k)]} *
                    pixel(want["b"], n, k / 9, y + k / 3 % 3 - 1, x + k % 3 - 1);
        const double a = pixel(got["b"], n, 3, y - 1, x), b = pixel(got["b"], n, 7, y + 1, x - 1);
        xi += a, xij += a * b, t += target, tt += target * target, txi += target * a;
      }
  CHECK(m->x[i] == doctest::Approx(xi).epsilon(1e-4));
  CHECK(m->xx[i * 144 + j] == doctest::Approx(xij).epsilon(1e-4));
  CHECK(m->t[o] == doctest::Approx(t).epsilon(1e-4));
  CHECK(m->tt[o] == doctest::Approx(tt).epsilon(1e-4));
  CHECK(m->tx[o * 144 + i] == doctest::Approx(txi).epsilon(1e-4));
}

TEST_CASE("capture: says what is wrong with the data") {
  const ir::Graph g = network();
  quant::Capture none(g, g);
  CHECK(none.open({}, 8).error().id == 560);
  CalibrationData small = images(2, 1);
  small.inputs[0].shape = {2, 3, 3, 12};
  CHECK(quant::Capture(g, g).open(small, 8).error().id == 560);
  CHECK(quant::Capture(g, g).open(images(2, 1), 0).error().id == 725);
  CalibrationData bad = images(3, 1);
  bad.inputs[0].data[5] = INFINITY;
  quant::Capture capture(g, g);
  REQUIRE(capture.open(bad, 8).ok());
  CHECK(capture.moments(0, 1000, 1).error().id == 711);
}

TEST_CASE("network: all repairs together leave a fraction of the error, on new data too") {
  ir::Graph repaired = network(), bare = network();
  auto with = quant::quantize_pq(repaired, {}, images(96, 5));
  REQUIRE_MESSAGE(with.ok(), with.error().message);
  REQUIRE(ir::verify(repaired).ok());
  REQUIRE(quant::quantize_pq(bare, plain(), images(96, 5)).ok());
  CHECK(output_error(repaired, images(40, 8)) < 0.6 * output_error(bare, images(40, 8)));
}

TEST_CASE("network: the bias centres every coded output on the calibration data") {
  const CalibrationData data = images(24, 3);
  PqOptions o = plain();
  o.repairs.recapture = o.repairs.bias = true;
  o.positions = 64;  // all
  ir::Graph g = network();
  REQUIRE(quant::quantize_pq(g, o, data).ok());
  const auto want = eval::evaluate(network(), data.inputs), got = eval::evaluate(g, data.inputs);
  REQUIRE(got.ok());
  for (size_t c = 0; c < 10; ++c) {
    double difference = 0;
    for (size_t i = c; i < (*want)[0].data.size(); i += 10)
      difference += double{(*got)[0].data[i]} - double{(*want)[0].data[i]};
    CHECK(std::abs(difference / 24) < 1e-4);
  }
}

TEST_CASE("network: normalising alone costs nothing but a scale, which is stored as f16") {
  PqOptions o = plain();
  o.repairs.normalise = o.repairs.scale = true;
  ir::Graph g = network();
  REQUIRE(quant::quantize_pq(g, o, images(24, 3)).ok());
  const auto& fc = std::get<ir::Linear>(g.nodes[static_cast<size_t>(node(g, "fc"))].attr);
  CHECK(fc.scale);
  CHECK_FALSE(fc.bias);
  const auto& stem = std::get<ir::Conv2d>(g.nodes[0].attr);
  CHECK_FALSE(stem.scale);
}

TEST_CASE("network: inputs that are always zero are said, and coded all the same") {
  CalibrationData dark = images(4, 1);
  for (float& v : dark.inputs[0].data) v = 0;
  ir::Graph g = network();
  auto r = quant::quantize_pq(g, {}, dark);
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  REQUIRE(ir::verify(g).ok());
  bool said = false;
  for (const std::string& n : r->notes) said = said || n.find("all zero") != std::string::npos;
  CHECK(said);
  for (const ir::Constant& c : g.constants)
    for (const float v : c.data) CHECK(std::isfinite(v));
}

TEST_CASE("network: layers too wide for their moments are coded all the same, and it is said") {
  auto g = ir::parse(R"(graph g
input %x : f32[N,8200]
const %w0 : f32[8,8200] = fill 1
const %w1 : f32[40,8] = fill 1
node wide = linear(%x, %w0) -> %a
node fc = linear(%a, %w1) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  quant::Random r(2);
  for (ir::Constant& c : g->constants)
    for (float& v : c.data) v = static_cast<float>(r.normal());
  eval::Tensor x;
  x.shape = {24, 8200};
  for (int i = 0; i < 24 * 8200; ++i) x.data.push_back(static_cast<float>(r.normal()));
  PqOptions o;
  o.centroids_fc = 16;
  o.iterations = 2;
  auto report = quant::quantize_pq(*g, o, {{x}});
  REQUIRE_MESSAGE(report.ok(), report.error().message);
  CHECK(report->layers[0].is_encoded);
  CHECK(report->layers[0].output_error < 0.5);
  REQUIRE(report->notes.size() == 1);
  CHECK(report->notes[0].find("8200") != std::string::npos);
}

TEST_CASE("network: too few samples to fit to are said") {
  ir::Graph g = network();
  auto few = quant::quantize_pq(g, {}, images(2, 5));
  REQUIRE(few.ok());
  REQUIRE(few->notes.size() == 1);
  CHECK(few->notes[0].find("only 2 calibration samples") == 0);
  g = network();
  auto enough = quant::quantize_pq(g, {}, images(24, 5));
  REQUIRE(enough.ok());
  CHECK(enough->notes.empty());
}
