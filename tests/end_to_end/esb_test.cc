// `--activations esb` by the command line, from an ONNX file to numbers: on every level and number
// of threads `qrt run` gives what plain loops over the file's codes, integers and thresholds give,
// as schema/README.md defines them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "converter/quant/esb_values.h"
#include "kernels/isa.h"
#include "runtime/tools/io/npy.h"
#include "schema/layout.h"
#include "tests/support/command.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/opened_file.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

constexpr int64_t kRows = 40, kInputs = 24, kClasses = 10;

float noise(uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(state >> 8) / (1 << 23) - 1;
}

// Three linear layers with ReLUs between them; only the last has a bias. Sums of the first are
// exact in floats: its inputs are eighths, its weights small integers times a scale of 11 bits.
std::string model_file() {
  OnnxBuilder b;
  uint32_t state = 7;
  b.input("x", {-1, kInputs});
  std::string from = "x";
  int64_t inputs = kInputs;
  for (const int64_t outputs : {int64_t{48}, int64_t{33}, kClasses}) {
    const std::string name = "fc" + std::to_string(outputs);
    std::vector<float> w(static_cast<size_t>(outputs * inputs));
    for (float& v : w) v = noise(state) * noise(state);
    b.floats(name + ".w", {outputs, inputs}, w);
    std::vector<std::string> in = {from, name + ".w"};
    if (outputs == kClasses) {
      std::vector<float> bias(static_cast<size_t>(outputs));
      for (float& v : bias) v = noise(state);
      b.floats(name + ".b", {outputs}, bias);
      in.push_back(name + ".b");
    }
    set(b.node("Gemm", in, name), "transB", 1);
    from = name, inputs = outputs;
    if (outputs == kClasses) continue;
    b.node("Relu", {name}, name + ".relu");
    from = name + ".relu";
  }
  b.output(from);
  return b.save("esb.onnx");
}

std::vector<float> samples() {
  std::vector<float> x;
  uint32_t state = 99;
  for (int64_t i = 0; i < kRows * kInputs; ++i) x.push_back(std::nearbyint(12 * noise(state)) / 8);
  return x;
}

void write(const std::string& path, const std::vector<float>& x) {
  io::NpyWriter file(path, io::NpyType::f32, {kRows, kInputs});
  file.write(x.data(), x.size());
  file.commit();
}

std::vector<uint8_t> bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The integer of an input's code, of a table of integers.
int64_t integer_at(const Weights& w, size_t n, size_t k) {
  const uint64_t row = layout::kbit_row_bytes(w.inputs, w.table.bits);
  const uint32_t code =
      layout::read_code(w.table.codes.data() + n * row, static_cast<uint32_t>(k), w.table.bits);
  int16_t integer;
  std::memcpy(&integer, w.table.integers.data() + 2 * code, 2);
  return integer;
}

// Float sums with a scale per group of inputs where there are groups, else the whole sum's one.
template <class X>
float sum_of(const Weights& w, size_t n, X&& x) {
  const Scales& s = w.table.scales;
  const size_t inputs = w.inputs, group = s.axis == ScaleAxis::group ? s.group : inputs;
  float t = 0;
  for (size_t first = 0, g = 0; first < inputs; first += group, ++g) {
    int64_t sum = 0;
    for (size_t k = first; k < std::min(first + group, inputs); ++k)
      sum += x(k) * integer_at(w, n, k);
    if (s.axis != ScaleAxis::group) return static_cast<float>(sum);
    const size_t groups = (inputs + group - 1) / group;
    t += static_cast<float>(sum) * read_constant(s.values, static_cast<uint32_t>(n * groups + g));
  }
  return t;
}

float weight_scale(const Weights& w, size_t n) {
  const Scales& s = w.table.scales;
  if (s.axis == ScaleAxis::group) return 1;
  return read_constant(s.values, s.axis == ScaleAxis::layer ? 0 : static_cast<uint32_t>(n));
}

float clamped(float t, const Clamp& c) {
  return c.activation == Activation::none ? t : std::clamp(t, c.min, c.max);
}

struct Reference {
  std::vector<float> out;
  std::set<int> bytes;  // that went into layers of integers
  int exact = 0;        // layers of integers
};

