// Exhaustive search, vectorised over centroids so that each distance keeps its
// order of summation:
//   d[j] = sum over t of (p[t] - c[t][j])^2
// for 32 centroids j at a time, c transposed; then the least of all sums and the first
// place where it stands. The same source is compiled for AVX2 and AVX-512; this file
// is built with -ffp-contract=off, so all three give the same bits. sgemm with
// |p|^2 - 2 p.c + |c|^2 would take two operations a term instead of three, but
// cancels, and its order of summation is the BLAS's own.
#include "converter/quant/nearest.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "converter/base/parallel.h"
#include "converter/quant/lanes.h"

namespace qrt::quant {
namespace {

// Centroids as [tile][dim][32]; what fills up the last tile is infinitely far.
struct Tiles {
  size_t dim, count;
  std::vector<float> values;
};

Tiles transpose(std::span<const float> centroids, size_t dim) {
  const size_t k = centroids.size() / dim;
  Tiles t{dim, (k + kLanes - 1) / kLanes, {}};
  t.values.assign(t.count * dim * kLanes, std::numeric_limits<float>::infinity());
  for (size_t j = 0; j < k; ++j)
    for (size_t i = 0; i < dim; ++i)
      t.values[(j / kLanes * dim + i) * kLanes + j % kLanes] = centroids[j * dim + i];
  return t;
}

// A run of points and where their answers go.
struct Part {
  const float* points;
  size_t n;
  int32_t* codes;
  float* distances;        // or null
  int32_t* keys;           // scratch: a distance of every centroid
  const int32_t* numbers;  // 0, 1, 2, ... one of every centroid
};

[[gnu::always_inline]] inline void search(const Part& part, const Tiles& tiles) {
  const size_t dim = tiles.dim, count = tiles.count * kLanes;
  for (size_t i = 0; i < part.n; ++i) {
    const float* p = part.points + i * dim;
    const float* c = tiles.values.data();
    for (size_t tile = 0; tile < count; tile += kLanes) {
      float sum[kLanes] = {};
      for (size_t t = 0; t < dim; ++t, c += kLanes) {
        const float value = p[t];
        for (size_t j = 0; j < kLanes; ++j) {
          const float difference = value - c[j];
          sum[j] += difference * difference;
        }
      }
      std::memcpy(part.keys + tile, sum, sizeof sum);  // not negative: their bits sort as they do
    }
    const int32_t code = place_of_least(part.keys, part.numbers, count);
    part.codes[i] = code;
    if (part.distances) std::memcpy(part.distances + i, part.keys + code, sizeof(float));
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
  const size_t terms = n * tiles.count * kLanes * d;
  split(n, std::min(threads, terms >> 20), [&](size_t first, size_t last) {
    std::vector<int32_t> keys(tiles.count * kLanes), numbers(keys.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    run({points.data() + first * d, last - first, codes.data() + first,
         distances.empty() ? nullptr : distances.data() + first, keys.data(), numbers.data()},
        tiles);
  });
}

}  // namespace qrt::quant
