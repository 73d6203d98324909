// --activations esb: thresholds that repeat stand for ESB values, scales fit the samples, layers
// between rounded values sum integers and give what the rounded floats give, and what is refused.
#include "converter/lowbit/esb_activations.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <set>

#include "converter/emit/emit.h"
#include "converter/ir/edit.h"
#include "converter/lowbit/lowbit.h"
#include "converter/lower/lower.h"
#include "converter/quant/esb.h"
#include "tests/support/run_file.h"

namespace qrt {
namespace {

using quant::EsbFormat;

struct Network {
  ir::Graph graph;
  std::vector<eval::Tensor> samples;
};

// Three linear layers of ESB weights, a ReLU (or nothing) behind the first two.
Network network(bool relu, EsbFormat weights = {4, 1}) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  Network n;
  n.graph.name = "g";
  ir::Value x;
  x.name = "x", x.shape = {1, 24}, x.batched = true;
  n.graph.values.push_back(x);
  n.graph.inputs = {0};
  ir::ValueId v = 0;
  int64_t inputs = 24;
  for (const int64_t outputs : {40, 30, 10}) {
    quant::Table t = quant::esb_table(weights);
    const quant::EsbCoder coder(weights);
    for (int64_t i = 0; i < outputs * inputs; ++i)
      t.codes.push_back(coder.code(double{normal(random)} * quant::esb_most(weights) / 3));
    t.scales.values.assign(static_cast<size_t>(outputs), 0.02f);
    ir::Constant c;
    c.encoding = std::make_shared<const quant::Encoding>(std::move(t));
    const std::string name = "fc" + std::to_string(outputs);
    const ir::ValueId w = ir::add_constant(n.graph, name + ".w", {outputs, inputs}, std::move(c));
    std::vector<float> bias(static_cast<size_t>(outputs));
    for (float& b : bias) b = normal(random) / 4;
    const ir::ValueId b = ir::add_floats(n.graph, name + ".b", {outputs}, bias);
    ir::Linear linear;
    linear.bias = true;
    if (relu && outputs != 10) linear.clamp = {0, ir::kNoClamp.max};
    const auto made = ir::add_node(n.graph, {name, linear, {v, w, b}, {}, {}}, name);
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    v = *made, inputs = outputs;
  }
  n.graph.outputs = {v};
  n.samples.resize(1);
  n.samples[0].shape = {50, 24};
  for (int i = 0; i < 50 * 24; ++i) n.samples[0].data.push_back(normal(random));
  return n;
}

// The largest difference over the largest number.
double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  float off = 0, most = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    off = std::max(off, std::fabs(got[i] - want[i]));
    most = std::max(most, std::fabs(want[i]));
  }
  return double{off} / double{most};
}

