// Labelled float networks converted after training by methods of few bits, judged by the command
// itself on the rows that did not calibrate: 8 bits lose next to nothing.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/python.h"
#include "tests/support/real_data.h"

namespace {

using namespace qrt::test;  // NOLINT: a test

constexpr int64_t kLost = 2;  // test samples that 8 bits may cost

// Right answers of the line that starts with `what`; -1 where there is none.
int64_t right(const std::string& out, const std::string& what) {
  const size_t at = out.find("\n" + what + ": ");
  const size_t open = at == std::string::npos ? at : out.find('(', at);
  return open == std::string::npos ? -1 : std::atoll(out.c_str() + open + 1);
}

void check_network(const std::string& name, int64_t float_right, int64_t rows,
                   const std::vector<std::string>& methods = {"uniform", "esb"}) {
  if (real_data("").empty()) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  const std::string python = python_with("numpy, onnx");
  if (python.empty()) {
    MESSAGE("SKIPPED: no Python with numpy and onnx; toolchains/bootstrap.sh models installs them");
    return;
  }
  CAPTURE(name);
  const std::string folder = scratch("few_bits");
  REQUIRE(run_command({"mkdir", "-p", folder}).code == 0);
  const CommandResult built =
      run_script(python, "tests/support/build_float_models.py", {real_data(""), folder, name});
  REQUIRE_MESSAGE(built.code == 0, built.err);
  std::vector<std::string> words = {command("qrt-convert"), folder + "/" + name + ".onnx", "-o",
                                    scratch("few_bits.qrt"), "--curve"};
  for (const std::string& method : methods) words.push_back(method + "=8");
  std::ifstream arguments(folder + "/" + name + ".args");
  for (std::string word; std::getline(arguments, word);) words.push_back(word);
  const CommandResult r = run_command(words);
  REQUIRE_MESSAGE(r.code == 0, r.err);
  const size_t from = r.out.find("float model: ");
  REQUIRE(from != std::string::npos);
  MESSAGE(name << "\n" << r.out.substr(from));
  const int64_t best = right(r.out, "float model");
  CHECK(best == float_right);
  CHECK(r.out.find(" of " + std::to_string(rows) + ")", from) != std::string::npos);
  for (const std::string& method : methods) {
    CAPTURE(method);
    REQUIRE(right(r.out, method + ", 8 bits") >= 0);
    CHECK(right(r.out, method + ", 8 bits") >= best - kLost);
  }
  run_command({"rm", "-rf", folder});
}

TEST_SUITE_BEGIN("long");

TEST_CASE("few bits: 8 of them on mnist-8") {
  check_network("mnist", 3928, 4000);
}
TEST_CASE("few bits: 8 of them on the DS-CNN for keywords") {
  check_network("keywords", 336, 400);
}
TEST_CASE("few bits: 8 of them on ResNet-8") {
  check_network("resnet8", 713, 800);
}
TEST_CASE("few bits: 8 of them on ResNet-20") {
  check_network("resnet20", 734, 800);
}
TEST_CASE("few bits: 8 of them on SqueezeNet") {
  check_network("squeezenet", 366, 500);
}
TEST_CASE("few bits: 8 of them on MobileNet-V1") {
  check_network("mobilenet", 328, 500);
}
// Decoded codebooks: the file itself finds them again, the method codes all layers anew.
TEST_CASE("few bits: 8 of them on ResNet-18") {
  check_network("resnet18", 368, 500, {"uniform"});
}

TEST_SUITE_END();

}  // namespace
