// Lookups of lines: one chunk of outputs, all lookups of a group of blocks.
#ifndef QRT_KERNELS_TABLES_GENERIC_LOOK_UP_H_
#define QRT_KERNELS_TABLES_GENERIC_LOOK_UP_H_

#include "kernels/tables/codes.h"
#include "kernels/tables/generic_average.h"

namespace qrt::kernels::tables {
namespace {

// ---- lookups --------------------------------------------------------------------

struct Lookup {
  const uint8_t* tables;
  size_t table_bytes, lookups;
  const uint16_t* offsets;  // [lookup][kChunk]
  uint8_t* acc;             // [part][kChunk]
  bool first;               // acc holds nothing yet
};

// V::kUnroll sums stay in registers over all lookups of the group.
template <class T>
__attribute__((noinline)) void look_up(const Lookup& k) {
  using V = typename T::Simd;
  constexpr size_t P = T::kParts, U = V::kUnroll / P;
#define QRT_EACH                                          \
  _Pragma("GCC unroll 16") for (size_t u = 0; u < U; ++u) \
      _Pragma("GCC unroll 2") for (size_t p = 0; p < P; ++p)
  for (size_t n = 0; n < kChunk; n += U) {
    typename T::Acc s[U][P];
    uint8_t* const acc = k.acc + n * T::kAccBytes;
    if (k.first) {
      QRT_EACH s[u][p] = T::none();
    } else {
      QRT_EACH s[u][p] = T::load(acc + (p * kChunk + u) * T::kAccBytes);
    }
    const uint8_t* t = k.tables;
    const uint16_t* at = k.offsets + n;
    const uint16_t* const end = at + k.lookups * kChunk;
    if (T::kPairs) {
      for (; at + kChunk < end; at += 2 * kChunk, t += 2 * k.table_bytes) {
        const uint8_t* const t1 = t + k.table_bytes;
        QRT_EACH s[u][p] = T::add(s[u][p], V::add8(V::load(t + at[u] + p * V::kBytes),
                                                   V::load(t1 + at[kChunk + u] + p * V::kBytes)));
      }
    }
    for (; at < end; at += kChunk, t += k.table_bytes) {
      QRT_EACH s[u][p] = T::add(s[u][p], V::load(t + at[u] + p * V::kBytes));
    }
    QRT_EACH T::store(acc + (p * kChunk + u) * T::kAccBytes, s[u][p]);
  }
#undef QRT_EACH
}

// The same in trees of 2^D lines, or of as many pairs of 7 bits: k.lookups is a multiple of that,
// and a table has kTable bytes.
template <class T, int D, size_t kTable>
__attribute__((noinline)) void look_up_trees(const Lookup& k) {
  using V = typename T::Simd;
  constexpr size_t P = T::kParts, kEach = T::kPairs ? 2 : 1, kLookups = kEach << D;
#define QRT_EACH _Pragma("GCC unroll 2") for (size_t p = 0; p < P; ++p)
  for (size_t n = 0; n < kChunk; ++n) {
    uint8_t* const acc = k.acc + n * T::kAccBytes;
    typename T::Acc s[P];
    if (k.first) {
      QRT_EACH s[p] = T::none();
    } else {
      QRT_EACH s[p] = T::load(acc + p * kChunk * T::kAccBytes);
    }
    const uint8_t* t = k.tables;
    const uint16_t* at = k.offsets + n;
    for (size_t left = k.lookups; left != 0; left -= kLookups) {
      add_tree<V, P, D>(
          [t, at](size_t i) {
            Abreast<V, P> line;
            const uint8_t* const from = t + i * kEach * kTable + at[i * kEach * kChunk];
            QRT_EACH line.v[p] = V::load(from + p * V::kBytes);
            if constexpr (T::kPairs) {
              const uint8_t* const next = t + (i * 2 + 1) * kTable + at[(i * 2 + 1) * kChunk];
              QRT_EACH line.v[p] = V::add8(line.v[p], V::load(next + p * V::kBytes));
            }
            return line;
          },
          s);
      t += kLookups * kTable, at += kLookups * kChunk;
    }
    QRT_EACH T::store(acc + p * kChunk * T::kAccBytes, s[p]);
  }
#undef QRT_EACH
}

// Trees where there are as many lookups as they take, in tables of a size that they were made for.
template <class T>
void look_up_chunk(const Lookup& k) {
  if constexpr (T::kAverages) {
    constexpr size_t kLine = T::kParts * T::Simd::kBytes;
    constexpr int kDepth = T::kPairs ? 3 : 4;
    if (k.lookups % 16 == 0) {
      if (k.table_bytes == 16 * kLine) return look_up_trees<T, kDepth, 16 * kLine>(k);
      if (k.table_bytes == 64 * kLine) return look_up_trees<T, kDepth, 64 * kLine>(k);
      if (k.table_bytes == 256 * kLine) return look_up_trees<T, kDepth, 256 * kLine>(k);
    }
  }
  look_up<T>(k);
}

// sums[n] (+)= acc[n], kChunk outputs.
template <class T>
void flush(const uint8_t* acc, size_t lookups, bool first, uint8_t* sums) {
  using V = typename T::Simd;
  for (size_t n = 0; n < kChunk; ++n) {
    typename V::Vec v[T::kVectors];
    T::ints(acc + n * T::kAccBytes, lookups, v);
    for (size_t z = 0; z < T::kVectors; ++z) {
      uint8_t* const p = sums + (n * T::kVectors + z) * V::kBytes;
      V::store(p, first ? v[z] : V::add32(v[z], V::load(p)));
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_LOOK_UP_H_
