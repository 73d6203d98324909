// See functions.h.
#include "converter/eval/functions.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "converter/eval/compute.h"

namespace qrt::eval {
namespace {

using UnaryOp = ir::Unary::Op;
using BinaryOp = ir::Binary::Op;

float sign(float x) {
  return x != x ? x : static_cast<float>((x > 0) - (x < 0));
}

// x where |x| is large: lambda and bias of Shrink.
float shrink(float x, float lambda, float bias) {
  if (x < -lambda) return x + bias;
  return x > lambda ? x - bias : 0.0f;
}

// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): the approximation networks are trained with.
float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
}

struct Range {
  int64_t low, high;
};
Range range_of(ir::ElementType type) {
  switch (type) {
    case ir::ElementType::i8:
      return {INT8_MIN, INT8_MAX};
    case ir::ElementType::u8:
      return {0, UINT8_MAX};
    case ir::ElementType::i32:
      return {INT32_MIN, INT32_MAX};
    case ir::ElementType::boolean:
      return {0, 1};
    default:
      return {INT64_MIN, INT64_MAX};
  }
}

// base^exponent in 64 bits; below 0 only the powers of 1 and -1 are whole.
int64_t power(int64_t base, int64_t exponent, bool* exact) {
  if (exponent < 0) {
    if (base != 1 && base != -1) *exact = false;
    return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  }
  int64_t result = 1;
  for (bool overflow = false; exponent > 0; exponent /= 2) {
    if (exponent % 2 != 0) {
      if (overflow || __builtin_mul_overflow(result, base, &result)) *exact = false;
    }
    overflow = __builtin_mul_overflow(base, base, &base) || overflow;
  }
  return result;
}

}  // namespace

float apply(const ir::Unary& unary, float x) {
  const float a = unary.alpha, b = unary.beta;
  switch (unary.op) {
    case UnaryOp::clamp:
      return clamped(x, {a, b});
    case UnaryOp::leaky_relu:
      return x < 0 ? a * x : x;
    case UnaryOp::elu:
      return x < 0 ? a * std::expm1(x) : x;
    case UnaryOp::sigmoid:
      return 1.0f / (1.0f + std::exp(-x));
    case UnaryOp::hard_sigmoid:
      return std::clamp(a * x + b, 0.0f, 1.0f);
    case UnaryOp::tanh:
      return std::tanh(x);
    case UnaryOp::hard_swish:
      return x * std::clamp(x / 6.0f + 0.5f, 0.0f, 1.0f);
    case UnaryOp::exp:
      return std::exp(x);
    case UnaryOp::log:
      return std::log(x);
    case UnaryOp::sqrt:
      return std::sqrt(x);
    case UnaryOp::abs:
      return std::abs(x);
    case UnaryOp::neg:
      return -x;
    case UnaryOp::erf:
      return std::erf(x);
    // log(1 + e^x) without overflow for large x.
    case UnaryOp::softplus:
      return std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x)));
    case UnaryOp::selu:
      return b * (x < 0 ? a * std::expm1(x) : x);
    case UnaryOp::reciprocal:
      return 1.0f / x;
    case UnaryOp::floor:
      return std::floor(x);
    case UnaryOp::ceil:
      return std::ceil(x);
    case UnaryOp::gelu:
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678f));
    case UnaryOp::silu:
      return x / (1.0f + std::exp(-x));
    case UnaryOp::round:  // halves to even
      return std::nearbyint(x);
    case UnaryOp::sign:
      return sign(x);
    case UnaryOp::sin:
      return std::sin(x);
    case UnaryOp::cos:
      return std::cos(x);
    case UnaryOp::tan:
      return std::tan(x);
    case UnaryOp::asin:
      return std::asin(x);
    case UnaryOp::acos:
      return std::acos(x);
    case UnaryOp::atan:
      return std::atan(x);
    case UnaryOp::sinh:
      return std::sinh(x);
    case UnaryOp::cosh:
      return std::cosh(x);
    case UnaryOp::asinh:
      return std::asinh(x);
    case UnaryOp::acosh:
      return std::acosh(x);
    case UnaryOp::atanh:
      return std::atanh(x);
    case UnaryOp::softsign:
      return x / (1.0f + std::abs(x));
    case UnaryOp::thresholded_relu:
      return x > a ? x : x != x ? x : 0.0f;
    case UnaryOp::shrink:
      return x != x ? x : shrink(x, a, b);
    case UnaryOp::celu:
      return x < 0 ? a * std::expm1(x / a) : x;
    case UnaryOp::gelu_tanh:
      return gelu_tanh(x);
    case UnaryOp::logical_not:
      break;  // of bool only
  }
  return x;
}

