// Plain float ONNX files whose weights are what each method's trainer would have written, converted
// by the command a user types: the encoding that belongs to the method, and the same floats to the
// last bit. The formulas stand here again, so that nothing is checked against itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "converter/base/half.h"
#include "converter/tools/stored_layers.h"
#include "tests/support/command.h"
#include "tests/support/onnx_builder.h"

namespace {

using namespace qrt::test;  // NOLINT: a test
using Floats = std::vector<float>;

// Of a layer: outputs, inputs of a kernel element, elements of a kernel.
struct Shape {
  int64_t outputs, channels, taps;
  int64_t inputs() const { return channels * taps; }
};
constexpr Shape kConv{32, 32, 9}, kLinear{48, 288, 1};

std::mt19937& rng() {
  static std::mt19937 r(29);
  return r;
}
int below(int n) {
  return static_cast<int>(rng()() % static_cast<uint32_t>(n));
}
float normal() {
  static std::normal_distribution<float> n;
  return n(rng());
}
Floats trained(Shape s) {
  Floats w(static_cast<size_t>(s.outputs * s.inputs()));
  for (float& v : w) v = 0.05f * normal();
  return w;
}

using Make = std::function<Floats(Shape)>;

// What `one` makes of each output, or of the layer as a whole.
Make by_rows(const std::function<void(float* row, int64_t n)>& one) {
  return [one](Shape s) {
    Floats w = trained(s);
    for (int64_t o = 0; o < s.outputs; ++o)
      one(&w[static_cast<size_t>(o * s.inputs())], s.inputs());
    return w;
  };
}
Make by_layer(const std::function<void(float* all, int64_t n)>& one) {
  return [one](Shape s) {
    Floats w = trained(s);
    one(w.data(), s.outputs * s.inputs());
    return w;
  };
}

float mean_magnitude(const float* w, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::abs(w[i]);
  return static_cast<float>(sum / static_cast<double>(n));
}
float largest(const float* w, int64_t n) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::abs(w[i]));
  return most;
}

void bwn(float* w, int64_t n) {
  const float alpha = mean_magnitude(w, n);
  for (int64_t i = 0; i < n; ++i) w[i] = w[i] >= 0 ? alpha : -alpha;
}

void twn(float* w, int64_t n) {
  const float threshold = 0.7f * mean_magnitude(w, n);
  double sum = 0, count = 0;
  for (int64_t i = 0; i < n; ++i)
    if (std::abs(w[i]) > threshold) sum += std::abs(w[i]), ++count;
  const auto alpha = static_cast<float>(sum / count);
  for (int64_t i = 0; i < n; ++i) w[i] = w[i] > threshold ? alpha : w[i] < -threshold ? -alpha : 0;
}

// SRQ: two's complement, a step per layer.
std::function<void(float*, int64_t)> srq(int bits) {
  return [bits](float* w, int64_t n) {
    const auto half = static_cast<float>(1 << (bits - 1));
    const float step = 0.7f * largest(w, n) / half;
    for (int64_t i = 0; i < n; ++i)
      w[i] = step * std::clamp(std::nearbyint(w[i] / step), -half, half - 1);
  };
}

// SAT: tanh, one of DoReFa's grids, and a factor for the layer; whole or odd numerators.
enum class DoReFa { original, modified, centered };
std::function<void(float*, int64_t)> sat(DoReFa kind, int bits) {
  return [kind, bits](float* w, int64_t n) {
    float most = 0;
    for (int64_t i = 0; i < n; ++i) most = std::max(most, std::tanh(std::abs(w[i])));
    const auto levels = static_cast<float>(1 << bits);
    const float denominator = kind == DoReFa::original ? levels - 1 : levels;
    const float unit = 0.61f / denominator;
    for (int64_t i = 0; i < n; ++i) {
      const float u = (std::tanh(w[i]) / most + 1) / 2;
      float numerator = std::min(std::floor(levels * u), levels - 1);
      if (kind == DoReFa::original)
        numerator = 2 * std::nearbyint((levels - 1) * u) - (levels - 1);
      else if (kind == DoReFa::modified)
        numerator = 2 * numerator - levels;
      else
        numerator = 2 * numerator + 1 - levels;
      w[i] = unit * numerator;
    }
  };
}

