// Mahalanobis k-means as plain k-means. With G = U'U,
//   (v - c)' G (v - c) = |U v - U c|^2,
// and the mean of the U v of a cluster is U times the mean of its v: so points are
// transformed once, clustered, and centroids are means of the original points.
// Deviations from the paper's code, which re-samples activations every iteration
// and recomputes all assignments for every empty cluster: G is one fixed sum over
// all samples, and an empty cluster takes half of the largest one, whose points
// alone choose again.
#include "converter/quant/kmeans.h"

#include <algorithm>
#include <cmath>

#include "converter/quant/nearest.h"
#include "converter/quant/random.h"

namespace qrt::quant {
namespace {

// U v for every point; `u` is upper-triangular, empty for the identity.
std::vector<float> transformed(std::span<const float> points, int32_t dim,
                               std::span<const double> u) {
  if (u.empty()) return {points.begin(), points.end()};
  std::vector<float> out(points.size());
  const size_t d = static_cast<size_t>(dim);
  for (size_t p = 0; p < points.size(); p += d)
    for (size_t i = 0; i < d; ++i) {
      double sum = 0;
      for (size_t j = i; j < d; ++j) sum += u[i * d + j] * double{points[p + j]};
      out[p + i] = static_cast<float>(sum);
    }
  return out;
}

double objective_of(std::span<const float> points, size_t d, std::span<const float> centroids,
                    std::span<const int32_t> codes) {
  double sum = 0;
  for (size_t p = 0; p < codes.size(); ++p) {
    const float* c = &centroids[static_cast<size_t>(codes[p]) * d];
    for (size_t t = 0; t < d; ++t) {
      const double e = double{points[p * d + t]} - double{c[t]};
      sum += e * e;
    }
  }
  return sum;
}

// Means of the points of each cluster, summed in point order in f64; a cluster without points
// keeps its centroid.
void set_means(std::span<const float> points, size_t d, std::span<const int32_t> codes,
               std::vector<float>& centroids) {
  std::vector<double> sums(centroids.size(), 0.0);
  std::vector<int64_t> counts(centroids.size() / d, 0);
  for (size_t p = 0; p < codes.size(); ++p) {
    const size_t c = static_cast<size_t>(codes[p]);
    ++counts[c];
    for (size_t t = 0; t < d; ++t) sums[c * d + t] += double{points[p * d + t]};
  }
  for (size_t c = 0; c < counts.size(); ++c)
    for (size_t t = 0; counts[c] > 0 && t < d; ++t)
      centroids[c * d + t] = static_cast<float>(sums[c * d + t] / static_cast<double>(counts[c]));
}

class Clustering {
 public:
  Clustering(std::span<const float> points, size_t d, size_t k, const KmeansOptions& options)
      : points_(points), d_(d), k_(k), options_(options), random_(options.seed) {}

  Kmeans run() {
    const int64_t n = static_cast<int64_t>(points_.size() / d_);
    for (size_t c = 0; c < k_; ++c) {  // uniform, with replacement
      const float* p = &points_[static_cast<size_t>(random_.below(n)) * d_];
      centroids_.insert(centroids_.end(), p, p + d_);
    }
    out_.codes.resize(static_cast<size_t>(n));
    std::vector<int32_t> before;
    for (int32_t i = 0; i < std::max(options_.iterations, 1); ++i) {
      nearest(points_, centroids_, static_cast<int32_t>(d_), out_.codes);
      const int32_t splits = out_.splits;
      refill_empty();
      out_.objective.push_back(objective_of(points_, d_, centroids_, out_.codes));
      if (out_.codes == before && splits == out_.splits) break;  // a fixed point
      before = out_.codes;
      set_means(points_, d_, out_.codes, centroids_);
    }
    out_.clusters = static_cast<int32_t>(k_);
    return std::move(out_);
  }

 private:
  // Each empty cluster, in ascending order, takes one half of the largest: that centroid moves a
  // little one way, the empty one a little the other, and the largest's points choose again. A
  // cluster of identical points cannot be split and is not tried twice: at most 2 k attempts.
  void refill_empty() {
    std::vector<int64_t> counts = sizes();
    for (size_t empty = 0; empty < k_; ++empty) {
      while (counts[empty] == 0) {
        const size_t largest =
            static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
        if (counts[largest] < 2) return;
        if (split(largest, empty)) {
          const std::vector<int64_t> now = sizes();
          counts[largest] = now[largest];
          counts[empty] = std::max<int64_t>(now[empty], 1);  // one attempt each
        } else {
          counts[largest] = 1;
        }
      }
    }
  }

  std::vector<int64_t> sizes() const {
    std::vector<int64_t> counts(k_, 0);
    for (const int32_t c : out_.codes) ++counts[static_cast<size_t>(c)];
    return counts;
  }

