// Rows in lanes: packing, tables of inner products, lookups and the way back to
// rows, over the primitives that generic.h lists.
//
// An entry of a table is one vector: the inner product of a centroid with the same
// block of kLanes rows. A lookup is then one add with a vector from memory, at the
// address its code says; no gather is needed, which would cost up to 30 cycles.
#ifndef QRT_KERNELS_CODEBOOK_GENERIC_LOOKUP_H_
#define QRT_KERNELS_CODEBOOK_GENERIC_LOOKUP_H_

#include "kernels/codebook/generic.h"

namespace qrt::kernels::codebook {

template <class V>
void pack(const PackArgs& a) {
  constexpr size_t L = V::kLanes;
  if (a.rows == 0) return;
  const size_t channels = a.inputs / a.taps;
  uint32_t from[L];
  for (size_t i = 0; i < L; ++i)
    from[i] = static_cast<uint32_t>((i < a.rows ? i : a.rows - 1) * a.x_stride);
  const float* x = a.x;
  for (size_t tap = 0; tap < a.taps; ++tap, x += channels) {
    float* to = a.lanes + tap * L;
    const size_t step = a.taps * L;
    size_t c = 0;
    for (; c + 4 <= channels; c += 4, to += 4 * step) {
      const typename V::Four v = V::transpose4(x + c, from);
      V::store(to, v.a), V::store(to + step, v.b);
      V::store(to + 2 * step, v.c), V::store(to + 3 * step, v.d);
    }
    for (; c < channels; ++c, to += step)
      for (size_t i = 0; i < L; ++i) to[i] = x[from[i] + c];
  }
}

// table[c] = sum over t < depth of entry[c][t] * x[t]; four entries share a load of x.
template <class V>
inline void build_table(const float* entries, size_t stride, size_t count, size_t depth,
                        const float* x, float* table) {
  using Vec = typename V::Vec;
  constexpr size_t L = V::kLanes;
  size_t c = 0;
  for (; c + 4 <= count; c += 4, entries += 4 * stride) {
    const Vec x0 = V::load(x);
    Vec s0 = V::mul(V::set1(entries[0]), x0), s1 = V::mul(V::set1(entries[stride]), x0);
    Vec s2 = V::mul(V::set1(entries[2 * stride]), x0),
        s3 = V::mul(V::set1(entries[3 * stride]), x0);
    for (size_t t = 1; t < depth; ++t) {
      const Vec xt = V::load(x + t * L);
      s0 = V::fma(V::set1(entries[t]), xt, s0);
      s1 = V::fma(V::set1(entries[stride + t]), xt, s1);
      s2 = V::fma(V::set1(entries[2 * stride + t]), xt, s2);
      s3 = V::fma(V::set1(entries[3 * stride + t]), xt, s3);
    }
    V::store(table + c * L, s0);
    V::store(table + (c + 1) * L, s1);
    V::store(table + (c + 2) * L, s2);
    V::store(table + (c + 3) * L, s3);
  }
  for (; c < count; ++c, entries += stride) {
    Vec s0 = V::mul(V::set1(entries[0]), V::load(x));
    for (size_t t = 1; t < depth; ++t) s0 = V::fma(V::set1(entries[t]), V::load(x + t * L), s0);
    V::store(table + c * L, s0);
  }
}

// Adds `blocks` tables of one book to the sums of eight outputs, which stay in registers.
// kBytes: codes are bytes, and eight of them exist.
template <class V, bool kBytes>
inline void add_lookups(const LookupArgs& a, const CodeSteps& steps, const uint8_t* row,
                        size_t blocks, size_t n, bool first) {
  using Vec = typename V::Vec;
  constexpr size_t L = V::kLanes, U = 8;
  const size_t live = a.outputs - n < U ? a.outputs - n : U;
  const size_t table_floats = L << a.source.bits;
  float* const sums = a.sums + n * L;
  Vec sum[U];
#pragma GCC unroll 8
  for (size_t u = 0; u < U; ++u)
    sum[u] = first || (!kBytes && u >= live) ? V::zero() : V::load(sums + u * L);
  const float* table = a.tables;
  for (size_t b = 0; b < blocks; ++b, row += a.source.row_bytes, table += table_floats) {
    if (kBytes) {
      const uint8_t* codes = row + a.first_output + n;
#pragma GCC unroll 8
      for (size_t u = 0; u < U; ++u) sum[u] = V::add(sum[u], V::load(table + codes[u] * L));
    } else {
      constexpr uint32_t kNoScope[U] = {};
      uint32_t at[U];
      entries_of<V>(a.source, steps, row, a.first_output + n, live, kNoScope, at);
#pragma GCC unroll 8
      for (size_t u = 0; u < U; ++u) sum[u] = V::add(sum[u], V::load(table + at[u]));
    }
  }
#pragma GCC unroll 8
  for (size_t u = 0; u < U; ++u)
    if (kBytes || u < live) V::store(sums + u * L, sum[u]);
}

// Books one after the other, each in groups of kTableBlocks blocks.
template <class V>
void lookup(const LookupArgs& a) {
  const Source& s = a.source;
  const size_t blocks = (a.inputs + s.dim - 1) / s.dim, count = size_t{1} << s.bits;
  const CodeSteps steps = code_steps<V>(s, V::kLanes);
  bool first = a.first;
  for (size_t book = 0; book < s.books; ++book) {
    const float* entries = s.entries + scope_of<V>(s, a.first_output) + book * s.book_stride;
    const uint8_t* codes = s.codes + book * s.book_bytes + a.first_block * s.row_bytes;
    for (size_t b0 = 0; b0 < blocks; b0 += V::kTableBlocks) {
      const size_t group = blocks - b0 < V::kTableBlocks ? blocks - b0 : V::kTableBlocks;
      for (size_t b = 0; b < group; ++b) {
        const size_t k = (b0 + b) * s.dim, depth = a.inputs - k < s.dim ? a.inputs - k : s.dim;
        build_table<V>(entries, s.entry_stride, count, depth, a.x + k * V::kLanes,
                       a.tables + b * count * V::kLanes);
      }
      for (size_t n = 0; n < a.outputs; n += 8) {
        if (s.bits == 8 && a.outputs - n >= 8)
          add_lookups<V, true>(a, steps, codes + b0 * s.row_bytes, group, n, first);
        else
          add_lookups<V, false>(a, steps, codes + b0 * s.row_bytes, group, n, first);
      }
      first = false;
    }
  }
}

// One vector of outputs of one row, finished.
template <class V>
inline void store_row(const StoreArgs& a, size_t r, size_t n, typename V::Vec v) {
  const Finish& f = a.finish;
  if (r >= a.rows) return;
  const size_t live = a.outputs - n;
  if (f.scale) v = V::mul(v, load_upto<V>(f.scale + n, live));
  if (f.bias) v = V::add(v, load_upto<V>(f.bias + n, live));
  if (f.residual) v = V::add(v, load_upto<V>(f.residual + r * f.residual_stride + n, live));
  v = V::min(V::set1(f.max), V::max(V::set1(f.min), v));
  store_upto<V>(a.y + r * a.y_stride + n, v, live);
}

template <class V>
void store(const StoreArgs& a) {
  constexpr size_t L = V::kLanes;
  for (size_t n = 0; n < a.outputs; n += L) {
    const size_t live = a.outputs - n < L ? a.outputs - n : L;
    uint32_t from[L];
    for (size_t i = 0; i < L; ++i) from[i] = static_cast<uint32_t>((i < live ? i : 0) * L);
    for (size_t r = 0; r < a.rows; r += 4) {
      const typename V::Four v = V::transpose4(a.sums + n * L + r, from);
      store_row<V>(a, r, n, v.a), store_row<V>(a, r + 1, n, v.b);
      store_row<V>(a, r + 2, n, v.c), store_row<V>(a, r + 3, n, v.d);
    }
  }
}

}  // namespace qrt::kernels::codebook

#endif  // QRT_KERNELS_CODEBOOK_GENERIC_LOOKUP_H_
