// How far a row of weights is from another by what it does to a layer's output:
// (q - t)' H (q - t), H the second moments of the layer's inputs. Rounding by this
// metric is what all methods of few bits share, whatever values they round to.
#ifndef QRT_CONVERTER_QUANT_QUADRATIC_H_
#define QRT_CONVERTER_QUANT_QUADRATIC_H_

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

  std::vector<double> times(std::span<const double> v) const;  // H v
  double energy(std::span<const double> v) const;              // v' H v
  double error(std::span<const double> q, std::span<const double> t) const;

  // A row of allowed values near t: inputs are rounded one after the other, and those still to come
  // make up for what was lost so far as well as real numbers could.
  std::vector<double> rounded(std::span<const double> t, const Nearest&) const;

  // Coordinate descent from q: each input takes the best value with all others given, until nothing
  // changes or `sweeps` are over. Never raises the error.
  void descend(std::span<const double> t, const Nearest&, int32_t sweeps,
               std::span<double> q) const;

  // Scales of terms by least squares, one after the other for `sweeps` rounds; exact in one where
  // terms are orthogonal. q is their sum before and after.
  void rescale(std::span<const double> t, std::span<Term> terms, int32_t sweeps,
               std::span<double> q) const;

 private:
  int64_t inputs_;
  std::vector<double> diagonal_;    // [inputs]
  std::vector<double> h_, factor_;  // factor_ L, lower: H = L L'; empty where H has none
};

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_QUADRATIC_H_
