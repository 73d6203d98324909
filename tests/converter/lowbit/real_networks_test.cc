// Published quantized networks on real inputs: what every quantizer of the imported graph gives, as
// the exact interpreter has it, stands in the streamlined graph and in the file that it becomes.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/ir/edit.h"
#include "converter/lattice/lattice.h"
#include "converter/lowbit/lowbit.h"
#include "converter/passes/layer.h"
#include "converter/passes/pipeline.h"
#include "tests/support/exact_interpreter.h"
#include "tests/support/real_data.h"
#include "tests/support/run_file.h"

namespace qrt {
namespace {

using testing::Exact;

void run(ir::Graph& g, std::span<const ir::Pass> list) {
  const auto done = passes::run_pipeline(g, list);
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
}

const ir::Value& value_of(const ir::Graph& g, ir::ValueId v) {
  return g.values[static_cast<size_t>(v)];
}

bool is_quantized(const ir::Graph& g, ir::ValueId v) {
  const ir::NodeId id = value_of(g, v).producer;
  if (id < 0 || value_of(g, v).constant >= 0) return false;
  const ir::Attr& attr = g.nodes[static_cast<size_t>(id)].attr;
  const auto* unary = std::get_if<ir::Unary>(&attr);
  return std::holds_alternative<ir::FakeQuantize>(attr) ||
         std::holds_alternative<ir::Steps>(attr) ||
         (unary != nullptr && unary->op == ir::Unary::Op::sign);
}

// The quantizer of which a value has the numbers, moved at most; -1 where there is none.
ir::ValueId quantizer_of(const ir::Graph& g, ir::ValueId v) {
  for (;;) {
    if (is_quantized(g, v)) return v;
    const ir::NodeId id = value_of(g, v).producer;
    if (id < 0) return -1;
    const ir::Node& n = g.nodes[static_cast<size_t>(id)];
    if (n.in.size() != 1 || !testing::keeps_levels(n.attr)) return -1;
    v = n.in[0];
  }
}

// Which values of `after`, a graph that passes made of `before`, stand for which quantized values
// of `before`: what nodes of one name read in both, and the outputs.
std::map<ir::ValueId, ir::ValueId> pairs(const ir::Graph& before, const ir::Graph& after) {
  std::map<std::string, const ir::Node*> nodes;
  for (const ir::Node& n : after.nodes) nodes[n.name] = &n;
  std::map<ir::ValueId, ir::ValueId> r;
  for (const ir::Node& n : before.nodes) {
    const auto found = nodes.find(n.name);
    if (found == nodes.end() || found->second->attr.index() != n.attr.index()) continue;
    // Scales and biases of layers may have been folded.
    const bool layer = passes::is_layer(n);
    const bool same = layer || found->second->in.size() == n.in.size();
    for (size_t k = 0; same && k < (layer ? 1 : n.in.size()); ++k)
      if (quantizer_of(before, n.in[k]) >= 0) r.emplace(found->second->in[k], n.in[k]);
  }
  for (size_t k = 0; k < before.outputs.size(); ++k)
    if (quantizer_of(before, before.outputs[k]) >= 0)
      r.emplace(after.outputs[k], before.outputs[k]);
  return r;
}

// A name without what later passes put behind it.
std::string stem_of(std::string name) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string end : {".bytes", ".bits", ".nhwc", ".full"})
      if (name.size() > end.size() && name.ends_with(end))
        name.resize(name.size() - end.size()), found = true;
  }
  return name;
}

// Elements of `got` that are on another level than those of `want`, which `order` finds.
template <class Order>
int64_t off_in_order(const std::vector<float>& got, const Exact& want, double slack,
                     const Order& order) {
  int64_t off = 0;
  for (size_t i = 0; i < got.size(); ++i)
    off += !(std::fabs(static_cast<double>(got[i]) - want.data[order(i)]) <= slack);
  return off;
}

