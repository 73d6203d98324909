// The same elements under another shape: a copy, unless the session gave input and
// output the same bytes.
#include <cstring>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

class Reshape final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_same_dtype(ctx));
    const size_t in = count_of(ctx.in[0].shape), out = count_of(ctx.out[0].shape);
    if (in != out)
      return Status(Code::invalid_model, 253, "a reshape changes the number of elements")
          .values(static_cast<int64_t>(out), static_cast<int64_t>(in))
          .next("convert the model again; for a batch, check that the model's batch is free");
    bytes_ = in * size_of(ctx.out[0].dtype);
    return {};
  }

  Status run(const RunContext& ctx) const override {
    if (bytes_ != 0 && ctx.in[0].data != ctx.out[0].data)
      std::memcpy(ctx.out[0].data, ctx.in[0].data, bytes_);
    return {};
  }

  const char* kernel_name() const override { return "plain_reshape"; }

 private:
  size_t bytes_ = 0;
};

}  // namespace

Op* make_reshape(Arena& keep) {
  return keep.make<Reshape>();
}

}  // namespace qrt
