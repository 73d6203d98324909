// A copy in the order of the output, where every output axis steps through the
// input by its own stride: out[i, j, ...] = in[offset + i * step_i + j * step_j ...].
// Transposes, slices (negative steps), tiles and expansions (step 0) are all of
// this form. Steps and extents are in elements; merging happens as axes are added.
#ifndef QRT_RUNTIME_OPS_STRIDED_COPY_H_
#define QRT_RUNTIME_OPS_STRIDED_COPY_H_

#include <cstddef>
#include <cstdint>

#include "runtime/session/threads.h"
#include "runtime/tensor/tensor.h"

namespace qrt {

class StridedCopy {
 public:
  struct Axis {
    size_t extent;
    int64_t step;
  };

  // Appends the next inner axis of the output. Axes of one element vanish; one that continues the
  // axis before it (its step is this axis's whole way) merges. At most 2 * kMaxRank may remain:
  // a tiled axis is two.
  void add_axis(size_t extent, int64_t step);
  // Where the first output element lies in the input.
  void set_offset(int64_t offset) { offset_ = offset; }

  // The axes that remain, outermost first.
  size_t axes() const { return axes_; }
  const Axis& axis(size_t i) const { return axis_[i]; }
  size_t total() const { return total_; }
  bool is_plain() const { return axes_ == 0 || (axes_ == 1 && axis_[0].step == 1); }

  // Elements of `element` bytes (1, 2, 4 or 8). Every place it reads must lie inside of the input.
  void run(const void* in, void* out, size_t element, const Threads& threads) const;

 private:
  template <class T>
  void run_typed(const T* in, T* out, const Threads& threads) const;
  template <class T>
  void copy(const T* in, T* out, size_t begin, size_t end) const;

  Axis axis_[2 * kMaxRank] = {};
  size_t axes_ = 0, total_ = 1;
  int64_t offset_ = 0;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_STRIDED_COPY_H_
