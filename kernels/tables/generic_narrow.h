// Lines of bytes from sums of 16 bits, for entries whose inner products fit them whatever x is:
// nearly all of trained codebooks, whose largest element is far from the others.
//
//   T = (dot * 2^(15 - shift) + 2^14) >> 15        a rounding multiplication, exact
//
// Pairs of inputs lie in words, those of half the rows in a vector.
#ifndef QRT_KERNELS_TABLES_GENERIC_NARROW_H_
#define QRT_KERNELS_TABLES_GENERIC_NARROW_H_

#include "kernels/tables/generic_build.h"

namespace qrt::kernels::tables {
namespace {

// The row of word w of half h: packing both halves takes turns of eight words, and must bring the
// row's byte to V::byte_of(row).
template <class V>
constexpr size_t pair_row(size_t h, size_t w) {
  const size_t byte = w / 8 * 16 + h * 8 + w % 8;
  return byte % 2 * (V::kBytes / 2) + byte / 2;
}

// Entries of a book, sorted by what their sums need: records of `narrow` ones; records of the two
// halves of `split` ones; indices of the `wide` others. A record: the entry's index, what its sum
// starts from, its pairs; of words and pairs each dword holds two copies. No narrow ones: all are
// wide, whatever the indices say.
struct Narrow {
  uint32_t narrow, split, wide;
  uint32_t *records, *halves;
  uint16_t* others;
};
constexpr size_t narrow_pairs(uint32_t dim) {
  return (dim + 1) / 2;
}
constexpr size_t narrow_dwords(uint32_t dim) {
  return narrow_pairs(dim) + 2;
}
// A record may be followed by three dwords that pairs_of() writes in vain.
constexpr size_t narrow_book_bytes(uint32_t dim, size_t count) {
  return up_to((6 + (3 * count + 3) * narrow_dwords(dim)) * 4 + count * 2, 64);
}
inline Narrow narrow_of(uint8_t* at, uint32_t dim, size_t count) {
  uint32_t* const dwords = reinterpret_cast<uint32_t*>(at);
  uint32_t* const halves = dwords + 3 + (count + 1) * narrow_dwords(dim);
  uint32_t* const end = halves + (2 * count + 2) * narrow_dwords(dim) + 3;
  return {dwords[0], dwords[1], dwords[2], dwords + 3, halves, reinterpret_cast<uint16_t*>(end)};
}

// Whether vpmaddubsw and sums of 16 bits are exact: every pair of products, and the whole with what
// the zero of x and `less` take from it. Partial sums may wrap. Fills the record in any case.
template <class V>
inline bool is_narrow(const int8_t* entry, uint32_t dim, int32_t zero, int32_t less,
                      uint32_t* record) {
  int32_t above = 0, below = 0;
  bool saturates = false;
  for (uint32_t t = 0; t < dim; t += 8)
    saturates |= V::pairs_of(entry + t, least(dim - t, 8), record + 2 + t / 2, &above, &below);
  const int32_t start = -zero * (above - below) - less;
  record[1] = (static_cast<uint32_t>(start) & 0xffffu) * 0x10001u;
  return !saturates && start + 255 * above <= 32767 && start - 255 * below >= -32768;
}

// Whether both halves of an entry are narrow. Halves of odd elements are the larger one in turn.
template <class V>
inline bool is_split(const int8_t* entry, uint32_t dim, int32_t zero, uint32_t* records) {
  int8_t half[2][kMaxDim + 8] = {};
  uint32_t odd[2] = {};
  for (uint32_t t = 0; t < dim; ++t) {
    const bool negative = entry[t] < 0;
    const uint32_t turn = entry[t] % 2 == 0 ? 0 : odd[negative]++ & 1;
    half[turn][t] = static_cast<int8_t>(entry[t] / 2);
    half[1 - turn][t] = static_cast<int8_t>(entry[t] - entry[t] / 2);
  }
  return is_narrow<V>(half[0], dim, zero, 0, records) &&
         is_narrow<V>(half[1], dim, zero, 1, records + narrow_dwords(dim));
}

// All entries are wide where few are narrow: rows would be brought to lanes twice for little.
template <class V>
inline Narrow sort_entries(const Args& a, size_t book, uint8_t* at) {
  const uint32_t dim = a.source.dim, count = 1u << a.source.bits;
  const size_t dwords = narrow_dwords(dim), stride = a.source.entry_stride;
  const int8_t* const entries = entries_of(a, book);
  Narrow to = narrow_of(at, dim, count);
  to.narrow = to.split = to.wide = 0;
  uint32_t others = 0;
  for (uint32_t c = 0; c < count; ++c) {
    uint32_t* const record = to.records + to.narrow * dwords;
    record[0] = c, to.others[others] = static_cast<uint16_t>(c);
    const bool narrow = is_narrow<V>(entries + c * stride, dim, a.x_zero, 0, record);
    to.narrow += narrow, others += !narrow;
  }
  if (to.narrow * 2 < count) to.narrow = 0, others = 0;
  for (uint32_t i = 0; i < others; ++i) {
    const uint16_t c = to.others[i];
    uint32_t* const record = to.halves + to.split * 2 * dwords;
    record[0] = c, to.others[to.wide] = c;
    const bool split = is_split<V>(entries + c * stride, dim, a.x_zero, record);
    to.split += split, to.wide += !split;
  }
  uint32_t* const header = reinterpret_cast<uint32_t*>(at);
  header[0] = to.narrow, header[1] = to.split, header[2] = to.wide;
  return to;
}

// Pairs of inputs of all rows: [pair][half].
template <class T>
void rows_to_pairs(const Arranged& from, size_t rows, size_t dwords, uint8_t* to) {
  using V = typename T::Simd;
  for (size_t h = 0; h < 2; ++h) {
    uint32_t at[V::kBytes / 2];
    for (size_t w = 0; w < V::kBytes / 2; ++w) {
      const size_t row = pair_row<V>(h, w);
      at[w] = static_cast<uint32_t>(row < rows ? row * from.stride : 0);
    }
    for (size_t d = 0; d < dwords; d += 4) {
      const typename V::Eight pairs = V::transpose8(from.rows + 4 * d, at);
      for (size_t i = 0; i < 8; ++i) V::store(to + ((2 * d + i) * 2 + h) * V::kBytes, pairs.v[i]);
    }
  }
}

struct BuildNarrow {
  const uint8_t* x;  // pairs of the first block
  size_t x_step, blocks;
  const uint32_t* records;
  size_t count, pairs, shift;
  uint8_t* lines;  // of the first block
  size_t line_bytes, step;
};

// kPairs as many as there are, x in registers over all entries, as many as there are for that; 0:
// any number of pairs.
template <class V, size_t kPairs, bool kZero>
__attribute__((noinline)) void build_narrow(const BuildNarrow& b) {
  constexpr size_t kHeld = kPairs < 3 ? 2 * kPairs : 5;
  const size_t pairs = kPairs != 0 ? kPairs : b.pairs, count = b.count, line = b.line_bytes;
  const typename V::Vec factor = V::set16(static_cast<int16_t>(1 << (15 - b.shift)));
  uint8_t* lines = b.lines;
  const uint8_t *from = b.x, *const end = from + b.blocks * b.x_step;
  for (; from != end; from += b.x_step, lines += b.step) {
    const uint32_t* record = b.records;
    typename V::Vec x[kHeld != 0 ? kHeld : 1];
    _Pragma("GCC unroll 5") for (size_t v = 0; v < kHeld; ++v) x[v] = V::load(from + v * V::kBytes);
    for (size_t i = 0; i < count; ++i, record += pairs + 2) {
      typename V::Vec sum[2];
#define QRT_EACH_HALF _Pragma("GCC unroll 2") for (size_t h = 0; h < 2; ++h)
      if (kPairs != 0) {
        _Pragma("GCC unroll 4") for (size_t p = 0; p < kPairs; ++p) {
          const typename V::Vec w = V::dup32(record + 2 + p);
          QRT_EACH_HALF {
            const size_t v = p * 2 + h;
            const typename V::Vec bytes = v < kHeld ? x[v] : V::load(from + v * V::kBytes);
            const typename V::Vec products = V::mul_pairs(bytes, w);
            sum[h] = p == 0 ? products : V::add16(sum[h], products);
          }
        }
      } else {
        QRT_EACH_HALF sum[h] = V::zero();
        for (size_t p = 0; p < pairs; ++p) {
          const typename V::Vec w = V::dup32(record + 2 + p);
          QRT_EACH_HALF sum[h] =
              V::add16(sum[h], V::mul_pairs(V::load(from + (p * 2 + h) * V::kBytes), w));
        }
      }
      if (kZero) {
        const typename V::Vec start = V::dup32(record + 1);
        QRT_EACH_HALF sum[h] = V::add16(sum[h], start);
      }
      QRT_EACH_HALF sum[h] = V::mul_rounded(sum[h], factor);
#undef QRT_EACH_HALF
      V::store(lines + record[0] * line, V::bytes_of_words(sum[0], sum[1]));
    }
  }
}

// Both halves apart, then T of their mean: floor((p + q) / 2), one being less by 1, is rounded at a
// bit less.
template <class V>
__attribute__((noinline)) void build_split(const BuildNarrow& b) {
  const size_t pairs = b.pairs, line = b.line_bytes;
  const typename V::Vec factor = V::set16(static_cast<int16_t>(1 << (16 - b.shift)));
  uint8_t* lines = b.lines;
  const uint8_t *from = b.x, *const end = from + b.blocks * b.x_step;
  for (; from != end; from += b.x_step, lines += b.step) {
    const uint32_t *record = b.records, *const last = record + b.count * 2 * (pairs + 2);
    for (; record != last; record += 2 * (pairs + 2)) {
      typename V::Vec sum[2][2];
#define QRT_EACH                                         \
  _Pragma("GCC unroll 2") for (size_t k = 0; k < 2; ++k) \
      _Pragma("GCC unroll 2") for (size_t h = 0; h < 2; ++h)
      QRT_EACH sum[k][h] = V::dup32(record + k * (pairs + 2) + 1);
      for (size_t p = 0; p < pairs; ++p) {
        const uint8_t* const x = from + p * 2 * V::kBytes;
        QRT_EACH sum[k][h] = V::add16(
            sum[k][h],
            V::mul_pairs(V::load(x + h * V::kBytes), V::dup32(record + k * (pairs + 2) + 2 + p)));
      }
#undef QRT_EACH
      const typename V::Vec low = V::mul_rounded(V::mean16(sum[0][0], sum[1][0]), factor);
      const typename V::Vec high = V::mul_rounded(V::mean16(sum[0][1], sum[1][1]), factor);
      V::store(lines + record[0] * line, V::bytes_of_words(low, high));
    }
  }
}

template <class V, bool kZero>
void build_narrow_of(const BuildNarrow& b) {
  if (b.pairs == 2) return build_narrow<V, 2, kZero>(b);
  if (b.pairs == 4) return build_narrow<V, 4, kZero>(b);
  build_narrow<V, 0, kZero>(b);
}

template <class V>
void build_narrow_table(const BuildNarrow& b, bool has_zero) {
  if (has_zero)
    build_narrow_of<V, true>(b);
  else
    build_narrow_of<V, false>(b);
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_NARROW_H_
