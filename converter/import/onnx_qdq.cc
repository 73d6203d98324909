// ONNX's own quantization. A tensor of bytes that QuantizeLinear makes is kept as the
// floats it stands for, on their grid (Import::grids): what follows it, DequantizeLinear
// or an operator that moves elements, then needs no bytes, and the pair of the two is one
// FakeQuantize. Whoever reads the integers themselves gets them made from the floats.
#include <algorithm>
#include <cmath>

#include "converter/import/onnx_quantized.h"

namespace qrt::import {

using ir::ValueId;

Levels levels_of(const ir::Value& zero) {
  if (zero.type == ir::ElementType::u8) return {0, 255};
  if (zero.type == ir::ElementType::i8) return {-128, 127};
  refuse(523, "its zero point ", zero.name, " is ", ir::name_of(zero.type),
         "; supported are int8 and uint8");
}

std::vector<float> known_zeros(const Node& n, size_t input, size_t count, const Levels& levels) {
  if (!n.has(input)) return std::vector<float>(count, 0.0f);
  std::vector<float> zeros = known_numbers(n, input, "its zero point");
  if (zeros.size() != count && zeros.size() != 1)
    refuse(523, "its zero point has ", zeros.size(), " elements; its scale has ", count);
  zeros.resize(count, zeros[0]);
  for (const float zero : zeros) {
    if (zero == std::floor(zero) && zero >= levels.low && zero <= levels.high) continue;
    refuse(521, "its zero point is ", zero, "; the grid goes from ", levels.low, " to ",
           levels.high);
  }
  return zeros;
}

namespace {

// The axis that scales lie along; one scale has none (-1).
int32_t quantized_axis(const Node& n, ValueId x, size_t scales, int64_t otherwise) {
  if (scales == 1) return -1;
  const std::vector<int64_t>& shape = n.value(x).shape;
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t given = n.integer("axis", otherwise), axis = given < 0 ? given + rank : given;
  if (axis < 0 || axis >= rank || shape[static_cast<size_t>(axis)] != static_cast<int64_t>(scales))
    refuse(523, "it has ", scales, " scales along axis ", given, " of ", shape_text(shape),
           "; expected one scale, or one for each element of the axis");
  return static_cast<int32_t>(axis);
}

// A parameter that broadcasts along `axis` of x, or one number.
ValueId along(Node& n, const char* step, ValueId x, int32_t axis, const std::vector<float>& v) {
  std::vector<int64_t> shape;
  if (axis >= 0) {
    shape.assign(n.value(x).shape.size() - static_cast<size_t>(axis), 1);
    shape[0] = static_cast<int64_t>(v.size());
  }
  return n.constant(step, shape, v);
}

ValueId row(Node& n, const char* step, const std::vector<float>& v) {
  return n.constant(step, {static_cast<int64_t>(v.size())}, v);
}

bool same_grid(const Grid& a, const Grid& b) {
  return a.scale == b.scale && a.zero == b.zero && a.axis == b.axis && a.type == b.type;
}

constexpr int kFloat = onnx::TensorProto::FLOAT;

// ---- grids that are computed, as dynamic quantization does: written out -------------------------

bool is_computed(const Node& n) {
  return !n.known(1) || (n.has(2) && !n.known(2));
}

// A scale or zero point as floats, in front of as many axes of 1 as x has behind its axis.
ValueId computed_along(Node& n, const char* step, ValueId x, size_t input) {
  ValueId v = n.in(input);
  const std::vector<int64_t> own = n.value(v).shape;
  const ir::ElementType type = n.value(v).type;
  if (!ir::is_float(type)) v = n.step(cat(step, "_float"), ir::Cast{kFloat}, {v});
  const auto count = static_cast<size_t>(ir::element_count(own));
  const int32_t axis = quantized_axis(n, x, count, 1);
  std::vector<int64_t> shape;
  if (axis >= 0) {
    shape.assign(n.value(x).shape.size() - static_cast<size_t>(axis), 1);
    shape[0] = own[0];
  }
  return shape == own ? v : n.step(step, ir::Reshape{shape}, {v});
}

void emit_computed_levels(Node& n, ValueId x) {
  using Op = ir::Binary::Op;
  const Levels levels = n.has(2) ? levels_of(n.value(n.in(2))) : Levels{0, 255};
  const ValueId scale = computed_along(n, "scale", x, 1);
  const ValueId scaled = n.step("scaled", ir::Binary{Op::div}, {x, scale});
  const ValueId level = n.step("level", ir::Unary{ir::Unary::Op::round}, {scaled});
  const ValueId zero = n.has(2) ? computed_along(n, "zero", x, 2) : n.constant("zero", {}, {0});
  const ir::Binary add{Op::add, {levels.low, levels.high}};
  const ValueId moved = n.step("moved", add, {level, zero});
  const bool is_signed = levels.low < 0;
  n.emit(ir::Cast{is_signed ? onnx::TensorProto::INT8 : onnx::TensorProto::UINT8}, {moved});
}

void emit_computed_values(Node& n, ValueId x) {
  using Op = ir::Binary::Op;
  ValueId level = n.step("float", ir::Cast{kFloat}, {x});
  if (n.has(2))
    level = n.step("centred", ir::Binary{Op::sub}, {level, computed_along(n, "zero", x, 2)});
  n.emit(ir::Binary{Op::mul}, {level, computed_along(n, "scale", x, 1)});
}

}  // namespace

void import_quantize_linear(Node& n) {
  ValueId x = n.in(0);
  if (!ir::is_float(n.value(x).type)) x = n.step("float", ir::Cast{kFloat}, {x});
  if (is_computed(n)) return emit_computed_levels(n, x);
  const std::vector<float> scale = known_numbers(n, 1, "its scale");
  check_scales(scale);
  const ir::ElementType type = n.has(2) ? n.value(n.in(2)).type : ir::ElementType::u8;
  const Levels levels = n.has(2) ? levels_of(n.value(n.in(2))) : Levels{0, 255};
  const std::vector<float> zero = known_zeros(n, 2, scale.size(), levels);
  Grid grid{type, scale, zero, quantized_axis(n, x, scale.size(), 1)};
  ir::FakeQuantize quantize;
  quantize.low = levels.low, quantize.high = levels.high, quantize.zero_after = true;
  quantize.axis = grid.axis < 0 ? 1 : grid.axis;
  n.emit(quantize, {x, row(n, "scale", scale), row(n, "zero", zero)});
  n.import().grids[n.made(0)] = std::move(grid);
}

// (x - zero) * scale. Of constants, weights most of all, the result is marked as what it is: on
// the grid. The quantizer behind it changes no number, since (q - zero) * scale / scale lies
// within 2^-22 of a whole number below 2^9.
void import_dequantize_linear(Node& n) {
  if (is_computed(n)) return emit_computed_values(n, n.in(0));
  const std::vector<float> scale = known_numbers(n, 1, "its scale");
  check_scales(scale);
  const ValueId raw = n.raw(0);
  const ir::ElementType type =
      n.import().grids.count(raw) ? n.import().grids[raw].type : n.value(raw).type;
  const bool is_wide = type == ir::ElementType::i32;
  const Levels levels = type == ir::ElementType::u8   ? Levels{0, 255}
                        : type == ir::ElementType::i8 ? Levels{-128, 127}
                                                      : Levels{0, 0};
  if (!is_wide && levels.high == 0)
    refuse(523, "it takes ", ir::name_of(type), "; supported are int8, uint8 and int32");
  const std::vector<float> zero = known_zeros(n, 2, scale.size(), levels);
  const Grid grid{type, scale, zero, quantized_axis(n, raw, scale.size(), 1)};
  if (const auto found = n.import().grids.find(raw);
      found != n.import().grids.end() && same_grid(found->second, grid))
    return n.emit(ir::Identity{}, {raw});

  using Op = ir::Binary::Op;
  const ValueId x = n.in(0);
  ValueId level = n.step("float", ir::Cast{kFloat}, {x});
  const bool centred = std::all_of(zero.begin(), zero.end(), [](float z) { return z == 0; });
  if (!centred)
    level = n.step("centred", ir::Binary{Op::sub}, {level, along(n, "offset", x, grid.axis, zero)});
  const ir::Binary times{Op::mul};
  const ValueId factor = along(n, "factor", x, grid.axis, scale);
  if (is_wide || !n.fixed(x)) return n.emit(times, {level, factor});
  const ValueId value = n.step("values", times, {level, factor});
  ir::FakeQuantize marks;
  marks.low = levels.low, marks.high = levels.high, marks.zero_after = true;
  marks.axis = grid.axis < 0 ? 0 : grid.axis;
  n.emit(marks, {value, row(n, "scale", scale), row(n, "zero", zero)});
}

// The grid covers the data and 0: scale = (max - min) / 255, zero = round(-min / scale).
void import_dynamic_quantize_linear(Node& n) {
  using Op = ir::Binary::Op;
  const ValueId x = n.in(0);
  const ValueId none = n.constant("none", {}, {0}), most = n.constant("most", {}, {255});
  const auto extreme = [&](const char* step, ir::Reduce::Mode mode, Op op) {
    const ValueId over = n.step(cat(step, "_of"), ir::Reduce{mode, {}, false}, {x});
    return n.step(step, ir::Binary{op}, {over, none});
  };
  const ValueId low = extreme("low", ir::Reduce::Mode::min, Op::min);
  const ValueId high = extreme("high", ir::Reduce::Mode::max, Op::max);
  const ValueId range = n.step("range", ir::Binary{Op::sub}, {high, low});
  const ValueId scale = n.step("step", ir::Binary{Op::div}, {range, most});
  const ValueId negative = n.step("negative", ir::Binary{Op::sub}, {none, low});
  const ValueId place = n.step("place", ir::Binary{Op::div, {0, 255}}, {negative, scale});
  const ValueId zero = n.step("zero", ir::Unary{ir::Unary::Op::round}, {place});
  const ValueId scaled = n.step("scaled", ir::Binary{Op::div}, {x, scale});
  const ValueId level = n.step("level", ir::Unary{ir::Unary::Op::round}, {scaled});
  const ValueId moved = n.step("moved", ir::Binary{Op::add, {0, 255}}, {level, zero});
  n.emit(ir::Cast{onnx::TensorProto::UINT8}, {moved});
  n.emit_output(1, ir::Identity{}, {scale});
  n.emit_output(2, ir::Cast{onnx::TensorProto::UINT8}, {zero});
}

// round(x / scale) + zero: exact, as x lies on the grid.
ValueId integers_of(Import& import, ValueId x) {
  if (const auto found = import.integers.find(x); found != import.integers.end())
    return found->second;
  const Grid grid = import.grids.at(x);
  const std::vector<int64_t> shape = import.graph.values[x].shape;
  const std::string base = import.graph.values[x].name;
  const auto add = [&](const char* step, ir::Attr attr, std::vector<ValueId> in) {
    const std::string name = ir::unique_name(import.graph, cat(base, "/", step));
    Result<ValueId> id =
        ir::append_node(import.graph, {name, std::move(attr), std::move(in), {}, {}}, name);
    if (!id.ok()) throw Refusal{id.error()};
    import.fixed[*id] = import.fixed[x];
    return *id;
  };
  const auto parameter = [&](const char* step, const std::vector<float>& v) {
    std::vector<int64_t> own;
    if (grid.axis >= 0) own.assign(shape.size() - static_cast<size_t>(grid.axis), 1);
    if (grid.axis >= 0) own[0] = static_cast<int64_t>(v.size());
    return import.add_constant(cat(base, "/", step), {ir::ElementType::f32, own, v, {}});
  };
  using Op = ir::Binary::Op;
  const ValueId scaled =
      add("scaled", ir::Binary{Op::div}, {x, parameter("per_level", grid.scale)});
  const ValueId level = add("level", ir::Unary{ir::Unary::Op::round}, {scaled});
  const ValueId moved = add("moved", ir::Binary{Op::add}, {level, parameter("offset", grid.zero)});
  const int to =
      grid.type == ir::ElementType::u8 ? onnx::TensorProto::UINT8 : onnx::TensorProto::INT8;
  return import.integers[x] = add("integers", ir::Cast{to}, {moved});
}

}  // namespace qrt::import
