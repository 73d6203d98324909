// How far an entry is from a block of weights: (v - c)' G (v - c), where G is the
// Gram matrix of the inputs that the block multiplies. Three forms: no G (plain
// Euclid), one G for the layer, or one per block of inputs. With G = U'U the distance
// is |U v - U c|^2, and every search becomes a Euclidean one.
//
// Points of a layer stand in the order [block][output][dim]. A metric of S segments
// cuts them into S equal runs: one run for a shared G, one per block else.
#ifndef QRT_CONVERTER_QUANT_METRIC_H_
#define QRT_CONVERTER_QUANT_METRIC_H_

#include <cstdint>
#include <span>
#include <vector>

namespace qrt::quant {

class Metric {
 public:
  // `grams` is [segments][dim][dim], each symmetric and positive semidefinite; empty: Euclid. Their
  // common scale does not matter. A ridge of 1e-6 of the mean diagonal covers rank-deficient
  // activations; without any energy at all the metric is Euclid.
  Metric(std::span<const double> grams, int32_t dim);

  int32_t dim() const { return static_cast<int32_t>(dim_); }
  size_t segments() const { return segments_; }
  bool is_per_block() const { return segments_ > 1; }

  // G of a segment as it is used, scaled and with the ridge: [dim][dim]. Not for Euclid.
  std::span<const double> gram(size_t segment) const {
    return std::span(grams_).subspan(segment * dim_ * dim_, dim_ * dim_);
  }

  // U v for each of `vectors` [n][dim].
  std::vector<float> transformed(std::span<const float> vectors, size_t segment) const;
  // The same for all points of a layer, each by the U of its segment.
  std::vector<float> transformed_points(std::span<const float> points) const;

  // codes[p] = the nearest entry of point p, ties to the lowest index; distances[p] (or empty) its
  // squared distance. `moved` comes from transformed_points(), `entries` [k][dim] are as stored.
  void assign(std::span<const float> moved, std::span<const float> entries,
              std::span<int32_t> codes, std::span<float> distances, size_t threads) const;

 private:
  size_t dim_, segments_ = 1;
  std::vector<double> grams_, factors_;  // [segments][dim][dim]; empty for Euclid
};

// The upper-triangular factor U with U'U = G + ridge, by which |U (v - c)|^2 is the distance.
// `gram` is [dim][dim], symmetric, positive semidefinite; its scale does not matter. The ridge of
// 1e-6 * trace / dim covers rank-deficient activations. Without any energy: the identity.
std::vector<double> factor(std::span<const double> gram, int32_t dim);

// Solves G x = b in place of b, G [dim][dim] positive definite but for rounding.
void solve(std::span<const double> gram, std::span<double> b);

// Sum over points of e' G e with e = points - approximations, by the G as given, without ridge.
double error_of(std::span<const float> points, std::span<const float> approximations, int32_t dim,
                std::span<const double> grams);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_METRIC_H_
