// Methods bwn, twn, uniform and alq on networks: sizes of the published topologies,
// plans and policies, encodings that come out, refusals, and resuming.
#include "converter/quant/low_bit.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"
#include "converter/quant/random.h"
#include "converter/quant/sketch.h"

using namespace qrt;
using namespace qrt::quant;

namespace {

// A layer of a topology: outputs, input channels, kernel edge (0: fully connected), slices of ALQ's
// groups.
struct Shape {
  int64_t outputs, channels, edge;
  int32_t slices = 1;
  int64_t taps() const { return std::max<int64_t>(edge * edge, 1); }
  int64_t inputs() const { return channels * taps(); }
  int64_t weights() const { return outputs * inputs(); }
};
using Topology = std::vector<Shape>;

int64_t weights(const Topology& t) {
  int64_t sum = 0;
  for (const Shape& s : t) sum += s.weights();
  return sum;
}

int64_t outputs(const Topology& t) {
  int64_t sum = 0;
  for (const Shape& s : t) sum += s.outputs;
  return sum;
}

// ALQ's defaults (METHODS 5a): `conv` for convolutions but the first, slices for the others.
int64_t groups(const Topology& t, PlaneGroups first, PlaneGroups conv) {
  int64_t sum = 0;
  for (size_t i = 0; i < t.size(); ++i) {
    LowBitSettings s;
    s.groups = t[i].edge == 0 ? PlaneGroups::slices : i == 0 ? first : conv;
    s.slices = t[i].slices;
    const int64_t group = plane_group(s, t[i].inputs(), t[i].taps());
    sum += t[i].outputs * (group == 0 ? 1 : (t[i].inputs() + group - 1) / group);
  }
  return sum;
}

// Stages of basic blocks, two 3x3 convolutions each, a 1x1 convolution where channels change.
void add_stages(Topology& t, int64_t channels, const std::vector<int64_t>& widths,
                const std::vector<int>& blocks) {
  for (size_t s = 0; s < widths.size(); ++s)
    for (int b = 0; b < blocks[s]; ++b, channels = widths[s]) {
      t.push_back({widths[s], channels, 3});
      t.push_back({widths[s], widths[s], 3});
      if (channels != widths[s]) t.push_back({widths[s], channels, 1});
    }
}

Topology resnet(const std::vector<int>& blocks) {
  Topology t = {{64, 3, 7}};
  add_stages(t, 64, {64, 128, 256, 512}, blocks);
  t.push_back({1000, 512, 0, 2});
  return t;
}

ir::Graph network(uint64_t seed = 9) {
  auto g = ir::parse(R"(graph g
input %x : f32[N,3,6,6]
const %w0 : f32[16,3,3,3] = fill 1
const %w1 : f32[16,16,3,3] = fill 1
const %b1 : f32[16] = fill 1
const %w2 : f32[16,16,3,3] = fill 1
const %w3 : f32[16,1,3,3] = fill 1
const %w4 : f32[32,16,1,1] = fill 1
const %w5 : f32[10,32] = fill 1
node stem = conv2d(%x, %w0){kernel=[3,3], pad=[1,1,1,1], clamp=[0,none]} -> %a
node one = conv2d(%a, %w1, %b1){kernel=[3,3], pad=[1,1,1,1], bias=true, clamp=[0,none]} -> %b
node two = conv2d(%b, %w2, %a){kernel=[3,3], pad=[1,1,1,1], residual=true, clamp=[0,none]} -> %c
node depth = conv2d(%c, %w3){kernel=[3,3], stride=[2,2], pad=[1,1,1,1], groups=16, clamp=[0,none]} -> %d
node point = conv2d(%d, %w4){kernel=[1,1], clamp=[0,none]} -> %e
node mean = pool2d(%e){mode=average, global=true} -> %f
node flat = reshape(%f){dims=[1,32]} -> %h
node fc = linear(%h, %w5) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  Random r(seed);
  for (ir::Constant& c : g->constants)
    for (float& v : c.data) v = 0.2f * static_cast<float>(r.normal());
  return *g;
}

CalibrationData images(int64_t rows, uint64_t seed) {
  Random r(seed);
  eval::Tensor x;
  x.shape = {rows, 3, 6, 6};
  for (int64_t i = 0; i < rows * 3 * 6; ++i) {
    double level = r.normal();
    for (int t = 0; t < 6; ++t) x.data.push_back(static_cast<float>(level += 0.3 * r.normal()));
  }
  return {{x}, {}};
}

double output_error(const ir::Graph& coded, const CalibrationData& data) {
  const auto want = eval::evaluate(network(), data.inputs);
  const auto got = eval::evaluate(coded, data.inputs);
  REQUIRE(want.ok());
  REQUIRE_MESSAGE(got.ok(), (got.ok() ? "" : got.error().message));
  double error = 0, energy = 0;
  for (size_t i = 0; i < (*want)[0].data.size(); ++i) {
    error += std::pow((*want)[0].data[i] - (*got)[0].data[i], 2);
    energy += std::pow((*want)[0].data[i], 2);
  }
  return error / energy;
}

ir::Graph coded(const char* method, const MethodOptions& words, const CalibrationData& data,
                MethodReport* report = nullptr) {
  ir::Graph g = network();
  auto r = (*find_method(method))->run(g, words, data);
  REQUIRE_MESSAGE(r.ok(), (r.ok() ? "" : r.error().message));
  if (report) *report = *r;
  return g;
}

const Encoding* encoding_of(const ir::Graph& g, const std::string& node) {
  for (const ir::Node& n : g.nodes)
    if (n.name == node) return ir::constant_of(g, n.in[1])->encoding.get();
  FAIL("no node " << node);
  return nullptr;
}

int error_id(const char* method, const MethodOptions& words) {
  ir::Graph g = network();
  const auto r = (*find_method(method))->run(g, words, {});
  REQUIRE(!r.ok());
  return r.error().id;
}

// Records everything; `limit` results are kept, as if the run had been interrupted then.
class Memory : public Journal {
 public:
  const std::string* find(const std::string& key) const override {
    const auto at = kept.find(key);
    found += at != kept.end();
    return at == kept.end() ? nullptr : &at->second;
  }
  void record(const std::string& key, const std::string& value) override { kept[key] = value; }
  std::map<std::string, std::string> kept;
  mutable int found = 0;
};

}  // namespace

TEST_CASE("low bit: sizes of SQ's networks") {
  const Topology vgg9 = {{64, 3, 3},    {64, 64, 3},    {128, 64, 3},  {128, 128, 3}, {256, 128, 3},
                         {256, 256, 3}, {512, 4096, 0}, {512, 512, 0}, {10, 512, 0}};
  CHECK(weights(vgg9) == 3508928);
  CHECK((weights(vgg9) + 7) / 8 == 438616);
  CHECK(weights(vgg9) / 4 == 877232);
  CHECK((weights(vgg9) + 4) / 5 == 701786);
  CHECK(outputs(vgg9) == 1930);  // alphas
  Topology resnet56 = {{16, 3, 3}};
  add_stages(resnet56, 16, {16, 32, 64}, {9, 9, 9});
  CHECK(resnet56.size() == 57);
  resnet56.push_back({10, 64, 0});
  CHECK(weights(resnet56) == 851504);
}

TEST_CASE("low bit: sizes and groups of ALQ's networks") {
  const Topology lenet = {{20, 1, 5}, {50, 20, 5}, {500, 800, 0, 2}, {10, 500, 0, 1}};
  CHECK(weights(lenet) == 430500);
  CHECK(groups(lenet, PlaneGroups::kernel, PlaneGroups::kernel) == 2030);
  CHECK(weights(lenet) * 40 / 100 / 8 == 21525);
  const Topology vgg = {{128, 3, 3},         {128, 128, 3},      {256, 128, 3},
                        {256, 256, 3},       {512, 256, 3},      {512, 512, 3},
                        {1024, 8192, 0, 16}, {1024, 1024, 0, 2}, {10, 1024, 0, 2}};
  CHECK(weights(vgg) == 14022016);
  CHECK(groups(vgg, PlaneGroups::channel, PlaneGroups::pixel) == 33556);
  CHECK(weights(vgg) * 66 / 100 / 8 == 1156816);
  const Topology r18 = resnet({2, 2, 2, 2}), r34 = resnet({3, 4, 6, 3});
  CHECK(weights(r18) == 11678912);
  CHECK(weights(r34) == 21779648);
  CHECK(groups(r18, PlaneGroups::channel, PlaneGroups::pixel) == 37520);
  CHECK(groups(r34, PlaneGroups::channel, PlaneGroups::pixel) == 70928);
  CHECK(weights(r18) * 2 / 8 == 2919728);
  CHECK(weights(r34) * 2 / 8 == 5444912);
}

TEST_CASE("low bit: sizes of SAT's MobileNet-V1, stem and classifier at 8 bits") {
  const int64_t widths[][2] = {{32, 64},   {64, 128},   {128, 128},  {128, 256}, {256, 256},
                               {256, 512}, {512, 512},  {512, 512},  {512, 512}, {512, 512},
                               {512, 512}, {512, 1024}, {1024, 1024}};
  Topology edges = {{32, 3, 3}, {1000, 1024, 0}}, middle;
  int64_t norms = 32;
  for (const auto& [in, out] : widths) {
    middle.push_back({in, 1, 3});
    middle.push_back({out, in, 1});
    norms += in + out;
  }
  CHECK(weights(edges) + weights(middle) == 4209088);
  const std::map<int, int64_t> bytes = {{8, 4209088}, {6, 3413032}, {5, 3015004},
                                        {4, 2616976}, {3, 2218948}, {2, 1820920}};
  for (const auto& [bits, want] : bytes) CHECK(weights(edges) + weights(middle) * bits / 8 == want);
  CHECK(norms * 2 * 4 == 87552);  // gamma and beta in f32
}

TEST_CASE("low bit: every method codes a network, data lowers the error") {
  const CalibrationData data = images(64, 2), test = images(64, 77);
  struct Row {
    const char* method;
    MethodOptions words;
  };
  const Row rows[] = {
      {"uniform", {{"bits", "4"}}},
      {"uniform", {{"bits", "3"}, {"grid", "centered"}, {"first_last", "same"}}},
      {"uniform", {{"bits", "3"}, {"grid", "affine"}, {"scales", "layer"}}},
      {"uniform", {{"bits", "2"}, {"scales", "group"}, {"group", "8"}, {"first_last", "same"}}},
      {"twn", {}},
      {"bwn", {{"scales", "layer"}}},
      {"alq", {{"bits", "2"}}},
      {"alq", {{"bits", "1.5"}, {"groups", "kernel"}, {"depthwise", "same"}}},
      {"alq", {{"bits", "1"}, {"groups", "slices"}, {"slices", "3"}}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.method);
    MethodReport report;
    const ir::Graph fitted = coded(row.method, row.words, data, &report);
    const ir::Graph blind = coded(row.method, row.words, {});
    CHECK(output_error(fitted, test) < output_error(blind, test));
    CHECK(report.layers.size() == 6);
    for (const LayerReport& l : report.layers) {
      CAPTURE(l.layer);
      CHECK(l.is_encoded);
      CHECK(l.bits_per_weight > 0);
    }
  }
  CHECK(output_error(coded("uniform", {}, data), test) < 1e-3);
}

TEST_CASE("low bit: what each method leaves, and policies") {
  const CalibrationData data = images(40, 3);
  const ir::Graph bwn = coded("bwn", {}, data);
  CHECK(std::get<Affine>(*encoding_of(bwn, "stem")).bits == 8);
  CHECK(std::get<Affine>(*encoding_of(bwn, "depth")).bits == 8);
  CHECK(std::get<Affine>(*encoding_of(bwn, "fc")).bits == 8);
  const auto& signs = std::get<BitPlanes>(*encoding_of(bwn, "one"));
  CHECK(!signs.ternary5);
  CHECK(signs.counts == std::vector<uint8_t>(16, 1));
  const ir::Graph twn = coded("twn", {{"first_last", "dense"}, {"depthwise", "same"}}, data);
  CHECK(encoding_of(twn, "stem") == nullptr);
  CHECK(std::get<BitPlanes>(*encoding_of(twn, "depth")).ternary5);
  const ir::Graph rules = coded(
      "uniform",
      {{"bits", "3"},
       {"skip", "point"},
       {"layers", R"({"layers": [{"match": "t.o", "bits": 5}, {"match": "one", "dense": true}]})"}},
      data);
  CHECK(std::get<Affine>(*encoding_of(rules, "two")).bits == 5);
  CHECK(std::get<Affine>(*encoding_of(rules, "depth")).bits == 3);
  CHECK(encoding_of(rules, "one") == nullptr);
  CHECK(encoding_of(rules, "point") == nullptr);
}

TEST_CASE("low bit: fit=no gives the published projections, whatever the data") {
  const CalibrationData data = images(40, 3);
  const MethodOptions words = {
      {"fit", "no"}, {"first_last", "same"}, {"depthwise", "same"}, {"dense", "no"}};
  const ir::Graph plain = network();
  for (const char* method : {"bwn", "twn"}) {
    const ir::Graph g = coded(method, words, data);
    const auto& b = std::get<BitPlanes>(*encoding_of(g, "two"));
    const std::vector<float>& w = plain.constants[3].data;  // %w2
    for (size_t o = 0; o < 16; ++o) {
      const auto row = std::span(w).subspan(o * 144, 144);
      const double threshold = ternary_threshold(row);
      const double want = b.ternary5 ? ternary_alpha(row, threshold) : binary_alpha(row);
      CHECK(b.alphas[o] == doctest::Approx(want).epsilon(1e-3));  // stored in f16
      for (size_t i = 0; i < row.size(); ++i) {
        const int trit = row[i] > threshold ? 2 : row[i] < -threshold ? 0 : 1;
        CHECK(b.signs[o * 144 + i] == (b.ternary5 ? trit : row[i] >= 0));
      }
    }
  }
}

TEST_CASE("low bit: alq meets the average, and moves bases to where they count") {
  const CalibrationData data = images(64, 4);
  const ir::Graph g =
      coded("alq", {{"bits", "1.5"}, {"first_last", "same"}, {"depthwise", "same"}}, data);
  const std::map<std::string, double> sizes = {{"stem", 16 * 27},  {"one", 16 * 144},
                                               {"two", 16 * 144},  {"depth", 16 * 9},
                                               {"point", 32 * 16}, {"fc", 10 * 32}};
  double bits = 0, all = 0;
  std::vector<double> averages;
  for (const auto& [name, size] : sizes) {
    const auto& b = std::get<BitPlanes>(*encoding_of(g, name));
    bits += double(b.signs.size()), all += size;
    averages.push_back(double(b.signs.size()) / size);
  }
  CHECK(bits <= 1.5 * all);
  CHECK(bits > 1.45 * all);
  CHECK(*std::max_element(averages.begin(), averages.end()) >
        *std::min_element(averages.begin(), averages.end()) + 0.2);
}

TEST_CASE("low bit: options that cannot be") {
  CHECK(error_id("uniform", {{"bits", "9"}}) == 718);
  CHECK(error_id("uniform", {{"planes", "3"}}) == 718);
  CHECK(error_id("alq", {{"bits", "0"}}) == 718);
  CHECK(error_id("bwn", {{"first_last", "7"}}) == 718);
  CHECK(error_id("uniform", {{"layers", R"({"layers": [{"match": "fc", "block": 4}]})"}}) == 718);
  CHECK(error_id("uniform", {{"bits", "1"}}) == 719);
  CHECK(error_id("uniform", {{"scales", "group"}}) == 719);
  CHECK(error_id("uniform", {{"fit", "no"}}) == 719);
  CHECK(error_id("alq", {{"bits", "5"}}) == 719);
  CHECK(error_id("twn", {{"threshold", "layer"}}) == 719);
  CHECK(error_id("alq", {{"slices", "2"}}) == 719);
  CHECK(error_id("twn", {{"skip", "nothing"}}) == 720);
  CHECK(error_id("alq", {{"layers", R"({"layers": [{"match": "fc", "bits": 7}]})"}}) == 720);
  ir::Graph g = network();
  g.constants[1].data[5] = std::numeric_limits<float>::quiet_NaN();
  const auto r = (*find_method("uniform"))->run(g, {}, {});
  REQUIRE(!r.ok());
  CHECK(r.error().id == 721);
  CHECK(r.error().message.find("one") != std::string::npos);
}

TEST_CASE("low bit: a journal gives back what was computed") {
  for (const char* method : {"uniform", "alq", "twn"}) {
    Memory memory;
    CalibrationData data = images(40, 5);
    data.control.journal = &memory;
    const ir::Graph first = coded(method, {}, data);
    CHECK(memory.found == 0);
    const ir::Graph again = coded(method, {}, data);
    CHECK(memory.found == 6);
    CHECK(ir::print(first) == ir::print(again));
    for (auto& [key, value] : memory.kept) value.resize(value.size() / 2);  // damaged: done anew
    CHECK(ir::print(coded(method, {}, data)) == ir::print(first));
  }
}

TEST_CASE("low bit: a search offers bits, and its rules lead to what was chosen") {
  const CalibrationData data = images(40, 6);
  auto space =
      (*find_method("uniform"))->search(network(), {{"first_last", "same"}}, data, data.inputs);
  REQUIRE_MESSAGE(space.ok(), (space.ok() ? "" : space.error().message));
  REQUIRE(space->options.size() == 6);
  for (const auto& options : space->options) {
    REQUIRE(options.size() == 8);  // 2 to 8 bits, dense
    for (size_t i = 1; i + 1 < options.size(); ++i) CHECK(options[i].bytes > options[i - 1].bytes);
    CHECK(options[0].cost > options[6].cost);
  }
  const Allocation chosen = best_within(space->options, frontier(space->options)[0].bytes * 2);
  const ir::Graph g = coded("uniform", {{"layers", space->rules(chosen)}}, data);
  const char* names[] = {"stem", "one", "two", "depth", "point", "fc"};
  for (size_t i = 0; i < 6; ++i) {
    const Encoding* e = encoding_of(g, names[i]);
    const int32_t bits = e ? std::get<Affine>(*e).bits : 9;
    CHECK(bits == static_cast<int32_t>(chosen.chosen[i]) + 2);
  }
}
