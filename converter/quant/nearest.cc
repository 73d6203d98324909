// Exhaustive search, vectorised over centroids so that each distance keeps its
// order of summation:
//   d[j] = sum over t of (p[t] - c[t][j])^2
// for 32 centroids j at a time, c transposed. Each lane remembers its best index;
// a strict comparison and a final pass in ascending index make ties go to the
// lowest. The same source is compiled for AVX2 and AVX-512; this file is built
// with -ffp-contract=off, so all three give the same bits. sgemm with
// |p|^2 - 2 p.c + |c|^2 would take two operations a term instead of three, but
// cancels, and its order of summation is the BLAS's own.
#include "converter/quant/nearest.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "converter/base/parallel.h"

namespace qrt::quant {
namespace {

constexpr size_t kTile = 32;  // two zmm, four ymm or eight xmm registers of sums

// Centroids as [tile][dim][32]; what fills up the last tile is infinitely far.
struct Tiles {
  size_t dim, count;
  std::vector<float> values;
};

Tiles transpose(std::span<const float> centroids, size_t dim) {
  const size_t k = centroids.size() / dim;
  Tiles t{dim, (k + kTile - 1) / kTile, {}};
  t.values.assign(t.count * dim * kTile, std::numeric_limits<float>::infinity());
  for (size_t j = 0; j < k; ++j)
    for (size_t i = 0; i < dim; ++i)
      t.values[(j / kTile * dim + i) * kTile + j % kTile] = centroids[j * dim + i];
  return t;
}

// A run of points and where their answers go.
struct Part {
  const float* points;
  size_t n;
  int32_t* codes;
  float* distances;  // or null
};

[[gnu::always_inline]] inline void search(const Part& part, const Tiles& tiles) {
  const size_t dim = tiles.dim;
  for (size_t i = 0; i < part.n; ++i) {
    const float* p = part.points + i * dim;
    float best[kTile];
    int32_t where[kTile];
    for (size_t j = 0; j < kTile; ++j) {
      best[j] = std::numeric_limits<float>::infinity();
      where[j] = 0;
    }
    const float* c = tiles.values.data();
    for (size_t tile = 0; tile < tiles.count; ++tile) {
      float sum[kTile] = {};
      for (size_t t = 0; t < dim; ++t, c += kTile) {
        const float value = p[t];
        for (size_t j = 0; j < kTile; ++j) {
          const float difference = value - c[j];
          sum[j] += difference * difference;
        }
      }
      const int32_t here = static_cast<int32_t>(tile);
      for (size_t j = 0; j < kTile; ++j) {
        const bool is_nearer = sum[j] < best[j];
        best[j] = is_nearer ? sum[j] : best[j];
        where[j] = is_nearer ? here : where[j];
      }
    }
    size_t lane = 0, index = static_cast<size_t>(where[0]) * kTile;
    for (size_t j = 1; j < kTile; ++j) {
      const size_t candidate = static_cast<size_t>(where[j]) * kTile + j;
      if (best[j] < best[lane] || (best[j] == best[lane] && candidate < index)) {
        lane = j;
        index = candidate;
      }
    }
    part.codes[i] = static_cast<int32_t>(index);
    if (part.distances) part.distances[i] = best[lane];
  }
}

void search_plain(const Part& part, const Tiles& tiles) {
  search(part, tiles);
}
using Search = decltype(&search_plain);

#if defined(__x86_64__) && defined(__GNUC__)
[[gnu::target("avx2")]] void search_avx2(const Part& part, const Tiles& tiles) {
  search(part, tiles);
}
[[gnu::target("avx512f,prefer-vector-width=512")]] void search_avx512(const Part& part,
                                                                      const Tiles& tiles) {
  search(part, tiles);
}
Search pick() {
  if (__builtin_cpu_supports("avx512f")) return search_avx512;
  if (__builtin_cpu_supports("avx2")) return search_avx2;
  return search_plain;
}
#else
Search pick() {
  return search_plain;
}
#endif

}  // namespace

void nearest(std::span<const float> points, std::span<const float> centroids, int32_t dim,
             std::span<int32_t> codes, std::span<float> distances, size_t threads) {
  const Tiles tiles = transpose(centroids, static_cast<size_t>(dim));
  const Search run = pick();
  const size_t n = codes.size(), d = static_cast<size_t>(dim);
  // Below about a million terms a thread costs more than it brings.
  const size_t terms = n * tiles.count * kTile * d;
  split(n, std::min(threads, terms >> 20), [&](size_t first, size_t last) {
    run({points.data() + first * d, last - first, codes.data() + first,
         distances.empty() ? nullptr : distances.data() + first},
        tiles);
  });
}

}  // namespace qrt::quant
