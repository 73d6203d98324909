// Dense matrix algebra for methods, all row-major: the second door to OpenBLAS
// beside the layers. Results depend on the BLAS in their last bits, not on the
// data's history.
#ifndef QRT_CONVERTER_EVAL_ALGEBRA_H_
#define QRT_CONVERTER_EVAL_ALGEBRA_H_

#include <cstdint>
#include <span>
#include <vector>

namespace qrt::eval {

// For tools, before any work: products run on one thread from here on, so that their last bits, and
// with them the bytes of a file, do not depend on the number of cores. Small products are faster
// so.
void use_one_blas_thread();

// c [m][n] = a [m][k] b [k][n] + keep * c. Rows of a, b and c lie `k`, `n` and `n` apart.
void multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float keep,
              float* c);

// c [m][n] += a' b over `rows` rows, for a [rows][m] and b [rows][n].
void add_cross(int64_t m, int64_t n, int64_t rows, const float* a, const float* b, float* c);

// c [m][n] = a [m][k] b' for b [n][k].
void multiply_transposed(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c);

// Solves x a = b for every row of b, in place: a [n][n] is symmetric and positive definite and is
// overwritten by its factor, b is [rows][n]. False, and b unspecified, where a pivot is not
// positive.
bool solve_rows(std::vector<double>& a, int64_t n, std::span<double> b);

}  // namespace qrt::eval

#endif  // QRT_CONVERTER_EVAL_ALGEBRA_H_
