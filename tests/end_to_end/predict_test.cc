// Times of a file on this machine: what is told about them, never how large they are.
#include "converter/cli/predict.h"

#include <doctest/doctest.h>

#include "converter/cli/convert.h"
#include "runtime/tools/io/error.h"

using namespace qrt;
using cli::LayerTime;

namespace {

LayerTime layer(const char* name, bool coded, double ms, double dense) {
  return {name, "conv2d", "kernel", "", coded, ms, dense};
}

}  // namespace

TEST_CASE("predict: warns of coded layers that are clearly slower, and of no others") {
  const auto warnings = cli::slower_than_dense({
      layer("slow", true, 0.30, 0.20),
      layer("fast", true, 0.20, 0.30),
      layer("noise", true, 0.21, 0.20),
      layer("tiny", true, 0.003, 0.0015),
      layer("dense", false, 0.30, 0.20),
  });
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("slow: coded it takes 0.300 ms on this CPU, dense 0.200 ms") == 0);
  CHECK(warnings[0].find("1.50 x") != std::string::npos);
}

TEST_CASE("predict: a converted model has a time for every operator, coded or not") {
  cli::ConvertOptions o;
  o.model = std::string(QRT_SOURCE_DIR) + "/examples/demo/model.onnx";
  o.method = "pq";
  o.dry_run = true;
  const cli::Converted c = cli::convert(o);
  REQUIRE(c.times.size() >= c.sizes.layers.size());
  size_t coded = 0;
  for (const LayerTime& t : c.times) {
    CAPTURE(t.name);
    CHECK(t.ms > 0);
    CHECK(t.dense_ms > 0);
    CHECK(t.is_coded == !t.choice.empty());  // only coded layers have a choice of strategies
    coded += t.is_coded;
  }
  CHECK(coded > 3);
  const std::string table = cli::size_table(c.sizes, c.times);
  CHECK(table.find("dense ms") != std::string::npos);
  CHECK(table.find("other operators") != std::string::npos);
  CHECK(cli::size_table(c.sizes).find(" ms") == std::string::npos);
}

TEST_CASE("predict: a file that cannot be opened is refused with its name") {
  const std::vector<uint8_t> junk(100, 7);
  try {
    cli::time_layers(junk, "junk.qrt", 0);
    FAIL("accepted");
  } catch (const io::ToolError& e) {
    CHECK(std::string(e.what()).find("junk.qrt") == 0);
  }
}
