// Operators along axes: reductions, extremes, softmax and its kin, and the
// normalizations, which are spelled in reductions and arithmetic.
#include <algorithm>
#include <numeric>

#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

using Op = ir::Binary::Op;
using Mode = ir::Reduce::Mode;

int64_t axis_of(const Node& n, ir::ValueId x, const char* key, int64_t otherwise) {
  const int64_t rank = static_cast<int64_t>(n.value(x).shape.size());
  const int64_t axis = n.integer(key, otherwise);
  if (axis < -rank || axis >= rank) {
    refuse(505, key, " is ", axis, "; allowed are ", -rank, " to ", rank - 1);
  }
  return axis < 0 ? axis + rank : axis;
}

std::vector<int32_t> axes_from(const std::vector<int64_t>& list) {
  std::vector<int32_t> axes;
  for (int64_t axis : list)
    axes.push_back(to_int32(axis, -layout::kMaxRank, layout::kMaxRank - 1, "axes"));
  return axes;
}

}  // namespace

// The mean over the two spatial axes of an image is a global pool, as networks have it at the end.
void import_reduce(Node& n) {
  static constexpr struct {
    const char* name;
    Mode mode;
  } kRows[] = {{"ReduceSum", Mode::sum},        {"ReduceMean", Mode::mean},
               {"ReduceMax", Mode::max},        {"ReduceMin", Mode::min},
               {"ReduceProd", Mode::prod},      {"ReduceL1", Mode::l1},
               {"ReduceL2", Mode::l2},          {"ReduceSumSquare", Mode::sum_square},
               {"ReduceLogSum", Mode::log_sum}, {"ReduceLogSumExp", Mode::log_sum_exp}};
  ir::Reduce reduce;
  for (const auto& row : kRows)
    if (n.op() == row.name) reduce.mode = row.mode;
  const ir::ValueId x = n.in(0);
  const bool by_input = n.op() == "ReduceSum" && n.opset() >= 13;
  const std::vector<int64_t> list = !by_input  ? n.integers("axes")
                                    : n.has(1) ? n.known_ints(1, "axes")
                                               : std::vector<int64_t>();
  if (list.empty() && n.integer("noop_with_empty_axes", 0) != 0) return n.emit(ir::Identity{}, {x});
  reduce.axes = axes_from(list);
  reduce.keep_dims = n.integer("keepdims", 1) != 0;
  const std::vector<int64_t> shape = n.value(x).shape;
  if (reduce.mode == Mode::mean && shape.size() == 4 && !list.empty() &&
      ir::is_float(n.value(x).type) &&
      ir::axis_set(reduce.axes, 4) == std::vector<bool>{false, false, true, true}) {
    ir::Pool2d pool;
    pool.global = true;
    pool.mode = ir::Pool2d::Mode::average;
    if (reduce.keep_dims) return n.emit(pool, {x});
    return n.emit(ir::Reshape{{shape[0], shape[1]}}, {n.heart(pool, {x})});
  }
  n.emit(reduce, {x});
}

void import_arg(Node& n) {
  const ir::ValueId x = n.in(0);
  ir::ArgReduce arg;
  arg.axis = static_cast<int32_t>(axis_of(n, x, "axis", 0));
  arg.smallest = n.op() == "ArgMin";
  arg.last = n.integer("select_last_index", 0) != 0;
  arg.keep_dims = n.integer("keepdims", 1) != 0;
  n.emit(arg, {x});
}

// k is an attribute before opset 10. Unsorted results may come in any order, so sorted ones do.
void import_top_k(Node& n) {
  const ir::ValueId x = n.in(0);
  int64_t k = n.integer("k", 0);
  if (n.opset() >= 10) {
    const std::vector<int64_t> list = n.known_ints(1, "k");
    if (list.size() != 1) refuse(505, "k has ", list.size(), " elements; expected 1");
    k = list[0];
  }
  ir::TopK top;
  top.axis = static_cast<int32_t>(axis_of(n, x, "axis", -1));
  top.k = to_int32(k, 1, n.value(x).shape[static_cast<size_t>(top.axis)], "k");
  top.smallest = n.integer("largest", 1) == 0;
  n.emit_output(0, top, {x});
  top.indices = true;
  n.emit_output(1, top, {x});
}

