// k-means under a quadratic form: dist(v, c) = (v - c)' G (v - c), the E- and
// M-steps of "And the Bit Goes Down". Deterministic to the bit:
// neither thread count nor instruction set changes the result.
#ifndef QRT_CONVERTER_QUANT_KMEANS_H_
#define QRT_CONVERTER_QUANT_KMEANS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace qrt::quant {

struct KmeansOptions {
  int32_t clusters = 256;  // at most the number of points are used
  int32_t iterations = 100;
  uint64_t seed = 1;
};

struct Kmeans {
  int32_t clusters = 0;
  std::vector<float> centroids;   // [clusters][dim], the means of their points
  std::vector<int32_t> codes;     // [points], of the last assignment
  std::vector<double> objective;  // sum of distances after each assignment
  int32_t splits = 0;             // empty clusters that were refilled
};

// The upper-triangular factor U with U'U = G + ridge, by which |U (v - c)|^2 is the distance.
// `gram` is [dim][dim], symmetric, positive semidefinite; its scale does not matter. The ridge of
// 1e-6 * trace / dim covers rank-deficient activations. Without any energy: the identity.
std::vector<double> factor(std::span<const double> gram, int32_t dim);

// `points` is [n][dim], n >= 1. `gram` empty: the plain Euclidean distance.
Kmeans kmeans(std::span<const float> points, int32_t dim, std::span<const double> gram,
              const KmeansOptions&);

// The nearest of the centroids given, for every point; ties to the lowest index.
std::vector<int32_t> assign(std::span<const float> points, int32_t dim,
                            std::span<const double> gram, std::span<const float> centroids);

// Sum over points of dist(point, centroid of its code).
double weighted_error(std::span<const float> points, int32_t dim, std::span<const double> gram,
                      std::span<const float> centroids, std::span<const int32_t> codes);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_KMEANS_H_
