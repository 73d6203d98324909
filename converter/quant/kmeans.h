// k-means under a quadratic form (metric.h): the E- and M-steps of "And the Bit
// Goes Down". Deterministic to the bit: neither thread count nor instruction set
// changes the result.
#ifndef QRT_CONVERTER_QUANT_KMEANS_H_
#define QRT_CONVERTER_QUANT_KMEANS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/quant/metric.h"

namespace qrt::quant {

// The points that centroids start from.
enum class Start {
  spread,   // each drawn with a probability that grows with its distance from those before:
            // k-means++
  uniform,  // all alike, with replacement: the published code
};

struct KmeansOptions {
  int32_t clusters = 256;  // at most the number of points are used
  int32_t iterations = 100;
  uint64_t seed = 1;
  size_t threads = 1;
  Start start = Start::spread;
};

struct Kmeans {
  int32_t clusters = 0;
  std::vector<float> centroids;   // [clusters][dim], the best for their points
  std::vector<int32_t> codes;     // [points], of the last assignment
  std::vector<double> objective;  // sum of distances after each assignment, in the metric's scale
  int32_t splits = 0;             // empty clusters that were refilled
};

// `points` is [n][dim] in the order of metric.h, n >= 1 and a multiple of the metric's segments.
Kmeans kmeans(std::span<const float> points, const Metric&, const KmeansOptions&);

// The same for Gram matrices as they come: [dim][dim], [segments][dim][dim], or none.
Kmeans kmeans(std::span<const float> points, int32_t dim, std::span<const double> grams,
              const KmeansOptions&);

// The nearest of the centroids given, for every point; ties to the lowest index.
std::vector<int32_t> assign(std::span<const float> points, const Metric&,
                            std::span<const float> centroids, size_t threads = 1);

// Sum over points of dist(point, centroid of its code), by the G as given.
double weighted_error(std::span<const float> points, int32_t dim, std::span<const double> grams,
                      std::span<const float> centroids, std::span<const int32_t> codes);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_KMEANS_H_