namespace {

// Before opset 13 softmax and its kin run over all dimensions from `axis` on, seen as one. Gives
// the value and the axis to run over; the result then needs the shape back.
struct Flattened {
  ir::ValueId id;
  int32_t axis;
  bool reshaped;
};
Flattened flatten_from_axis(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = axis_of(n, x, "axis", n.opset() < 13 ? 1 : -1);
  if (n.opset() >= 13 || axis == rank - 1) return {x, static_cast<int32_t>(axis), false};
  if (axis == 0 && n.value(x).batched) n.unsupported("it runs over the batch; fix it with --shape");
  std::vector<int64_t> dims(shape.begin(), shape.begin() + axis);
  dims.push_back(ir::element_count({shape.begin() + axis, shape.end()}));
  return {n.step("flat", ir::Reshape{dims}, {x}), static_cast<int32_t>(axis), true};
}

}  // namespace

void import_softmax(Node& n) {
  const Flattened x = flatten_from_axis(n);
  ir::Softmax softmax;
  softmax.axis = x.axis;
  softmax.log = n.op() == "LogSoftmax";
  if (!x.reshaped) return n.emit(softmax, {x.id});
  const std::vector<int64_t> shape = n.value(n.in(0)).shape;
  n.emit(ir::Reshape{shape}, {n.heart(softmax, {x.id})});
}

// 1 where the largest element stands first, else 0.
void import_hardmax(Node& n) {
  const Flattened x = flatten_from_axis(n);
  const std::vector<int64_t> shape = n.value(n.in(0)).shape;
  const std::vector<int64_t> flat = n.value(x.id).shape;
  const int64_t extent = flat[static_cast<size_t>(x.axis)];
  std::vector<int64_t> places(flat.size(), 1), order(static_cast<size_t>(extent));
  places[static_cast<size_t>(x.axis)] = extent;
  std::iota(order.begin(), order.end(), 0);
  const ir::ValueId index = n.step("largest", ir::ArgReduce{x.axis}, {x.id});
  const ir::ValueId range = n.import().add_constant(n.value(index).name + "/range",
                                                    {ir::ElementType::i64, places, {}, order});
  const ir::ValueId hit = n.heart(ir::Binary{Op::equal}, {index, range});
  const ir::Cast to_float{onnx::TensorProto::FLOAT};
  if (!x.reshaped) return n.emit(to_float, {hit});
  n.emit(ir::Reshape{shape}, {n.step("flat_result", to_float, {hit})});
}

namespace {

struct Normalized {
  ir::ValueId mean, deviation, value;  // value = (x - mean) / deviation
};

// deviation = sqrt(variance + inside) + outside. The variance is that of the centred values: the
// difference of two large sums would cancel digits.
Normalized normalize(Node& n, ir::ValueId x, const std::vector<int32_t>& axes, float inside,
                     float outside) {
  const ir::Reduce mean{Mode::mean, axes, true};
  Normalized r;
  r.mean = n.step("mean", mean, {x});
  const ir::ValueId centred = n.step("centred", ir::Binary{Op::sub}, {x, r.mean});
  const ir::ValueId square = n.step("square", ir::Binary{Op::mul}, {centred, centred});
  ir::ValueId variance = n.step("variance", mean, {square});
  if (inside != 0) {
    const ir::ValueId epsilon = n.constant("epsilon", {}, {inside});
    variance = n.step("shifted", ir::Binary{Op::add}, {variance, epsilon});
  }
  r.deviation = n.step("deviation", ir::Unary{ir::Unary::Op::sqrt}, {variance});
  if (outside != 0) {
    const ir::ValueId epsilon = n.constant("epsilon", {}, {outside});
    r.deviation = n.step("divisor", ir::Binary{Op::add}, {r.deviation, epsilon});
  }
  r.value = n.step("normalized", ir::Binary{Op::div}, {centred, r.deviation});
  return r;
}

std::vector<int32_t> axes_behind(size_t first, size_t rank) {
  std::vector<int32_t> axes(rank - first);
  std::iota(axes.begin(), axes.end(), static_cast<int32_t>(first));
  return axes;
}

// y = scale * x + bias, the node's first output; without a bias where there is none.
void emit_scaled(Node& n, ir::ValueId x, ir::ValueId scale, ir::ValueId bias) {
  const ir::Binary mul{Op::mul};
  if (bias < 0) return n.emit(mul, {x, scale});
  n.emit(ir::Binary{Op::add}, {n.heart(mul, {x, scale}), bias});
}

}  // namespace

