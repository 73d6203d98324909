// Which weights of a graph are looked at; a published network of codebooks,
// folded to plain floats, comes back at its own size.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/ir/edit.h"
#include "converter/lattice/lattice.h"
#include "converter/passes/layer.h"
#include "converter/passes/pipeline.h"
#include "tests/support/real_data.h"

namespace qrt {
namespace {

std::vector<float> trits(size_t count) {
  std::mt19937 rng(5);
  std::vector<float> v(count);
  for (float& f : v) f = 0.37f * static_cast<float>(static_cast<int>(rng() % 3) - 1);
  return v;
}

void set(ir::Graph& g, const std::string& name, std::vector<float> data) {
  for (const ir::Value& v : g.values)
    if (v.name == name) g.constants[static_cast<size_t>(v.constant)].data = std::move(data);
}

const ir::Constant& constant(const ir::Graph& g, const std::string& name) {
  for (const ir::Value& v : g.values)
    if (v.name == name) return g.constants[static_cast<size_t>(v.constant)];
  FAIL("no value " << name);
  return g.constants[0];
}

TEST_CASE("weights of layers alone, shared ones once, what is coded stays") {
  auto g = ir::parse(
      "graph g\n"
      "input %x: f32[N,16,8,8]\n"
      "input %z: f32[64,64]\n"
      "const %w: f32[32,16,3,3] = fill 1\n"
      "const %d: f32[32,16,3,3] = fill 1\n"
      "const %m: f32[64,64] = fill 1\n"
      "const %c: f32[4,64] = codebook {count=2, dim=4} entries {1, 2, 3, 4, 5, 6, 7, 8} codes fill "
      "1\n"
      "node a = conv2d(%x, %w) {kernel=[3,3]} -> %a\n"
      "node b = conv2d(%x, %w) {kernel=[3,3]} -> %b\n"
      "node r = conv2d(%x, %d) {kernel=[3,3]} -> %r\n"
      "node s = binary(%z, %m) {op=add} -> %s\n"
      "node f = linear(%s, %m) -> %f\n"
      "node e = linear(%f, %c) -> %e\n"
      "output %a, %b, %r, %e\n");
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  std::mt19937 rng(3);
  std::vector<float> floats(32 * 144);
  for (float& f : floats) f = static_cast<float>(rng()) * 0x1p-32f;
  set(*g, "w", trits(32 * 144));
  set(*g, "d", floats);
  set(*g, "m", trits(64 * 64));
  const ir::Graph before = *g;
  CHECK(lattice::recognise(*g, {false, 0}).empty());
  CHECK(ir::print(*g) == ir::print(before));

  const auto found = lattice::recognise(*g, {});
  REQUIRE(found.size() == 1);
  CHECK(found[0].layer == "a");
  CHECK(found[0].encoding == "ternary");
  CHECK(found[0].before == 4 * 32 * 144);
  CHECK(found[0].after < 32 * 144 / 4);
  CHECK(lattice::found_table(found).find("ternary") != std::string::npos);
  CHECK(constant(*g, "w").encoding != nullptr);
  CHECK(constant(*g, "w").source == "lattice");
  CHECK(constant(*g, "d").encoding == nullptr);
  CHECK(constant(*g, "m").encoding == nullptr);  // an operand, too
  CHECK(std::holds_alternative<quant::Codebook>(*constant(*g, "c").encoding));
  const auto sound = ir::verify(*g);
  REQUIRE_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));

  eval::Tensor x, z;
  x.shape = {1, 16, 8, 8}, z.shape = {64, 64};
  x.data.assign(1024, 0.5f), z.data.assign(4096, 2);
  const std::vector<eval::Tensor> in = {x, z};
  auto want = eval::evaluate(before, in), got = eval::evaluate(*g, in);
  REQUIRE(want.ok());
  REQUIRE(got.ok());
  for (size_t i = 0; i < want->size(); ++i) CHECK((*got)[i].data == (*want)[i].data);
}

// The network with what `skip` names left out of the prepare passes.
ir::Graph prepared(const std::string& model, const std::string& skip) {
  auto imported = import::import_onnx(model, {});
  REQUIRE_MESSAGE(imported.ok(), (imported.ok() ? "" : imported.error().message));
  std::vector<ir::Pass> list;
  for (const ir::Pass& p : passes::prepare_passes())
    if (p.name != skip) list.push_back(p);
  const auto done = passes::run_pipeline(imported->graph, list, {});
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
  return std::move(imported->graph);
}

size_t file_bytes(ir::Graph g) {
  const auto done = passes::run_pipeline(g, passes::layout_passes(), {});
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
  auto bytes = emit::emit(g, {});
  REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
  return bytes->size();
}

// Every codebook of the original stands at the same layer again, no larger.
void check_recovered(const std::string& model, size_t layers) {
  const ir::Graph original = prepared(model, "");
  ir::Graph floats = prepared(model, "recognise_codebooks");
  for (const ir::Constant& c : floats.constants) REQUIRE(c.encoding == nullptr);
  const auto start = std::chrono::steady_clock::now();
  const auto found = lattice::recognise(floats, {});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  MESSAGE("recognised ", found.size(), " layers in ", took.count(), " s");
  size_t codebooks = 0;
  for (const ir::Node& n : original.nodes) {
    const ir::Constant* theirs = passes::is_layer(n) ? ir::constant_of(original, n.in[1]) : nullptr;
    if (theirs == nullptr || theirs->encoding == nullptr) continue;
    const auto mine = std::find_if(floats.nodes.begin(), floats.nodes.end(),
                                   [&](const ir::Node& m) { return m.name == n.name; });
    REQUIRE(mine != floats.nodes.end());
    const auto& encoding = ir::constant_of(floats, mine->in[1])->encoding;
    REQUIRE_MESSAGE(encoding != nullptr, n.name);
    const auto& shape = original.values[static_cast<size_t>(n.in[1])].shape;
    const int64_t inputs = ir::element_count(shape) / shape[0];
    const auto bytes = [&](const quant::Encoding& e) {
      const auto b = quant::stored_bytes(e, shape[0], inputs);
      return b.codes + b.entries + b.scales;
    };
    CHECK(std::holds_alternative<quant::Codebook>(*encoding));
    CHECK_MESSAGE(bytes(*encoding) <= bytes(*theirs->encoding), n.name);
    CHECK(quant::decode(*encoding, shape[0], inputs) ==
          quant::decode(*theirs->encoding, shape[0], inputs));
    ++codebooks;
  }
  CHECK(codebooks == layers);
  const size_t mine = file_bytes(floats), theirs = file_bytes(original);
  MESSAGE("file of ", mine, " bytes, of the codebooks as published ", theirs);
  CHECK(mine <= theirs + 64 * layers);
}

TEST_SUITE_BEGIN("long");

TEST_CASE("a ResNet-18 of codebooks, folded to floats, is recovered at its own size") {
  if (test::real_data("").empty()) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  check_recovered(test::real_data("killthebits/resnet18_small_blocks.codebook.onnx"), 20);
}

TEST_CASE("a ResNet-50 of codebooks likewise") {
  if (test::real_data("").empty()) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  check_recovered(test::real_data("killthebits/resnet50_large_blocks.codebook.onnx"), 53);
}

TEST_SUITE_END();

}  // namespace
}  // namespace qrt
