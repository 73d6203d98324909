// With E = target - Q and P = E gram (kept up to date), block b of an output wants
// entry c where
//   (v - c)' G (v - c),   v = q + G^-1 p,
// is least: q the entry it has, G the block's own part of gram and p its part of P.
// Expanded, and without what c does not change: c'Gc - 2 c'(p + G q). A sweep over
// all blocks costs outputs * inputs * (entries + inputs) multiplications, and can only
// lower the error. The entries' normal equations are never formed: conjugate gradients
// needs their product with a vector, which is decode, times gram, and a sum by code.
#include "converter/quant/fit.h"

#include <algorithm>
#include <cmath>

#include "converter/eval/algebra.h"
#include "converter/quant/entries.h"

namespace qrt::quant {
namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// rows [outputs][inputs] times the Gram matrix of each row's group.
std::vector<float> times_gram(const FitProblem& p, const std::vector<float>& rows) {
  std::vector<float> out(rows.size());
  const int64_t per_group = p.outputs / p.groups;
  for (int64_t g = 0; g < p.groups; ++g)
    eval::multiply(per_group, p.inputs, p.inputs, &rows[at(g * per_group * p.inputs)],
                   &p.gram[at(g * p.inputs * p.inputs)], 0.0f, &out[at(g * per_group * p.inputs)]);
  return out;
}

class Fitting {
 public:
  Fitting(const FitProblem& problem, const FitOptions& options, Codebook& book)
      : p_(problem),
        options_(options),
        book_(book),
        dim_(book.dim),
        count_(book.count),
        blocks_((problem.inputs + dim_ - 1) / dim_),
        values_(entry_values(book)) {}

  void run() {
    for (int32_t round = 0; round < options_.rounds; ++round) {
      const int64_t moved = options_.reassign ? sweep() : 0;
      if (options_.refit) refit();
      if (moved == 0 && round > 0) break;
    }
    if (book_.entry == EntryType::f16)
      for (float& v : values_) v = std::clamp(v, -65504.0f, 65504.0f);
    set_entries(values_, book_);
    values_ = entry_values(book_);
    if (options_.reassign) sweep();
  }

 private:
  int64_t length(int64_t block) const { return std::min(dim_, p_.inputs - block * dim_); }
  uint16_t& code(int64_t book, int64_t block, int64_t o) {
    return book_.codes[at((book * blocks_ + block) * p_.outputs + o)];
  }
  // Where the entry of that code lies, in vectors of dim_.
  int64_t vector_of(int64_t book, int64_t o, int64_t code) const {
    const int64_t scope = book_.scope_rows == 0 ? 0 : o / book_.scope_rows;
    return (scope * book_.books + book) * count_ + code;
  }

  // The weights that `entries` mean under the present codes.
  template <class T>
  std::vector<float> decoded(const std::vector<T>& entries) {
    std::vector<float> out(at(p_.outputs * p_.inputs), 0.0f);
    for (int64_t m = 0; m < book_.books; ++m)
      for (int64_t b = 0; b < blocks_; ++b)
        for (int64_t o = 0; o < p_.outputs; ++o) {
          const T* from = &entries[at(vector_of(m, o, code(m, b, o)) * dim_)];
          float* to = &out[at(o * p_.inputs + b * dim_)];
          for (int64_t t = 0; t < length(b); ++t) to[t] += static_cast<float>(from[t]);
        }
    return out;
  }

  // ---- codes -----------------------------------------------------------------------------------

  // One visit to every block and book; returns how many codes changed.
  int64_t sweep() {
    std::vector<float> error = decoded(values_);
    for (size_t i = 0; i < error.size(); ++i) error[i] = p_.target[i] - error[i];
    std::vector<float> pull = times_gram(p_, error);  // E gram
    const int64_t per_group = p_.outputs / p_.groups;
    int64_t moved = 0;
    for (int64_t b = 0; b < blocks_; ++b)
      for (int64_t m = 0; m < book_.books; ++m)
        for (int64_t g = 0; g < p_.groups; ++g)
          moved +=
              visit(b, m, g * per_group, per_group, &p_.gram[at(g * p_.inputs * p_.inputs)], pull);
    return moved;
  }

  // Outputs [first, first + n) of one group choose their entry of book m for block b.
  int64_t visit(int64_t b, int64_t m, int64_t first, int64_t n, const float* gram,
                std::vector<float>& pull) {
    const int64_t len = length(b), k = p_.inputs;
    const float* g = gram + b * dim_ * k + b * dim_;  // [len][len], rows k apart
    step_.assign(at(n * len), 0.0f);
    int64_t moved = 0, set = -1;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t o = first + i, start = vector_of(m, o, 0);
      if (start != set) prepare(start, len, g), set = start;
      const int64_t now = code(m, b, o);
      const float* q = &values_[at((start + now) * dim_)];
      const float* p = &pull[at(o * k + b * dim_)];
      wish_.assign(at(len), 0.0f);
      for (int64_t s = 0; s < len; ++s) {
        float sum = p[s];
        for (int64_t t = 0; t < len; ++t) sum += g[s * k + t] * q[t];
        wish_[at(s)] = -2 * sum;
      }
      const int64_t best = cheapest(len);
      // Rounding must not make codes of equal cost wander.
      if (best == now || !(cost_[at(best)] < cost_[at(now)])) continue;
      ++moved;
      code(m, b, o) = static_cast<uint16_t>(best);
      const float* c = &values_[at((start + best) * dim_)];
      for (int64_t t = 0; t < len; ++t) step_[at(i * len + t)] = q[t] - c[t];
    }
    if (moved > 0)
      eval::multiply(n, k, len, step_.data(), gram + b * dim_ * k, 1.0f, &pull[at(first * k)]);
    return moved;
  }

