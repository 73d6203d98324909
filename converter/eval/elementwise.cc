// Arithmetic value by value: unary and binary operators, affine and batch
// normalization, softmax. The formulas are those of the ONNX operators.
#include <algorithm>
#include <array>
#include <cmath>

#include "converter/eval/compute.h"
#include "schema/layout.h"

namespace qrt::eval {
namespace {

float apply(const ir::Unary& unary, float x) {
  using Op = ir::Unary::Op;
  const float a = unary.alpha, b = unary.beta;
  switch (unary.op) {
    case Op::clamp:
      return clamped(x, {a, b});
    case Op::leaky_relu:
      return x < 0 ? a * x : x;
    case Op::elu:
      return x < 0 ? a * std::expm1(x) : x;
    case Op::sigmoid:
      return 1.0f / (1.0f + std::exp(-x));
    case Op::hard_sigmoid:
      return std::clamp(a * x + b, 0.0f, 1.0f);
    case Op::tanh:
      return std::tanh(x);
    case Op::hard_swish:
      return x * std::clamp(x / 6.0f + 0.5f, 0.0f, 1.0f);
    case Op::exp:
      return std::exp(x);
    case Op::log:
      return std::log(x);
    case Op::sqrt:
      return std::sqrt(x);
    case Op::abs:
      return std::abs(x);
    case Op::neg:
      return -x;
    case Op::erf:
      return std::erf(x);
    // log(1 + e^x) without overflow for large x.
    case Op::softplus:
      return std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x)));
    case Op::selu:
      return b * (x < 0 ? a * std::expm1(x) : x);
    case Op::reciprocal:
      return 1.0f / x;
    case Op::floor:
      return std::floor(x);
    case Op::ceil:
      return std::ceil(x);
    case Op::gelu:
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678f));
    case Op::silu:
      return x / (1.0f + std::exp(-x));
  }
  return x;
}

float apply(ir::Binary::Op op, float a, float b) {
  using Op = ir::Binary::Op;
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::div:
      return a / b;
    case Op::max:
      return std::max(a, b);
    case Op::min:
      return std::min(a, b);
  }
  return a;
}

// False on overflow and on division by zero.
bool apply(ir::Binary::Op op, int64_t a, int64_t b, int64_t* out) {
  using Op = ir::Binary::Op;
  switch (op) {
    case Op::add:
      return !__builtin_add_overflow(a, b, out);
    case Op::sub:
      return !__builtin_sub_overflow(a, b, out);
    case Op::mul:
      return !__builtin_mul_overflow(a, b, out);
    case Op::div:
      if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
      return *out = a / b, true;
    case Op::max:
      return *out = std::max(a, b), true;
    case Op::min:
      return *out = std::min(a, b), true;
  }
  return false;
}

// Walks the output in order and keeps the two input offsets, 0 along broadcast dimensions.
template <class Step>
void broadcast(const Call& call, const Step& step) {
  const auto& shape = call.out.shape;
  const size_t rank = shape.size();
  std::array<std::array<int64_t, layout::kMaxRank>, 2> stride{};
  for (size_t k = 0; k < 2; ++k) {
    const auto& from = call.in[k].shape;
    int64_t length = 1;
    for (size_t d = 0; d < from.size(); ++d) {
      const size_t at = from.size() - 1 - d;
      if (from[at] != 1) stride[k][rank - 1 - d] = length;
      length *= from[at];
    }
  }
  std::array<int64_t, layout::kMaxRank> index{};
  int64_t a = 0, b = 0;
  const size_t count = static_cast<size_t>(ir::element_count(shape));
  for (size_t i = 0; i < count; ++i) {
    step(i, a, b);
    for (size_t d = rank; d-- > 0;) {
      a += stride[0][d], b += stride[1][d];
      if (++index[d] < shape[d]) break;
      a -= stride[0][d] * shape[d], b -= stride[1][d] * shape[d];
      index[d] = 0;
    }
  }
}

