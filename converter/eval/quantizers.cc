// Rounding of activations to a grid, and step functions. Compiled without fused
// multiply-adds: each operation is rounded on its own, as in the runtime.
#include <algorithm>
#include <cmath>

#include "converter/eval/compute.h"
#include "converter/eval/functions.h"

namespace qrt::eval {
namespace {

// In f32, as NumPy computes them; -0 becomes 0.
float rounded(ir::FakeQuantize::Rounding rounding, float v) {
  using Rounding = ir::FakeQuantize::Rounding;
  switch (rounding) {
    case Rounding::half_even:
      return std::nearbyint(v) + 0.0f;
    case Rounding::half_away:
      return std::copysign(std::floor(std::fabs(v) + 0.5f), v) + 0.0f;
    case Rounding::half_to_zero:
      return std::copysign(std::ceil(std::fabs(v) - 0.5f), v) + 0.0f;
    case Rounding::floor:
      return std::floor(v) + 0.0f;
    case Rounding::ceil:
      return std::ceil(v) + 0.0f;
    case Rounding::to_zero:
      return std::trunc(v) + 0.0f;
    case Rounding::away:
      return std::copysign(std::ceil(std::fabs(v)), v) + 0.0f;
  }
  return v;
}

// Calls one(i, row) for each element; row is its place along the axis, or 0 if there is one row.
template <class One>
void for_rows(const Call& call, int32_t axis, bool many, const One& one) {
  const auto& shape = call.out.shape;
  int64_t inner = 1, rows = 1;
  if (many) {
    const size_t at =
        static_cast<size_t>(axis < 0 ? axis + static_cast<int32_t>(shape.size()) : axis);
    rows = shape[at];
    for (size_t d = at + 1; d < shape.size(); ++d) inner *= shape[d];
  }
  for (size_t i = 0; i < call.out.data.size(); ++i)
    one(i, static_cast<size_t>(static_cast<int64_t>(i) / inner % rows));
}

}  // namespace

float fake_quantized(const ir::FakeQuantize& f, float x, float scale, float zero) {
  const float q =
      f.zero_after ? rounded(f.rounding, x / scale) + zero : rounded(f.rounding, x / scale + zero);
  return ((q < f.low ? f.low : q > f.high ? f.high : q) - zero) * scale;
}

float stepped(const ir::Steps& steps, float x, std::span<const float> thresholds) {
  const auto above = std::isnan(x) ? thresholds.begin()
                                   : std::upper_bound(thresholds.begin(), thresholds.end(), x);
  return steps.bias + steps.scale * static_cast<float>(above - thresholds.begin());
}

Result<void> compute(Call& call, const ir::FakeQuantize& quantize) {
  const auto &x = call.in[0].data, &scale = call.in[1].data, &zero = call.in[2].data;
  const bool scales = scale.size() > 1, zeros = zero.size() > 1;
  for_rows(call, quantize.axis, scales || zeros, [&](size_t i, size_t row) {
    call.out.data[i] =
        fake_quantized(quantize, x[i], scale[scales ? row : 0], zero[zeros ? row : 0]);
  });
  return {};
}

Result<void> compute(Call& call, const ir::Steps& steps) {
  const View& rows = call.in[1];
  const auto count = static_cast<size_t>(rows.shape[1]);
  for_rows(call, steps.axis, rows.shape[0] > 1, [&](size_t i, size_t row) {
    call.out.data[i] = stepped(steps, call.in[0].data[i], rows.data.subspan(row * count, count));
  });
  return {};
}

}  // namespace qrt::eval
