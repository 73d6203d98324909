// QONNX: quantization to any grid of whole numbers as one node, as Brevitas, FINN and
// QKeras export it. Quant is IntQuant under its older name.
//
//   Quant           q = round(clip(x / scale + zero, low, high)), y = (q - zero) * scale
//   BipolarQuant    y = scale where x >= 0, else -scale
//   MultiThreshold  y = out_scale * #{thresholds <= x} + out_bias
//   Trunc           the levels of an accumulator cut to fewer bits
//
// What stands at these places must be known at conversion; whatever is not, or makes no sense, is
// refused with the node's name: a quantizer that is read wrongly gives numbers that look right.
#include <cmath>

#include "converter/import/onnx_quantized.h"

namespace qrt::import {

using ir::ValueId;
using Rounding = ir::FakeQuantize::Rounding;

std::vector<float> known_numbers(const Node& n, size_t input, const char* what) {
  const std::optional<eval::View> view = n.known(input);
  if (!view || (view->data.empty() && view->ints.empty())) {
    refuse(519, what, " (input ", n.value(n.in(input)).name,
           ") is computed from the data, or has no elements; make it a constant in the source "
           "model");
  }
  if (ir::is_float(view->type)) return {view->data.begin(), view->data.end()};
  std::vector<float> numbers;
  for (const int64_t i : view->ints) numbers.push_back(static_cast<float>(i));
  return numbers;
}

void check_scales(const std::vector<float>& scales) {
  for (size_t i = 0; i < scales.size(); ++i) {
    if (scales[i] > 0 && std::isnormal(scales[i]) && scales[i] < ir::kNoMax) continue;
    refuse(520, "its scale ", i, " is ", scales[i],
           "; expected a positive finite number: check the training run or the export");
  }
}

namespace {

// The axis of `x` that a parameter has one element for, by NumPy's rules of broadcasting; -1 where
// it has one element for all.
int32_t axis_of(const Node& n, ValueId x, size_t input, const char* what) {
  const std::vector<int64_t>&data = n.value(x).shape, &own = n.value(n.in(input)).shape;
  if (ir::element_count(own) == 1) return -1;
  for (size_t d = 0; d < own.size() && own.size() <= data.size(); ++d) {
    const size_t at = data.size() - own.size() + d;
    if (own[d] == 1) continue;
    if (own[d] != data[at] || own[d] != ir::element_count(own)) break;
    return static_cast<int32_t>(at);
  }
  refuse(523, what, " has shape ", shape_text(own), " for data of shape ", shape_text(data),
         "; supported are one number, or one along a single axis of the data");
}

// The one axis of two parameters, -1 where both are single numbers.
int32_t common_axis(const Node& n, ValueId x, size_t first, size_t second) {
  const int32_t a = axis_of(n, x, first, "its scale"), b = axis_of(n, x, second, "its zero point");
  if (a >= 0 && b >= 0 && a != b)
    refuse(523, "its scale lies along axis ", a, " and its zero point along axis ", b,
           "; supported is one axis for both");
  return a >= 0 ? a : b;
}

Rounding rounding_of(const Node& n, const char* otherwise) {
  std::string mode = n.text("rounding_mode", otherwise);
  for (char& c : mode) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  static constexpr struct {
    const char* name;
    Rounding rounding;
  } kModes[] = {{"ROUND", Rounding::half_even},
                {"HALF_EVEN", Rounding::half_even},
                {"HALF_UP", Rounding::half_away},
                {"HALF_DOWN", Rounding::half_to_zero},
                {"FLOOR", Rounding::floor},
                {"CEIL", Rounding::ceil},
                {"DOWN", Rounding::to_zero},
                {"ROUND_TO_ZERO", Rounding::to_zero},
                {"UP", Rounding::away}};
  for (const auto& row : kModes)
    if (mode == row.name) return row.rounding;
  refuse(517, "its rounding_mode is '", mode,
         "'; known are ROUND, HALF_EVEN, HALF_UP, HALF_DOWN, FLOOR, CEIL, UP, DOWN");
}

// A bit width from `lowest` to `highest`. Exporters write floats, some of them computed.
int bits_of(const Node& n, size_t input, const char* what, int lowest, int highest) {
  const std::vector<float> bits = known_numbers(n, input, what);
  for (const float b : bits) {
    if (b == bits[0] && b == std::floor(b) && b >= static_cast<float>(lowest) &&
        b <= static_cast<float>(highest))
      continue;
    refuse(518, what, " is ", b, "; allowed is one whole number from ", lowest, " to ", highest);
  }
  return static_cast<int>(bits[0]);
}

Levels grid_of(bool is_signed, bool narrow, int bits) {
  const float all = std::ldexp(1.0f, bits), half = all / 2, less = narrow ? 1.0f : 0.0f;
  return is_signed ? Levels{-half + less, half - 1} : Levels{0, all - 1 - less};
}

void check_zeros(const std::vector<float>& zeros, const Levels& levels) {
  for (const float zero : zeros) {
    if (zero >= levels.low && zero <= levels.high) continue;
    refuse(521, "its zero point is ", zero, "; the grid goes from ", levels.low, " to ",
           levels.high);
  }
}

void need_floats(const Node& n, ValueId x) {
  const ir::Value& value = n.value(x);
  if (ir::is_float(value.type) && ir::element_count(value.shape) > 0) return;
  refuse(523, "it quantizes ", value.name, " of type ", ir::name_of(value.type), " and shape ",
         shape_text(value.shape, value.batched), "; supported are floats, and at least one");
}

// y = scale where x >= 0, else -scale; along `axis`, or one scale for all.
void emit_signs(Node& n, ValueId x, const std::vector<float>& scale, int32_t axis) {
  const ValueId threshold = n.constant("threshold", {1, 1}, {0});
  if (axis < 0) return n.emit(ir::Steps{2 * scale[0], -scale[0], 1}, {x, threshold});
  const ValueId signs = n.heart(ir::Steps{2, -1, 1}, {x, threshold});
  std::vector<int64_t> shape(n.value(x).shape.size() - static_cast<size_t>(axis), 1);
  shape[0] = static_cast<int64_t>(scale.size());
  n.emit(ir::Binary{ir::Binary::Op::mul}, {signs, n.constant("scale", shape, scale)});
}

// Wider than the grids of activations: the bias of a layer, on the grid of its sums. Spelled in
// plain operators on a constant, which folds.
void emit_wide(Node& n, ValueId x, const ir::FakeQuantize& grid) {
  using Op = ir::Binary::Op;
  if (!n.fixed(x))
    refuse(518, "it quantizes data to the levels ", grid.low, " to ", grid.high,
           "; more than 16 bits are supported for constants only");
  if (grid.rounding != Rounding::half_even)
    refuse(517, "its rounding_mode is not ROUND; for more than 16 bits only ROUND is supported");
  const ValueId scaled = n.step("scaled", ir::Binary{Op::div}, {x, n.in(1)});
  const ValueId moved =
      n.step("moved", ir::Binary{Op::add, {grid.low, grid.high}}, {scaled, n.in(2)});
  const ValueId level = n.step("level", ir::Unary{ir::Unary::Op::round}, {moved});
  const ValueId centred = n.step("centred", ir::Binary{Op::sub}, {level, n.in(2)});
  n.emit(ir::Binary{Op::mul}, {centred, n.in(1)});
}

}  // namespace

void import_quant(Node& n) {
  const ValueId x = n.in(0);
  need_floats(n, x);
  const std::vector<float> scale = known_numbers(n, 1, "its scale");
  check_scales(scale);
  const std::vector<float> zero = known_numbers(n, 2, "its zero point");
  const bool is_signed = n.integer("signed", 1) != 0, narrow = n.integer("narrow", 0) != 0;
  ir::FakeQuantize grid;
  grid.rounding = rounding_of(n, "ROUND");
  const int bits = bits_of(n, 3, "its bit width", 1, n.fixed(x) ? 32 : 16);
  const int32_t axis = common_axis(n, x, 1, 2);
  if (is_signed && bits == 1) {
    // QONNX gives one signed bit the levels -1 and +1.
    for (const float z : zero)
      if (z != 0) refuse(521, "its zero point is ", z, "; one signed bit has levels around 0");
    return emit_signs(n, x, scale, axis);
  }
  const Levels levels = grid_of(is_signed, narrow, bits);
  if (levels.low == levels.high)
    refuse(518, "its bit width is ", bits, " with a narrow range, which leaves one level");
  check_zeros(zero, levels);
  grid.low = levels.low, grid.high = levels.high;
  grid.axis = axis < 0 ? 1 : axis;
  if (bits > 16) return emit_wide(n, x, grid);
  const auto row = [&](const char* step, const std::vector<float>& v) {
    return n.constant(step, {static_cast<int64_t>(v.size())}, v);
  };
  n.emit(grid, {x, row("scale", scale), row("zero", zero)});
}

void import_bipolar_quant(Node& n) {
  const ValueId x = n.in(0);
  need_floats(n, x);
  const std::vector<float> scale = known_numbers(n, 1, "its scale");
  check_scales(scale);
  emit_signs(n, x, scale, axis_of(n, x, 1, "its scale"));
}

void import_multi_threshold(Node& n) {
  const ValueId x = n.in(0);
  need_floats(n, x);
  const std::vector<int64_t> shape = n.value(n.in(1)).shape;
  const std::vector<float> thresholds = known_numbers(n, 1, "its list of thresholds");
  const std::string order = n.text("data_layout", "NCHW");
  const std::vector<int64_t>& data = n.value(x).shape;
  if (order != "NCHW" && order != "NHWC" && order != "NC" && order != "NCW" && order != "NWC")
    refuse(523, "its data_layout is '", order, "'; known are NCHW, NHWC, NC, NCW and NWC");
  const bool last = order == "NHWC" || order == "NWC";
  ir::Steps steps{n.real("out_scale", 1), n.real("out_bias", 0), last ? -1 : 1};
  if (data.size() < 2 || shape.size() != 2 || shape[1] < 1 || shape[1] > layout::kMaxSteps ||
      (shape[0] != 1 && shape[0] != (last ? data.back() : data[1])))
    refuse(523, "its thresholds have shape ", shape_text(shape), " for data of shape ",
           shape_text(data), "; expected one row, or one per channel, of 1 to ", layout::kMaxSteps);
  for (size_t i = 1; i < thresholds.size(); ++i) {
    const auto count = static_cast<size_t>(shape[1]);
    if (i % count == 0 || thresholds[i - 1] <= thresholds[i]) continue;
    refuse(522, "its thresholds of channel ", i / count, " do not ascend: ", thresholds[i - 1],
           " stands before ", thresholds[i], "; sort them in the source model");
  }
  if (n.text("out_dtype", "") == "BIPOLAR" &&
      (shape[1] != 1 || steps.scale != 2 || steps.bias != -1))
    refuse(523, "its out_dtype is BIPOLAR with ", shape[1], " thresholds, out_scale ", steps.scale,
           " and out_bias ", steps.bias, "; expected 1, 2 and -1");
  n.emit(steps, {x, n.constant("thresholds", shape, thresholds)});
}

namespace {

// A whole step of rounding in plain operators, for what no grid bounds.
ValueId rounded(Node& n, ValueId x, Rounding rounding) {
  using Op = ir::Unary::Op;
  if (rounding == Rounding::half_even) return n.step("level", ir::Unary{Op::round}, {x});
  if (rounding == Rounding::floor) return n.step("level", ir::Unary{Op::floor}, {x});
  if (rounding == Rounding::ceil) return n.step("level", ir::Unary{Op::ceil}, {x});
  refuse(517, "its rounding_mode is not one that Trunc has; known are ROUND, FLOOR and CEIL");
}

float single(const Node& n, size_t input, const char* what) {
  const std::vector<float> numbers = known_numbers(n, input, what);
  if (numbers.size() == 1) return numbers[0];
  refuse(523, what, " has ", numbers.size(), " elements; supported is one number");
}

}  // namespace

// Version 1 has x, scale, zero, bits before and after; version 2 adds scale and zero of the
// result, cuts by their ratio, and clips.
void import_trunc(Node& n) {
  using Op = ir::Binary::Op;
  if (n.inputs() == 6) refuse(506, "has 6 inputs; expected 5 or 7; the file is damaged");
  const ValueId x = n.in(0);
  need_floats(n, x);
  const bool second = n.inputs() == 7;
  const float scale = single(n, 1, "its scale"), zero = single(n, 2, "its zero point");
  const float out_scale = second ? single(n, 4, "its output scale") : scale;
  check_scales({scale, out_scale});
  const int from = bits_of(n, 3, "its input bit width", 1, 32);
  const int to = bits_of(n, second ? 6 : 4, "its output bit width", 1, 32);
  const float cut = second ? std::exp2(std::nearbyint(std::log2(out_scale / scale)))
                           : std::exp2(static_cast<float>(from - to));
  const auto number = [&](const char* step, float v) { return n.constant(step, {}, {v}); };
  const ValueId scaled = n.step("scaled", ir::Binary{Op::div}, {x, number("scale", scale)});
  const ValueId moved = n.step("moved", ir::Binary{Op::add}, {scaled, number("zero", zero)});
  const ValueId whole = n.step("whole", ir::Unary{ir::Unary::Op::round}, {moved});
  ir::Binary divide{Op::div};
  if (second) {
    const Levels levels = grid_of(n.integer("signed", 1) != 0, n.integer("narrow", 0) != 0, to);
    divide.clamp = {levels.low, levels.high};
  }
  const ValueId shorter = n.step("shorter", divide, {whole, number("cut", cut)});
  const ValueId level = rounded(n, shorter, rounding_of(n, "FLOOR"));
  const float out_zero = second ? zero / cut : zero;
  const ValueId centred =
      n.step("centred", ir::Binary{Op::sub}, {level, number("out_zero", out_zero)});
  n.emit(ir::Binary{Op::mul}, {centred, number("out_scale", out_scale)});
}

}  // namespace qrt::import
