// Products with many vectors at once have the bits of plain loops, and rows that are
// fitted together those of rows fitted alone.
#include "converter/quant/products.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "converter/quant/grid.h"
#include "converter/quant/random.h"
#include "converter/quant/sketch.h"

using namespace qrt;

namespace {

std::vector<double> numbers(size_t count, quant::Random& r, bool with_zeros = false) {
  std::vector<double> out(count);
  for (double& v : out) v = with_zeros && r.uniform() < 0.3 ? 0.0 : r.normal();
  return out;
}

// Second moments of correlated inputs.
std::vector<double> gram(int64_t inputs, quant::Random& r) {
  const auto n = static_cast<size_t>(inputs);
  std::vector<double> x = numbers(2 * n * n, r), out;
  for (double& v : x) v += 0.5;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t row = 0; row < 2 * n; ++row)
        sum += x[row * n + std::min(i, j)] * x[row * n + std::max(i, j)];
      out.push_back(sum / double(2 * n));
    }
  return out;
}

}  // namespace

TEST_CASE("products: the bits of a plain loop, forwards and backwards") {
  quant::Random r(1);
  for (const size_t vectors : {1, 2, 4, 7, 64, 67})
    for (const size_t terms : {0, 1, 63, 64, 130})
      for (const size_t columns : {0, 1, 7, 8, 255, 260}) {
        CAPTURE(vectors);
        CAPTURE(terms);
        CAPTURE(columns);
        const size_t stride = columns + 3;
        const std::vector<double> m = numbers((terms + 1) * stride, r);
        const std::vector<double> x = numbers(vectors * terms, r, true);
        const std::vector<double> start = numbers(vectors * columns, r);
        for (const bool backwards : {false, true}) {
          if (terms == 0 && backwards) continue;
          std::vector<double> found = start, wanted = start;
          std::vector<quant::Sum> sums;
          for (size_t v = 0; v < vectors; ++v) {
            sums.push_back({x.data() + v * terms, found.data() + v * columns});
            for (size_t i = 0; i < terms; ++i)
              for (size_t j = 0; j < columns; ++j) {
                const size_t row = backwards ? terms - 1 - i : i;
                const volatile double product = x[v * terms + i] * m[row * stride + j];
                wanted[v * columns + j] += product;
              }
          }
          const auto step = static_cast<std::ptrdiff_t>(stride);
          quant::add_products(sums, m.data() + (backwards ? (terms - 1) * stride : 0),
                              backwards ? -step : step, terms, columns);
          CHECK(found == wanted);
        }
      }
}

// 70 rows are more than one batch; alone, each is a batch of its own.
TEST_CASE("products: rows fitted together are those fitted alone") {
  constexpr int64_t kInputs = 73, kRows = 70;
  quant::Random r(2);
  const std::vector<quant::Quadratic> metrics{{gram(kInputs, r), 1e-3, kInputs}};
  std::vector<float> target;
  for (const double v : numbers(kInputs * kRows, r)) target.push_back(static_cast<float>(v));
  const std::vector<double> gains(kRows, 1.0);
  for (const int64_t group : {0, 10}) {
    CAPTURE(group);
    quant::GridFit fit;
    fit.axis = group > 0 ? quant::ScaleAxis::group : quant::ScaleAxis::output, fit.group = group;
    const quant::Grid grid = quant::grid_of(quant::GridKind::srq, 3);
    const quant::FittedGrid all = quant::fit_grid(target, metrics, gains, grid, fit);
    quant::PlaneFit planes;
    planes.group = group, planes.most = 2, planes.bits = 2;
    const quant::BitPlanes signs = quant::fit_planes(target, metrics, gains, planes);
    std::vector<int16_t> codes;
    std::vector<float> scales, alphas;
    for (int64_t o = 0; o < kRows; ++o) {
      const auto row = std::span(target).subspan(size_t(o * kInputs), size_t(kInputs));
      const auto one = quant::fit_grid(row, metrics, std::span(gains).first(1), grid, fit);
      codes.insert(codes.end(), one.codes.begin(), one.codes.end());
      scales.insert(scales.end(), one.scales.values.begin(), one.scales.values.end());
      const auto few = quant::fit_planes(row, metrics, std::span(gains).first(1), planes);
      alphas.insert(alphas.end(), few.alphas.begin(), few.alphas.end());
    }
    CHECK(all.codes == codes);
    CHECK(all.scales.values == scales);
    CHECK(signs.alphas == alphas);
    fit.threads = 3, planes.threads = 3;
    CHECK(quant::fit_grid(target, metrics, gains, grid, fit).codes == codes);
    CHECK(quant::fit_planes(target, metrics, gains, planes).alphas == alphas);
  }
}
