// How far a row of weights is from another by what it does to a layer's output:
// (q - t)' H (q - t), H the second moments of the layer's inputs. Rounding by this
// metric is what all methods of few bits share, whatever values they round to.
#ifndef QRT_CONVERTER_QUANT_QUADRATIC_H_
#define QRT_CONVERTER_QUANT_QUADRATIC_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace qrt::quant {

// The allowed value nearest to `wanted` for input `i` of the row.
using Nearest = std::function<double(int64_t i, double wanted)>;

// One term of a row: over inputs [first, first + values.size()) the row has scale * values.
struct Term {
  int64_t first = 0;
  double scale = 0;
  std::vector<double> values;
};

// A row of weights t and the row q of allowed values that is to stand for it.
struct RowFit {
  template <class Numbers>
  explicit RowFit(const Numbers& target) : t(target.begin(), target.end()) {}

  std::vector<double> t, q;
  Nearest nearest;

 private:
  friend class Quadratic;
  // The last q - t that was multiplied by H and what came of it; empty where that has changed.
  std::vector<double> d, hd;
};

// Rows that are worked on together: H is read once for all. A row ends the same bit by bit whatever
// others are with it.
using RowFits = std::span<RowFit* const>;

// Calls run(first, last) for the rows of [begin, end) in runs that share a metric, each of them at
// most as long as is of use; `per_metric` rows have one metric.
template <class Fn>
void for_batches(size_t begin, size_t end, size_t per_metric, const Fn& run) {
  constexpr size_t kMost = 64;
  for (size_t last; begin < end; begin = last) {
    last = std::min({end, begin + kMost, (begin / per_metric + 1) * per_metric});
    run(begin, last);
  }
}

class Quadratic {
 public:
  // H of a layer without data: all inputs alike.
  explicit Quadratic(int64_t inputs)
      : inputs_(inputs), diagonal_(static_cast<size_t>(inputs), 1.0) {}
  // `gram` [inputs][inputs], symmetric and positive semidefinite; `ridge` is added to its diagonal.
  // A matrix without any energy counts as none.
  Quadratic(std::span<const double> gram, double ridge, int64_t inputs);
  // The diagonal alone, not negative.
  static Quadratic of_diagonal(std::span<const double> diagonal);

  int64_t inputs() const { return inputs_; }
  // Inputs do not see each other: the nearest value of each is the best.
  bool is_separable() const { return h_.empty(); }
  // Diagonal of H.
  double weight(int64_t i) const { return diagonal_[static_cast<size_t>(i)]; }

  // H v of each vector.
  std::vector<std::vector<double>> times(std::span<const std::vector<double>> vectors) const;
  // (q - t)' H (q - t) of each row.
  std::vector<double> errors(RowFits) const;
  double error(std::span<const double> q, std::span<const double> t) const;

  // Rows of allowed values near t: inputs are rounded one after the other, and those still to come
  // make up for what was lost so far as well as real numbers could.
  void round(RowFits) const;

  // Coordinate descent from q: each input takes the best value with all others given, until nothing
  // changes or `sweeps` are over. Never raises the error.
  void descend(RowFits, int32_t sweeps) const;

  // Scales of terms [row][term] by least squares, one after the other for `sweeps` rounds; exact in
  // one where terms are orthogonal. q is their sum before and after.
  void rescale(RowFits, std::span<std::vector<Term>> terms, int32_t sweeps) const;

 private:
  void multiply(RowFits) const;  // d and hd of rows
  void descend(RowFit&, int32_t sweeps) const;
  std::vector<std::vector<double>> images(std::span<const std::vector<Term>> terms) const;
  void rescale(RowFit&, std::span<Term>, std::span<const std::vector<double>> images,
               int32_t sweeps) const;

  int64_t inputs_;
  std::vector<double> diagonal_;    // [inputs]
  std::vector<double> h_, factor_;  // factor_ L, lower: H = L L'; empty where H has none
};

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_QUADRATIC_H_
