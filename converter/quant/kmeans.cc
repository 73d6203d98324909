// Mahalanobis k-means as plain k-means on transformed points (metric.h). Centroids
// are kept in the coordinates of the weights: with one G for the layer the best is
// the mean of the points, whatever G is; with a G per block it solves
//   (sum over points of G_b) c = sum over points of G_b v.
// Deviations from the paper's code, which starts from points drawn alike, re-samples
// activations every iteration and recomputes all assignments for every empty cluster:
// the start is k-means++, G is one fixed sum over all samples, and an empty cluster
// takes half of the largest one, whose points alone choose again.
#include "converter/quant/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "converter/base/parallel.h"
#include "converter/quant/random.h"

namespace qrt::quant {
namespace {

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

// The normal equations of every cluster under a G per block, gathered block by block:
//   normal[c] = sum over b of n(b,c) G_b,  right[c] = sum over b of G_b S(b,c),
// with n the number and S the sum of the cluster's points in block b.
class NormalEquations {
 public:
  NormalEquations(size_t clusters, const Metric& metric)
      : metric_(metric),
        d_(static_cast<size_t>(metric.dim())),
        normal_(clusters * d_ * d_, 0.0),
        right_(clusters * d_, 0.0),
        counts_(clusters),
        sums_(clusters * d_) {}

  void add_segment(std::span<const float> points, std::span<const int32_t> codes, size_t segment) {
    std::fill(counts_.begin(), counts_.end(), 0.0);
    std::fill(sums_.begin(), sums_.end(), 0.0);
    for (size_t p = 0; p < codes.size(); ++p) {
      const size_t c = static_cast<size_t>(codes[p]);
      counts_[c] += 1;
      for (size_t t = 0; t < d_; ++t) sums_[c * d_ + t] += double{points[p * d_ + t]};
    }
    const std::span<const double> g = metric_.gram(segment);
    for (size_t c = 0; c < counts_.size(); ++c) {
      if (counts_[c] == 0) continue;
      for (size_t i = 0; i < d_ * d_; ++i) normal_[c * d_ * d_ + i] += counts_[c] * g[i];
      for (size_t i = 0; i < d_; ++i)
        for (size_t j = 0; j < d_; ++j) right_[c * d_ + i] += g[i * d_ + j] * sums_[c * d_ + j];
    }
  }

  // Solved for the step from the centroid given, so that directions without activations keep it.
  void solve_for(size_t c, float* centroid) const {
    std::vector<double> step(right_.begin() + static_cast<std::ptrdiff_t>(c * d_),
                             right_.begin() + static_cast<std::ptrdiff_t>((c + 1) * d_));
    const double* normal = &normal_[c * d_ * d_];
    for (size_t i = 0; i < d_; ++i)
      for (size_t j = 0; j < d_; ++j) step[i] -= normal[i * d_ + j] * double{centroid[j]};
    solve({normal, d_ * d_}, step);
    for (size_t t = 0; t < d_; ++t) centroid[t] = static_cast<float>(double{centroid[t]} + step[t]);
  }

 private:
  const Metric& metric_;
  size_t d_;
  std::vector<double> normal_, right_;  // [clusters][dim][dim], [clusters][dim]
  std::vector<double> counts_, sums_;   // of one segment
};

// Starting points after Arthur and Vassilvitskii (2007): each drawn with a probability proportional
// to its squared distance from the nearest one so far.
class Spread {
 public:
  Spread(std::span<const float> points, std::span<const float> moved, const Metric& metric,
         size_t threads)
      : points_(points),
        moved_(moved),
        metric_(metric),
        d_(static_cast<size_t>(metric.dim())),
        distances_(points.size() / d_, std::numeric_limits<float>::max()),
        sums_((distances_.size() + kChunk - 1) / kChunk),
        threads_(threads) {}

