// A convolution or a linear layer seen as y[rows][outputs] = finish(x[rows][inputs] * W^T):
// what layers of codes and layers of integers have in common.
#ifndef QRT_RUNTIME_OPS_LAYER_GEOMETRY_H_
#define QRT_RUNTIME_OPS_LAYER_GEOMETRY_H_

#include <cstddef>

#include "runtime/ops/op.h"

namespace qrt {

// One row is one output position. A linear layer is a window of one tap on an
// image of one pixel, `batch` of them.
struct LayerGeometry {
  const Weights* weights = nullptr;
  size_t batch = 1, in_h = 1, in_w = 1, out_h = 1, out_w = 1;
  Window window{1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
  size_t groups = 1;
  size_t rows = 0, outputs = 0, inputs = 0;  // M, N (all groups), K (of one group)
  size_t group_outputs = 0, channels = 0;    // of one group; inputs = taps * channels
  size_t taps = 1;
  bool interleaved = false;  // input k is channel k / taps, tap k % taps; else tap k / channels

  // True where the rows of x lie in memory as [tap][channel].
  bool rows_in_place() const {
    return taps == 1 && window.stride_h == 1 && window.stride_w == 1 && in_h == out_h &&
           in_w == out_w && window.pad_top == 0 && window.pad_left == 0;
  }
};

// Fills the geometry of a conv2d or linear node and checks it against the shapes of the session
// and the epilogue's residual. QRT-E0331, QRT-E0332, QRT-E0334.
Status describe_layer(const Node&, const PrepareContext&, LayerGeometry*);

// An epilogue constant as f32 in `keep`, one value per output; one value stands for all. Null
// where it is absent. QRT-E0333, QRT-E0334.
Status widen_constant(const Constant&, size_t outputs, Arena& keep, float** out);

inline Status layer_too_large() {
  return Status(Code::out_of_memory, 334, "the layer is too large for this machine");
}

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_LAYER_GEOMETRY_H_
