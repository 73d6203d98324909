// Single rows, over the primitives that generic.h lists: the dot form, which decodes
// codes straight into inner products, and the gathering of rows from runs.
#ifndef QRT_KERNELS_CODEBOOK_GENERIC_ROWS_H_
#define QRT_KERNELS_CODEBOOK_GENERIC_ROWS_H_

#include "kernels/codebook/generic.h"

namespace qrt::kernels::codebook {

template <class V>
inline float finish_one(const Finish& f, size_t n, float sum) {
  if (f.scale) sum *= f.scale[n];
  if (f.bias) sum += f.bias[n];
  if (f.residual) sum += f.residual[n];
  sum = sum < f.min ? f.min : sum;
  return sum > f.max ? f.max : sum;
}

// One group of blocks, `at` holding the entries of eight outputs each.
template <class V>
inline void dot_blocks(const float* entries, const uint32_t (*at)[8], size_t blocks, size_t stride,
                       const float* x, typename V::Quad (&sum)[8]) {
  for (size_t b = 0; b < blocks; ++b, x += stride) {
    for (size_t t = 0; t < stride; t += 4) {
      const typename V::Quad v = V::quad_load(x + t);
#pragma GCC unroll 8
      for (size_t u = 0; u < 8; ++u)
        sum[u] = V::quad_fma(V::quad_load(entries + at[b][u] + t), v, sum[u]);
    }
  }
}

// Eight outputs at a time, each with a quad of partial sums: per code one address,
// and per four weights one load and one fma.
template <class V>
void dot(const DotArgs& a) {
  constexpr size_t U = 8, kAhead = 32;
  const Source& s = a.source;
  const CodeSteps steps = code_steps<V>(s, s.entry_stride);
  for (size_t n = 0; n < a.outputs; n += U) {
    const size_t live = a.outputs - n < U ? a.outputs - n : U, first = a.first_output + n;
    uint32_t scope[U], at[kAhead][U];
    for (size_t u = 0; u < U; ++u) scope[u] = scope_of<V>(s, first + (u < live ? u : 0));
    typename V::Quad sum[U];
#pragma GCC unroll 8
    for (size_t u = 0; u < U; ++u) sum[u] = V::quad_zero();
    for (size_t book = 0; book < s.books; ++book) {
      const uint8_t* row = s.codes + book * s.book_bytes;
      for (size_t b0 = 0; b0 < a.blocks; b0 += kAhead) {
        const size_t group = a.blocks - b0 < kAhead ? a.blocks - b0 : kAhead;
        for (size_t b = 0; b < group; ++b, row += s.row_bytes)
          entries_of<V>(s, steps, row, first, live, scope, at[b]);
        dot_blocks<V>(s.entries + book * s.book_stride, at, group, s.entry_stride,
                      a.x + b0 * s.entry_stride, sum);
      }
    }
    float sums[U];
#pragma GCC unroll 8
    for (size_t u = 0; u < U; ++u) sums[u] = V::quad_sum(sum[u]);
    for (size_t u = 0; u < live; ++u) a.y[n + u] = finish_one<V>(a.finish, n + u, sums[u]);
  }
}

template <class V>
void gather(const GatherArgs& a) {
  float* to = a.to;
  for (size_t i = 0; i < a.count; ++i) {
    const float* from = a.runs[i];
    size_t k = 0;
    if (from == nullptr) {
      for (; k + V::kLanes <= a.length; k += V::kLanes) V::store(to + k, V::zero());
      for (; k < a.length; ++k) to[k] = 0;
    } else {
      for (; k + V::kLanes <= a.length; k += V::kLanes) V::store(to + k, V::load(from + k));
      for (; k < a.length; ++k) to[k] = from[k];
    }
    to += a.length;
  }
}

}  // namespace qrt::kernels::codebook

#endif  // QRT_KERNELS_CODEBOOK_GENERIC_ROWS_H_