  // The next one, given the one before.
  size_t next(size_t before, Random& random) {
    const size_t segments = metric_.segments(), run = distances_.size() / segments;
    std::vector<float> center;  // [segment][dim]
    for (size_t s = 0; s < segments; ++s) {
      const std::vector<float> u = metric_.transformed(points_.subspan(before * d_, d_), s);
      center.insert(center.end(), u.begin(), u.end());
    }
    split(sums_.size(), threads_, [&](size_t first, size_t last) {
      for (size_t c = first; c < last; ++c) lower(c, center, run);
    });
    double total = 0;
    for (const double v : sums_) total += v;
    if (!(total > 0))  // no point is left out: any
      return static_cast<size_t>(random.below(static_cast<int64_t>(distances_.size())));
    double rest = random.uniform() * total;
    size_t c = 0;
    while (c + 1 < sums_.size() && rest >= sums_[c]) rest -= sums_[c++];
    size_t p = c * kChunk, last = std::min(p + kChunk, distances_.size()) - 1;
    while (p < last && rest >= double{distances_[p]}) rest -= double{distances_[p++]};
    return p;
  }

 private:
  // Sums are per chunk and chunks are added in order: the same for any number of threads.
  static constexpr size_t kChunk = 4096;

  void lower(size_t chunk, const std::vector<float>& center, size_t run) {
    double sum = 0;
    for (size_t p = chunk * kChunk; p < std::min((chunk + 1) * kChunk, distances_.size()); ++p) {
      const float *v = &moved_[p * d_], *c = &center[p / run * d_];
      float square = 0;
      for (size_t t = 0; t < d_; ++t) square += (v[t] - c[t]) * (v[t] - c[t]);
      distances_[p] = std::min(distances_[p], square);
      sum += double{distances_[p]};
    }
    sums_[chunk] = sum;
  }

  std::span<const float> points_, moved_;
  const Metric& metric_;
  size_t d_;
  std::vector<float> distances_;  // to the nearest so far
  std::vector<double> sums_;      // of the distances, per chunk
  size_t threads_;
};

class Clustering {
 public:
  Clustering(std::span<const float> points, const Metric& metric, const KmeansOptions& options)
      : points_(points),
        d_(static_cast<size_t>(metric.dim())),
        n_(points.size() / d_),
        k_(std::min<size_t>(static_cast<size_t>(std::max(options.clusters, 1)), n_)),
        metric_(metric),
        options_(options),
        random_(options.seed),
        moved_(metric.transformed_points(points)),
        distances_(n_) {}

  Kmeans run() {
    start();
    out_.codes.resize(n_);
    std::vector<int32_t> before;
    for (int32_t i = 0; i < std::max(options_.iterations, 1); ++i) {
      metric_.assign(moved_, out_.centroids, out_.codes, distances_, options_.threads);
      const int32_t splits = out_.splits;
      refill_empty();
      double sum = 0;
      for (const float v : distances_) sum += double{v};
      out_.objective.push_back(sum);
      const bool is_settled = out_.codes == before && splits == out_.splits;
      if (!is_settled) before = out_.codes;
      set_centroids();
      if (is_settled) break;  // a fixed point
    }
    out_.clusters = static_cast<int32_t>(k_);
    return std::move(out_);
  }

 private:
  void start() {
    Spread spread(points_, moved_, metric_, options_.threads);
    size_t p = 0;
    for (size_t c = 0; c < k_; ++c) {
      p = c == 0 || options_.start == Start::uniform
              ? static_cast<size_t>(random_.below(static_cast<int64_t>(n_)))
              : spread.next(p, random_);
      out_.centroids.insert(out_.centroids.end(), &points_[p * d_], &points_[p * d_] + d_);
    }
  }

  void set_centroids() {
    set_means(points_, d_, out_.codes, out_.centroids);
    if (!metric_.is_per_block()) return;
    NormalEquations equations(k_, metric_);
    const size_t run = n_ / metric_.segments();
    for (size_t s = 0; s < metric_.segments(); ++s)
      equations.add_segment(points_.subspan(s * run * d_, run * d_),
                            std::span<const int32_t>(out_.codes).subspan(s * run, run), s);
    split(k_, options_.threads, [&](size_t first, size_t last) {
      for (size_t c = first; c < last; ++c) equations.solve_for(c, &out_.centroids[c * d_]);
    });
  }

