// Repeats a tensor of any type along its axes. The output axis of `repeats` copies
// of n elements is walked as two: the copies, which do not move through the input,
// and the n. An axis of one element that is repeated is a broadcast.
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/strided_copy.h"

namespace qrt {
namespace {

class Tile final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_same_dtype(ctx));
    const Shape& in = ctx.in[0].shape;
    Shape out = in;
    for (int i = 0; i < in.rank; ++i) {
      const int64_t repeats = node.tile->repeats[i], extent = repeats * in[i];
      if (repeats < 1 || extent > INT32_MAX)
        return Status(Code::invalid_model, 276, "a tensor is repeated too often, or never")
            .values(repeats, INT32_MAX / (in[i] > 0 ? in[i] : 1))
            .next("convert the model again, for a smaller batch");
      const size_t pitch = count_of(in, i + 1, in.rank);
      copy_.add_axis(static_cast<size_t>(repeats), 0);
      copy_.add_axis(static_cast<size_t>(in[i]), static_cast<int64_t>(pitch));
      out[i] = static_cast<int32_t>(extent);
    }
    element_ = size_of(ctx.out[0].dtype);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    copy_.run(ctx.in[0].data, ctx.out[0].data, element_, ctx.threads);
    return {};
  }

  const char* kernel_name() const override { return "plain_tile"; }

 private:
  StridedCopy copy_;
  size_t element_ = 4;
};

}  // namespace

Op* make_tile(Arena& keep) {
  return keep.make<Tile>();
}

}  // namespace qrt
