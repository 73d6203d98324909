// One function per table of schema/qrt.fbs; see tables.h.
#include "converter/emit/tables.h"

#include <algorithm>
#include <span>
#include <variant>

#include "converter/base/even_steps.h"
#include "schema/layout.h"

namespace qrt::emit {

namespace {

using lower::Kind;
using lower::Operator;

static_assert(static_cast<int>(Kind::pad) == static_cast<int>(fb::OpKind::pad));
static_assert(static_cast<int>(Kind::slice) == static_cast<int>(fb::OpKind::slice));
static_assert(static_cast<int>(Kind::expand) == static_cast<int>(fb::OpKind::expand));
static_assert(static_cast<int>(Kind::tile) == static_cast<int>(fb::OpKind::tile));
static_assert(static_cast<int>(Kind::softmax) == static_cast<int>(fb::OpKind::softmax));
static_assert(static_cast<int>(Kind::matmul) == static_cast<int>(fb::OpKind::matmul));
static_assert(static_cast<int>(Kind::steps) == static_cast<int>(fb::OpKind::steps));
static_assert(static_cast<int>(ir::FakeQuantize::Rounding::away) ==
              static_cast<int>(fb::Rounding::away));
static_assert(static_cast<int>(Kind::quantize) == static_cast<int>(fb::OpKind::quantize));
static_assert(static_cast<int>(Kind::conv_transpose) ==
              static_cast<int>(fb::OpKind::conv_transpose));
static_assert(static_cast<int>(ir::Pool2d::Mode::lp) == static_cast<int>(fb::PoolMode::lp));
static_assert(static_cast<int>(Kind::cast) == static_cast<int>(fb::OpKind::cast));
static_assert(static_cast<int>(ir::Unary::Op::silu) == static_cast<int>(fb::UnaryOp::silu));
static_assert(static_cast<int>(ir::Unary::Op::logical_not) ==
              static_cast<int>(fb::UnaryOp::logical_not));
static_assert(static_cast<int>(ir::Binary::Op::min) == static_cast<int>(fb::BinaryOp::min));
static_assert(static_cast<int>(ir::Binary::Op::logical_xor) ==
              static_cast<int>(fb::BinaryOp::logical_xor));
static_assert(static_cast<int>(ir::Reduce::Mode::log_sum_exp) ==
              static_cast<int>(fb::ReduceMode::log_sum_exp));
static_assert(static_cast<int>(ir::ElementType::boolean) == static_cast<int>(fb::DType::boolean));
static_assert(static_cast<int>(ir::Pad::Mode::edge) == static_cast<int>(fb::PadMode::edge));
static_assert(static_cast<int>(ir::Resize::Mode::cubic) == static_cast<int>(fb::ResizeMode::cubic));
static_assert(static_cast<int>(ir::Resize::Coordinates::tf_crop_and_resize) ==
              static_cast<int>(fb::Coordinates::tf_crop_and_resize));
static_assert(static_cast<int>(ir::Resize::Nearest::ceil) ==
              static_cast<int>(fb::NearestMode::ceil));

std::string clean(std::string name) {
  for (char& c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '_';
  return name;
}

// Infinite limits become those of f32, which the schema takes for "none".
float limit(float f) {
  return std::min(std::max(f, ir::kNoMin), ir::kNoMax);
}

// Sizes and steps along an axis: infer() keeps them below 2^25.
std::vector<int32_t> int32s(const std::vector<int64_t>& v) {
  return {v.begin(), v.end()};
}

uint32_t u32(int32_t v) {
  return static_cast<uint32_t>(v);
}

fb::DType dtype(const Numbers& n) {
  return n.powers ? fb::DType::u8 : n.f16 ? fb::DType::f16 : fb::DType::f32;
}

fb::DType dtype(ir::ElementType t) {
  return static_cast<fb::DType>(t);  // the same numbers
}

}  // namespace

Tables::Offset<flatbuffers::String> Tables::string(const std::string& s) {
  return s.empty() ? 0 : b_.CreateSharedString(clean(s));
}

Tables::Offset<flatbuffers::String> Tables::required_string(const std::string& s) {
  return b_.CreateSharedString(clean(s));
}

Tables::Offset<fb::Constant> Tables::constant(const Numbers& n) {
  return fb::CreateConstant(b_, n.buffer, dtype(n), n.count);
}

Tables::Offset<fb::Constant> Tables::constant(const std::vector<float>& v) {
  if (v.empty()) return 0;
  return constant(bulk_.add_numbers(v));
}

Tables::Offset<fb::Tensor> Tables::tensor(const lower::Tensor& t) {
  const auto name = required_string(t.name);
  const auto dims = b_.CreateVector(t.dims);
  const uint32_t buffer = t.is_constant ? bulk_.add(element_bytes(t.type, t.data, t.ints)) : 0;
  const fb::DType type = t.quantization.bits ? fb::DType::bits : dtype(t.type);
  return fb::CreateTensor(b_, name, type, dims, t.batched, t.is_constant, buffer, 0,
                          t.quantization.scale, static_cast<uint8_t>(t.quantization.zero));
}

Tables::Act Tables::activation(ir::Clamp c) {
  const Act a{fb::Activation::clamp, limit(c.min), limit(c.max)};
  if (a.min == ir::kNoMin && a.max == ir::kNoMax) return {fb::Activation::none, a.min, a.max};
  return a;
}

namespace {

// Start and step of every output's thresholds, as far as these are even; then the other outputs'
// one by one, in place of whose start and step stand their number among these and -1.
std::string even_thresholds(const Operator& op) {
  std::vector<int64_t> lines, listed;
  const std::span<const int64_t> rows = op.thresholds;
  for (size_t at = 0; at < rows.size(); at += op.thresholds_each) {
    const auto row = rows.subspan(at, op.thresholds_each);
    const auto steps = even_steps(row, row);
    const auto place = static_cast<int64_t>(listed.size() / op.thresholds_each);
    if (!steps) listed.insert(listed.end(), row.begin(), row.end());
    lines.push_back(steps ? steps->start : place), lines.push_back(steps ? steps->step : -1);
  }
  return int_bytes(ir::ElementType::i64, lines) + int_bytes(ir::ElementType::i32, listed);
}

}  // namespace

void Tables::place_thresholds(const Operator& op) {
  if (op.thresholds.empty()) return;
  const std::string even = even_thresholds(op);
  const bool shorter = even.size() < 4 * op.thresholds.size();
  thresholds_[&op] = {
      bulk_.add_codes(shorter ? even : int_bytes(ir::ElementType::i32, op.thresholds)), shorter};
}

template <class Layer>
Tables::Offset<fb::Epilogue> Tables::epilogue(const Operator& op, const Layer& layer) {
  if constexpr (requires { layer.thresholds; })
    if (layer.thresholds) {
      fb::EpilogueBuilder t(b_);
      t.add_thresholds(thresholds_.at(&op).first);
      t.add_even_thresholds(thresholds_.at(&op).second);
      t.add_threshold_count(op.thresholds_each);
      t.add_threshold_first(static_cast<uint8_t>(layer.first));
      t.add_threshold_step(static_cast<uint8_t>(layer.step));
      return t.Finish();
    }
  const bool residual = layer.residual;
  const ir::Clamp clamp = layer.clamp;
  const Act a = activation(clamp);
  if (op.scale.empty() && op.bias.empty() && !residual && a.kind == fb::Activation::none) return 0;
  const auto scale = constant(op.scale), bias = constant(op.bias);
  bool bias_first = false;
  if constexpr (requires { layer.bias_first; }) bias_first = layer.bias_first;
  return fb::CreateEpilogue(b_, scale, bias, residual, a.kind, a.min, a.max, 0, 0, 0, 0,
                            bias_first);
}

Tables::Offset<fb::Operator> Tables::op(const Operator& o) {
  const auto name = required_string(o.name);
  const auto inputs = b_.CreateVector(o.inputs), outputs = b_.CreateVector(o.outputs);
  const Options what = std::visit([&](const auto& attr) { return options(o, attr); }, o.attr);
  fb::OperatorBuilder t(b_);
  t.add_name(name);
  t.add_kind(static_cast<fb::OpKind>(o.kind));
  t.add_inputs(inputs);
  t.add_outputs(outputs);
  if (what.first != 0) b_.AddOffset(what.first, Offset<void>(what.second));
  return t.Finish();
}

Tables::Options Tables::options(const Operator& o, const ir::Conv2d& c) {
  const auto e = epilogue(o, c);
  const ir::Window2d& w = c.window;
  const auto t =
      fb::CreateConv2d(b_, o.weights, u32(w.kernel[0]), u32(w.kernel[1]), u32(w.stride[0]),
                       u32(w.stride[1]), u32(w.dilation[0]), u32(w.dilation[1]), u32(w.pad[0]),
                       u32(w.pad[1]), u32(w.pad[2]), u32(w.pad[3]), u32(c.groups), e);
  return {fb::Operator::VT_CONV2D, t.o};
}

Tables::Options Tables::options(const Operator& o, const ir::ConvTranspose& c) {
  const auto e = epilogue(o, c);
  const ir::Window2d& w = c.window;
  const auto t = fb::CreateConvTranspose(
      b_, o.weights, u32(w.kernel[0]), u32(w.kernel[1]), u32(w.stride[0]), u32(w.stride[1]),
      u32(w.dilation[0]), u32(w.dilation[1]), u32(w.pad[0]), u32(w.pad[1]), u32(w.pad[2]),
      u32(w.pad[3]), u32(c.adjust[0]), u32(c.adjust[1]), u32(c.groups), e);
  return {fb::Operator::VT_CONV_TRANSPOSE, t.o};
}

Tables::Options Tables::options(const Operator& o, const ir::Linear& l) {
  const auto e = epilogue(o, l);
  return {fb::Operator::VT_LINEAR, fb::CreateLinear(b_, o.weights, e).o};
}

Tables::Options Tables::options(const Operator&, const ir::Pool2d& p) {
  const ir::Window2d& w = p.window;
  const uint32_t power = p.mode == ir::Pool2d::Mode::lp ? u32(p.power) : 0;
  const auto t = fb::CreatePool2d(
      b_, static_cast<fb::PoolMode>(p.mode), u32(w.kernel[0]), u32(w.kernel[1]), u32(w.stride[0]),
      u32(w.stride[1]), u32(w.dilation[0]), u32(w.dilation[1]), u32(w.pad[0]), u32(w.pad[1]),
      u32(w.pad[2]), u32(w.pad[3]), p.count_include_pad, p.global, power);
  return {fb::Operator::VT_POOL2D, t.o};
}

Tables::Options Tables::options(const Operator&, const ir::Binary& v) {
  const Act a = activation(v.clamp);
  const auto t = fb::CreateBinary(b_, static_cast<fb::BinaryOp>(v.op), a.kind, a.min, a.max);
  return {fb::Operator::VT_BINARY, t.o};
}

Tables::Options Tables::options(const Operator&, const ir::Unary& v) {
  const auto t = fb::CreateUnary(b_, static_cast<fb::UnaryOp>(v.op), limit(v.alpha), limit(v.beta));
  return {fb::Operator::VT_UNARY, t.o};
}

Tables::Options Tables::options(const Operator& o, const ir::Affine& v) {
  const auto scale = constant(o.scale), bias = constant(o.bias);
  const Act a = activation(v.clamp);
  return {fb::Operator::VT_AFFINE, fb::CreateAffine1(b_, scale, bias, a.kind, a.min, a.max).o};
}

Tables::Options Tables::options(const Operator&, const ir::Softmax& v) {
  return {fb::Operator::VT_SOFTMAX, fb::CreateSoftmax(b_, v.axis, v.log).o};
}

Tables::Options Tables::options(const Operator&, const ir::Concat& v) {
  return {fb::Operator::VT_CONCAT, fb::CreateConcat(b_, v.axis).o};
}

Tables::Options Tables::options(const Operator&, const ir::Transpose& v) {
  return {fb::Operator::VT_TRANSPOSE, fb::CreateTranspose(b_, b_.CreateVector(v.perm)).o};
}

Tables::Options Tables::options(const Operator&, const ir::Pad& v) {
  const auto before = b_.CreateVector(v.before), after = b_.CreateVector(v.after);
  const auto t = fb::CreatePad(b_, static_cast<fb::PadMode>(v.mode), before, after, v.value);
  return {fb::Operator::VT_PAD, t.o};
}

Tables::Options Tables::options(const Operator&, const ir::Slice& v) {
  std::vector<int32_t> size;
  for (size_t i = 0; i < v.starts.size(); ++i)
    size.push_back(static_cast<int32_t>((v.ends[i] - v.starts[i]) / v.steps[i]));
  const auto start = b_.CreateVector(int32s(v.starts)), step = b_.CreateVector(int32s(v.steps));
  return {fb::Operator::VT_SLICE, fb::CreateSlice(b_, start, step, b_.CreateVector(size)).o};
}

Tables::Options Tables::options(const Operator&, const ir::Resize& v) {
  const auto size = b_.CreateVector(int32s(v.sizes));
  const auto scale = b_.CreateVector(v.scales);
  Offset<flatbuffers::Vector<float>> roi = 0;
  if (!v.roi.empty()) roi = b_.CreateVector(v.roi);
  const auto t = fb::CreateResize(b_, static_cast<fb::ResizeMode>(v.mode),
                                  static_cast<fb::Coordinates>(v.coordinates),
                                  static_cast<fb::NearestMode>(v.nearest), size, scale, roi,
                                  v.cubic_a, v.exclude_outside, v.outside);
  return {fb::Operator::VT_RESIZE, t.o};
}

Tables::Options Tables::options(const Operator&, const ir::Gather& v) {
  return {fb::Operator::VT_GATHER, fb::CreateGather(b_, v.axis).o};
}

Tables::Options Tables::options(const Operator&, const ir::Tile& v) {
  return {fb::Operator::VT_TILE, fb::CreateTile(b_, b_.CreateVector(int32s(v.repeats))).o};
}

Tables::Options Tables::options(const Operator&, const ir::Reduce& v) {
  const auto axes = b_.CreateVector(v.axes);
  const auto mode = static_cast<fb::ReduceMode>(v.mode);
  return {fb::Operator::VT_REDUCE, fb::CreateReduce(b_, mode, axes, v.keep_dims).o};
}

Tables::Options Tables::options(const Operator&, const ir::ArgReduce& v) {
  const auto t = fb::CreateArgReduce(b_, v.axis, v.smallest, v.last, v.keep_dims);
  return {fb::Operator::VT_ARG_REDUCE, t.o};
}

Tables::Options Tables::options(const Operator&, const ir::TopK& v) {
  return {fb::Operator::VT_TOP_K, fb::CreateTopK(b_, v.axis, u32(v.k), v.smallest, v.indices).o};
}

Tables::Options Tables::options(const Operator& o, const ir::FakeQuantize& v) {
  const auto scale = constant(o.scale), zero = constant(o.bias);
  const auto t = fb::CreateFakeQuantize(
      b_, scale, zero, v.low, v.high, static_cast<fb::Rounding>(v.rounding), v.zero_after, v.axis);
  return {fb::Operator::VT_FAKE_QUANTIZE, t.o};
}

Tables::Options Tables::options(const Operator& o, const ir::Steps& v) {
  const auto thresholds = constant(o.scale);
  const auto t = fb::CreateSteps(b_, thresholds, o.count, v.scale, v.bias, v.axis);
  return {fb::Operator::VT_STEPS, t.o};
}

}  // namespace qrt::emit
