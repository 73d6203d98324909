// Checkpoints onto graphs: by name, by order, with fused batch norms, refused when
// the two do not belong together; and the published networks against their logits.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "converter/base/file.h"
#include "converter/eval/evaluate.h"
#include "converter/import/checkpoint.h"
#include "converter/import/onnx.h"

using namespace qrt;
using import::Checkpoint;
using import::Parameter;

namespace {

Parameter dense(std::vector<int64_t> shape, float first) {
  Parameter p;
  size_t n = 1;
  for (const int64_t d : shape) n *= static_cast<size_t>(d);
  for (size_t i = 0; i < n; ++i) p.values.push_back(first + 0.25f * static_cast<float>(i % 7));
  p.shape = std::move(shape);
  return p;
}

// 4 outputs of 2 x 9 inputs: one block an input channel.
Parameter coded(int dim = 9, int blocks = 2) {
  quant::Codebook c;
  c.count = 2;
  c.dim = dim;
  c.entries.assign(static_cast<size_t>(2 * dim), 0.5f);
  for (int i = 0; i < 4 * blocks; ++i) c.codes.push_back(static_cast<uint16_t>(i % 2));
  Parameter p;
  p.outputs = 4;
  p.inputs = dim * blocks;
  p.encoding = std::make_shared<quant::Encoding>(std::move(c));
  return p;
}

Checkpoint checkpoint(std::vector<std::pair<std::string, Parameter>> parameters) {
  Checkpoint c;
  size_t place = 0;
  for (auto& [name, p] : parameters) {
    p.place = place++;
    c.parameters[name] = std::move(p);
  }
  return c;
}

ir::Graph graph(const std::string& text) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  return *g;
}

// conv -> batch norm -> 1x1 conv with bias; `n` names the parameters.
std::string net(const char* conv, const char* bn, const char* head) {
  const auto name = [](const char* base, const char* part) {
    return "%" + std::string(base) + part;
  };
  std::string t = "graph g\ninput %x : f32[N,2,5,5]\n";
  t += "const " + name(conv, ".weight") + " : f32[4,2,3,3] = fill 0\n";
  for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
    t += "const " + name(bn, part) + " : f32[4] = fill 1\n";
  t += "const " + name(head, ".weight") + " : f32[3,4,1,1] = fill 0\n";
  t += "const " + name(head, ".bias") + " : f32[3] = fill 0\n";
  t += "node a = conv2d(%x, " + name(conv, ".weight") + "){kernel=[3,3]} -> %a\n";
  t += "node b = batch_norm(%a, " + name(bn, ".weight") + ", " + name(bn, ".bias") + ", " +
       name(bn, ".running_mean") + ", " + name(bn, ".running_var") + ") -> %b\n";
  t += "node c = conv2d(%b, " + name(head, ".weight") + ", " + name(head, ".bias") +
       "){kernel=[1,1], bias=true} -> %c\noutput %c\n";
  return t;
}

Checkpoint weights(bool statistics = true) {
  std::vector<std::pair<std::string, Parameter>> p = {{"conv1.weight", coded()},
                                                      {"bn1.weight", dense({4}, 1)},
                                                      {"bn1.bias", dense({4}, 2)},
                                                      {"head.weight", dense({3, 4, 1, 1}, -1)},
                                                      {"head.bias", dense({3}, 5)}};
  if (statistics) {
    p.push_back({"bn1.running_mean", dense({4}, 0.5f)});
    p.push_back({"bn1.running_var", dense({4}, 3)});
  }
  return checkpoint(std::move(p));
}

std::vector<float> run(const ir::Graph& g) {
  eval::Tensor x;
  x.shape = {1, 2, 5, 5};
  for (int i = 0; i < 50; ++i) x.data.push_back(std::sin(static_cast<float>(i)));
  auto y = eval::evaluate(g, std::span(&x, 1));
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return (*y)[0].data;
}

std::string refused(ir::Graph g, const Checkpoint& c, int id) {
  const std::string before = ir::print(g);
  const auto r = import::apply_checkpoint(g, c);
  REQUIRE(!r.ok());
  CHECK(r.error().id == id);
  CHECK(ir::print(g) == before);
  return r.error().message;
}