// y = scale[c] * x + bias[c], c along dimension `axis`.
void scale_channels(Call& call, size_t axis, const float* scale, const float* bias,
                    const ir::Clamp& clamp) {
  int64_t inner = 1;
  for (size_t d = axis + 1; d < call.out.shape.size(); ++d) inner *= call.out.shape[d];
  const int64_t channels = call.out.shape[axis];
  const float* x = call.in[0].data.data();
  for (size_t i = 0; i < call.out.data.size(); ++i) {
    const int64_t c = static_cast<int64_t>(i) / inner % channels;
    call.out.data[i] = clamped(scale[c] * x[i] + bias[c], clamp);
  }
}

}  // namespace

Result<void> compute(Call& call, const ir::Unary& unary) {
  const View& x = call.in[0];
  for (size_t i = 0; i < x.data.size(); ++i) call.out.data[i] = apply(unary, x.data[i]);
  if (x.ints.empty()) return {};
  if (unary.op != ir::Unary::Op::neg && unary.op != ir::Unary::Op::abs) {
    return call.error("takes floats only; found ", name_of(x.type), "; cast the input");
  }
  for (size_t i = 0; i < x.ints.size(); ++i) {
    const bool negate = unary.op == ir::Unary::Op::neg || x.ints[i] < 0;
    if (x.ints[i] == INT64_MIN) return call.error("an integer overflows");
    call.out.ints[i] = negate ? -x.ints[i] : x.ints[i];
  }
  return {};
}

Result<void> compute(Call& call, const ir::Binary& binary) {
  const View &p = call.in[0], &q = call.in[1];
  if (ir::is_float(call.out.type)) {
    broadcast(call, [&](size_t i, int64_t a, int64_t b) {
      call.out.data[i] = clamped(apply(binary.op, p.data[a], q.data[b]), binary.clamp);
    });
    return {};
  }
  bool good = true;
  broadcast(call, [&](size_t i, int64_t a, int64_t b) {
    good = apply(binary.op, p.ints[a], q.ints[b], &call.out.ints[i]) && good;
  });
  if (!good) return call.error("integers overflow or are divided by zero; check the source model");
  return {};
}

Result<void> compute(Call& call, const ir::Affine& affine) {
  const size_t axis = affine.layout == ir::Layout::nchw ? 1 : call.out.shape.size() - 1;
  scale_channels(call, axis, call.in[1].data.data(), call.in[2].data.data(), affine.clamp);
  return {};
}

Result<void> compute(Call& call, const ir::BatchNorm& norm) {
  const auto &scale = call.in[1].data, &bias = call.in[2].data;
  const auto &mean = call.in[3].data, &variance = call.in[4].data;
  std::vector<float> factor(scale.size()), offset(scale.size());
  for (size_t c = 0; c < scale.size(); ++c) {
    const double f = scale[c] / std::sqrt(static_cast<double>(variance[c]) + norm.eps);
    factor[c] = static_cast<float>(f);
    offset[c] = static_cast<float>(bias[c] - f * mean[c]);
  }
  scale_channels(call, 1, factor.data(), offset.data(), ir::kNoClamp);
  return {};
}

Result<void> compute(Call& call, const ir::Softmax& softmax) {
  const auto& shape = call.out.shape;
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = softmax.axis < 0 ? softmax.axis + rank : softmax.axis;
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < rank; ++d) inner *= shape[d];
  const int64_t length = shape[axis], total = call.in[0].count();
  for (int64_t start = 0; start < total; start += length * inner) {
    for (int64_t i = 0; i < inner; ++i) {
      const float* x = call.in[0].data.data() + start + i;
      float* y = call.out.data.data() + start + i;
      float top = x[0];
      for (int64_t k = 1; k < length; ++k) top = std::max(top, x[k * inner]);
      double sum = 0;
      for (int64_t k = 0; k < length; ++k) sum += std::exp(static_cast<double>(x[k * inner] - top));
      for (int64_t k = 0; k < length; ++k) {
        const double shifted = x[k * inner] - top;
        y[k * inner] =
            static_cast<float>(softmax.log ? shifted - std::log(sum) : std::exp(shifted) / sum);
      }
    }
  }
  return {};
}

}  // namespace qrt::eval
