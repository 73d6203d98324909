// The published networks, converted and run by the commands a user types: sizes,
// golden logits, memory, and in the long suite every image of the selection.
#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/isa.h"
#include "tests/support/command.h"
#include "tests/support/real_data.h"

namespace {

using namespace qrt::test;  // NOLINT: a test
using nlohmann::json;

struct Network {
  const char *name, *golden, *graph, *checkpoint;  // checkpoint "": spelled in the graph itself
  uint64_t indices, centroids, largest_file;
};

// Index and centroid bytes as published, exactly; the file at most 1.01 x indices, centroids and
// what stays dense in f16. PQF stores
// what ResNet-18 small blocks stores, with batch norms in f32.
const Network kNetworks[] = {
    {"resnet18", "resnet18_small_blocks", "resnet18_small_blocks.codebook.onnx", "", 1439616, 96256,
     1632063},
    {"resnet18_weights", "resnet18_small_blocks", "resnet18_graph.onnx",
     "resnet18_small_blocks.pth", 1439616, 96256, 1632063},
    {"resnet50", "resnet50_large_blocks", "resnet50_large_blocks.codebook.onnx", "", 2784640,
     300032, 3372171},
    {"resnet50_weights", "resnet50_large_blocks", "resnet50_graph.onnx",
     "resnet50_large_blocks.pth", 2784640, 300032, 3372171},
    {"pqf_resnet18", "pqf_resnet18", "resnet18_graph.onnx", "pqf_resnet18.pth", 1439616, 96256,
     1632063},
};

const std::string kGoldenInput = "imagenet/golden_input_nchw_8x3x224x224_f32.npy";

bool have_data() {
  const bool have = !real_data("").empty();
  if (!have) MESSAGE("SKIPPED: QRT_DATA is not set");
  return have;
}

// Converts once per process.
std::string converted(const Network& n) {
  const std::string out = scratch(std::string(n.name) + ".qrt");
  if (exists(out)) return out;
  std::vector<std::string> words = {command("qrt-convert"),
                                    real_data(std::string("killthebits/") + n.graph), "-o", out};
  if (n.checkpoint[0] != 0) {
    words.push_back("--weights");
    words.push_back(real_data(std::string("killthebits/") + n.checkpoint));
  }
  const CommandResult r = run_command(words);
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  return out;
}

// The ISA levels this machine can be held to.
std::vector<std::string> levels() {
  std::vector<std::string> out = {"scalar"};
  const auto have = qrt::kernels::detect_isa();
  for (const char* name :
       {"avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot", "i8mm"}) {
    qrt::kernels::IsaSet need = 0;
    if (qrt::kernels::isa_level(name, &need) && qrt::kernels::includes(have, need))
      out.push_back(name);
  }
  return out;
}

// The first rows of a float .npy file as another file.
std::string first_rows_file(const std::string& path, int64_t rows) {
  const std::string out = scratch("rows" + std::to_string(rows) + ".npy");
  write_npy(out, first_rows(read_npy(path), rows));
  return out;
}

// The relative error of the logits of `rows` golden images.
double golden_error(const Network& n, int64_t rows, const std::vector<std::string>& runner,
                    const std::vector<std::string>& options) {
  const std::string input = first_rows_file(real_data(kGoldenInput), rows),
                    out = scratch("logits.npy");
  std::vector<std::string> words = runner;
  words.insert(words.end(), {"run", converted(n), "--input", input, "--output", out});
  words.insert(words.end(), options.begin(), options.end());
  const CommandResult r = run_command(words);
  CAPTURE(r.err);
  REQUIRE(r.signal == 0);
  REQUIRE(r.code == 0);
  const NpyFloats got = read_npy(out);
  NpyFloats want =
      read_npy(real_data(std::string("killthebits/") + n.golden + ".golden_logits.npy"));
  want.data.resize(static_cast<size_t>(rows) * 1000);
  return relative_error(got.data, want.data);
}

// Rows of the reference predictions for one folder: file, class, one column per network.
std::vector<std::vector<std::string>> reference_top1(const std::string& folder) {
  std::istringstream file(read_text(real_data("imagenet/reference_top1_predictions.csv")));
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(folder + "/", 0) != 0) continue;
    std::istringstream fields(line);
    rows.emplace_back();
    for (std::string f; std::getline(fields, f, ',');) rows.back().push_back(f);
  }
  return rows;
}

// How many of the best classes in `csv` (qrt run --csv) are not those of a column.
int count_differences(const std::vector<std::vector<std::string>>& want, size_t column,
                      const std::string& csv) {
  std::map<std::string, std::string> got;  // by file name
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    const size_t comma = line.find(','), slash = line.rfind('/', comma);
    got[line.substr(slash + 1, comma - slash - 1)] =
        line.substr(comma + 1, line.find(',', comma + 1) - comma - 1);
  }
  int different = 0;
  for (const auto& row : want)
    different += got[row[0].substr(row[0].rfind('/') + 1)] != row[column];
  return different;
}

