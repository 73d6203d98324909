// Shapes of the operators that move data without computing: concat, transpose,
// reshape, pad, gather, slice, tile, resize and the ones that live only until
// constant folding.
#include <algorithm>
#include <numeric>

#include "converter/ir/infer.h"
#include "schema/layout.h"

namespace qrt::ir::detail {

Result<std::vector<bool>> mark_axes(const Inference& i, const std::vector<int32_t>& axes,
                                    size_t rank) {
  std::vector<bool> marked(rank);
  for (int64_t axis : axes) {
    const int64_t at = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
    if (at < 0 || at >= static_cast<int64_t>(rank) || marked[at]) {
      return i.error(553, "axis ", axis, " is out of range or named twice; the rank is ", rank);
    }
    marked[at] = true;
  }
  return marked;
}

Result<ValueType> infer(const Inference& i, const Concat& concat) {
  QRT_CHECK_OK(i.at_least(1));
  const Value& first = i.in(0);
  Result<size_t> axis = i.axis(concat.axis, first);
  if (!axis.ok()) return axis.error();
  ValueType result{is_float(first.type) ? ElementType::f32 : first.type, first.shape,
                   first.batched};
  for (size_t k = 0; k < i.node.in.size(); ++k) {
    const Value& x = i.in(k);
    std::vector<int64_t> expected = first.shape;
    if (x.shape.size() == expected.size()) expected[*axis] = x.shape[*axis];
    const bool one_type = x.type == first.type || (is_float(x.type) && is_float(first.type));
    if (x.shape != expected || x.batched != first.batched || !one_type) {
      return i.error(550, "input ", x.name, " has shape ", shape_text(x.shape, x.batched), " of ",
                     name_of(x.type), "; it does not continue ",
                     shape_text(first.shape, first.batched), " of ", name_of(first.type),
                     " along axis ", *axis);
    }
    if (k > 0) result.shape[*axis] += x.shape[*axis];
  }
  if (*axis == 0 && first.batched) return i.batch_error("concatenates dimension 0");
  return result;
}

Result<ValueType> infer(const Inference& i, const Transpose& transpose) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  std::vector<int32_t> sorted = transpose.perm;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int32_t> all(x.shape.size());
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all) {
    return i.error(553, "perm [", join(transpose.perm), "] is no permutation of the ",
                   x.shape.size(), " dimensions of ", x.name);
  }
  if (x.batched && transpose.perm[0] != 0) return i.batch_error("moves dimension 0");
  ValueType result{x.type, {}, x.batched};
  for (int32_t from : transpose.perm) result.shape.push_back(x.shape[from]);
  return result;
}

Result<ValueType> infer(const Inference& i, const Reshape& reshape) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  const int64_t count = element_count(reshape.dims);
  if (count < 0 || count != element_count(x.shape)) {
    return i.error(550, "input ", x.name, " of shape ", shape_text(x.shape, x.batched),
                   " cannot become ", shape_text(reshape.dims), ": the numbers of elements differ");
  }
  if (x.batched && reshape.dims.empty()) return i.batch_error("drops dimension 0");
  return ValueType{x.type, reshape.dims, x.batched};
}

Result<ValueType> infer(const Inference& i, const Pad& pad) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  if (pad.before.size() != x.shape.size() || pad.after.size() != x.shape.size()) {
    return i.error(553, "pads ", pad.before.size(), " and ", pad.after.size(),
                   " dimensions; input ", x.name, " has ", x.shape.size());
  }
  ValueType result{x.type, x.shape, x.batched};
  for (size_t k = 0; k < x.shape.size(); ++k) {
    const int64_t before = pad.before[k], after = pad.after[k];
    const bool reflects = pad.mode == Pad::Mode::reflect;
    const int64_t limit = reflects ? x.shape[k] - 1 : layout::kMaxDim;
    if (x.shape[k] < 1 || before < 0 || after < 0 || before > limit || after > limit) {
      return i.error(553, "pads ", before, " and ", after, " along axis ", k, " of ",
                     shape_text(x.shape, x.batched), "; allowed are 0 to ", limit);
    }
    result.shape[k] += before + after;
  }
  if (x.batched && (pad.before[0] || pad.after[0])) return i.batch_error("pads dimension 0");
  return result;
}

