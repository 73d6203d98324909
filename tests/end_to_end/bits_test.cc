// Networks of packed bits from the graph to the runtime: what the file computes is what the
// interpreter says, to the bit, for every batch, number of threads and instruction set.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "kernels/isa.h"
#include "tests/support/run_file.h"

namespace {

using namespace qrt;  // NOLINT: a test

class Text {
 public:
  explicit Text(uint32_t seed) : random_(seed) {}
  int between(int lo, int hi) {
    return lo + static_cast<int>((random_() >> 4) % static_cast<uint32_t>(hi - lo + 1));
  }
  template <class... Parts>
  void line(const Parts&... parts) {
    (void)std::initializer_list<int>{(text_ += parts, 0)...};
    text_ += "\n";
  }
  static std::string str(int v) { return std::to_string(v); }

  // Constants of a layer of signs: %w<i>, and %t<i> with `count` thresholds per output.
  void layer(int i, int outputs, const std::string& shape, int inputs, int count, bool signs) {
    std::string w, s, t;
    for (int k = 0; k < outputs * inputs; ++k)
      w += str(signs ? 2 * between(0, 1) - 1 : between(-3, 3)) + ",";
    for (int n = 0; n < outputs; ++n) {
      s += "0.125,";
      int at = between(-inputs / 2, inputs / 2);
      for (int k = 0; k < count; ++k, at += between(0, 3)) t += str(at) + ",";
    }
    w.pop_back(), s.pop_back();
    line("const %w", str(i), ": f32[", str(outputs), shape, "] = integers {", w, "} scales {", s,
         "}");
    if (count == 0) return;
    t.pop_back();
    line("const %t", str(i), ": i32[", str(outputs), ",", str(count), "] = {", t, "}");
  }
  const std::string& text() const { return text_; }

 private:
  std::mt19937 random_;
  std::string text_;
};

// Bytes, bits by thresholds, maxima, a convolution of bits to bytes, bits again, scores.
std::string network(uint32_t seed, int c, int mid) {
  Text t(seed);
  const auto s = [](int v) { return std::to_string(v); };
  t.line("graph g");
  t.line("input %x: f32[N,8,6,", s(c), "]");
  t.layer(0, mid, "," + s(c) + ",3,3", c * 9, 1, false);
  t.layer(1, mid, "," + s(mid) + ",3,3", mid * 9, 3, true);
  t.layer(2, 20, "," + s(12 * mid), 12 * mid, 1, true);
  t.layer(3, 7, ",20", 20, 0, true);
  t.line("const %b: f32[7] = {1, -2, 0.5, 0, 3, 4, 5}");
  const std::string conv = " {kernel=[3,3], pad=[1,1,1,1], layout=nhwc, thresholds=true";
  t.line("node q = quantize(%x) -> %q: f32[N,8,6,", s(c), "] bytes(0.25, 128)");
  t.line("node c0 = conv2d(%q, %w0, %t0)", conv, "} -> %a: f32[N,8,6,", s(mid), "] bits(1)");
  t.line(
      "node p = pool2d(%a) {mode=max, kernel=[2,2], stride=[2,2], layout=nhwc} -> %p: f32[N,4,3,",
      s(mid), "] bits(1)");
  t.line("node c1 = conv2d(%p, %w1, %t1)", conv, ", first=3, step=2} -> %d: f32[N,4,3,", s(mid),
         "] bytes(0.5, 6)");
  t.line("node e = quantize(%d) -> %e: f32[N,4,3,", s(mid), "] bits(0.75)");
  t.line("node r = reshape(%e) {dims=[1,", s(12 * mid), "]} -> %r: f32[N,", s(12 * mid),
         "] bits(0.75)");
  t.line("node l2 = linear(%r, %w2, %t2) {thresholds=true} -> %f: f32[N,20] bits(2)");
  t.line("node l3 = linear(%f, %w3, %b) {bias=true} -> %y: f32[N,7]");
  t.line("output %y");
  return t.text();
}

void check(const std::string& text, int64_t c) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  const auto sound = ir::verify(*g);
  REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
  const auto file = emit::emit(*g, {});
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  std::mt19937 random(9);
  for (const int64_t batch : {1, 3}) {
    eval::Tensor x{ir::ElementType::f32, {batch, 8, 6, c}, {}, {}};
    for (int64_t i = 0; i < batch * 48 * c; ++i)
      x.data.push_back(static_cast<float>(random() >> 8) / 262144.0f - 32.0f);
    const auto want = eval::evaluate(*g, std::vector<eval::Tensor>{x});
    REQUIRE(want.ok());
    const auto got = testing::run_file(*file, {x}, static_cast<uint32_t>(batch));
    CHECK(got.at(0).data == (*want)[0].data);
  }
}

TEST_CASE("bits: networks run as the interpreter says") {
  for (const int mid : {5, 64, 70})
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(mid);
      CAPTURE(seed);
      check(network(seed, 3, mid), 3);
    }
}

}  // namespace
