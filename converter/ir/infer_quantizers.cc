// Shapes of the operators that round activations to a grid, and what their constants
// must be: a scale that divides, levels that are whole, thresholds that ascend.
#include <algorithm>
#include <cmath>

#include "converter/ir/infer.h"
#include "schema/layout.h"

namespace qrt::ir::detail {
namespace {

// An input of one row, or of one for each element of the axis.
Result<void> need_rows(const Inference& i, size_t input, int32_t axis, const char* what) {
  const Value &x = i.in(0), &rows = i.in(input);
  if (!rows.batched && !rows.shape.empty() && rows.shape[0] == 1) return {};
  Result<size_t> at = i.axis(axis, x);
  if (!at.ok()) return at.error();
  if (*at == 0 && x.batched) return i.batch_error("has a row for each element of dimension 0");
  if (!rows.batched && !rows.shape.empty() && rows.shape[0] == x.shape[*at]) return {};
  return i.error(550, what, " ", rows.name, " has shape ", shape_text(rows.shape, rows.batched),
                 "; expected 1 row or ", x.shape[*at]);
}

bool is_level(float v) {
  return v == std::floor(v) && std::fabs(v) <= layout::kMaxLevel;
}

// The floats of a constant input; none while it is yet to be folded.
const std::vector<float>& floats(const Inference& i, size_t input) {
  static const std::vector<float> none;
  const Constant* constant = constant_of(i.graph, i.node.in[input]);
  return constant == nullptr ? none : constant->data;
}

}  // namespace

Result<ValueType> infer(const Inference& i, const FakeQuantize& quantize) {
  QRT_CHECK_OK(i.arity(3));
  for (size_t k = 0; k < 3; ++k) QRT_CHECK_OK(need_float(i, k));
  for (size_t k = 1; k < 3; ++k) {
    const char* what = k == 1 ? "scale" : "zero";
    QRT_CHECK_OK(need_rows(i, k, quantize.axis, what));
    if (i.in(k).shape.size() != 1)
      return i.error(550, what, " ", i.in(k).name, " has rank ", i.in(k).shape.size(),
                     "; expected 1");
  }
  if (!is_level(quantize.low) || !is_level(quantize.high) || quantize.low > quantize.high)
    return i.error(553, "the levels go from ", quantize.low, " to ", quantize.high,
                   "; allowed are whole numbers from ", -layout::kMaxLevel, " to ",
                   layout::kMaxLevel, " in order");
  for (const float scale : floats(i, 1))
    if (!(scale > 0) || !std::isnormal(scale))
      return i.error(553, "a scale is ", scale, "; expected a positive finite number");
  for (const float zero : floats(i, 2))
    if (!std::isfinite(zero) || (quantize.zero_after && !is_level(zero)))
      return i.error(553, "a zero is ", zero, "; expected a ",
                     quantize.zero_after ? "whole number of the grid" : "finite number");
  return ValueType{ElementType::f32, i.in(0).shape, i.in(0).batched};
}

Result<ValueType> infer(const Inference& i, const Steps& steps) {
  QRT_CHECK_OK(i.arity(2));
  for (size_t k = 0; k < 2; ++k) QRT_CHECK_OK(need_float(i, k));
  QRT_CHECK_OK(need_rows(i, 1, steps.axis, "thresholds"));
  const Value& rows = i.in(1);
  if (rows.shape.size() != 2 || rows.shape[1] < 1 || rows.shape[1] > layout::kMaxSteps)
    return i.error(550, "thresholds ", rows.name, " have shape ", shape_text(rows.shape),
                   "; expected rows of 1 to ", layout::kMaxSteps);
  if (!std::isfinite(steps.scale) || !std::isfinite(steps.bias))
    return i.error(553, "the scale is ", steps.scale, " and the bias ", steps.bias,
                   "; expected finite numbers");
  const std::vector<float>& values = floats(i, 1);
  for (auto row = values.begin(); row != values.end(); row += rows.shape[1])
    if (!std::is_sorted(row, row + rows.shape[1]))
      return i.error(553, "thresholds ", rows.name, " do not ascend in row ",
                     (row - values.begin()) / rows.shape[1]);
  return ValueType{ElementType::f32, i.in(0).shape, i.in(0).batched};
}

}  // namespace qrt::ir::detail
