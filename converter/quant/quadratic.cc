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
#include <map>
#include <numeric>
#include <utility>

#include "converter/eval/algebra.h"
#include "converter/quant/products.h"

namespace qrt::quant {
namespace {

constexpr int64_t kBlock = 64;        // inputs rounded before what they lost is shared out
constexpr size_t kMostImages = 1024;  // products of terms kept at a time, if one row has no more

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

std::vector<std::vector<double>> Quadratic::times(
    std::span<const std::vector<double>> vectors) const {
  std::vector<std::vector<double>> out(vectors.size(), std::vector<double>(at(inputs_), 0.0));
  std::vector<Sum> sums;
  for (size_t v = 0; v < vectors.size(); ++v) {
    for (int64_t i = 0; is_separable() && i < inputs_; ++i)
      out[v][at(i)] = weight(i) * vectors[v][at(i)];
    sums.push_back({vectors[v].data(), out[v].data()});
  }
  if (!is_separable()) add_products(sums, h_.data(), inputs_, at(inputs_), at(inputs_));
  return out;
}

void Quadratic::multiply(RowFits rows) const {
  std::vector<std::vector<double>> changed;
  std::vector<RowFit*> owners;
  for (RowFit* row : rows) {
    std::vector<double> d(row->q);
    for (size_t i = 0; i < d.size(); ++i) d[i] -= row->t[i];
    if (d == row->d) continue;
    changed.push_back(std::move(d));
    owners.push_back(row);
  }
  std::vector<std::vector<double>> products = times(changed);
  for (size_t r = 0; r < owners.size(); ++r) {
    owners[r]->d = std::move(changed[r]);
    owners[r]->hd = std::move(products[r]);
  }
}

std::vector<double> Quadratic::errors(RowFits rows) const {
  multiply(rows);
  std::vector<double> out;
  for (const RowFit* row : rows)
    out.push_back(std::inner_product(row->hd.begin(), row->hd.end(), row->d.begin(), 0.0));
  return out;
}

double Quadratic::error(std::span<const double> q, std::span<const double> t) const {
  RowFit fit(t);
  fit.q.assign(q.begin(), q.end());
  RowFit* const fits[] = {&fit};
  return errors(fits)[0];
}

void Quadratic::round(RowFits rows) const {
  // Sums of (t_j - q_j) L_ji, complete for the inputs of a block before it is rounded.
  std::vector<std::vector<double>> lost(rows.size(), std::vector<double>(at(inputs_), 0.0));
  std::vector<std::vector<double>> errors(rows.size(), std::vector<double>(at(kBlock)));
  std::vector<Sum> sums;
  for (size_t r = 0; r < rows.size(); ++r) {
    rows[r]->q.assign(at(inputs_), 0.0);
    sums.push_back({errors[r].data(), lost[r].data()});
  }
  for (int64_t end = inputs_, first; end > 0; end = first) {
    first = std::max<int64_t>(end - kBlock, 0);
    for (size_t r = 0; r < rows.size(); ++r)
      for (int64_t i = end - 1; i >= first; --i) {
        const double* row = factor_.empty() ? nullptr : &factor_[at(i * inputs_)];
        const double t = rows[r]->t[at(i)];
        const double q = rows[r]->nearest(i, t + (row ? lost[r][at(i)] / row[i] : 0));
        const double e = t - q;
        rows[r]->q[at(i)] = q;
        errors[r][at(end - 1 - i)] = e;
        if (row && e != 0)
          for (int64_t j = first; j < i; ++j) lost[r][at(j)] += e * row[j];
      }
    if (!factor_.empty())
      add_products(sums, &factor_[at((end - 1) * inputs_)], -inputs_, at(end - first), at(first));
  }
}

void Quadratic::descend(RowFits rows, int32_t sweeps) const {
  if (is_separable()) return;
  multiply(rows);
  for (RowFit* row : rows) descend(*row, sweeps);
}

void Quadratic::descend(RowFit& fit, int32_t sweeps) const {
  std::vector<double>&q = fit.q, &g = fit.hd;
  for (int32_t sweep = 0; sweep < sweeps; ++sweep) {
    bool changed = false;
    for (int64_t i = 0; i < inputs_; ++i) {
      const double h = weight(i);
      if (!(h > 0)) continue;
      const double next = fit.nearest(i, q[at(i)] - g[at(i)] / h), step = next - q[at(i)];
      // A step must gain: `nearest` may break ties either way.
      if (step == 0 || !(step * (2 * g[at(i)] + step * h) < 0)) continue;
      q[at(i)] = next;
      changed = true;
      const double* row = &h_[at(i * inputs_)];
      for (int64_t j = 0; j < inputs_; ++j) g[at(j)] += step * row[j];
    }
    if (!changed) return;
    fit.d.clear();  // g has added up the roundings of its steps
  }
}

// H times every term, one row's after the other's.
std::vector<std::vector<double>> Quadratic::images(std::span<const std::vector<Term>> rows) const {
  std::vector<std::vector<double>> out;
  std::map<std::pair<int64_t, size_t>, std::vector<std::pair<const Term*, size_t>>> ranges;
  for (const std::vector<Term>& terms : rows)
    for (const Term& term : terms) {
      ranges[{term.first, term.values.size()}].push_back({&term, out.size()});
      std::vector<double>& image = out.emplace_back(at(inputs_), 0.0);
      for (size_t i = 0; is_separable() && i < term.values.size(); ++i)
        image[at(term.first) + i] = term.values[i] * weight(term.first + std::ptrdiff_t(i));
    }
  if (is_separable()) return out;
  for (const auto& [range, terms] : ranges) {
    std::vector<Sum> sums;
    for (const auto& [term, place] : terms)
      sums.push_back({term->values.data(), out[place].data()});
    add_products(sums, &h_[at(range.first * inputs_)], inputs_, range.second, at(inputs_));
  }
  return out;
}

void Quadratic::rescale(RowFits rows, std::span<std::vector<Term>> terms, int32_t sweeps) const {
  multiply(rows);
  for (size_t first = 0, last; first < rows.size(); first = last) {
    size_t count = terms[first].size();
    for (last = first + 1; last < rows.size() && count + terms[last].size() <= kMostImages; ++last)
      count += terms[last].size();
    const auto hv = images(terms.subspan(first, last - first));
    for (size_t r = first, next = 0; r < last; next += terms[r++].size())
      rescale(*rows[r], terms[r], std::span(hv).subspan(next, terms[r].size()), sweeps);
  }
}

void Quadratic::rescale(RowFit& fit, std::span<Term> terms,
                        std::span<const std::vector<double>> images, int32_t sweeps) const {
  std::vector<double> r(at(inputs_));  // H (t - q)
  for (size_t j = 0; j < r.size(); ++j) r[j] = 0 - fit.hd[j];
  for (int32_t sweep = 0; sweep < sweeps; ++sweep)
    for (size_t k = 0; k < terms.size(); ++k) {
      Term& term = terms[k];
      const std::vector<double>& hv = images[k];
      const size_t first = at(term.first), size = term.values.size();
      double power = 0, cross = 0;
      for (size_t i = 0; i < size; ++i) {
        power += term.values[i] * hv[first + i];
        cross += term.values[i] * r[first + i];
      }
      if (!(power > 0)) continue;
      const double step = cross / power;
      term.scale += step;
      for (size_t j = 0; j < r.size(); ++j) r[j] -= step * hv[j];
      for (size_t i = 0; i < size; ++i) fit.q[first + i] += step * term.values[i];
    }
}

}  // namespace qrt::quant
