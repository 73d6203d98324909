// Residual k-means, then turns of codes and entries as in additive quantization
// (Babenko and Lempitsky, 2014) and LSQ (Martinez et al., 2016). Codes: pairs of books
// are searched together instead of one book at a time, which for two books is exact
// (pairs.h). Entries: all of them are one linear least-squares problem,
//   sum over points p, with E_p the 0-1 matrix that adds up its entries:
//     (sum E_p' G_p E_p) x = sum E_p' G_p v_p,
// whose matrix is sparse and singular (adding a vector to one book and taking it from
// another changes nothing). Conjugate gradients need only its products, never mind the
// null space, and descend from the entries given. A G shared by all points cancels.
#include "converter/quant/additive.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "converter/base/parallel.h"
#include "converter/quant/pairs.h"
#include "converter/quant/random.h"

namespace qrt::quant {
namespace {

// Sums over points are taken in this many fixed parts and the parts added in order, whatever the
// number of threads.
constexpr size_t kParts = 8;
// Noise of the first round, relative. On ResNet-20's layers 0.1, 0.3 and 1 leave 0.6 %, 1.3 % and
// 0.4 % less error of two books of 16 than none at all, and 1.8 %, 3.8 % and -8 % of four.
constexpr double kHeat = 0.3;
constexpr double kLeastGain = 1e-4;  // of a round without noise

struct Layout {
  size_t points, dim, books, count;  // count: entries of a book
  size_t entry(size_t book, int32_t code) const {
    return (book * count + static_cast<size_t>(code)) * dim;
  }
};

Layout layout_of(std::span<const float> points, const Metric& metric, int32_t books,
                 std::span<const float> entries) {
  const size_t d = static_cast<size_t>(metric.dim()), m = static_cast<size_t>(books);
  return {points.size() / d, d, m, entries.size() / d / m};
}

// The normal equations' matrix and right side, by products.
class LeastSquares {
 public:
  LeastSquares(std::span<const float> points, const Metric& metric, std::span<const int32_t> codes,
               const Layout& layout, size_t threads)
      : points_(points), metric_(metric), codes_(codes), at_(layout), threads_(threads) {}

  // sum E' G (weight * v + E x), v the points.
  std::vector<double> apply(const std::vector<double>& x, double weight) const {
    std::vector<double> parts[kParts];
    split(kParts, threads_, [&](size_t first, size_t last) {
      for (size_t i = first; i < last; ++i)
        parts[i] = part(x, weight, at_.points * i / kParts, at_.points * (i + 1) / kParts);
    });
    for (size_t i = 1; i < kParts; ++i)
      for (size_t j = 0; j < x.size(); ++j) parts[0][j] += parts[i][j];
    return std::move(parts[0]);
  }

  // Of the matrix's diagonal the mean within each entry: [book][count]; 0 for unused entries.
  std::vector<double> diagonal() const {
    std::vector<double> sums(at_.books * at_.count, 0.0);
    const size_t run = at_.points / metric_.segments();
    for (size_t s = 0; s < metric_.segments(); ++s) {
      double mean = 1;
      if (metric_.is_per_block()) {
        mean = 0;
        for (size_t t = 0; t < at_.dim; ++t) mean += metric_.gram(s)[t * (at_.dim + 1)];
        mean /= static_cast<double>(at_.dim);
      }
      for (size_t m = 0; m < at_.books; ++m)
        for (size_t p = s * run; p < (s + 1) * run; ++p)
          sums[m * at_.count + static_cast<size_t>(codes_[m * at_.points + p])] += mean;
    }
    return sums;
  }

 private:
  std::vector<double> part(const std::vector<double>& x, double weight, size_t first,
                           size_t last) const {
    std::vector<double> out(x.size(), 0.0), sum(at_.dim), weighted(at_.dim);
    const size_t run = at_.points / metric_.segments();
    for (size_t p = first; p < last; ++p) {
      for (size_t t = 0; t < at_.dim; ++t) sum[t] = weight * double{points_[p * at_.dim + t]};
      for (size_t m = 0; m < at_.books; ++m) {
        const double* entry = &x[at_.entry(m, codes_[m * at_.points + p])];
        for (size_t t = 0; t < at_.dim; ++t) sum[t] += entry[t];
      }
      const double* add = sum.data();
      if (metric_.is_per_block()) {
        const std::span<const double> g = metric_.gram(p / run);
        for (size_t i = 0; i < at_.dim; ++i) {
          weighted[i] = 0;
          for (size_t j = 0; j < at_.dim; ++j) weighted[i] += g[i * at_.dim + j] * sum[j];
        }
        add = weighted.data();
      }
      for (size_t m = 0; m < at_.books; ++m) {
        double* entry = &out[at_.entry(m, codes_[m * at_.points + p])];
        for (size_t t = 0; t < at_.dim; ++t) entry[t] += add[t];
      }
    }
    return out;
  }

