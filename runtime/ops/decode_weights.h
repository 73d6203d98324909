// The runtime's reference decoder: what the stored weights of a layer mean, as
// plain f32. Dense layers are prepared from it, and it is the definition that the
// codebook kernels are tested against. No kernel of a compressed layer calls it.
#ifndef QRT_RUNTIME_OPS_DECODE_WEIGHTS_H_
#define QRT_RUNTIME_OPS_DECODE_WEIGHTS_H_

#include "runtime/base/status.h"
#include "runtime/model/model.h"

namespace qrt {

// Checks that every buffer of `w` has the size its fields call for, so that the
// decoder reads nothing outside. QRT-E0256.
Status check_weights(const Weights& w);

// Writes w.outputs x w.inputs floats to `out`, row after row, the inputs of a row
// in the order of the file (w.order). The epilogue's scale is not applied.
//   dense:    f32 and f16 as they are; i8 times the scale of its layer, output or group
//   codebook: out[n][j * dim + i] = sum over books b of
//             entries[scope(n)][b][code(b, j, n)][i] (i8: times that entry's scale),
//             scope(n) = n / scope_rows; the last block may be short
//   others:   decode_lowbit.h
// Fails with QRT-E0256 as check_weights does, and with QRT-E0264 for a code that
// names no entry.
Status decode_weights(const Weights& w, float* out);

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_DECODE_WEIGHTS_H_
