// Products are OpenBLAS's. The factorisation is a blocked Cholesky on top of its
// level 3: Debian's cblas.h has no LAPACK beside it.
#include "converter/eval/algebra.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>

namespace qrt::eval {
namespace {

// Columns factored by plain loops before the rest is updated by one product: small enough that the
// loops are a tenth of the work at n = 500, large enough to feed dsyrk.
constexpr int64_t kPanel = 48;

int narrow(int64_t n) {
  return static_cast<int>(n);
}

// The lower factor of the diagonal block at `at`, in place.
bool factor_panel(std::vector<double>& a, int64_t n, int64_t at, int64_t size) {
  for (int64_t i = at; i < at + size; ++i) {
    for (int64_t j = at; j <= i; ++j) {
      double sum = a[static_cast<size_t>(i * n + j)];
      for (int64_t t = at; t < j; ++t)
        sum -= a[static_cast<size_t>(i * n + t)] * a[static_cast<size_t>(j * n + t)];
      if (i != j) {
        a[static_cast<size_t>(i * n + j)] = sum / a[static_cast<size_t>(j * n + j)];
      } else {
        if (!(sum > 0)) return false;
        a[static_cast<size_t>(i * n + i)] = std::sqrt(sum);
      }
    }
  }
  return true;
}

}  // namespace

void multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float keep,
              float* c) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, narrow(m), narrow(n), narrow(k), 1.0f, a,
              narrow(k), b, narrow(n), keep, c, narrow(n));
}

void add_cross(int64_t m, int64_t n, int64_t rows, const float* a, const float* b, float* c) {
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, narrow(m), narrow(n), narrow(rows), 1.0f, a,
              narrow(m), b, narrow(n), 1.0f, c, narrow(n));
}

void multiply_transposed(int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                         float* c) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, narrow(m), narrow(n), narrow(k), 1.0f, a,
              narrow(k), b, narrow(k), 0.0f, c, narrow(n));
}

bool solve_rows(std::vector<double>& a, int64_t n, std::span<double> b) {
  for (int64_t at = 0; at < n; at += kPanel) {
    const int64_t size = std::min(kPanel, n - at), rest = n - at - size;
    if (!factor_panel(a, n, at, size)) return false;
    if (rest == 0) break;
    double* diagonal = &a[static_cast<size_t>(at * n + at)];
    double* below = diagonal + size * n;
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, narrow(rest),
                narrow(size), 1.0, diagonal, narrow(n), below, narrow(n));
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, narrow(rest), narrow(size), -1.0, below,
                narrow(n), 1.0, below + size, narrow(n));
  }
  // a = L L': x L L' = b.
  const int rows = narrow(static_cast<int64_t>(b.size()) / n);
  cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, rows, narrow(n), 1.0,
              a.data(), narrow(n), b.data(), narrow(n));
  cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, rows, narrow(n),
              1.0, a.data(), narrow(n), b.data(), narrow(n));
  return true;
}

void use_one_blas_thread() {
  openblas_set_num_threads(1);
}

}  // namespace qrt::eval
