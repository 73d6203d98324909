// Passes do not change what a graph means: random networks give the same
// outputs before and after, and a file of them is accepted by the runtime.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "converter/passes/passes.h"
#include "converter/passes/pipeline.h"
#include "tests/support/opened_file.h"
#include "tests/support/random_graph.h"

namespace qrt {
namespace {

constexpr uint32_t kGraphs = 500;

double relative_error(const eval::Tensor& got, const eval::Tensor& want) {
  double worst = 0, largest = 1e-20;
  for (size_t i = 0; i < want.data.size(); ++i) {
    const double g = double{got.data[i]}, w = double{want.data[i]};
    if (std::isfinite(w)) largest = std::max(largest, std::abs(w));
    if (g == w || (std::isnan(g) && std::isnan(w))) continue;
    if (!std::isfinite(g) || !std::isfinite(w)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, std::abs(g - w));
  }
  return worst / largest;
}

void check_same(const std::vector<eval::Tensor>& got, const std::vector<eval::Tensor>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i].shape == want[i].shape);
    REQUIRE(got[i].data.size() == want[i].data.size());
    CHECK(relative_error(got[i], want[i]) <= 1e-5);
  }
}

std::vector<std::string> port_names(const ir::Graph& g) {
  std::vector<std::string> names;
  for (const auto* ports : {&g.inputs, &g.outputs})
    for (ir::ValueId v : *ports) names.push_back(g.values[static_cast<size_t>(v)].name);
  return names;
}

TEST_CASE("pipelines keep the meaning of random graphs") {
  for (uint32_t seed = 1; seed <= kGraphs; ++seed) {
    CAPTURE(seed);
    testing::RandomGraph random(seed);
    ir::Graph g = random.make();
    REQUIRE_MESSAGE(ir::verify(g).ok(), "the generator");
    const auto names = port_names(g);
    const int64_t batch = g.values[0].batched ? random.pick(1, 3) : 1;
    const auto inputs = random.inputs(g, batch);
    auto want = eval::evaluate(g, inputs);
    REQUIRE(want.ok());

    for (auto list : {passes::prepare_passes(), passes::layout_passes()}) {
      const std::string before = ir::print(g);
      CAPTURE(before);
      auto done = passes::run_pipeline(g, list);
      REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
      const std::string after = ir::print(g);
      CAPTURE(after);
      auto got = eval::evaluate(g, inputs);
      REQUIRE(got.ok());
      check_same(*got, *want);
      CHECK(port_names(g) == names);
    }
  }
}

TEST_CASE("every pass alone keeps the meaning of random graphs") {
  for (auto list : {passes::prepare_passes(), passes::layout_passes()}) {
    for (const ir::Pass& pass : list) {
      CAPTURE(pass.name);
      for (uint32_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        testing::RandomGraph random(seed);
        ir::Graph g = random.make();
        const auto inputs = random.inputs(g, 1);
        auto want = eval::evaluate(g, inputs);
        REQUIRE(want.ok());
        REQUIRE(pass.run(g).ok());
        REQUIRE(ir::verify(g).ok());
        auto got = eval::evaluate(g, inputs);
        REQUIRE(got.ok());
        check_same(*got, *want);
      }
    }
  }
}

TEST_CASE("running a pipeline twice changes nothing more") {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    ir::Graph g = testing::RandomGraph(seed).make();
    for (auto list : {passes::prepare_passes(), passes::layout_passes()}) {
      REQUIRE(passes::run_pipeline(g, list).ok());
      const std::string once = ir::print(g);
      REQUIRE(passes::run_pipeline(g, list).ok());
      CHECK(ir::print(g) == once);
    }
  }
}

TEST_CASE("files of random graphs are accepted and deterministic") {
  for (uint32_t seed = 1; seed <= kGraphs; ++seed) {
    CAPTURE(seed);
    ir::Graph g = testing::RandomGraph(seed).make();
    REQUIRE(passes::run_pipeline(g, passes::prepare_passes()).ok());
    REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
    emit::FileInfo info;
    info.name = "random";
    auto bytes = emit::emit(g, info);
    REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
    auto again = emit::emit(ir::Graph(g), info);
    CHECK(*bytes == *again);
    const testing::OpenedFile file(*bytes);
    const std::string text = ir::print(g);
    CAPTURE(text);
    CHECK_MESSAGE(file.status.ok(), file.status.id() << " " << file.status.what());
    if (file.status.ok()) CHECK(file.model.nodes.size() == g.nodes.size());
  }
}

}  // namespace
}  // namespace qrt