void import_instance_norm(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  if (shape.size() < 3) n.unsupported("its input has rank ", shape.size(), "; expected 3 or more");
  const Normalized r = normalize(n, x, axes_behind(2, shape.size()), n.real("epsilon", 1e-5f), 0);
  // [C] beside [N,C,...]: one dimension of 1 for every spatial axis.
  std::vector<int64_t> channels(shape.size() - 1, 1);
  channels[0] = shape[1];
  const ir::ValueId scale = n.step("scale", ir::Reshape{channels}, {n.in(1)});
  const ir::ValueId bias = n.step("bias", ir::Reshape{channels}, {n.in(2)});
  emit_scaled(n, r.value, scale, bias);
}

void import_layer_norm(Node& n) {
  const ir::ValueId x = n.in(0);
  const size_t rank = n.value(x).shape.size();
  const auto axis = static_cast<size_t>(axis_of(n, x, "axis", -1));
  const Normalized r = normalize(n, x, axes_behind(axis, rank), n.real("epsilon", 1e-5f), 0);
  emit_scaled(n, r.value, n.in(1), n.has(2) ? n.in(2) : -1);
  n.emit_output(1, ir::Identity{}, {r.mean});
  n.emit_output(2, ir::Unary{ir::Unary::Op::reciprocal}, {r.deviation});
}

void import_mean_variance_norm(Node& n) {
  std::vector<int64_t> axes = n.integers("axes");
  if (!n.has_attribute("axes")) axes = {0, 2, 3};
  const Normalized r = normalize(n, n.in(0), axes_from(axes), 0, 1e-9f);
  n.emit(ir::Identity{}, {r.value});
}

// y = x / (bias + alpha/size * sum of the squares of `size` neighbouring channels)^beta: an
// average pool along the channels, which counts what lies beyond them as zeros.
void import_lrn(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  if (shape.size() < 3) n.unsupported("its input has rank ", shape.size(), "; expected 3 or more");
  const int32_t size = to_int32(n.integer("size", 0), 1, layout::kMaxDim, "size");
  const int64_t pixels = ir::element_count({shape.begin() + 2, shape.end()});
  ir::ValueId sum = n.step("square", ir::Binary{Op::mul}, {x, x});
  sum = n.step("rows", ir::Reshape{{shape[0], 1, shape[1], pixels}}, {sum});
  ir::Pool2d pool;
  pool.mode = ir::Pool2d::Mode::average;
  pool.count_include_pad = true;
  pool.window.kernel = {size, 1};
  pool.window.pad = {(size - 1) / 2, 0, size / 2, 0};
  sum = n.step("neighbours", pool, {sum});
  sum = n.step("image", ir::Reshape{shape}, {sum});
  const ir::ValueId alpha = n.constant("alpha", {}, {n.real("alpha", 1e-4f)});
  const ir::ValueId bias = n.constant("bias", {}, {n.real("bias", 1)});
  const ir::ValueId beta = n.constant("beta", {}, {n.real("beta", 0.75f)});
  sum = n.step("scaled", ir::Binary{Op::mul}, {sum, alpha});
  sum = n.step("shifted", ir::Binary{Op::add}, {sum, bias});
  n.emit(ir::Binary{Op::div}, {x, n.step("power", ir::Binary{Op::pow}, {sum, beta})});
}

}  // namespace qrt::import