// The exact elements are in the source's order, `got` may have its channels last, and flattened so:
// that of all numbers of channels which fits. In a wrong order most elements are off.
int64_t levels_off(const std::vector<float>& got, const Exact& want) {
  REQUIRE(got.size() == want.data.size());
  double largest = 0;
  for (const double d : want.data) largest = std::max(largest, std::fabs(d));
  const double slack = 1e-4 * largest;  // a level of 255 is 40 times as wide
  const size_t row = got.size() / static_cast<size_t>(want.shape[0]);
  int64_t least = off_in_order(got, want, slack, [](size_t i) { return i; });
  for (size_t channels = 2; least > 0 && channels < row; ++channels) {
    if (row % channels != 0) continue;
    const size_t pixels = row / channels;
    least = std::min(least, off_in_order(got, want, slack, [&](size_t i) {
                       const size_t k = i % row;
                       return i - k + k % channels * pixels + k / channels;
                     }));
  }
  return least;
}

// What was compared, and how much of it was off.
struct Tally {
  int64_t values = 0, off = 0;
  std::string first;  // the name of the first that is off

  void add(const ir::Value& v, const std::vector<float>& got, const Exact& want) {
    const int64_t n = levels_off(got, want);
    if (n > 0 && first.empty()) first = v.name + " (" + std::to_string(n) + ")";
    values += static_cast<int64_t>(got.size()), off += n;
  }
};

struct Network {
  std::string name;    // of the model under QRT_DATA, without .onnx
  std::string input;   // an .npy under QRT_DATA: its first numbers are a row of inputs
  float scale = 1;     // that they are multiplied by
  int64_t quantizers;  // of activations, that the network has
  int64_t stored;      // of these, how many give bytes or bits
};

eval::Tensor input_of(const Network& n, const ir::Graph& g) {
  eval::Tensor x;
  x.shape = value_of(g, g.inputs[0]).shape;
  const auto count = static_cast<size_t>(ir::element_count(x.shape));
  const auto npy = test::read_npy(test::real_data(n.input));
  REQUIRE(npy.data.size() >= count);
  x.data.assign(npy.data.begin(), npy.data.begin() + static_cast<std::ptrdiff_t>(count));
  for (float& v : x.data) v *= n.scale;
  return x;
}

// The file of the graph with these values as outputs, too, run by the engine.
Tally run_by_engine(ir::Graph g, const eval::Tensor& x,
                    const std::map<ir::ValueId, const Exact*>& wanted) {
  std::vector<std::pair<ir::ValueId, size_t>> outputs;
  for (const auto& [v, want] : wanted) {
    ir::ValueId out = v;
    if (value_of(g, v).quantization.present()) {
      const std::string name = ir::unique_name(g, value_of(g, v).name + ".shown");
      auto made = ir::add_node(g, {name, ir::Quantize{}, {v}, {}, {}}, name);
      REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
      out = *made;
    }
    const auto old = std::find(g.outputs.begin(), g.outputs.end(), out);
    outputs.push_back({v, static_cast<size_t>(old - g.outputs.begin())});
    if (old == g.outputs.end()) g.outputs.push_back(out);
  }
  const auto file = emit::emit(g, {});
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  const std::vector<eval::Tensor> got = testing::run_file(*file, {x});
  Tally tally;
  for (const auto& [v, at] : outputs) tally.add(value_of(g, v), got[at].data, *wanted.at(v));
  return tally;
}

void check_scores(const eval::Tensor& got, const Exact& want) {
  std::vector<float> floats = got.data;
  if (floats.empty()) floats.assign(got.ints.begin(), got.ints.end());
  std::vector<float> exact(want.data.begin(), want.data.end());
  const double error = test::relative_error(floats, exact);
  CHECK(error <= 1e-5);
}

