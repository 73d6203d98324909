// Codebooks spelled in many ways: whatever order the axes of the codes take on
// the way to the weight, the graph means the same once it is recognised, and
// nothing is left of the lookups.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"
#include "converter/passes/passes.h"

namespace qrt {
namespace {

class Spelling {
 public:
  explicit Spelling(uint32_t seed) : rng_(seed) {}

  // conv(x, W) or x W^T with W spelled as a sum of 1 to 3 lookups.
  ir::Graph make() {
    g_.name = "spelling";
    const bool conv = pick(0, 1) != 0;
    const int64_t groups = conv ? pick(1, 2) : 1;
    outputs_ = groups * pick(1, 9);
    dim_ = pick(1, 6);
    blocks_ = pick(1, 7);
    const int64_t inputs = dim_ * blocks_;
    const int64_t window = conv && inputs % 4 == 0 ? 2 : 1;
    const int64_t channels = inputs / (window * window);
    ir::Value x;
    x.name = "x";
    x.shape =
        conv ? std::vector<int64_t>{1, channels * groups, 3, 3} : std::vector<int64_t>{1, inputs};
    x.batched = true;
    g_.values.push_back(x);
    g_.inputs = {0};

    ir::ValueId w = lookup();
    for (int64_t more = pick(0, 2); more > 0; --more)
      w = node(ir::Binary{ir::Binary::Op::add}, {w, lookup()});
    if (conv) {
      w = node(ir::Reshape{{outputs_, channels, window, window}}, {w});
      ir::Conv2d c;
      c.window.kernel = {static_cast<int32_t>(window), static_cast<int32_t>(window)};
      c.groups = static_cast<int32_t>(groups);
      g_.outputs = {node(c, {0, w})};
    } else {
      w = node(ir::Reshape{{outputs_, inputs}}, {w});
      if (pick(0, 1)) w = node(ir::Transpose{{1, 0}}, {node(ir::Transpose{{1, 0}}, {w})});
      g_.outputs = {node(ir::Linear{}, {0, w})};
    }
    return g_;
  }

  std::vector<float> floats(int64_t n) {
    std::uniform_real_distribution<float> d(-1, 1);
    std::vector<float> r(static_cast<size_t>(n));
    for (float& f : r) f = d(rng_);
    return r;
  }

 private:
  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(rng_);
  }

  ir::ValueId node(ir::Attr attr, std::vector<ir::ValueId> in) {
    ir::Node n;
    n.name = ir::unique_name(g_, "n");
    n.attr = std::move(attr);
    n.in = std::move(in);
    const std::string out = n.name;
    auto v = ir::add_node(g_, std::move(n), out);
    REQUIRE_MESSAGE(v.ok(), (v.ok() ? "" : v.error().message));
    return *v;
  }

  // One lookup of shape [outputs][blocks][dim], its codes stored in a random order of axes and the
  // entries perhaps flat or with an axis more.
  ir::ValueId lookup() {
    const int64_t count = pick(1, 5);
    const ir::ValueId book = ir::add_floats(g_, "book", {count, dim_}, floats(count * dim_));
    ir::Constant codes;
    codes.type = ir::ElementType::u8;
    codes.ints.resize(static_cast<size_t>(outputs_ * blocks_));
    for (int64_t& c : codes.ints) c = pick(0, count - 1);
    const bool block_major = pick(0, 1) != 0, flat = pick(0, 1) != 0;
    std::vector<int64_t> shape = block_major ? std::vector<int64_t>{blocks_, outputs_}
                                             : std::vector<int64_t>{outputs_, blocks_};
    if (flat) shape = {outputs_ * blocks_};
    ir::ValueId index = ir::add_constant(g_, "codes", shape, std::move(codes));
    if (pick(0, 1)) index = node(ir::Cast{6}, {index});
    ir::ValueId v = node(ir::Gather{0}, {book, index});
    if (flat)
      v = node(ir::Reshape{block_major ? std::vector<int64_t>{blocks_, outputs_, dim_}
                                       : std::vector<int64_t>{outputs_, blocks_, dim_}},
               {v});
    return block_major ? node(ir::Transpose{{1, 0, 2}}, {v}) : v;
  }

  std::mt19937 rng_;
  ir::Graph g_;
  int64_t outputs_ = 0, blocks_ = 0, dim_ = 0;
};

TEST_CASE("codebooks in any spelling mean the same when recognised") {
  int encoded = 0, dense = 0;
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Spelling spelling(seed);
    ir::Graph g = spelling.make();
    eval::Tensor x;
    x.shape = g.values[0].shape;
    x.data = spelling.floats(ir::element_count(x.shape));
    auto want = eval::evaluate(g, {&x, 1});
    REQUIRE(want.ok());
    const std::string before = ir::print(g);
    CAPTURE(before);
    REQUIRE(passes::recognise_codebooks(g).ok());
    REQUIRE(ir::verify(g).ok());
    auto got = eval::evaluate(g, {&x, 1});
    REQUIRE(got.ok());
    for (size_t i = 0; i < want->front().data.size(); ++i)
      CHECK(std::abs(got->front().data[i] - want->front().data[i]) <= 1e-5);
    // Recognised unless the file would grow, which is the only reason to refuse here.
    if (g.nodes.size() == 1) {
      ++encoded;
      CHECK(g.notes.empty());
    } else {
      ++dense;
      REQUIRE(g.notes.size() == 1);
      CHECK(g.notes[0].find("codes and entries take") != std::string::npos);
    }
  }
  CHECK(encoded > 50);
  CHECK(dense > 0);
  MESSAGE(encoded << " encoded, " << dense << " dense");
}

}  // namespace
}  // namespace qrt
