// Picks entries of one axis by index: y[a.., i.., b..] = x[a.., indices[i..], b..],
// for data of any type. Indices may be results of other operators, so they are
// looked at in every run: the only input of an operator that can be refused there.
#include <cstring>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

class Gather final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 2));
    const Shape &in = ctx.in[0].shape, &indices = ctx.in[1].shape;
    const DType type = ctx.in[1].dtype;
    if (ctx.in[0].dtype != ctx.out[0].dtype || (type != DType::i32 && type != DType::i64))
      return Status(Code::invalid_model, 252, "a gather's indices must be i32 or i64")
          .values(static_cast<int64_t>(type), static_cast<int64_t>(DType::i64))
          .next("convert the model again");
    const int axis = node.gather->axis;
    if (axis < 0 || axis >= in.rank || in.rank - 1 + indices.rank > kMaxRank)
      return Status(Code::invalid_model, 260, "the axis of a gather is out of range")
          .values(axis, in.rank - 1)
          .next("convert the model again");
    Shape out;
    for (int i = 0; i < axis; ++i) out[out.rank++] = in[i];
    for (int i = 0; i < indices.rank; ++i) out[out.rank++] = indices[i];
    for (int i = axis + 1; i < in.rank; ++i) out[out.rank++] = in[i];
    wide_ = type == DType::i64;
    count_ = count_of(indices);
    extent_ = in[axis];
    outer_ = count_of(in, 0, axis);
    bytes_ = count_of(in, axis + 1, in.rank) * size_of(ctx.in[0].dtype);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    const ConstTensorView& indices = ctx.in[1];
    for (size_t i = 0; i < count_; ++i) {
      const int64_t index = index_at(indices, i);
      if (index < -extent_ || index >= extent_)
        return Status(Code::invalid_argument, 277, "an index of a gather names no entry")
            .values(index, extent_ - 1)
            .next("check the indices: from minus the dimension to the dimension less one");
    }
    auto part = [&](size_t begin, size_t end) {
      for (size_t line = begin; line < end; ++line) {
        int64_t index = index_at(indices, line % count_);
        if (index < 0) index += extent_;
        const size_t entry = line / count_ * static_cast<size_t>(extent_);
        const size_t from = (entry + static_cast<size_t>(index)) * bytes_;
        std::memcpy(ctx.out[0].data + line * bytes_, ctx.in[0].data + from, bytes_);
      }
    };
    const size_t worth = kElementsWorth * sizeof(float) / (bytes_ + 1) + 2;
    split_if_worth(ctx.threads, outer_ * count_, 1, worth, part);
    return {};
  }

  const char* kernel_name() const override { return "plain_gather"; }

 private:
  int64_t index_at(const ConstTensorView& indices, size_t i) const {
    return wide_ ? indices.as<int64_t>()[i] : indices.as<int32_t>()[i];
  }

  bool wide_ = true;
  size_t count_ = 0, outer_ = 0, bytes_ = 0;
  int64_t extent_ = 0;
};

}  // namespace

Op* make_gather(Arena& keep) {
  return keep.make<Gather>();
}

}  // namespace qrt