void check(const Network& n) {
  CAPTURE(n.name);
  auto imported = import::import_onnx(test::real_data(n.name + ".onnx"), {});
  REQUIRE_MESSAGE(imported.ok(), (imported.ok() ? "" : imported.error().message));
  ir::Graph g = std::move(imported->graph);
  const auto steps = lowbit::steps_passes();
  run(g, steps.first(steps.size() - 1));  // all but find_steps(): shapes and constants are known
  const ir::Graph source = g;
  const eval::Tensor x = input_of(n, source);
  std::string unknown;
  const auto exact =
      testing::run_exactly(source, {{x.shape, {x.data.begin(), x.data.end()}}}, &unknown);
  CHECK(unknown == "");

  run(g, steps.last(1));
  std::map<std::string, ir::ValueId> names;
  for (const auto& [v, of] : pairs(source, g)) names[value_of(g, v).name] = of;
  run(g, passes::prepare_passes());
  lattice::recognise(g, {});
  run(g, passes::layout_passes());
  const auto report = lowbit::streamline(g);
  REQUIRE(report.ok());
  auto found = pairs(source, g);
  for (size_t v = 0; v < g.values.size(); ++v)
    if (const auto name = names.find(stem_of(g.values[v].name)); name != names.end())
      found.emplace(static_cast<ir::ValueId>(v), name->second);
  std::map<ir::ValueId, const Exact*> wanted;
  std::set<ir::ValueId> covered, stored;
  for (const auto& [v, of] : found) {
    wanted[v] = &exact.at(of);
    covered.insert(quantizer_of(source, of));
    if (value_of(g, v).quantization.present()) stored.insert(quantizer_of(source, of));
  }
  Tally tally;
  const auto y = eval::evaluate(g, {&x, 1}, [&](ir::ValueId id, const eval::Tensor& got) {
    if (wanted.count(id) > 0) tally.add(value_of(g, id), got.data, *wanted[id]);
  });
  REQUIRE_MESSAGE(y.ok(), (y.ok() ? "" : y.error().message));
  for (size_t v = 0; v < source.values.size(); ++v) {
    const auto id = static_cast<ir::ValueId>(v);
    CHECK_MESSAGE((!is_quantized(source, id) || covered.count(id) > 0), source.values[v].name);
  }
  const Tally engine = run_by_engine(g, x, wanted);
  MESSAGE(n.name << ": " << covered.size() << " quantizers, " << stored.size()
                 << " of bytes or bits, " << tally.off << " of " << tally.values
                 << " values on another level, in the engine " << engine.off);
  CHECK(static_cast<int64_t>(covered.size()) == n.quantizers);
  CHECK(static_cast<int64_t>(stored.size()) == n.stored);
  CHECK(engine.values == tally.values);
  CHECK_MESSAGE(tally.off == 0, tally.first);
  CHECK_MESSAGE(engine.off == 0, engine.first);
  for (size_t k = 0; k < g.outputs.size(); ++k) check_scores((*y)[k], exact.at(source.outputs[k]));
}

bool have_data() {
  if (!test::real_data("").empty()) return true;
  MESSAGE("SKIPPED: QRT_DATA is not set");
  return false;
}

TEST_CASE("lowbit: activations of published networks of few bits, level by level") {
  if (!have_data()) return;
  const auto golden = [](const char* name, int64_t quantizers, int64_t stored) {
    const std::string model = std::string("qonnx/") + name;
    check({model, model + ".golden_input.npy", 1, quantizers, stored});
  };
  golden("unsw_nb15-mlp-w2a2", 4, 3);  // the last one makes the score
  golden("qkeras_jettagging", 3, 3);
  golden("radioml_vgg10_w8a8", 10, 10);
  golden("espcn_subpixel_quant", 4, 3);
  check({"qonnx/kws_w3a3_mlperf_v07", "kws/kws_w3a3_mfcc_int8_500x10x49.npy", 0.33674246f, 4, 4});
  // Their inputs are pixels: those of a picture, whatever it shows.
  const char* pixels = "imagenet/golden_input_nhwc_8x224x224x3_u8.npy";
  check({"qonnx/TFC_1W1A", pixels, 1 / 255.0f, 4, 4});
  check({"qonnx/TFC_2W2A", pixels, 1 / 255.0f, 4, 4});
  check({"qonnx/finn_tfc_w1a1_multithreshold", pixels, 1, 4, 4});
  check({"qonnx/cnvW1A1_cifar10_bnnpynq", pixels, 1 / 255.0f, 9, 9});
}

TEST_CASE("lowbit: activations of published QLinear and QDQ networks, byte by byte") {
  if (!have_data()) return;
  const char* image = "imagenet/golden_input_nchw_8x3x224x224_f32.npy";
  check({"onnx/resnet8_cifar_qlinear_int8", image, 1, 16, 14});   // the head is of floats
  check({"onnx/mobilenetv2-12-int8_qlinear", image, 1, 66, 65});  // so is its bias
  check({"onnx/mobilenetv2_qdq_static", image, 1, 66, 66});
}

}  // namespace
}  // namespace qrt