  std::span<const float> points_;
  const Metric& metric_;
  std::span<const int32_t> codes_;
  Layout at_;
  size_t threads_;
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Sum of distances in the metric's own scale.
double objective_of(std::span<const float> points, const Metric& metric,
                    std::span<const float> entries, std::span<const int32_t> codes,
                    const Layout& at) {
  const std::vector<float> moved = metric.transformed_points(points);
  const size_t run = at.points / metric.segments();
  double total = 0;
  for (size_t s = 0; s < metric.segments(); ++s) {
    const std::vector<float> u = metric.transformed(entries, s);
    for (size_t p = s * run; p < (s + 1) * run; ++p)
      for (size_t t = 0; t < at.dim; ++t) {
        double e = double{moved[p * at.dim + t]};
        for (size_t m = 0; m < at.books; ++m)
          e -= double{u[at.entry(m, codes[m * at.points + p]) + t]};
        total += e * e;
      }
  }
  return total;
}

// The codes of books i and j of points [first, last), all of one segment, whose transformed
// points and entries these are. Returns how many changed.
size_t improve_pair(const PairSearch& search, const Layout& at, std::span<const float> moved,
                    std::span<const float> entries, size_t i, size_t j, size_t first, size_t last,
                    std::span<int32_t> codes) {
  std::vector<float> rest(moved.begin() + static_cast<std::ptrdiff_t>(first * at.dim),
                          moved.begin() + static_cast<std::ptrdiff_t>(last * at.dim));
  for (size_t m = 0; m < at.books; ++m) {
    if (m == i || m == j) continue;
    for (size_t p = first; p < last; ++p) {
      const float* entry = &entries[at.entry(m, codes[m * at.points + p])];
      for (size_t t = 0; t < at.dim; ++t) rest[(p - first) * at.dim + t] -= entry[t];
    }
  }
  return search.improve(rest, codes.subspan(i * at.points + first, last - first),
                        codes.subspan(j * at.points + first, last - first));
}

}  // namespace

void choose_additive(std::span<const float> points, const Metric& metric,
                     std::span<const float> entries, int32_t books, std::span<int32_t> codes,
                     int sweeps, size_t threads) {
  const Layout at = layout_of(points, metric, books, entries);
  const std::vector<float> moved = metric.transformed_points(points);
  const size_t run = at.points / metric.segments(), book = at.count * at.dim;
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    std::atomic<size_t> changed{0};
    for (size_t i = 0; i < at.books; ++i)
      for (size_t j = i + 1; j < at.books; ++j) {
        // Every other sweep the books change places: of the first not all entries are tried.
        const size_t a = sweep % 2 ? j : i, b = sweep % 2 ? i : j;
        const auto segment = [&](size_t s, size_t threads_here) {
          const std::vector<float> u = metric.transformed(entries, s);
          const std::span<const float> all = u;
          const PairSearch search(all.subspan(a * book, book), all.subspan(b * book, book),
                                  metric.dim());
          split(run, threads_here, [&](size_t first, size_t last) {
            changed +=
                improve_pair(search, at, moved, u, a, b, s * run + first, s * run + last, codes);
          });
        };
        if (metric.is_per_block())
          split(metric.segments(), threads, [&](size_t first, size_t last) {
            for (size_t s = first; s < last; ++s) segment(s, 1);
          });
        else
          segment(0, threads);
      }
    if (changed == 0 || (at.books == 2 && PairSearch::is_exhaustive(at.count))) return;
  }
}

void refit_entries(std::span<const float> points, const Metric& metric,
                   std::span<const int32_t> codes, int32_t books, std::vector<float>& entries,
                   size_t threads) {
  const Layout at = layout_of(points, metric, books, entries);
  const LeastSquares problem(points, metric, codes, at, threads);
  std::vector<double> x(entries.begin(), entries.end());
  // r = -(gradient) / 2 = sum E' G (v - E x).
  std::vector<double> minus = x;
  for (double& v : minus) v = -v;
  std::vector<double> r = problem.apply(minus, 1.0);
  const std::vector<double> diagonal = problem.diagonal();
  const auto preconditioned = [&](const std::vector<double>& in) {
    std::vector<double> out(in.size(), 0.0);
    for (size_t i = 0; i < in.size(); ++i)
      if (diagonal[i / at.dim] > 0) out[i] = in[i] / diagonal[i / at.dim];
    return out;
  };
  std::vector<double> z = preconditioned(r), direction = z;
  double rz = dot(r, z);
  const double enough = 1e-10 * rz;
  for (int step = 0; step < 40 && rz > enough && rz > 0; ++step) {
    const std::vector<double> product = problem.apply(direction, 0.0);
    const double curvature = dot(direction, product);
    if (!(curvature > 0)) break;
    const double length = rz / curvature;
    for (size_t i = 0; i < x.size(); ++i)
      x[i] += length * direction[i], r[i] -= length * product[i];
    z = preconditioned(r);
    const double next = dot(r, z);
    for (size_t i = 0; i < x.size(); ++i) direction[i] = z[i] + next / rz * direction[i];
    rz = next;
  }
  std::vector<float> fitted(entries.size());
  std::transform(x.begin(), x.end(), fitted.begin(),
                 [](double v) { return static_cast<float>(v); });
  // Conjugate gradients that stop early may have descended in |e|^2 only, not in e' G e.
  if (objective_of(points, metric, fitted, codes, at) <
      objective_of(points, metric, entries, codes, at))
    entries = std::move(fitted);
}

namespace {

// The deviation of the points in every coordinate.
std::vector<double> deviations(std::span<const float> points, size_t d) {
  std::vector<double> sums(d, 0.0);
  for (size_t i = 0; i < points.size(); ++i) sums[i % d] += double{points[i]} * double{points[i]};
  for (double& v : sums) v = std::sqrt(v / static_cast<double>(points.size() / d));
  return sums;
}

// Turns of codes and entries. Codes are chosen among entries that are a little off, less so from
// round to round, and the last fifth of the rounds among the true ones: that lifts the turns out of
// poor minima (LSQ++, Martinez et al., 2018). The size of the noise is a part of what the books do
// not reach yet. The best round is kept.
void refine(std::span<const float> points, const Metric& metric, const KmeansOptions& options,
            int32_t rounds, Additive& best) {
  const Layout at = layout_of(points, metric, best.books, best.entries);
  const std::vector<double> spread = deviations(points, at.dim);
  const double energy =
      objective_of(points, metric, std::vector<float>(best.entries.size(), 0.0f), best.codes, at);
  Random random(options.seed);
  Additive now = best;
  const double cooled = 0.8 * rounds;
  for (int32_t round = 0; round < rounds; ++round) {
    const double heat = kHeat * std::max(0.0, 1 - round / cooled) *
                        std::sqrt(energy > 0 ? now.objective.back() / energy : 0);
    std::vector<float> shaken = now.entries;
    for (size_t i = 0; heat > 0 && i < shaken.size(); ++i)
      shaken[i] += static_cast<float>(heat * spread[i % at.dim] * random.normal());
    // One sweep: with four, errors are the same within 0.2 % for a quarter more time.
    choose_additive(points, metric, shaken, now.books, now.codes, 1, options.threads);
    refit_entries(points, metric, now.codes, now.books, now.entries, options.threads);
    const double before = now.objective.back();
    now.objective.push_back(objective_of(points, metric, now.entries, now.codes, at));
    if (now.objective.back() < best.objective.back()) {
      best.codes = now.codes, best.entries = now.entries;
      best.objective.push_back(now.objective.back());
    }
    if (heat == 0 && before - now.objective.back() < kLeastGain * before) break;
  }
}

}  // namespace

Additive additive_kmeans(std::span<const float> points, const Metric& metric, int32_t books,
                         const KmeansOptions& options, int32_t rounds) {
  Additive out;
  out.books = books;
  const size_t d = static_cast<size_t>(metric.dim());
  std::vector<float> rest(points.begin(), points.end());
  for (int32_t m = 0; m < books; ++m) {
    KmeansOptions one = options;
    one.seed = options.seed + static_cast<uint64_t>(m);
    const Kmeans k = kmeans(rest, metric, one);
    out.clusters = k.clusters;
    out.entries.insert(out.entries.end(), k.centroids.begin(), k.centroids.end());
    out.codes.insert(out.codes.end(), k.codes.begin(), k.codes.end());
    for (size_t i = 0; i < rest.size(); ++i)
      rest[i] -= k.centroids[static_cast<size_t>(k.codes[i / d]) * d + i % d];
  }
  const Layout at = layout_of(points, metric, books, out.entries);
  out.objective.push_back(objective_of(points, metric, out.entries, out.codes, at));
  if (books > 1) refine(points, metric, options, rounds, out);
  return out;
}

}  // namespace qrt::quant