float apply(BinaryOp op, float a, float b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::sub:
      return a - b;
    case BinaryOp::mul:
      return a * b;
    case BinaryOp::div:
      return a / b;
    case BinaryOp::max:
      return a > b || a != a ? a : b;
    case BinaryOp::min:
      return a < b || a != a ? a : b;
    case BinaryOp::pow:
      return std::pow(a, b);
    case BinaryOp::fmod:
      return std::fmod(a, b);
    default:
      return a;
  }
}

bool compare(BinaryOp op, float a, float b) {
  switch (op) {
    case BinaryOp::equal:
      return a == b;
    case BinaryOp::greater:
      return a > b;
    case BinaryOp::greater_equal:
      return a >= b;
    case BinaryOp::less:
      return a < b;
    default:
      return a <= b;
  }
}

bool compare(BinaryOp op, int64_t a, int64_t b) {
  switch (op) {
    case BinaryOp::equal:
      return a == b;
    case BinaryOp::greater:
      return a > b;
    case BinaryOp::greater_equal:
      return a >= b;
    case BinaryOp::less:
      return a < b;
    case BinaryOp::less_equal:
      return a <= b;
    case BinaryOp::logical_and:
      return a != 0 && b != 0;
    case BinaryOp::logical_or:
      return a != 0 || b != 0;
    default:
      return (a != 0) != (b != 0);
  }
}

int64_t wrapped(ir::ElementType type, int64_t value) {
  switch (type) {
    case ir::ElementType::i8:
      return static_cast<int8_t>(value);
    case ir::ElementType::u8:
      return static_cast<uint8_t>(value);
    case ir::ElementType::i32:
      return static_cast<int32_t>(value);
    case ir::ElementType::boolean:
      return value != 0;
    default:
      return value;
  }
}

int64_t truncated(ir::ElementType type, float value) {
  if (value != value) return type == ir::ElementType::boolean ? 1 : 0;
  if (type == ir::ElementType::boolean) return value != 0;
  const Range range = range_of(type);
  // 2^63 is a float, 2^63 - 1 is none.
  if (value >= static_cast<float>(range.high)) return range.high;
  if (value <= static_cast<float>(range.low)) return range.low;
  return static_cast<int64_t>(value);
}

int64_t apply(BinaryOp op, ir::ElementType type, int64_t a, int64_t b, bool* exact) {
  int64_t r = 0;
  bool overflow = false;
  switch (op) {
    case BinaryOp::add:
      overflow = __builtin_add_overflow(a, b, &r);
      break;
    case BinaryOp::sub:
      overflow = __builtin_sub_overflow(a, b, &r);
      break;
    case BinaryOp::mul:
      overflow = __builtin_mul_overflow(a, b, &r);
      break;
    case BinaryOp::div:
    case BinaryOp::mod:
    case BinaryOp::fmod:
      overflow = b == 0;
      if (b == 0) break;
      if (op == BinaryOp::div) {
        // Only -2^63 / -1 overflows.
        overflow = b == -1 && __builtin_sub_overflow(int64_t{0}, a, &r);
        if (b != -1) r = a / b;
        break;
      }
      r = b == -1 ? 0 : a % b;
      if (op == BinaryOp::mod && r != 0 && (r < 0) != (b < 0)) r += b;
      break;
    case BinaryOp::max:
      r = std::max(a, b);
      break;
    case BinaryOp::min:
      r = std::min(a, b);
      break;
    default:
      r = power(a, b, exact);
      break;
  }
  const int64_t result = wrapped(type, r);
  if (overflow || result != r) *exact = false;
  return result;
}

int64_t apply(UnaryOp op, ir::ElementType type, int64_t x, bool* exact) {
  switch (op) {
    case UnaryOp::logical_not:
      return x == 0;
    case UnaryOp::sign:
      return (x > 0) - (x < 0);
    case UnaryOp::abs:
      if (x >= 0) return x;
      [[fallthrough]];
    default:
      return apply(BinaryOp::sub, type, 0, x, exact);
  }
}

}  // namespace qrt::eval
