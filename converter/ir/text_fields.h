// The attributes of every operator, once: print and parse both walk these
// functions, so they cannot disagree. A visitor has field(key, member) for
// numbers, booleans and lists, and word(key, member, names...) for enums.
#ifndef QRT_CONVERTER_IR_TEXT_FIELDS_H_
#define QRT_CONVERTER_IR_TEXT_FIELDS_H_

#include <array>
#include <span>

#include "converter/ir/ops.h"

namespace qrt::ir::detail {

inline constexpr const char* kLayouts[] = {"nchw", "nhwc"};
inline constexpr const char* kPoolModes[] = {"max", "average", "lp"};
inline constexpr const char* kPadModes[] = {"constant", "reflect", "edge"};
inline constexpr const char* kResizeModes[] = {"nearest", "linear", "cubic"};
inline constexpr const char* kCoordinates[] = {"half_pixel",           "pytorch_half_pixel",
                                               "align_corners",        "asymmetric",
                                               "tf_half_pixel_for_nn", "tf_crop_and_resize"};
inline constexpr const char* kNearestModes[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                                "ceil"};
inline constexpr const char* kBinaryOps[] = {
    "add",   "sub",     "mul",           "div",  "max",        "min", "pow", "mod", "fmod",
    "equal", "greater", "greater_equal", "less", "less_equal", "and", "or",  "xor"};
inline constexpr const char* kReduceModes[] = {
    "sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square", "log_sum", "log_sum_exp"};
inline constexpr const char* kUnaryOps[] = {
    "clamp",  "leaky_relu", "elu",       "sigmoid", "hard_sigmoid", "tanh",     "hard_swish",
    "exp",    "log",        "sqrt",      "abs",     "neg",          "erf",      "softplus",
    "selu",   "reciprocal", "floor",     "ceil",    "gelu",         "silu",     "round",
    "sign",   "sin",        "cos",       "tan",     "asin",         "acos",     "atan",
    "sinh",   "cosh",       "asinh",     "acosh",   "atanh",        "softsign", "thresholded_relu",
    "shrink", "celu",       "gelu_tanh", "not"};

inline constexpr const char* kRoundings[] = {"half_even", "half_away", "half_to_zero", "floor",
                                             "ceil",      "to_zero",   "away"};

template <class V>
void fields(V& v, Window2d& a) {
  v.field("kernel", a.kernel);
  v.field("stride", a.stride);
  v.field("dilation", a.dilation);
  v.field("pad", a.pad);
}
template <class V>
void fields(V& v, Conv2d& a) {
  fields(v, a.window);
  v.field("groups", a.groups);
  v.word("layout", a.layout, kLayouts);
  v.field("scale", a.scale);
  v.field("bias", a.bias);
  v.field("residual", a.residual);
  v.field("clamp", a.clamp);
  v.field("thresholds", a.thresholds);
  v.field("first", a.first);
  v.field("step", a.step);
  v.field("bias_first", a.bias_first);
}
template <class V>
void fields(V& v, Linear& a) {
  v.field("scale", a.scale);
  v.field("bias", a.bias);
  v.field("residual", a.residual);
  v.field("clamp", a.clamp);
  v.field("thresholds", a.thresholds);
  v.field("first", a.first);
  v.field("step", a.step);
  v.field("bias_first", a.bias_first);
}
template <class V>
void fields(V& v, Pool2d& a) {
  v.word("mode", a.mode, kPoolModes);
  fields(v, a.window);
  v.field("count_include_pad", a.count_include_pad);
  v.field("global", a.global);
  v.field("power", a.power);
  v.word("layout", a.layout, kLayouts);
}
template <class V>
void fields(V& v, Binary& a) {
  v.word("op", a.op, kBinaryOps);
  v.field("clamp", a.clamp);
}
template <class V>
void fields(V& v, Unary& a) {
  v.word("op", a.op, kUnaryOps);
  v.field("alpha", a.alpha);
  v.field("beta", a.beta);
}
template <class V>
void fields(V& v, Affine& a) {
  v.word("layout", a.layout, kLayouts);
  v.field("clamp", a.clamp);
}
template <class V>
void fields(V& v, BatchNorm& a) {
  v.field("eps", a.eps);
}
template <class V>
void fields(V& v, Softmax& a) {
  v.field("axis", a.axis);
  v.field("log", a.log);
}
template <class V>
void fields(V& v, Concat& a) {
  v.field("axis", a.axis);
}
template <class V>
void fields(V& v, Transpose& a) {
  v.field("perm", a.perm);
}
template <class V>
void fields(V& v, Reshape& a) {
  v.field("dims", a.dims);
}
template <class V>
void fields(V& v, Pad& a) {
  v.word("mode", a.mode, kPadModes);
  v.field("before", a.before);
  v.field("after", a.after);
  v.field("value", a.value);
}
template <class V>
void fields(V& v, Gather& a) {
  v.field("axis", a.axis);
}
template <class V>
void fields(V& v, Cast& a) {
  v.field("to", a.to);
}
template <class V>
void fields(V&, Identity&) {}
template <class V>
void fields(V&, Shape&) {}
template <class V>
void fields(V& v, Unsqueeze& a) {
  v.field("axes", a.axes);
}
template <class V>
void fields(V& v, Squeeze& a) {
  v.field("axes", a.axes);
}
template <class V>
void fields(V& v, Slice& a) {
  v.field("starts", a.starts);
  v.field("ends", a.ends);
  v.field("axes", a.axes);
  v.field("steps", a.steps);
}
template <class V>
void fields(V& v, Resize& a) {
  v.word("mode", a.mode, kResizeModes);
  v.word("coordinates", a.coordinates, kCoordinates);
  v.word("nearest", a.nearest, kNearestModes);
  v.field("sizes", a.sizes);
  v.field("scales", a.scales);
  v.field("roi", a.roi);
  v.field("cubic_a", a.cubic_a);
  v.field("exclude_outside", a.exclude_outside);
  v.field("outside", a.outside);
}
template <class V>
void fields(V&, Expand&) {}
template <class V>
void fields(V& v, Tile& a) {
  v.field("repeats", a.repeats);
}
template <class V>
void fields(V&, MatMul&) {}
template <class V>
void fields(V& v, ConvTranspose& a) {
  fields(v, a.window);
  v.field("adjust", a.adjust);
  v.field("groups", a.groups);
  v.word("layout", a.layout, kLayouts);
  v.field("scale", a.scale);
  v.field("bias", a.bias);
  v.field("residual", a.residual);
  v.field("clamp", a.clamp);
}

template <class V>
void fields(V&, Quantize&) {}
template <class V>
void fields(V&, Select&) {}
template <class V>
void fields(V& v, Reduce& a) {
  v.word("mode", a.mode, kReduceModes);
  v.field("axes", a.axes);
  v.field("keep_dims", a.keep_dims);
}
template <class V>
void fields(V& v, ArgReduce& a) {
  v.field("axis", a.axis);
  v.field("smallest", a.smallest);
  v.field("last", a.last);
  v.field("keep_dims", a.keep_dims);
}
template <class V>
void fields(V& v, TopK& a) {
  v.field("axis", a.axis);
  v.field("k", a.k);
  v.field("smallest", a.smallest);
  v.field("indices", a.indices);
}

template <class V>
void fields(V& v, FakeQuantize& a) {
  v.word("rounding", a.rounding, kRoundings);
  v.field("low", a.low);
  v.field("high", a.high);
  v.field("zero_after", a.zero_after);
  v.field("axis", a.axis);
}
template <class V>
void fields(V& v, Steps& a) {
  v.field("scale", a.scale);
  v.field("bias", a.bias);
  v.field("axis", a.axis);
}

}  // namespace qrt::ir::detail

#endif  // QRT_CONVERTER_IR_TEXT_FIELDS_H_
