// int8 activations from the graph to the runtime: what the file computes is what the
// interpreter says, to the bit, and near what the float network gives.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "converter/int8/int8.h"
#include "converter/ir/edit.h"
#include "converter/passes/pipeline.h"
#include "converter/quant/method.h"
#include "converter/quant/rows.h"
#include "kernels/isa.h"
#include "runtime/tools/io/npy.h"
#include "tests/support/command.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/random_graph.h"
#include "tests/support/real_data.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

struct Quantized {
  ir::Graph graph;  // laid out
  int8::Report report;
};

// Empty where the network has no layer that may sum integers.
std::optional<Quantized> quantized(ir::Graph g, const std::vector<eval::Tensor>& data) {
  REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
  auto report = int8::quantize(g, {}, {data, {}});
  if (!report.ok() && report.error().id == 761) return std::nullopt;
  REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : report.error().message));
  const auto sound = ir::verify(g);
  REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
  return Quantized{std::move(g), std::move(*report)};
}

std::vector<uint8_t> file_of(const ir::Graph& g) {
  auto file = emit::emit(g, {});
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  return *file;
}

TEST_CASE("int8: random networks run as the interpreter says, and as the float network nearly") {
  int seen = 0;
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    testing::RandomGraph random(seed);
    ir::Graph g = random.make();
    const std::vector<eval::Tensor> data = random.inputs(g, 6);
    if (!passes::run_pipeline(g, passes::prepare_passes()).ok()) continue;
    auto f32 = eval::evaluate(g, data);
    if (!f32.ok()) continue;
    auto q = quantized(g, data);
    if (!q) continue;
    ++seen;
    CAPTURE(ir::print(q->graph));
    auto want = eval::evaluate(q->graph, data);
    REQUIRE(want.ok());
    const std::vector<uint8_t> file = file_of(q->graph);
    const auto got = cli::run_file(file, "random", data);
    CHECK(cli::relative_error(got, *want) <= 2e-2);
    for (size_t i = 0; i < want->size(); ++i) {
      double signal = 0, noise = 0;
      for (size_t k = 0; k < (*want)[i].data.size(); ++k) {
        signal += std::pow((*f32)[i].data[k], 2);
        noise += std::pow((*want)[i].data[k] - (*f32)[i].data[k], 2);
      }
      CHECK(noise <= 0.05 * signal + 1e-9);
    }
  }
  CHECK(seen >= 10);
}

// conv, pool, two branches that meet, residual, pooled classifier: all of it bytes.
ir::Graph network(bool coded) {
  OnnxBuilder b;
  b.input("x", {-1, 3, 16, 16});
  uint32_t state = 5;
  const auto noise = [&](size_t n, float scale) {
    std::vector<float> v(n);
    for (float& x : v) {
      state = state * 1664525u + 1013904223u;
      x = scale * (static_cast<float>(state >> 8) / (1 << 23) - 1);
    }
    return v;
  };
  const auto conv = [&](const std::string& name, const std::string& in, int64_t from, int64_t to,
                        int64_t k) {
    b.floats(name + ".w", {to, from, k, k}, noise(static_cast<size_t>(to * from * k * k), 0.2f));
    b.floats(name + ".b", {to}, noise(static_cast<size_t>(to), 0.3f));
    auto& n = b.node("Conv", {in, name + ".w", name + ".b"}, name);
    set(n, "kernel_shape", std::vector<int64_t>{k, k});
    set(n, "pads", std::vector<int64_t>{k / 2, k / 2, k / 2, k / 2});
  };
  conv("stem", "x", 3, 24, 3);
  b.node("Relu", {"stem"}, "r0");
  auto& pool = b.node("MaxPool", {"r0"}, "p");
  set(pool, "kernel_shape", std::vector<int64_t>{2, 2});
  set(pool, "strides", std::vector<int64_t>{2, 2});
  conv("left", "p", 24, 32, 3);
  conv("right", "p", 24, 32, 1);
  set(b.node("Concat", {"left", "right"}, "both"), "axis", 1);
  conv("mix", "both", 64, 24, 3);
  b.node("Add", {"mix", "p"}, "sum");
  b.node("Relu", {"sum"}, "r1");
  b.node("GlobalAveragePool", {"r1"}, "gap");
  b.node("Flatten", {"gap"}, "flat");
  b.floats("fc.w", {10, 24}, noise(240, 0.4f));
  set(b.node("Gemm", {"flat", "fc.w"}, "y"), "transB", 1);
  b.output("y");
  const std::string path = scratch("int8.onnx");
  std::ofstream(path, std::ios::binary) << b.model.SerializeAsString();
  ir::Graph g = cli::load_source(path, "", {}, false).graph;
  if (coded) {
    const quant::MethodOptions options = {
        {"block_3x3", "9"}, {"block_1x1", "4"}, {"centroids_conv", "64"}};
    const quant::Method* method = *quant::find_method("pq");
    REQUIRE(method->run(g, options, {}).ok());
  }
  return g;
}

