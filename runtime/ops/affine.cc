// y[..., c] = clamp(scale[c] * x[..., c] + bias[c]): a batch normalization that
// could not be folded into the layer before it.
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

class Affine final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_f32(ctx));
    const AffineAttr& a = *node.affine;
    const Shape& shape = ctx.in[0].shape;
    if (shape.rank < 1 || shape[shape.rank - 1] < 1)
      return Status(Code::invalid_model, 254, "an affine operator needs channels on its last axis")
          .values(shape.rank, 1)
          .next("convert the model again");
    const uint32_t channels = static_cast<uint32_t>(shape[shape.rank - 1]);
    if (!a.scale.present() || !a.bias.present())
      return Status(Code::invalid_model, 259, "an affine operator lacks its scale or bias")
          .values(0, channels)
          .next("convert the model again");
    QRT_TRY(check_clamp(a.clamp));
    limits_ = limits_of(a.clamp);
    Expected<Span<const float>> scale = read_floats(a.scale, channels, ctx.keep);
    if (!scale.ok()) return scale.status();
    Expected<Span<const float>> bias = read_floats(a.bias, channels, ctx.keep);
    if (!bias.ok()) return bias.status();
    scale_ = *scale;
    bias_ = *bias;
    return check_output(ctx, shape);
  }

  Status run(const RunContext& ctx) const override {
    const float* in = ctx.in[0].as<float>();
    float* out = ctx.out[0].as<float>();
    const size_t channels = scale_.size();
    const float *scale = scale_.data(), *bias = bias_.data();
    const Limits limits = limits_;
    auto part = [=](size_t begin, size_t end) {  // whole rows of channels
      for (size_t row = begin; row < end; row += channels)
        for (size_t c = 0; c < channels; ++c)
          out[row + c] = clamp_to(scale[c] * in[row + c] + bias[c], limits);
    };
    split_if_worth(ctx.threads, count_of(ctx.out[0].shape), channels, kElementsWorth, part);
    return {};
  }

  const char* kernel_name() const override { return "plain_f32_affine"; }

 private:
  Span<const float> scale_, bias_;
  Limits limits_{};
};

}  // namespace

Op* make_affine(Arena& keep) {
  return keep.make<Affine>();
}

}  // namespace qrt
