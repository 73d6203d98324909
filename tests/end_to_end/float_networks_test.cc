// Real float networks, converted and run by the commands a user types, against
// outputs that other programs computed from the same files: within 1e-4.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/python.h"
#include "tests/support/real_data.h"

namespace {

using namespace qrt::test;  // NOLINT: a test

constexpr double kTolerance = 1e-4;

bool have_data() {
  const bool have = !real_data("").empty();
  if (!have) MESSAGE("SKIPPED: QRT_DATA is not set");
  return have;
}

// Converts `model` and runs it on `input`, with our kernels capped at `isa` ("": not at all); the
// relative error of all rows against the golden file.
double error_of(const std::string& model, const NpyFloats& input, const std::string& golden,
                const std::string& isa) {
  const std::string file = scratch("float.qrt"), in = scratch("in.npy"), out = scratch("out.npy");
  const CommandResult converted = run_command({command("qrt-convert"), model, "-o", file});
  CAPTURE(converted.err);
  REQUIRE(converted.code == 0);
  write_npy(in, input);
  std::vector<std::string> words = {command("qrt"), "run", file, "--input", in, "--output", out};
  if (!isa.empty()) words.insert(words.end(), {"--isa", isa});
  const CommandResult r = run_command(words);
  CAPTURE(r.err);
  REQUIRE(r.signal == 0);
  REQUIRE(r.code == 0);
  const NpyFloats want = first_rows(read_npy(real_data(golden)), input.shape[0]);
  return relative_error(read_npy(out).data, want.data);
}

void check_network(const std::string& model, const NpyFloats& input, const std::string& golden) {
  for (const std::string isa : {"", "scalar"}) {
    CAPTURE(model);
    CAPTURE(isa);
    CHECK(error_of(model, input, golden, isa) <= kTolerance);
  }
}

TEST_CASE("float networks: SqueezeNet") {
  if (!have_data()) return;
  check_network(real_data("deepcompression/squeezenet_dc_decoded_f32.onnx"),
                read_npy(real_data("deepcompression/golden_input_bgr_4x3x227x227_f32.npy")),
                "deepcompression/squeezenet_dc.golden_logits.npy");
}

TEST_CASE("float networks: visual wake words") {
  if (!have_data()) return;
  check_network(real_data("onnx/mlperf_open_vww_f32.onnx"),
                read_npy(real_data("onnx/mlperf_open_vww_f32.golden_input.npy")),
                "onnx/mlperf_open_vww_f32.golden_output.npy");
}

TEST_CASE("float networks: keyword spotting, 100 recordings") {
  if (!have_data()) return;
  NpyFloats words = first_rows(read_npy(real_data("kws/kws01_ref_mfcc_int8_500x49x10.npy")), 100);
  for (float& q : words.data) q = static_cast<float>((q - 83) * 0.5847029089927673);
  words.shape.push_back(1);
  check_network(real_data("onnx/mlperf_open_kws_f32.onnx"), words,
                "onnx/mlperf_open_kws_f32.golden_output_first100.npy");
}

TEST_CASE("float networks: mnist-8, 100 digits") {
  if (!have_data()) return;
  const std::string gz = real_data("mnist/t10k_first5000-images-idx3-ubyte.gz");
  const CommandResult unpacked = run_command({"gzip", "-dc", gz});
  constexpr size_t kHead = 16, kBytes = 100 * 784;
  REQUIRE(unpacked.out.size() >= kHead + kBytes);
  NpyFloats digits{{100, 1, 28, 28}, {}};
  for (size_t i = 0; i < kBytes; ++i)
    digits.data.push_back(static_cast<uint8_t>(unpacked.out[kHead + i]));
  check_network(real_data("onnx/mnist-8.onnx"), digits, "onnx/mnist-8.golden_logits_first100.npy");
}

TEST_CASE("float networks: ResNet-20 from its checkpoint, 100 pictures") {
  if (!have_data()) return;
  const std::string python = python_with("numpy, onnx");
  if (python.empty()) {
    MESSAGE("SKIPPED: no Python with numpy and onnx; toolchains/bootstrap.sh models installs them");
    return;
  }
  const std::string pictures = scratch("cifar.npy");
  const std::string folder = "examples/resnet20/", model = scratch("resnet20.onnx");
  const CommandResult images =
      run_script(python, folder + "images.py",
                 {real_data("cifar10/cifar10_dev1000.bin"), pictures, "--count", "100"});
  REQUIRE_MESSAGE(images.code == 0, images.err);
  for (const char* shortcut : {"slice", "pool"}) {
    const CommandResult built =
        run_script(python, folder + "build.py",
                   {real_data("lowbit/cifar_resnet20_f32.th"), model, "--shortcut", shortcut});
    REQUIRE_MESSAGE(built.code == 0, built.err);
    check_network(model, read_npy(pictures),
                  "lowbit/cifar_resnet20_f32.golden_logits_first100.npy");
  }
}

}  // namespace
