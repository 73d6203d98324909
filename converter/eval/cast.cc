// Casts between the types of the graph.
#include <cmath>

#include "converter/base/half.h"
#include "converter/eval/compute.h"
#include "converter/eval/functions.h"

namespace qrt::eval {
namespace {

// The ONNX integer types that the graph holds in a wider one, then the graph's own.
int64_t wrapped_to_onnx(int64_t value, int32_t onnx_type, ir::ElementType type) {
  switch (onnx_type) {
    case 4:
      return static_cast<uint16_t>(value);
    case 5:
      return static_cast<int16_t>(value);
    case 12:
      return static_cast<uint32_t>(value);
    default:
      return wrapped(type, value);
  }
}

}  // namespace

Result<void> compute(Call& call, const ir::Cast& cast) {
  const View& x = call.in[0];
  const bool from_ints = !ir::is_float(x.type);
  const bool half = call.out.type == ir::ElementType::f16;
  const bool boolean = call.out.type == ir::ElementType::boolean;
  for (size_t i = 0; i < call.out.data.size(); ++i) {
    const float value = from_ints ? static_cast<float>(x.ints[i]) : x.data[i];
    call.out.data[i] = half ? round_to_half(value) : value;
    if (!std::isfinite(call.out.data[i]) && std::isfinite(value)) {
      return call.error(value, " is too large for f16; keep the constant in f32");
    }
  }
  for (size_t i = 0; i < call.out.ints.size(); ++i) {
    if (from_ints) {
      call.out.ints[i] = wrapped_to_onnx(x.ints[i], cast.to, call.out.type);
    } else if (!call.strict || boolean) {
      call.out.ints[i] = truncated(call.out.type, x.data[i]);
    } else if (std::abs(x.data[i]) < 0x1p63f) {
      const auto whole = static_cast<int64_t>(x.data[i]);
      call.out.ints[i] = wrapped_to_onnx(whole, cast.to, call.out.type);
    } else {
      return call.error(x.data[i], " is no integer; check the source model");
    }
  }
  return {};
}

}  // namespace qrt::eval
