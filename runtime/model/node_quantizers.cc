// Options of the quantizers in f32. What their constants must be is looked up once per
// buffer: many operators may share one, and opening a file stays linear in its size.
#include <cmath>

#include "runtime/model/node_options.h"

namespace qrt {
namespace {

bool is_level(float v) {
  return std::fabs(v) <= static_cast<float>(layout::kMaxLevel) && v == std::floor(v);
}

bool is_scale(float v) {
  return v > 0 && std::isnormal(v);
}

// One row holds for all elements, and names no axis.
Status read_row_axis(const Reader& r, const Node& node, uint32_t rows, int32_t axis, int32_t* out) {
  if (rows > 1) return read_axis(r, node, axis, out);
  *out = 0;
  return equal(axis, 0, 166, "a quantizer of one row has an axis");
}

// Every element of a constant suits `good`; `flags` are those of f32 and f16.
template <class Good>
Status check_each(Reader& r, const fb::Constant& c, const Constant& values, Known f32, Known f16,
                  const char* what, const Good& good) {
  const uint8_t flag = values.dtype == DType::f16 ? f16 : f32;
  uint8_t& known = r.known[c.buffer()];
  if (known & flag) return {};
  for (uint32_t i = 0; i < values.count; ++i)
    QRT_REQUIRE(good(read_constant(values, i)), kBadModel, 165, what);
  known |= flag;
  return {};
}

// Every row ascends. Another length of the rows, or another type, would need another scan of the
// same bytes.
Status check_rows(Reader& r, uint32_t buffer, const StepsAttr& a) {
  const uint32_t read_as = 2 * a.count + (a.thresholds.dtype == DType::f16 ? 1 : 0);
  if (r.steps[buffer] == read_as) return {};
  QRT_REQUIRE(r.steps[buffer] == 0, kBadModel, 165, "thresholds are shared in two forms");
  for (uint32_t at = 0; at < a.thresholds.count; at += a.count)
    for (uint32_t i = 1; i < a.count; ++i)
      QRT_REQUIRE(read_constant(a.thresholds, at + i - 1) <= read_constant(a.thresholds, at + i),
                  kBadModel, 165, "thresholds do not ascend");
  r.steps[buffer] = read_as;
  return {};
}

}  // namespace

Status read_options(Reader& r, const fb::FakeQuantize& o, const Node& node, FakeQuantizeAttr& a) {
  QRT_TRY(fill_constant(r, o.scale(), &a.scale));
  QRT_TRY(fill_constant(r, o.zero(), &a.zero));
  QRT_TRY(read_enum(o.rounding(), &a.rounding, "the rounding of a quantizer is unknown"));
  const uint32_t rows = a.scale.count > a.zero.count ? a.scale.count : a.zero.count;
  QRT_TRY(read_row_axis(r, node, rows, o.axis(), &a.axis));
  a.low = o.low();
  a.high = o.high();
  a.zero_after = o.zero_after();
  QRT_REQUIRE(is_level(a.low) && is_level(a.high) && a.low <= a.high, kBadModel, 165,
              "the levels of a quantizer are not whole, too large, or not in order");
  QRT_TRY(check_each(r, *o.scale(), a.scale, known_scales_f32, known_scales_f16,
                     "a scale is not a positive finite number", is_scale));
  if (!a.zero_after) return {};
  return check_each(r, *o.zero(), a.zero, known_levels_f32, known_levels_f16,
                    "a zero that is added after rounding is not whole or too large", is_level);
}

Status read_options(Reader& r, const fb::Steps& o, const Node& node, StepsAttr& a) {
  QRT_TRY(fill_constant(r, o.thresholds(), &a.thresholds));
  QRT_TRY(
      in_range(o.count(), 1, layout::kMaxSteps, 164, "the number of thresholds is out of range"));
  QRT_TRY(equal(a.thresholds.count % o.count(), 0, 164, "the thresholds do not fill their rows"));
  QRT_TRY(read_row_axis(r, node, a.thresholds.count / o.count(), o.axis(), &a.axis));
  a.count = o.count();
  a.scale = o.scale();
  a.bias = o.bias();
  QRT_REQUIRE(std::isfinite(a.scale) && std::isfinite(a.bias), kBadModel, 165,
              "the scale or bias of a step function is not finite");
  return check_rows(r, o.thresholds()->buffer(), a);
}

}  // namespace qrt
