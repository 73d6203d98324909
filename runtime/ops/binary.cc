// add, sub, mul, div, max, min of two f32 tensors with NumPy broadcasting, then the
// clamp. max and min give a NaN when either side is one.
//
// At prepare the two shapes are merged into as few axes as possible: neighbours
// fuse when each tensor either walks through both or is repeated along both. What
// remains is an outer loop over rows and one inner loop of three kinds: both walk,
// or one of them stands still. Equal shapes are a single row.
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

struct Axis {
  size_t extent;
  size_t step_a, step_b;  // in elements; 0 where the tensor is repeated
};

// Dimension of a shape aligned to the right within `rank` axes.
size_t dim_at(const Shape& s, int axis, int rank) {
  const int i = axis - (rank - s.rank);
  return i < 0 ? 1 : static_cast<size_t>(s[i]);
}

template <BinaryOp op>
inline float apply(float x, float y) {
  if constexpr (op == BinaryOp::add) return x + y;
  if constexpr (op == BinaryOp::sub) return x - y;
  if constexpr (op == BinaryOp::mul) return x * y;
  if constexpr (op == BinaryOp::div) return x / y;
  if constexpr (op == BinaryOp::max) return (x > y || x != x) ? x : y;
  if constexpr (op == BinaryOp::min) return (x < y || x != x) ? x : y;
}

// n results in a row; each input walks or stands still.
using RowFn = void(const float* a, bool walk_a, const float* b, bool walk_b, float* out, size_t n,
                   Limits);

template <BinaryOp op>
void row(const float* a, bool walk_a, const float* b, bool walk_b, float* out, size_t n, Limits l) {
  if (walk_a && walk_b) {
    for (size_t i = 0; i < n; ++i) out[i] = clamp_to(apply<op>(a[i], b[i]), l);
  } else if (walk_a) {
    const float y = *b;
    for (size_t i = 0; i < n; ++i) out[i] = clamp_to(apply<op>(a[i], y), l);
  } else if (walk_b) {
    const float x = *a;
    for (size_t i = 0; i < n; ++i) out[i] = clamp_to(apply<op>(x, b[i]), l);
  } else {
    const float z = clamp_to(apply<op>(*a, *b), l);
    for (size_t i = 0; i < n; ++i) out[i] = z;
  }
}

// Indexed by BinaryOp.
constexpr RowFn* kRows[] = {row<BinaryOp::add>, row<BinaryOp::sub>, row<BinaryOp::mul>,
                            row<BinaryOp::div>, row<BinaryOp::max>, row<BinaryOp::min>};
constexpr const char* kNames[] = {"plain_f32_add", "plain_f32_sub", "plain_f32_mul",
                                  "plain_f32_div", "plain_f32_max", "plain_f32_min"};

class Binary final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 2));
    for (size_t i = 0; i < 2; ++i) QRT_TRY(take_constant(ctx, i));
    if (ctx.out[0].dtype != DType::f32) return check_f32(ctx);
    QRT_TRY(check_clamp(node.binary->clamp));
    limits_ = limits_of(node.binary->clamp);
    op_ = static_cast<size_t>(node.binary->op);
    QRT_REQUIRE(op_ < sizeof kRows / sizeof *kRows, Code::invalid_model, 260,
                "unknown element-wise operator");
    Shape out;
    QRT_TRY(merge(ctx.in[0].shape, ctx.in[1].shape, &out));
    total_ = count_of(out);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    const float* a = constant_[0] != nullptr ? constant_[0] : ctx.in[0].as<float>();
    const float* b = constant_[1] != nullptr ? constant_[1] : ctx.in[1].as<float>();
    float* out = ctx.out[0].as<float>();
    auto part = [&](size_t begin, size_t end) { run_part(a, b, out, begin, end); };
    split_if_worth(ctx.threads, total_, 64, kElementsWorth, part);
    return {};
  }

  const char* kernel_name() const override { return kNames[op_]; }

 private:
  // An f16 constant is widened once; f32 tensors are used where they lie.
  Status take_constant(PrepareContext& ctx, size_t i) {
    const ConstTensorView& t = ctx.in[i];
    if (t.dtype == DType::f32) return {};
    if (t.dtype != DType::f16 || t.data == nullptr) return check_f32(ctx);
    const size_t n = count_of(t.shape);
    Span<float> copy = ctx.keep.array<float>(n);
    if (copy.size() != n) return out_of_memory();
    const Constant c{t.data, DType::f16, static_cast<uint32_t>(n)};
    for (uint32_t k = 0; k < n; ++k) copy[k] = read_constant(c, k);
    constant_[i] = copy.data();
    return {};
  }

  // The broadcast shape, and the axes of the loops.
  Status merge(const Shape& a, const Shape& b, Shape* out) {
    out->rank = a.rank > b.rank ? a.rank : b.rank;
    size_t step_a = 1, step_b = 1;
    for (int axis = out->rank - 1; axis >= 0; --axis) {
      const size_t da = dim_at(a, axis, out->rank), db = dim_at(b, axis, out->rank);
      if (da != db && da != 1 && db != 1)
        return Status(Code::invalid_model, 261, "two shapes do not broadcast to each other")
            .values(static_cast<int64_t>(da), static_cast<int64_t>(db))
            .next("give both tensors the same dimension here, or 1 in one of them");
      const size_t d = da == 1 ? db : da;
      (*out)[axis] = static_cast<int32_t>(d);
      if (d != 1) push({d, da == 1 ? 0 : step_a, db == 1 ? 0 : step_b});
      step_a *= da;
      step_b *= db;
    }
    if (axes_ == 0) axis_[axes_++] = {1, 1, 1};
    return {};
  }

  // Appends the next outer axis, or fuses it with the one inside it.
  void push(const Axis& next) {
    if (axes_ > 0) {
      Axis& inner = axis_[axes_ - 1];
      const bool a = (next.step_a == 0) == (inner.step_a == 0);
      const bool b = (next.step_b == 0) == (inner.step_b == 0);
      if (a && b) {
        inner.extent *= next.extent;
        return;
      }
    }
    axis_[axes_++] = next;
  }

  // Results [begin, end) in flat order: rows of the innermost axis, the first and
  // last perhaps cut.
  void run_part(const float* a, const float* b, float* out, size_t begin, size_t end) const {
    const Axis& inner = axis_[0];
    while (begin < end) {
      size_t rest = begin / inner.extent;
      const size_t skip = begin % inner.extent;
      const float *pa = a + skip * inner.step_a, *pb = b + skip * inner.step_b;
      for (size_t i = 1; i < axes_; ++i) {
        pa += rest % axis_[i].extent * axis_[i].step_a;
        pb += rest % axis_[i].extent * axis_[i].step_b;
        rest /= axis_[i].extent;
      }
      const size_t left = inner.extent - skip, n = left < end - begin ? left : end - begin;
      kRows[op_](pa, inner.step_a != 0, pb, inner.step_b != 0, out + begin, n, limits_);
      begin += n;
    }
  }

  Axis axis_[kMaxRank] = {};  // innermost first
  size_t axes_ = 0, total_ = 0, op_ = 0;
  Limits limits_{};
  const float* constant_[2] = {};  // widened; null: the tensor itself
};

}  // namespace

Op* make_binary(Arena& keep) {
  return keep.make<Binary>();
}

}  // namespace qrt
