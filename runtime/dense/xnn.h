// The door to XNNPACK: one dense f32 layer as one small subgraph. Nothing else in
// libqrt includes xnnpack.h; a build without it has the same interface, which then
// answers "no".
//
//   supports()  ->  open()  ->  bind()  ->  run() ... run()  ->  close()
//
// XNNPACK packs the weights into memory of its own (the C library's, not the
// session's allocator: it takes an allocator per process only), chooses its kernel
// by the CPU it finds, and shares the session's thread pool. Where the window is
// larger than a pixel it also keeps a pointer per output pixel and tap: 4.9 MB for
// the 7x7 stem of a ResNet. Under a clamp, what a NaN becomes is its choice.
#ifndef QRT_RUNTIME_DENSE_XNN_H_
#define QRT_RUNTIME_DENSE_XNN_H_

#include "runtime/base/status.h"
#include "runtime/dense/geometry.h"

struct pthreadpool;
struct xnn_runtime;

namespace qrt {

class XnnLayer {
 public:
  XnnLayer() = default;
  ~XnnLayer() { close(); }
  XnnLayer(const XnnLayer&) = delete;
  XnnLayer& operator=(const XnnLayer&) = delete;

  // Whether this build and this CPU run such a layer here: not without XNNPACK, not
  // when the limits leave one value only, and not when the pointers mentioned above
  // would take more than kMaxPointerBytes.
  static constexpr uint64_t kMaxPointerBytes = 256u << 20;  // a 7x7 window over 800x800 outputs
  static bool supports(const ConvGeometry&, Limits);

  // Packs `weights` and `bias`, which need not outlive the call.
  //   weights: depthwise [kernel_h][kernel_w][out_c], else [out_c][kernel_h][kernel_w][group_in]
  //   bias:    [out_c]
  // `is_linear`: the geometry is linear_geometry(...). QRT-E0263 when XNNPACK refuses.
  Status open(const ConvGeometry&, bool is_linear, const float* weights, const float* bias, Limits,
              pthreadpool*);
  bool is_open() const { return runtime_ != nullptr; }
  void close();

  // The tensors of all later runs; at least 16 readable bytes follow `in`. The
  // last call that allocates.
  Status bind(const float* in, float* out);
  Status run() const;

  // What the packed weights take: outputs in panels of 16 (the widest f32 panel), and bias.
  static size_t packed_bytes(const ConvGeometry&);

 private:
  xnn_runtime* runtime_ = nullptr;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_DENSE_XNN_H_
