// Dense f32 layers on plain code of ours: for builds without XNNPACK and for what
// XNNPACK cannot do. A direct convolution, written so that a compiler turns the
// inner loops into vector code on any machine; correct first, fast enough second.
#ifndef QRT_RUNTIME_DENSE_PLAIN_H_
#define QRT_RUNTIME_DENSE_PLAIN_H_

#include "runtime/base/checked.h"
#include "runtime/dense/geometry.h"
#include "runtime/session/threads.h"

namespace qrt {

// Output channels that are computed side by side: two vectors of four floats.
inline constexpr size_t kPlainTile = 8;

// Floats of the packed weights of a layer.
CheckedSize plain_packed_floats(const ConvGeometry&);

// Packs weights [out_c][kernel_h][kernel_w][group_in] as
//   [group][tile of kPlainTile outputs][kernel_h][kernel_w][group_in][kPlainTile],
// outputs beyond the last zero; depthwise weights come and stay as
// [kernel_h][kernel_w][out_c].
void plain_pack(const ConvGeometry&, const float* weights, float* packed);

// out[n][y][x][o] = clamp(bias[o] + sum over taps and inputs); taps outside the
// image multiply zeros. Where the geometry is transposed, the taps of an output are those
// inputs that add to it: one in stride x stride of them. Every output is summed by one thread in
// one order: taps in row-major order, inputs within a tap.
void plain_run(const ConvGeometry&, const float* packed, const float* bias, Limits, const float* in,
               float* out, const Threads&);

}  // namespace qrt

#endif  // QRT_RUNTIME_DENSE_PLAIN_H_
