// The published networks with bytes as activations: at most three of the 500 held-out
// pictures are lost against f32, through the finished files and the runtime.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/eval/algebra.h"
#include "runtime/tools/io/preprocess.h"
#include "tests/support/real_data.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

constexpr int64_t kCalibrating = 150, kTested = 500;

std::string network(const char* name) {
  return real_data(std::string("killthebits/") + name + ".codebook.onnx");
}

// The class of each picture of the selection, in the order of their names.
std::vector<int64_t> classes() {
  std::ifstream in(real_data("imagenet/val227_labels.csv"));
  std::map<std::string, int64_t> by_name;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const size_t comma = line.find(',');
    by_name[line.substr(0, comma)] = std::stoll(line.substr(comma + 1));
  }
  std::vector<int64_t> out;
  for (const auto& [name, index] : by_name) out.push_back(index);
  return out;
}

std::vector<uint8_t> converted(const char* name, bool int8) {
  cli::ConvertOptions o;
  o.model = network(name);
  o.preprocess = "imagenet-crop";
  o.int8 = int8;
  o.quiet = true;
  if (int8) o.calibrate = {real_data("imagenet/val227")};
  o.calibrate_rows = kCalibrating;
  return cli::convert(o).file;
}

int64_t correct(const std::vector<uint8_t>& file, const ir::Graph& g,
                const std::vector<eval::Tensor>& pictures, const std::vector<int64_t>& truth) {
  int64_t right = 0;
  for (int64_t i = kCalibrating; i < kCalibrating + kTested; ++i) {
    const auto scores = cli::run_file(file, "published", cli::some_rows(g, pictures, i, 1));
    const std::vector<float>& y = scores.at(0).data;
    right += std::max_element(y.begin(), y.end()) - y.begin() == truth[static_cast<size_t>(i)];
  }
  return right;
}

TEST_SUITE_BEGIN("long");

TEST_CASE("int8: the published networks lose at most three of 500 pictures") {
  if (real_data("").empty()) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  eval::use_one_blas_thread();
  const std::vector<int64_t> truth = classes();
  REQUIRE(truth.size() >= kCalibrating + kTested);
  for (const char* name : {"resnet18_small_blocks", "resnet50_large_blocks"}) {
    CAPTURE(name);
    const ir::Graph g = cli::load_source(network(name), "", {}, false).graph;
    const auto pictures =
        cli::load_inputs(g, "--calibrate", {real_data("imagenet/val227")},
                         io::parse_preprocessing("imagenet-crop"), kCalibrating + kTested, nullptr);
    const std::vector<uint8_t> f32 = converted(name, false), int8 = converted(name, true);
    const int64_t floats = correct(f32, g, pictures, truth),
                  bytes = correct(int8, g, pictures, truth);
    MESSAGE(std::string(name) << ": " << floats << " of 500 in f32, " << bytes << " in int8");
    CHECK(bytes >= floats - 3);
    CHECK(int8.size() < f32.size() * 101 / 100);
  }
}

TEST_SUITE_END();

}  // namespace
