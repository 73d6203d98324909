// Joins tensors of any one type along an axis: every input gives one run of bytes
// per outer index, and the output holds these runs one after another.
#include <cstring>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

class Concat final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1, SIZE_MAX));
    QRT_TRY(check_same_dtype(ctx));
    Shape out = ctx.in[0].shape;
    const int axis = node.concat->axis;
    if (axis < 0 || axis >= out.rank)
      return Status(Code::invalid_model, 260, "the axis of a concatenation is out of range")
          .values(axis, out.rank - 1)
          .next("convert the model again");
    run_bytes_ = ctx.keep.array<size_t>(ctx.in.size());
    if (run_bytes_.empty()) return out_of_memory();
    const size_t element = size_of(ctx.out[0].dtype);
    uint64_t extent = 0;
    for (size_t i = 0; i < ctx.in.size(); ++i) {
      Shape s = ctx.in[i].shape;
      if (s.rank == out.rank) {
        extent += static_cast<uint64_t>(s[axis]);
        run_bytes_[i] = count_of(s, axis, s.rank) * element;
        s[axis] = out[axis];
      }
      if (s != out)
        return Status(Code::invalid_model, 253,
                      "tensors to be joined differ in more than the joined axis")
            .values(static_cast<int64_t>(i), 0)
            .next("convert the model again");
      all_bytes_ += run_bytes_[i];
    }
    if (extent > INT32_MAX)
      return Status(Code::invalid_model, 253, "the joined axis is too long")
          .values(static_cast<int64_t>(extent), INT32_MAX);
    out[axis] = static_cast<int32_t>(extent);
    outer_ = count_of(out, 0, axis);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    auto part = [&](size_t begin, size_t end) {
      for (size_t row = begin; row < end; ++row) {
        std::byte* to = ctx.out[0].data + row * all_bytes_;
        for (size_t i = 0; i < run_bytes_.size(); to += run_bytes_[i++])
          std::memcpy(to, ctx.in[i].data + row * run_bytes_[i], run_bytes_[i]);
      }
    };
    const size_t worth = kElementsWorth * sizeof(float) / (all_bytes_ + 1) + 2;
    split_if_worth(ctx.threads, outer_, 1, worth, part);
    return {};
  }

  const char* kernel_name() const override { return "plain_concat"; }

 private:
  Span<size_t> run_bytes_;  // per input
  size_t outer_ = 0, all_bytes_ = 0;
};

}  // namespace

Op* make_concat(Arena& keep) {
  return keep.make<Concat>();
}

}  // namespace qrt
