// The interpreter on bytes and integers, against numbers worked out by hand from
// schema/README.md, Numerics.
#include <doctest/doctest.h>

#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "tests/support/run_file.h"

namespace qrt {
namespace {

std::vector<float> run(const std::string& text, std::vector<int64_t> shape, std::vector<float> x) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  const auto good = ir::verify(*g);
  REQUIRE_MESSAGE(good.ok(), (good.ok() ? "" : good.error().message));
  CHECK(ir::print(*ir::parse(ir::print(*g))) == ir::print(*g));
  const std::vector<eval::Tensor> in = {{ir::ElementType::f32, std::move(shape), std::move(x), {}}};
  auto y = eval::evaluate(*g, in);
  REQUIRE_MESSAGE(y.ok(), (y.ok() ? "" : y.error().message));
  return (*y)[0].data;
}

using Floats = std::vector<float>;

TEST_CASE("integers: bytes round to even and saturate, sums are exact") {
  const std::string text = R"(graph g
input %x: f32[N,2]
const %w: f32[2,2] = integers {3, -2, 127, 127} scales {0.5, 1}
const %b: f32[2] = {1, 0}
node q = quantize(%x) -> %xq: f32[N,2] bytes(0.25, 10)
node fc = linear(%xq, %w, %b) {bias=true} -> %y: f32[N,2]
output %y
)";
  // 1.1 / 0.25 = 4.4, -0.6 / 0.25 = -2.4: 3 * 4 + 2 * 2 = 16, times 0.25 * 0.5, plus 1.
  CHECK(run(text, {1, 2}, {1.1f, -0.6f}) == Floats{3, 63.5f});
  // 0.625 is 2.5 steps: 2. 100 saturates at (255 - 10) steps, -100 at -10.
  CHECK(run(text, {2, 2}, {0.625f, 0, 100, -100}) ==
        Floats{1 + 0.75f, 63.5f, 1 + 0.125f * (3 * 245 + 20), 0.25f * 127 * 235});
}

TEST_CASE("integers: a quantized output is clamped in steps, residuals are added before") {
  const std::string text = R"(graph g
input %x: f32[N,1]
const %w: f32[1,1] = integers {2} scales {1}
node q = quantize(%x) -> %xq: f32[N,1] bytes(1, 100)
node a = linear(%xq, %w, %xq) {residual=true, clamp=[0,none]} -> %a: f32[N,1] bytes(2, 0)
node f = quantize(%a) -> %y: f32[N,1]
output %y
)";
  // 3 x in steps of 2: 7.5 rounds to 8, 10.5 to 10; the clamp cuts at 0, the byte at 255.
  CHECK(run(text, {4, 1}, {5, 7, -9, 150}) == Floats{16, 20, 0, 450});
}

// How many outputs of the interpreter and of the engine differ.
int64_t off_engine(const std::string& text, const std::vector<eval::Tensor>& in) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  const auto file = emit::emit(*g, {});
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  const auto want = eval::evaluate(*g, in);
  REQUIRE_MESSAGE(want.ok(), (want.ok() ? "" : want.error().message));
  const auto got = testing::run_file(*file, in);
  REQUIRE(got[0].data.size() == (*want)[0].data.size());
  int64_t off = 0;
  for (size_t i = 0; i < got[0].data.size(); ++i) off += got[0].data[i] != (*want)[0].data[i];
  return off;
}

// Every pair of bytes. Where a sum or an average lies in the middle of two levels, the order of the
// f32 operations decides, and that is the engine's.
TEST_CASE("integers: sums and averages of bytes are rounded as the engine does") {
  eval::Tensor a{ir::ElementType::f32, {1, 1, 65536}, {}, {}}, b = a;
  eval::Tensor both{ir::ElementType::f32, {1, 2, 1, 65536}, {}, {}};
  for (int i = 0; i < 65536; ++i) {
    a.data.push_back(0.03f * static_cast<float>(i % 256 - 9));
    b.data.push_back(0.09f * static_cast<float>(i / 256 - 120));
  }
  both.data = a.data;
  for (int i = 0; i < 65536; ++i) both.data.push_back(0.03f * static_cast<float>(i / 256 - 9));
  CHECK(off_engine(R"(graph g
input %a: f32[1,1,65536]
input %b: f32[1,1,65536]
node qa = quantize(%a) -> %aq: f32[1,1,65536] bytes(0.03, 9)
node qb = quantize(%b) -> %bq: f32[1,1,65536] bytes(0.09, 120)
node s = binary(%aq, %bq) -> %s: f32[1,1,65536] bytes(0.06, 100)
node f = quantize(%s) -> %y: f32[1,1,65536]
output %y
)",
                   {a, b}) == 0);
  CHECK(off_engine(R"(graph g
input %x: f32[1,2,1,65536]
node q = quantize(%x) -> %xq: f32[1,2,1,65536] bytes(0.03, 9)
node p = pool2d(%xq) {mode=average, global=true, layout=nhwc} -> %p: f32[1,1,1,65536] bytes(0.05, 3)
node f = quantize(%p) -> %y: f32[1,1,1,65536]
output %y
)",
                   {both}) == 0);
}