void nearest_of(const Floats& magnitudes, float unit, float* w, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float best = 0;
    for (const float m : magnitudes)
      if (std::abs(std::abs(w[i]) - unit * m) < std::abs(std::abs(w[i]) - unit * best)) best = m;
    w[i] = w[i] < 0 ? -(unit * best) : unit * best;
  }
}

// ESB of b bits with k fraction bits: zero and subnormals, then (1 + M / 2^k) 2^(E - 1).
std::function<void(float*, int64_t)> esb(int bits, int k) {
  return [bits, k](float* w, int64_t n) {
    Floats magnitudes;
    const auto steps = static_cast<float>(1 << k);
    for (int e = 0; e < 1 << (bits - 1 - k); ++e)
      for (int m = 0; m < 1 << k; ++m)
        magnitudes.push_back(e == 0 ? static_cast<float>(m) / steps
                                    : std::ldexp(1 + static_cast<float>(m) / steps, e - 1));
    nearest_of(magnitudes, largest(w, n) / magnitudes.back(), w, n);
  };
}

// Sums of two powers of two of 4 bits, over the largest.
void apot(float* w, int64_t n) {
  const Floats magnitudes = {0, 0.1f, 0.2f, 0.3f, 0.4f, 0.6f, 0.8f, 1};
  nearest_of(magnitudes, largest(w, n), w, n);
}