  // Each empty cluster, in ascending order, takes one half of the largest: that centroid moves a
  // little one way, the empty one a little the other, and the largest's points choose again. A
  // cluster of identical points cannot be split and is not tried twice: at most 2 k attempts.
  void refill_empty() {
    std::vector<int64_t> counts(k_, 0);
    for (const int32_t c : out_.codes) ++counts[static_cast<size_t>(c)];
    for (size_t empty = 0; empty < k_; ++empty) {
      while (counts[empty] == 0) {
        const size_t largest =
            static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
        if (counts[largest] < 2) return;
        const int64_t moved = divide(largest, empty);
        if (moved >= 0) {
          counts[largest] -= moved;
          counts[empty] = std::max<int64_t>(moved, 1);  // one attempt each
        } else {
          counts[largest] = 1;
        }
      }
    }
  }

  // Returns how many points went over, -1 where all of them are the same.
  int64_t divide(size_t from, size_t into) {
    std::vector<size_t> members;
    double spread = 0;
    for (size_t p = 0; p < n_; ++p) {
      if (out_.codes[p] != static_cast<int32_t>(from)) continue;
      members.push_back(p);
      for (size_t t = 0; t < d_; ++t) {
        const double e = double{points_[p * d_ + t]} - double{out_.centroids[from * d_ + t]};
        spread += e * e;
      }
    }
    if (spread == 0) return -1;
    // A thousandth of the cluster's own deviation: far above rounding, far below its size.
    const double step = 1e-3 * std::sqrt(spread / static_cast<double>(members.size() * d_));
    std::vector<float> pair(2 * d_);
    for (size_t t = 0; t < d_; ++t) {
      const double noise = step * random_.normal();
      pair[t] = static_cast<float>(double{out_.centroids[from * d_ + t]} - noise);
      pair[d_ + t] = static_cast<float>(double{out_.centroids[from * d_ + t]} + noise);
    }
    std::copy_n(&pair[0], d_, &out_.centroids[from * d_]);
    std::copy_n(&pair[d_], d_, &out_.centroids[into * d_]);
    ++out_.splits;
    return choose_again(members, pair, static_cast<int32_t>(into));
  }

  // Points of one cluster between two centroids; ascending, so segments change seldom.
  int64_t choose_again(const std::vector<size_t>& members, std::span<const float> pair,
                       int32_t into) {
    int64_t moved = 0;
    size_t segment = 0;
    std::vector<float> two = metric_.transformed(pair, 0);
    for (const size_t p : members) {
      const size_t here = p / (n_ / metric_.segments());
      if (here != segment) two = metric_.transformed(pair, segment = here);
      float sums[2] = {0, 0};
      for (size_t side = 0; side < 2; ++side)
        for (size_t t = 0; t < d_; ++t) {
          const float e = moved_[p * d_ + t] - two[side * d_ + t];
          sums[side] += e * e;
        }
      const bool goes = sums[1] < sums[0];
      distances_[p] = goes ? sums[1] : sums[0];
      if (!goes) continue;
      out_.codes[p] = into;
      ++moved;
    }
    return moved;
  }

  std::span<const float> points_;
  size_t d_, n_, k_;
  const Metric& metric_;
  KmeansOptions options_;
  Random random_;
  std::vector<float> moved_, distances_;
  Kmeans out_;
};

}  // namespace

Kmeans kmeans(std::span<const float> points, const Metric& metric, const KmeansOptions& options) {
  return Clustering(points, metric, options).run();
}

Kmeans kmeans(std::span<const float> points, int32_t dim, std::span<const double> grams,
              const KmeansOptions& options) {
  return kmeans(points, Metric(grams, dim), options);
}

std::vector<int32_t> assign(std::span<const float> points, const Metric& metric,
                            std::span<const float> centroids, size_t threads) {
  std::vector<int32_t> codes(points.size() / static_cast<size_t>(metric.dim()));
  metric.assign(metric.transformed_points(points), centroids, codes, {}, threads);
  return codes;
}

double weighted_error(std::span<const float> points, int32_t dim, std::span<const double> grams,
                      std::span<const float> centroids, std::span<const int32_t> codes) {
  const size_t d = static_cast<size_t>(dim);
  std::vector<float> chosen(points.size());
  for (size_t p = 0; p < codes.size(); ++p)
    std::copy_n(&centroids[static_cast<size_t>(codes[p]) * d], d, &chosen[p * d]);
  return error_of(points, chosen, dim, grams);
}

}  // namespace qrt::quant
