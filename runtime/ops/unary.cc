// Functions of one f32 element: those of UnaryOp in schema/qrt.fbs, in the terms of
// the ONNX operators of the same names. clamp keeps a NaN.
#include <cmath>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

struct Params {
  float alpha, beta;
};

inline float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

// log(1 + e^x) without overflow: max(x, 0) + log1p(e^-|x|).
inline float softplus(float x) {
  return (x < 0 ? 0.0f : x) + std::log1p(std::exp(-std::fabs(x)));
}

template <UnaryOp op>
inline float apply(float x, Params p) {
  constexpr Limits unit{0.0f, 1.0f};
  if constexpr (op == UnaryOp::clamp) return clamp_to(x, {p.alpha, p.beta});
  if constexpr (op == UnaryOp::leaky_relu) return x < 0 ? p.alpha * x : x;
  if constexpr (op == UnaryOp::elu) return x < 0 ? p.alpha * std::expm1(x) : x;
  if constexpr (op == UnaryOp::sigmoid) return sigmoid(x);
  if constexpr (op == UnaryOp::hard_sigmoid) return clamp_to(p.alpha * x + p.beta, unit);
  if constexpr (op == UnaryOp::tanh) return std::tanh(x);
  if constexpr (op == UnaryOp::hard_swish) return x * clamp_to(x * (1.0f / 6.0f) + 0.5f, unit);
  if constexpr (op == UnaryOp::exp) return std::exp(x);
  if constexpr (op == UnaryOp::log) return std::log(x);
  if constexpr (op == UnaryOp::sqrt) return std::sqrt(x);
  if constexpr (op == UnaryOp::abs) return std::fabs(x);
  if constexpr (op == UnaryOp::neg) return -x;
  if constexpr (op == UnaryOp::erf) return std::erf(x);
  if constexpr (op == UnaryOp::softplus) return softplus(x);
  if constexpr (op == UnaryOp::selu) return p.beta * (x < 0 ? p.alpha * std::expm1(x) : x);
  if constexpr (op == UnaryOp::reciprocal) return 1.0f / x;
  if constexpr (op == UnaryOp::floor) return std::floor(x);
  if constexpr (op == UnaryOp::ceil) return std::ceil(x);
  if constexpr (op == UnaryOp::gelu) return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
  if constexpr (op == UnaryOp::silu) return x * sigmoid(x);
}

using RunFn = void(const float* in, float* out, size_t n, Params);

template <UnaryOp op>
void run_all(const float* in, float* out, size_t n, Params p) {
  for (size_t i = 0; i < n; ++i) out[i] = apply<op>(in[i], p);
}

struct Row {
  const char* name;
  RunFn* run;
};

// Indexed by UnaryOp.
constexpr Row kRows[] = {
#define QRT_UNARY(op) \
  { "plain_f32_" #op, run_all<UnaryOp::op> }
    QRT_UNARY(clamp),        QRT_UNARY(leaky_relu), QRT_UNARY(elu),        QRT_UNARY(sigmoid),
    QRT_UNARY(hard_sigmoid), QRT_UNARY(tanh),       QRT_UNARY(hard_swish), QRT_UNARY(exp),
    QRT_UNARY(log),          QRT_UNARY(sqrt),       QRT_UNARY(abs),        QRT_UNARY(neg),
    QRT_UNARY(erf),          QRT_UNARY(softplus),   QRT_UNARY(selu),       QRT_UNARY(reciprocal),
    QRT_UNARY(floor),        QRT_UNARY(ceil),       QRT_UNARY(gelu),       QRT_UNARY(silu),
#undef QRT_UNARY
};
static_assert(sizeof kRows / sizeof *kRows == static_cast<size_t>(UnaryOp::silu) + 1);

class Unary final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_f32(ctx));
    op_ = static_cast<size_t>(node.unary->op);
    QRT_REQUIRE(op_ < sizeof kRows / sizeof *kRows, Code::invalid_model, 260,
                "unknown element-wise operator");
    params_ = {node.unary->alpha, node.unary->beta};
    if (node.unary->op == UnaryOp::clamp) {
      QRT_TRY(check_clamp(params_.alpha, params_.beta));
      const Limits l = limits_of(params_.alpha, params_.beta);
      params_ = {l.min, l.max};
    }
    return check_output(ctx, ctx.in[0].shape);
  }

  Status run(const RunContext& ctx) const override {
    const float* in = ctx.in[0].as<float>();
    float* out = ctx.out[0].as<float>();
    auto part = [&](size_t b, size_t e) { kRows[op_].run(in + b, out + b, e - b, params_); };
    split_if_worth(ctx.threads, count_of(ctx.out[0].shape), 64, kElementsWorth, part);
    return {};
  }

  const char* kernel_name() const override { return kRows[op_].name; }

 private:
  size_t op_ = 0;
  Params params_{};
};

}  // namespace

Op* make_unary(Arena& keep) {
  return keep.make<Unary>();
}

}  // namespace qrt
