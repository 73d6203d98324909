// Weights made by every method's own formulas are found again bit for bit in the
// encoding they belong to; random weights never are.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "converter/base/half.h"
#include "converter/lattice/lattice.h"

using namespace qrt;
using quant::Affine;
using quant::BitPlanes;
using quant::Codebook;
using quant::Encoding;
using quant::ScaleAxis;
using quant::Table;

namespace {

using Floats = std::vector<float>;

std::mt19937& rng() {
  static std::mt19937 r(11);
  return r;
}

float normal() {
  static std::normal_distribution<float> n;
  return n(rng());
}

int below(int n) {
  return static_cast<int>(rng()() % static_cast<uint32_t>(n));
}

struct Shape {
  int64_t outputs, inputs, taps = 1;
  size_t count() const { return static_cast<size_t>(outputs * inputs); }
};

std::optional<Encoding> find(const Floats& w, Shape s, double tolerance = 0) {
  const lattice::Weights weights{w, s.outputs, s.inputs, s.taps, true};
  auto e = lattice::find(weights, {true, tolerance});
  if (!e) return e;
  REQUIRE(quant::check(*e, s.outputs, s.inputs).ok());
  const Floats made = quant::decode(*e, s.outputs, s.inputs);
  if (tolerance == 0) CHECK(made == w);
  CHECK(lattice::bytes_of(*e, weights) < lattice::dense_bytes(weights));
  return e;
}

// The expected kind, or a null pointer and a failed check.
template <class Kind>
Kind found(const Floats& w, Shape s, double tolerance = 0) {
  const auto e = find(w, s, tolerance);
  REQUIRE(e);
  REQUIRE_MESSAGE(std::holds_alternative<Kind>(*e), quant::describe(*e));
  return std::get<Kind>(*e);
}

// scale(output) * level(), level a random one.
template <class Level>
Floats scaled(Shape s, bool per_output, const Level& level) {
  Floats w;
  float scale = 0;
  for (int64_t o = 0; o < s.outputs; ++o) {
    if (o == 0 || per_output) scale = 0.01f + std::abs(normal()) / 37;
    for (int64_t i = 0; i < s.inputs; ++i) w.push_back(scale * level());
  }
  return w;
}

const Shape kShapes[] = {{64, 144, 9}, {32, 256}, {16, 400, 25}, {100, 75}};

TEST_CASE("bwn: one sign per weight, the scale of a layer or an output") {
  for (const Shape s : kShapes)
    for (const bool per_output : {false, true}) {
      const Floats w = scaled(s, per_output, [] { return below(2) ? 1.0f : -1.0f; });
      const auto p = found<BitPlanes>(w, s);
      CHECK(!p.ternary5);
      CHECK(p.group == 0);
      CHECK(p.counts == std::vector<uint8_t>(static_cast<size_t>(s.outputs), 1));
      CHECK(quant::is_integer(p));
    }
}

TEST_CASE("twn: trits, by layer and output; outputs of zeros have no plane") {
  for (const Shape s : kShapes)
    for (const bool per_output : {false, true}) {
      Floats w = scaled(s, per_output, [] { return static_cast<float>(below(3) - 1); });
      std::fill_n(w.begin() + s.inputs, s.inputs, 0.0f);
      const auto p = found<BitPlanes>(w, s);
      CHECK(p.ternary5);
      CHECK(p.counts[0] == 1);
      CHECK(p.counts[1] == 0);
    }
}

TEST_CASE("groups of inputs: binary by channels of a pixel, by kernels, by slices") {
  struct Case {
    Shape shape;
    int64_t group;
    bool pixel;
  };
  for (const Case c : {Case{{8, 64 * 9, 9}, 64, true}, Case{{32, 8 * 25, 25}, 25, false},
                       Case{{16, 512}, 128, false}}) {
    Floats w(c.shape.count());
    std::vector<float> scales;
    for (int i = 0; i < 4096; ++i) scales.push_back(0.01f + std::abs(normal()));
    for (size_t i = 0; i < w.size(); ++i) {
      const auto row = static_cast<int64_t>(i) / c.shape.inputs;
      const auto in = static_cast<int64_t>(i) % c.shape.inputs;
      const int64_t group = c.pixel ? in % c.shape.taps : in / c.group;
      const float scale = scales[static_cast<size_t>(row * (c.shape.inputs / c.group) + group)];
      w[i] = below(2) ? scale : -scale;
    }
    const auto e = find(w, c.shape);
    REQUIRE(e);
    if (const auto* a = std::get_if<Affine>(&*e)) {
      CHECK(a->bits == 1);
      CHECK(a->scales.group == c.group);
      CHECK(a->taps == (c.pixel ? c.shape.taps : 1));
    } else {
      REQUIRE(std::holds_alternative<BitPlanes>(*e));
      CHECK(std::get<BitPlanes>(*e).group == c.group);
    }
  }
}

TEST_CASE("uniform grids: original, modified, centered, any half zero point") {
  for (const Shape s : {Shape{64, 288, 9}, Shape{64, 300}})
    for (const bool per_output : {false, true})
      for (int bits = 2; bits <= 8; ++bits) {
        const int levels = 1 << bits;
        // Odd numerators, no zero: (2 i - (2^b - 1)) / 2.
        const Floats original = scaled(s, per_output, [&] {
          return static_cast<float>(below(levels)) - 0.5f * static_cast<float>(levels - 1);
        });
        Affine a = found<Affine>(original, s);
        CHECK(a.bits == bits);
        CHECK(a.zero_halves == std::vector<int16_t>{static_cast<int16_t>(levels - 1)});
        CHECK(a.scales.values.size() == (per_output ? static_cast<size_t>(s.outputs) : 1));
        // Two's complement.
        const Floats modified =
            scaled(s, per_output, [&] { return static_cast<float>(below(levels) - levels / 2); });
        a = found<Affine>(modified, s);
        CHECK(a.bits == bits);
        CHECK(a.is_signed);
        CHECK(a.zero_halves.empty());
        // Symmetric integers without the least.
        if (bits > 2) {
          const Floats narrow = scaled(s, per_output, [&] {
            return static_cast<float>(below(levels - 1) - levels / 2 + 1);
          });
          a = found<Affine>(narrow, s);
          CHECK(a.bits == bits);
          CHECK(a.zero_halves.empty());
        }
        // A zero point beside the middle, in halves.
        const int zero = below(2 * levels - 1);
        const Floats shifted =
            scaled(s, false, [&] { return static_cast<float>(2 * below(levels) - zero) / 2; });
        const auto e = find(shifted, s);
        REQUIRE(e);
        if (const auto* affine = std::get_if<Affine>(&*e))
          CHECK(affine->bits == bits);
        else
          CHECK(bits == 2);  // 0 and +-1 may be trits
      }
}

TEST_CASE("uniform grids by groups of 32") {
  const Shape s{16, 256};
  Floats w;
  for (int64_t g = 0; g < 16 * 8; ++g) {
    const float scale = 0.01f + std::abs(normal());
    for (int i = 0; i < 32; ++i) w.push_back(scale * static_cast<float>(below(16) - 8));
  }
  const auto a = found<Affine>(w, s);
  CHECK(a.bits == 4);
  CHECK(a.scales.axis == ScaleAxis::group);
  CHECK(a.scales.group == 32);
}

// METHODS: sign, exponent, fraction of k bits, subnormals; times 2^k.
std::vector<int> esb(int bits, int k) {
  const int exponents = bits - 1 - k;
  std::vector<int> v;
  for (int e = 0; e < 1 << exponents; ++e)
    for (int m = 0; m < 1 << k; ++m) {
      const int value = e == 0 ? m : ((1 << k) + m) << (e - 1);
      v.push_back(value);
      if (value != 0) v.push_back(-value);
    }
  return v;
}

TEST_CASE("esb: every set of 3 to 8 bits is a table of integers, or a grid where it is one") {
  const std::pair<int, int> sets[] = {{3, 0}, {3, 1}, {4, 0}, {4, 1}, {4, 2}, {5, 1},
                                      {5, 2}, {5, 3}, {6, 2}, {6, 3}, {6, 4}, {7, 3},
                                      {7, 4}, {7, 5}, {8, 4}, {8, 5}, {8, 6}};
  for (const auto& [bits, k] : sets)
    for (const bool per_output : {false, true}) {
      const std::vector<int> values = esb(bits, k);
      const Shape s{48, 576, 9};
      // alpha / 2^k as the scale, the product rounded once.
      const Floats w = scaled(s, per_output, [&] {
        return static_cast<float>(
            values[static_cast<size_t>(below(static_cast<int>(values.size())))]);
      });
      if (bits - 1 - k == 1) {
        CHECK(found<Affine>(w, s).bits == bits);
        continue;
      }
      const auto t = found<Table>(w, s);
      CHECK_MESSAGE(t.bits == bits, bits << " " << k);
      REQUIRE(!t.integers.empty());
      std::vector<int> mine(t.integers.begin(), t.integers.end()), theirs = values;
      std::sort(mine.begin(), mine.end());
      mine.erase(std::unique(mine.begin(), mine.end()), mine.end());
      std::sort(theirs.begin(), theirs.end());
      CHECK(mine == theirs);
    }
}

// Weights as an MX quantizer leaves them: blocks of 32 along the inputs share 2^floor(log2(max)) /
// 2^emax, elements are rounded to the set and cut off at its largest.
Floats microscaled(Shape s, const std::vector<int>& elements, int emax) {
  const int most = *std::max_element(elements.begin(), elements.end());
  const double one = most / (emax == 4 ? 28.0 : emax == 2 && most == 60 ? 7.5 : 6.0);
  Floats w(s.count());
  for (size_t first = 0; first < w.size(); first += 32) {
    std::vector<double> block(32);
    const double deviation = std::ldexp(0.05, below(5) - 2);
    double largest = 0;
    for (double& v : block)
      v = double{normal()} * deviation, largest = std::max(largest, std::abs(v));
    const double unit = std::ldexp(1.0, std::ilogb(largest) - emax) / one;
    for (size_t i = 0; i < 32; ++i) {
      double best = 0;
      for (const int e : elements)
        if (std::abs(e * unit - block[i]) < std::abs(best - block[i])) best = e * unit;
      w[first + i] = static_cast<float>(best);
    }
  }
  return w;
}

TEST_CASE("microscaling: MXFP4 and both MXFP6 come back at their own bits and a scale per 32") {
  struct Format {
    int bits, fraction, emax;
  };
  for (const auto& [bits, fraction, emax] : {Format{4, 1, 2}, {6, 3, 2}, {6, 2, 4}}) {
    CAPTURE(bits);
    CAPTURE(fraction);
    const Shape s{64, 512};
    const Floats w = microscaled(s, esb(bits, fraction), emax);
    const auto t = found<Table>(w, s);
    CHECK(t.bits == bits);
    CHECK(t.scales.axis == ScaleAxis::group);
    CHECK(t.scales.group == 32);
    for (const float scale : t.scales.values) CHECK(std::exp2(std::ilogb(scale)) == scale);
    CHECK(quant::is_integer(Encoding(t)));
    const lattice::Weights weights{w, s.outputs, s.inputs, 1, true};
    // Codes, scales of a byte as E8M0 has them, and the table.
    CHECK(lattice::bytes_of(Encoding(t), weights) ==
          s.count() * static_cast<size_t>(bits) / 8 + s.count() / 32 + (2u << bits));
  }
}

TEST_CASE("microscaling: blocks along the channels of a kernel's element") {
  const Shape stored{32, 9 * 64};
  const Floats blocks = microscaled(stored, esb(4, 1), 2);
  Floats w(blocks.size());
  for (size_t o = 0; o < 32; ++o)
    for (size_t tap = 0; tap < 9; ++tap)
      for (size_t c = 0; c < 64; ++c) w[o * 576 + c * 9 + tap] = blocks[o * 576 + tap * 64 + c];
  const auto t = found<Table>(w, {32, 576, 9});
  CHECK(t.taps == 9);
  CHECK(t.bits == 4);
  CHECK(t.scales.group == 32);
}

TEST_CASE("microscaling: one number off the set, or a scale that is no power of two") {
  const Shape s{64, 512};
  const Floats good = microscaled(s, esb(4, 1), 2);
  // Another table may hold the numbers: with few blocks they are not many.
  const auto by_groups = [&](const Floats& w) {
    const auto e = find(w, s);
    const auto* t = e ? std::get_if<Table>(&*e) : nullptr;
    return t != nullptr && t->scales.axis == ScaleAxis::group;
  };
  CHECK(by_groups(good));
  Floats off = good;
  off[77] *= 1.2345678f;
  CHECK(!by_groups(off));
  Floats scaled = good;
  for (size_t i = 0; i < 32; ++i) scaled[i] *= 1.1f;
  CHECK(!by_groups(scaled));
}

TEST_CASE("ternary by esb of 2 bits is trits") {
  const Floats w = scaled({48, 576, 9}, true, [] { return static_cast<float>(below(3) - 1); });
  CHECK(found<BitPlanes>(w, {48, 576, 9}).ternary5);
}

TEST_CASE("apot and other tables, numbers rounded before they are scaled") {
  const int apot4[] = {0, 1, 2, 3, 4, 6, 8, 10};
  const Shape s{64, 288, 9};
  for (const bool per_output : {false, true}) {
    const Floats w = scaled(s, per_output, [&] {
      const float v = static_cast<float>(apot4[below(8)]) / 10;
      return below(2) ? v : -v;
    });
    const auto t = found<Table>(w, s);
    CHECK(t.bits == 4);
    CHECK(t.scales.axis == (per_output ? ScaleAxis::output : ScaleAxis::layer));
  }
  // 16 numbers of no structure, as NF4 has them.
  Floats numbers;
  for (int i = 0; i < 16; ++i) numbers.push_back(normal());
  const Floats w = scaled(s, false, [&] { return numbers[static_cast<size_t>(below(16))]; });
  CHECK(found<Table>(w, s).bits == 4);
  // DoReFa as trained: 2 * round((2^b - 1) u) / (2^b - 1) - 1 in f32.
  for (int bits = 2; bits <= 6; ++bits)
    for (const bool per_output : {false, true}) {
      const auto top = static_cast<float>((1 << bits) - 1);
      const Floats d = scaled(s, per_output,
                              [&] { return 2 * (static_cast<float>(below(1 << bits)) / top) - 1; });
      const auto e = find(d, s);
      REQUIRE(e);
      CHECK(8 * lattice::bytes_of(*e, {d, s.outputs, s.inputs, s.taps, true}) <
            (static_cast<uint64_t>(bits) + 1) * d.size() + 1000 * 8);
    }
}

// Sums in the order of decode().
Floats alq(Shape s, int64_t group, bool pixel, const std::vector<int>& planes, bool half) {
  Floats w(s.count());
  for (int64_t o = 0; o < s.outputs; ++o)
    for (int64_t g = 0; g < s.inputs / group; ++g) {
      const int count = planes[static_cast<size_t>(below(static_cast<int>(planes.size())))];
      Floats alphas;
      float next = 0;
      for (int p = 0; p < count; ++p) {
        next = next * 1.7f + 0.02f + std::abs(normal()) / 20;
        alphas.push_back(half ? half_to_float(float_to_half(next)) : next);
      }
      for (int64_t i = 0; i < group; ++i) {
        float sum = 0;
        for (const float a : alphas) sum += below(2) ? a : -a;
        const int64_t in = pixel ? i * s.taps + g : g * group + i;
        w[static_cast<size_t>(o * s.inputs + in)] = sum;
      }
    }
  return w;
}

TEST_CASE("alq: sums of up to four signs, per output and per group, counts of their own") {
  for (const bool half : {true, false}) {
    const Shape row{16, 512};
    auto p = found<BitPlanes>(alq(row, 512, false, {2}, half), row);
    CHECK(p.counts == std::vector<uint8_t>(16, 2));
    CHECK(p.group == 0);
    p = found<BitPlanes>(alq(row, 512, false, {0, 1, 2, 3, 4}, half), row);
    CHECK(*std::max_element(p.counts.begin(), p.counts.end()) <= 4);
    p = found<BitPlanes>(alq(row, 256, false, {1, 2, 3}, half), row);
    CHECK(p.group == 256);
    const Shape conv{16, 64 * 9, 9};
    p = found<BitPlanes>(alq(conv, 64, true, {0, 2, 3}, half), conv);
    CHECK(p.group == 64);
    CHECK(p.taps == 9);
  }
}

Floats pq(Shape s, int64_t dim, int count, bool half) {
  Floats entries, w;
  for (int64_t i = 0; i < dim * count; ++i) {
    const float v = normal();
    entries.push_back(half ? half_to_float(float_to_half(v)) : v);
  }
  for (int64_t b = 0; b < s.outputs * (s.inputs / dim); ++b) {
    const auto first = entries.begin() + below(count) * dim;
    w.insert(w.end(), first, first + dim);
  }
  return w;
}

TEST_CASE("pq: codebooks with blocks of 4, 8, 9, 16, 18 entries") {
  for (const int64_t dim : {4, 8, 9, 16, 18})
    for (const bool half : {false, true}) {
      const Shape s{128, 288, 9};
      const auto c = found<Codebook>(pq(s, dim, 60, half), s);
      CHECK(c.dim == dim);
      CHECK(c.count == 60);
      CHECK(c.entry == (half ? quant::EntryType::f16 : quant::EntryType::f32));
    }
}

TEST_CASE("f16 weights: only what saves against two bytes") {
  Floats w;
  for (int i = 0; i < 64 * 256; ++i) w.push_back(half_to_float(float_to_half(normal() / 30)));
  CHECK(!find(w, {64, 256}));
  CHECK(!find(w, {64 * 256 / 9, 9, 9}));
}

TEST_CASE("random weights have no lattice, whatever their size") {
  for (int round = 0; round < 400; ++round) {
    const int64_t taps = below(3) == 0 ? 9 : below(3) == 0 ? 25 : 1;
    const Shape s{1 + below(round % 8 == 0 ? 300 : 12), taps * (1 + below(40)), taps};
    Floats w;
    const int kind = below(4);
    for (size_t i = 0; i < s.count(); ++i) {
      const float v = kind == 1 ? static_cast<float>(rng()()) * 0x1p-32f : normal() * 0.05f;
      w.push_back(kind == 2 ? half_to_float(float_to_half(v)) : v);
    }
    if (kind == 3)  // pruned to a third
      for (float& v : w) v = below(3) ? 0 : v;
    const auto e = find(w, s);
    CHECK_MESSAGE(!e, s.outputs << " x " << s.inputs << " kind " << kind << " "
                                << (e ? quant::describe(*e) : ""));
  }
}

TEST_CASE("within a tolerance: a noisy grid, never further off than stated") {
  const Shape s{32, 288, 9};
  Floats w = scaled(s, false, [] { return static_cast<float>(below(15) - 7); });
  const float most = *std::max_element(w.begin(), w.end());
  for (float& v : w) v += most * 1e-4f * (2 * static_cast<float>(below(1000)) / 1000 - 1);
  CHECK(!find(w, s));
  const auto a = found<Affine>(w, s, 1e-3);
  CHECK(a.bits == 4);
  const Floats made = quant::decode(a, s.outputs, s.inputs);
  for (size_t i = 0; i < w.size(); ++i) CHECK(std::abs(made[i] - w[i]) <= 1.1e-3f * most);
}

TEST_CASE("zeros, constants and single outputs") {
  CHECK(found<BitPlanes>(Floats(4096, 0.0f), {16, 256}).counts == std::vector<uint8_t>(16, 0));
  CHECK(found<BitPlanes>(Floats(4096, -0.0f), {16, 256}).alphas.empty());
  CHECK(found<BitPlanes>(Floats(4096, 0.3f), {16, 256}).signs == std::vector<uint8_t>(4096, 1));
  CHECK(!find({0.5f}, {1, 1}));
  CHECK(!find({1, -1, 1, 1}, {2, 2}));
}

}  // namespace