bool mentions(const std::vector<std::string>& notes, const char* text) {
  for (const auto& n : notes)
    if (n.find(text) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("apply_checkpoint: names decide, codebooks stay codebooks") {
  ir::Graph g = graph(net("conv1", "bn1", "head"));
  auto r = import::apply_checkpoint(g, weights());
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  CHECK(r->weights == 2);
  CHECK(r->codebooks == 1);
  CHECK(r->norms == 1);
  CHECK(r->notes.empty());
  REQUIRE(ir::verify(g).ok());
  const ir::Constant& w = g.constants[g.values[g.nodes[0].in[1]].constant];
  CHECK(w.encoding);
  CHECK(w.source == "checkpoint");
  CHECK(g.values[g.nodes[0].in[1]].name == "conv1.weight");
  CHECK(g.constants[g.values[g.nodes[1].in[4]].constant].data[0] == 3.0f);
  CHECK(g.constants[g.values[g.nodes[2].in[2]].constant].data[0] == 5.0f);
}

TEST_CASE("apply_checkpoint: batch norms without statistics get mean 0, variance 1, and a note") {
  ir::Graph g = graph(net("conv1", "bn1", "head"));
  auto r = import::apply_checkpoint(g, weights(false));
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  CHECK(mentions(r->notes, "no running statistics"));
  CHECK(g.constants[g.values[g.nodes[1].in[3]].constant].data == std::vector<float>(4, 0.0f));
  CHECK(g.constants[g.values[g.nodes[1].in[4]].constant].data == std::vector<float>(4, 1.0f));
}

TEST_CASE("apply_checkpoint: renamed parameters match by order and shape, and it says so") {
  ir::Graph named = graph(net("conv1", "bn1", "head"));
  REQUIRE(import::apply_checkpoint(named, weights()).ok());
  ir::Graph renamed = graph(net("onnx/Conv_1", "onnx/Norm_2", "onnx/Conv_3"));
  auto r = import::apply_checkpoint(renamed, weights());
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  CHECK(mentions(r->notes, "by order and shape"));
  CHECK(mentions(r->notes, "onnx/Conv_1.weight = conv1.weight"));
  CHECK(run(renamed) == run(named));
}

TEST_CASE("apply_checkpoint: constants shared by several batch norms are separated by order") {
  std::string t =
      "graph g\ninput %x : f32[N,4,2,2]\nconst %bn1.weight : f32[4] = fill 1\n"
      "const %bn1.bias : f32[4] = fill 0\n"
      "node a = batch_norm(%x, %bn1.weight, %bn1.bias, %bn1.bias, %bn1.weight) -> %a\n"
      "node b = batch_norm(%a, %bn1.weight, %bn1.bias, %bn1.bias, %bn1.weight) -> %b\n"
      "output %b\n";
  ir::Graph g = graph(t);
  auto r = import::apply_checkpoint(g, checkpoint({{"bn1.weight", dense({4}, 1)},
                                                   {"bn1.bias", dense({4}, 2)},
                                                   {"bn2.weight", dense({4}, 3)},
                                                   {"bn2.bias", dense({4}, 4)}}));
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  CHECK(r->norms == 2);
  CHECK(g.constants[g.values[g.nodes[1].in[1]].constant].data[0] == 3.0f);
  CHECK(g.constants[g.values[g.nodes[0].in[2]].constant].data[0] == 2.0f);
}

TEST_CASE("apply_checkpoint: a fused batch norm comes back as scale and bias") {
  ir::Graph named = graph(net("conv1", "bn1", "head"));
  REQUIRE(import::apply_checkpoint(named, weights()).ok());
  ir::Graph fused = graph(
      "graph g\ninput %x : f32[N,2,5,5]\nconst %w1 : f32[4,2,3,3] = fill 0\n"
      "const %b1 : f32[4] = fill 0\nconst %head.weight : f32[3,4,1,1] = fill 0\n"
      "const %head.bias : f32[3] = fill 0\n"
      "node a = conv2d(%x, %w1, %b1){kernel=[3,3], bias=true} -> %a\n"
      "node c = conv2d(%a, %head.weight, %head.bias){kernel=[1,1], bias=true} -> %c\noutput %c\n");
  auto r = import::apply_checkpoint(fused, weights());
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  CHECK(mentions(r->notes, "fused away"));
  REQUIRE(ir::verify(fused).ok());
  const auto got = run(fused), want = run(named);
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-5));
}

