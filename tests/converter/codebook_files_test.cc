// The published networks spelled as Gather(codebook, codes), through the whole
// converter: the bytes they must take, and the very weights they must mean,
// read back from the finished file.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "converter/base/file.h"
#include "converter/base/half.h"
#include "converter/emit/emit.h"
#include "converter/import/onnx.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "schema/layout.h"
#include "tests/support/opened_file.h"
#include "tests/support/real_data.h"

namespace qrt {
namespace {

struct Golden {
  std::string layer;  // of its weight tensor, without ".weight"
  uint32_t count, dim, blocks, outputs;
  std::string sha256;  // first 16 digits, over the f16 bytes of the weights in OIHW order
};

struct Network {
  std::string file;
  size_t layers;                                      // compressed ones
  uint64_t index_bytes, centroid_bytes, total_bytes;  // as published, other data at f32
  std::vector<Golden> golden;
};

const Network kNetworks[] = {
    {"killthebits/resnet18_small_blocks.codebook.onnx",
     20,
     1439616,
     96256,
     1615904,
     {{"layer1.0.conv1", 256, 9, 64, 64, "356a6331a0ff5bbe"},
      {"layer2.0.downsample.0", 256, 4, 16, 128, "81cdc15218164c58"},
      {"layer4.1.conv2", 256, 9, 512, 512, "00e746f34849e19e"},
      {"fc", 2048, 4, 128, 1000, "60b68e956382db8d"}}},
    {"killthebits/resnet50_large_blocks.codebook.onnx",
     53,
     2784640,
     300032,
     3338784,
     {{"layer1.0.conv1", 64, 8, 8, 64, "2a06d47470d1eae6"},
      {"layer3.0.conv2", 256, 18, 128, 256, "fef2481d05129eff"},
      {"layer4.2.conv3", 256, 8, 64, 2048, "ae2e73e4ae6fbe9b"},
      {"fc", 1024, 4, 512, 1000, "64a5546e3fd0c59a"}}},
};

// The f16 bytes of the matrix [outputs][inputs] that an opened codebook means.
std::string decoded_halves(const Weights& w) {
  const CodebookWeights& c = w.codebook;
  const uint64_t row_bytes = layout::codebook_row_bytes(w.outputs, c.code_bits);
  std::string halves(size_t{2} * w.outputs * w.inputs, '\0');
  for (uint32_t o = 0; o < w.outputs; ++o) {
    for (uint32_t i = 0; i < w.inputs; ++i) {
      const uint32_t code =
          layout::read_code(c.codes.data() + i / c.dim * row_bytes, o, c.code_bits);
      std::memcpy(halves.data() + 2 * (size_t{o} * w.inputs + i),
                  c.entries.data() + 2 * (size_t{code} * c.dim + i % c.dim), 2);
    }
  }
  return halves;
}

void check_weights(const Weights& w, const Golden& want) {
  CAPTURE(want.layer);
  REQUIRE(w.encoding == Encoding::codebook);
  CHECK(w.codebook.entry == DType::f16);
  CHECK(w.codebook.count == want.count);
  CHECK(w.codebook.dim == want.dim);
  CHECK(w.outputs == want.outputs);
  CHECK(w.inputs == want.blocks * want.dim);
  const std::string halves = decoded_halves(w);
  CHECK(sha256_hex(halves.data(), halves.size()).substr(0, 16) == want.sha256);
}

void check_network(const Network& want) {
  CAPTURE(want.file);
  auto imported = import::import_onnx(test::real_data(want.file), {});
  REQUIRE_MESSAGE(imported.ok(), (imported.ok() ? "" : imported.error().message));
  ir::Graph& g = imported->graph;
  REQUIRE(passes::run_pipeline(g, passes::prepare_passes()).ok());
  REQUIRE(passes::run_pipeline(g, passes::layout_passes()).ok());
  CHECK(g.notes.empty());
  // One transpose at the input; the pool's result needs none. Every sum is a residual.
  const auto count = [&]<class Op>(Op) {
    return std::count_if(g.nodes.begin(), g.nodes.end(),
                         [](const ir::Node& n) { return std::holds_alternative<Op>(n.attr); });
  };
  CHECK(count(ir::Transpose{}) == 1);
  CHECK(count(ir::Binary{}) == 0);
  CHECK(count(ir::Affine{}) == 0);
  CHECK(count(ir::Unary{}) == 0);

  auto file = lower::lower(g);
  REQUIRE(file.ok());
  auto bytes = emit::emit(*file, {});
  REQUIRE(bytes.ok());
  const emit::SizeReport size = emit::size_report(*file, bytes->size());
  CHECK(size.codes == want.index_bytes);
  CHECK(size.entries == want.centroid_bytes);
  CHECK(static_cast<double>(bytes->size()) <= 1.01 * static_cast<double>(want.total_bytes));
  MESSAGE(want.file << ": " << bytes->size() << " bytes, published " << want.total_bytes);

  const testing::OpenedFile opened(*bytes);
  REQUIRE_MESSAGE(opened.status.ok(), opened.status.id() << " " << opened.status.what());
  std::map<std::string, const Weights*> by_name;
  size_t compressed = 0;
  for (const Weights& w : opened.model.weights) {
    by_name[w.name] = &w;
    compressed += w.encoding == Encoding::codebook;
  }
  CHECK(compressed == want.layers);
  for (const Golden& layer : want.golden) {
    const auto* w = by_name[layer.layer + ".weight"];
    REQUIRE(w != nullptr);
    check_weights(*w, layer);
  }
}

TEST_CASE("published codebook networks: exact bytes, exact weights") {
  if (test::real_data("").empty()) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  for (const Network& network : kNetworks) check_network(network);
}

}  // namespace
}  // namespace qrt
