// Loops over tensors that broadcast to one shape, for operators of two or three
// inputs.
//
// At prepare the shapes are merged into as few axes as possible: neighbours fuse when
// each tensor either walks through both or is repeated along both. What remains is an
// outer loop over rows and an inner row along which each tensor walks or stands still.
// Equal shapes are a single row.
#ifndef QRT_RUNTIME_OPS_BROADCAST_H_
#define QRT_RUNTIME_OPS_BROADCAST_H_

#include "runtime/ops/checks.h"

namespace qrt {

class Broadcast {
 public:
  static constexpr size_t kMostInputs = 3;
  struct Row {
    size_t offset[kMostInputs];  // first elements
    size_t step[kMostInputs];    // 1, or 0 where the tensor is repeated
    size_t out, count;           // first element of the output, elements
  };

  // The shape the inputs broadcast to. QRT-E0261 where they do not.
  Status prepare(Span<const ConstTensorView> in, Shape* out) {
    out->rank = 0;
    for (const ConstTensorView& t : in) out->rank = max_of(out->rank, t.shape.rank);
    size_t step[kMostInputs] = {1, 1, 1};
    for (int axis = out->rank - 1; axis >= 0; --axis) {
      Axis next{1, {}};
      for (const ConstTensorView& t : in) {
        const size_t d = dim_at(t.shape, axis, out->rank);
        if (d == 1 || d == next.extent) continue;
        if (next.extent != 1)
          return Status(Code::invalid_model, 261, "two shapes do not broadcast to each other")
              .values(static_cast<int64_t>(next.extent), static_cast<int64_t>(d))
              .next("give both tensors the same dimension here, or 1 in one of them");
        next.extent = d;
      }
      for (size_t i = 0; i < in.size(); ++i) {
        const size_t d = dim_at(in[i].shape, axis, out->rank);
        next.step[i] = d == 1 ? 0 : step[i];
        step[i] *= d;
      }
      (*out)[axis] = static_cast<int32_t>(next.extent);
      if (next.extent != 1) push(next, in.size());
    }
    if (axes_ == 0) axis_[axes_++] = {1, {1, 1, 1}};
    inputs_ = in.size();
    total_ = count_of(*out);
    return {};
  }

  size_t total() const { return total_; }

  // Calls row(Row) over the results [begin, end) in flat order; the first and the last row may be
  // cut.
  template <class F>
  void rows(size_t begin, size_t end, F&& f) const {
    const Axis& inner = axis_[0];
    while (begin < end) {
      Row row{};
      size_t rest = begin / inner.extent;
      const size_t skip = begin % inner.extent;
      for (size_t k = 0; k < inputs_; ++k) {
        row.step[k] = inner.step[k] != 0 ? 1 : 0;
        row.offset[k] = skip * inner.step[k];
      }
      for (size_t i = 1; i < axes_; ++i) {
        const size_t at = rest % axis_[i].extent;
        for (size_t k = 0; k < inputs_; ++k) row.offset[k] += at * axis_[i].step[k];
        rest /= axis_[i].extent;
      }
      const size_t left = inner.extent - skip;
      row.out = begin;
      row.count = left < end - begin ? left : end - begin;
      f(row);
      begin += row.count;
    }
  }

 private:
  struct Axis {
    size_t extent;
    size_t step[kMostInputs];  // in elements; 0 where the tensor is repeated
  };

  static int32_t max_of(int32_t a, int32_t b) { return a > b ? a : b; }

  // Dimension of a shape aligned to the right within `rank` axes.
  static size_t dim_at(const Shape& s, int axis, int rank) {
    const int i = axis - (rank - s.rank);
    return i < 0 ? 1 : static_cast<size_t>(s[i]);
  }

  // Appends the next outer axis, or fuses it with the one inside it.
  void push(const Axis& next, size_t inputs) {
    bool fuses = axes_ > 0;
    for (size_t k = 0; fuses && k < inputs; ++k)
      fuses = (next.step[k] == 0) == (axis_[axes_ - 1].step[k] == 0);
    if (fuses)
      axis_[axes_ - 1].extent *= next.extent;
    else
      axis_[axes_++] = next;
  }

  Axis axis_[kMaxRank] = {};  // innermost first
  size_t axes_ = 0, total_ = 0, inputs_ = 0;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_BROADCAST_H_
