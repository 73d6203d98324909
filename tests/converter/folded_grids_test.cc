// Weights that the source rounds to a grid: encoded as what they are, with the floats
// they were, or left as floats where that cannot be.
#include <doctest/doctest.h>

#include "converter/ir/edit.h"
#include "tests/support/onnx_run.h"

namespace qrt {
namespace {

using test::Floats;
using test::OnnxBuilder;
using test::set;

// x [1, 4] times the transposed result of `node` on w [3, 4].
struct Case {
  std::string op;
  Floats scale;
  float zero = 0, bits = 3;
  int is_signed = 1;
};

OnnxBuilder layer(const Case& c) {
  OnnxBuilder b;
  b.input("x", {-1, 4});
  b.floats("w", {3, 4}, {0.2f, -0.6f, 3, -9, 0.5f, 1.5f, -0.1f, 0, 7, -7, 2.4f, 2.6f});
  b.floats("s", c.scale.size() == 1 ? std::vector<int64_t>{} : std::vector<int64_t>{3, 1}, c.scale);
  b.floats("z", {}, {c.zero});
  b.floats("b", {}, {c.bits});
  std::vector<std::string> in = {"w", "s"};
  if (c.op == "Quant") in.insert(in.end(), {"z", "b"});
  onnx::NodeProto& q = b.node(c.op, in, "wq");
  if (c.op == "Quant") set(q, "signed", c.is_signed);
  b.node("Transpose", {"wq"}, "wt");
  b.node("MatMul", {"x", "wt"}, "y");
  b.output("y");
  return b;
}

// The encoding of the layer's weight, which must mean the floats that folding gives.
std::shared_ptr<const quant::Encoding> encoding_of(const Case& c) {
  OnnxBuilder b = layer(c);
  const ir::Graph g = test::folded(b);
  REQUIRE(g.nodes.size() == 1);
  // As an output the weight stays floats.
  b.output("wq");
  const ir::Graph plain = test::folded(b);
  const eval::Tensor x{ir::ElementType::f32, {1, 4}, {1, 0.5f, -2, 4}, {}};
  auto y = eval::evaluate(plain, {&x, 1});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  const ir::Constant* weight = ir::constant_of(g, g.nodes[0].in[1]);
  REQUIRE(weight != nullptr);
  if (weight->encoding) {
    CHECK(weight->source == "quant");
    CHECK(quant::decode(*weight->encoding, 3, 4) == (*y)[1].data);
  } else {
    CHECK(weight->data == (*y)[1].data);
  }
  return weight->encoding;
}

TEST_CASE("a Quant of weights becomes integer codes") {
  auto e = encoding_of({"Quant", {0.5f}});
  REQUIRE(e != nullptr);
  const auto* affine = std::get_if<quant::Affine>(e.get());
  REQUIRE(affine != nullptr);
  CHECK(affine->bits == 3);
  CHECK(affine->is_signed);
  CHECK(affine->zero_halves.empty());
  CHECK(affine->codes == std::vector<int16_t>{0, -1, 3, -4, 1, 3, 0, 0, 3, -4, 3, 3});
  CHECK(affine->scales.axis == quant::ScaleAxis::layer);
  e = encoding_of({"Quant", {0.1f, 0.3f, 1.7f}, 2, 4, 0});
  REQUIRE(e != nullptr);
  affine = std::get_if<quant::Affine>(e.get());
  REQUIRE(affine != nullptr);
  CHECK(affine->bits == 4);
  CHECK(!affine->is_signed);
  CHECK(affine->zero_halves == std::vector<int16_t>{4});
  CHECK(affine->scales.values == Floats{0.1f, 0.3f, 1.7f});
  // A zero point of half a level.
  e = encoding_of({"Quant", {0.1f}, 1.5f, 2, 0});
  REQUIRE(e != nullptr);
  CHECK(std::get<quant::Affine>(*e).zero_halves == std::vector<int16_t>{3});
}

TEST_CASE("a BipolarQuant of weights becomes one plane of signs") {
  const auto e = encoding_of({"BipolarQuant", {0.7f}});
  REQUIRE(e != nullptr);
  const auto* planes = std::get_if<quant::BitPlanes>(e.get());
  REQUIRE(planes != nullptr);
  CHECK(planes->signs == std::vector<uint8_t>{1, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1});
  CHECK(planes->alphas == Floats{0.7f, 0.7f, 0.7f});
}

TEST_CASE("grids that no encoding holds stay floats") {
  CHECK(encoding_of({"Quant", {0.5f}, 0, 9}) == nullptr);
  CHECK(encoding_of({"Quant", {0.5f}, 0.3f}) == nullptr);
}

}  // namespace
}  // namespace qrt
