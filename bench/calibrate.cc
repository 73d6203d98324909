// The constants of the cost models (cost.cc of kernels/codebook, int8 and shift) for this machine,
// as rows to paste there, and how far predictions are off before and after. Layers run through the
// runtime's operators, all of a kit interleaved, one thread. Predictions are linear in their
// constants, so the terms of an equation are the predictions for unit constants.
//   OMP_NUM_THREADS=1 taskset -c 1 calibrate [--rounds N] [--family shift]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "bench/layers.h"
#include "bench/least_squares.h"
#include "bench/rounds.h"
#include "kernels/codebook/cost.h"
#include "kernels/int8/cost.h"
#include "kernels/shift/cost.h"
#include "kernels/tables/tables.h"
#include "runtime/tools/machine.h"
#include "schema/layout.h"

namespace qrt::bench {
namespace {

namespace cb = kernels::codebook;
namespace i8 = kernels::int8;
namespace sh = kernels::shift;
namespace tb = kernels::tables;

struct Sample {
  LayerShape shape;
  Coding coding;
  Way way;
};
struct Measured {
  Sample sample;
  std::string what;
  double ns;
};

// Short and long sums, few and many outputs, rows in place and gathered, one row.
const LayerShape kShapes[] = {
    {"3136,64,256", 56, 64, 256, 1, 1, 1},    {"784,512,128", 28, 512, 128, 1, 1, 1},
    {"196,256,1024", 14, 256, 1024, 1, 1, 1}, {"196,1024,256", 14, 1024, 256, 1, 1, 1},
    {"49,512,2048", 7, 512, 2048, 1, 1, 1},   {"49,2048,512", 7, 2048, 512, 1, 1, 1},
    {"784,1152,128", 28, 128, 128, 3, 1, 1},  {"49,4608,512", 7, 512, 512, 3, 1, 1},
    {"1,512,1000", 1, 512, 1000, 1, 1, 1},    {"1,4096,2048", 1, 4096, 2048, 1, 1, 1},
};
constexpr uint32_t kDims[] = {4, 8, 9, 18};

bool suits(const LayerShape& s, uint32_t dim) {
  return (s.kernel == 3) == (dim % 9 == 0);
}

std::vector<Measured> measure(const std::vector<Sample>& samples, kernels::IsaSet isa,
                              size_t rounds) {
  std::vector<Measured> out;
  std::vector<LayerPtr> layers;
  std::vector<Contestant> all;
  for (const Sample& s : samples) {
    LayerPtr layer = make_ours(s.shape, s.coding, s.way, isa);
    if (layer == nullptr) continue;
    std::string what =
        std::string(s.way.strategy) + (s.way.is_resident ? " at load" : "") + " " + s.shape.name;
    if (s.coding.fraction >= 0)
      what += " esb(" + std::to_string(s.coding.code_bits) + "," +
              std::to_string(s.coding.fraction) + ")";
    if (s.coding.count != 0)
      what += " d" + std::to_string(s.coding.dim) + " x" + std::to_string(s.coding.count);
    out.push_back({s, what, 0});
    all.push_back({[p = layer.get()] { p->run(); }, 1, {}});
    calibrate_calls(all.back(), 1000);
    layers.push_back(std::move(layer));
  }
  run_rounds(all, rounds);
  for (size_t i = 0; i < out.size(); ++i) out[i].ns = 1000 * median(all[i].us);
  return out;
}

// A layer's figures as either family wants them.
template <class CostShape>
CostShape cost_shape(const Sample& m) {
  CostShape s{};
  s.rows = m.shape.rows(), s.outputs = m.shape.cout, s.inputs = m.shape.inputs(), s.groups = 1;
  s.gathers = m.shape.kernel != 1 || m.shape.stride != 1;
  if (m.coding.count == 0) return s;
  s.blocks = layout::codebook_blocks(s.inputs, m.coding.dim);
  s.entries = size_t{1} << layout::code_bits(m.coding.count);
  s.books = 1, s.dim = m.coding.dim;
  return s;
}

double cost_of(const Sample& m, const kernels::Kernel<const i8::Kit>& kit,
               const i8::CostConstants& c) {
  const auto s = cost_shape<i8::CostShape>(m);
  if (std::strcmp(m.way.strategy, "dot8") == 0) return i8::dot_cost_ns(s, kit, c);
  if (m.way.is_resident) return i8::resident_cost_ns(s, kit, c);
  return m.coding.count == 0 ? i8::dense_cost_ns(s, kit, c) : i8::decode_cost_ns(s, kit, c);
}

double cost_of(const Sample& m, const kernels::Kernel<const cb::Kit>& kit,
               const cb::CostConstants& c) {
  auto s = cost_shape<cb::CostShape>(m);
  s.bits = layout::code_bits(m.coding.count), s.threads = 1;
  if (std::strcmp(m.way.strategy, "decode") == 0) return cb::decode_cost_ns(s, kit, c);
  return std::strcmp(m.way.strategy, "dot") == 0 ? cb::dot_cost_ns(s, kit, c)
                                                 : cb::lookup_cost_ns(s, kit, c);
}

// A way of kernels/shift and the int8 kit that it is compared by.
struct ShiftRow {
  const sh::Row& row;
  const kernels::Kernel<const i8::Kit>& kit;
  const char* name;
};

double cost_of(const Sample& m, const ShiftRow& way, const sh::CostConstants& c) {
  int16_t integers[sh::kMaxCodes];
  sh::Plan plan;
  const auto fraction = static_cast<uint32_t>(m.coding.fraction);
  if (!sh::esb_integers(m.coding.code_bits, fraction, integers) ||
      !sh::make_plan(integers, m.coding.code_bits, &plan))
    std::abort();
  const auto s = cost_shape<i8::CostShape>(m);
  const size_t stride = (s.inputs + 63) / 64 * 64, fit = 512 * 1024 / stride;  // shift_layer.cc
  const sh::CostShape shape{s.rows, s.outputs, s.inputs, 1, 0, (s.rows + fit - 1) / fit, s.gathers};
  return sh::cost_ns(shape, plan, way.row, way.kit, c);
}

// Relative errors of predictions, smallest first, and which is the worst.
std::string errors_text(const std::vector<Equation>& equations, const std::vector<double>& c) {
  std::vector<double> errors;
  const Equation* worst = nullptr;
  for (const Equation& e : equations) {
    errors.push_back(std::fabs(predicted(e, c) / e.ns - 1));
    if (worst == nullptr || errors.back() > std::fabs(predicted(*worst, c) / worst->ns - 1))
      worst = &e;
  }
  char text[160];
  std::snprintf(text, sizeof text, "median error %.0f %%, worst %.0f %% (%s)", 100 * median(errors),
                100 * *std::max_element(errors.begin(), errors.end()), worst->what.c_str());
  return text;
}

// As C++ spells a float: 8.0f, 0.0157f.
std::string literal(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", v);
  const bool is_whole = std::strpbrk(text, ".e") == nullptr;
  return std::string(text) + (is_whole ? ".0f" : "f");
}

// Solves for a kit and prints its row. What a prediction has from other families' constants is one
// more unknown, by which the others are off; it is printed, and is no part of the row.
template <class Constants, class Kit>
void fit(const Kit& kit, const std::vector<Measured>& measured, const Constants& shipped) {
  constexpr size_t kCount = sizeof(Constants) / sizeof(float);
  std::vector<Equation> equations;
  for (const Measured& m : measured) {
    Equation e{m.what, {}, m.ns};
    const double others = cost_of(m.sample, kit, Constants{});
    for (size_t j = 0; j < kCount; ++j) {
      float unit[kCount] = {};
      unit[j] = 1;
      Constants constants;
      std::memcpy(&constants, unit, sizeof unit);
      e.terms.push_back(cost_of(m.sample, kit, constants) - others);
    }
    e.terms.push_back(others);
    equations.push_back(e);
  }
  float before[kCount];
  std::memcpy(before, &shipped, sizeof before);
  std::vector<double> prior(before, before + kCount);
  prior.push_back(1);
  const std::vector<double> found = solve(equations, prior);
  std::printf("    {&%s, {", kit.name);
  for (size_t j = 0; j < kCount; ++j)
    std::printf("%s%s", j == 0 ? "" : ", ", literal(found[j]).c_str());
  std::printf("}},\n    // others times %.2f, %zu layers: %s\n    // as shipped: %s\n",
              found.back(), equations.size(), errors_text(equations, found).c_str(),
              errors_text(equations, prior).c_str());
}

std::vector<Sample> int8_samples() {
  std::vector<Sample> all;
  for (const LayerShape& s : kShapes) {
    const Coding dense{Coding::Kind::exact, 0, 0};
    for (const Way& way : {Way{"dense8"}, Way{"dense8", true}}) all.push_back({s, dense, way});
    if (s.is_linear()) all.push_back({s, dense, {"dot8"}});
    for (const uint32_t dim : kDims)
      if (suits(s, dim)) all.push_back({s, {Coding::Kind::exact, dim, 256}, {"decode8"}});
  }
  return all;
}

std::vector<Sample> codebook_samples() {
  std::vector<Sample> all;
  for (const LayerShape& s : kShapes)
    for (const uint32_t dim : kDims)
      for (const char* strategy : {"decode", "lookup", "dot"}) {
        const bool is_dot = std::strcmp(strategy, "dot") == 0;
        if (suits(s, dim) && is_dot == s.is_linear())
          all.push_back({s, {Coding::Kind::f32, dim, 256}, {strategy}});
      }
  return all;
}

// Ways of tables keep their constants to themselves: by how much each is off.
void check_tables(kernels::IsaSet isa, size_t rounds) {
  for (const tb::Row& row : tb::kWays) {
    if (row.isa == 0 || !kernels::includes(isa, row.isa)) continue;
    std::vector<Sample> samples;
    for (const LayerShape& s : kShapes)
      for (const uint32_t dim : kDims)
        for (const uint32_t count : {16u, 64u, 256u})
          if (suits(s, dim))
            samples.push_back({s, {Coding::Kind::rounded, dim, count, 8}, {row.name}});
    std::vector<double> ratios;
    for (const Measured& m : measure(samples, row.isa, rounds)) {
      const auto bits = layout::code_bits(m.sample.coding.count);
      const tb::Shape shape{m.sample.shape.rows(),
                            m.sample.shape.cout,
                            m.sample.shape.inputs(),
                            layout::codebook_blocks(m.sample.shape.inputs(), m.sample.coding.dim),
                            bits,
                            1,
                            m.sample.coding.dim,
                            1,
                            8,
                            8,
                            false};
      ratios.push_back(m.ns / static_cast<double>(row.way->cost_ns(shape)));
    }
    if (ratios.empty()) continue;
    std::sort(ratios.begin(), ratios.end());
    std::printf("%s: measured / predicted %.2f, %.2f to %.2f, %zu layers\n", row.name,
                median(ratios), ratios.front(), ratios.back(), ratios.size());
  }
}

void fit_shift(kernels::IsaSet isa, size_t rounds) {
  for (const sh::Row& row : sh::kWays) {
    if (!kernels::includes(isa, row.isa) || row.isa == 0) continue;
    const char* strategy = row.kind == sh::Kind::decode    ? "shift_decode"
                           : row.kind == sh::Kind::dot     ? "shift_dot"
                           : row.kind == sh::Kind::grouped ? "shift_grouped"
                                                           : "shift_add";
    std::vector<Sample> samples;
    for (const LayerShape& s : kShapes)
      for (const auto& [bits, fraction] : {std::pair{4u, 1}, {2u, 0}, {6u, 2}, {6u, 3}})
        if (s.is_linear() || (row.kind != sh::Kind::dot && s.ops() < 3e8))
          samples.push_back({s, {Coding::Kind::exact, 0, 0, 0, bits, fraction}, {strategy}});
    const ShiftRow way{row, kernels::select(i8::kKits, row.isa), row.name};
    fit(way, measure(samples, row.isa, rounds), sh::cost_constants(row.way));
  }
}

int run(size_t rounds, const std::string& family) {
  const kernels::IsaSet isa = kernels::detect_isa();
  std::printf("// %s, one thread, median of %zu interleaved rounds\n", tools::cpu_name().c_str(),
              rounds);
  const auto wanted = [&](const char* name) { return family.empty() || family == name; };
  if (wanted("shift")) {
    std::printf("// kernels/shift/cost.cc\n");
    fit_shift(isa, rounds);
  }
  if (!family.empty()) return 0;
  std::printf("// kernels/int8/cost.cc\n");
  for (const auto& kit : i8::kKits)
    if (kit.isa != 0 && kernels::includes(isa, kit.isa))
      fit(kit, measure(int8_samples(), kit.isa, rounds), i8::cost_constants(kit.run));
  std::printf("// kernels/codebook/cost.cc\n");
  for (const auto& kit : cb::kKits)
    if (kit.isa != 0 && kernels::includes(isa, kit.isa))
      fit(kit, measure(codebook_samples(), kit.isa, rounds), cb::cost_constants(kit.run));
  std::printf("// kernels/tables\n");
  check_tables(isa, rounds);
  return 0;
}

}  // namespace
}  // namespace qrt::bench

int main(int argc, char** argv) {
  CLI::App app("Measures the constants of the cost models on this machine", "calibrate");
  size_t rounds = 9;
  app.add_option("--rounds", rounds, "Samples per layer")->check(CLI::Range(1, 1000));
  std::string family;
  app.add_option("--family", family, "shift: only the ways of kernels/shift")
      ->check(CLI::IsMember({"shift"}));
  CLI11_PARSE(app, argc, argv);
  return qrt::bench::run(rounds, family);
}
