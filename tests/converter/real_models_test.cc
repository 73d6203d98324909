// Published models through import, folding and the interpreter, against golden
// outputs that were made without any of our code.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>

#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/passes/passes.h"
#include "tests/support/real_data.h"

namespace qrt {
namespace {

using test::real_data;
using test::relative_error;

constexpr double kTolerance = 1e-4;

bool have_data() {
  if (!real_data("").empty()) return true;
  MESSAGE("SKIPPED: QRT_DATA is not set");
  return false;
}

ir::Graph import_folded(const std::string& file) {
  Result<import::Imported> imported = import::import_onnx(real_data(file), {});
  REQUIRE_MESSAGE(imported.ok(), imported.error().message);
  ir::Graph graph = std::move(imported->graph);
  for (auto pass : {passes::fold_constants, passes::infer_shapes, passes::lower_batch_norm}) {
    Result<void> done = pass(graph);
    REQUIRE_MESSAGE(done.ok(), done.error().message);
    Result<void> good = ir::verify(graph);
    REQUIRE_MESSAGE(good.ok(), good.error().message);
  }
  return graph;
}

// The first `count` rows of an .npy file as a tensor of `shape` behind the batch.
eval::Tensor rows(const test::NpyFloats& npy, int64_t first, int64_t count) {
  eval::Tensor tensor;
  tensor.shape = npy.shape;
  tensor.shape[0] = count;
  const int64_t row = static_cast<int64_t>(npy.data.size()) / npy.shape[0];
  tensor.data.assign(npy.data.begin() + first * row, npy.data.begin() + (first + count) * row);
  return tensor;
}

// Runs the graph on all rows, `batch` at a time, and compares with the golden rows.
double error_of(const ir::Graph& graph, const test::NpyFloats& input, const std::string& golden,
                int64_t batch, int64_t count) {
  const test::NpyFloats want = test::read_npy(real_data(golden));
  std::vector<float> got;
  for (int64_t first = 0; first < count; first += batch) {
    const eval::Tensor x = rows(input, first, batch);
    auto y = eval::evaluate(graph, {&x, 1});
    REQUIRE_MESSAGE(y.ok(), y.error().message);
    got.insert(got.end(), (*y)[0].data.begin(), (*y)[0].data.end());
  }
  return relative_error(got, rows(want, 0, count).data);
}

TEST_CASE("codebook networks reach the golden logits") {
  if (!have_data()) return;
  const auto input = test::read_npy(real_data("imagenet/golden_input_nchw_8x3x224x224_f32.npy"));
  const std::string folder = "killthebits/";
  const ir::Graph small = import_folded(folder + "resnet18_small_blocks.codebook.onnx");
  CHECK(error_of(small, input, folder + "resnet18_small_blocks.golden_logits.npy", 2, 4) <
        kTolerance);
  const ir::Graph large = import_folded(folder + "resnet50_large_blocks.codebook.onnx");
  CHECK(error_of(large, input, folder + "resnet50_large_blocks.golden_logits.npy", 1, 2) <
        kTolerance);
}

TEST_CASE("weights spelled as Gather survive the import") {
  if (!have_data()) return;
  auto imported =
      import::import_onnx(real_data("killthebits/resnet18_small_blocks.codebook.onnx"), {});
  REQUIRE_MESSAGE(imported.ok(), imported.error().message);
  const auto& nodes = imported->graph.nodes;
  const auto gathers = std::count_if(nodes.begin(), nodes.end(), [](const ir::Node& node) {
    return std::holds_alternative<ir::Gather>(node.attr);
  });
  CHECK(gathers == 20);
  CHECK(imported->sha256 == "8356164fe4a4740de58d1a612348dd555b289ffa664306aa59caefedfc6ac022");
}

TEST_CASE("bare graphs keep every parameter as a constant of its name") {
  if (!have_data()) return;
  for (const char* file : {"killthebits/resnet18_graph.onnx", "killthebits/resnet50_graph.onnx"}) {
    auto imported = import::import_onnx(real_data(file), {});
    REQUIRE_MESSAGE(imported.ok(), imported.error().message);
    for (const char* name : {"conv1.weight", "layer1.0.conv1.weight", "layer2.0.downsample.1.bias",
                             "layer4.1.bn2.running_var", "fc.weight", "fc.bias"}) {
      const auto& values = imported->graph.values;
      const auto found = std::find_if(values.begin(), values.end(),
                                      [&](const ir::Value& v) { return v.name == name; });
      REQUIRE_MESSAGE(found != values.end(), name);
      CHECK_MESSAGE(found->constant >= 0, name);
    }
  }
}

TEST_CASE("dense networks reach the golden outputs") {
  if (!have_data()) return;
  const auto bgr =
      test::read_npy(real_data("deepcompression/golden_input_bgr_4x3x227x227_f32.npy"));
  const ir::Graph squeezenet = import_folded("deepcompression/squeezenet_dc_decoded_f32.onnx");
  CHECK(error_of(squeezenet, bgr, "deepcompression/squeezenet_dc.golden_logits.npy", 2, 4) <
        kTolerance);

  const auto vww_input = test::read_npy(real_data("onnx/mlperf_open_vww_f32.golden_input.npy"));
  const ir::Graph vww = import_folded("onnx/mlperf_open_vww_f32.onnx");
  CHECK(error_of(vww, vww_input, "onnx/mlperf_open_vww_f32.golden_output.npy", 1,
                 vww_input.shape[0]) < kTolerance);

  test::NpyFloats words = test::read_npy(real_data("kws/kws01_ref_mfcc_int8_500x49x10.npy"));
  for (float& q : words.data) q = static_cast<float>((q - 83) * 0.5847029089927673);
  words.shape.push_back(1);
  const ir::Graph kws = import_folded("onnx/mlperf_open_kws_f32.onnx");
  CHECK(error_of(kws, words, "onnx/mlperf_open_kws_f32.golden_output_first100.npy", 1, 100) <
        kTolerance);
}

// The first 100 pictures of MNIST's test set, 0 to 255.
test::NpyFloats digits() {
  const std::string command =
      "gzip -dc '" + real_data("mnist/t10k_first5000-images-idx3-ubyte.gz") + "'";
  std::FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::vector<uint8_t> bytes(16 + 100 * 784);
  const size_t got = std::fread(bytes.data(), 1, bytes.size(), pipe);
  pclose(pipe);
  REQUIRE(got == bytes.size());
  return {{100, 1, 28, 28}, {bytes.begin() + 16, bytes.end()}};
}

TEST_CASE("mnist-8 (opset 8, initializers as inputs, automatic padding)") {
  if (!have_data()) return;
  const ir::Graph mnist = import_folded("onnx/mnist-8.onnx");
  CHECK(error_of(mnist, digits(), "onnx/mnist-8.golden_logits_first100.npy", 1, 100) < kTolerance);
}

// QONNX in every domain and form that is published: Brevitas, FINN, QKeras, none. What a layer of
// floats adds up in another order than the reference may fall on the other side of a rounding:
// radioml's eight bits and espcn's last layer do so once or twice.
TEST_CASE("quantized networks reach the golden outputs") {
  if (!have_data()) return;
  test::NpyFloats unit = digits();
  for (float& x : unit.data) x /= 255;
  CHECK(error_of(import_folded("qonnx/TFC_1W1A.onnx"), unit,
                 "qonnx/TFC_1W1A.golden_logits_first100.npy", 1, 100) < kTolerance);
  CHECK(error_of(import_folded("qonnx/TFC_2W2A.onnx"), unit,
                 "qonnx/TFC_2W2A.golden_logits_first100.npy", 1, 100) < kTolerance);
  test::NpyFloats words = test::read_npy(real_data("kws/kws_w3a3_mfcc_int8_500x10x49.npy"));
  for (float& q : words.data) q *= 0.33674246f;
  words.shape = {500, 1, 10, 49};
  CHECK(error_of(import_folded("qonnx/kws_w3a3_mlperf_v07.onnx"), words,
                 "qonnx/kws_w3a3_mlperf_v07.golden_logits_first100.npy", 1, 100) < kTolerance);
  const struct {
    const char* name;
    double tolerance;
  } cases[] = {{"qkeras_jettagging", kTolerance},
               {"unsw_nb15-mlp-w2a2", kTolerance},
               {"radioml_vgg10_w8a8", 0.03},
               {"espcn_subpixel_quant", 1.01 / 255}};
  for (const auto& c : cases) {
    const std::string base = std::string("qonnx/") + c.name;
    const auto input = test::read_npy(real_data(base + ".golden_input.npy"));
    CHECK_MESSAGE(error_of(import_folded(base + ".onnx"), input, base + ".golden_output.npy", 1,
                           input.shape[0]) < c.tolerance,
                  c.name);
  }
}

TEST_CASE("FINN's thresholds give the golden classes") {
  if (!have_data()) return;
  const ir::Graph finn = import_folded("qonnx/finn_tfc_w1a1_multithreshold.onnx");
  const test::NpyFloats input = digits();
  const auto want =
      test::read_npy(real_data("qonnx/finn_tfc_w1a1_multithreshold.golden_class_first100.npy"));
  for (int64_t i = 0; i < 100; ++i) {
    const eval::Tensor x = rows(input, i, 1);
    auto y = eval::evaluate(finn, {&x, 1});
    REQUIRE_MESSAGE(y.ok(), y.error().message);
    CHECK(static_cast<float>((*y)[0].ints.at(0)) == want.data[static_cast<size_t>(i)]);
  }
}

}  // namespace
}  // namespace qrt