TEST_CASE("apply_checkpoint: what does not belong together is refused, all of it named") {
  const ir::Graph g = graph(net("conv1", "bn1", "head"));
  Checkpoint c = weights();
  c.parameters.erase("head.bias");
  c.parameters["extra.weight"] = dense({9, 9}, 0);
  c.parameters["more.table"] = dense({9}, 0);
  std::string text = refused(g, c, 665);
  for (const char* part : {"head.bias [3]", "extra.weight", "more.table"})
    CHECK(text.find(part) != std::string::npos);
  c = weights();
  c.parameters.erase("bn1.bias");
  CHECK(refused(g, c, 666).find("bn1.weight") != std::string::npos);
  c = weights();
  c.parameters["conv1.weight"] = coded(9, 3);
  CHECK(refused(g, c, 666).find("3 blocks x 9 = 27 inputs") != std::string::npos);
  c.parameters["conv1.weight"] = coded(4, 4);
  CHECK(refused(g, c, 666).find("blocks of 4 do not divide") != std::string::npos);
  c = weights();
  c.parameters["head.weight"] = dense({4, 3, 1, 1}, 0);
  text = refused(g, c, 666);
  CHECK(text.find("head.weight: the checkpoint has [4,3,1,1], the graph [3,4,1,1]") !=
        std::string::npos);
  refused(g, Checkpoint{}, 665);
}

namespace {

// The float data behind the header of a .npy file.
std::vector<float> npy(const std::string& path) {
  auto text = read_file(path, uint64_t{1} << 30, 650);
  REQUIRE(text.ok());
  uint16_t header = 0;
  std::memcpy(&header, text->data() + 8, 2);
  std::vector<float> v((text->size() - 10 - header) / 4);
  std::memcpy(v.data(), text->data() + 10 + header, 4 * v.size());
  return v;
}

// Imports the bare graph, fills it and compares the logits of the first golden image.
void check_logits(const char* onnx, const char* name) {
  CAPTURE(name);
  const char* root = std::getenv("QRT_DATA");
  if (!root) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  const std::string folder = std::string(root) + "/killthebits/";
  auto imported = import::import_onnx(folder + onnx, {});
  REQUIRE_MESSAGE(imported.ok(), imported.error().message);
  auto c = import::read_checkpoint(folder + name + ".pth");
  REQUIRE_MESSAGE(c.ok(), c.error().message);
  auto r = import::apply_checkpoint(imported->graph, *c);
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  CHECK(mentions(r->notes, "no running statistics"));
  CHECK(r->notes.size() == 1);  // every name matched
  REQUIRE(ir::verify(imported->graph).ok());
  const auto images = npy(std::string(root) + "/imagenet/golden_input_nchw_8x3x224x224_f32.npy");
  const auto logits = npy(folder + name + ".golden_logits.npy");
  eval::Tensor x;
  x.shape = {1, 3, 224, 224};
  x.data.assign(images.begin(), images.begin() + 3 * 224 * 224);
  auto y = eval::evaluate(imported->graph, std::span(&x, 1));
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  REQUIRE((*y)[0].data.size() == 1000);
  float worst = 0, largest = 0;
  for (size_t i = 0; i < 1000; ++i) {
    REQUIRE(std::isfinite((*y)[0].data[i]));
    worst = std::max(worst, std::abs((*y)[0].data[i] - logits[i]));
    largest = std::max(largest, std::abs(logits[i]));
  }
  CHECK(worst / largest < 1e-4f);
}

}  // namespace

TEST_CASE("apply_checkpoint: the published networks give their golden logits") {
  check_logits("resnet18_graph.onnx", "resnet18_small_blocks");
  check_logits("resnet18_graph.onnx", "pqf_resnet18");
  check_logits("resnet50_graph.onnx", "resnet50_large_blocks");
}
