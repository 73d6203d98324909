// Strategies over kernels/shift for tables of integers: `shift_decode`, `shift_dot`,
// `shift_grouped` and `shift_add`, one per kind of its ways. They alone take integers beyond a byte
// (two planes) and a scale for every group of inputs.
//
//   item = a range of outputs of one group x a chunk of rows        (split over threads)
//     the chunk is gathered, unless its rows lie in place           (in L2)
//     the scales of its outputs become floats, where groups have them
//     one call of the way
//
// Gathered rows are [tap][channel]; where scales go by groups of inputs in another order rows
// are turned instead, so that groups stay runs.
#include <cstring>

#include "kernels/shift/cost.h"
#include "runtime/base/checked.h"
#include "runtime/model/exact.h"
#include "runtime/ops/int8_layer.h"
#include "runtime/tensor/power.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;
namespace sh = kernels::shift;

constexpr size_t kChunkBytes = 512 * 1024;  // of rows: half of an L2
constexpr size_t kLine = 64;

constexpr size_t ceil_div(size_t x, size_t by) {
  return (x + by - 1) / by;
}
constexpr size_t round_up(size_t x, size_t to) {
  return ceil_div(x, to) * to;
}

class ShiftWay final : public Int8Strategy {
 public:
  explicit ShiftWay(sh::Kind kind) : kind_(kind) {}

  const char* name() const override {
    switch (kind_) {
      case sh::Kind::shift:
        return "shift_add";
      case sh::Kind::grouped:
        return "shift_grouped";
      case sh::Kind::decode:
        return "shift_decode";
      case sh::Kind::dot:
        return "shift_dot";
    }
    return "";
  }

  float cost_ns(const Int8Layer& layer) const override {
    if (layer.table == nullptr) return -1;
    const sh::Row* row = sh::find_way(kind_, layer.isa);
    const size_t span = layer.scale_group == 0 ? layer.inputs : layer.scale_group;
    if (row == nullptr || !sh::sums_fit(*layer.table, span, 255)) return -1;
    if (row->way->scratch(*layer.table, shape_of(layer, 1, layer.group_outputs)) == 0) return -1;
    const sh::CostShape s{layer.rows,        layer.group_outputs,
                          layer.inputs,      layer.groups,
                          layer.scale_group, ceil_div(layer.rows, most_rows(layer)),
                          gathers(layer)};
    return sh::cost_ns(s, *layer.table, *row, *layer.kit);
  }

  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    row_ = sh::find_way(kind_, layer.isa);
    stride_ = gathered_stride(layer.inputs);
    plan_items(layer);
    const size_t way = row_->way->scratch(*layer.table, shape_of(layer, chunk_rows_, range_));
    const CheckedSize rows = gathers(layer)
                                 ? CheckedSize(chunk_rows_ + (turns(layer) ? 1 : 0)) * stride_
                                 : CheckedSize(0);
    const auto rows_bytes = (rows + i8::kRowSlack).get(SIZE_MAX / 4);
    const auto scales =
        (CheckedSize(range_) * scale_count(layer) * sizeof(float)).get(SIZE_MAX / 4);
    if (!rows_bytes || !scales) return layer_too_large();
    way_at_ = round_up(*rows_bytes, kLine);
    scales_at_ = way_at_ + round_up(way, kLine);
    own_bytes_ = scales_at_ + round_up(*scales, kLine);
    const auto all = (CheckedSize(own_bytes_) * layer.threads).get();
    if (!all) return layer_too_large();
    own_ = context.reserve_scratch(*all);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const override {
    if (layer.rows == 0) return {};
    const size_t items = layer.groups * chunks_ * ranges_;
    context.threads.split(items, 1, [&](size_t begin, size_t end, uint32_t thread) {
      auto* own = reinterpret_cast<uint8_t*>(context.scratch[own_]) + thread * own_bytes_;
      for (size_t i = begin; i < end; ++i)
        item(layer, context, i, i == begin || i % ranges_ == 0, own);
    });
    return {};
  }

  void write_kernel_name(const Int8Layer&, char* out, size_t room) const override {
    const char* isa = std::strchr(row_->name, '_');  // of "decode_avx2"
    std::snprintf(out, room, "int8_%s%s", name(), isa == nullptr ? "" : isa);
  }

 private:
  static bool turns(const Int8Layer& layer) { return layer.interleaved && layer.scale_group != 0; }
  static bool gathers(const Int8Layer& layer) { return !layer.rows_in_place(); }
  static size_t scale_count(const Int8Layer& layer) {
    return layer.scale_group == 0 ? 0 : ceil_div(layer.inputs, layer.scale_group);
  }
  static size_t most_rows(const Int8Layer& layer) {
    const size_t fit = kChunkBytes / gathered_stride(layer.inputs);
    return fit < 1 ? 1 : fit;
  }
  static sh::Shape shape_of(const Int8Layer& layer, size_t rows, size_t outputs) {
    const bool by_taps = layer.interleaved && layer.scale_group == 0;
    return {rows, outputs, layer.inputs, by_taps ? layer.taps : 1, layer.scale_group, false};
  }

