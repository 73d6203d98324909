// What operators are and what their options say, as plain structs: the checked copies of the tables
// in schema/qrt.fbs. Values of the enums equal those of the schema; model.cc holds static_asserts.
#ifndef QRT_RUNTIME_MODEL_OPERATORS_H_
#define QRT_RUNTIME_MODEL_OPERATORS_H_

#include <cstdint>

#include "runtime/model/quantizers.h"
#include "runtime/model/weights.h"
#include "runtime/tensor/tensor.h"

namespace qrt {

enum class OpKind : uint8_t {
  conv2d = 0,
  linear = 1,
  pool2d = 2,
  binary = 3,
  unary = 4,
  affine = 5,
  softmax = 6,
  concat = 7,
  transpose = 8,
  reshape = 9,
  pad = 10,
  select = 11,
  reduce = 12,
  arg_reduce = 13,
  top_k = 14,
  cast = 15,
  slice = 16,
  resize = 17,
  gather = 18,
  tile = 19,
  expand = 20,
  matmul = 21,
  conv_transpose = 22,
  quantize = 23,
  fake_quantize = 24,
  steps = 25,
};
const char* name_of(OpKind);  // "unknown" for a number that is no kind

enum class Activation : uint8_t { none = 0, clamp = 1 };
struct Clamp {
  Activation activation = Activation::none;
  float min = 0, max = 0;
};
struct Epilogue {
  Constant scale, bias;
  bool residual = false;
  Clamp clamp;
  Span<const int32_t> thresholds = {};  // of integers, with nothing else: ../../schema/qrt.fbs
  Span<const int64_t> even_thresholds = {};
  uint32_t threshold_count = 0, threshold_first = 0, threshold_step = 0;
  int64_t threshold(size_t n, size_t i) const {
    if (even_thresholds.size() == 0) return thresholds[n * threshold_count + i];
    const int64_t* line = &even_thresholds[2 * n];  // start and step
    if (line[1] < 0) return thresholds[static_cast<size_t>(line[0]) * threshold_count + i];
    return (line[0] + static_cast<int64_t>(i) * line[1]) >> 32;
  }
  bool counts_outputs(size_t n) const {
    const size_t lines = even_thresholds.size();
    return lines != 0 ? lines == 2 * n : thresholds.size() == n * threshold_count;
  }
  bool bias_first = false;  // (sum + bias) * scale: of layers of integers that give bytes
};

struct Window {  // of a convolution or pooling
  uint32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  uint32_t pad_top, pad_left, pad_bottom, pad_right;
};
struct Conv2dAttr {
  const Weights* weights;
  Window window;
  uint32_t groups;
  Epilogue epilogue;
};
struct LinearAttr {
  const Weights* weights;
  Epilogue epilogue;
};
struct ConvTransposeAttr {
  const Weights* weights;
  Window window;
  uint32_t adjust_h, adjust_w;
  uint32_t groups;
  Epilogue epilogue;
};
enum class PoolMode : uint8_t { max = 0, average = 1, lp = 2 };
struct Pool2dAttr {
  PoolMode mode;
  Window window;
  bool count_include_pad, is_global;
  uint32_t power;  // of the mode lp
};
enum class BinaryOp : uint8_t {
  add = 0,
  sub,
  mul,
  div,
  max,
  min,
  pow,
  mod,
  fmod,
  equal,
  greater,
  greater_equal,
  less,
  less_equal,
  logical_and,
  logical_or,
  logical_xor,
};
inline bool is_logical(BinaryOp op) {
  return op >= BinaryOp::logical_and;
}
inline bool compares(BinaryOp op) {
  return op >= BinaryOp::equal && !is_logical(op);
}
struct BinaryAttr {
  BinaryOp op;
  Clamp clamp;
};
enum class UnaryOp : uint8_t {
  clamp = 0,
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
  logical_not,
};
struct UnaryAttr {
  UnaryOp op;
  float alpha, beta;
};
struct AffineAttr {
  Constant scale, bias;
  Clamp clamp;
};
struct SoftmaxAttr {
  int32_t axis;
  bool log;
};  // axis normalised to [0, rank)
struct ConcatAttr {
  int32_t axis;
};
struct TransposeAttr {
  int32_t perm[kMaxRank];
};
enum class PadMode : uint8_t { constant = 0, reflect, edge };
struct PadAttr {
  PadMode mode;
  int32_t before[kMaxRank], after[kMaxRank];
  float value;
};

struct SliceAttr {
  int32_t start[kMaxRank], step[kMaxRank], size[kMaxRank];  // size 0: the whole axis
};
enum class ResizeMode : uint8_t { nearest = 0, linear, cubic };
enum class Coordinates : uint8_t {
  half_pixel = 0,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  tf_half_pixel_for_nn,
  tf_crop_and_resize,
};
enum class NearestMode : uint8_t { round_prefer_floor = 0, round_prefer_ceil, floor, ceil };
struct ResizeAttr {
  ResizeMode mode;
  Coordinates coordinates;
  NearestMode nearest;
  bool exclude_outside;
  int32_t size[kMaxRank];  // 0: the axis stays as it is
  float scale[kMaxRank];   // 0: output / input
  float roi_start[kMaxRank], roi_end[kMaxRank];
  float cubic_a, outside;
};
struct GatherAttr {
  int32_t axis;
};
struct TileAttr {
  int32_t repeats[kMaxRank];
};

enum class ReduceMode : uint8_t {
  sum = 0,
  mean,
  max,
  min,
  prod,
  l1,
  l2,
  sum_square,
  log_sum,
  log_sum_exp,
};
struct ReduceAttr {
  ReduceMode mode;
  bool axis[kMaxRank];  // which are reduced
  bool keep_dims;
};
struct ArgReduceAttr {
  int32_t axis;
  bool smallest, last, keep_dims;
};
struct TopKAttr {
  int32_t axis, k;
  bool smallest, indices;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_OPERATORS_H_