std::vector<eval::Tensor> images(int64_t count) {
  eval::Tensor t;
  t.shape = {count, 3, 16, 16};
  uint32_t state = 99;
  for (int64_t i = 0; i < count * 3 * 16 * 16; ++i) {
    state = state * 1664525u + 1013904223u;
    t.data.push_back(2 * (static_cast<float>(state >> 8) / (1 << 23) - 1));
  }
  return {t};
}

TEST_CASE("int8: a network of bytes throughout, dense and coded, is the interpreter's to the bit") {
  for (const bool coded : {false, true}) {
    CAPTURE(coded);
    const ir::Graph g = network(coded);
    const auto data = images(12);
    auto q = quantized(g, data);
    REQUIRE(q);
    CHECK(q->report.fit.layers.size() == 5);
    CHECK(q->report.fit.output_snr_db.at(0) > 28);
    for (const int8::FittedLayer& l : q->report.fit.layers) CHECK(l.snr_db > 25);
    // The image alone is converted; nothing goes back to floats but the scores.
    int converters = 0;
    for (const ir::Node& n : q->graph.nodes)
      converters += std::holds_alternative<ir::Quantize>(n.attr);
    CHECK(converters == 1);
    auto want = eval::evaluate(q->graph, data);
    REQUIRE(want.ok());
    const auto got = cli::run_file(file_of(q->graph), "network", data);
    CHECK(cli::relative_error(got, *want) == 0);
    auto again = quantized(g, data);
    CHECK(file_of(again->graph) == file_of(q->graph));
  }
}

TEST_CASE("int8: layers of few bits sum integers as they are coded, to the bit") {
  const auto data = images(32);
  for (const auto& [name, words] : {std::pair<const char*, quant::MethodOptions>("uniform", {}),
                                    {"uniform", {{"bits", "4"}, {"first_last", "same"}}},
                                    {"uniform", {{"bits", "3"}, {"grid", "centered"}}},
                                    {"esb", {{"bits", "5"}, {"first_last", "same"}}},
                                    {"twn", {{"first_last", "same"}}},
                                    {"bwn", {}}}) {
    CAPTURE(std::string(name));
    CAPTURE(words.size());
    ir::Graph g = network(false);
    const auto method = quant::find_method(name);
    REQUIRE(method.ok());
    REQUIRE((*method)->run(g, words, {data, {}}).ok());
    auto q = quantized(g, data);
    REQUIRE(q);
    CHECK(q->report.fit.layers.size() == 5);
    CHECK(q->report.fit.output_snr_db.at(0) > 20);
    int coded = 0;
    for (const ir::Node& n : q->graph.nodes) {
      if (!std::holds_alternative<ir::Conv2d>(n.attr) &&
          !std::holds_alternative<ir::Linear>(n.attr))
        continue;
      const ir::Constant* c = ir::constant_of(q->graph, n.in[1]);
      REQUIRE(c->encoding != nullptr);
      coded += !std::holds_alternative<quant::Integers>(*c->encoding);
      CHECK(q->graph.values[static_cast<size_t>(n.in[0])].quantization.present());
    }
    CHECK(coded == 5);
    auto want = eval::evaluate(q->graph, data);
    REQUIRE(want.ok());
    CHECK(cli::relative_error(cli::run_file(file_of(q->graph), "network", data), *want) == 0);
  }
}

TEST_CASE("int8: the same file for every way to calibrate again, and ranges that differ") {
  const ir::Graph source = network(false);
  std::vector<std::vector<uint8_t>> files;
  for (const auto mode :
       {int8::RangeMode::minmax, int8::RangeMode::percentile, int8::RangeMode::mse}) {
    ir::Graph g = source;
    REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
    int8::Options o;
    o.range = mode;
    REQUIRE(int8::quantize(g, o, {images(8), {}}).ok());
    files.push_back(file_of(g));
  }
  CHECK(files[0] != files[2]);
}

