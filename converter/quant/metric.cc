// The factors and what is done with them. Everything sums in one fixed order in
// f64: the same bits for any number of threads.
#include "converter/quant/metric.h"

#include <algorithm>
#include <cmath>

#include "converter/base/parallel.h"
#include "converter/quant/nearest.h"

namespace qrt::quant {
namespace {

double trace_of(std::span<const double> gram, size_t d) {
  double trace = 0;
  for (size_t i = 0; i < d; ++i) trace += gram[i * d + i];
  return trace;
}

// Cholesky row by row, G = U'U. Rounding may eat the ridge of a rank-deficient G: such a
// direction then counts for (almost) nothing.
void cholesky(const double* g, size_t d, double* u) {
  for (size_t i = 0; i < d; ++i)
    for (size_t j = i; j < d; ++j) {
      double sum = g[i * d + j];
      for (size_t t = 0; t < i; ++t) sum -= u[t * d + i] * u[t * d + j];
      u[i * d + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / u[i * d + i];
    }
}

void multiply(const double* u, size_t d, const float* in, size_t n, float* out) {
  for (size_t p = 0; p < n; ++p, in += d, out += d)
    for (size_t i = 0; i < d; ++i) {
      double sum = 0;
      for (size_t j = i; j < d; ++j) sum += u[i * d + j] * double{in[j]};
      out[i] = static_cast<float>(sum);
    }
}

}  // namespace

Metric::Metric(std::span<const double> grams, int32_t dim) : dim_(static_cast<size_t>(dim)) {
  const size_t square = dim_ * dim_, count = grams.size() / square;
  double trace = 0;
  for (size_t s = 0; s < count; ++s) trace += trace_of(grams.subspan(s * square, square), dim_);
  if (!(trace > 0) || !std::isfinite(trace)) return;
  segments_ = count;
  // One scale for all: segments must stay comparable.
  const double scale = static_cast<double>(count * dim_) / trace;
  grams_.resize(grams.size());
  for (size_t i = 0; i < grams.size(); ++i)
    grams_[i] = grams[i] * scale + (i % square % (dim_ + 1) == 0 ? 1e-6 : 0.0);
  factors_.assign(grams.size(), 0.0);
  for (size_t s = 0; s < count; ++s) cholesky(&grams_[s * square], dim_, &factors_[s * square]);
}

std::vector<float> Metric::transformed(std::span<const float> vectors, size_t segment) const {
  if (factors_.empty()) return {vectors.begin(), vectors.end()};
  std::vector<float> out(vectors.size());
  multiply(&factors_[segment * dim_ * dim_], dim_, vectors.data(), vectors.size() / dim_,
           out.data());
  return out;
}

std::vector<float> Metric::transformed_points(std::span<const float> points) const {
  if (factors_.empty()) return {points.begin(), points.end()};
  std::vector<float> out(points.size());
  const size_t n = points.size() / dim_ / segments_;
  for (size_t s = 0; s < segments_; ++s)
    multiply(&factors_[s * dim_ * dim_], dim_, &points[s * n * dim_], n, &out[s * n * dim_]);
  return out;
}

void Metric::assign(std::span<const float> moved, std::span<const float> entries,
                    std::span<int32_t> codes, std::span<float> distances, size_t threads) const {
  const size_t n = codes.size() / segments_;
  if (segments_ == 1) {
    nearest(moved, transformed(entries, 0), dim(), codes, distances, threads);
    return;
  }
  split(segments_, threads, [&](size_t first, size_t last) {
    for (size_t s = first; s < last; ++s)
      nearest(moved.subspan(s * n * dim_, n * dim_), transformed(entries, s), dim(),
              codes.subspan(s * n, n), distances.empty() ? distances : distances.subspan(s * n, n),
              1);
  });
}

std::vector<double> factor(std::span<const double> gram, int32_t dim) {
  const size_t d = static_cast<size_t>(dim);
  const double trace = trace_of(gram, d);
  std::vector<double> u(d * d, 0.0);
  if (!(trace > 0) || !std::isfinite(trace)) {
    for (size_t i = 0; i < d; ++i) u[i * d + i] = 1;
    return u;
  }
  std::vector<double> scaled(gram.begin(), gram.end());
  for (double& v : scaled) v *= static_cast<double>(dim) / trace;
  for (size_t i = 0; i < d; ++i) scaled[i * d + i] += 1e-6;
  cholesky(scaled.data(), d, u.data());
  return u;
}

void solve(std::span<const double> gram, std::span<double> b) {
  const size_t d = b.size();
  const double trace = trace_of(gram, d);
  if (!(trace > 0)) return;
  const std::vector<double> u = factor(gram, static_cast<int32_t>(d));
  for (double& v : b) v *= static_cast<double>(d) / trace;
  for (size_t i = 0; i < d; ++i) {  // U' y = b
    for (size_t t = 0; t < i; ++t) b[i] -= u[t * d + i] * b[t];
    b[i] /= u[i * d + i];
  }
  for (size_t i = d; i-- > 0;) {  // U x = y
    for (size_t t = i + 1; t < d; ++t) b[i] -= u[i * d + t] * b[t];
    b[i] /= u[i * d + i];
  }
}

double error_of(std::span<const float> points, std::span<const float> approximations, int32_t dim,
                std::span<const double> grams) {
  const size_t d = static_cast<size_t>(dim), n = points.size() / d;
  const size_t segments = grams.empty() ? 1 : grams.size() / (d * d);
  std::vector<double> e(d);
  double sum = 0;
  for (size_t p = 0; p < n; ++p) {
    for (size_t t = 0; t < d; ++t)
      e[t] = double{points[p * d + t]} - double{approximations[p * d + t]};
    const double* g = grams.empty() ? nullptr : &grams[p / (n / segments) * d * d];
    for (size_t i = 0; i < d; ++i) {
      double row = g ? 0 : e[i];
      for (size_t j = 0; g && j < d; ++j) row += g[i * d + j] * e[j];
      sum += e[i] * row;
    }
  }
  return sum;
}

}  // namespace qrt::quant
