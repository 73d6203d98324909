// What every operator checks in prepare() about its tensors and constants. The validator has
// checked the file already; these checks are the operators' own, cheap, and make each of them safe
// alone.
#ifndef QRT_RUNTIME_OPS_CHECKS_H_
#define QRT_RUNTIME_OPS_CHECKS_H_

#include "runtime/dense/geometry.h"
#include "runtime/ops/op.h"

namespace qrt {

// Limits of a fused clamp. The schema's defaults (the largest finite floats) mean
// "no limit", so that an infinity passes through an absent limit unchanged.
Limits limits_of(float min, float max);
Limits limits_of(const Clamp&);

// QRT-E0251: the number of tensors. `max_in` 0 means exactly `min_in`.
Status check_arity(const PrepareContext&, size_t min_in, size_t max_in = 0);
// QRT-E0252: every input and output is f32.
Status check_f32(const PrepareContext&);
// QRT-E0252: the output has the type of the inputs, whatever that is.
Status check_same_dtype(const PrepareContext&);
// QRT-E0253: what the model declares is what this operator computes.
Status check_output(const PrepareContext&, const Shape& computed);
// QRT-E0257: min <= max, neither a NaN.
Status check_clamp(float min, float max);
Status check_clamp(const Clamp&);

// Floats of a constant with `count` elements, copied to `keep`; an absent constant
// gives an empty span. QRT-E0259 for another count, QRT-E0258 out of memory.
Expected<Span<const float>> read_floats(const Constant&, uint32_t count, Arena& keep);

// Elements of a shape that an opened model declared: known to fit.
inline size_t count_of(const Shape& s) {
  return *s.elements().get();
}

// Product of the dimensions [first, last).
inline size_t count_of(const Shape& s, int first, int last) {
  size_t n = 1;
  for (int i = first; i < last; ++i) n *= static_cast<size_t>(s[i]);
  return n;
}

inline Status out_of_memory() {
  return Status(Code::out_of_memory, 258, "no memory to prepare an operator")
      .next("close other sessions, or allow more memory");
}

// Splits [0, n) over the threads in chunks whose bounds are multiples of `unit`;
// work that is over in microseconds (`n` below `worth`) stays on the caller, where
// waking the pool would cost more than it gains.
template <class F>
void split_if_worth(const Threads& threads, size_t n, size_t unit, size_t worth, F&& work) {
  const size_t count = threads.count();
  if (count == 1 || n < worth) {
    if (n > 0) work(size_t{0}, n);
    return;
  }
  const size_t units = (n + unit - 1) / unit;
  const size_t chunk = (units + count - 1) / count;  // units per thread
  auto run = [&](size_t begin, size_t end, uint32_t) {
    const size_t last = end * unit < n ? end * unit : n;
    work(begin * unit, last);
  };
  threads.split(units, chunk, run);
}
inline constexpr size_t kElementsWorth = 16384;  // 64 KB of floats: about 10 us on one core

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_CHECKS_H_
