// Constants of a linear model of time from measurements.
#ifndef QRT_BENCH_LEAST_SQUARES_H_
#define QRT_BENCH_LEAST_SQUARES_H_

#include <string>
#include <vector>

namespace qrt::bench {

// sum over j of terms[j] * constant[j] should be `ns`.
struct Equation {
  std::string what;
  std::vector<double> terms;
  double ns;
};

double predicted(const Equation&, const std::vector<double>& constants);

// Constants, none negative, with the least relative errors: squared while they are small, as they
// are beyond 5 %. What the equations leave open stays near `prior` (positive): its relative
// distance counts a hundredth of an error.
std::vector<double> solve(const std::vector<Equation>&, const std::vector<double>& prior);

}  // namespace qrt::bench

#endif  // QRT_BENCH_LEAST_SQUARES_H_
