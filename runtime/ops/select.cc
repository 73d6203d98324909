// condition ? a : b, element by element, all three broadcast. Elements are moved, not
// looked at, so that a and b may be of any one type.
#include "runtime/ops/broadcast.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

template <class T>
void select_row(const RunContext& ctx, const Broadcast::Row& row) {
  const uint8_t* condition = ctx.in[0].as<uint8_t>() + row.offset[0];
  const T *a = ctx.in[1].as<T>() + row.offset[1], *b = ctx.in[2].as<T>() + row.offset[2];
  T* out = ctx.out[0].as<T>() + row.out;
  for (size_t i = 0; i < row.count; ++i)
    out[i] = condition[i * row.step[0]] != 0 ? a[i * row.step[1]] : b[i * row.step[2]];
}

class Select final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 3));
    const bool good = ctx.in[0].dtype == DType::boolean && ctx.in[1].dtype == ctx.out[0].dtype &&
                      ctx.in[2].dtype == ctx.out[0].dtype;
    QRT_REQUIRE(good, Code::invalid_model, 252,
                "a select takes a bool condition and two tensors of the output's type");
    element_ = size_of(ctx.out[0].dtype);
    Shape out;
    QRT_TRY(loops_.prepare(ctx.in, &out));
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    auto part = [&](size_t begin, size_t end) {
      loops_.rows(begin, end, [&](const Broadcast::Row& row) {
        switch (element_) {
          case 1:
            return select_row<uint8_t>(ctx, row);
          case 2:
            return select_row<uint16_t>(ctx, row);
          case 4:
            return select_row<uint32_t>(ctx, row);
          default:
            return select_row<uint64_t>(ctx, row);
        }
      });
    };
    split_if_worth(ctx.threads, loops_.total(), 64, kElementsWorth, part);
    return {};
  }

  const char* kernel_name() const override { return "plain_select"; }

 private:
  Broadcast loops_;
  size_t element_ = 4;
};

}  // namespace

Op* make_select(Arena& keep) {
  return keep.make<Select>();
}

}  // namespace qrt