  bool split(size_t from, size_t into) {
    double spread = 0;
    int64_t members = 0;
    for (size_t p = 0; p < out_.codes.size(); ++p) {
      if (out_.codes[p] != static_cast<int32_t>(from)) continue;
      ++members;
      for (size_t t = 0; t < d_; ++t) {
        const double e = double{points_[p * d_ + t]} - double{centroids_[from * d_ + t]};
        spread += e * e;
      }
    }
    if (spread == 0) return false;
    // A thousandth of the cluster's own deviation: far above rounding, far below its size.
    const double step = 1e-3 * std::sqrt(spread / static_cast<double>(members * d_));
    std::vector<float> pair(2 * d_);
    for (size_t t = 0; t < d_; ++t) {
      const double noise = step * random_.normal();
      pair[t] = static_cast<float>(double{centroids_[from * d_ + t]} - noise);
      pair[d_ + t] = static_cast<float>(double{centroids_[from * d_ + t]} + noise);
    }
    std::copy_n(pair.begin(), d_, centroids_.begin() + static_cast<std::ptrdiff_t>(from * d_));
    std::copy_n(pair.begin() + static_cast<std::ptrdiff_t>(d_), d_,
                centroids_.begin() + static_cast<std::ptrdiff_t>(into * d_));
    for (size_t p = 0; p < out_.codes.size(); ++p) {
      if (out_.codes[p] != static_cast<int32_t>(from)) continue;
      int32_t side = 0;
      nearest(points_.subspan(p * d_, d_), pair, static_cast<int32_t>(d_), {&side, 1});
      if (side == 1) out_.codes[p] = static_cast<int32_t>(into);
    }
    ++out_.splits;
    return true;
  }

  std::span<const float> points_;
  size_t d_, k_;
  KmeansOptions options_;
  Random random_;
  std::vector<float> centroids_;
  Kmeans out_;
};

}  // namespace

std::vector<double> factor(std::span<const double> gram, int32_t dim) {
  const size_t d = static_cast<size_t>(dim);
  double trace = 0;
  for (size_t i = 0; i < d; ++i) trace += gram[i * d + i];
  std::vector<double> u(d * d, 0.0);
  if (!(trace > 0) || !std::isfinite(trace)) {
    for (size_t i = 0; i < d; ++i) u[i * d + i] = 1;
    return u;
  }
  // Cholesky of G * dim / trace + 1e-6, row by row: G = U'U.
  const double scale = static_cast<double>(dim) / trace;
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = i; j < d; ++j) {
      double sum = gram[i * d + j] * scale + (i == j ? 1e-6 : 0.0);
      for (size_t t = 0; t < i; ++t) sum -= u[t * d + i] * u[t * d + j];
      // Rounding may eat the ridge of a rank-deficient G: its direction then counts for nothing.
      u[i * d + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / u[i * d + i];
    }
  }
  return u;
}

Kmeans kmeans(std::span<const float> points, int32_t dim, std::span<const double> gram,
              const KmeansOptions& options) {
  const size_t d = static_cast<size_t>(dim), n = points.size() / d;
  const size_t k = std::min<size_t>(static_cast<size_t>(std::max(options.clusters, 1)), n);
  const std::vector<double> u = gram.empty() ? std::vector<double>() : factor(gram, dim);
  const std::vector<float> moved = transformed(points, dim, u);
  Kmeans out = Clustering(moved, d, k, options).run();
  out.centroids.assign(k * d, 0.0f);
  set_means(points, d, out.codes, out.centroids);
  return out;
}

std::vector<int32_t> assign(std::span<const float> points, int32_t dim,
                            std::span<const double> gram, std::span<const float> centroids) {
  const std::vector<double> u = gram.empty() ? std::vector<double>() : factor(gram, dim);
  std::vector<int32_t> codes(points.size() / static_cast<size_t>(dim));
  nearest(transformed(points, dim, u), transformed(centroids, dim, u), dim, codes);
  return codes;
}

double weighted_error(std::span<const float> points, int32_t dim, std::span<const double> gram,
                      std::span<const float> centroids, std::span<const int32_t> codes) {
  const size_t d = static_cast<size_t>(dim);
  std::vector<double> e(d);
  double sum = 0;
  for (size_t p = 0; p < codes.size(); ++p) {
    const float* c = &centroids[static_cast<size_t>(codes[p]) * d];
    for (size_t t = 0; t < d; ++t) e[t] = double{points[p * d + t]} - double{c[t]};
    for (size_t i = 0; i < d; ++i) {
      if (gram.empty()) {
        sum += e[i] * e[i];
        continue;
      }
      double row = 0;
      for (size_t j = 0; j < d; ++j) row += gram[i * d + j] * e[j];
      sum += e[i] * row;
    }
  }
  return sum;
}

}  // namespace qrt::quant
