// Weights of k-bit codes and sign planes in the file: the runtime opens what is
// emitted, every bit lies where schema/layout.h says, the size report counts
// what is there.
#include <doctest/doctest.h>

#include <random>

#include "converter/base/text.h"
#include "converter/emit/emit.h"
#include "converter/ir/edit.h"
#include "converter/lower/lower.h"
#include "schema/layout.h"
#include "tests/support/opened_file.h"

namespace qrt {
namespace {

using quant::Affine;
using quant::BitPlanes;
using quant::Encoding;
using quant::Table;

struct Shape {
  int64_t outputs, channels, kernel;
  int64_t inputs() const { return channels * kernel * kernel; }
};

// A convolution with these weights, or a linear layer where the kernel is 0.
ir::Graph graph_of(const Encoding& e, Shape s) {
  const bool conv = s.kernel > 0;
  const std::string text =
      conv ? cat("graph g\ninput %x: f32[N,8,8,", s.channels, "]\nconst %w: f32[", s.outputs, ",",
                 s.channels, ",", s.kernel, ",", s.kernel, "] = fill 1\nnode y = conv2d(%x, %w) ",
                 "{kernel=[", s.kernel, ",", s.kernel, "], layout=nhwc} -> %y\noutput %y\n")
           : cat("graph g\ninput %x: f32[N,", s.channels, "]\nconst %w: f32[", s.outputs, ",",
                 s.channels, "] = fill 1\nnode y = linear(%x, %w) -> %y\noutput %y\n");
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  g->constants[0].data.clear();
  g->constants[0].encoding = std::make_shared<const Encoding>(e);
  const auto sound = ir::verify(*g);
  REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
  return *g;
}

struct Emitted {
  Emitted(const Encoding& e, Shape s) : file(bytes_of(graph_of(e, s), &report)) {
    REQUIRE_MESSAGE(file.status.ok(), file.status.id() << " " << file.status.what());
    REQUIRE(file.model.weights.size() == 1);
  }
  static std::vector<uint8_t> bytes_of(const ir::Graph& g, emit::SizeReport* report) {
    auto lowered = lower::lower(g);
    REQUIRE(lowered.ok());
    auto bytes = emit::emit(*lowered, {});
    REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
    *report = emit::size_report(*lowered, bytes->size());
    return *bytes;
  }
  const Weights& weights() const { return file.model.weights[0]; }

