// Attributes of the operators that work on single values or along axes, whatever the
// layout: a part of ops.h, which says what an attribute struct is.
#ifndef QRT_CONVERTER_IR_OPS_ELEMENTWISE_H_
#define QRT_CONVERTER_IR_OPS_ELEMENTWISE_H_

#include <cstdint>
#include <vector>

namespace qrt::ir {

// The names and meanings of schema/qrt.fbs UnaryOp. f32; abs, neg and sign also take i32 and i64,
// logical_not takes bool.
struct Unary {
  enum class Op {
    clamp,
    leaky_relu,
    elu,
    sigmoid,
    hard_sigmoid,
    tanh,
    hard_swish,
    exp,
    log,
    sqrt,
    abs,
    neg,
    erf,
    softplus,
    selu,
    reciprocal,
    floor,
    ceil,
    gelu,
    silu,
    round,
    sign,
    sin,
    cos,
    tan,
    asin,
    acos,
    atan,
    sinh,
    cosh,
    asinh,
    acosh,
    atanh,
    softsign,
    thresholded_relu,
    shrink,
    celu,
    gelu_tanh,
    logical_not
  } op = Op::clamp;
  float alpha = 0, beta = 0;
};
// in: x. Truncates to integers, saturating; anything but 0 becomes true. On activations to the
// types of the engine only: f32, i8, u8, i32, i64, bool.
struct Cast {
  int32_t to = 1;  // ONNX data type number
};
// in: condition (bool), then two of one type; all three broadcast. condition ? a : b.
struct Select {};
// in: x. Over the axes (each once, negative ones counted from the end; none: all). f32, and for
// sum, max, min, prod, l1 and sum_square i32 and i64, which wrap.
struct Reduce {
  enum class Mode {
    sum,
    mean,
    max,
    min,
    prod,
    l1,
    l2,
    sum_square,
    log_sum,
    log_sum_exp
  } mode = Mode::sum;
  std::vector<int32_t> axes;
  bool keep_dims = true;
};
// in: x (f32, i32 or i64). The i64 index of the largest (smallest) element along an axis: of equal
// ones the first, or the last. A NaN counts as the extreme.
struct ArgReduce {
  int32_t axis = 0;
  bool smallest = false, last = false, keep_dims = true;
};
// in: x (f32, i32 or i64). The k largest (smallest) elements along an axis in order, or their i64
// indices; of equal ones the first comes first. Two nodes give both.
struct TopK {
  int32_t axis = -1;
  int32_t k = 1;
  bool smallest = false, indices = false;
};

// in: x, scale, zero (constants, [1] or one for each element of the axis).
// y = (q - zero) * scale, q = clamp(round(x / scale + zero), low, high); with zero_after
// q = clamp(round(x / scale) + zero, low, high), as ONNX has it, and zero is whole. Every operation
// is rounded to f32. low and high are whole. A NaN stays one.
struct FakeQuantize {
  // QONNX's ROUND, HALF_UP, HALF_DOWN, FLOOR, CEIL, DOWN, UP.
  enum class Rounding {
    half_even,
    half_away,
    half_to_zero,
    floor,
    ceil,
    to_zero,
    away
  } rounding = Rounding::half_even;
  float low = -128, high = 127;
  bool zero_after = false;
  int32_t axis = 1;
};
// in: x, thresholds (constant, [1, n] or [dimension of the axis, n], rows ascending).
// y = bias + scale * #{i : x >= threshold[c][i]}; a NaN reaches none.
struct Steps {
  float scale = 1, bias = 0;
  int32_t axis = 1;
};

}  // namespace qrt::ir

#endif  // QRT_CONVERTER_IR_OPS_ELEMENTWISE_H_