// One row through the file's operators, one after the other.
void run_row(const Model& m, const float* row, Reference* r) {
  std::vector<float> x(row, row + kInputs);
  std::vector<uint8_t> q;
  for (const Node& node : m.nodes) {
    CAPTURE(node.name);
    const TensorInfo& in = m.tensors[node.inputs[0]];
    const TensorInfo& to = m.tensors[node.outputs[0]];
    if (node.kind == OpKind::steps) {
      const StepsAttr& a = *node.steps;
      REQUIRE(a.thresholds.count == a.count);
      for (float& v : x) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < a.count; ++i) count += v >= read_constant(a.thresholds, i);
        v = a.bias + a.scale * static_cast<float>(count);
      }
      continue;
    }
    if (node.kind == OpKind::quantize) {
      q.clear();
      for (const float v : x)
        q.push_back(
            static_cast<uint8_t>(std::clamp(std::nearbyint(v * (1 / to.quantization.scale)) +
                                                static_cast<float>(to.quantization.zero),
                                            0.0f, 255.0f)));
      continue;
    }
    REQUIRE(node.kind == OpKind::linear);
    const Weights& w = *node.linear->weights;
    const Epilogue& e = node.linear->epilogue;
    REQUIRE(w.encoding == Encoding::table);
    std::vector<float> y;
    std::vector<uint8_t> bytes;
    for (size_t n = 0; n < w.outputs; ++n) {
      const auto at = static_cast<uint32_t>(n);
      if (w.numerics == Numerics::f32) {
        REQUIRE(!e.scale.present());
        REQUIRE(!e.bias.present());
        // Eighths: whole numbers, so that every sum is exact.
        const float t = sum_of(w, n, [&](size_t k) { return static_cast<int64_t>(8 * x[k]); }) / 8;
        y.push_back(clamped(t * weight_scale(w, n), e.clamp));
        continue;
      }
      REQUIRE(w.numerics == Numerics::exact);
      const float sum =
          sum_of(w, n, [&](size_t k) { return int64_t{q[k]} - in.quantization.zero; });
      if (e.threshold_count != 0) {
        uint32_t count = 0;
        for (size_t i = 0; i < e.threshold_count; ++i)
          count += static_cast<int64_t>(sum) >= e.threshold(n, i);
        bytes.push_back(static_cast<uint8_t>(e.threshold_first + e.threshold_step * count));
        continue;
      }
      float a = in.quantization.scale * weight_scale(w, n);
      if (e.scale.present()) a *= read_constant(e.scale, e.scale.count == 1 ? 0 : at);
      float t = sum * a;
      if (e.bias.present()) t += read_constant(e.bias, at);
      t = clamped(t, e.clamp);
      if (to.dtype == DType::f32) {
        y.push_back(t);
        continue;
      }
      FAIL("a layer gives bytes without thresholds");
    }
    if (w.numerics == Numerics::exact) {
      ++r->exact;
      r->bytes.insert(q.begin(), q.end());
    }
    x = y, q = bytes;
  }
  r->out.insert(r->out.end(), x.begin(), x.end());
}

void check(const std::string& weights, const std::string& activations,
           const quant::EsbFormat& format) {
  CAPTURE(weights);
  CAPTURE(activations);
  const std::string npy = scratch("esb_x.npy"), out = scratch("esb.qrt"), y = scratch("esb_y.npy");
  const std::vector<float> x = samples();
  write(npy, x);
  const CommandResult made = run_command(
      {command("qrt-convert"), model_file(), "-o", out, "--method", "esb", "--esb",
       weights + ",first_last=same,bias=no", "--activations", activations, "--calibrate", npy});
  CAPTURE(made.err);
  REQUIRE(made.code == 0);
  const testing::OpenedFile file(bytes_of(out));
  REQUIRE(file.status.ok());
  Reference want;
  for (int64_t r = 0; r < kRows; ++r) run_row(file.model, x.data() + r * kInputs, &want);
  REQUIRE(want.out.size() == static_cast<size_t>(kRows * kClasses));
  CHECK(want.exact == 2 * kRows);  // the model's input is not rounded
  // Behind a ReLU nothing is negative: the sign's bit is one more of the fraction.
  std::set<int> allowed;
  for (const double v : quant::esb_numbers({format.bits + 1, format.fraction + 1, false}))
    if (v >= 0) allowed.insert(static_cast<int>(v));
  CHECK(want.bytes.size() > 3);
  for (const int byte : want.bytes) CHECK(allowed.count(byte) == 1);
  const auto have = kernels::detect_isa();
  for (const char* level :
       {"scalar", "avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot"}) {
    kernels::IsaSet need = 0;
    if (!kernels::isa_level(level, &need) || !kernels::includes(have, need)) continue;
    for (const char* threads : {"1", "3"}) {
      CAPTURE(level);
      CAPTURE(threads);
      const CommandResult ran = run_command(
          {command("qrt"), "run", out, "-i", npy, "-o", y, "--isa", level, "--threads", threads});
      CAPTURE(ran.err);
      REQUIRE(ran.code == 0);
      io::NpyReader result(y);
      std::vector<float> got(want.out.size());
      result.read_f32(0, got.size(), got.data());
      CHECK(got == want.out);
    }
  }
}

