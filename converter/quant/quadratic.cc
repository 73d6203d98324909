// With H = L L' the error is |L'(q - t)|^2. L' is upper triangular, so that its row i
// holds q_i and the inputs behind it: chosen from the last to the first, the best q_i is
// the value nearest to
//
//   t_i + sum over j > i of (t_j - q_j) L_ji / L_ii
//
// (Babai's nearest plane; in another order, the error feedback of GPTQ). What rounding in
// sequence leaves, descend() lowers further: with g = H (q - t), moving q_i by d changes
// the error by 2 d g_i + d^2 H_ii.
#include "converter/quant/quadratic.h"

#include <algorithm>
#include <numeric>

#include "converter/eval/algebra.h"

namespace qrt::quant {
namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

}  // namespace

Quadratic::Quadratic(std::span<const double> gram, double ridge, int64_t inputs)
    : Quadratic(inputs) {
  if (std::all_of(gram.begin(), gram.end(), [](double v) { return v == 0; })) return;
  h_.assign(gram.begin(), gram.end());
  for (int64_t i = 0; i < inputs; ++i) diagonal_[at(i)] = h_[at(i * inputs + i)] += ridge;
  factor_ = h_;
  if (!eval::solve_rows(factor_, inputs, {})) factor_.clear();
}

Quadratic Quadratic::of_diagonal(std::span<const double> diagonal) {
  Quadratic out(static_cast<int64_t>(diagonal.size()));
  const bool has_energy =
      std::any_of(diagonal.begin(), diagonal.end(), [](double v) { return v > 0; });
  if (has_energy) out.diagonal_.assign(diagonal.begin(), diagonal.end());
  return out;
}

std::vector<double> Quadratic::times(std::span<const double> v) const {
  std::vector<double> out(at(inputs_), 0.0);
  for (int64_t i = 0; is_separable() && i < inputs_; ++i) out[at(i)] = weight(i) * v[at(i)];
  if (is_separable()) return out;
  for (int64_t i = 0; i < inputs_; ++i) {
    const double x = v[at(i)];
    const double* row = &h_[at(i * inputs_)];
    if (x != 0)
      for (int64_t j = 0; j < inputs_; ++j) out[at(j)] += x * row[j];
  }
  return out;
}

double Quadratic::energy(std::span<const double> v) const {
  const std::vector<double> hv = times(v);
  return std::inner_product(hv.begin(), hv.end(), v.begin(), 0.0);
}

double Quadratic::error(std::span<const double> q, std::span<const double> t) const {
  std::vector<double> d(q.begin(), q.end());
  for (size_t i = 0; i < d.size(); ++i) d[i] -= t[i];
  return energy(d);
}

std::vector<double> Quadratic::rounded(std::span<const double> t, const Nearest& nearest) const {
  std::vector<double> q(at(inputs_)), lost(at(inputs_), 0.0);  // sums of (t_j - q_j) L_ji
  for (int64_t i = inputs_ - 1; i >= 0; --i) {
    const double* row = factor_.empty() ? nullptr : &factor_[at(i * inputs_)];
    q[at(i)] = nearest(i, t[at(i)] + (row ? lost[at(i)] / row[i] : 0));
    const double e = t[at(i)] - q[at(i)];
    if (row && e != 0)
      for (int64_t j = 0; j < i; ++j) lost[at(j)] += e * row[j];
  }
  return q;
}

void Quadratic::descend(std::span<const double> t, const Nearest& nearest, int32_t sweeps,
                        std::span<double> q) const {
  if (is_separable()) return;
  std::vector<double> d(q.begin(), q.end());
  for (size_t i = 0; i < d.size(); ++i) d[i] -= t[i];
  std::vector<double> g = times(d);
  for (int32_t sweep = 0; sweep < sweeps; ++sweep) {
    bool changed = false;
    for (int64_t i = 0; i < inputs_; ++i) {
      const double h = weight(i);
      if (!(h > 0)) continue;
      const double next = nearest(i, q[at(i)] - g[at(i)] / h), step = next - q[at(i)];
      // A step must gain: `nearest` may break ties either way.
      if (step == 0 || !(step * (2 * g[at(i)] + step * h) < 0)) continue;
      q[at(i)] = next;
      changed = true;
      const double* row = &h_[at(i * inputs_)];
      for (int64_t j = 0; j < inputs_; ++j) g[at(j)] += step * row[j];
    }
    if (!changed) return;
  }
}

void Quadratic::rescale(std::span<const double> t, std::span<Term> terms, int32_t sweeps,
                        std::span<double> q) const {
  std::vector<double> d(t.begin(), t.end());
  for (size_t i = 0; i < d.size(); ++i) d[i] -= q[i];
  std::vector<double> r = times(d);  // H (t - q)
  for (int32_t sweep = 0; sweep < sweeps; ++sweep)
    for (Term& term : terms) {
      const auto size = static_cast<int64_t>(term.values.size());
      std::vector<double> hv(at(inputs_), 0.0);  // H times the term
      for (int64_t i = 0; i < size; ++i) {
        const double v = term.values[at(i)];
        if (v == 0) continue;
        if (is_separable()) {
          hv[at(term.first + i)] = v * weight(term.first + i);
          continue;
        }
        const double* row = &h_[at((term.first + i) * inputs_)];
        for (int64_t j = 0; j < inputs_; ++j) hv[at(j)] += v * row[j];
      }
      double power = 0, cross = 0;
      for (int64_t i = 0; i < size; ++i) {
        power += term.values[at(i)] * hv[at(term.first + i)];
        cross += term.values[at(i)] * r[at(term.first + i)];
      }
      if (!(power > 0)) continue;
      const double step = cross / power;
      term.scale += step;
      for (int64_t j = 0; j < inputs_; ++j) r[at(j)] -= step * hv[at(j)];
      for (int64_t i = 0; i < size; ++i) q[at(term.first + i)] += step * term.values[at(i)];
    }
}

}  // namespace qrt::quant
