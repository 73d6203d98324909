// The loops of the codebook family, written once over the primitives of an ISA:
// panels and the GEMM that multiplies them. (generic_rows.h has the dot form and the
// gathering of rows, generic_lookup.h the tables.) An ISA file gives a struct V in an anonymous
// namespace, so that every instance here stays internal to that file:
//
//   Vec, kLanes            a vector of floats
//   kTileM, kTileN         the register tile; kTileN a multiple of kLanes
//   zero set1 load store   load and store take any address
//   load_part store_part   the first n < kLanes elements, nothing read or written beyond
//   add mul min max fma    fma(a, b, c) = a * b + c; min, max give b if a is a NaN
//   transpose4(p, at)      four vectors, j < 4: {p[at[0] + j], ..., p[at[kLanes - 1] + j]};
//                          the one shuffle everything here is made of
//   Four                   what it returns: members a, b, c, d
//   unpack(p, u, at)       eight codes of CodeSteps `u` from 16 bytes at p, times u.scale
//   Quad, quad_*           four floats
#ifndef QRT_KERNELS_CODEBOOK_GENERIC_H_
#define QRT_KERNELS_CODEBOOK_GENERIC_H_

#include <cstring>
#include <utility>

#include "kernels/codebook/codebook.h"

namespace qrt::kernels::codebook {

// Codes first ... first + Count of a packed row. A code of `bits` <= 16 lies in the
// four bytes from its first bit on; the last codes of a file are read byte by byte.
// Codes from `live` on repeat the first: lanes nobody looks at.
template <class V, size_t Count>
__attribute__((noinline)) void read_codes(const Source& s, const uint8_t* row, size_t first,
                                          size_t live, uint32_t (&codes)[Count]) {
  if (s.bits == 8) {
    if (live >= Count) {
      for (size_t i = 0; i < Count; ++i) codes[i] = row[first + i];
      return;
    }
    for (size_t i = 0; i < live; ++i) codes[i] = row[first + i];
  } else {
    const uint32_t mask = (1u << s.bits) - 1u;
    for (size_t i = 0; i < Count && i < live; ++i) {
      const size_t bit = (first + i) * s.bits;
      const uint8_t* p = row + bit / 8;
      uint32_t word = 0;
      if (s.codes_end - p >= 4) {
        std::memcpy(&word, p, 4);
      } else {
        for (ptrdiff_t byte = 0; byte < s.codes_end - p; ++byte)
          word |= uint32_t{p[byte]} << 8 * byte;
      }
      codes[i] = word >> bit % 8 & mask;
    }
  }
  for (size_t i = live; i < Count; ++i) codes[i] = codes[0];
}

template <class V>
inline uint32_t scope_of(const Source& s, size_t output) {
  return s.scope_rows == 0 ? 0u : static_cast<uint32_t>(output / s.scope_rows * s.scope_stride);
}

// How to take eight codes, which begin on a byte, out of 16 bytes: byte shuffles of
// both 128-bit halves (codes 0..3 and 4..7, four bytes each), then shifts and a mask.
struct CodeSteps {
  alignas(32) uint8_t bytes[32];
  alignas(32) uint32_t shift[8];
  uint32_t mask, scale;
};

template <class V>
inline CodeSteps code_steps(const Source& s, size_t scale) {
  CodeSteps u;
  for (uint32_t i = 0; i < 8; ++i) {
    const uint32_t bit = i * s.bits;
    u.shift[i] = bit % 8;
    for (uint32_t j = 0; j < 4; ++j)  // the 17th byte holds no bit of ours: 0x80 gives zero
      u.bytes[i * 4 + j] = static_cast<uint8_t>(bit / 8 + j < 16 ? bit / 8 + j : 0x80);
  }
  u.mask = (1u << s.bits) - 1u, u.scale = static_cast<uint32_t>(scale);
  return u;
}

// Where in s.entries (or in a table, by the scale of `steps`) the entries of Count
// outputs begin, for one block of one book.
template <class V, size_t Count>
inline void entries_of(const Source& s, const CodeSteps& steps, const uint8_t* row, size_t first,
                       size_t live, const uint32_t (&scope)[Count], uint32_t* at) {
  const size_t bit = first * s.bits;
  if (bit % 8 == 0 && Count % 8 == 0 && live >= Count && s.scope_rows == 0) {
    const uint8_t* p = row + bit / 8;
    if (s.codes_end - p >= static_cast<ptrdiff_t>(Count / 8 * s.bits + 16)) {
      for (size_t i = 0; i < Count; i += 8, p += s.bits) V::unpack(p, steps, at + i);
      return;
    }
  }
  if (Count < 8 && s.bits == 8 && live >= Count) {  // vectors of four: bytes one by one
    for (size_t i = 0; i < Count; ++i) at[i] = scope[i] + row[first + i] * steps.scale;
    return;
  }
  uint32_t codes[Count] = {};
  read_codes<V>(s, row, first, live, codes);
  for (size_t i = 0; i < Count; ++i) at[i] = scope[i] + codes[i] * steps.scale;
}

// ---- panels -----------------------------------------------------------------

// Walks the rows of a panel in the order of the source's inputs. kAdd: a later book adds
// to what the first one stored. kTaps: inputs of a window, T > 1.
template <class V, bool kAdd, bool kTaps>
struct PanelRows {
  PanelRows(const PanelArgs& a, size_t column)
      : channel(a.panel + column), to(channel), taps(a.taps), step(a.inputs / a.taps * V::kTileN) {}
  void put(typename V::Vec v) {
    V::store(to, kAdd ? V::add(V::load(to), v) : v);
    if (!kTaps) {
      to += V::kTileN;
    } else {
      to += step;
      if (++tap == taps) tap = 0, channel += V::kTileN, to = channel;
    }
  }
  float *channel, *to;
  size_t tap = 0, taps, step;
};

// Four rows of the panel come from one transpose of kLanes entries.
template <class V, class Rows>
inline void put_block(const float* entries, const uint32_t* at, size_t depth, Rows& rows) {
  for (; depth >= 4; depth -= 4, entries += 4) {
    // g++-12 would turn `at` into kLanes pointers ahead of the loop, spill them and load
    // them again: half of the time of a panel. This keeps them offsets in memory.
    __asm__("" : "+r"(at));
    const typename V::Four r = V::transpose4(entries, at);
    rows.put(r.a), rows.put(r.b), rows.put(r.c), rows.put(r.d);
  }
  if (depth == 0) return;
  __asm__("" : "+r"(at));
  const typename V::Four r = V::transpose4(entries, at);
  rows.put(r.a);
  if (depth > 1) rows.put(r.b);
  if (depth > 2) rows.put(r.c);
}

// One vector of columns of one book. Codes become addresses some blocks ahead of their
// use: written as vectors and read back as scalars, they must have reached the cache.
template <class V, bool kAdd, bool kTaps>
void panel_columns(const PanelArgs& a, size_t book, size_t column, size_t live) {
  constexpr size_t L = V::kLanes, kAhead = 16;
  const Source& s = a.source;
  const size_t first = a.first_output + column, blocks = (a.inputs + s.dim - 1) / s.dim;
  uint32_t scope[L], at[kAhead][L];
  for (size_t i = 0; i < L; ++i) scope[i] = scope_of<V>(s, first + (i < live ? i : 0));
  const CodeSteps steps = code_steps<V>(s, s.entry_stride);
  const float* entries = s.entries + book * s.book_stride;
  const uint8_t* row = s.codes + book * s.book_bytes + a.first_block * s.row_bytes;
  PanelRows<V, kAdd, kTaps> rows(a, column);
  for (size_t b0 = 0, left = a.inputs; b0 < blocks; b0 += kAhead) {
    const size_t group = blocks - b0 < kAhead ? blocks - b0 : kAhead;
    for (size_t b = 0; b < group; ++b, row += s.row_bytes)
      entries_of<V>(s, steps, row, first, live, scope, at[b]);
    for (size_t b = 0; b < group; ++b) {
      const size_t depth = left < s.dim ? left : s.dim;
      put_block<V>(entries, at[b], depth, rows);
      left -= depth;
    }
  }
}

template <class V>
void panel(const PanelArgs& a) {
  for (size_t column = 0; column < a.outputs; column += V::kLanes) {
    for (size_t book = 0; book < a.source.books; ++book) {
      const auto columns =
          a.taps == 1 ? (book == 0 ? panel_columns<V, false, false> : panel_columns<V, true, false>)
                      : (book == 0 ? panel_columns<V, false, true> : panel_columns<V, true, true>);
      columns(a, book, column, a.outputs - column);
    }
  }
}

// ---- the register tile --------------------------------------------------------

template <class V>
inline typename V::Vec load_upto(const float* p, size_t n) {
  return n >= V::kLanes ? V::load(p) : V::load_part(p, n);
}

template <class V>
inline void store_upto(float* p, typename V::Vec v, size_t n) {
  if (n >= V::kLanes)
    V::store(p, v);
  else
    V::store_part(p, v, n);
}

// `R` rows by `NV` vectors of sums, a.outputs = NV * kLanes. Every loop over the tile
// is unrolled: an array indexed by a variable would live in memory, and g++-12 would
// keep it there.
template <class V, int R, int NV>
void tile(const GemmArgs& a) {
  using Vec = typename V::Vec;
  constexpr size_t L = V::kLanes;
  Vec sum[R][NV];
  const size_t step = a.x_stride;
#define QRT_EACH_ROW _Pragma("GCC unroll 16") for (int r = 0; r < R; ++r)
#define QRT_EACH_SUM QRT_EACH_ROW _Pragma("GCC unroll 4") for (int j = 0; j < NV; ++j)
#define QRT_EACH_VECTOR _Pragma("GCC unroll 4") for (int j = 0; j < NV; ++j)
  if (a.first) {
    QRT_EACH_SUM sum[r][j] = V::zero();
  } else {
    QRT_EACH_SUM sum[r][j] = V::load(a.y + r * a.y_stride + j * L);
  }
  const float *w = a.panel, *x = a.x, *const end = x + a.inputs;
  for (; x != end; ++x, w += V::kTileN) {
    Vec b[NV];
    QRT_EACH_VECTOR b[j] = V::load(w + j * L);
    QRT_EACH_ROW {
      const Vec v = V::set1(x[r * step]);
      QRT_EACH_VECTOR sum[r][j] = V::fma(v, b[j], sum[r][j]);
    }
  }
  if (a.last) {
    const Finish& f = a.finish;
    Vec c[NV];
    if (f.scale) {
      QRT_EACH_VECTOR c[j] = V::load(f.scale + j * L);
      QRT_EACH_SUM sum[r][j] = V::mul(sum[r][j], c[j]);
    }
    if (f.bias) {
      QRT_EACH_VECTOR c[j] = V::load(f.bias + j * L);
      QRT_EACH_SUM sum[r][j] = V::add(sum[r][j], c[j]);
    }
    if (f.residual) {
      QRT_EACH_SUM sum[r][j] =
          V::add(sum[r][j], V::load(f.residual + r * f.residual_stride + j * L));
    }
    const Vec lo = V::set1(f.min), hi = V::set1(f.max);
    QRT_EACH_SUM sum[r][j] = V::min(hi, V::max(lo, sum[r][j]));
  }
  QRT_EACH_SUM V::store(a.y + r * a.y_stride + j * L, sum[r][j]);
#undef QRT_EACH_ROW
#undef QRT_EACH_SUM
#undef QRT_EACH_VECTOR
}

template <class V, int NV, int... R>
inline void tile_of(const GemmArgs& a, std::integer_sequence<int, R...>) {
  using Fn = void(const GemmArgs&);
  static constexpr Fn* kByRows[] = {&tile<V, R + 1, NV>...};
  kByRows[a.rows - 1](a);
}

template <class V>
inline void tile_of_rows(const GemmArgs& a) {
  static_assert(V::kTileN == 2 * V::kLanes, "panels of one vector and of two");
  constexpr std::make_integer_sequence<int, V::kTileM> heights{};
  if (a.outputs > V::kLanes)
    tile_of<V, 2>(a, heights);
  else
    tile_of<V, 1>(a, heights);
}

// The last columns of a layer: everything that is read or written by whole vectors
// is staged in a tile of our own, so that tile() needs no partial form.
template <class V>
void narrow_tile(const GemmArgs& a) {
  constexpr size_t N = V::kTileN;
  float y[V::kTileM * N], residual[V::kTileM * N] = {}, scale[N] = {}, bias[N] = {};
  GemmArgs b = a;
  b.y = y, b.y_stride = N;
  b.outputs = a.outputs > V::kLanes ? N : V::kLanes;
  const size_t bytes = a.outputs * sizeof(float);
  if (a.finish.scale) std::memcpy(scale, a.finish.scale, bytes), b.finish.scale = scale;
  if (a.finish.bias) std::memcpy(bias, a.finish.bias, bytes), b.finish.bias = bias;
  for (size_t r = 0; r < a.rows; ++r) {
    if (!a.first) std::memcpy(y + r * N, a.y + r * a.y_stride, bytes);
    if (a.finish.residual)
      std::memcpy(residual + r * N, a.finish.residual + r * a.finish.residual_stride, bytes);
  }
  if (a.finish.residual) b.finish.residual = residual, b.finish.residual_stride = N;
  tile_of_rows<V>(b);
  for (size_t r = 0; r < a.rows; ++r) std::memcpy(a.y + r * a.y_stride, y + r * N, bytes);
}

// Tiles of about equal height: 49 rows go as 13 + 12 + 12 + 12 and not as 3 * 14 + 7.
template <class V>
void gemm(const GemmArgs& all) {
  if (all.outputs == 0) return;
  const size_t tiles = (all.rows + V::kTileM - 1) / V::kTileM;
  GemmArgs a = all;
  for (size_t t = 0; t < tiles; ++t) {
    a.rows = all.rows / tiles + (t < all.rows % tiles ? 1 : 0);
    if (a.outputs % V::kLanes == 0)
      tile_of_rows<V>(a);
    else
      narrow_tile<V>(a);
    a.x += a.rows * a.x_stride, a.y += a.rows * a.y_stride;
    if (a.finish.residual) a.finish.residual += a.rows * a.finish.residual_stride;
  }
}

}  // namespace qrt::kernels::codebook

#endif  // QRT_KERNELS_CODEBOOK_GENERIC_H_
