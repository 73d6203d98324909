// The trap of batch norms without statistics: found in a network that has it,
// the published ResNet-18 with its folding undone, and not in one that has not.
#include "converter/import/activation_trap.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>

#include "converter/base/file.h"
#include "converter/import/checkpoint.h"
#include "converter/import/onnx.h"

using namespace qrt;

namespace {

// Twelve scalings by `gain` in front of a linear layer.
ir::Graph chain(float gain, const char* weight = "{1,0,0,1,1,1}", const char* bias = "{0,0,0}") {
  std::string t = "graph g\ninput %x : f32[N,2]\nconst %gain : f32[1] = fill " +
                  std::to_string(gain) + "\nconst %w : f32[3,2] = " + weight +
                  "\nconst %b : f32[3] = " + bias + "\n";
  std::string last = "%x";
  for (int i = 0; i < 12; ++i) {
    const std::string next = "%v" + std::to_string(i);
    t += "node n" + std::to_string(i) + " = binary(" + last + ", %gain){op=mul} -> " + next + "\n";
    last = next;
  }
  t += "node fc = linear(" + last + ", %w, %b){bias=true} -> %y\noutput %y\n";
  auto g = ir::parse(t);
  REQUIRE_MESSAGE(g.ok(), g.error().message);
  return *g;
}

std::string trap(const ir::Graph& g, std::vector<float> data) {
  eval::Tensor x;
  x.shape = {static_cast<int64_t>(data.size() / 2), 2};
  x.data = std::move(data);
  const auto r = import::activation_trap(g, std::span(&x, 1));
  REQUIRE(r.ok());
  return (*r).value_or("");
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("trap: a living network passes, exploding and collapsing ones are explained") {
  const std::vector<float> inputs = {1, 2, -1, 0.5f, 3, -2, 0.1f, 1, -2, -2};
  CHECK(trap(chain(1), inputs) == "");
  CHECK(trap(chain(1.5f), inputs) == "");
  CHECK(trap(chain(1), {1, 2}) == "");
  const std::string text = trap(chain(5), inputs);
  CHECK(has(text, "explode: at n5 "));
  CHECK(has(text, "running_mean"));
  CHECK(has(trap(chain(1e4f), inputs), "explode"));
  CHECK(has(trap(chain(0.1f), inputs), "collapse: at n6 "));
  CHECK(has(trap(chain(1), {1, NAN, 2, 3}), "not finite from n0"));
  CHECK(has(trap(chain(1, "fill 0", "{2,2,2}"), inputs), "is constant"));
  CHECK(has(trap(chain(1, "fill 0", "{1,2,3}"), inputs), "hardly depends"));
  CHECK(has(trap(chain(1, "{0.001,0,0,0.001,0,0}", "{1,2,3}"), inputs), "hardly depends"));
  CHECK(trap(chain(1, "fill 0", "{1,2,3}"), {1, 2, 1, 2}) == "");  // equal inputs tell nothing
  eval::Tensor wrong;
  wrong.shape = {1, 3};
  wrong.data = {1, 2, 3};
  CHECK(!import::activation_trap(chain(1), std::span(&wrong, 1)).ok());
}

namespace {

// Undoes the folding of every batch norm: weight = gamma / s, bias = beta - mean * weight with s,
// mean measured on the data, becomes gamma and beta; what the file omits stays mean 0, variance 1.
void unfold(ir::Graph& g, std::span<const eval::Tensor> inputs) {
  std::map<ir::ValueId, std::vector<std::pair<double, double>>> statistics;
  const auto r = eval::evaluate(g, inputs, [&](ir::ValueId id, const eval::Tensor& t) {
    if (t.shape.size() != 4) return;
    const int64_t c = t.shape[1], area = t.shape[2] * t.shape[3];
    auto& s = statistics[id];
    s.assign(static_cast<size_t>(c), {0, 0});
    const double n = static_cast<double>(t.shape[0] * area);
    for (size_t i = 0; i < t.data.size(); ++i) {
      auto& [mean, square] = s[i / static_cast<size_t>(area) % static_cast<size_t>(c)];
      mean += double{t.data[i]} / n;
      square += double{t.data[i]} * double{t.data[i]} / n;
    }
  });
  REQUIRE(r.ok());
  for (const ir::Node& node : g.nodes) {
    if (!std::holds_alternative<ir::BatchNorm>(node.attr)) continue;
    auto& weight = g.constants[g.values[node.in[1]].constant].data;
    auto& bias = g.constants[g.values[node.in[2]].constant].data;
    for (size_t c = 0; c < weight.size(); ++c) {
      const auto [mean, square] = statistics[node.in[0]][c];
      bias[c] += static_cast<float>(mean) * weight[c];
      weight[c] *= static_cast<float>(std::sqrt(square - mean * mean + 1e-5));
    }
  }
}

}  // namespace

TEST_CASE("trap: the published ResNet-18 passes, and is caught once its folding is undone") {
  const char* root = std::getenv("QRT_DATA");
  if (!root) {
    MESSAGE("SKIPPED: QRT_DATA is not set");
    return;
  }
  const std::string data = root;
  auto imported = import::import_onnx(data + "/killthebits/resnet18_graph.onnx", {});
  REQUIRE(imported.ok());
  const auto c = import::read_checkpoint(data + "/killthebits/resnet18_small_blocks.pth");
  REQUIRE(c.ok());
  ir::Graph& g = imported->graph;
  REQUIRE(import::apply_checkpoint(g, *c).ok());
  auto text = read_file(data + "/imagenet/golden_input_nchw_8x3x224x224_f32.npy", 1 << 30, 650);
  REQUIRE(text.ok());
  eval::Tensor x;
  x.shape = {8, 3, 224, 224};
  x.data.resize(8 * 3 * 224 * 224);
  std::memcpy(x.data.data(), text->data() + text->size() - 4 * x.data.size(), 4 * x.data.size());
  const auto alive = import::activation_trap(g, std::span(&x, 1));
  REQUIRE(alive.ok());
  CHECK((*alive).value_or("") == "");
  unfold(g, std::span(&x, 1));
  const auto trapped = import::activation_trap(g, std::span(&x, 1));
  REQUIRE(trapped.ok());
  MESSAGE((*trapped).value_or("nothing found"));
  CHECK(*trapped);
}
