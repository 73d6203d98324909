// The inner loop of k-means: the nearest of k points in Euclidean distance.
#ifndef QRT_CONVERTER_QUANT_NEAREST_H_
#define QRT_CONVERTER_QUANT_NEAREST_H_

#include <cstdint>
#include <span>

namespace qrt::quant {

// codes[i] = the lowest index among the centroids nearest to point i, distances[i] (unless empty)
// its squared distance. Distances are sums over the coordinates in ascending order, in f32 without
// contraction: the same bits on every machine, with any number of threads. points: [n][dim];
// centroids: [k][dim]. At most `threads` work, fewer where there is little to do.
void nearest(std::span<const float> points, std::span<const float> centroids, int32_t dim,
             std::span<int32_t> codes, std::span<float> distances = {}, size_t threads = 1);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_NEAREST_H_
