// Shapes of what infer.cc has no room for: products of two activations, and
// transposed convolutions.
#include <algorithm>

#include "converter/ir/infer.h"
#include "schema/layout.h"

namespace qrt::ir::detail {
namespace {

std::string shapes_of(const Inference& i) {
  return cat(shape_text(i.in(0).shape, i.in(0).batched), " and ",
             shape_text(i.in(1).shape, i.in(1).batched));
}

// The free batch must stand in dimension 0 of the result, and be the only thing that stands there:
// no operand may bring it as the sum's dimension, or as one that another stretches against.
Result<void> check_batch(const Inference& i, const std::vector<int64_t>& result) {
  const size_t rank = result.size();
  for (size_t k = 0; k < 2; ++k) {
    const Value &v = i.in(k), &other = i.in(1 - k);
    if (!v.batched) continue;
    const bool summed = k == 1 && v.shape.size() == 2;
    const bool is_rows = k == 0 && v.shape.size() == 2 && rank == 2;
    const bool other_fits =
        is_rows || other.shape.size() < rank || other.batched || other.shape[0] == 1;
    if (summed || v.shape.size() != rank || v.shape[0] != result[0] || !other_fits) {
      return i.error(552, "the product of ", shapes_of(i),
                     " sums or stretches the batch; fix the batch with --shape NAME=1,...");
    }
  }
  return {};
}

}  // namespace

Result<ValueType> infer(const Inference& i, const MatMul&) {
  QRT_CHECK_OK(i.arity(2));
  QRT_CHECK_OK(need_float(i, 0));
  QRT_CHECK_OK(need_float(i, 1));
  const Value &a = i.in(0), &b = i.in(1);
  if (a.shape.size() < 2 || b.shape.size() < 2 || a.shape.back() != b.shape[b.shape.size() - 2]) {
    return i.error(550, "shapes ", shapes_of(i),
                   " are no matrices that can be multiplied; expected [...,M,K] and [...,K,N]");
  }
  const size_t rank = std::max(a.shape.size(), b.shape.size());
  ValueType result{ElementType::f32, std::vector<int64_t>(rank, 1), a.batched || b.batched};
  for (size_t k = 3; k <= rank; ++k) {  // counted from the end
    const int64_t p = k <= a.shape.size() ? a.shape[a.shape.size() - k] : 1;
    const int64_t q = k <= b.shape.size() ? b.shape[b.shape.size() - k] : 1;
    if (p != q && p != 1 && q != 1) {
      return i.error(550, "shapes ", shapes_of(i), " do not broadcast before their matrices");
    }
    result.shape[rank - k] = p == 1 ? q : p;
  }
  result.shape[rank - 2] = a.shape[a.shape.size() - 2];
  result.shape[rank - 1] = b.shape.back();
  QRT_CHECK_OK(check_batch(i, result.shape));
  return result;
}

Result<ValueType> infer(const Inference& i, const ConvTranspose& conv) {
  QRT_CHECK_OK(i.at_least(2));
  Result<ImageAxes> axes = image_axes(i, conv.layout);
  if (!axes.ok()) return axes.error();
  const Window2d& w = conv.window;
  QRT_CHECK_OK(check_window(i, w));
  const Value& x = i.in(0);
  QRT_CHECK_OK(check_weight(i, w, conv.groups, x.shape[axes->channel]));
  const int64_t outputs = i.in(1).shape[0];
  ValueType result{ElementType::f32, x.shape, x.batched};
  result.shape[axes->channel] = outputs;
  for (size_t axis = 0; axis < 2; ++axis) {
    if (conv.adjust[axis] < 0 || conv.adjust[axis] > layout::kMaxDim) {
      return i.error(553, "adjust must be 0 to ", layout::kMaxDim, "; found ", conv.adjust[axis]);
    }
    const size_t at = axis == 0 ? axes->height : axes->width;
    const int64_t span = static_cast<int64_t>(w.dilation[axis]) * (w.kernel[axis] - 1) + 1;
    const int64_t whole = (x.shape[at] - 1) * w.stride[axis] + span + conv.adjust[axis];
    const int64_t pads = int64_t{w.pad[axis]} + w.pad[axis + 2];
    if (whole <= pads) {
      return i.error(553, "padding ", w.pad[axis], " and ", w.pad[axis + 2], " cuts all of the ",
                     whole, " outputs along an axis; use less padding");
    }
    result.shape[at] = whole - pads;
  }
  QRT_CHECK_OK(check_epilogue(i, conv, outputs, result));
  return result;
}

}  // namespace qrt::ir::detail
