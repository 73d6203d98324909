// Strategies for one or a few rows against codes of few bits, where a panel would be made to be
// read once: `masked_dot` multiplies trits and codes as they lie in the file, of the widths and
// tables that the kit of kernels/lowbit can, or, where weights may be kept, trits as codes of two
// bits; `unpack_dot` unpacks some rows of any codes to i8 and multiplies these.
//
//   item = one row of one group x a range of outputs               (split over threads)
//
// With w = factor * code - zero of an output, sums follow from those over codes:
//   sum (x - x_zero) * w = factor * (sum code * (x - 128) + (128 - x_zero) * sum code)
//                          - zero * (sum x - inputs * x_zero)
// where integers of a table stand for codes, with factor 1 and zero 0.
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/ops/int8_layer.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;
namespace lb = kernels::lowbit;

constexpr size_t kLine = 64;
constexpr size_t kOutputs = 128;  // of an item: lines of the output of their own
constexpr size_t kRows = 8;       // of weights that unpack_dot holds

constexpr size_t round_up(size_t x, size_t to) {
  return (x + to - 1) / to * to;
}

class RowByRow : public Int8Strategy {
 public:
  Status run(const Int8Layer& layer, const RunContext& context) const final {
    const size_t items = layer.rows * layer.groups * ranges_;
    if (items == 0) return {};
    const size_t grain = (items + layer.threads - 1) / layer.threads;
    context.threads.split(items, grain, [&](size_t begin, size_t end, uint32_t thread) {
      auto* own = reinterpret_cast<uint8_t*>(context.scratch[own_]) + thread * own_bytes_;
      for (size_t i = begin; i < end; ++i) {
        const size_t row_group = i / ranges_, n0 = i % ranges_ * kOutputs;
        const bool is_new = i == begin || i % ranges_ == 0;
        const size_t left = layer.group_outputs - n0;
        const Item item{row_group / layer.groups,
                        row_group % layer.groups * layer.group_outputs + n0,
                        left < kOutputs ? left : kOutputs};
        range(layer, context, item, place_row(layer, context, row_group, is_new, own), is_new,
              own + row_bytes_);
      }
    });
    return {};
  }

 protected:
  struct Item {
    size_t row, output, outputs;
  };
  // Items of a thread come in order: `is_new` says that x is not the row of the item before.
  virtual void range(const Int8Layer&, const RunContext&, const Item&, const uint8_t* x,
                     bool is_new, uint8_t* work) const = 0;

  Status prepare_rows(const Int8Layer& layer, size_t work, PrepareContext& context) {
    ranges_ = (layer.group_outputs + kOutputs - 1) / kOutputs;
    row_bytes_ = layer.rows_in_place() ? 0 : gathered_stride(layer.inputs);
    own_bytes_ = row_bytes_ + round_up(work, kLine);
    const auto all = (CheckedSize(own_bytes_) * layer.threads).get();
    if (!all) return layer_too_large();
    own_ = context.reserve_scratch(*all);
    return {};
  }

 private:
  const uint8_t* place_row(const Int8Layer& layer, const RunContext& context, size_t row_group,
                           bool is_new, uint8_t* own) const {
    const uint8_t* x = context.in[0].as<uint8_t>();
    if (row_bytes_ == 0) return x + row_group * layer.channels;
    if (is_new)
      gather_rows(layer, x, {row_group % layer.groups, row_group / layer.groups, 1}, own,
                  row_bytes_);
    return own;
  }

  size_t ranges_ = 1, row_bytes_ = 0, own_bytes_ = 0;
  ScratchSlot own_ = 0;
};

class MaskedDot final : public RowByRow {
 public:
  explicit MaskedDot(bool resident) : resident_(resident) {}

  const char* name() const override { return "masked_dot"; }
  float cost_ns(const Int8Layer& layer) const override {
    if (!layer.packed() || layer.interleaved || layer.inputs > lb::kMaxDotInputs) return -1;
    const LowbitIntegers::Row row = layer.lowbit.row(0);
    const uint32_t bits = row.packed.bits;
    if (!layer.unpack->run->can_dot(bits, row.map)) return -1;
    const float share = bits == lb::kTrits          ? trit_share(layer)
                        : bits == 8                 ? kByteShare
                        : lb::dot_places(bits) == 1 ? kSpreadShare
                                                    : kShare;
    return i8::dot_cost_ns(layer.cost_shape(), *layer.kit) * share;
  }

