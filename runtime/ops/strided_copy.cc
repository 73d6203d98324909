// See strided_copy.h.
#include "runtime/ops/strided_copy.h"

#include <cassert>
#include <cstring>

#include "runtime/ops/checks.h"

namespace qrt {
namespace {

// One line of the output: `n` elements, `step` apart in the input.
template <class T>
void copy_line(const T* from, int64_t wide_step, size_t n, T* to) {
  const auto step = static_cast<ptrdiff_t>(wide_step);  // it fits where two elements do
  if (step == 1) {
    std::memcpy(to, from, n * sizeof(T));
  } else if (step == 0) {
    for (size_t i = 0; i < n; ++i) to[i] = *from;
  } else {
    for (size_t i = 0; i < n; ++i) to[i] = from[static_cast<ptrdiff_t>(i) * step];
  }
}

}  // namespace

void StridedCopy::add_axis(size_t extent, int64_t step) {
  total_ *= extent;
  if (extent == 1) return;
  Axis* before = axes_ > 0 ? &axis_[axes_ - 1] : nullptr;
  if (before != nullptr && before->step == static_cast<int64_t>(extent) * step) {
    before->extent *= extent;
    before->step = step;
    return;
  }
  assert(axes_ < 2 * kMaxRank);
  axis_[axes_++] = {extent, step};
}

void StridedCopy::run(const void* in, void* out, size_t element, const Threads& threads) const {
  switch (element) {
    case 1:
      run_typed(static_cast<const uint8_t*>(in), static_cast<uint8_t*>(out), threads);
      break;
    case 2:
      run_typed(static_cast<const uint16_t*>(in), static_cast<uint16_t*>(out), threads);
      break;
    case 4:
      run_typed(static_cast<const uint32_t*>(in), static_cast<uint32_t*>(out), threads);
      break;
    default:
      run_typed(static_cast<const uint64_t*>(in), static_cast<uint64_t*>(out), threads);
      break;
  }
}

template <class T>
void StridedCopy::run_typed(const T* in, T* out, const Threads& threads) const {
  auto part = [&](size_t begin, size_t end) { copy(in, out, begin, end); };
  split_if_worth(threads, total_, 64, kElementsWorth, part);
}

// Output elements [begin, end) in flat order, a line of the innermost axis at a time. The place of
// the first line is found by division, that of each next one by counting.
template <class T>
void StridedCopy::copy(const T* in, T* out, size_t begin, size_t end) const {
  if (begin == end) return;
  const Axis inner = axes_ == 0 ? Axis{1, 1} : axis_[axes_ - 1];
  const size_t outer = axes_ == 0 ? 0 : axes_ - 1;
  size_t index[2 * kMaxRank] = {};
  size_t rest = begin / inner.extent, skip = begin % inner.extent;
  int64_t at = offset_;
  for (size_t i = outer; i-- > 0; rest /= axis_[i].extent) {
    index[i] = rest % axis_[i].extent;
    at += static_cast<int64_t>(index[i]) * axis_[i].step;
  }
  while (true) {
    const size_t left = inner.extent - skip, n = left < end - begin ? left : end - begin;
    const int64_t from = at + static_cast<int64_t>(skip) * inner.step;
    copy_line(in + static_cast<ptrdiff_t>(from), inner.step, n, out + begin);
    begin += n;
    if (begin == end) return;
    skip = 0;
    for (size_t i = outer; i-- > 0;) {
      at += axis_[i].step;
      if (++index[i] < axis_[i].extent) break;
      at -= static_cast<int64_t>(axis_[i].extent) * axis_[i].step;
      index[i] = 0;
    }
  }
}

}  // namespace qrt