Result<ValueType> infer(const Inference& i, const Gather& gather) {
  QRT_CHECK_OK(i.arity(2));
  const Value &data = i.in(0), &indices = i.in(1);
  Result<size_t> axis = i.axis(gather.axis, data);
  if (!axis.ok()) return axis.error();
  if (is_float(indices.type)) {
    return i.error(550, "indices ", indices.name, " are ", name_of(indices.type),
                   "; expected integers");
  }
  // Batched indices look up in fixed data; their batch must become that of the result.
  if ((indices.batched && (data.batched || *axis != 0)) || (data.batched && *axis == 0)) {
    return i.batch_error("gathers along dimension 0");
  }
  ValueType result{data.type, data.shape, data.batched || indices.batched};
  result.shape.erase(result.shape.begin() + static_cast<int64_t>(*axis));
  result.shape.insert(result.shape.begin() + static_cast<int64_t>(*axis), indices.shape.begin(),
                      indices.shape.end());
  return result;
}

Result<ValueType> infer(const Inference& i, const Identity&) {
  QRT_CHECK_OK(i.arity(1));
  return ValueType{i.in(0).type, i.in(0).shape, i.in(0).batched};
}

Result<ValueType> infer(const Inference& i, const Shape&) {
  QRT_CHECK_OK(i.arity(1));
  return ValueType{ElementType::i64, {static_cast<int64_t>(i.in(0).shape.size())}, false};
}

Result<ValueType> infer(const Inference& i, const Unsqueeze& unsqueeze) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  Result<std::vector<bool>> marked =
      mark_axes(i, unsqueeze.axes, x.shape.size() + unsqueeze.axes.size());
  if (!marked.ok()) return marked.error();
  if (x.batched && !marked->empty() && (*marked)[0]) {
    return i.batch_error("inserts a dimension before dimension 0");
  }
  ValueType result{x.type, {}, x.batched};
  size_t next = 0;
  for (bool inserted : *marked) result.shape.push_back(inserted ? 1 : x.shape[next++]);
  return result;
}

Result<ValueType> infer(const Inference& i, const Squeeze& squeeze) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  Result<std::vector<bool>> marked = mark_axes(i, squeeze.axes, x.shape.size());
  if (!marked.ok()) return marked.error();
  // No axes named: every dimension of 1 goes, but for the one that takes the batch.
  if (squeeze.axes.empty()) {
    for (size_t k = x.batched ? 1 : 0; k < x.shape.size(); ++k) (*marked)[k] = x.shape[k] == 1;
  }
  ValueType result{x.type, {}, x.batched};
  for (size_t k = 0; k < x.shape.size(); ++k) {
    if (!(*marked)[k]) {
      result.shape.push_back(x.shape[k]);
    } else if (x.shape[k] != 1) {
      return i.error(550, "axis ", k, " of ", x.name, " with shape ",
                     shape_text(x.shape, x.batched), " is not 1 and cannot be dropped");
    }
  }
  if (x.batched && (*marked)[0]) return i.batch_error("drops dimension 0");
  return result;
}

Result<ValueType> infer(const Inference& i, const Slice& slice) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  const size_t count = slice.starts.size();
  if (slice.ends.size() != count || slice.axes.size() != count || slice.steps.size() != count) {
    return i.error(553, "starts, ends, axes and steps have ", count, ", ", slice.ends.size(), ", ",
                   slice.axes.size(), " and ", slice.steps.size(), " entries; expected as many");
  }
  ValueType result{x.type, x.shape, x.batched};
  std::vector<bool> seen(x.shape.size());
  for (size_t k = 0; k < count; ++k) {
    Result<size_t> axis = i.axis(slice.axes[k], x);
    if (!axis.ok()) return axis.error();
    if (seen[*axis]) return i.error(553, "axis ", slice.axes[k], " is sliced twice");
    seen[*axis] = true;
    if (*axis == 0 && x.batched) return i.batch_error("slices dimension 0");
    if (slice.steps[k] == 0) return i.error(553, "a step is 0; expected any other number");
    const SliceRange range = slice_range(slice, k, x.shape[*axis]);
    result.shape[*axis] = range.count;
  }
  return result;
}

