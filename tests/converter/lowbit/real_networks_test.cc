// Published QONNX networks on real inputs: every activation that the streamlined graph keeps as
// bytes or bits is on the level that the exact interpreter has for it on the imported graph.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/ir/edit.h"
#include "converter/lowbit/lowbit.h"
#include "converter/passes/pipeline.h"
#include "tests/support/exact_interpreter.h"
#include "tests/support/real_data.h"

namespace qrt {
namespace {

void run(ir::Graph& g, std::span<const ir::Pass> list) {
  const auto done = passes::run_pipeline(g, list);
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
}

// The value of the imported graph that a stored one is named after: "NAME.bytes", "NAME.bits", or
// of what find_steps() put in the place of the quantizer NAME, "NAME.levels.bytes".
class Names {
 public:
  explicit Names(const ir::Graph& g) {
    for (size_t v = 0; v < g.values.size(); ++v)
      known_[g.values[v].name] = static_cast<ir::ValueId>(v);
    for (const ir::Node& n : g.nodes)
      if (!n.out.empty()) known_.emplace(n.name + ".levels", n.out[0]);
  }
  ir::ValueId of(std::string name) const {
    for (const char* end : {".bytes", ".bits"}) {
      const size_t at = name.rfind(end);
      if (at != std::string::npos && at + std::string(end).size() == name.size()) name.resize(at);
    }
    const auto found = known_.find(name);
    return found == known_.end() ? -1 : found->second;
  }

 private:
  std::map<std::string, ir::ValueId> known_;
};

// Elements of `got` that are on another level; the exact ones are NCHW, `got` perhaps NHWC.
int64_t levels_off(const eval::Tensor& got, const testing::Exact& want, float scale) {
  REQUIRE(got.data.size() == want.data.size());
  const bool turned = got.shape.size() == 4 && got.shape != want.shape;
  int64_t off = 0;
  for (size_t i = 0; i < got.data.size(); ++i) {
    size_t from = i;
    if (turned) {
      const auto c = static_cast<size_t>(got.shape[3]),
                 pixels = static_cast<size_t>(got.shape[1] * got.shape[2]);
      from = (i / (c * pixels) * c + i % c) * pixels + i / c % pixels;
    }
    const double apart = std::fabs(static_cast<double>(got.data[i]) - want.data[from]);
    off += !(apart <= 1e-3 * static_cast<double>(scale));
  }
  return off;
}

struct Network {
  const char* name;   // under qonnx/
  const char* input;  // an .npy under the data: its first numbers are a row of inputs
  float scale;        // that they are multiplied by
  int64_t stored;     // activations of integers that it has at least
};

eval::Tensor input_of(const Network& n, const ir::Graph& g) {
  eval::Tensor x;
  x.shape = g.values[static_cast<size_t>(g.inputs[0])].shape;
  x.shape[0] = 1;
  const auto count = static_cast<size_t>(ir::element_count(x.shape));
  const auto npy = test::read_npy(test::real_data(n.input));
  REQUIRE(npy.data.size() >= count);
  x.data.assign(npy.data.begin(), npy.data.begin() + static_cast<std::ptrdiff_t>(count));
  for (float& v : x.data) v *= n.scale;
  return x;
}

void check(const Network& n) {
  CAPTURE(n.name);
  auto imported =
      import::import_onnx(test::real_data(std::string("qonnx/") + n.name + ".onnx"), {});
  REQUIRE_MESSAGE(imported.ok(), (imported.ok() ? "" : imported.error().message));
  ir::Graph g = std::move(imported->graph);
  const auto steps = lowbit::steps_passes();
  run(g, steps.first(steps.size() - 1));  // all but find_steps(): shapes and constants are known
  const Names names(g);
  const eval::Tensor x = input_of(n, g);
  std::string unknown;
  const auto exact = testing::run_exactly(g, {{x.shape, {x.data.begin(), x.data.end()}}}, &unknown);
  CHECK(unknown == "");

  run(g, steps.last(1));
  run(g, passes::prepare_passes());
  run(g, passes::layout_passes());
  const auto report = lowbit::streamline(g);
  REQUIRE(report.ok());
  int64_t stored = 0, off = 0, values = 0;
  const auto y = eval::evaluate(g, {&x, 1}, [&](ir::ValueId id, const eval::Tensor& got) {
    const ir::Value& v = g.values[static_cast<size_t>(id)];
    const ir::ValueId source = v.quantization.present() ? names.of(v.name) : -1;
    const auto want = exact.find(source);
    if (source < 0 || want == exact.end()) return;
    ++stored, values += static_cast<int64_t>(got.data.size());
    off += levels_off(got, want->second, v.quantization.scale);
  });
  REQUIRE_MESSAGE(y.ok(), (y.ok() ? "" : y.error().message));
  MESSAGE(n.name << ": " << stored << " activations of integers, " << off << " of " << values
                 << " values on another level");
  CHECK(stored >= n.stored);
  CHECK(off == 0);
}

TEST_CASE("lowbit: activations of published networks are on the exact interpreter's levels") {
  if (test::real_data("").empty()) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  check({"kws_w3a3_mlperf_v07", "kws/kws_w3a3_mfcc_int8_500x10x49.npy", 0.33674246f, 3});
  for (const char* name : {"unsw_nb15-mlp-w2a2", "qkeras_jettagging", "radioml_vgg10_w8a8"}) {
    const std::string input = std::string("qonnx/") + name + ".golden_input.npy";
    check({name, input.c_str(), 1, 3});
  }
  // Their inputs are pixels: those of a picture, whatever it shows.
  const char* pixels = "imagenet/golden_input_nhwc_8x224x224x3_u8.npy";
  check({"TFC_1W1A", pixels, 1 / 255.0f, 3});
  check({"TFC_2W2A", pixels, 1 / 255.0f, 3});
  check({"finn_tfc_w1a1_multithreshold", pixels, 1, 3});
  check({"cnvW1A1_cifar10_bnnpynq", pixels, 1 / 255.0f, 8});
}

}  // namespace
}  // namespace qrt