  // The sums of the codes of every output are kept.
  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    const lb::Kit& kit = *layer.unpack->run;
    const Span<int32_t> sums = context.keep.array<int32_t>(layer.outputs);
    if (sums.size() != layer.outputs) return layer_too_large();
    const LowbitIntegers::Row first = layer.lowbit.row(0);
    row_stride_ = layer.outputs == 1
                      ? 0
                      : static_cast<size_t>(layer.lowbit.row(1).packed.codes - first.packed.codes);
    uint8_t* pairs = nullptr;
    if (resident_ && first.packed.bits == lb::kTrits) {
      row_stride_ = (layer.inputs + 3) / 4;
      const auto bytes = (CheckedSize(layer.outputs) * row_stride_).get();
      if (bytes) pairs = static_cast<uint8_t*>(context.keep.allocate(*bytes, kLine));
      if (pairs == nullptr) return layer_too_large();
      context.weight_bytes += *bytes;
      pairs_ = {pairs, pairs + *bytes, 2};
    }
    constexpr size_t kSome = 10 * LowbitIntegers::kUnit;
    uint8_t codes[kSome];
    for (size_t n = 0; n < layer.outputs; ++n) {
      const LowbitIntegers::Row row = layer.lowbit.row(n);
      for (size_t k = 0; k < layer.inputs; k += kSome) {
        const size_t some = layer.inputs - k < kSome ? layer.inputs - k : kSome;
        lb::Packed packed = row.packed;
        packed.codes += packed.bits == lb::kTrits ? k / 5 : k / 8 * packed.bits;
        kit.unpack({packed, some, codes});
        for (size_t i = 0; i < some; ++i)
          sums[n] += row.map ? row.map[codes[i]] : codes[i] ^ row.flip;
        if (pairs != nullptr) pack_pairs(codes, some, pairs + n * row_stride_ + k / 4);
      }
    }
    sums_ = sums.data();
    spread_bytes_ =
        round_up(lb::spread_bytes(kit, row_of(layer, 0).packed.bits, layer.inputs), kLine);
    return prepare_rows(layer, spread_bytes_ + sizeof(int32_t), context);
  }

 protected:
  void range(const Int8Layer& layer, const RunContext& context, const Item& item, const uint8_t* x,
             bool is_new, uint8_t* work) const override {
    const lb::Kit& kit = *layer.unpack->run;
    const LowbitIntegers::Row first = row_of(layer, item.output);
    auto* spread = reinterpret_cast<int8_t*>(work);
    int32_t x_sum;  // of x - x_zero, behind the spread row
    if (is_new) {
      kit.spread({x, layer.inputs, first.packed.bits, spread});
      x_sum = 0;
      for (size_t k = 0; k < layer.inputs; ++k) x_sum += x[k] - layer.x.zero;
      std::memcpy(work + spread_bytes_, &x_sum, sizeof x_sum);
    }
    std::memcpy(&x_sum, work + spread_bytes_, sizeof x_sum);
    int32_t sums[kOutputs];
    kit.dot({first.packed, row_stride_, layer.inputs, item.outputs, first.map, first.flip, spread,
             sums});
    // Parts may leave int32, the sum does not: unsigned.
    const auto shift = static_cast<uint32_t>(128 - layer.x.zero);
    const int32_t* code_sums = sums_ + item.output;
    const auto whole = [&](const LowbitIntegers::Row& row, size_t i) {
      const uint32_t codes =
          static_cast<uint32_t>(sums[i]) + shift * static_cast<uint32_t>(code_sums[i]);
      sums[i] =
          static_cast<int32_t>(static_cast<uint32_t>(row.factor) * codes -
                               static_cast<uint32_t>(row.zero) * static_cast<uint32_t>(x_sum));
    };
    if (layer.lowbit.same_integers())
      for (size_t i = 0; i < item.outputs; ++i) whole(first, i);
    else
      for (size_t i = 0; i < item.outputs; ++i) whole(layer.lowbit.row(item.output + i), i);
    const size_t at = item.row * layer.outputs + item.output;
    lb::FinishArgs f{};
    f.sums = sums, f.outputs = item.outputs;
    f.finish = layer.finish_at(context, item.row, item.output);
    if (layer.y.present())
      f.y8 = context.out[0].as<uint8_t>() + at;
    else
      f.y32 = context.out[0].as<float>() + at;
    kit.finish(f);
  }

 private:
  // Of the predicted time of a row of i8, with 4096 x 4096 weights: of 1, 2 and 4 bits 0.4 to 0.6
  // on AVX2, 0.4 to 0.7 on AVX-512; of trits 0.8, VBMI 0.6; of others, VBMI: 1 and 1.3.
  static constexpr float kShare = 0.6f, kTritShare = 0.8f, kSpreadShare = 1.0f, kByteShare = 1.3f;

  float trit_share(const Int8Layer& layer) const {
    const bool looks_up = kernels::includes(layer.unpack->isa, kernels::x86_avx512vbmi);
    return resident_ || looks_up ? kShare : kTritShare;
  }
  LowbitIntegers::Row row_of(const Int8Layer& layer, size_t n) const {
    LowbitIntegers::Row row = layer.lowbit.row(n);
    if (pairs_.codes != nullptr) row.packed = {pairs_.codes + n * row_stride_, pairs_.end, 2};
    return row;
  }
  static void pack_pairs(const uint8_t* codes, size_t count, uint8_t* to) {
    for (size_t i = 0; i < count; i += 4, ++to) {
      *to = 0;
      for (size_t j = i; j < count && j < i + 4; ++j)
        *to = static_cast<uint8_t>(*to | codes[j] << 2 * (j - i));
    }
  }

  const bool resident_;
  const int32_t* sums_ = nullptr;
  lb::Packed pairs_{};  // of all outputs, where trits are kept as codes of two bits
  size_t row_stride_ = 0, spread_bytes_ = 0;
};