  // Even chunks of rows; outputs are cut where there are too few rows for all threads. `dot` reads
  // codes for every row anyway.
  void plan_items(const Int8Layer& layer) {
    const size_t wanted = layer.threads == 1 ? 1 : ceil_div(2 * layer.threads, layer.groups);
    const size_t rows = layer.rows < 1 ? 1 : layer.rows, unit = round_up(row_->way->unit, kLine);
    const size_t units = ceil_div(layer.group_outputs, unit);
    const bool by_outputs = kind_ == sh::Kind::dot || rows < layer.group_outputs;
    const size_t cuts = !by_outputs ? 1 : wanted < units ? wanted : units;
    range_ = ceil_div(units, cuts) * unit;
    if (range_ > layer.group_outputs) range_ = layer.group_outputs;
    ranges_ = ceil_div(layer.group_outputs, range_);
    const size_t least = ceil_div(rows, most_rows(layer)), split = ceil_div(wanted, ranges_);
    const size_t chunks = least > split ? least : split < rows ? split : rows;
    chunk_rows_ = ceil_div(rows, chunks), chunks_ = ceil_div(rows, chunk_rows_);
  }

  void item(const Int8Layer& layer, const RunContext& context, size_t i, bool is_new,
            uint8_t* own) const {
    const size_t range = i % ranges_, chunk = i / ranges_ % chunks_, group = i / ranges_ / chunks_;
    const size_t row0 = chunk * chunk_rows_, n0 = range * range_;
    const size_t rows = layer.rows - row0 < chunk_rows_ ? layer.rows - row0 : chunk_rows_;
    const size_t left = layer.group_outputs - n0, output = group * layer.group_outputs + n0;
    const TableWeights& w = layer.weights->table;
    const size_t depth = layer.channels * layer.groups;
    const sh::Shape shape = shape_of(layer, rows, left < range_ ? left : range_);
    sh::Args a{};
    a.plan = layer.table, a.codes = w.codes.data(), a.codes_end = w.codes.end();
    a.row_bytes = layer.table_row_bytes;
    a.first_output = output, a.outputs = shape.outputs;
    a.inputs = shape.inputs, a.taps = shape.taps, a.rows = rows, a.group = shape.group;
    a.group_stride = scale_count(layer);
    a.group_scale = widen_scales(layer, output, a.outputs, own + scales_at_);
    a.x_zero = layer.x.zero, a.scratch = own + way_at_, a.y_stride = layer.outputs;
    if (gathers(layer)) {
      if (is_new) gather(layer, context, {group, row0, rows, nullptr}, own);
      a.x = own, a.x_stride = stride_;
    } else {
      a.x = context.in[0].as<uint8_t>() + row0 * depth + group * layer.channels;
      a.x_stride = depth;
    }
    const size_t at = row0 * layer.outputs + output;
    if (layer.y.present())
      a.y8 = context.out[0].as<uint8_t>() + at;
    else
      a.y32 = context.out[0].as<float>() + at;
    a.finish = layer.finish_at(context, row0, output);
    row_->way->run(a);
  }

  void gather(const Int8Layer& layer, const RunContext& context, const Int8RowRange& range,
              uint8_t* own) const {
    gather_rows(layer, context.in[0].as<uint8_t>(), range, own, stride_);
    if (!turns(layer)) return;
    uint8_t* spare = own + chunk_rows_ * stride_;
    for (size_t r = 0; r < range.rows; ++r) {
      uint8_t* row = own + r * stride_;
      std::memcpy(spare, row, layer.inputs);
      for (size_t tap = 0; tap < layer.taps; ++tap)
        for (size_t c = 0; c < layer.channels; ++c)
          row[c * layer.taps + tap] = spare[tap * layer.channels + c];
    }
  }

  // Scales of groups of `outputs` outputs from `first` on as floats.
  static const float* widen_scales(const Int8Layer& layer, size_t first, size_t outputs,
                                   uint8_t* room) {
    const size_t each = scale_count(layer);
    if (each == 0) return nullptr;
    const Constant& values = layer.weights->table.scales.values;
    if (values.dtype == DType::f32) return static_cast<const float*>(values.data) + first * each;
    auto* to = reinterpret_cast<float*>(room);
    if (values.dtype == DType::u8) {
      const uint8_t* from = static_cast<const uint8_t*>(values.data) + first * each;
      for (size_t i = 0; i < outputs * each; ++i) {
        const uint32_t bits = power_bits(from[i]);
        std::memcpy(to + i, &bits, sizeof bits);
      }
      return to;
    }
    for (size_t i = 0; i < outputs * each; ++i)
      to[i] = read_constant(values, static_cast<uint32_t>(first * each + i));
    return to;
  }

  const sh::Kind kind_;
  const sh::Row* row_ = nullptr;
  size_t stride_ = 0, range_ = 1, ranges_ = 1, chunk_rows_ = 1, chunks_ = 1;
  size_t way_at_ = 0, scales_at_ = 0, own_bytes_ = 0;
  ScratchSlot own_ = 0;
};

}  // namespace

Status describe_table(Int8Layer* layer, Arena& keep) {
  const Weights& w = *layer->weights;
  if (w.encoding != Encoding::table) return {};
  QRT_TRY(check_lowbit(w));
  QRT_TRY(check_integers(w));
  const Span<sh::Plan> plan = keep.array<sh::Plan>(1);
  if (plan.size() != 1) return layer_too_large();
  int16_t integers[sh::kMaxCodes];
  std::memcpy(integers, w.table.integers.data(), sizeof(int16_t) << w.table.bits);
  QRT_REQUIRE(sh::make_plan(integers, w.table.bits, plan.data()), Code::invalid_model, 142,
              "exact numerics with table entries beyond 32639");
  layer->table = plan.data();
  layer->table_row_bytes = static_cast<size_t>(layout::kbit_row_bytes(w.inputs, w.table.bits));
  if (w.table.scales.axis == ScaleAxis::group) layer->scale_group = w.table.scales.group;
  return {};
}

Int8Strategy* make_shift_strategy(Arena& keep, sh::Kind kind) {
  return keep.make<ShiftWay>(kind);
}

}  // namespace qrt
