// softmax and log-softmax along one axis, shifted by the maximum so that nothing
// overflows: with m = max x, y = exp(x - m) / sum exp(x - m), log y = x - m - log sum.
// An input with a NaN or +inf along the axis gives NaNs, as the formula does.
#include <cmath>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

class Softmax final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_f32(ctx));
    const Shape& shape = ctx.in[0].shape;
    const int axis = node.softmax->axis;
    if (axis < 0 || axis >= shape.rank)
      return Status(Code::invalid_model, 260, "the axis of a softmax is out of range")
          .values(axis, shape.rank - 1)
          .next("convert the model again");
    log_ = node.softmax->log;
    outer_ = count_of(shape, 0, axis);
    extent_ = static_cast<size_t>(shape[axis]);
    inner_ = count_of(shape, axis + 1, shape.rank);
    return check_output(ctx, shape);
  }

  Status run(const RunContext& ctx) const override {
    const float* in = ctx.in[0].as<float>();
    float* out = ctx.out[0].as<float>();
    auto part = [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) run_line(in, out, i);
    };
    const size_t lines = outer_ * inner_;
    split_if_worth(ctx.threads, lines, 1, kElementsWorth / (extent_ + 1) + 2, part);
    return {};
  }

  const char* kernel_name() const override {
    return log_ ? "plain_f32_log_softmax" : "plain_f32_softmax";
  }

 private:
  void run_line(const float* in, float* out, size_t line) const {
    const size_t first = line / inner_ * extent_ * inner_ + line % inner_;
    const size_t last = first + extent_ * inner_;
    float most = -__builtin_inff();
    for (size_t i = first; i < last; i += inner_) most = in[i] > most ? in[i] : most;
    if (most == -__builtin_inff()) most = 0;  // nothing but -inf: 0 / 0 below, not inf - inf
    float sum = 0;
    for (size_t i = first; i < last; i += inner_) {
      const float e = std::exp(in[i] - most);
      sum += e;
      out[i] = log_ ? in[i] - most : e;
    }
    const float shift = log_ ? std::log(sum) : 0.0f, factor = log_ ? 1.0f : 1.0f / sum;
    for (size_t i = first; i < last; i += inner_) out[i] = (out[i] - shift) * factor;
  }

  size_t outer_ = 0, extent_ = 0, inner_ = 0;
  bool log_ = false;
};

}  // namespace

Op* make_softmax(Arena& keep) {
  return keep.make<Softmax>();
}

}  // namespace qrt
