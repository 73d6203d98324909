#include "runtime/ops/int8_wide.h"

#include "runtime/base/checked.h"
#include "runtime/model/exact.h"
#include "runtime/ops/int8_layer.h"
#include "runtime/ops/quantized.h"
#include "schema/layout.h"

namespace qrt {
namespace {

constexpr size_t kRowsAtOnce = 32;

// The integer weight `k`, in the order of the file, of an output of affine codes.
class AffineRow {
 public:
  AffineRow(const Weights& w, uint32_t output)
      : bits_(w.affine.bits),
        sign_(w.affine.is_signed ? 1 << (w.affine.bits - 1) : 0),
        row_(w.affine.codes.data() + output * layout::kbit_row_bytes(w.inputs, w.affine.bits)),
        integer_(affine_integer(w.affine, output)) {}

  int32_t operator[](size_t k) const {
    const auto code =
        static_cast<int32_t>(layout::read_code(row_, static_cast<uint32_t>(k), bits_));
    return integer_.of((code ^ sign_) - sign_);
  }
  // Whether the zero point leaves room for codes beyond s8.
  bool may_be_wide() const {
    const int32_t lowest = -sign_, highest = (1 << bits_) - 1 - sign_;
    return !fits_s8(integer_.of(lowest)) || !fits_s8(integer_.of(highest));
  }

 private:
  const uint32_t bits_;
  const int32_t sign_;
  const uint8_t* row_;
  const AffineInteger integer_;
};

bool is_wide(const Weights& w, uint32_t output) {
  const AffineRow row(w, output);
  if (!row.may_be_wide()) return false;
  for (size_t k = 0; k < w.inputs; ++k)
    if (!fits_s8(row[k])) return true;
  return false;
}

// What becomes of one sum (schema/README.md, Numerics), each operation rounded on its own.
void store(const Int8Layer& layer, const RunContext& context, size_t row, size_t n, int32_t sum) {
  const kernels::int8::Finish f = layer.finish_at(context, row, n);
  float t = static_cast<float>(sum);
  if (f.bias_first) t += *f.bias;
  t *= *f.scale;
  if (f.bias != nullptr && !f.bias_first) t += *f.bias;
  if (f.residual != nullptr)
    t += static_cast<float>(*f.residual - f.residual_zero) * f.residual_scale;
  const size_t at = row * layer.outputs + n;
  if (context.out[0].dtype == DType::f32) {
    t = t > f.min ? t : f.min;
    context.out[0].as<float>()[at] = t < f.max ? t : f.max;
  } else {
    context.out[0].as<uint8_t>()[at] = byte_of(t, {f.min, f.max}, f.zero);
  }
}

}  // namespace

Status WideOutputs::prepare(const Int8Layer& layer, PrepareContext& context) {
  const Weights& w = *layer.weights;
  count_ = 0;
  if (w.encoding != Encoding::affine) return {};
  for (uint32_t n = 0; n < w.outputs; ++n) count_ += is_wide(w, n);
  if (count_ == 0) return {};
  const auto bytes = (CheckedSize(count_) * layer.inputs * sizeof(int16_t)).get(SIZE_MAX / 2);
  if (!bytes) return layer_too_large();
  const Span<uint32_t> outputs = context.keep.array<uint32_t>(count_);
  const Span<int16_t> weights = context.keep.array<int16_t>(count_ * layer.inputs);
  if (outputs.size() != count_ || weights.size() != count_ * layer.inputs) return layer_too_large();
  size_t at = 0;
  for (uint32_t n = 0; n < w.outputs; ++n) {
    if (!is_wide(w, n)) continue;
    const AffineRow row(w, n);
    int16_t* to = weights.data() + at * layer.inputs;
    for (size_t k = 0; k < layer.inputs; ++k) {
      const size_t channel = k / layer.taps, tap = k % layer.taps;
      to[layer.interleaved ? tap * layer.channels + channel : k] = static_cast<int16_t>(row[k]);
    }
    outputs.data()[at++] = n;
  }
  outputs_ = outputs.data(), weights_ = weights.data();
  context.weight_bytes += *bytes;
  stride_ = gathered_stride(layer.inputs);
  const auto scratch =
      (CheckedSize(context.threads.count()) * kRowsAtOnce * stride_).get(SIZE_MAX / 2);
  if (!scratch) return layer_too_large();
  gathered_ = context.reserve_scratch(*scratch);
  return {};
}

void WideOutputs::run(const Int8Layer& layer, const RunContext& context) const {
  if (count_ == 0 || layer.rows == 0) return;
  const size_t blocks = (layer.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  const size_t grain = (blocks + layer.threads - 1) / layer.threads;
  context.threads.split(blocks, grain, [&](size_t begin, size_t end, uint32_t thread) {
    auto* own =
        reinterpret_cast<uint8_t*>(context.scratch[gathered_]) + thread * kRowsAtOnce * stride_;
    for (size_t b = begin; b < end; ++b) {
      const size_t row0 = b * kRowsAtOnce, left = layer.rows - row0;
      rows(layer, context, row0, left < kRowsAtOnce ? left : kRowsAtOnce, own);
    }
  });
}

void WideOutputs::rows(const Int8Layer& layer, const RunContext& context, size_t row0, size_t count,
                       uint8_t* own) const {
  const auto* x = context.in[0].as<uint8_t>();
  const bool in_place = layer.rows_in_place() && layer.groups == 1;
  const uint8_t* from = in_place ? x + row0 * layer.inputs : own;
  const size_t stride = in_place ? layer.inputs : stride_;
  size_t gathered = layer.groups;  // none
  for (size_t i = 0; i < count_; ++i) {
    const size_t n = outputs_[i], group = n / layer.group_outputs;
    if (!in_place && group != gathered)
      gather_rows(layer, x, {gathered = group, row0, count}, own, stride_);
    const int16_t* w = weights_ + i * layer.inputs;
    for (size_t r = 0; r < count; ++r) {
      const uint8_t* row = from + r * stride;
      int32_t sum = 0;
      for (size_t k = 0; k < layer.inputs; ++k) sum += (int32_t{row[k]} - layer.x.zero) * w[k];
      store(layer, context, row0 + r, n, sum);
    }
  }
}

}  // namespace qrt