// ALQ's sketch of an output: signs of what is left, coordinates as they come, in f16.
std::function<void(float*, int64_t)> alq(int planes) {
  return [planes](float* w, int64_t n) {
    Floats left(w, w + n), alphas;
    std::vector<std::vector<bool>> signs;
    for (int p = 0; p < planes; ++p) {
      alphas.push_back(qrt::half_to_float(qrt::float_to_half(mean_magnitude(left.data(), n))));
      signs.emplace_back();
      for (float& v : left) {
        signs.back().push_back(v >= 0);
        v -= v >= 0 ? alphas.back() : -alphas.back();
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      w[i] = 0;  // smallest first
      for (int p = planes - 1; p >= 0; --p)
        w[i] += signs[static_cast<size_t>(p)][static_cast<size_t>(i)]
                    ? alphas[static_cast<size_t>(p)]
                    : -alphas[static_cast<size_t>(p)];
    }
  };
}

// Blocks of `dim` inputs, each one of `count` entries of f16.
Make pq(int64_t dim, int count) {
  return [dim, count](Shape s) {
    Floats entries, w;
    for (int64_t i = 0; i < dim * count; ++i)
      entries.push_back(qrt::half_to_float(qrt::float_to_half(0.05f * normal())));
    for (int64_t b = 0; b < s.outputs * s.inputs() / dim; ++b) {
      const auto first = entries.begin() + below(count) * dim;
      w.insert(w.end(), first, first + dim);
    }
    return w;
  };
}

struct Case {
  std::string name;
  Make make;
  std::string encoding;  // as qrt-convert's table has it
};

std::vector<Case> cases() {
  std::vector<Case> all = {{"bwn by output", by_rows(bwn), "binary"},
                           {"bwn by layer", by_layer(bwn), "binary"},
                           {"twn by output", by_rows(twn), "ternary"},
                           {"twn by layer", by_layer(twn), "ternary"},
                           {"apot 4 bits", by_layer(apot), "table 4 bits"},
                           {"apot 4 bits by output", by_rows(apot), "table 4 bits"},
                           {"alq 2 planes", by_rows(alq(2)), "planes"},
                           {"alq 3 planes", by_rows(alq(3)), "planes"},
                           {"pq 64 x 9", pq(9, 64), "codebook 64 x 9"},
                           {"pq 100 x 4", pq(4, 100), "codebook 100 x 4"},
                           {"pq 16 x 18", pq(18, 16), "codebook 16 x 18"}};
  for (const int bits : {3, 4, 5, 6, 8}) {
    const std::string size = std::to_string(bits) + " bits";
    for (const bool rows : {false, true}) {
      const auto add = [&](const std::string& name, const std::function<void(float*, int64_t)>& f) {
        all.push_back({name + " " + size + (rows ? " by output" : ""),
                       rows ? by_rows(f) : by_layer(f), "affine " + size});
      };
      add("srq", srq(bits));
      add("sat original", sat(DoReFa::original, bits));
      add("sat modified", sat(DoReFa::modified, bits));
      add("sat centered", sat(DoReFa::centered, bits));
    }
  }
  for (const auto& [bits, k] :
       {std::pair(3, 0), {4, 0}, {4, 1}, {5, 1}, {5, 2}, {6, 2}, {6, 3}, {7, 4}, {8, 4}, {8, 5}})
    for (const bool rows : {false, true}) {
      const auto f = esb(bits, k);
      all.push_back(
          {"esb " + std::to_string(bits) + ", " + std::to_string(k) + (rows ? " by output" : ""),
           rows ? by_rows(f) : by_layer(f), "table " + std::to_string(bits) + " bits"});
    }
  return all;
}

struct Layer {
  std::string name;
  Shape shape;
  Floats weights;
  std::string encoding;
};

// All layers side by side in one file, their weights as plain floats.
std::string model_of(const std::vector<Layer>& layers) {
  OnnxBuilder b;
  b.input("image", {-1, kConv.channels, 3, 3});
  b.input("row", {-1, kLinear.inputs()});
  for (const Layer& l : layers) {
    const std::string weight = l.name + ".weight";
    if (l.shape.taps == 1) {
      b.floats(weight, {l.shape.outputs, l.shape.inputs()}, l.weights);
      set(b.node("Gemm", {"row", weight}, l.name), "transB", 1);
    } else {
      b.floats(weight, {l.shape.outputs, l.shape.channels, 3, 3}, l.weights);
      set(b.node("Conv", {"image", weight}, l.name), "pads", std::vector<int64_t>{1, 1, 1, 1});
    }
    b.output(l.name);
  }
  return b.save("lattice.onnx");
}

// The line about a layer in the table of what was found.
std::string found(const std::string& report, const std::string& layer) {
  for (size_t from = 0; from < report.size(); from = report.find('\n', from) + 1) {
    const std::string line = report.substr(from, report.find('\n', from) - from);
    if (line.compare(0, layer.size() + 1, layer + " ") == 0) return line;
  }
  return "";
}

TEST_CASE("lattice files: every method's weights come back bit by bit in their encoding") {
  std::vector<Layer> layers;
  for (const Case& c : cases())
    for (const Shape s : {kConv, kLinear})
      layers.push_back({c.name + (s.taps == 1 ? ", linear" : ", conv"), s, c.make(s), c.encoding});
  for (const Shape s : {kConv, kLinear})
    layers.push_back({s.taps == 1 ? "trained, linear" : "trained, conv", s, trained(s), ""});
  const std::string file = scratch("lattice.qrt");
  const CommandResult r = run_command({command("qrt-convert"), model_of(layers), "-o", file});
  REQUIRE_MESSAGE(r.code == 0, r.err);
  const auto stored = qrt::verify::read_layers(file);
  for (const Layer& l : layers) {
    CAPTURE(l.name);
    REQUIRE(stored.count(l.name) == 1);
    CHECK(stored.at(l.name).weights == l.weights);  // -0 equals 0
    CHECK(stored.at(l.name).scale.empty());
    const std::string line = found(r.out.substr(0, r.out.find("bits/weight")), l.name);
    if (l.encoding.empty())
      CHECK(stored.at(l.name).encoding == "dense f32");
    else
      CHECK_MESSAGE(line.find("  " + l.encoding) != std::string::npos, line);
  }
}

}  // namespace