TEST_CASE("esb activations: values of the set alone, sums of integers, the same outputs") {
  for (const bool relu : {true, false})
    for (const EsbFormat f : {EsbFormat{4, 1}, {3, 0}, {5, 2}, {4, 2}}) {
      CAPTURE(relu);
      CAPTURE(f.bits);
      CAPTURE(f.fraction);
      Network n = network(relu, f.bits == 5 ? EsbFormat{6, 2} : EsbFormat{4, 1});
      auto rounded = lowbit::round_activations(n.graph, f, {n.samples, {}});
      REQUIRE_MESSAGE(rounded.ok(), (rounded.ok() ? "" : rounded.error().message));
      REQUIRE(rounded->size() == 2);  // the model's input stays
      const auto sound = ir::verify(n.graph);
      REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
      for (const lowbit::EsbActivation& a : *rounded) {
        CHECK(a.has_sign == !relu);
        CHECK(a.format == (relu ? EsbFormat{f.bits + 1, f.fraction + 1} : f));
        std::set<float> allowed;
        for (const double v : quant::esb_numbers(a.format))
          if (a.has_sign || v >= 0) allowed.insert(static_cast<float>(v));
        std::set<float> found;
        const auto done = eval::evaluate(n.graph, n.samples, [&](ir::ValueId v, const auto& t) {
          if (n.graph.values[static_cast<size_t>(v)].name != a.value + ".esb") return;
          for (const float y : t.data) found.insert(std::nearbyint(y / a.scale));
        });
        REQUIRE(done.ok());
        CHECK(found.size() > 3);
        for (const float y : found) CHECK(allowed.count(y) == 1);
      }
      auto floats = eval::evaluate(n.graph, n.samples);
      REQUIRE(floats.ok());
      auto report = lowbit::streamline(n.graph);
      REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : report.error().message));
      REQUIRE(report->layers.size() == 3);
      CHECK(report->layers[0].what.starts_with("f32"));
      const bool even = f == EsbFormat{4, 2};  // one exponent bit: a uniform grid
      CHECK(report->layers[1].what.ends_with(even ? "requantized" : "thresholds"));
      CHECK(report->layers[2].what.find("bits x table") != std::string::npos);
      auto integers = eval::evaluate(n.graph, n.samples);
      REQUIRE_MESSAGE(integers.ok(), (integers.ok() ? "" : integers.error().message));
      CHECK(relative_error((*integers)[0].data, (*floats)[0].data) < 1e-5);
      auto lowered = lower::lower(n.graph);
      REQUIRE_MESSAGE(lowered.ok(), (lowered.ok() ? "" : lowered.error().message));
      auto file = emit::emit(*lowered, {});
      REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
      CHECK(relative_error(testing::run_file(*file, n.samples, 50)[0].data, (*integers)[0].data) <
            1e-5);
    }
}

TEST_CASE("esb activations: more bits lose less") {
  double before = 1;
  for (const EsbFormat f : {EsbFormat{3, 0}, {4, 1}, {5, 2}, {6, 3}}) {
    Network n = network(true);
    auto rounded = lowbit::round_activations(n.graph, f, {n.samples, {}});
    REQUIRE(rounded.ok());
    CHECK((*rounded)[0].error < before / 2);
    before = (*rounded)[0].error;
  }
}

TEST_CASE("esb activations: impossible pairs, no data, no integers, values that are not finite") {
  using lowbit::activation_format;
  CHECK(activation_format({7, 4}, true)->bits == 7);
  CHECK(activation_format({7, 4}, false)->bits == 8);
  for (const auto& [f, has_sign] : {std::pair{EsbFormat{4, 3}, true},
                                    {EsbFormat{9, 4}, true},
                                    {EsbFormat{6, 2}, true},
                                    {EsbFormat{6, 2}, false},
                                    {EsbFormat{8, 5}, false},
                                    {EsbFormat{8, 5}, true}}) {
    const auto bad = activation_format(f, has_sign);
    REQUIRE(!bad.ok());
    CHECK(bad.error().id == 741);
    CHECK(bad.error().message.find(std::to_string(f.bits)) != std::string::npos);
  }
  Network n = network(true);
  CHECK(lowbit::round_activations(n.graph, {4, 1}, {}).error().id == 760);
  const auto wide = lowbit::round_activations(n.graph, {6, 2}, {n.samples, {}});
  REQUIRE(!wide.ok());
  CHECK(wide.error().id == 741);
  CHECK(wide.error().message.starts_with("fc40: "));
  Network broken = network(true);
  for (ir::Constant& c : broken.graph.constants)
    if (!c.data.empty()) c.data[0] = std::nanf("");
  CHECK(lowbit::round_activations(broken.graph, {4, 1}, {broken.samples, {}}).error().id == 762);
  Network floats = network(true);
  for (ir::Constant& c : floats.graph.constants)
    if (c.encoding != nullptr) {
      quant::Table t = std::get<quant::Table>(*c.encoding);
      t.values.assign(t.integers.begin(), t.integers.end());
      t.integers.clear();
      c.encoding = std::make_shared<const quant::Encoding>(t);
    }
  CHECK(lowbit::round_activations(floats.graph, {4, 1}, {floats.samples, {}}).error().id == 761);
}

}  // namespace
}  // namespace qrt
