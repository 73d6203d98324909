// Strategies for one or a few rows, where a panel would be made to be read once: `dot8` against
// rows of i8 as they lie in the file, `coded_dot` against codes, multiplied as they are decoded.
//
//   item = one row (coded_dot: some) of one group x a range of outputs   (split over threads)
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/ops/int8_layer.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

constexpr size_t kLine = 64;
constexpr size_t kOutputs = 128;  // of an item: lines of the output of their own

class Dot8 final : public Int8Strategy {
 public:
  const char* name() const override { return "dot8"; }
  float cost_ns(const Int8Layer& layer) const override {
    // Rows of x must have the order of the file.
    if (!layer.dense() || layer.interleaved) return -1;
    return i8::dot_cost_ns(layer.cost_shape(), *layer.kit);
  }

  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    const Span<int32_t> sums = context.keep.array<int32_t>(layer.outputs);
    if (sums.size() != layer.outputs) return layer_too_large();
    layer.kit->run->sums({rows_of(layer), layer.inputs, layer.outputs, layer.inputs, sums.data()});
    sums_ = sums.data();
    ranges_ = (layer.group_outputs + kOutputs - 1) / kOutputs;
    own_bytes_ = layer.rows_in_place() ? 0 : gathered_stride(layer.inputs);
    const auto all = (CheckedSize(own_bytes_) * layer.threads).get();
    if (!all) return layer_too_large();
    own_ = context.reserve_scratch(*all);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const override {
    const size_t items = layer.rows * layer.groups * ranges_;
    if (items == 0) return {};
    const size_t grain = (items + layer.threads - 1) / layer.threads;
    context.threads.split(items, grain, [&](size_t begin, size_t end, uint32_t thread) {
      auto* own = reinterpret_cast<uint8_t*>(context.scratch[own_]) + thread * own_bytes_;
      size_t ready = static_cast<size_t>(-1);  // the (row, group) that `own` holds
      for (size_t i = begin; i < end; ++i) {
        const uint8_t* x = place_row(layer, context, i / ranges_, i / ranges_ != ready, own);
        ready = i / ranges_;
        range(layer, context, i, x);
      }
    });
    return {};
  }

 private:
  static const int8_t* rows_of(const Int8Layer& layer) {
    return reinterpret_cast<const int8_t*>(layer.weights->dense.data.data());
  }

  const uint8_t* place_row(const Int8Layer& layer, const RunContext& context, size_t row_group,
                           bool gather, uint8_t* own) const {
    const uint8_t* x = context.in[0].as<uint8_t>();
    const size_t row = row_group / layer.groups, group = row_group % layer.groups;
    if (own_bytes_ == 0) return x + (row * layer.groups + group) * layer.channels;
    if (gather) gather_rows(layer, x, {group, row, 1}, own, own_bytes_);
    return own;
  }

  void range(const Int8Layer& layer, const RunContext& context, size_t i, const uint8_t* x) const {
    const size_t n0 = i % ranges_ * kOutputs, left = layer.group_outputs - n0;
    const size_t row = i / ranges_ / layer.groups;
    const size_t n = i / ranges_ % layer.groups * layer.group_outputs + n0;
    i8::DotArgs a{};
    a.inputs = layer.inputs, a.outputs = left < kOutputs ? left : kOutputs;
    a.x = x, a.x_zero = layer.x.zero;
    a.weights = rows_of(layer) + n * layer.inputs, a.stride = layer.inputs;
    a.sums = sums_ + n;
    if (layer.y.present())
      a.y8 = context.out[0].as<uint8_t>() + row * layer.outputs + n;
    else
      a.y32 = context.out[0].as<float>() + row * layer.outputs + n;
    a.finish = layer.finish_at(context, row, n);
    layer.kit->run->dot(a);
  }

  const int32_t* sums_ = nullptr;
  size_t ranges_ = 1, own_bytes_ = 0;
  ScratchSlot own_ = 0;
};

