// See least_squares.h. With u[j] = constant[j] / prior[j] and rows a = terms * prior / ns,
//
//   minimize |A u - 1|^2 + lambda |u - 1|^2,  u >= 0:
//
// a strictly convex problem whose normal matrix H = A'A + lambda I is small, so one coordinate
// after the other is set to its best value, cut at zero, until none moves. Each such step lowers
// the sum.
#include "bench/least_squares.h"

#include <algorithm>
#include <cmath>

namespace qrt::bench {

double predicted(const Equation& e, const std::vector<double>& constants) {
  double ns = 0;
  for (size_t j = 0; j < constants.size(); ++j) ns += e.terms[j] * constants[j];
  return ns;
}

namespace {

std::vector<double> solve_weighted(const std::vector<Equation>& equations,
                                   const std::vector<double>& weights,
                                   const std::vector<double>& prior) {
  constexpr double kLambda = 1e-4;  // a hundredth of an error, squared
  const size_t n = prior.size();
  std::vector<double> h(n * n), b(n, kLambda), u(n, 1);
  for (size_t j = 0; j < n; ++j) h[j * n + j] = kLambda;
  for (size_t i = 0; i < equations.size(); ++i) {
    const Equation& e = equations[i];
    for (size_t j = 0; j < n; ++j) {
      const double a = weights[i] * e.terms[j] * prior[j] / e.ns;
      b[j] += a;
      for (size_t k = 0; k < n; ++k) h[j * n + k] += a * e.terms[k] * prior[k] / e.ns;
    }
  }
  for (int turn = 0; turn < 100000; ++turn) {
    double moved = 0;
    for (size_t j = 0; j < n; ++j) {
      double slope = -b[j];
      for (size_t k = 0; k < n; ++k) slope += h[j * n + k] * u[k];
      const double next = std::max(0.0, u[j] - slope / h[j * n + j]);
      moved = std::max(moved, std::fabs(next - u[j]));
      u[j] = next;
    }
    if (moved < 1e-9) break;
  }
  for (size_t j = 0; j < n; ++j) u[j] *= prior[j];
  return u;
}

}  // namespace

std::vector<double> solve(const std::vector<Equation>& equations,
                          const std::vector<double>& prior) {
  constexpr double kTrusted = 0.05;
  std::vector<double> weights(equations.size(), 1), found;
  for (int turn = 0; turn < 30; ++turn) {
    found = solve_weighted(equations, weights, prior);
    for (size_t i = 0; i < equations.size(); ++i) {
      const double error = std::fabs(predicted(equations[i], found) / equations[i].ns - 1);
      weights[i] = error <= kTrusted ? 1 : kTrusted / error;
    }
  }
  return found;
}

}  // namespace qrt::bench
