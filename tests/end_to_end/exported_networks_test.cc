// Networks as PyTorch's exporter writes them (tests/support/export_networks.py),
// converted and run by the commands a user types, against PyTorch's outputs.
#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/python.h"
#include "tests/support/real_data.h"

namespace {

using namespace qrt::test;  // NOLINT: a test

constexpr double kTolerance = 1e-4;

// "/folder/unet_17.onnx" -> "/folder/unet"
std::string stem_of(const std::string& model) {
  return model.substr(0, model.rfind('_'));
}

// Converts and runs one model on the network's input; compares every output.
void check_model(const std::string& model, const std::vector<std::string>& outputs) {
  CAPTURE(model);
  const std::string file = scratch("exported.qrt");
  const CommandResult converted = run_command({command("qrt-convert"), model, "-o", file});
  CHECK_MESSAGE(converted.code == 0, converted.err);
  if (converted.code != 0) return;
  std::vector<std::string> words = {command("qrt"), "run", file, "--input",
                                    stem_of(model) + ".in.npy"};
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string name = outputs.size() == 1 ? "" : outputs[i] + "=";
    words.insert(words.end(), {"--output", name + scratch("out" + std::to_string(i) + ".npy")});
  }
  const CommandResult ran = run_command(words);
  CHECK_MESSAGE(ran.code == 0, ran.err);
  if (ran.code != 0) return;
  for (size_t i = 0; i < outputs.size(); ++i) {
    CAPTURE(outputs[i]);
    const NpyFloats got = read_npy(scratch("out" + std::to_string(i) + ".npy"));
    const NpyFloats want = read_npy(stem_of(model) + ".out" + std::to_string(i) + ".npy");
    CHECK(got.shape == want.shape);
    CHECK(relative_error(got.data, want.data) <= kTolerance);
  }
}

TEST_CASE("exported networks: PyTorch's outputs within 1e-4, opsets 11 and 17") {
  const std::string python = python_with("numpy, onnx, torch");
  if (python.empty()) {
    MESSAGE("SKIPPED: no Python with torch and onnx; toolchains/bootstrap.sh train installs them");
    return;
  }
  const std::string folder = scratch("exported");
  REQUIRE(run_command({"mkdir", "-p", folder}).code == 0);
  const CommandResult exported = run_script(python, "tests/support/export_networks.py", {folder});
  REQUIRE_MESSAGE(exported.code == 0, exported.err);
  std::istringstream lines(exported.out);
  int models = 0;
  for (std::string line; std::getline(lines, line); ++models) {
    std::istringstream words(line);
    std::string model;
    words >> model;
    std::vector<std::string> outputs;
    for (std::string name; words >> name;) outputs.push_back(name);
    check_model(model, outputs);
  }
  CHECK(models == 22);
}

}  // namespace