TEST_CASE("integers: a convolution pads with the zero; layouts agree") {
  for (const char* layout : {"nchw", "nhwc"}) {
    const bool nchw = std::string(layout) == "nchw";
    const std::string text = std::string("graph g\ninput %x: f32[N,") +
                             (nchw ? "1,2,3]" : "2,3,1]") +
                             "\nconst %w: f32[1,1,1,3] = integers {1, 10, 100} scales {1}\n"
                             "node q = quantize(%x) -> %xq: f32[N," +
                             (nchw ? "1,2,3]" : "2,3,1]") +
                             " bytes(1, 7)\nnode c = conv2d(%xq, %w) {kernel=[1,3], "
                             "pad=[0,1,0,1], layout=" +
                             layout + "} -> %y\noutput %y\n";
    CHECK(run(text, nchw ? std::vector<int64_t>{1, 1, 2, 3} : std::vector<int64_t>{1, 2, 3, 1},
              {1, 2, 3, 4, 5, 6}) == Floats{210, 321, 32, 540, 654, 65});
  }
}

const char* const kCoded = R"(graph g
input %x: f32[N,4]
const %w: f32[2,4] = codebook {count=2, dim=2, entry=f32} entries {1, -0.3, 0.6, 8} codes {0, 1, 1, 1} levels {0.5, 0.01} level_of {0, 1}
node q = quantize(%x) -> %xq: f32[N,4] bytes(1, 0)
node fc = linear(%xq, %w) -> %y: f32[N,2]
output %y
)";

TEST_CASE("integers: entries are rounded to the level of their output") {
  // Level 0.5: {2, -1}, {1, 16}; level 0.01 cuts 8 down to 1.27. Blocks: output 0 has entries 0
  // and 1, output 1 entry 1 twice.
  CHECK(run(kCoded, {1, 4}, {1, 2, 3, 4}) ==
        Floats{0.5f * (2 - 2 + 3 + 64), 0.01f * (60 + 2 * 127 + 180 + 4 * 127)});
}

TEST_CASE("integers: rounded tables round each block's product") {
  const std::string text = R"(graph g
input %x: f32[N,4]
const %w: f32[2,4] = codebook {count=2, dim=2, entry=f32} entries {100, 20, -127, 5} codes {0, 1, 1, 1} levels {1} tables (7, 6)
node q = quantize(%x) -> %xq: f32[N,4] bytes(1, 0)
node fc = linear(%xq, %w) -> %y: f32[N,2]
output %y
)";
  // Blocks (9, 3) and (200, 1): 960 -> 15, -25395 -> -64 (cut); -1128 -> -18 (17.6 rounds so).
  CHECK(run(text, {1, 4}, {9, 3, 200, 1}) == Floats{64 * (15 - 64), 64 * (-18 - 64)});
  // Halves go up: 32 / 64 to 1, -32 / 64 to 0.
  CHECK(run(text, {1, 4}, {0, 0, 0, 0}) == Floats{0, 0});
}

TEST_CASE("integers: what the runtime would refuse is no sound graph") {
  const std::string head =
      "graph g\ninput %x: f32[N,2]\nconst %w: f32[2,2] = integers {3, -2, 1, 1} scales {1, 1}\n";
  const char* const bad[] = {
      "node fc = linear(%x, %w) -> %y: f32[N,2]\noutput %y\n",
      "node q = quantize(%x) -> %y: f32[N,2]\noutput %y\n",
      "node q = quantize(%x) -> %y: f32[N,2] bytes(1, 0)\noutput %y\n",
      "node q = quantize(%x) -> %q: f32[N,2] bytes(1, 0)\nnode u = unary(%q) {op=exp} -> "
      "%y\noutput %y\n",
      "node q = quantize(%x) -> %q: f32[N,2] bytes(-1, 0)\nnode fc = linear(%q, %w) -> "
      "%y\noutput %y\n",
      "node q = quantize(%x) -> %q: f32[N,2] bytes(1, 256)\nnode fc = linear(%q, %w) -> "
      "%y\noutput %y\n",
      "node q = quantize(%x) -> %q: f32[N,2] bytes(1, 0)\nnode t = transpose(%q) {perm=[0,1]} -> "
      "%t: f32[N,2] bytes(2, 0)\nnode fc = linear(%t, %w) -> %y\noutput %y\n",
  };
  for (const char* rest : bad) {
    CAPTURE(rest);
    auto g = ir::parse(head + rest);
    REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
    CHECK(!ir::verify(*g).ok());
  }
}

}  // namespace
}  // namespace qrt
