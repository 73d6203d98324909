// Gradient-free fitting of a codebook to a layer's outputs. For fixed codes the
// entries solve a linear least-squares problem, for fixed entries each code can be
// chosen with all others given; both lower the same error, so they alternate.
#ifndef QRT_CONVERTER_QUANT_FIT_H_
#define QRT_CONVERTER_QUANT_FIT_H_

#include <cstdint>
#include <vector>

#include "converter/quant/capture.h"
#include "converter/quant/encoding.h"

namespace qrt::quant {

// The error of coded weights Q, summed over outputs o of group g(o):
//   importance_o (target_o - Q_o)' gram_g (target_o - Q_o)
struct FitProblem {
  int64_t groups = 1, inputs = 0, outputs = 0;
  std::vector<float> target;      // [outputs][inputs]
  std::vector<float> gram;        // [group][inputs][inputs], symmetric, positive semidefinite
  std::vector<float> importance;  // [outputs], >= 0
};

struct FitOptions {
  int32_t rounds = 5;       // of codes, then entries
  bool refit = true;        // entries by least squares
  bool reassign = true;     // codes by coordinate descent
  int32_t iterations = 20;  // of conjugate gradients in each round
  // Pulls entries towards where they were, in units of the mean diagonal of the Gram matrix:
  // directions the calibration data hardly has stay as clustering left them.
  double ridge = 1e-3;
};

// The error above over that of Q = 0; 0 where that is 0.
double fit_error(const FitProblem&, const std::vector<float>& weights);

// Improves entries and codes in place; `codebook` must pass check() for [outputs][inputs]. Its
// entries are exact values of their type afterwards, chosen codes are the best for those. Books and
// scopes of any number. Deterministic up to the BLAS.
void fit_codebook(const FitProblem&, const FitOptions&, Codebook& codebook);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_FIT_H_
