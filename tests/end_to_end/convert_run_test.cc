// A tiny network of our own: ONNX in, every method, every ISA level of this
// machine, every strategy and several thread counts, against the interpreter.
#include <doctest/doctest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/eval/evaluate.h"
#include "converter/tools/verify_layers.h"
#include "kernels/isa.h"
#include "runtime/tools/io/npy.h"
#include "tests/support/command.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/real_data.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

std::vector<float> noise(size_t n, uint32_t seed, float scale) {
  std::vector<float> out(n);
  uint32_t state = seed * 2654435761u + 1;
  for (float& v : out) {
    state = state * 1664525u + 1013904223u;
    v = scale * (static_cast<float>(state >> 8) / (1 << 23) - 1);
  }
  return out;
}

// A residual network in small: two 3x3 convolutions, one of stride 2 with a 1x1 shortcut, batch
// norm, pooling, a flatten and a linear layer. Sizes are no multiples of any vector width.
std::string tiny_model() {
  const std::string path = scratch("tiny.onnx");
  if (exists(path)) return path;
  OnnxBuilder b;
  b.input("x", {-1, 3, 13, 11});
  const auto conv = [&](const std::string& name, const std::string& in, int64_t from, int64_t to,
                        int64_t k, int64_t stride) {
    const auto taps = static_cast<size_t>(to * from * k * k);
    b.floats(name + ".w", {to, from, k, k}, noise(taps, static_cast<uint32_t>(taps), 0.3f));
    auto& n = b.node("Conv", {in, name + ".w"}, name);
    set(n, "kernel_shape", std::vector<int64_t>{k, k});
    set(n, "strides", std::vector<int64_t>{stride, stride});
    set(n, "pads", std::vector<int64_t>{k / 2, k / 2, k / 2, k / 2});
  };
  conv("stem", "x", 3, 18, 3, 1);
  b.floats("bn.g", {18}, noise(18, 1, 1));
  b.floats("bn.b", {18}, noise(18, 2, 1));
  b.floats("bn.m", {18}, noise(18, 3, 0.1f));
  b.floats("bn.v", {18}, std::vector<float>(18, 0.7f));
  b.node("BatchNormalization", {"stem", "bn.g", "bn.b", "bn.m", "bn.v"}, "bn");
  b.node("Relu", {"bn"}, "r0");
  conv("c1", "r0", 18, 18, 3, 1);
  b.node("Add", {"c1", "r0"}, "a1");
  b.node("Relu", {"a1"}, "r1");
  conv("c2", "r1", 18, 37, 3, 2);
  conv("s2", "r1", 18, 37, 1, 2);
  b.node("Add", {"c2", "s2"}, "a2");
  b.node("Relu", {"a2"}, "r2");
  b.node("GlobalAveragePool", {"r2"}, "gap");
  b.node("Flatten", {"gap"}, "flat");
  b.floats("fc.w", {7, 37}, noise(7 * 37, 9, 0.4f));
  b.floats("fc.b", {7}, noise(7, 10, 0.4f));
  auto& gemm = b.node("Gemm", {"flat", "fc.w", "fc.b"}, "y");
  set(gemm, "transB", 1);
  b.output("y");
  std::ofstream(path, std::ios::binary) << b.model.SerializeAsString();
  return path;
}

constexpr int64_t kRows = 5;

// Five rows of input, and the same as a file.
std::vector<eval::Tensor> rows() {
  eval::Tensor t;
  t.shape = {kRows, 3, 13, 11};
  t.data = noise(kRows * 3 * 13 * 11, 77, 2);
  return {t};
}

std::string input_file() {
  const std::string path = scratch("tiny_input.npy");
  if (exists(path)) return path;
  io::NpyWriter file(path, io::NpyType::f32, {kRows, 3, 13, 11});
  const auto x = rows();
  file.write(x[0].data.data(), x[0].data.size());
  file.commit();
  return path;
}

struct Setting {
  const char* name;
  std::vector<std::string> options;
};

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = {
      {"dense", {}},
      {"pq", {"--method", "pq", "--calibrate", input_file()}},
      {"pq_blind", {"--method", "pq", "--pq", "block_3x3=18,centroids_conv=16"}},
      {"pq_f32", {"--method", "pq", "--pq", "entries=f32,skip=none", "--pq", "block_fc=5"}},
  };
  return all;
}

std::string converted(const Setting& s) {
  const std::string out = scratch(std::string("tiny_") + s.name + ".qrt");
  std::vector<std::string> words = {command("qrt-convert"), tiny_model(), "-o", out};
  words.insert(words.end(), s.options.begin(), s.options.end());
  const CommandResult r = run_command(words);
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  return out;
}

// What the network means with the weights that the file holds.
std::vector<float> expected(const std::string& file) {
  const cli::Source source = cli::load_source(tiny_model(), "", {}, false);
  verify::Comparison comparison(source.graph, verify::read_layers(file));
  return comparison.add_row(rows()).compressed.at(0).data;
}

