// Outputs of a layer of integers whose weights are not all s8: affine codes of 8 bits less a zero
// point inside of them are integers of 9 bits. Panels hold such a weight modulo 256; here those
// outputs, of which a layer has a few, are computed a second time, exactly.
#ifndef QRT_RUNTIME_OPS_INT8_WIDE_H_
#define QRT_RUNTIME_OPS_INT8_WIDE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/ops/op.h"

namespace qrt {

struct Int8Layer;

class WideOutputs {
 public:
  // Finds them, and keeps their weights as i16 where that is little beside the file's codes or
  // memory is of no concern; else they are decoded in every run. QRT-E0334.
  Status prepare(const Int8Layer&, PrepareContext&);
  size_t count() const { return count_; }
  // Predicted nanoseconds of run() on one thread.
  float cost_ns(const Int8Layer&) const;
  // Writes them over what a strategy stored.
  void run(const Int8Layer&, const RunContext&) const;

 private:
  void rows(const Int8Layer&, const RunContext&, size_t row0, size_t count, uint8_t* own) const;

  size_t count_ = 0, stride_ = 0;      // bytes of a gathered row
  size_t own_ = 0;                     // bytes of a thread: gathered rows, then a row of weights
  const uint32_t* outputs_ = nullptr;  // ascending
  const int16_t* weights_ = nullptr;   // [count][inputs], as [tap][channel]; null: decoded
  ScratchSlot scratch_ = 0;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_INT8_WIDE_H_
