// Rows of a convolution sorted by which taps of their window lie inside the image, so that
// products with the padding, which add nothing, are left out: at 7 x 7 a fifth of all in a 3x3
// layer.
//
//   rows of the output whose window leaves the image above or below: a class for each set of kernel
//   rows that lie inside (these are one run of inputs); the others: a class for each set of columns
//
// Corners stay with their rows: a class of one pixel leaves the multiplier waiting for its sums,
// which costs more than the few products that it saves.
#ifndef QRT_RUNTIME_OPS_INT8_INSIDE_H_
#define QRT_RUNTIME_OPS_INT8_INSIDE_H_

#include "runtime/ops/int8_layer.h"

namespace qrt {

// Rows [first, first + rows) in the order of RowClasses.
struct RowClass {
  size_t first, rows, inputs;
  kernels::int8::Runs runs;
};

class RowClasses {
 public:
  // Sorts the rows where that saves products, else leaves them as they are: one class.
  Status prepare(const Int8Layer&, Arena& keep);

  // The class that row `row` of the order belongs to.
  const RowClass& of(size_t row) const;
  // Row i of the order is row order()[i] of the output; null: row i.
  const uint32_t* order() const { return order_; }

 private:
  Span<RowClass> classes_;
  uint32_t* order_ = nullptr;
};

// The part of a layer's products that prepare() would leave.
float inside_part(const Int8Layer&);

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_INT8_INSIDE_H_
