// A part of the matrix, kTerms x kColumns, is copied into the cache and taken by up to kSums
// vectors, four at a time, whose sums over these columns stay in the cache until all terms
// are in. Lanes are columns. Vectors are spelled out: left to itself GCC 12 keeps the
// sums of some shapes in memory, five times as slow. With AVX-512 nothing is won: without
// fused operations two units of 256 bits are as fast. Built with -ffp-contract=off.
#include "converter/quant/products.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace qrt::quant {
namespace {

constexpr size_t kSums = 64, kTerms = 64, kColumns = 256;  // 128 KB of matrix, 128 KB of sums
constexpr size_t kTileSums = 4;

// A tile: `terms` terms of kTileSums vectors (x [terms][kTileSums]) with some columns of the matrix
// (m [terms][columns]), added to sums [kTileSums][kColumns].
struct Tile {
  const double* x;
  const double* m;
  size_t terms;
  double* sums;
};

#if defined(__GNUC__)
// Two vectors wide. A macro: GCC takes vectors apart where the target has none as wide, and does so
// before a template would be inlined into a function of another target.
#define QRT_TILE(name, isa, width)                                                    \
  isa void name(const Tile& t) {                                                      \
    typedef double Lanes __attribute__((vector_size(width), aligned(8)));             \
    constexpr size_t kLanes = sizeof(Lanes) / sizeof(double);                         \
    Lanes sums[kTileSums][2], row[2];                                                 \
    for (size_t v = 0; v < kTileSums; ++v)                                            \
      std::memcpy(sums[v], t.sums + v * kColumns, sizeof row);                        \
    for (size_t i = 0; i < t.terms; ++i) {                                            \
      std::memcpy(row, t.m + i * 2 * kLanes, sizeof row);                             \
      for (size_t v = 0; v < kTileSums; ++v)                                          \
        for (size_t c = 0; c < 2; ++c) sums[v][c] += t.x[i * kTileSums + v] * row[c]; \
    }                                                                                 \
    for (size_t v = 0; v < kTileSums; ++v)                                            \
      std::memcpy(t.sums + v * kColumns, sums[v], sizeof row);                        \
  }
QRT_TILE(tile_plain, , 16)
constexpr size_t kPlainColumns = 4;
#else
constexpr size_t kPlainColumns = 4;
void tile_plain(const Tile& t) {
  for (size_t i = 0; i < t.terms; ++i)
    for (size_t v = 0; v < kTileSums; ++v)
      for (size_t c = 0; c < kPlainColumns; ++c)
        t.sums[v * kColumns + c] += t.x[i * kTileSums + v] * t.m[i * kPlainColumns + c];
}
#endif

struct Kernel {
  size_t columns;
  void (*run)(const Tile&);
};

#if defined(__GNUC__) && defined(__x86_64__)
QRT_TILE(tile_avx2, [[gnu::target("avx2")]], 32)
Kernel pick() {
  return __builtin_cpu_supports("avx2") ? Kernel{8, tile_avx2} : Kernel{kPlainColumns, tile_plain};
}
#else
Kernel pick() {
  return {kPlainColumns, tile_plain};
}
#endif
#undef QRT_TILE

size_t round_up(size_t count, size_t step) {
  return (count + step - 1) / step * step;
}

// What a part of the matrix, of the vectors and of their sums is copied into; zeros fill up.
struct Parts {
  Parts(size_t vectors, size_t terms, size_t columns, const Kernel& kernel)
      : m(std::min(terms, kTerms) * round_up(std::min(columns, kColumns), kernel.columns)),
        x(std::min(terms, kTerms) * round_up(std::min(vectors, kSums), kTileSums)),
        sums(kColumns * round_up(std::min(vectors, kSums), kTileSums)) {}
  std::vector<double> m, x, sums;
};

// One vector alone, without copies.
void add_one(const Sum& sum, const double* m, std::ptrdiff_t stride, size_t terms, size_t columns) {
  for (size_t i = 0; i < terms; ++i) {
    const double x = sum.x[i];
    const double* row = m + static_cast<std::ptrdiff_t>(i) * stride;
    if (x == 0) continue;  // adds zeros, which changes no bit of a sum that is not -0
    for (size_t j = 0; j < columns; ++j) sum.out[j] += x * row[j];
  }
}

// x of the vectors [tile of vectors][term][vector], terms from `first`.
void take_factors(std::span<const Sum> sums, size_t first, size_t terms, Parts& p) {
  for (size_t v = 0; v < sums.size(); ++v) {
    double* x = &p.x[v / kTileSums * kTileSums * terms + v % kTileSums];
    for (size_t i = 0; i < terms; ++i) x[i * kTileSums] = sums[v].x[first + i];
  }
  for (size_t v = sums.size(); v % kTileSums != 0; ++v) {
    double* x = &p.x[v / kTileSums * kTileSums * terms + v % kTileSums];
    for (size_t i = 0; i < terms; ++i) x[i * kTileSums] = 0;
  }
}

// Rows of the matrix as [tile of columns][term][column].
void take_rows(const double* m, std::ptrdiff_t stride, size_t terms, size_t columns, size_t wide,
               Parts& p) {
  for (size_t i = 0; i < terms; ++i) {
    const double* row = m + static_cast<std::ptrdiff_t>(i) * stride;
    for (size_t j = 0; j < columns; j += wide) {
      double* to = &p.m[j * terms + i * wide];
      const size_t here = std::min(wide, columns - j);
      for (size_t c = 0; c < here; ++c) to[c] = row[j + c];
      for (size_t c = here; c < wide; ++c) to[c] = 0;
    }
  }
}

void add_some(std::span<const Sum> sums, const double* m, std::ptrdiff_t stride, size_t terms,
              size_t columns, const Kernel& kernel, Parts& p) {
  for (size_t j = 0; j < columns; j += kColumns) {
    const size_t width = std::min(kColumns, columns - j);
    for (size_t v = 0; v < sums.size(); ++v)
      std::copy_n(sums[v].out + j, width, &p.sums[v * kColumns]);
    for (size_t i = 0; i < terms; i += kTerms) {
      const size_t depth = std::min(kTerms, terms - i);
      take_factors(sums, i, depth, p);
      take_rows(m + static_cast<std::ptrdiff_t>(i) * stride + j, stride, depth, width,
                kernel.columns, p);
      for (size_t v = 0; v < sums.size(); v += kTileSums)
        for (size_t c = 0; c < width; c += kernel.columns)
          kernel.run({&p.x[v * depth], &p.m[c * depth], depth, &p.sums[v * kColumns + c]});
    }
    for (size_t v = 0; v < sums.size(); ++v)
      std::copy_n(&p.sums[v * kColumns], width, sums[v].out + j);
  }
}

}  // namespace

void add_products(std::span<const Sum> sums, const double* m, std::ptrdiff_t stride, size_t terms,
                  size_t columns) {
  if (terms == 0 || columns == 0) return;
  if (sums.size() == 1) return add_one(sums[0], m, stride, terms, columns);
  const Kernel kernel = pick();
  Parts parts(sums.size(), terms, columns, kernel);
  for (size_t v = 0; v < sums.size(); v += kSums)
    add_some(sums.subspan(v, std::min(kSums, sums.size() - v)), m, stride, terms, columns, kernel,
             parts);
}

}  // namespace qrt::quant
