// One layer, alone, ready to be timed: ours by a strategy and an instruction set, or
// its dense f32 twin by XNNPACK or oneDNN. Weights and activations are random.
#ifndef QRT_BENCH_LAYERS_H_
#define QRT_BENCH_LAYERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/isa.h"

namespace qrt::bench {

// A square convolution with batch 1; size 1 and kernel 1 make a linear layer.
struct LayerShape {
  const char* name;
  uint32_t size, cin, cout, kernel, stride, dim, count;
  uint32_t rows() const { return ((size - 1) / stride + 1) * ((size - 1) / stride + 1); }
  uint32_t inputs() const { return cin * kernel * kernel; }
  double flops() const { return 2.0 * rows() * inputs() * cout; }
};

class TimedLayer {
 public:
  virtual ~TimedLayer() = default;
  virtual void run() = 0;
  virtual std::string note() const { return ""; }  // what really runs, and why
};

// Null where the strategy cannot compute the layer (an empty one: the cost model's
// choice), or where the library is not built in or refuses. One thread.
std::unique_ptr<TimedLayer> make_ours(const LayerShape&, const char* strategy, kernels::IsaSet);
std::unique_ptr<TimedLayer> make_xnnpack(const LayerShape&);
std::unique_ptr<TimedLayer> make_onednn(const LayerShape&, bool winograd);

}  // namespace qrt::bench

#endif  // QRT_BENCH_LAYERS_H_