TEST_CASE("published: index, centroid and file bytes") {
  if (!have_data()) return;
  for (const Network& n : kNetworks) {
    CAPTURE(n.name);
    const CommandResult r = run_command({command("qrt"), "inspect", converted(n), "--json"});
    REQUIRE(r.code == 0);
    const json tree = json::parse(r.out);
    const json& sizes = tree["sizes"];
    CHECK(sizes["codes"] == n.indices);
    CHECK(sizes["centroids"] == n.centroids);
    CHECK(sizes["file"] <= n.largest_file);
    uint64_t sum = 0;
    for (const char* item :
         {"codes", "centroids", "scales", "dense", "constants", "golden", "overhead"})
      sum += sizes[item].get<uint64_t>();
    CHECK(sum == sizes["file"]);
    uint64_t codes = 0;
    for (const json& layer : tree["layers"]) codes += layer["bytes"]["codes"].get<uint64_t>();
    CHECK(codes == n.indices);
    // Nothing that grows with outputs x inputs of a compressed layer: resident weights stay near
    // the file.
    CHECK(tree["memory"]["resident_weight_bytes"].get<double>() <=
          1.25 * sizes["file"].get<double>());
    CHECK(tree["memory"]["copied_bytes"] == 0);
  }
}

TEST_CASE("published: golden logits on every level, one image") {
  if (!have_data()) return;
  for (const Network& n : kNetworks)
    for (const std::string& isa : levels()) {
      CAPTURE(n.name);
      CAPTURE(isa);
      CHECK(golden_error(n, 1, {command("qrt")}, {"--isa", isa}) <= 1e-4);
    }
}

TEST_CASE("published: the same bytes every time, whatever the threads") {
  if (!have_data()) return;
  const Network& n = kNetworks[1];
  const std::string first = read_text(converted(n)), again = scratch("again.qrt");
  REQUIRE(
      run_command({command("qrt-convert"), real_data("killthebits/resnet18_graph.onnx"),
                   "--weights", real_data("killthebits/resnet18_small_blocks.pth"), "-o", again})
          .code == 0);
  CHECK(first == read_text(again));
  const std::string input = first_rows_file(real_data(kGoldenInput), 1);
  std::string logits;
  for (const char* threads : {"1", "2", "3"}) {
    const std::string out = scratch(std::string("threads") + threads + ".npy");
    REQUIRE(run_command({command("qrt"), "run", converted(n), "--input", input, "--output", out,
                         "--threads", threads})
                .code == 0);
    if (logits.empty()) logits = read_text(out);
    CHECK(read_text(out) == logits);
  }
}

TEST_SUITE("long") {
  TEST_CASE("published: golden logits of all eight images on every level and strategy") {
    if (!have_data()) return;
    for (const Network& n : kNetworks) {
      CAPTURE(n.name);
      for (const std::string& isa : levels()) {
        CAPTURE(isa);
        CHECK(golden_error(n, 8, {command("qrt")}, {"--isa", isa, "--batch", "3"}) <= 1e-4);
      }
      for (const char* strategy : {"lookup", "decode", "winograd"}) {
        CAPTURE(strategy);
        CHECK(golden_error(n, 2, {command("qrt")}, {"--strategy", strategy}) <= 1e-4);
      }
      CHECK(golden_error(n, 2, {command("qrt")}, {"--mode", "dense"}) <= 1e-4);
    }
  }

  // QRT_TARGET holds a command that runs a foreign build's qrt, such as
  // "qemu-aarch64 -L SYSROOT build/linux-aarch64/bin/qrt".
  TEST_CASE("published: golden logits on an emulated target, one image") {
    const char* target = std::getenv("QRT_TARGET");
    if (target == nullptr) MESSAGE("SKIPPED: QRT_TARGET is not set");
    if (target == nullptr || !have_data()) return;
    std::istringstream words(target);
    std::vector<std::string> runner;
    for (std::string w; words >> w;) runner.push_back(w);
    for (const Network& n : kNetworks) {
      CAPTURE(n.name);
      CHECK(golden_error(n, 1, runner, {}) <= 1e-4);
    }
  }

  TEST_CASE("published: top-1 of all reference pictures differs on at most two") {
    if (!have_data()) return;
    // 650 centre crops of 227 x 227 pictures, and 150 of any size that are resized first.
    for (const auto& [folder, preprocess] :
         {std::pair("val227", "imagenet-crop"), {"samples", "imagenet"}}) {
      CAPTURE(std::string(folder));
      const auto want = reference_top1(folder);
      REQUIRE(want.size() == (std::string(folder) == "val227" ? 650 : 150));
      for (const auto& [column, n] : {std::pair(2, 0), {3, 2}, {4, 4}}) {
        const CommandResult r =
            run_command({command("qrt"), "run", converted(kNetworks[n]), "--image",
                         real_data(std::string("imagenet/") + folder), "--preprocess", preprocess,
                         "--csv", "--top", "1", "--batch", "4"});
        CAPTURE(r.err);
        REQUIRE(r.code == 0);
        const int different = count_differences(want, static_cast<size_t>(column), r.out);
        MESSAGE(std::string(kNetworks[n].name), ", ", std::string(folder), ": ", different, " of ",
                want.size(), " differ");
        CHECK(different <= 2);
      }
    }
  }
}

}  // namespace
