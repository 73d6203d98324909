// What method pq writes is what libqrt computes: networks coded with every kind of
// entry, one to four books and odd sizes, through the finished file, against the
// same network with its weights replaced by decode().
#include <doctest/doctest.h>

#include <string>
#include <variant>

#include "converter/base/text.h"
#include "converter/cli/engine.h"
#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "converter/quant/product.h"
#include "converter/quant/random.h"

namespace qrt {
namespace {

ir::Graph network() {
  auto g = ir::parse(R"(graph g
input %x : f32[N,8,6,6]
const %w0 : f32[32,8,3,3] = fill 1
const %b0 : f32[32] = fill 1
const %w1 : f32[40,32,1,1] = fill 1
const %w2 : f32[36,20,3,3] = fill 1
const %w3 : f32[33,324] = fill 1
node a = conv2d(%x, %w0, %b0) {kernel=[3,3], pad=[1,1,1,1], bias=true, clamp=[0,none]} -> %h0
node b = conv2d(%h0, %w1) {kernel=[1,1], clamp=[0,6]} -> %h1
node c = conv2d(%h1, %w2) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1], groups=2} -> %h2
node flat = reshape(%h2){dims=[1,324]} -> %h3
node d = linear(%h3, %w3) -> %y
output %y
)");
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  quant::Random r(3);
  for (ir::Constant& c : g->constants)
    for (float& v : c.data) v = 0.2f * static_cast<float>(r.normal());
  return *g;
}

std::vector<eval::Tensor> images(int64_t rows) {
  quant::Random r(4);
  eval::Tensor x;
  x.shape = {rows, 8, 6, 6};
  for (int64_t i = 0; i < rows * 8 * 36; ++i) x.data.push_back(static_cast<float>(r.normal()));
  return {x};
}

// The network that the codes mean, with dense weights.
ir::Graph decoded(ir::Graph g) {
  for (ir::Value& v : g.values) {
    if (v.constant < 0 || !g.constants[v.constant].encoding) continue;
    ir::Constant& c = g.constants[v.constant];
    int64_t inputs = 1;
    for (size_t i = 1; i < v.shape.size(); ++i) inputs *= v.shape[i];
    c.data = quant::decode(*c.encoding, v.shape[0], inputs);
    c.encoding = nullptr;
  }
  return g;
}

void check_file(const quant::PqOptions& options) {
  ir::Graph g = network();
  auto report = quant::quantize_pq(g, options, {images(6)});
  REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : report.error().message));
  for (const auto& layer : report->layers) CHECK_MESSAGE(layer.is_encoded, layer.why_not);
  size_t coded = 0;
  for (const ir::Constant& c : g.constants) {
    if (!c.encoding) continue;
    const auto& book = std::get<quant::Codebook>(*c.encoding);
    CHECK(book.books == options.books);
    CHECK(book.entry == options.entries);
    ++coded;
  }
  CHECK(coded == 4);
  const auto inputs = images(2);
  auto want = eval::evaluate(decoded(g), inputs);
  REQUIRE(want.ok());
  REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
  auto file = lower::lower(g);
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  auto bytes = emit::emit(*file, {});
  REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
  const auto got = cli::run_file(*bytes, "test", inputs);
  CHECK(cli::relative_error(got, *want) < 1e-5);
}

TEST_CASE("pq: files of every kind of entry and number of books compute what decode() says") {
  using quant::EntryType;
  for (const EntryType entry : {EntryType::f32, EntryType::f16, EntryType::i8})
    for (const int32_t books : {1, 2, 3, 4})
      for (const int32_t centroids : {5, 16, 256}) {
        if (entry != EntryType::i8 && centroids != 16) continue;  // the others differ less
        CAPTURE(static_cast<int>(entry));
        CAPTURE(books);
        CAPTURE(centroids);
        quant::PqOptions o;
        o.entries = entry, o.books = books, o.iterations = 2, o.skip_first = false;
        o.centroids_conv = o.centroids_fc = centroids;
        check_file(o);
      }
}

TEST_CASE("pq: files of other block lengths, Gram matrices and clippings") {
  quant::PqOptions o;
  o.entries = quant::EntryType::i8, o.books = 2, o.iterations = 2, o.skip_first = false;
  o.block_3x3 = 5, o.block_1x1 = 8, o.block_fc = 7;  // whole kernels only where they fit
  o.gram = quant::GramKind::per_block, o.clip = quant::Clip::paper;
  check_file(o);
  o.books = 1, o.block_3x3 = 18, o.block_fc = 16;
  o.centroids_fc = 700;
  check_file(o);
}

}  // namespace
}  // namespace qrt