  // c'Gc of every entry from `start` on, and the entries transposed, so that costs of all of them
  // are sums over contiguous vectors.
  void prepare(int64_t start, int64_t len, const float* g) {
    columns_.resize(at(len * count_));
    own_.assign(at(count_), 0.0f);
    for (int64_t c = 0; c < count_; ++c) {
      const float* v = &values_[at((start + c) * dim_)];
      float sum = 0;
      for (int64_t s = 0; s < len; ++s) {
        columns_[at(s * count_ + c)] = v[s];
        for (int64_t t = 0; t < len; ++t) sum += v[s] * g[s * p_.inputs + t] * v[t];
      }
      own_[at(c)] = sum;
    }
  }

  int64_t cheapest(int64_t len) {
    cost_ = own_;
    for (int64_t s = 0; s < len; ++s) {
      const float w = wish_[at(s)];
      const float* column = &columns_[at(s * count_)];
      for (int64_t c = 0; c < count_; ++c) cost_[at(c)] += w * column[c];
    }
    return std::min_element(cost_.begin(), cost_.end()) - cost_.begin();
  }

  // ---- entries ---------------------------------------------------------------------------------

  // Sums rows [outputs][inputs], weighted by importance, into the entries their blocks chose.
  std::vector<double> gathered(const std::vector<float>& rows) {
    std::vector<double> out(values_.size(), 0.0);
    for (int64_t m = 0; m < book_.books; ++m)
      for (int64_t b = 0; b < blocks_; ++b)
        for (int64_t o = 0; o < p_.outputs; ++o) {
          double* to = &out[at(vector_of(m, o, code(m, b, o)) * dim_)];
          const float* from = &rows[at(o * p_.inputs + b * dim_)];
          const double w = double{p_.importance[at(o)]};
          for (int64_t t = 0; t < length(b); ++t) to[t] += w * double{from[t]};
        }
    return out;
  }

  // (normal matrix + ridge) x
  std::vector<double> normal(const std::vector<double>& x, const std::vector<double>& ridge) {
    std::vector<double> out = gathered(times_gram(p_, decoded(x)));
    for (size_t i = 0; i < out.size(); ++i) out[i] += ridge[i] * x[i];
    return out;
  }

  void refit() {
    // Per entry value: the ridge, and the diagonal of the normal matrix as preconditioner.
    std::vector<float> own(at(p_.outputs * p_.inputs)), mean(own.size());
    const int64_t per_group = p_.outputs / p_.groups, k = p_.inputs;
    for (int64_t o = 0; o < p_.outputs; ++o) {
      const float* g = &p_.gram[at(o / per_group * k * k)];
      float trace = 0;
      for (int64_t i = 0; i < k; ++i) trace += own[at(o * k + i)] = g[i * k + i];
      std::fill_n(&mean[at(o * k)], k, trace / static_cast<float>(k));
    }
    std::vector<double> ridge = gathered(mean), diagonal = gathered(own);
    for (size_t i = 0; i < ridge.size(); ++i) {
      ridge[i] *= options_.ridge;
      diagonal[i] += ridge[i];
    }
    std::vector<float> error = decoded(values_);
    for (size_t i = 0; i < error.size(); ++i) error[i] = p_.target[i] - error[i];
    solve(gathered(times_gram(p_, error)), ridge, diagonal);
  }

  // Conjugate gradients for the change of the entries, from no change.
  void solve(std::vector<double> residual, const std::vector<double>& ridge,
             const std::vector<double>& diagonal) {
    const size_t n = residual.size();
    std::vector<double> x(n, 0.0), direction(n, 0.0);
    double before = 0, first = 0;
    for (int32_t it = 0; it < options_.iterations; ++it) {
      double energy = 0;
      for (size_t i = 0; i < n; ++i)
        if (diagonal[i] > 0) energy += residual[i] * residual[i] / diagonal[i];
      if (it == 0) first = energy;
      if (!(energy > 1e-10 * first)) break;
      for (size_t i = 0; i < n; ++i) {
        const double z = diagonal[i] > 0 ? residual[i] / diagonal[i] : 0.0;
        direction[i] = z + (it == 0 ? 0.0 : energy / before * direction[i]);
      }
      before = energy;
      const std::vector<double> image = normal(direction, ridge);
      double curvature = 0;
      for (size_t i = 0; i < n; ++i) curvature += direction[i] * image[i];
      if (!(curvature > 0)) break;
      const double length = energy / curvature;
      for (size_t i = 0; i < n; ++i) {
        x[i] += length * direction[i];
        residual[i] -= length * image[i];
      }
    }
    for (size_t i = 0; i < n; ++i) values_[i] += static_cast<float>(x[i]);
  }

  const FitProblem& p_;
  const FitOptions& options_;
  Codebook& book_;
  const int64_t dim_, count_, blocks_;
  std::vector<float> values_;  // entries times their scales
  std::vector<float> step_, wish_, own_, cost_, columns_;
};

}  // namespace

double fit_error(const FitProblem& p, const std::vector<float>& weights) {
  std::vector<float> error(weights.size());
  for (size_t i = 0; i < error.size(); ++i) error[i] = p.target[i] - weights[i];
  const auto energy = [&](const std::vector<float>& rows) {
    const std::vector<float> image = times_gram(p, rows);
    double sum = 0;
    for (size_t i = 0; i < rows.size(); ++i)
      sum += double{p.importance[i / at(p.inputs)]} * double{rows[i]} * double{image[i]};
    return sum;
  };
  const double all = energy(p.target);
  return all > 0 ? energy(error) / all : 0.0;
}

void fit_codebook(const FitProblem& problem, const FitOptions& options, Codebook& codebook) {
  Fitting(problem, options, codebook).run();
}

}  // namespace qrt::quant
