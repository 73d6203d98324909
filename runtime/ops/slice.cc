// A regular part of a tensor of any type: along each axis every step-th index from
// a start, backwards where the step is negative.
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/strided_copy.h"

namespace qrt {
namespace {

class Slice final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_same_dtype(ctx));
    const SliceAttr& a = *node.slice;
    const Shape& in = ctx.in[0].shape;
    Shape out = in;
    int64_t offset = 0;
    for (int i = 0; i < in.rank; ++i) {
      const auto pitch = static_cast<int64_t>(count_of(in, i + 1, in.rank));
      const bool whole = a.size[i] == 0;
      const int64_t start = whole ? 0 : a.start[i], step = whole ? 1 : a.step[i];
      if (!whole) out[i] = a.size[i];
      const int64_t last = start + (int64_t{out[i]} - 1) * step;
      if (out[i] < 1 || start < 0 || start >= in[i] || last < 0 || last >= in[i])
        return Status(Code::invalid_model, 275, "a slice reaches outside of its tensor")
            .values(start < 0 || start >= in[i] ? start : last, int64_t{in[i]} - 1)
            .next("convert the model again");
      offset += static_cast<int64_t>(start) * pitch;
      copy_.add_axis(static_cast<size_t>(out[i]), static_cast<int64_t>(step) * pitch);
    }
    copy_.set_offset(offset);
    element_ = size_of(ctx.out[0].dtype);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    copy_.run(ctx.in[0].data, ctx.out[0].data, element_, ctx.threads);
    return {};
  }

  const char* kernel_name() const override { return "plain_slice"; }

 private:
  StridedCopy copy_;
  size_t element_ = 4;
};

}  // namespace

Op* make_slice(Arena& keep) {
  return keep.make<Slice>();
}

}  // namespace qrt
