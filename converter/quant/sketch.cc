// One group at a time, by the diagonal of H. plane_rows.cc has whole rows.
#include "converter/quant/sketch.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>

namespace qrt::quant {
namespace {

constexpr double kEnough = 1e-6;  // of the energy: METHODS 5a
// Planes that are (nearly) a combination of others: their pivot against the diagonal.
constexpr double kSingular = 1e-9;

double value_of(const Sketch& s, size_t i) {
  double sum = 0;
  for (size_t p = 0; p < s.alphas.size(); ++p) sum += s.signs[p][i] ? s.alphas[p] : -s.alphas[p];
  return sum;
}

double error_of(const Sketch& s, std::span<const double> w, std::span<const double> weights) {
  double sum = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double d = w[i] - value_of(s, i);
    sum += weights[i] * d * d;
  }
  return sum;
}

// alphas = (B D B')^-1 B D w by elimination; a plane without a pivot of its own gets 0.
void solve_alphas(std::span<const double> w, std::span<const double> weights, Sketch& s) {
  const size_t n = s.signs.size();
  std::vector<double> a(n * n, 0.0), b(n, 0.0);
  for (size_t p = 0; p < n; ++p)
    for (size_t i = 0; i < w.size(); ++i) {
      b[p] += s.signs[p][i] ? weights[i] * w[i] : -weights[i] * w[i];
      for (size_t q = 0; q < n; ++q)
        a[p * n + q] += s.signs[p][i] == s.signs[q][i] ? weights[i] : -weights[i];
    }
  s.alphas.assign(n, 0.0);
  const double whole = n > 0 ? a[0] : 0;  // every plane has the same diagonal: the sum of weights
  std::vector<bool> lives(n);
  for (size_t p = 0; p < n; ++p) {
    lives[p] = a[p * n + p] > kSingular * whole;
    if (!lives[p]) continue;
    for (size_t q = p + 1; q < n; ++q) {
      const double factor = a[q * n + p] / a[p * n + p];
      for (size_t c = p; c < n; ++c) a[q * n + c] -= factor * a[p * n + c];
      b[q] -= factor * b[p];
    }
  }
  for (size_t p = n; p-- > 0;) {
    if (!lives[p]) continue;
    double sum = b[p];
    for (size_t c = p + 1; c < n; ++c) sum -= a[p * n + c] * s.alphas[c];
    s.alphas[p] = sum / a[p * n + p];
  }
}

}  // namespace

void canonicalise(Sketch& s) {
  std::vector<size_t> order;
  for (size_t p = 0; p < s.alphas.size(); ++p) {
    if (s.alphas[p] < 0) {
      s.alphas[p] = -s.alphas[p];
      for (uint8_t& b : s.signs[p]) b ^= 1;
    }
    if (s.alphas[p] > 0) order.push_back(p);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t x, size_t y) { return s.alphas[x] < s.alphas[y]; });
  Sketch out;
  for (const size_t p : order) {
    out.alphas.push_back(s.alphas[p]);
    out.signs.push_back(std::move(s.signs[p]));
  }
  out.error = s.error;
  s = std::move(out);
}

Sketch sketch(std::span<const double> w, std::span<const double> weights, int32_t planes) {
  Sketch s;
  const double energy = error_of(s, w, weights);
  s.error = energy;
  std::vector<double> rest(w.begin(), w.end());
  const auto most = std::min<size_t>(static_cast<size_t>(planes), w.size());
  while (s.signs.size() < most && s.error > kEnough * energy) {
    std::vector<uint8_t> plane;
    for (const double r : rest) plane.push_back(r >= 0);
    s.signs.push_back(std::move(plane));
    solve_alphas(w, weights, s);
    for (size_t i = 0; i < w.size(); ++i) rest[i] = w[i] - value_of(s, i);
    s.error = error_of(s, w, weights);
  }
  canonicalise(s);
  return s;
}

SumTable::SumTable(std::span<const double> alphas) {
  const size_t count = size_t{1} << alphas.size();
  std::vector<std::pair<double, uint8_t>> all;
  for (size_t pattern = 0; pattern < count; ++pattern) {
    double sum = 0;
    for (size_t p = 0; p < alphas.size(); ++p) sum += pattern >> p & 1 ? alphas[p] : -alphas[p];
    all.emplace_back(sum, static_cast<uint8_t>(pattern));
  }
  std::sort(all.begin(), all.end());
  for (const auto& [value, pattern] : all) values_.push_back(value), patterns_.push_back(pattern);
}

size_t SumTable::nearest(double wanted) const {
  const auto above = std::lower_bound(values_.begin(), values_.end(), wanted);
  if (above == values_.begin()) return 0;
  const auto i = static_cast<size_t>(above - values_.begin());
  if (above == values_.end() || wanted - values_[i - 1] < values_[i] - wanted) return i - 1;
  return i;
}

void refine(std::span<const double> w, std::span<const double> weights, int32_t rounds, Sketch& s) {
  for (int32_t round = 0; round < rounds && !s.alphas.empty(); ++round) {
    const SumTable table(s.alphas);
    Sketch next = s;
    bool changed = false;
    for (size_t i = 0; i < w.size(); ++i) {
      const uint8_t pattern = table.pattern(table.nearest(w[i]));
      for (size_t p = 0; p < next.signs.size(); ++p) {
        const uint8_t sign = pattern >> p & 1;
        changed = changed || sign != next.signs[p][i];
        next.signs[p][i] = sign;
      }
    }
    if (!changed) return;
    solve_alphas(w, weights, next);
    next.error = error_of(next, w, weights);
    if (!(next.error < s.error)) return;
    canonicalise(next);
    s = std::move(next);
  }
}

std::vector<uint8_t> prune(std::span<const GroupLoss> groups, double bits) {
  // A step of a group: from `upper` planes down to `lower`, along its lower convex hull.
  struct Step {
    double loss_per_bit;
    size_t group;
    uint8_t lower;
    bool operator<(const Step& o) const {  // the queue gives the least loss, then the first group
      return loss_per_bit != o.loss_per_bit ? loss_per_bit > o.loss_per_bit : group > o.group;
    }
  };
  std::vector<uint8_t> counts;
  std::priority_queue<Step> queue;
  const auto push_step = [&](size_t g) {
    const std::vector<double>& e = groups[g].errors;
    const size_t now = counts[g];
    if (now == 0) return;
    size_t best = now - 1;
    const auto slope = [&](size_t lower) {
      return (e[lower] - e[now]) / static_cast<double>(now - lower);
    };
    for (size_t lower = now - 1; lower-- > 0;)
      if (slope(lower) < slope(best)) best = lower;
    queue.push(
        {slope(best) / static_cast<double>(groups[g].inputs), g, static_cast<uint8_t>(best)});
  };
  double spent = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    counts.push_back(static_cast<uint8_t>(groups[g].errors.size() - 1));
    spent += double(counts[g]) * static_cast<double>(groups[g].inputs);
    push_step(g);
  }
  while (spent > bits && !queue.empty()) {
    const Step s = queue.top();
    queue.pop();
    spent -= double(counts[s.group] - s.lower) * static_cast<double>(groups[s.group].inputs);
    counts[s.group] = s.lower;
    push_step(s.group);
  }
  return counts;
}

}  // namespace qrt::quant
