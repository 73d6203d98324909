// Linear layer with codebook weights: input [..., inputs], output [..., outputs].
#include "runtime/ops/codebook_layer.h"

namespace qrt {
namespace {

class CodebookLinear final : public CodebookOp {
 protected:
  Status describe(const Node& node, const PrepareContext& context, CodebookLayer& layer,
                  Epilogue& epilogue) override {
    const LinearAttr& a = *node.linear;
    const Shape& in = context.in[0].shape;
    const Shape& out = context.out[0].shape;
    QRT_REQUIRE(in.rank >= 1 && out.rank == in.rank, Code::invalid_model, 331,
                "a linear layer needs input and output of one rank, at least 1");
    layer.weights = a.weights;
    for (int i = 0; i + 1 < in.rank; ++i) layer.batch *= static_cast<size_t>(in[i]);
    epilogue = a.epilogue;
    QRT_TRY(layer.derive());
    if (static_cast<size_t>(in[in.rank - 1]) != layer.inputs)
      return Status(Code::invalid_model, 331, "the input's last dimension does not fit the weights")
          .values(in[in.rank - 1], static_cast<int64_t>(layer.inputs));
    Shape want = in;
    want[in.rank - 1] = static_cast<int32_t>(layer.outputs);
    QRT_REQUIRE(out == want, Code::invalid_model, 332,
                "the output's shape is not that of this linear layer");
    return {};
  }
};

}  // namespace

Op* make_codebook_linear(Arena& keep) {
  return keep.make<CodebookLinear>();
}

}  // namespace qrt
