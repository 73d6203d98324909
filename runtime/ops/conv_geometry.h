// Checks of sliding windows: convolutions and pools against their tensors. The
// sizes themselves are described in runtime/dense/geometry.h.
#ifndef QRT_RUNTIME_OPS_CONV_GEOMETRY_H_
#define QRT_RUNTIME_OPS_CONV_GEOMETRY_H_

#include "runtime/dense/geometry.h"
#include "runtime/ops/op.h"

namespace qrt {

// Checks input, window and declared output of a window over in[0] and fills `g`.
// QRT-E0254 for a rank other than 4, QRT-E0255 for a window that fits nowhere,
// QRT-E0253 for a declared output other than [batch, out_h, out_w, out_c].
Status window_geometry(const PrepareContext&, const Window&, size_t out_c, ConvGeometry* g);

// Checks a convolution wholly: the above, then channels, groups, the size of the
// weights and their order (QRT-E0254, QRT-E0256).
Status conv_geometry(const PrepareContext&, const Conv2dAttr&, ConvGeometry* g);

// The same for a transposed convolution.
Status conv_transpose_geometry(const PrepareContext&, const ConvTransposeAttr&, ConvGeometry* g);

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_CONV_GEOMETRY_H_