  emit::SizeReport report;
  testing::OpenedFile file;
};

uint64_t size_of_numbers(const Constant& c) {
  return uint64_t{c.count} * size_of(c.dtype);
}

std::mt19937& rng() {
  static std::mt19937 r(7);
  return r;
}

int below(int n) {
  return static_cast<int>(rng()() % static_cast<uint32_t>(n));
}

std::vector<float> random_floats(size_t n) {
  std::vector<float> v(n);
  for (float& f : v) f = 0.1f * static_cast<float>(1 + below(1000));
  return v;
}

// Where input c * taps + t of the source stands in the file.
int64_t stored(int64_t i, int64_t taps, int64_t inputs) {
  return i % taps * (inputs / taps) + i / taps;
}

TEST_CASE("affine: codes, zeros and scales as laid out, kh kw cin innermost last") {
  for (const Shape s : {Shape{3, 5, 0}, Shape{4, 3, 3}, Shape{2, 1, 5}, Shape{1, 7, 1}})
    for (int bits = 1; bits <= 8; ++bits) {
      const int64_t inputs = s.kernel == 0 ? s.channels : s.inputs();
      Affine a;
      a.bits = bits;
      a.is_signed = bits % 2 == 0;
      for (int64_t i = 0; i < s.outputs * inputs; ++i)
        a.codes.push_back(
            static_cast<int16_t>(below(1 << bits) - (a.is_signed ? 1 << (bits - 1) : 0)));
      if (bits > 2)
        for (int64_t o = 0; o < s.outputs; ++o)
          a.zero_halves.push_back(static_cast<int16_t>(below(300) - 150));
      a.scales = {quant::ScaleAxis::output, 0, random_floats(static_cast<size_t>(s.outputs))};
      const Emitted e(a, s);
      const Weights& w = e.weights();
      REQUIRE(w.encoding == qrt::Encoding::affine);
      CHECK(w.numerics == Numerics::f32);
      CHECK(w.order == (s.kernel > 0 ? InputOrder::kh_kw_cin : InputOrder::linear));
      CHECK(w.affine.is_signed == a.is_signed);
      REQUIRE(w.affine.bits == static_cast<uint32_t>(bits));
      CHECK(std::vector<int16_t>(w.affine.zero_halves.begin(), w.affine.zero_halves.end()) ==
            a.zero_halves);
      const int64_t taps = std::max<int64_t>(1, s.kernel * s.kernel);
      const uint64_t row = (static_cast<uint64_t>(inputs * bits) + 7) / 8;
      for (int64_t o = 0; o < s.outputs; ++o) {
        CHECK(read_constant(w.affine.scales.values, static_cast<uint32_t>(o)) ==
              a.scales.values[static_cast<size_t>(o)]);
        for (int64_t i = 0; i < inputs; ++i) {
          const int64_t first = stored(i, taps, inputs) * bits;
          int code = 0;  // bit by bit: independent of read_code()
          for (int b = 0; b < bits; ++b) {
            const int64_t at = first + b;
            const uint8_t byte =
                w.affine.codes
                    .data()[static_cast<uint64_t>(o) * row + static_cast<uint64_t>(at / 8)];
            code |= (byte >> (at % 8) & 1) << b;
          }
          if (a.is_signed && code >= 1 << (bits - 1)) code -= 1 << bits;
          CHECK(code == a.codes[static_cast<size_t>(o * inputs + i)]);
        }
      }
      CHECK(e.report.codes == w.affine.codes.size());
      CHECK(e.report.entry_scales ==
            size_of_numbers(w.affine.scales.values) + 2 * w.affine.zero_halves.size());
      CHECK(e.report.layers[0].encoding == cat("affine ", bits, bits == 1 ? " bit" : " bits"));
    }
}

TEST_CASE("table: numbers, offsets, groups of scales keep the source's order") {
  Table t;
  t.bits = 3;
  t.values = random_floats(8);
  for (int i = 0; i < 2 * 18; ++i) t.codes.push_back(static_cast<uint8_t>(below(8)));
  t.scales = {quant::ScaleAxis::group, 9, random_floats(4)};
  t.offset = {0.25f, -3};
  const Shape s{2, 2, 3};
  const Emitted e(t, s);
  const Weights& w = e.weights();
  REQUIRE(w.encoding == qrt::Encoding::table);
  CHECK(w.order == InputOrder::cin_kh_kw);
  CHECK(w.table.scales.axis == qrt::ScaleAxis::group);
  CHECK(w.table.scales.group == 9);
  CHECK(read_constant(w.table.offset, 1) == -3);
  CHECK(read_constant(w.table.values, 5) == t.values[5]);
  for (uint32_t i = 0; i < 36; ++i)
    CHECK(layout::read_code(w.table.codes.data() + i / 18 * 7, i % 18, 3) == t.codes[i]);
  CHECK(e.report.entries == size_of_numbers(w.table.values));

  t.values.clear();
  t.integers = {-300, 1, 2, 3, 4, 5, 6, 32767};
  t.offset.clear();
  t.taps = 9;  // groups run along channels
  t.scales.group = 2;
  t.scales.values = random_floats(18);
  const Emitted f(t, s);
  CHECK(f.weights().order == InputOrder::kh_kw_cin);
  REQUIRE(f.weights().table.integers.size() == 16);
  CHECK(f.weights().table.integers.data()[0] == 0xd4);
  CHECK(f.weights().table.integers.data()[1] == 0xfe);
  CHECK(layout::read_code(f.weights().table.codes.data(), 7, 3) == t.codes[7]);
  CHECK(f.report.entries == 16);
  CHECK(f.report.entry_scales == size_of_numbers(f.weights().table.scales.values));

  // Powers of two take a byte each, the ends of the range included; others near them do not.
  t.scales.values.assign(18, 0x1p-126f);
  t.scales.values[3] = 0x1p127f, t.scales.values[4] = 0x1p-127f, t.scales.values[5] = 1;
  const Emitted g(t, s);
  const Constant& powers = g.weights().table.scales.values;
  CHECK(powers.dtype == DType::u8);
  CHECK(powers.count == 18);
  CHECK(g.report.entry_scales == 18);
  for (uint32_t i = 0; i < 18; ++i) CHECK(read_constant(powers, i) == t.scales.values[i]);
  for (const float other : {1.5f, 0x1p-128f, -1.0f, 0.0f}) {
    t.scales.values[7] = other;
    const Emitted h(t, s);
    CHECK(h.weights().table.scales.values.dtype != DType::u8);
    CHECK(read_constant(h.weights().table.scales.values, 7) == other);
  }
}

BitPlanes random_planes(int64_t outputs, int64_t inputs, int32_t group, bool trits) {
  BitPlanes p;
  p.group = group;
  p.ternary5 = trits;
  const int64_t each = group == 0 ? inputs : group;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t first = 0; first < inputs; first += each) {
      const int count = below(trits ? 2 : 4);
      p.counts.push_back(static_cast<uint8_t>(count));
      for (int64_t i = 0; i < count * std::min(each, inputs - first); ++i)
        p.signs.push_back(static_cast<uint8_t>(below(trits ? 3 : 2)));
    }
  size_t alphas = 0;
  for (const uint8_t c : p.counts) alphas += c;
  p.alphas = random_floats(alphas);
  return p;
}

TEST_CASE("bit planes: rows of words, groups of bytes, trits") {
  for (const bool trits : {false, true})
    for (const int64_t inputs : {1, 5, 9, 63, 64, 65, 130})
      for (const int32_t group : {0, 1, 5, 9, 64}) {
        if (group > inputs) continue;
        const int64_t outputs = 3;
        const BitPlanes p = random_planes(outputs, inputs, group, trits);
        const Emitted e(p, {outputs, inputs, 0});
        const Weights& w = e.weights();
        REQUIRE(w.encoding == qrt::Encoding::bit_planes);
        CHECK((w.bit_planes.packing == PlanePacking::ternary5) == trits);
        CHECK(e.report.codes == w.bit_planes.counts.size() + w.bit_planes.planes.size());
        const uint8_t* at = w.bit_planes.planes.data();
        const bool follow = group != 0 && !trits;  // bit after bit, all of them
        size_t sign = 0, g = 0;
        const int64_t each = group == 0 ? inputs : group;
        for (int64_t o = 0; o < outputs; ++o)
          for (int64_t first = 0; first < inputs; first += each, ++g)
            for (int plane = 0; plane < p.counts[g]; ++plane) {
              const int64_t width = std::min(each, inputs - first);
              for (int64_t k = 0; k < width; ++k, ++sign) {
                constexpr int kPower[] = {1, 3, 9, 27, 81};
                const auto bit = follow ? sign : static_cast<size_t>(k);
                CHECK((trits ? at[k / 5] / kPower[k % 5] % 3 : at[bit / 8] >> (bit % 8) & 1) ==
                      p.signs[sign]);
              }
              if (!follow) at += trits ? (width + 4) / 5 : (width + 63) / 64 * 8;
            }
        if (follow) at += (sign + 7) / 8;
        CHECK(at == w.bit_planes.planes.data() + w.bit_planes.planes.size());
      }
}

// The whole file of one layer against what its weights say: bits of codes, f32 scales. A trit is
// 1.6 bits, five in eight.
void check_size(const Encoding& e, Shape s, double bits, size_t scales) {
  const Emitted emitted(e, s);
  const double weights = static_cast<double>(s.outputs * s.channels);
  const double information = bits / 8 * weights + 4 * static_cast<double>(scales);
  CHECK_MESSAGE(static_cast<double>(emitted.report.file_bytes) <= 1.01 * information + 2048,
                quant::describe(e) << " of " << s.outputs << " x " << s.channels << ": "
                                   << emitted.report.file_bytes << " bytes for " << information);
}

TEST_CASE("files take one per cent and 2 KB more than codes and scales say") {
  for (const Shape s : {Shape{512, 4608, 0}, Shape{64, 576, 0}, Shape{256, 1152, 0},
                        Shape{1000, 512, 0}, Shape{100, 75, 0}, Shape{10, 64, 0}}) {
    const auto outputs = static_cast<size_t>(s.outputs);
    const std::vector<float> scales = random_floats(outputs);
    const auto weights = static_cast<size_t>(s.outputs * s.channels);
    for (int bits = 1; bits <= 7; ++bits) {
      Affine a;
      a.bits = bits;
      for (size_t i = 0; i < weights; ++i)
        a.codes.push_back(static_cast<int16_t>(below(1 << bits)));
      a.zero_halves = {static_cast<int16_t>((1 << bits) - 1)};
      a.scales = {quant::ScaleAxis::output, 0, scales};
      check_size(a, s, bits, outputs);
    }
    for (const bool trits : {false, true}) {
      BitPlanes p;
      p.ternary5 = trits;
      p.counts.assign(outputs, 1);
      for (size_t i = 0; i < weights; ++i)
        p.signs.push_back(static_cast<uint8_t>(below(trits ? 3 : 2)));
      p.alphas = scales;
      check_size(p, s, trits ? 1.6 : 1, outputs);
    }
    // Lists of planes: a count for each group is part of what is to be said. Groups may be the 9
    // weights of a kernel.
    for (const int32_t group : {3, 9, 25, 64, 100, 128}) {
      if (group > s.channels) continue;
      const BitPlanes p = random_planes(s.outputs, s.channels, group, false);
      const double signs = static_cast<double>(p.signs.size() + 8 * p.counts.size());
      check_size(p, s, signs / static_cast<double>(weights), p.alphas.size());
    }
  }
}

TEST_CASE("a layer of bytes sums integers, one of floats does not, of the same weights") {
  const std::string text =
      "graph g\ninput %x: f32[N,4]\n"
      "const %w: f32[2,4] = affine {bits=2, signed=true} codes {-1, 0, 1, 1, 1, 1, 0, -1} "
      "scales output {0.5, 2}\n"
      "node q = quantize(%x) -> %q: f32[N,4] bytes(0.5, 128)\n"
      "node a = linear(%q, %w) -> %a: f32[N,2]\n"
      "node b = linear(%x, %w) -> %b: f32[N,2]\n"
      "output %a, %b\n";
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  CHECK(ir::parse(ir::print(*g)).ok());
  const auto sound = ir::verify(*g);
  REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
  const auto bytes = emit::emit(*g, {});
  REQUIRE(bytes.ok());
  const testing::OpenedFile f(*bytes);
  REQUIRE_MESSAGE(f.status.ok(), f.status.id() << " " << f.status.what());
  REQUIRE(f.model.weights.size() == 2);
  CHECK(f.model.weights[0].numerics == Numerics::exact);
  CHECK(f.model.weights[1].numerics == Numerics::f32);
}

}  // namespace
}  // namespace qrt