TEST_CASE("int8: the first and last layers, and single ones, can stay in f32") {
  ir::Graph g = network(false);
  REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
  int8::Options o;
  o.first_last = false;
  o.stays_f32 = [](const std::string& layer) { return layer == "right"; };
  auto report = int8::quantize(g, o, {images(8), {}});
  REQUIRE(report.ok());
  CHECK(report->fit.layers.size() == 2);
  CHECK(report->notes.size() == 3);
  auto want = eval::evaluate(g, images(8));
  CHECK(cli::relative_error(cli::run_file(file_of(g), "network", images(8)), *want) <= 2e-2);
}

TEST_CASE("int8: rounded tables, where they gain, are the interpreter's to the bit") {
  ir::Graph source = network(false);
  const quant::MethodOptions pq = {
      {"block_3x3", "9"}, {"block_1x1", "8"}, {"centroids_conv", "16"}};
  REQUIRE((*quant::find_method("pq"))->run(source, pq, {}).ok());
  REQUIRE(passes::run_pipeline(source, passes::layout_passes()).ok());
  const auto data = images(12);
  int rounded = 0;
  for (const double allowed : {1.0, 1e-6}) {
    ir::Graph g = source;
    int8::Options o;
    o.fit.target = int8::Target::x86_avx2;
    o.fit.max_loss = allowed;
    auto report = int8::quantize(g, o, {data, {}});
    REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : report.error().message));
    for (const int8::FittedLayer& l : report->fit.layers) {
      CHECK((allowed == 1.0 || l.table_bits == 0));
      rounded += l.table_bits > 0;
      CHECK(l.table_loss < 0.2);
    }
    auto want = eval::evaluate(g, data);
    REQUIRE(want.ok());
    CHECK(cli::relative_error(cli::run_file(file_of(g), "network", data), *want) == 0);
  }
  CHECK(rounded > 0);
}

TEST_CASE("int8: a network of fixed batch is calibrated on many samples, one at a time") {
  ir::Graph g = network(false);
  for (ir::Value& v : g.values) v.batched = false;
  REQUIRE(ir::verify(g).ok());
  ir::Graph batched = network(false);
  for (ir::Graph* one : {&g, &batched}) {
    REQUIRE(passes::run_pipeline(*one, passes::layout_passes()).ok());
    REQUIRE(int8::quantize(*one, {}, {images(12), {}}).ok());
  }
  for (size_t v = 0; v < g.values.size(); ++v) {
    CHECK(g.values[v].quantization.scale == batched.values[v].quantization.scale);
    CHECK(g.values[v].quantization.zero == batched.values[v].quantization.zero);
  }
}

TEST_CASE("int8: bad calibration data is refused, poor data is told about") {
  const ir::Graph source = network(false);
  const auto code = [&](std::vector<eval::Tensor> data) {
    ir::Graph g = source;
    REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
    auto r = int8::quantize(g, {}, {std::move(data), {}});
    return r.ok() ? 0 : r.error().id;
  };
  CHECK(code({}) == 760);
  auto bad = images(3);
  bad[0].data[1000] = NAN;
  CHECK(code(bad) == 762);
  bad = images(3);
  bad[0].data[1000] = -1e20f;  // its square is no float
  CHECK(code(bad) == 764);
  ir::Graph g = source;
  REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
  auto flat = images(3);
  std::fill(flat[0].data.begin(), flat[0].data.end(), 0.5f);
  CHECK(code(flat) == 765);
  // Every pixel of the first layer falls below its clamp.
  for (const ir::Node& n : g.nodes) {
    const auto* conv = std::get_if<ir::Conv2d>(&n.attr);
    if (conv == nullptr || !conv->bias) continue;
    REQUIRE(conv->clamp.min == 0);
    auto& bias = g.constants[static_cast<size_t>(
        g.values[static_cast<size_t>(n.in[conv->scale ? 3 : 2])].constant)];
    std::fill(bias.data.begin(), bias.data.end(), -1e3f);
    break;
  }
  auto report = int8::quantize(g, {}, {images(3), {}});
  REQUIRE(report.ok());
  REQUIRE(!report->warnings.empty());
  CHECK(report->warnings[0].find("throughout the calibration data") != std::string::npos);
}

TEST_CASE("int8: an output that is mostly noise is told about") {
  // The small input that the output is made of has no bytes left beside the large one.
  auto g = ir::parse(
      "graph apart\ninput %x: f32[N,2]\nconst %w: f32[1,2] = {1, 0}\n"
      "node both = linear(%x, %w) -> %y\noutput %y\n");
  REQUIRE(g.ok());
  eval::Tensor x;
  x.shape = {64, 2};
  for (int i = 0; i < 64; ++i) {
    x.data.push_back(static_cast<float>(i % 8) / 8);
    x.data.push_back(static_cast<float>(i) * 1000);
  }
  auto report = int8::quantize(*g, {}, {{x}, {}});
  REQUIRE(report.ok());
  CHECK(report->fit.output_snr_db[0] < 15);
  REQUIRE(report->warnings.size() == 1);
  CHECK(report->warnings[0].find("measure accuracy before use") != std::string::npos);
}

