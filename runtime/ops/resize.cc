// Interpolates f32 tensors along any axes. The interpolation of ONNX is separable:
// one axis after the other, a pass each,
//
//   [outer][in][inner] -> [outer][out][inner],   row = sum of up to 4 input rows
//
// which reads contiguous rows of `inner` numbers (channels, where images lie
// channels-last). Axes that shrink come first: then no intermediate result has more
// elements than the larger of input and output, whatever a file declares.
#include <cstring>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/resize_taps.h"

namespace qrt {
namespace {

struct Pass {
  size_t in = 1, out = 1, outer = 1, inner = 1;
  Span<AxisTap> taps;  // one per output index
};

class Resize final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_f32(ctx));
    const ResizeAttr& a = *node.resize;
    Shape now = ctx.in[0].shape, out = now;
    for (int i = 0; i < now.rank; ++i) {
      if (a.size[i] < 0 || !(a.scale[i] >= 0))
        return Status(Code::invalid_model, 278, "a resize's size or scale is negative")
            .values(a.size[i], 0)
            .next("convert the model again");
      if (a.size[i] != 0) out[i] = a.size[i];
    }
    QRT_TRY(check_output(ctx, out));
    mode_ = a.mode;
    outside_ = a.outside;
    int order[kMaxRank];
    sort_axes(now, out, order);
    for (int k = 0; k < now.rank; ++k) {
      const int axis = order[k];
      if (a.size[axis] != 0) QRT_TRY(add_pass(a, axis, now, out[axis], ctx.keep));
    }
    elements_ = count_of(out);
    return reserve(ctx);
  }

  Status run(const RunContext& ctx) const override {
    const float* in = ctx.in[0].as<float>();
    if (passes_ == 0) std::memcpy(ctx.out[0].data, in, elements_ * sizeof(float));
    for (size_t k = 0; k < passes_; ++k) {
      float* out = k + 1 == passes_ ? ctx.out[0].as<float>()
                                    : reinterpret_cast<float*>(ctx.scratch[slot_[k % 2]]);
      run_pass(pass_[k], in, out, ctx.threads);
      in = out;
    }
    return {};
  }

  const char* kernel_name() const override {
    if (mode_ == ResizeMode::nearest) return "plain_resize_nearest";
    return mode_ == ResizeMode::linear ? "plain_resize_linear" : "plain_resize_cubic";
  }

 private:
  // By out / in, smallest first; equal ones in their order.
  static void sort_axes(const Shape& in, const Shape& out, int (&order)[kMaxRank]) {
    for (int i = 0; i < in.rank; ++i) {
      int k = i;
      for (; k > 0; --k) {
        const int b = order[k - 1];
        if (int64_t{out[b]} * in[i] <= int64_t{out[i]} * in[b]) break;
        order[k] = b;
      }
      order[k] = i;
    }
  }

  // The pass along `axis` of a tensor that has the shape `now`, which becomes that of its result.
  // An axis that it would only copy needs none.
  Status add_pass(const ResizeAttr& a, int axis, Shape& now, int32_t out, Arena& keep) {
    Pass pass;
    pass.taps = keep.array<AxisTap>(static_cast<size_t>(out));
    if (pass.taps.size() != static_cast<size_t>(out)) return out_of_memory();
    bool copies = out == now[axis];
    for (int32_t x = 0; x < out; ++x) {
      const AxisTap tap = tap_at(a, axis, x, now[axis], out);
      pass.taps[static_cast<size_t>(x)] = tap;
      for (int k = 0; k < taps_of(mode_); ++k)
        copies = copies && (tap.weight[k] == 0 || (tap.weight[k] == 1 && tap.index[k] == x));
    }
    if (copies) return {};
    pass.in = static_cast<size_t>(now[axis]);
    pass.out = static_cast<size_t>(out);
    pass.outer = count_of(now, 0, axis);
    pass.inner = count_of(now, axis + 1, now.rank);
    now[axis] = out;
    pass_[passes_++] = pass;
    return {};
  }

  // Two buffers for results between passes, used in turn.
  Status reserve(PrepareContext& ctx) {
    CheckedSize largest[2] = {0, 0};
    for (size_t k = 0; k + 1 < passes_; ++k) {
      const CheckedSize n = CheckedSize(pass_[k].outer) * pass_[k].out * pass_[k].inner * 4;
      if (!n.get()) return out_of_memory();
      if (*n.get() > *largest[k % 2].get()) largest[k % 2] = n;
    }
    for (size_t i = 0; i < 2 && i + 1 < passes_; ++i)
      slot_[i] = ctx.reserve_scratch(*largest[i].get());
    return {};
  }

  void run_pass(const Pass& p, const float* in, float* out, const Threads& threads) const {
    auto part = [&](size_t begin, size_t end) {
      size_t block = begin / p.out, x = begin % p.out;
      for (size_t row = begin; row < end; ++row) {
        write_row(p, p.taps[x], in + block * p.in * p.inner, out + row * p.inner);
        if (++x == p.out) x = 0, ++block;
      }
    };
    const size_t worth = kElementsWorth / (p.inner + 1) + 2;
    split_if_worth(threads, p.outer * p.out, 1, worth, part);
  }

  void write_row(const Pass& p, const AxisTap& tap, const float* in, float* to) const {
    const size_t n = p.inner;
    if (tap.index[0] < 0) {
      for (size_t i = 0; i < n; ++i) to[i] = outside_;
      return;
    }
    const float* row[kMaxTaps];
    for (int k = 0; k < kMaxTaps; ++k) row[k] = in + static_cast<size_t>(tap.index[k]) * n;
    const float* w = tap.weight;
    if (mode_ == ResizeMode::nearest) {
      for (size_t i = 0; i < n; ++i) to[i] = row[0][i];
    } else if (mode_ == ResizeMode::linear) {
      for (size_t i = 0; i < n; ++i) to[i] = w[0] * row[0][i] + w[1] * row[1][i];
    } else {
      for (size_t i = 0; i < n; ++i)
        to[i] = (w[0] * row[0][i] + w[1] * row[1][i]) + (w[2] * row[2][i] + w[3] * row[3][i]);
    }
  }

  Pass pass_[kMaxRank];
  size_t passes_ = 0, elements_ = 0;
  ScratchSlot slot_[2] = {};
  ResizeMode mode_ = ResizeMode::nearest;
  float outside_ = 0;
};

}  // namespace

Op* make_resize(Arena& keep) {
  return keep.make<Resize>();
}

}  // namespace qrt
