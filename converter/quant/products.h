// Sums of a matrix's rows for many vectors at once: the matrix is read once for all of them.
#ifndef QRT_CONVERTER_QUANT_PRODUCTS_H_
#define QRT_CONVERTER_QUANT_PRODUCTS_H_

#include <cstddef>
#include <span>

namespace qrt::quant {

// One vector: its factors [terms], and what they are added up in [columns].
struct Sum {
  const double* x;
  double* out;
};

// out[j] += x[0] m[0][j], then x[1] m[1][j] and so on, `terms` rows of m that lie `stride` numbers
// apart (backwards where it is negative). Every number of every sum is added in this order, without
// fused operations: the same bits whatever else is added up beside it. m is finite, no sum -0.
void add_products(std::span<const Sum> sums, const double* m, std::ptrdiff_t stride, size_t terms,
                  size_t columns);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_PRODUCTS_H_
