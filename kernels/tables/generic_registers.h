// The way `registers`: one to four rows, keep 12, any codes of up to 8 bits. The tables of two
// blocks, 2^bits words each, stay in registers (8 + 8 at 8 bits) while the codes of all outputs
// pass by, 32 at a time; sums of 16 lookups in words, then in int32.
//
// Per 32 lookups of 256 entries: vpmovzxbw, 4 vpermi2w of 64 entries each (they read 6 bits of a
// code), 2 vptestmw for bits 6 and 7, 3 blends, an addition; 64 entries need no tests and blends.
#ifndef QRT_KERNELS_TABLES_GENERIC_REGISTERS_H_
#define QRT_KERNELS_TABLES_GENERIC_REGISTERS_H_

#include "kernels/tables/generic_outputs.h"

namespace qrt::kernels::tables {
namespace {

inline constexpr size_t kWide = 32;        // words of a vector
inline constexpr size_t kSumLookups = 16;  // of 12 bits that fit a word
inline constexpr size_t kRegisterRows = 4;

struct RegistersPlan {
  size_t entries, starts, tables, codes, acc, sums, copy, place, total;
};

inline size_t table_words(const Shape& s) {
  return up_to(size_t{1} << s.bits, 2 * kWide);
}

template <class V>
RegistersPlan registers_plan(const Shape& s) {
  const size_t dwords = up_to(s.dim, 4) / 4, words = table_words(s);
  const size_t outputs = up_to(s.outputs, kWide), group = least(s.blocks, kSumLookups);
  Carve carve;
  RegistersPlan p{};
  p.entries = carve.take(s.books * words * dwords * 4 * V::kXBytes / V::kBytes);
  p.starts = carve.take(s.books * words * sizeof(int32_t));
  p.tables = carve.take(kSumLookups * words * sizeof(int16_t));
  p.codes = carve.take(2 * outputs * sizeof(uint16_t));
  p.acc = carve.take(outputs * sizeof(int16_t));
  p.sums = carve.take(outputs * sizeof(int32_t));
  p.copy = carve.take(arranged_stride(group, s.dim));
  p.place = carve.take(group * dwords * 4 * sizeof(uint32_t));
  p.total = carve.end;
  return p;
}

// ---- tables ---------------------------------------------------------------------

// Entries to lanes, [dword][vector of entries]; those that do not exist repeat the first.
template <class V>
void words_to_lanes(const Args& a, uint8_t* to, int32_t* starts) {
  const size_t dwords = up_to(a.source.dim, 4) / 4, stride = a.source.entry_stride;
  const size_t words = table_words(shape_of(a)), vectors = words / V::kLanes;
  for (size_t book = 0; book < a.source.books; ++book, starts += words) {
    const int8_t* const entries = entries_of(a, book);
    for (size_t z = 0; z < vectors; ++z) {
      uint32_t at[V::kLanes];
      for (size_t i = 0; i < V::kLanes; ++i) {
        const size_t e = z / 2 * kWide + lane_row<V>(z % 2, i);
        at[i] = static_cast<uint32_t>(e >> a.source.bits == 0 ? e * stride : 0);
        starts[z * V::kLanes + i] = start_of(a, entries + at[i], V::kOffset);
      }
      for (size_t d = 0; d < dwords; d += 4) {
        const typename V::Four f =
            V::transpose4(reinterpret_cast<const uint8_t*>(entries) + 4 * d, at);
        for (size_t i = 0; i < least(4, dwords - d); ++i)
          V::put_e(to + ((d + i) * vectors + z) * V::kXBytes, f.v[i]);
      }
    }
    to += dwords * vectors * V::kXBytes;
  }
}

// The tables of blocks that lie behind each other at f.x; f.dwords each.
template <class V, Pre kPre>
__attribute__((noinline)) void fill_words(const Fill& f, size_t words) {
  const auto pre = V::count(f.pre_shift < 0 ? -f.pre_shift : f.pre_shift);
  const size_t vectors = words / V::kLanes;
  uint8_t* to = f.tables;
  for (size_t b = 0; b < f.blocks; ++b) {
    for (size_t z = 0; z < vectors; z += 2, to += V::kBytes) {
      typename V::Sum lo = V::start_e(f.starts + z * V::kLanes);
      typename V::Sum hi = V::start_e(f.starts + (z + 1) * V::kLanes);
      for (size_t d = 0; d < f.dwords; ++d) {
        const typename V::W four = V::dup_x(f.x + (b * f.dwords + d) * 4);
        const uint8_t* const e = f.entries + (d * vectors + z) * V::kXBytes;
        lo = V::mac_e(lo, V::load_x(e), four);
        hi = V::mac_e(hi, V::load_x(e + V::kXBytes), four);
      }
      V::store(to, V::template words_of<4>(shifted<V, kPre>(V::total(lo), pre),
                                           shifted<V, kPre>(V::total(hi), pre)));
    }
  }
}

// ---- lookups --------------------------------------------------------------------

struct Pass {
  const uint8_t* codes[2];  // of two blocks: bytes, or words
  const uint8_t* next[2];   // what is asked for meanwhile
  const uint8_t* tables;    // two
  size_t outputs;           // a multiple of kWide
  uint8_t* acc;
  bool first;
};

// kPairs pairs of registers a table; kBlocks tables; codes of bytes or of words.
template <class V, int kPairs, int kBlocks, bool kBytesOfCodes>
__attribute__((noinline)) void pass(const Pass& p) {
  typename V::Vec t[kBlocks][2 * kPairs];
  _Pragma("GCC unroll 2") for (int b = 0; b < kBlocks; ++b)
      _Pragma("GCC unroll 8") for (int i = 0; i < 2 * kPairs; ++i) t[b][i] =
          V::load(p.tables + (b * 2 * kPairs + i) * V::kBytes);
  for (size_t n = 0; n < p.outputs; n += kWide) {
    typename V::Vec s = p.first ? V::zero() : V::load(p.acc + 2 * n);
    _Pragma("GCC unroll 2") for (int b = 0; b < kBlocks; ++b) {
      const typename V::Vec c =
          kBytesOfCodes ? V::words_of_bytes(p.codes[b] + n) : V::load(p.codes[b] + 2 * n);
      if (kBytesOfCodes) __builtin_prefetch(p.next[b] + n);
      s = V::add16(s, V::template pick_words<kPairs>(t[b], c));
    }
    V::store(p.acc + 2 * n, s);
  }
}

template <class V, int kPairs>
void pass_of(const Pass& p, size_t blocks, bool bytes) {
  if (blocks == 2)
    bytes ? pass<V, kPairs, 2, true>(p) : pass<V, kPairs, 2, false>(p);
  else
    bytes ? pass<V, kPairs, 1, true>(p) : pass<V, kPairs, 1, false>(p);
}

// One or two blocks of a book for all outputs.
template <class V>
void look_words_up(const Args& a, const RegistersPlan& p, const Unpack& u, size_t book,
                   size_t block, size_t blocks, size_t held, bool first) {
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  const int8::Coded& s = a.source;
  const size_t words = table_words(shape_of(a)), outputs = up_to(a.outputs, kWide);
  const uint8_t* codes = s.codes + book * s.book_bytes + block * s.row_bytes + a.first_output;
  const bool bytes = s.bits == 8 && static_cast<size_t>(s.codes_end - codes) >=
                                        (blocks - 1) * s.row_bytes + outputs;
  Pass k{{}, {}, at + p.tables + held * words * 2, outputs, at + p.acc, first};
  for (size_t i = 0; i < blocks; ++i, codes += s.row_bytes) {
    uint16_t* const copy = reinterpret_cast<uint16_t*>(at + p.codes) + i * outputs;
    if (!bytes) unpack<V>(s, u, book, block + i, a.first_output, a.outputs, copy, kChunk);
    k.codes[i] = bytes ? codes : reinterpret_cast<const uint8_t*>(copy);
    k.next[i] = codes + 2 * s.row_bytes;
  }
  if (words == 64)
    pass_of<V, 1>(k, blocks, bytes);
  else if (words == 128)
    pass_of<V, 2>(k, blocks, bytes);
  else
    pass_of<V, 4>(k, blocks, bytes);
}

// ---- outputs --------------------------------------------------------------------

// Plain loops over 64 outputs at a time: the compiler makes vectors of them.
inline void finish_sums(const Args& a, size_t row, const int32_t* sums) {
  constexpr size_t kSome = 64;
  const int8::Finish& f = a.finish;
  for (size_t n = 0; n < a.outputs; n += kSome) {
    const size_t live = least(kSome, a.outputs - n);
    float t[kSome];
    for (size_t i = 0; i < live; ++i) t[i] = static_cast<float>(sums[n + i]);
    if (f.scale)
      for (size_t i = 0; i < live; ++i) t[i] *= f.scale[n + i];
    if (f.bias)
      for (size_t i = 0; i < live; ++i) t[i] += f.bias[n + i];
    if (f.residual) {
      const uint8_t* const add = f.residual + row * f.residual_stride + n;
      for (size_t i = 0; i < live; ++i)
        t[i] += static_cast<float>(int32_t{add[i]} - f.residual_zero) * f.residual_scale;
    }
    for (size_t i = 0; i < live; ++i) {
      const float up = t[i] > f.min ? t[i] : f.min;
      t[i] = up < f.max ? up : f.max;
    }
    if (a.y32) {
      std::memcpy(a.y32 + row * a.y_stride + n, t, live * sizeof(float));
      continue;
    }
    // Adding 1.5 * 2^23 leaves no bits behind the point: whole numbers, to nearest even.
    uint8_t* const y = a.y8 + row * a.y_stride + n;
    for (size_t i = 0; i < live; ++i) {
      const float whole = t[i] + 12582912.0f - 12582912.0f;
      y[i] = static_cast<uint8_t>(static_cast<int32_t>(whole) + f.zero);
    }
  }
}

// sums (+)= acc.
inline void widen(const int16_t* acc, size_t outputs, bool first, int32_t* sums) {
  if (first)
    for (size_t n = 0; n < outputs; ++n) sums[n] = acc[n];
  else
    for (size_t n = 0; n < outputs; ++n) sums[n] += acc[n];
}

template <class V>
void registers_row(const Args& a, const RegistersPlan& p, size_t row) {
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  const Shape s = shape_of(a);
  const size_t dwords = up_to(s.dim, 4) / 4, words = table_words(s);
  const Unpack u = unpack_of(a.source, a.first_output, 0);
  int32_t* const sums = reinterpret_cast<int32_t*>(at + p.sums);
  Args one = rows_from(a, row);
  one.rows = 1;
  for (size_t book = 0; book < s.books; ++book) {
    Fill f{};
    f.entries = at + p.entries + book * words / V::kLanes * dwords * V::kXBytes;
    f.starts = reinterpret_cast<const int32_t*>(at + p.starts) + book * words;
    f.dwords = dwords, f.pre_shift = pre_shift(s), f.tables = at + p.tables;
    for (size_t b = 0; b < s.blocks; b += f.blocks) {
      f.blocks = least(kSumLookups, s.blocks - b);
      f.x = arrange(one, b, f.blocks, at + p.copy, reinterpret_cast<uint32_t*>(at + p.place)).rows;
      if (f.pre_shift >= 0)
        fill_words<V, Pre::right>(f, words);
      else
        fill_words<V, Pre::left>(f, words);
      for (size_t i = 0; i < f.blocks; i += 2)
        look_words_up<V>(a, p, u, book, b + i, least(2, f.blocks - i), i, i == 0);
      widen(reinterpret_cast<const int16_t*>(at + p.acc), a.outputs, book == 0 && b == 0, sums);
    }
  }
  finish_sums(a, row, sums);
}

// Nanoseconds of a table of 64 entries made, of each dword of one; of 32 outputs looked up by
// 64, 128 and 256 entries; of unpacking 32 codes that are no bytes; of an output finished.
struct RegistersCost {
  float table, dword, lookup64, lookup128, lookup256, codes, finish;
};

template <class V>
struct Registers {
  static bool can(const Shape& s) {
    return in_contract(s) && s.keep == 12 && s.rows <= kRegisterRows;
  }
  static size_t scratch(const Shape& s) { return can(s) ? registers_plan<V>(s).total : 0; }
  static float cost_ns(const Shape& s, const RegistersCost& c) {
    if (!can(s)) return -1.0f;
    const float rows = static_cast<float>(s.rows), lookups = static_cast<float>(s.blocks * s.books);
    const float tables = static_cast<float>(table_words(s)) / 64.0f;
    const float dwords = static_cast<float>(up_to(s.dim, 4) / 4);
    const float vectors = static_cast<float>(up_to(s.outputs, kWide) / kWide);
    const float lookup = s.bits <= 6 ? c.lookup64 : s.bits == 7 ? c.lookup128 : c.lookup256;
    const float codes = s.bits == 8 ? 0.0f : c.codes;
    return rows * (lookups * (tables * (c.table + dwords * c.dword) + vectors * (lookup + codes)) +
                   static_cast<float>(s.outputs) * c.finish);
  }
  static void run(const Args& a) {
    if (a.rows == 0 || a.outputs == 0) return;
    const RegistersPlan p = registers_plan<V>(shape_of(a));
    uint8_t* const at = static_cast<uint8_t*>(a.scratch);
    words_to_lanes<V>(a, at + p.entries, reinterpret_cast<int32_t*>(at + p.starts));
    for (size_t row = 0; row < a.rows; ++row) registers_row<V>(a, p, row);
  }
};

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_REGISTERS_H_
