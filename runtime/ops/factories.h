// Declares the factory of every row of ops.inc, so that an operator without a row
// does not compile (-Wmissing-declarations) and a row without one does not link.
#ifndef QRT_RUNTIME_OPS_FACTORIES_H_
#define QRT_RUNTIME_OPS_FACTORIES_H_

#include "runtime/ops/op.h"

namespace qrt {

#define QRT_OP(kind, weights, factory) OpFactory factory;
#include "runtime/ops/ops.inc"
#undef QRT_OP

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_FACTORIES_H_