class CodedDot final : public Int8Strategy {
 public:
  const char* name() const override { return "coded_dot"; }
  float cost_ns(const Int8Layer& layer) const override {
    if (!layer.coded() || layer.weights->numerics != Numerics::exact) return -1;
    return i8::coded_dot_cost_ns(layer.cost_shape(), *layer.kit);
  }

  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    tiles_ = (layer.rows + i8::kMaxDotRows - 1) / i8::kMaxDotRows;
    const size_t lines = (layer.group_outputs + kLine - 1) / kLine;
    const size_t tasks = tiles_ * layer.groups;
    const size_t wanted = tasks == 0 ? 1 : (layer.threads + tasks - 1) / tasks;
    range_ = (lines + wanted - 1) / wanted * kLine;
    ranges_ = (layer.group_outputs + range_ - 1) / range_;
    stride_ = layer.rows_in_place() ? 0 : gathered_stride(layer.inputs);
    // A row more where rows must be turned into the order of the source.
    const auto own = (CheckedSize(stride_) * (i8::kMaxDotRows + (layer.interleaved ? 1 : 0))).get();
    if (!own) return layer_too_large();
    own_bytes_ = *own;
    const auto all = (CheckedSize(own_bytes_) * layer.threads).get();
    if (!all) return layer_too_large();
    entries_ = reserve_entries(layer, context);
    own_ = context.reserve_scratch(*all);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const override {
    if (layer.rows == 0) return {};
    const i8::Coded source = round_entries(layer, entries_, context);
    const size_t items = tiles_ * layer.groups * ranges_;
    context.threads.split(items, 1, [&](size_t begin, size_t end, uint32_t thread) {
      auto* own = reinterpret_cast<uint8_t*>(context.scratch[own_]) + thread * own_bytes_;
      for (size_t i = begin; i < end; ++i) item(layer, context, source, i, own);
    });
    return {};
  }

 private:
  void item(const Int8Layer& layer, const RunContext& context, const i8::Coded& source, size_t i,
            uint8_t* own) const {
    const size_t n0 = i % ranges_ * range_, left = layer.group_outputs - n0;
    const size_t group = i / ranges_ % layer.groups;
    const size_t row = i / ranges_ / layer.groups * i8::kMaxDotRows, rows = layer.rows - row;
    const size_t n = group * layer.group_outputs + n0;
    i8::CodedDotArgs a{};
    a.source = source;
    a.first_output = n, a.outputs = left < range_ ? left : range_, a.inputs = layer.inputs;
    a.rows = rows < i8::kMaxDotRows ? rows : i8::kMaxDotRows;
    place_rows(layer, context.in[0].as<uint8_t>(), {group, row, a.rows}, own, &a);
    a.x_zero = layer.x.zero, a.y_stride = layer.outputs;
    if (layer.y.present())
      a.y8 = context.out[0].as<uint8_t>() + row * layer.outputs + n;
    else
      a.y32 = context.out[0].as<float>() + row * layer.outputs + n;
    a.finish = layer.finish_at(context, row, n);
    layer.kit->run->coded_dot(a);
  }

  void place_rows(const Int8Layer& layer, const uint8_t* x, const Int8RowRange& range, uint8_t* own,
                  i8::CodedDotArgs* a) const {
    if (stride_ == 0) {
      a->x_stride = layer.channels * layer.groups;
      a->x = x + range.row0 * a->x_stride + range.group * layer.channels;
      return;
    }
    a->x = own, a->x_stride = stride_;
    gather_rows(layer, x, range, own, stride_);
    if (!layer.interleaved) return;
    uint8_t* tapwise = own + i8::kMaxDotRows * stride_;
    for (size_t r = 0; r < range.rows; ++r, own += stride_) {
      std::memcpy(tapwise, own, layer.inputs);
      for (size_t c = 0; c < layer.channels; ++c)
        for (size_t t = 0; t < layer.taps; ++t)
          own[c * layer.taps + t] = tapwise[t * layer.channels + c];
    }
  }

  size_t tiles_ = 0, range_ = 1, ranges_ = 1, stride_ = 0, own_bytes_ = 0;
  EntryScratch entries_;
  ScratchSlot own_ = 0;
};

}  // namespace

Int8Strategy* make_coded_dot_strategy(Arena& keep) {
  return keep.make<CodedDot>();
}

Int8Strategy* make_dot8_strategy(Arena& keep) {
  return keep.make<Dot8>();
}

}  // namespace qrt
