// Layers of bytes whose weights are tables of integers, beyond a byte and with a scale per group of
// inputs: the file gives to the bit what the interpreter says, and by hand; what cannot be exact is
// refused.
#include <doctest/doctest.h>

#include <random>

#include "converter/base/text.h"
#include "converter/emit/emit.h"
#include "converter/int8/weights.h"
#include "converter/ir/edit.h"
#include "converter/lower/lower.h"
#include "converter/quant/esb.h"
#include "tests/support/run_file.h"

namespace qrt {
namespace {

using quant::ScaleAxis;
using quant::Table;

std::mt19937& rng() {
  static std::mt19937 r(23);
  return r;
}

Table random_table(quant::EsbFormat format, int64_t outputs, int64_t inputs, int32_t taps,
                   ScaleAxis axis, int32_t group) {
  Table t = quant::esb_table(format);
  t.taps = taps;
  for (int64_t i = 0; i < outputs * inputs; ++i)
    t.codes.push_back(static_cast<uint8_t>(rng()() >> 8 & ((1u << format.bits) - 1)));
  t.scales = {axis, axis == ScaleAxis::group ? group : 0, {}};
  const int64_t count = axis == ScaleAxis::layer    ? 1
                        : axis == ScaleAxis::output ? outputs
                                                    : outputs * ((inputs + group - 1) / group);
  for (int64_t i = 0; i < count; ++i)
    t.scales.values.push_back(static_cast<float>(1 + rng()() % 1000) / 65536);
  return t;
}

// A layer between a quantizer of its input and, where `bytes`, one of its output.
ir::Graph graph_of(const Table& t, int64_t outputs, int64_t channels, int64_t kernel, bool bytes) {
  const std::string image = kernel > 0 ? cat("N,6,5,", channels) : cat("N,", channels);
  const std::string y = kernel > 0 ? cat("N,6,5,", outputs) : cat("N,", outputs);
  const std::string layer = kernel > 0 ? cat("conv2d(%q, %w, %b) {bias=true, kernel=[", kernel, ",",
                                             kernel, "], pad=[", kernel / 2, ",", kernel / 2, ",",
                                             kernel / 2, ",", kernel / 2, "], layout=nhwc}")
                                       : std::string("linear(%q, %w, %b) {bias=true}");
  const std::string shape = kernel > 0 ? cat(outputs, ",", channels, ",", kernel, ",", kernel)
                                       : cat(outputs, ",", channels);
  auto g = ir::parse(cat("graph g\ninput %x: f32[", image, "]\nconst %w: f32[", shape,
                         "] = fill 1\nconst %b: f32[", outputs, "] = fill 0.3\nnode q = ",
                         "quantize(%x) -> %q: f32[", image, "] bytes(0.03, 120)\nnode l = ", layer,
                         " -> %l: f32[", y, "]", bytes ? " bytes(0.5, 99)" : "", "\n",
                         bytes ? "node f = quantize(%l) -> %y: f32[" + y + "]\noutput %y\n"
                               : std::string("output %l\n")));
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  for (ir::Constant& c : g->constants)
    if (c.data.size() == t.codes.size() && c.data.size() != static_cast<size_t>(outputs)) {
      c.data.clear();
      c.encoding = std::make_shared<const quant::Encoding>(t);
    }
  const auto sound = ir::verify(*g);
  REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
  return *g;
}

void check_file(const ir::Graph& g) {
  std::vector<eval::Tensor> in(1);
  in[0].shape = g.values[static_cast<size_t>(g.inputs[0])].shape;
  in[0].data.resize(static_cast<size_t>(ir::element_count(in[0].shape)));
  for (float& v : in[0].data) v = static_cast<float>(rng()() % 256) * 0.03f - 3.6f;
  const auto want = eval::evaluate(g, in);
  REQUIRE_MESSAGE(want.ok(), (want.ok() ? "" : want.error().message));
  const auto lowered = lower::lower(g);
  REQUIRE_MESSAGE(lowered.ok(), (lowered.ok() ? "" : lowered.error().message));
  const auto file = emit::emit(*lowered, {});
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  CHECK(testing::run_file(*file, in)[0].data == (*want)[0].data);
}

TEST_CASE("table integers: the file is to the bit what the interpreter says") {
  for (const quant::EsbFormat f : {quant::EsbFormat{4, 1}, {6, 2}, {6, 3}, {8, 4}, {2, 0}})
    for (const bool bytes : {false, true})
      for (const ScaleAxis axis : {ScaleAxis::layer, ScaleAxis::output, ScaleAxis::group}) {
        CAPTURE(f.bits);
        CAPTURE(f.fraction);
        CAPTURE(static_cast<int>(axis));
        check_file(graph_of(random_table(f, 21, 70, 1, axis, 32), 21, 70, 0, bytes));
        for (const int32_t taps : {1, 9}) {
          CAPTURE(taps);
          check_file(graph_of(random_table(f, 12, 8 * 9, taps, axis, 8), 12, 8, 3, bytes));
        }
      }
}

TEST_CASE("table integers: groups by hand") {
  const std::string text = R"(graph g
input %x: f32[N,3]
const %w: f32[1,3] = table {bits=2} integers {0, 1, -448, 448} codes {3, 1, 2} scales group 2 {0.5, 4}
node q = quantize(%x) -> %q: f32[N,3] bytes(1, 10)
node fc = linear(%q, %w) -> %y: f32[N,1]
output %y
)";
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  REQUIRE(ir::verify(*g).ok());
  const std::vector<eval::Tensor> in = {{ir::ElementType::f32, {1, 3}, {2, -7, 100}, {}}};
  // (448 * 2 - 7) * 0.5 - 448 * 100 * 4
  CHECK((*eval::evaluate(*g, in))[0].data == std::vector<float>{444.5f - 179200.0f});
}

TEST_CASE("table integers: sums that may leave 32 bits, and what is no integer") {
  Table wide = random_table({8, 4}, 2, 2700, 1, ScaleAxis::output, 0);  // 1984 is the largest
  int64_t found = 0;
  CHECK(!int8::sums_fit(wide, 2, 2700, &found));
  CHECK(found == int64_t{2700} * 383 * (1984 + 128));
  Table groups = random_table({8, 4}, 2, 2700, 1, ScaleAxis::group, 32);
  CHECK(int8::sums_fit(groups, 2, 2700, &found));
  CHECK(found == int64_t{32} * 383 * (1984 + 128));
  CHECK(quant::is_integer(wide));
  CHECK(quant::is_integer(groups));
  groups.offset = {0.5f};
  CHECK(!quant::is_integer(groups));
  wide.integers[3] = quant::kMostInteger;
  CHECK(quant::is_integer(wide));
  wide.integers[3] = quant::kMostInteger + 1;
  CHECK(!quant::is_integer(wide));
}

}  // namespace
}  // namespace qrt
