#include "runtime/ops/int8_wide.h"

#include "runtime/base/checked.h"
#include "runtime/model/exact.h"
#include "runtime/ops/int8_layer.h"
#include "runtime/ops/quantized.h"
#include "schema/layout.h"

namespace qrt {
namespace {

constexpr size_t kRowsAtOnce = 32;

// What outputs may keep: with the codes of the file 1.125 of these.
constexpr size_t kKeptShare = 8;

// Nanoseconds of the plain loops of this file, measured on Zen 4: a product; a weight that is not
// kept, of codes of 8 bits, of these out of the order of the rows, of fewer bits; a sum stored.
constexpr float kProduct = 0.25f, kByte = 0.05f, kFarByte = 0.5f, kPacked = 1.3f, kStored = 4;

// The integer weight `k`, in the order of the file, of an output of affine codes.
class AffineRow {
 public:
  AffineRow(const Weights& w, uint32_t output)
      : bits_(w.affine.bits),
        sign_(w.affine.is_signed ? 1 << (w.affine.bits - 1) : 0),
        row_(w.affine.codes.data() + output * layout::kbit_row_bytes(w.inputs, w.affine.bits)),
        integer_(affine_integer(w.affine, output)) {}

  int32_t operator[](size_t k) const {
    return of(static_cast<int32_t>(layout::read_code(row_, static_cast<uint32_t>(k), bits_)));
  }
  // All of them, as the rows that they are multiplied with lie: [tap][channel].
  void decode(const Int8Layer& layer, int16_t* to) const {
    const size_t taps = layer.interleaved ? layer.taps : 1;
    const size_t channels = layer.inputs / taps;
    for (size_t tap = 0; tap < taps; ++tap, to += channels)
      if (bits_ == 8)
        for (size_t c = 0; c < channels; ++c)
          to[c] = static_cast<int16_t>(of(row_[c * taps + tap]));
      else
        for (size_t c = 0; c < channels; ++c) to[c] = static_cast<int16_t>((*this)[c * taps + tap]);
  }
  // Whether the zero point leaves room for codes beyond s8.
  bool may_be_wide() const {
    const int32_t lowest = -sign_, highest = (1 << bits_) - 1 - sign_;
    return !fits_s8(integer_.of(lowest)) || !fits_s8(integer_.of(highest));
  }

 private:
  int32_t of(int32_t code) const { return integer_.of((code ^ sign_) - sign_); }

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
  if (outputs.size() != count_) return layer_too_large();
  size_t at = 0;
  for (uint32_t n = 0; n < w.outputs; ++n)
    if (is_wide(w, n)) outputs.data()[at++] = n;
  outputs_ = outputs.data();
  const bool resident = context.mode == Mode::dense || context.prefer_speed;
  if (resident || *bytes <= w.affine.codes.size() / kKeptShare) {
    const Span<int16_t> weights = context.keep.array<int16_t>(count_ * layer.inputs);
    if (weights.size() != count_ * layer.inputs) return layer_too_large();
    for (size_t i = 0; i < count_; ++i)
      AffineRow(w, outputs_[i]).decode(layer, weights.data() + i * layer.inputs);
    weights_ = weights.data();
    context.weight_bytes += *bytes;
  }
  stride_ = gathered_stride(layer.inputs);
  own_ = (kRowsAtOnce + (weights_ == nullptr ? sizeof(int16_t) : 0)) * stride_;
  const auto scratch = (CheckedSize(context.threads.count()) * own_).get(SIZE_MAX / 2);
  if (!scratch) return layer_too_large();
  scratch_ = context.reserve_scratch(*scratch);
  return {};
}

float WideOutputs::cost_ns(const Int8Layer& layer) const {
  const size_t blocks = (layer.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  const auto rows = static_cast<float>(layer.rows), inputs = static_cast<float>(layer.inputs);
  const float decode = weights_ != nullptr               ? 0
                       : layer.weights->affine.bits != 8 ? kPacked
                       : layer.interleaved               ? kFarByte
                                                         : kByte;
  const float each =
      rows * (inputs * kProduct + kStored) + static_cast<float>(blocks) * inputs * decode;
  const bool in_place = layer.rows_in_place() && layer.groups == 1;
  const size_t gathered = in_place ? 0 : layer.groups < count_ ? layer.groups : count_;
  const float gather = kernels::int8::cost_constants(layer.kit->run).gather;
  return static_cast<float>(count_) * each + static_cast<float>(gathered) * rows * inputs * gather;
}

void WideOutputs::run(const Int8Layer& layer, const RunContext& context) const {
  if (count_ == 0 || layer.rows == 0) return;
  const size_t blocks = (layer.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  const size_t grain = (blocks + layer.threads - 1) / layer.threads;
  context.threads.split(blocks, grain, [&](size_t begin, size_t end, uint32_t thread) {
    auto* own = reinterpret_cast<uint8_t*>(context.scratch[scratch_]) + thread * own_;
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
    if (weights_ == nullptr) {
      auto* decoded = reinterpret_cast<int16_t*>(own + kRowsAtOnce * stride_);
      AffineRow(*layer.weights, static_cast<uint32_t>(n)).decode(layer, decoded);
      w = decoded;
    }
    for (size_t r = 0; r < count; ++r) {
      const uint8_t* row = from + r * stride;
      int32_t sum = 0;
      for (size_t k = 0; k < layer.inputs; ++k) sum += (int32_t{row[k]} - layer.x.zero) * w[k];
      store(layer, context, row0 + r, n, sum);
    }
  }
}

}  // namespace qrt
