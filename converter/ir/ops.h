// One attribute struct per operator of the converter's graph. The IR is close to
// ONNX in layout (activations NCHW, as the source has them) until the pass
// to_nhwc; constants stay floats until a method or an importer encodes them.
#ifndef QRT_CONVERTER_IR_OPS_H_
#define QRT_CONVERTER_IR_OPS_H_

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "converter/ir/ops_elementwise.h"

namespace qrt::ir {

// y = clamp(x): fused activation. Limits may be infinite.
struct Clamp {
  float min, max;
  bool operator==(const Clamp&) const = default;
};
inline constexpr float kNoMin = -3.4028234e38f, kNoMax = 3.4028234e38f;
inline constexpr Clamp kNoClamp{kNoMin, kNoMax};

struct Window2d {
  std::array<int32_t, 2> kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  std::array<int32_t, 4> pad{0, 0, 0, 0};  // top, left, bottom, right
  bool operator==(const Window2d&) const = default;
};

// Where activations are images: nchw as in ONNX, nhwc after the pass to_nhwc.
enum class Layout { nchw, nhwc };

// in: x, weight [O, C/groups, kh, kw] (constant, OIHW whatever the layout), then, as flagged:
// scale [O], bias [O], residual (shape of the output). y = clamp(scale * conv(x) + bias + residual)
// With `thresholds`, of layers that sum integers and with none of the others: the last input is i32
// [O, n] (constant), never falling along n, and the output's byte is
//   first + step * (how many of thresholds[o] the integer sum is not below)
// or, where the output is stored as bits, whether the sum is not below the only threshold.
// With `bias_first`, of layers that sum integers of bytes to bytes, with a bias and no residual:
// (sum + bias) * (scale, or x's scale * the weights' / the output's) are steps of the output.
struct Conv2d {
  Window2d window;
  int32_t groups = 1;
  Layout layout = Layout::nchw;
  bool scale = false, bias = false, residual = false;
  Clamp clamp = kNoClamp;
  bool thresholds = false;
  int32_t first = 0, step = 1;
  bool bias_first = false;
};
// in: x [..., K], weight [N, K] (constant), then scale, bias, residual or thresholds as flagged.
struct Linear {
  bool scale = false, bias = false, residual = false;
  Clamp clamp = kNoClamp;
  bool thresholds = false;
  int32_t first = 0, step = 1;
  bool bias_first = false;
};
// A window that meets padding alone has the maximum -inf, the average 0 and the norm 0.
struct Pool2d {
  enum class Mode { max, average, lp } mode = Mode::max;
  Window2d window;
  bool count_include_pad = false, global = false;
  int32_t power = 2;  // of the mode lp: (sum of |x|^power)^(1/power)
  Layout layout = Layout::nchw;
};
// add to fmod: both inputs and the result of one type, f32, i32 or i64; comparisons give bool;
// logical_*: bool. The clamp is for f32 results. mod takes the sign of the divisor (integers), fmod
// that of the dividend.
struct Binary {
  enum class Op {
    add,
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
    logical_xor
  } op = Op::add;
  Clamp clamp = kNoClamp;
};
// in: x, scale [C], bias [C]; channels on axis 1 (nchw, or rank 2) or on the last axis (nhwc).
struct Affine {
  Layout layout = Layout::nchw;
  Clamp clamp = kNoClamp;
};
// As imported. in: x, scale [C], bias [C], mean [C], var [C] under the names of the source, so that
// checkpoints can be mapped onto them; the pass lower_batch_norm turns it into Affine. Channels on
// axis 1. y = scale * (x - mean) / sqrt(var + eps) + bias
struct BatchNorm {
  float eps = 1e-5f;
};
struct Softmax {
  int32_t axis = -1;
  bool log = false;
};
struct Concat {
  int32_t axis = 0;
};
struct Transpose {
  std::vector<int32_t> perm;
};
// in: x. dims is the output shape for batch 1; `batched` as in Value.
struct Reshape {
  std::vector<int64_t> dims;
};
struct Pad {
  enum class Mode { constant, reflect, edge } mode = Mode::constant;
  std::vector<int32_t> before, after;
  float value = 0;
};
// in: data, indices (integers, counted from the end where negative). The indices' shape takes the
// place of the axis.
struct Gather {
  int32_t axis = 0;
};
// As in ONNX; lower/ brings it into one entry per axis.
struct Slice {
  std::vector<int64_t> starts, ends, axes, steps;
};
// The formulas of ONNX's Resize. One entry per axis in all lists.
struct Resize {
  enum class Mode { nearest, linear, cubic } mode = Mode::nearest;
  enum class Coordinates {
    half_pixel,
    pytorch_half_pixel,
    align_corners,
    asymmetric,
    tf_half_pixel_for_nn,
    tf_crop_and_resize
  } coordinates = Coordinates::half_pixel;
  enum class Nearest {
    round_prefer_floor,
    round_prefer_ceil,
    floor,
    ceil
  } nearest = Nearest::round_prefer_floor;
  std::vector<int64_t> sizes;  // of the output; 0: the axis stays as it is
  std::vector<float> scales;   // 0: output / input
  std::vector<float> roi;      // tf_crop_and_resize: starts, then ends; else empty
  float cubic_a = -0.75f;
  bool exclude_outside = false;
  float outside = 0;  // tf_crop_and_resize: the value beyond the input
};
// How often the input stands along each axis of the output.
struct Tile {
  std::vector<int64_t> repeats;
};
// in: x [1, ...], a value that takes the batch. x repeated along dimension 0 as often: how a
// constant takes the batch.
struct Expand {};
// y = x, stored in another way (Value::quantization): from f32 to bytes or bits, from these to f32,
// from bytes to bits or back. A bit is x >= 0.
struct Quantize {};
// Only inside the importer and the folding pass, never after it:
struct Identity {};
struct Shape {};
struct Unsqueeze {
  std::vector<int32_t> axes;
};
struct Squeeze {
  std::vector<int32_t> axes;
};
// in: a [..., M, K], b [..., K, N], ranks of 2 or more; what stands before the matrices broadcasts.
// Products with a constant matrix on the right are Linear instead.
struct MatMul {};
// The transpose of a convolution: each input adds its window, times the weights, to the output at
//   out = in * stride + tap * dilation - pad,   size = (in - 1) * stride + span + adjust - pads
// Inputs, weight layout [O, C/groups, kh, kw] and epilogue are those of Conv2d.
struct ConvTranspose {
  Window2d window;
  std::array<int32_t, 2> adjust{0, 0};  // rows and columns more at the end, which may see no input
  int32_t groups = 1;
  Layout layout = Layout::nchw;
  bool scale = false, bias = false, residual = false;
  Clamp clamp = kNoClamp;
};

using Attr = std::variant<Conv2d, Linear, Pool2d, Binary, Unary, Affine, Softmax, Concat, Transpose,
                          Reshape, Pad, Gather, Cast, Identity, Shape, Unsqueeze, Squeeze, Slice,
                          BatchNorm, Resize, Tile, MatMul, ConvTranspose, Select, Reduce, ArgReduce,
                          TopK, Expand, Quantize, FakeQuantize, Steps>;

}  // namespace qrt::ir

#endif  // QRT_CONVERTER_IR_OPS_H_