class UnpackDot final : public RowByRow {
 public:
  const char* name() const override { return "unpack_dot"; }
  float cost_ns(const Int8Layer& layer) const override {
    if (!layer.packed() || layer.interleaved) return -1;
    return i8::dot_cost_ns(layer.cost_shape(), *layer.kit) * kShare;
  }

  // The sums of the weights of every output are kept.
  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    const Span<int32_t> sums = context.keep.array<int32_t>(layer.outputs);
    Arena work(context.keep.allocator());
    const size_t stride = stride_of(layer);
    auto* codes = static_cast<uint8_t*>(work.allocate(2 * stride, kLine));
    if (sums.size() != layer.outputs || codes == nullptr) return layer_too_large();
    auto* row = reinterpret_cast<int8_t*>(codes + stride);
    for (size_t n = 0; n < layer.outputs; ++n) {
      layer.lowbit.decode(n, 0, layer.inputs, codes, row);
      layer.kit->run->sums({row, stride, 1, layer.inputs, sums.data() + n});
    }
    sums_ = sums.data();
    return prepare_rows(layer, (kRows + 1) * stride, context);
  }

 protected:
  void range(const Int8Layer& layer, const RunContext& context, const Item& item, const uint8_t* x,
             bool, uint8_t* work) const override {
    const size_t stride = stride_of(layer);
    auto* rows = reinterpret_cast<int8_t*>(work + stride);
    for (size_t n = item.output; n < item.output + item.outputs; n += kRows) {
      const size_t left = item.output + item.outputs - n;
      i8::DotArgs a{};
      a.inputs = layer.inputs, a.outputs = left < kRows ? left : kRows;
      for (size_t i = 0; i < a.outputs; ++i)
        layer.lowbit.decode(n + i, 0, layer.inputs, work, rows + i * stride);
      a.x = x, a.x_zero = layer.x.zero;
      a.weights = rows, a.stride = stride, a.sums = sums_ + n;
      if (layer.y.present())
        a.y8 = context.out[0].as<uint8_t>() + item.row * layer.outputs + n;
      else
        a.y32 = context.out[0].as<float>() + item.row * layer.outputs + n;
      a.finish = layer.finish_at(context, item.row, n);
      layer.kit->run->dot(a);
    }
  }

 private:
  static constexpr float kShare = 5.5f;  // of the time of a row of i8 (AVX2: 3.4), likewise
  static size_t stride_of(const Int8Layer& layer) { return gathered_stride(layer.inputs); }
  const int32_t* sums_ = nullptr;
};

}  // namespace

Int8Strategy* make_masked_dot_strategy(Arena& keep, bool resident) {
  return keep.make<MaskedDot>(resident);
}

Int8Strategy* make_unpack_dot_strategy(Arena& keep) {
  return keep.make<UnpackDot>();
}

}  // namespace qrt