TEST_CASE("tiny model: qrt run equals the interpreter for every method, level and thread count") {
  std::vector<std::vector<std::string>> variants = {{},
                                                    {"--threads", "2"},
                                                    {"--threads", "3"},
                                                    {"--batch", "2"},
                                                    {"--batch", "8"},
                                                    {"--mode", "dense"}};
  for (const char* strategy : {"lookup", "decode", "winograd"})
    variants.push_back({"--strategy", strategy});
  const auto have = kernels::detect_isa();
  for (const char* level :
       {"scalar", "avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot", "i8mm"}) {
    kernels::IsaSet need = 0;
    if (kernels::isa_level(level, &need) && kernels::includes(have, need))
      variants.push_back({"--isa", level});
  }
  for (const Setting& s : settings()) {
    CAPTURE(std::string(s.name));
    const std::string file = converted(s), out = scratch("tiny_out.npy");
    const std::vector<float> want = expected(file);
    REQUIRE(want.size() == kRows * 7);
    for (const auto& variant : variants) {
      std::vector<std::string> words = {command("qrt"), "run",      file, "--input",
                                        input_file(),   "--output", out};
      words.insert(words.end(), variant.begin(), variant.end());
      CAPTURE(variant.empty() ? std::string("plain") : variant[0] + " " + variant[1]);
      const CommandResult r = run_command(words);
      CAPTURE(r.err);
      REQUIRE(r.code == 0);
      const NpyFloats got = read_npy(out);
      CHECK(got.shape == std::vector<int64_t>{kRows, 7});
      CHECK(test::relative_error(got.data, want) <= 1e-5);
    }
  }
}

TEST_CASE("tiny model: printed classes, names of ports, memory figures") {
  const std::string file = converted(settings()[1]);
  const CommandResult r = run_command(
      {command("qrt"), "run", file, "--input", "x=" + input_file(), "--top", "2", "--stats"});
  REQUIRE(r.code == 0);
  CHECK(r.out.find("row 4: ") != std::string::npos);
  CHECK(r.err.find("resident weight bytes: ") != std::string::npos);
  CHECK(r.err.find("peak RSS bytes: ") != std::string::npos);
  const CommandResult csv =
      run_command({command("qrt"), "run", file, "--input", input_file(), "--top", "2", "--csv"});
  CHECK(csv.out.rfind("file,class1,score1,label1,class2,score2,label2\n", 0) == 0);
}

TEST_CASE("tiny model: bench gives rows and a profile in all three formats") {
  const std::string file = converted(settings()[1]);
  const CommandResult r = run_command({command("qrt"), "bench", file, "--threads", "1,2",
                                       "--repeats", "3", "--warmup", "1", "--profile", "--json"});
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  const auto tree = nlohmann::json::parse(r.out);
  REQUIRE(tree["rows"].size() >= 4);
  for (const auto& row : tree["rows"]) {
    for (const char* key : {"version", "cpu", "isa", "model_hash", "threads", "mean_ms",
                            "median_ms", "p95_ms", "min_ms", "std_ms", "ratio_to_libqrt"})
      CHECK(row.contains(key));
    CHECK(row["median_ms"] > 0);
    CHECK(row["difference"] < 1e-4);
  }
  CHECK(tree["profile"].size() > 0);
  for (const auto& op : tree["profile"]) CHECK(op["kernel"] != "");
  for (const char* format : {"md", "csv"}) {
    const std::string out = scratch("bench.txt");
    REQUIRE(run_command(
                {command("qrt"), "bench", file, "--repeats", "2", "--format", format, "-o", out})
                .code == 0);
    CHECK(read_text(out).find("libqrt") != std::string::npos);
  }
}

TEST_CASE("tiny model: verify says yes to an exact file, no to a compressed one") {
  const auto verify = [](const std::string& file, const char* tolerance) {
    return run_command({command("qrt-verify"), tiny_model(), file, "--input", input_file(),
                        "--tolerance", tolerance, "--json"});
  };
  const CommandResult exact = verify(converted(settings()[0]), "1e-4");
  CAPTURE(exact.err);
  CHECK(exact.code == 0);
  const CommandResult lossy = verify(converted(settings()[2]), "1e-4");
  CHECK(lossy.code == 1);
  const auto tree = nlohmann::json::parse(lossy.out);
  CHECK(tree["within"] == false);
  CHECK(tree["engine"]["relative"] < 1e-5);
  double last = 1e30;
  REQUIRE(tree["layers"].size() == 5);
  for (const auto& layer : tree["layers"]) {  // worst first
    CHECK(layer["outputs"]["rms"] <= last);
    last = layer["outputs"]["rms"];
    if (layer["encoding"].get<std::string>().rfind("dense", 0) == 0) {
      CHECK(layer["isolated"]["relative"] == 0);
      CHECK(layer["outputs"]["rms"] == 0);
    }
  }
  CHECK(verify(converted(settings()[2]), "1e6").code == 0);
}

TEST_CASE("tiny model: a golden input travels with the file, dry runs write nothing") {
  const std::string out = scratch("golden.qrt"), dry = scratch("dry.qrt");
  REQUIRE(run_command({command("qrt-convert"), tiny_model(), "--golden", input_file(), "-o", out})
              .code == 0);
  const CommandResult r = run_command({command("qrt"), "inspect", out, "--json"});
  REQUIRE(r.code == 0);
  CHECK(nlohmann::json::parse(r.out)["sizes"]["golden"] == 4 * (3 * 13 * 11 + 7));
  const CommandResult golden = run_command({command("qrt"), "run", out, "--self-check"});
  CHECK(golden.code == 0);
  CHECK(golden.out.find("golden outputs reproduced") != std::string::npos);
  CHECK(run_command({command("qrt"), "run", converted(settings()[0]), "--self-check"}).code == 2);
  CHECK(run_command({command("qrt-convert"), tiny_model(), "-o", dry, "--dry-run"}).code == 0);
  CHECK_FALSE(exists(dry));
}

}  // namespace
