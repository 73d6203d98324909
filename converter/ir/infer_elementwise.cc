// Types and shapes of the operators that compute element by element, and of those
// that reduce or rank along axes.
//
// Activations are f32, i32, i64 or bool; i8 and u8 only move and are cast.
// Constants of shape arithmetic pass through here as well, in any integer type.
#include <algorithm>

#include "converter/ir/infer.h"

namespace qrt::ir::detail {
namespace {

// NumPy broadcasting of all inputs. A free batch must stand at dimension 0 of the
// result, and what meets it there is batched as well, 1, or not there.
Result<ValueType> broadcast(const Inference& i, ElementType type) {
  ValueType result{type, {}, false};
  size_t rank = 0;
  for (size_t k = 0; k < i.node.in.size(); ++k) {
    rank = std::max(rank, i.in(k).shape.size());
    result.batched = result.batched || i.in(k).batched;
  }
  result.shape.assign(rank, 1);
  std::string shapes;
  bool fits = true;
  for (size_t k = 0; k < i.node.in.size(); ++k) {
    const Value& v = i.in(k);
    append(shapes, shape_text(v.shape, v.batched), " and ");
    for (size_t d = 0; d < v.shape.size(); ++d) {
      int64_t& out = result.shape[rank - v.shape.size() + d];
      fits = fits && (out == v.shape[d] || out == 1 || v.shape[d] == 1);
      out = out == 1 ? v.shape[d] : out;
    }
  }
  if (!fits) return i.error(550, "shapes ", shapes, " do not broadcast");
  if (!result.batched) return result;
  for (size_t k = 0; k < i.node.in.size(); ++k) {
    const Value& v = i.in(k);
    const bool at_front = v.shape.size() == rank;
    const bool good =
        v.batched ? at_front && v.shape[0] == result.shape[0] : !at_front || v.shape[0] == 1;
    if (!good) {
      return i.error(552, "shapes ", shapes,
                     " broadcast across the batch; fix the batch with --shape");
    }
  }
  return result;
}

ElementType computed(ElementType type) {
  return is_float(type) ? ElementType::f32 : type;
}

Result<void> need_one_type(const Inference& i, size_t a, size_t b) {
  if (computed(i.in(a).type) == computed(i.in(b).type)) return {};
  return i.error(550, "one input is ", name_of(i.in(a).type), ", the other ", name_of(i.in(b).type),
                 "; cast one of them");
}

Result<void> need_type(const Inference& i, size_t input, bool good, const char* allowed) {
  if (good) return {};
  return i.error(550, "input ", i.in(input).name, " has type ", name_of(i.in(input).type),
                 "; this operator takes ", allowed, "; cast it before");
}

bool is_number(ElementType type) {
  return type != ElementType::boolean;
}

// f32, i32 and i64.
Result<void> need_wide(const Inference& i, size_t input) {
  const ElementType type = i.in(input).type;
  const bool good = is_float(type) || type == ElementType::i32 || type == ElementType::i64;
  QRT_CHECK_OK(need_type(i, input, good, "f32, i32 or i64"));
  if (element_count(i.in(input).shape) > 0) return {};
  return i.error(550, "input ", i.in(input).name, " of shape ",
                 shape_text(i.in(input).shape, i.in(input).batched),
                 " has no elements; check the source model");
}

}  // namespace

Result<void> need_float(const Inference& i, size_t input) {
  const Value& value = i.in(input);
  if (!is_float(value.type)) {
    return i.error(550, "input ", value.name, " has type ", name_of(value.type),
                   "; this operator takes f32; cast it before");
  }
  if (element_count(value.shape) > 0) return {};
  return i.error(550, "input ", value.name, " of shape ", shape_text(value.shape, value.batched),
                 " has no elements; check the source model");
}

Result<ValueType> infer(const Inference& i, const Binary& binary) {
  using Op = Binary::Op;
  QRT_CHECK_OK(i.arity(2));
  QRT_CHECK_OK(need_one_type(i, 0, 1));
  const ElementType type = i.in(0).type;
  const bool logical = binary.op >= Op::logical_and;
  const bool compares = binary.op >= Op::equal && !logical;
  if (logical) QRT_CHECK_OK(need_type(i, 0, type == ElementType::boolean, "bool"));
  if (!logical && binary.op != Op::equal) QRT_CHECK_OK(need_type(i, 0, is_number(type), "numbers"));
  if (binary.op == Op::mod)
    QRT_CHECK_OK(need_type(i, 0, !is_float(type), "integers (floats with fmod)"));
  if (!(binary.clamp == kNoClamp) && (compares || !is_float(type)))
    return i.error(553, "has a clamp; only results in f32 can be clamped");
  return broadcast(i, compares || logical ? ElementType::boolean : computed(type));
}

Result<ValueType> infer(const Inference& i, const Select&) {
  QRT_CHECK_OK(i.arity(3));
  QRT_CHECK_OK(need_type(i, 0, i.in(0).type == ElementType::boolean, "bool as its condition"));
  QRT_CHECK_OK(need_one_type(i, 1, 2));
  return broadcast(i, computed(i.in(1).type));
}

Result<ValueType> infer(const Inference& i, const Unary& unary) {
  using Op = Unary::Op;
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  const bool any_number = unary.op == Op::abs || unary.op == Op::neg || unary.op == Op::sign;
  if (unary.op == Op::logical_not) {
    QRT_CHECK_OK(need_type(i, 0, x.type == ElementType::boolean, "bool"));
  } else if (any_number) {
    QRT_CHECK_OK(need_type(i, 0, is_number(x.type), "numbers"));
  } else {
    QRT_CHECK_OK(need_type(i, 0, is_float(x.type), "f32"));
  }
  return ValueType{computed(x.type), x.shape, x.batched};
}

Result<ValueType> infer(const Inference& i, const Cast& cast) {
  QRT_CHECK_OK(i.arity(1));
  const auto type = element_type_of_onnx(cast.to);
  if (!type) {
    return i.error(553, "casts to the ONNX data type ", cast.to,
                   "; known are the float, integer and bool types");
  }
  return ValueType{*type, i.in(0).shape, i.in(0).batched};
}

Result<ValueType> infer(const Inference& i, const Reduce& reduce) {
  using Mode = Reduce::Mode;
  QRT_CHECK_OK(i.arity(1));
  const Value& x = i.in(0);
  QRT_CHECK_OK(need_wide(i, 0));
  const bool exact = reduce.mode == Mode::sum || reduce.mode == Mode::max ||
                     reduce.mode == Mode::min || reduce.mode == Mode::prod ||
                     reduce.mode == Mode::l1 || reduce.mode == Mode::sum_square;
  if (!exact) QRT_CHECK_OK(need_float(i, 0));
  Result<std::vector<bool>> named = mark_axes(i, reduce.axes, x.shape.size());
  if (!named.ok()) return named.error();
  const std::vector<bool> gone = axis_set(reduce.axes, x.shape.size());
  if (x.batched && gone[0]) return i.batch_error("reduces dimension 0");
  ValueType result{computed(x.type), {}, x.batched};
  for (size_t d = 0; d < x.shape.size(); ++d) {
    if (!gone[d]) {
      result.shape.push_back(x.shape[d]);
    } else if (reduce.keep_dims) {
      result.shape.push_back(1);
    }
  }
  return result;
}

Result<ValueType> infer(const Inference& i, const ArgReduce& arg) {
  QRT_CHECK_OK(i.arity(1));
  QRT_CHECK_OK(need_wide(i, 0));
  const Value& x = i.in(0);
  Result<size_t> axis = i.axis(arg.axis, x);
  if (!axis.ok()) return axis.error();
  if (*axis == 0 && x.batched) return i.batch_error("looks along dimension 0");
  ValueType result{ElementType::i64, x.shape, x.batched};
  result.shape[*axis] = 1;
  if (!arg.keep_dims) result.shape.erase(result.shape.begin() + static_cast<int64_t>(*axis));
  return result;
}

Result<ValueType> infer(const Inference& i, const TopK& top) {
  QRT_CHECK_OK(i.arity(1));
  QRT_CHECK_OK(need_wide(i, 0));
  const Value& x = i.in(0);
  Result<size_t> axis = i.axis(top.axis, x);
  if (!axis.ok()) return axis.error();
  if (*axis == 0 && x.batched) return i.batch_error("looks along dimension 0");
  if (top.k < 1 || top.k > x.shape[*axis]) {
    return i.error(553, "takes the ", top.k, " first of ", x.shape[*axis], " along axis ", *axis,
                   "; allowed are 1 to ", x.shape[*axis]);
  }
  ValueType result{top.indices ? ElementType::i64 : computed(x.type), x.shape, x.batched};
  result.shape[*axis] = top.k;
  return result;
}

}  // namespace qrt::ir::detail

namespace qrt::ir {

std::vector<bool> axis_set(const std::vector<int32_t>& axes, size_t rank) {
  std::vector<bool> set(rank, axes.empty());
  for (int32_t axis : axes) {
    const int64_t at = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
    if (at >= 0 && at < static_cast<int64_t>(rank)) set[static_cast<size_t>(at)] = true;
  }
  return set;
}

}  // namespace qrt::ir