TEST_CASE("int8: sums that could leave 32 bits are refused by the layer's name") {
  for (const int64_t inputs : {50000, 70000}) {
    auto g = ir::parse("graph wide\ninput %x: f32[N," + std::to_string(inputs) +
                       "]\nconst %w: f32[2," + std::to_string(inputs) +
                       "] = fill 1\nnode broad = linear(%x, %w) -> %y\noutput %y\n");
    REQUIRE(g.ok());
    eval::Tensor x;
    x.shape = {2, inputs};
    for (int64_t i = 0; i < 2 * inputs; ++i) x.data.push_back(static_cast<float>(i % 7));
    auto report = int8::quantize(*g, {}, {{x}, {}});
    REQUIRE(!report.ok());
    CHECK(report.error().id == 763);
    CHECK(report.error().message.find("broad") != std::string::npos);
  }
}

TEST_CASE("int8: the command line") {
  const std::string npy = scratch("int8_images.npy"), out = scratch("int8.qrt");
  const auto data = images(16);
  io::NpyWriter file(npy, io::NpyType::f32, data[0].shape);
  file.write(data[0].data.data(), data[0].data.size());
  file.commit();
  network(false);  // writes the model
  const std::string model = scratch("int8.onnx");
  const auto run = [&](std::vector<std::string> words) {
    std::vector<std::string> all = {command("qrt-convert"), model, "-o", out};
    all.insert(all.end(), words.begin(), words.end());
    return run_command(all);
  };
  const CommandResult none = run({"--activations", "int8"});
  CHECK(none.code != 0);
  CHECK(none.err.find("QRT-E0760") != std::string::npos);
  const CommandResult stray = run({"--first-last", "f32"});
  CHECK(stray.err.find("QRT-E0480") != std::string::npos);
  const CommandResult good = run({"--activations", "int8", "--calibrate", npy});
  CAPTURE(good.err);
  REQUIRE(good.code == 0);
  CHECK(good.out.find("dense i8") != std::string::npos);
  CHECK(good.out.find("dB") != std::string::npos);
  // The same bytes for every number of threads and on every level of this machine.
  std::vector<float> first;
  const auto have = kernels::detect_isa();
  for (const char* level :
       {"scalar", "avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot"}) {
    kernels::IsaSet need = 0;
    const bool runs = kernels::isa_level(level, &need) && kernels::includes(have, need);
    for (const char* threads : {"1", "2", "3"}) {
      if (!runs) continue;
      CAPTURE(level);
      CAPTURE(threads);
      const std::string y = scratch("int8_y.npy");
      REQUIRE(run_command({command("qrt"), "run", out, "-i", npy, "-o", y, "--isa", level,
                           "--threads", threads})
                  .code == 0);
      io::NpyReader result(y);
      std::vector<float> scores(16 * 10);
      result.read_f32(0, scores.size(), scores.data());
      if (first.empty()) first = scores;
      CHECK(scores == first);
    }
  }
}

TEST_CASE("int8: accuracy of a network of fixed batch is measured one sample at a time") {
  const std::string npy = scratch("int8_fixed.npy"), out = scratch("int8_fixed.qrt");
  const auto data = images(12);
  io::NpyWriter file(npy, io::NpyType::f32, data[0].shape);
  file.write(data[0].data.data(), data[0].data.size());
  file.commit();
  network(false);  // writes the model
  const std::string model = scratch("int8.onnx"), truth = scratch("int8_truth.txt");
  std::ofstream(truth) << "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n0\n1\n";
  const std::string shape = "x=1,3,16,16";
  const CommandResult converted =
      run_command({command("qrt-convert"), model, "-o", out, "--shape", shape, "--activations",
                   "int8", "--calibrate", npy, "--test", npy, "--truth", truth});
  CAPTURE(converted.err);
  CHECK(converted.code == 0);
  CHECK(converted.out.find("top-1") != std::string::npos);
  const CommandResult verified =
      run_command({command("qrt-verify"), model, out, "--shape", shape, "--input", npy, "--truth",
                   truth, "--layer-rows", "4", "--tolerance", "1"});
  CAPTURE(verified.err);
  CHECK(verified.code == 0);
  CHECK(verified.out.find("top-1") != std::string::npos);
}

}  // namespace
