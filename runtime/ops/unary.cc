// Functions of one element: those of UnaryOp in schema/qrt.fbs, in the terms of the
// ONNX operators of the same names. clamp keeps a NaN. All take f32; abs, neg and sign
// take i32 and i64 as well (and wrap), logical_not takes bool.
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

// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
inline float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
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
  if constexpr (op == UnaryOp::round) return std::nearbyint(x);  // halves to even
  if constexpr (op == UnaryOp::sign) return x > 0 ? 1.0f : x < 0 ? -1.0f : x != x ? x : 0.0f;
  if constexpr (op == UnaryOp::sin) return std::sin(x);
  if constexpr (op == UnaryOp::cos) return std::cos(x);
  if constexpr (op == UnaryOp::tan) return std::tan(x);
  if constexpr (op == UnaryOp::asin) return std::asin(x);
  if constexpr (op == UnaryOp::acos) return std::acos(x);
  if constexpr (op == UnaryOp::atan) return std::atan(x);
  if constexpr (op == UnaryOp::sinh) return std::sinh(x);
  if constexpr (op == UnaryOp::cosh) return std::cosh(x);
  if constexpr (op == UnaryOp::asinh) return std::asinh(x);
  if constexpr (op == UnaryOp::acosh) return std::acosh(x);
  if constexpr (op == UnaryOp::atanh) return std::atanh(x);
  if constexpr (op == UnaryOp::softsign) return x / (1.0f + std::fabs(x));
  if constexpr (op == UnaryOp::thresholded_relu) return x <= p.alpha ? 0.0f : x;
  if constexpr (op == UnaryOp::shrink)
    return x < -p.alpha ? x + p.beta : x > p.alpha ? x - p.beta : x != x ? x : 0.0f;
  if constexpr (op == UnaryOp::celu) return x < 0 ? p.alpha * std::expm1(x / p.alpha) : x;
  if constexpr (op == UnaryOp::gelu_tanh) return gelu_tanh(x);
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
    QRT_UNARY(clamp),
    QRT_UNARY(leaky_relu),
    QRT_UNARY(elu),
    QRT_UNARY(sigmoid),
    QRT_UNARY(hard_sigmoid),
    QRT_UNARY(tanh),
    QRT_UNARY(hard_swish),
    QRT_UNARY(exp),
    QRT_UNARY(log),
    QRT_UNARY(sqrt),
    QRT_UNARY(abs),
    QRT_UNARY(neg),
    QRT_UNARY(erf),
    QRT_UNARY(softplus),
    QRT_UNARY(selu),
    QRT_UNARY(reciprocal),
    QRT_UNARY(floor),
    QRT_UNARY(ceil),
    QRT_UNARY(gelu),
    QRT_UNARY(silu),
    QRT_UNARY(round),
    QRT_UNARY(sign),
    QRT_UNARY(sin),
    QRT_UNARY(cos),
    QRT_UNARY(tan),
    QRT_UNARY(asin),
    QRT_UNARY(acos),
    QRT_UNARY(atan),
    QRT_UNARY(sinh),
    QRT_UNARY(cosh),
    QRT_UNARY(asinh),
    QRT_UNARY(acosh),
    QRT_UNARY(atanh),
    QRT_UNARY(softsign),
    QRT_UNARY(thresholded_relu),
    QRT_UNARY(shrink),
    QRT_UNARY(celu),
    QRT_UNARY(gelu_tanh),
#undef QRT_UNARY
};
static_assert(sizeof kRows / sizeof *kRows == static_cast<size_t>(UnaryOp::gelu_tanh) + 1);

// The smallest integer stays itself: its opposite does not exist.
template <class T, class U>
void run_whole(UnaryOp op, const T* in, T* out, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const T x = in[i];
    if (op == UnaryOp::sign)
      out[i] = static_cast<T>((x > 0) - (x < 0));
    else
      out[i] = op == UnaryOp::neg || x < 0 ? static_cast<T>(U{0} - static_cast<U>(x)) : x;
  }
}

class Unary final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_same_dtype(ctx));
    op_ = node.unary->op;
    type_ = ctx.in[0].dtype;
    QRT_REQUIRE(op_ <= UnaryOp::logical_not, Code::invalid_model, 260,
                "unknown element-wise operator");
    const bool signs = op_ == UnaryOp::abs || op_ == UnaryOp::neg || op_ == UnaryOp::sign;
    const bool whole = type_ == DType::i32 || type_ == DType::i64;
    if (op_ == UnaryOp::logical_not) {
      QRT_REQUIRE(type_ == DType::boolean, Code::invalid_model, 252, "logical_not takes bool");
    } else if (!(signs && whole)) {
      QRT_TRY(check_f32(ctx));
    }
    params_ = {node.unary->alpha, node.unary->beta};
    if (op_ == UnaryOp::clamp) {
      QRT_TRY(check_clamp(params_.alpha, params_.beta));
      const Limits l = limits_of(params_.alpha, params_.beta);
      params_ = {l.min, l.max};
    }
    return check_output(ctx, ctx.in[0].shape);
  }

  Status run(const RunContext& ctx) const override {
    auto part = [&](size_t b, size_t e) { run_part(ctx.in[0], ctx.out[0], b, e); };
    split_if_worth(ctx.threads, count_of(ctx.out[0].shape), 64, kElementsWorth, part);
    return {};
  }

  const char* kernel_name() const override {
    if (type_ == DType::boolean) return "plain_bool_not";
    if (type_ == DType::f32) return kRows[static_cast<size_t>(op_)].name;
    return type_ == DType::i32 ? "plain_i32_signs" : "plain_i64_signs";
  }

 private:
  void run_part(const ConstTensorView& in, const TensorView& out, size_t b, size_t e) const {
    switch (type_) {
      case DType::i32:
        return run_whole<int32_t, uint32_t>(op_, in.as<int32_t>() + b, out.as<int32_t>() + b,
                                            e - b);
      case DType::i64:
        return run_whole<int64_t, uint64_t>(op_, in.as<int64_t>() + b, out.as<int64_t>() + b,
                                            e - b);
      case DType::boolean:
        for (size_t i = b; i < e; ++i) out.as<uint8_t>()[i] = in.as<uint8_t>()[i] == 0 ? 1 : 0;
        return;
      default:
        return kRows[static_cast<size_t>(op_)].run(in.as<float>() + b, out.as<float>() + b, e - b,
                                                   params_);
    }
  }

  UnaryOp op_ = UnaryOp::clamp;
  DType type_ = DType::f32;
  Params params_{};
};

}  // namespace

Op* make_unary(Arena& keep) {
  return keep.make<Unary>();
}

}  // namespace qrt
