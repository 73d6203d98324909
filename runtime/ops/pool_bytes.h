// Pools of quantized tensors (schema/README.md, Numerics): a maximum of bytes, or an average whose
// sum is exact.
#ifndef QRT_RUNTIME_OPS_POOL_BYTES_H_
#define QRT_RUNTIME_OPS_POOL_BYTES_H_

#include "runtime/ops/op.h"
#include "runtime/ops/pool_window.h"

namespace qrt {

class BytePool {
 public:
  // QRT-E0252 for tensors that do not go together, QRT-E0265 for windows whose sum may leave int32.
  Status prepare(const Pool2dAttr&, const ConvGeometry&, const PrepareContext&);
  // One row of output pixels; `row` counts over the batch.
  void run_row(const ConvGeometry&, const RunContext&, size_t row) const;

 private:
  void average(const View<uint8_t>&, const ConvGeometry&, size_t at, const RunContext&) const;

  PoolMode mode_ = PoolMode::max;
  bool count_include_pad_ = false;
  Quantization x_, y_;  // y_ absent: f32
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_POOL_BYTES_H_
