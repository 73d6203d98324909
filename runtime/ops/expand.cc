// Repeats a tensor of any type along dimension 0 as often as the batch asks: the one
// way that a constant (a class token, an initial state) takes a free batch. The
// second input only says, by its dimension 0, how often.
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/strided_copy.h"

namespace qrt {
namespace {

class Expand final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 2));
    if (ctx.in[0].dtype != ctx.out[0].dtype)
      return Status(Code::invalid_model, 252, "input and output of this operator differ in type")
          .values(static_cast<int64_t>(ctx.in[0].dtype), static_cast<int64_t>(ctx.out[0].dtype))
          .next("convert the model again");
    const Shape &in = ctx.in[0].shape, &like = ctx.in[1].shape;
    if (in.rank < 1 || like.rank < 1 || in[0] != 1)
      return Status(Code::invalid_model, 279, "what follows the batch has a dimension 0 of its own")
          .values(in.rank < 1 ? 0 : in[0], 1)
          .next("convert the model again");
    Shape out = in;
    out[0] = like[0];
    copy_.add_axis(static_cast<size_t>(out[0]), 0);
    copy_.add_axis(count_of(in), 1);
    element_ = size_of(ctx.out[0].dtype);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    copy_.run(ctx.in[0].data, ctx.out[0].data, element_, ctx.threads);
    return {};
  }

  const char* kernel_name() const override { return "plain_expand"; }

 private:
  StridedCopy copy_;
  size_t element_ = 4;
};

}  // namespace

Op* make_expand(Arena& keep) {
  return keep.make<Expand>();
}

}  // namespace qrt