TEST_CASE("esb: weights and activations of few values, from the command line to the bit") {
  check("bits=4,fraction=1", "esb", {4, 1});
  check("bits=5,fraction=2", "esb:3,0", {3, 0});
  check("bits=6,fraction=2,range=16", "esb:5,2", {5, 2});
}

// One row through linear layers of f32 whose inputs have a scale per group, in double precision.
std::vector<double> run_groups(const Model& m, const float* row) {
  std::vector<double> x(row, row + kInputs);
  for (const Node& node : m.nodes) {
    REQUIRE(node.kind == OpKind::linear);
    const Weights& w = *node.linear->weights;
    const Epilogue& e = node.linear->epilogue;
    REQUIRE(!e.scale.present());
    std::vector<double> y(w.outputs);
    const Scales& s = w.table.scales;
    const size_t groups = (w.inputs + s.group - 1) / s.group;
    for (size_t n = 0; n < w.outputs; ++n) {
      for (size_t k = 0; k < w.inputs; ++k) {
        const auto byte = static_cast<const uint8_t*>(s.values.data)[n * groups + k / s.group];
        y[n] += x[k] * std::ldexp(static_cast<double>(integer_at(w, n, k)), byte - 127);
      }
      if (e.bias.present()) y[n] += read_constant(e.bias, static_cast<uint32_t>(n));
      if (e.clamp.activation != Activation::none) y[n] = std::max(y[n], 0.0);
    }
    x = y;
  }
  return x;
}

TEST_CASE("esb: MXFP4 weights of a plain float model, a byte per scale") {
  const std::string npy = scratch("esb_x.npy"), out = scratch("esb_mx.qrt"),
                    y = scratch("esb_y.npy");
  write(npy, samples());
  const CommandResult made =
      run_command({command("qrt-convert"), model_file(), "-o", out, "--method", "esb", "--esb",
                   "bits=4,fraction=1,scales=e8m0,first_last=same,bias=no", "--calibrate", npy});
  CAPTURE(made.err);
  REQUIRE(made.code == 0);
  const testing::OpenedFile file(bytes_of(out));
  REQUIRE(file.status.ok());
  int found = 0;
  for (const Weights& w : file.model.weights) {
    REQUIRE(w.encoding == Encoding::table);
    CHECK(w.table.bits == 4);
    CHECK(w.table.scales.axis == ScaleAxis::group);
    CHECK(w.table.scales.group == std::min(32u, w.inputs));
    CHECK(w.table.scales.values.dtype == DType::u8);
    CHECK(w.table.scales.values.count == w.outputs * ((w.inputs + 31) / 32));
    ++found;
  }
  CHECK(found == 3);
  const std::vector<float> x = samples();
  const auto have = kernels::detect_isa();
  for (const char* level : {"scalar", "avx2", "avx512", "avx512vbmi", "neon"}) {
    kernels::IsaSet need = 0;
    if (!kernels::isa_level(level, &need) || !kernels::includes(have, need)) continue;
    CAPTURE(level);
    REQUIRE(run_command({command("qrt"), "run", out, "-i", npy, "-o", y, "--isa", level}).code ==
            0);
    std::vector<float> got(kRows * kClasses);
    io::NpyReader(y).read_f32(0, got.size(), got.data());
    for (int64_t r = 0; r < kRows; ++r) {
      const std::vector<double> want = run_groups(file.model, x.data() + r * kInputs);
      for (int64_t n = 0; n < kClasses; ++n)
        CHECK(got[static_cast<size_t>(r * kClasses + n)] ==
              doctest::Approx(want[static_cast<size_t>(n)]).epsilon(1e-5));
    }
  }
}

}  // namespace
