// Tables for rows in lanes: rows go to lanes, and lines are made of inner products.
#ifndef QRT_KERNELS_TABLES_GENERIC_BUILD_H_
#define QRT_KERNELS_TABLES_GENERIC_BUILD_H_

#include "kernels/tables/plan.h"

namespace qrt::kernels::tables {
namespace {

// The row whose dwords lane i of int32 vector z takes: packs take turns of four dwords, so that of
// eight rows the first four come from the even vector.
template <class V>
constexpr size_t lane_row(size_t z, size_t i) {
  return z / 2 * (V::kBytes / 2) + i / 4 * 8 + z % 2 * 4 + i % 4;
}

template <class T>
void rows_to_lanes(const Arranged& from, size_t rows, size_t dwords, uint8_t* to) {
  using V = typename T::Simd;
  constexpr size_t kStep = T::kVectors * V::kXBytes;
  for (size_t z = 0; z < T::kVectors; ++z) {
    uint32_t at[V::kLanes];
    for (size_t i = 0; i < V::kLanes; ++i) {
      const size_t row = lane_row<V>(z, i);
      at[i] = static_cast<uint32_t>(row < rows ? row * from.stride : 0);
    }
    for (size_t d = 0; d < dwords; d += 4) {
      const typename V::Four f = V::transpose4(from.rows + 4 * d, at);
      for (size_t i = 0; i < 4; ++i) V::put_x(to + (d + i) * kStep + z * V::kXBytes, f.v[i]);
    }
  }
}

// ---- tables ---------------------------------------------------------------------

struct Build {
  const uint8_t* x;  // dwords of one block, rows in lanes
  const uint8_t* weights;
  size_t weight_stride, dwords, count;
  const int32_t* starts;
  int pre_shift;
  uint8_t* lines;  // `line_bytes` apart
  size_t line_bytes;
};

enum class Pre { none, right, left };

template <class V, Pre kPre>
inline typename V::Vec shifted(typename V::Vec v, typename V::Count n) {
  if (kPre == Pre::right) return V::right32(v, n);
  if (kPre == Pre::left) return V::left32(v, n);
  return v;
}

// E entries at a time share the loads of x.
template <class T, Pre kPre, size_t E>
inline void build_entries(const Build& b, size_t c, typename T::Simd::Count pre) {
  using V = typename T::Simd;
  constexpr size_t Z = T::kVectors;
  typename V::Sum sum[E][Z];
#define QRT_EACH_ENTRY _Pragma("GCC unroll 4") for (size_t e = 0; e < E; ++e)
#define QRT_EACH_VECTOR _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z)
  QRT_EACH_ENTRY QRT_EACH_VECTOR sum[e][z] = V::start(b.starts[c + e]);
  const uint8_t* x = b.x;
  const uint8_t* w = b.weights + c * b.weight_stride;
  for (size_t d = 0; d < b.dwords; ++d, x += Z * V::kXBytes, w += V::kWBytes) {
    typename V::W weight[E];
    QRT_EACH_ENTRY weight[e] = V::load_w(w + e * b.weight_stride);
    QRT_EACH_VECTOR {
      const typename V::X v = V::load_x(x + z * V::kXBytes);
      QRT_EACH_ENTRY sum[e][z] = V::mac(sum[e][z], v, weight[e]);
    }
  }
  QRT_EACH_ENTRY {
    typename V::Vec v[Z];
    QRT_EACH_VECTOR v[z] = shifted<V, kPre>(V::total(sum[e][z]), pre);
    V::store(b.lines + (c + e) * b.line_bytes, T::line(v));
  }
#undef QRT_EACH_ENTRY
#undef QRT_EACH_VECTOR
}

// Blocks of D dwords, an entry at a time: x are operands from memory of the multiplications. Where
// registers are few (V::kShort) nothing is won by sharing them.
template <class T, Pre kPre, size_t D>
__attribute__((noinline)) void build_short(const Build& b) {
  using V = typename T::Simd;
  constexpr size_t Z = T::kVectors;
  const auto pre = V::count(b.pre_shift < 0 ? -b.pre_shift : b.pre_shift);
  const uint8_t *const x = b.x, *w = b.weights;
  const size_t weight_stride = b.weight_stride, line_bytes = b.line_bytes;
  const int32_t* const starts = b.starts;
  uint8_t* line = b.lines;
#define QRT_EACH_DWORD _Pragma("GCC unroll 8") for (size_t d = 0; d < D; ++d)
#define QRT_EACH_VECTOR _Pragma("GCC unroll 4") for (size_t z = 0; z < Z; ++z)
  for (size_t c = 0, count = b.count; c < count; ++c, w += weight_stride, line += line_bytes) {
    typename V::Sum sum[Z];
    typename V::Vec v[Z];
    QRT_EACH_VECTOR sum[z] = V::start(starts[c]);
    QRT_EACH_DWORD {
      const typename V::W weight = V::load_w(w + d * V::kWBytes);
      QRT_EACH_VECTOR sum[z] = V::mac(sum[z], V::load_x(x + (d * Z + z) * V::kXBytes), weight);
    }
    QRT_EACH_VECTOR v[z] = shifted<V, kPre>(V::total(sum[z]), pre);
    V::store(line, T::line(v));
  }
#undef QRT_EACH_DWORD
#undef QRT_EACH_VECTOR
}

template <class T, Pre kPre>
__attribute__((noinline)) void build(const Build& b) {
  using V = typename T::Simd;
  if constexpr (V::kShort) {
    if (b.dwords == 1) return build_short<T, kPre, 1>(b);
    if (b.dwords == 2) return build_short<T, kPre, 2>(b);
  }
  const auto pre = V::count(b.pre_shift < 0 ? -b.pre_shift : b.pre_shift);
  size_t c = 0;
  for (; c + V::kEntries <= b.count; c += V::kEntries)
    build_entries<T, kPre, V::kEntries>(b, c, pre);
  for (; c < b.count; ++c) build_entries<T, kPre, 1>(b, c, pre);
}

template <class T>
void build_table(const Build& b) {
  if (b.pre_shift == 0)
    build<T, Pre::none>(b);
  else if (b.pre_shift > 0)
    build<T, Pre::right>(b);
  else
    build<T, Pre::left>(b);
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_BUILD_H_
