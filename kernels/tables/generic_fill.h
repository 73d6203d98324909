// Tables for outputs in lanes: entries go to lanes, and a row's bytes meet them there. What is
// small is summed in 16 bits, as in generic_narrow.h.
#ifndef QRT_KERNELS_TABLES_GENERIC_FILL_H_
#define QRT_KERNELS_TABLES_GENERIC_FILL_H_

#include "kernels/tables/generic_narrow.h"

namespace qrt::kernels::tables {
namespace {

inline constexpr size_t kNibbles = 16;  // entries

// Entries of a book in lanes as generic_narrow.h has rows: words of what sums start from, then of
// pairs; where not all of them are narrow, those of their other halves behind. In front how many
// there are: 0, 1 or 2.
constexpr size_t narrow_words(uint32_t dim) {
  return (1 + narrow_pairs(dim)) * kNibbles;
}
constexpr size_t narrow_lanes_bytes(uint32_t dim) {
  return 64 + up_to(2 * narrow_words(dim) * 2, 64);
}

// The byte of a packed line that lane `lane` of int32 vector z becomes.
template <class N>
constexpr size_t packed_byte(size_t z, size_t lane) {
  return N::byte_of(lane_row<N>(z, lane));
}

// What a place of a table holds: its own entry, where nothing else is said.
inline size_t own_entry(size_t place, size_t) {
  return place;
}

// Entries to lanes, [line][dword][vector], so that a line of N::kBytes entries has in byte i of a
// table the entry that entry(i, half of the table) names, `byte` saying where lanes go. Entries
// beyond those that exist repeat them.
template <class N>
void entries_to_lanes(const Args& a, size_t lines, size_t (*byte)(size_t z, size_t lane),
                      uint8_t* to, int32_t* starts,
                      size_t (*entry)(size_t place, size_t half) = own_entry) {
  const size_t dwords = up_to(a.source.dim, 4) / 4, stride = a.source.entry_stride;
  const size_t last = (size_t{1} << a.source.bits) - 1;
  const int32_t start = start_without_zero(a);
  uint8_t zeros[4];
  std::memset(zeros, a.x_zero, sizeof zeros);
  const typename N::W zero = N::dup_x(zeros);
  for (size_t i = 0; i < a.source.books * lines; ++i) {
    const int8_t* const entries = entries_of(a, i / lines);
    for (size_t z = 0; z < 4; ++z) {
      uint32_t at[N::kLanes];
      for (size_t j = 0; j < N::kLanes; ++j) {
        const size_t e = entry(i % lines * N::kBytes + byte(z, j), lines * N::kBytes / 2);
        at[j] = static_cast<uint32_t>((e & last) * stride);
      }
      for (size_t d = 0; d < dwords; d += 4) {
        const typename N::Four f =
            N::transpose4(reinterpret_cast<const uint8_t*>(entries) + 4 * d, at);
        for (size_t k = 0; k < least(4, dwords - d); ++k)
          N::put_e(to + ((d + k) * 4 + z) * N::kXBytes, f.v[k]);
      }
      typename N::Sum sum = N::start(0);
      for (size_t d = 0; d < dwords; ++d)
        sum = N::mac_e(sum, N::load_x(to + (d * 4 + z) * N::kXBytes), zero);
      const typename N::Vec taken = N::total(sum);
      int32_t* const lanes = starts + z * N::kLanes;
      std::memcpy(lanes, &taken, sizeof taken);
      for (size_t j = 0; j < N::kLanes; ++j) lanes[j] = start - lanes[j];
    }
    to += dwords * 4 * N::kXBytes, starts += N::kBytes;
  }
}

template <class N>
void narrow_to_lanes(const Args& a, size_t book, uint8_t* to) {
  const uint32_t dim = a.source.dim;
  const size_t stride = a.source.entry_stride, dwords = narrow_dwords(dim);
  const int8_t* const entries = entries_of(a, book);
  uint16_t* const words = reinterpret_cast<uint16_t*>(to + 64);
  uint32_t records[2 * narrow_dwords(kMaxDim) + 3];
  uint8_t halves = 1;
  for (size_t e = 0; e < kNibbles; ++e)
    if (!is_narrow<N>(entries + e * stride, dim, a.x_zero, 0, records)) halves = 2;
  for (size_t e = 0; e < kNibbles && halves != 0; ++e) {
    if (halves == 1)
      is_narrow<N>(entries + e * stride, dim, a.x_zero, 0, records);
    else if (!is_split<N>(entries + e * stride, dim, a.x_zero, records))
      halves = 0;
    for (size_t k = 0; k < halves; ++k)
      for (size_t p = 0; p <= narrow_pairs(dim); ++p)
        words[k * narrow_words(dim) + p * kNibbles + e] =
            static_cast<uint16_t>(records[k * dwords + p + 1]);
  }
  to[0] = halves;
}

struct Fill {
  const uint8_t* x;  // arranged blocks of one row
  const uint8_t* entries;
  const int32_t* starts;
  size_t dwords, blocks;
  int pre_shift;
  uint8_t* tables;
  const uint8_t* narrow;
  size_t pairs, halves;
};

template <class N, int kKeep, Pre kPre>
__attribute__((noinline)) void fill(const Fill& f) {
  const auto pre = N::count(f.pre_shift < 0 ? -f.pre_shift : f.pre_shift);
  const uint8_t* x = f.x;
  for (size_t b = 0; b < f.blocks; ++b) {
    typename N::Sum sum[4];
    typename N::Vec v[4];
#define QRT_EACH _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z)
    QRT_EACH sum[z] = N::start_e(f.starts + 4 * z);
    const uint8_t* e = f.entries;
    for (size_t d = 0; d < f.dwords; ++d, x += 4, e += 4 * N::kXBytes) {
      const typename N::W four = N::dup_x(x);
      QRT_EACH sum[z] = N::mac_e(sum[z], N::load_x(e + z * N::kXBytes), four);
    }
    QRT_EACH v[z] = shifted<N, kPre>(N::total(sum[z]), pre);
    N::store(f.tables + b * kNibbles, N::template bytes_of<16 - kKeep>(v[0], v[1], v[2], v[3]));
#undef QRT_EACH
  }
}

// kPairs as many as there are; 0: any number of them.
template <class N, size_t kPairs, size_t kHalves>
__attribute__((noinline)) void fill_narrow(const Fill& f) {
  const size_t pairs = kPairs != 0 ? kPairs : f.pairs, other = (1 + pairs) * 2 * N::kBytes;
  const auto factor = static_cast<int16_t>(kHalves << (7 - f.pre_shift));
  const uint8_t *x = f.x, *const e = f.narrow;
  for (size_t b = 0; b < f.blocks; ++b, x += f.dwords * 4) {
    typename N::Vec sum[kHalves][2];
#define QRT_EACH                                               \
  _Pragma("GCC unroll 2") for (size_t k = 0; k < kHalves; ++k) \
      _Pragma("GCC unroll 2") for (size_t h = 0; h < 2; ++h)
    QRT_EACH sum[k][h] = N::load(e + k * other + h * N::kBytes);
    _Pragma("GCC unroll 4") for (size_t p = 0; p < pairs; ++p) {
      int16_t two;
      std::memcpy(&two, x + 2 * p, sizeof two);
      const typename N::Vec bytes = N::set16(two);
      QRT_EACH sum[k][h] = N::add16(
          sum[k][h], N::mul_pairs(bytes, N::load(e + k * other + (2 * p + 2 + h) * N::kBytes)));
    }
#undef QRT_EACH
    if constexpr (kHalves == 2)
      for (size_t h = 0; h < 2; ++h) sum[0][h] = N::mean16(sum[0][h], sum[1][h]);
    N::store(f.tables + b * kNibbles,
             N::bytes_of_words(N::mul_rounded(sum[0][0], N::set16(factor)),
                               N::mul_rounded(sum[0][1], N::set16(factor))));
  }
}

template <class N, size_t kHalves>
void fill_narrow_of(const Fill& f) {
  if (f.pairs == 2) return fill_narrow<N, 2, kHalves>(f);
  if (f.pairs == 4) return fill_narrow<N, 4, kHalves>(f);
  fill_narrow<N, 0, kHalves>(f);
}

template <class N, int kKeep>
void fill_tables(const Fill& f) {
  if constexpr (N::kNarrow && kKeep == 8) {
    if (f.halves == 1) return fill_narrow_of<N, 1>(f);
    if (f.halves == 2) return fill_narrow_of<N, 2>(f);
  }
  if (f.pre_shift == 0)
    fill<N, kKeep, Pre::none>(f);
  else if (f.pre_shift > 0)
    fill<N, kKeep, Pre::right>(f);
  else
    fill<N, kKeep, Pre::left>(f);
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_FILL_H_
