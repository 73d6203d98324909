// What becomes of a layer's sums where it has thresholds (schema/README.md, Numerics): a byte
// that counts those reached, or a bit. Layers hand their sums over as floats, which hold all
// numbers below 2^24 and keep the order of the others; so a threshold is exact if it is one of the
// former, and one that no sum of the layer reaches, or every sum does, may be any.
#ifndef QRT_RUNTIME_OPS_THRESHOLDS_H_
#define QRT_RUNTIME_OPS_THRESHOLDS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/ops/op.h"

namespace qrt {

class Thresholds {
 public:
  // `most`: no sum is further from 0. QRT-E0268 for thresholds that floats would mistake.
  Status prepare(const Epilogue&, size_t outputs, uint64_t most, PrepareContext&);
  bool present() const { return count_ != 0; }

  // Rows of all outputs, sums [row][outputs], to rows of bytes or of packed bits.
  void store(const float* sums, size_t rows, uint8_t* y) const;
  void store(const float* sums, size_t rows, uint64_t* y) const;

 private:
  size_t outputs_ = 0, count_ = 0;
  uint8_t first_ = 0, step_ = 0;
  const float* values_ = nullptr;  // [count][outputs]: outputs are what is compared side by side
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_THRESHOLDS_H_