Result<ValueType> infer(const Inference& i, const Resize& resize) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  const size_t rank = x.shape.size();
  const bool crops = resize.coordinates == Resize::Coordinates::tf_crop_and_resize;
  if (!is_float(x.type)) {
    return i.error(550, "input ", x.name, " has type ", name_of(x.type),
                   "; it interpolates f32: cast it before");
  }
  if (resize.sizes.size() != rank || resize.scales.size() != rank ||
      resize.roi.size() != (crops ? 2 * rank : 0)) {
    return i.error(568, "sizes, scales and roi have ", resize.sizes.size(), ", ",
                   resize.scales.size(), " and ", resize.roi.size(), " entries for an input of ",
                   rank, " dimensions; expected one of each per dimension, of roi two or none");
  }
  ValueType result{ElementType::f32, x.shape, x.batched};
  for (size_t k = 0; k < rank; ++k) {
    const float scale = resize.scales[k];
    if (resize.sizes[k] < 0 || !(scale >= 0 && scale <= layout::kMaxDim)) {
      return i.error(568, "resizes axis ", k, " to ", resize.sizes[k], " with the scale ", scale,
                     "; expected a size of at least 1 and a scale of 0 to ", layout::kMaxDim);
    }
    if (resize.sizes[k] == 0) continue;
    if (k == 0 && x.batched) return i.batch_error("resizes dimension 0");
    if (x.shape[k] < 1) return i.error(568, "axis ", k, " of ", x.name, " has no elements");
    result.shape[k] = resize.sizes[k];
  }
  return result;
}

Result<ValueType> infer(const Inference& i, const Tile& tile) {
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  if (tile.repeats.size() != x.shape.size()) {
    return i.error(569, "has ", tile.repeats.size(), " repeats for the ", x.shape.size(),
                   " dimensions of ", x.name, "; expected as many");
  }
  ValueType result{x.type, x.shape, x.batched};
  for (size_t k = 0; k < x.shape.size(); ++k) {
    const int64_t repeats = tile.repeats[k];
    if (repeats < 1 || repeats > layout::kMaxDim) {
      return i.error(569, "repeats axis ", k, " ", repeats, " times; allowed are 1 to ",
                     layout::kMaxDim);
    }
    if (k == 0 && x.batched && repeats > 1) return i.batch_error("repeats dimension 0");
    result.shape[k] *= repeats;  // both factors are below 2^25
  }
  return result;
}

Result<ValueType> infer(const Inference& i, const Quantize&) {
  QRT_CHECK_OK(i.arity(1));
  QRT_CHECK_OK(need_float(i, 0));
  return ValueType{ElementType::f32, i.in(0).shape, i.in(0).batched};
}

Result<ValueType> infer(const Inference& i, const Expand&) {
  QRT_CHECK_OK(i.arity(2));
  const Value &x = i.in(0), &like = i.in(1);
  if (x.shape.empty() || x.shape[0] != 1 || x.batched || !like.batched || like.shape[0] != 1) {
    return i.error(550, "inputs ", x.name, " ", shape_text(x.shape, x.batched), " and ", like.name,
                   " ", shape_text(like.shape, like.batched),
                   "; expected [1,...] without and [N,...] with the batch");
  }
  return ValueType{x.type, x.shape, true};
}

}  // namespace qrt::ir::detail

namespace qrt::ir {

// ONNX clamps: going forward to [0, dim]; going back starts to [0, dim - 1], ends to [-1, dim - 1].
SliceRange slice_range(const Slice& slice, size_t k, int64_t dim) {
  const int64_t step = slice.steps[k];
  if (dim == 0) return {0, step, 0};
  auto clamped = [&](int64_t at, int64_t lowest) {
    if (at < 0) at = at < -dim ? -1 : at + dim;
    return std::clamp<int64_t>(at, lowest, step < 0 ? dim - 1 : dim);
  };
  const int64_t start = clamped(slice.starts[k], 0);
  const int64_t end = clamped(slice.ends[k], step < 0 ? -1 : 0);
  const int64_t distance = step > 0 ? end - start : start - end;
  if (distance <= 0) return {start, step, 0};
  // |step| without overflow for the smallest integer: larger than any distance anyway.
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  return {start, step, static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1};
}

std::optional<ElementType> element_type_of_onnx(int32_t data_type) {
  switch (data_type) {
    case 1:
    case 11:
    case 16:
      return ElementType::f32;  // float, double, bfloat16
    case 10:
      return ElementType::f16;
    case 3:
      return ElementType::i8;
    case 2:
      return ElementType::u8;
    case 4:
    case 5:
    case 6:
      return ElementType::i32;  // uint16, int16, int32
    case 7:
    case 12:
      return ElementType::i64;  // int64, uint32
    case 9:
      return ElementType::boolean;
    default:
      return std::nullopt;
  }
}

}  // namespace qrt::ir
