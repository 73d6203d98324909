#include "runtime/ops/thresholds.h"

#include "runtime/ops/bit_rows.h"
#include "runtime/ops/checks.h"

namespace qrt {
namespace {

constexpr int64_t kExact = 1 << 24;
constexpr size_t kBlock = 64;  // outputs whose counts are held at a time

}  // namespace

Status Thresholds::prepare(const Epilogue& e, size_t outputs, uint64_t most, PrepareContext& ctx) {
  count_ = e.threshold_count, outputs_ = outputs;
  first_ = static_cast<uint8_t>(e.threshold_first), step_ = static_cast<uint8_t>(e.threshold_step);
  if (count_ == 0) return {};
  QRT_REQUIRE(e.counts_outputs(outputs), Code::invalid_model, 267,
              "a layer's thresholds do not count its outputs");
  const Span<float> values = ctx.keep.array<float>(outputs * count_);
  if (values.size() != outputs * count_) return out_of_memory();
  for (size_t n = 0; n < outputs; ++n)
    for (size_t i = 0; i < count_; ++i) {
      const int64_t t = e.threshold(n, i);
      float value = static_cast<float>(t);
      if (t > static_cast<int64_t>(most)) {
        value = __builtin_inff();
      } else if (t < -static_cast<int64_t>(most)) {
        value = -__builtin_inff();
      } else if (t > kExact || t < -kExact) {
        return Status(Code::unsupported, 268, "a threshold among a layer's sums is beyond 2^24")
            .values(t, kExact)
            .next("convert the model with fewer bits of activations or weights in this layer");
      }
      values[i * outputs + n] = value;
    }
  values_ = values.data();
  ctx.weight_bytes += values.size() * sizeof(float);
  return {};
}

void Thresholds::store(const float* sums, size_t rows, uint8_t* y) const {
  for (size_t r = 0; r < rows; ++r, sums += outputs_, y += outputs_) {
    for (size_t n0 = 0; n0 < outputs_; n0 += kBlock) {
      const size_t n = outputs_ - n0 < kBlock ? outputs_ - n0 : kBlock;
      int32_t reached[kBlock] = {};
      for (size_t i = 0; i < count_; ++i) {
        const float* t = values_ + i * outputs_ + n0;
        for (size_t j = 0; j < n; ++j) reached[j] += sums[n0 + j] >= t[j];
      }
      for (size_t j = 0; j < n; ++j) y[n0 + j] = static_cast<uint8_t>(first_ + step_ * reached[j]);
    }
  }
}

void Thresholds::store(const float* sums, size_t rows, uint64_t* y) const {
  for (size_t r = 0; r < rows; ++r, sums += outputs_) {
    for (size_t n0 = 0; n0 < outputs_; n0 += kBlock) {
      const size_t n = outputs_ - n0 < kBlock ? outputs_ - n0 : kBlock;
      uint8_t bytes[kBlock] = {};
      for (size_t j = 0; j < n; ++j) bytes[j] = sums[n0 + j] >= values_[n0 + j];
      *y++ = packed(bytes);
    }
  }
}

}  // namespace qrt
