// Fitting of codebooks: entries are least squares, codes are locally best, nothing
// gets worse, whatever the shape. And the linear algebra below it.
#include "converter/quant/fit.h"

#include <doctest/doctest.h>

#include <cmath>

#include "converter/eval/algebra.h"
#include "converter/quant/random.h"

using namespace qrt;
using quant::Codebook;
using quant::EntryType;
using quant::FitOptions;
using quant::FitProblem;

namespace {

// Correlated inputs, so that blocks are not independent.
FitProblem problem(int64_t outputs, int64_t inputs, int64_t groups, uint64_t seed) {
  quant::Random r(seed);
  FitProblem p{groups, inputs, outputs, {}, {}, {}};
  for (int64_t i = 0; i < outputs * inputs; ++i) p.target.push_back(static_cast<float>(r.normal()));
  for (int64_t o = 0; o < outputs; ++o)
    p.importance.push_back(static_cast<float>(0.5 + r.uniform()));
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<double> x(static_cast<size_t>(4 * inputs * inputs));
    for (double& v : x) v = 1 + r.normal();
    for (int64_t i = 0; i < inputs; ++i)
      for (int64_t j = 0; j < inputs; ++j) {
        double sum = 0;
        for (int64_t row = 0; row < 4 * inputs; ++row)
          sum +=
              x[static_cast<size_t>(row * inputs + i)] * x[static_cast<size_t>(row * inputs + j)];
        p.gram.push_back(static_cast<float>(sum / static_cast<double>(4 * inputs)));
      }
  }
  return p;
}

Codebook start(const FitProblem& p, int32_t dim, int32_t count, EntryType entry, uint64_t seed,
               int32_t books = 1, int32_t scope_rows = 0) {
  quant::Random r(seed);
  Codebook c;
  c.books = books;
  c.count = count;
  c.dim = dim;
  c.scope_rows = scope_rows;
  c.entry = entry;
  const int64_t scopes = scope_rows == 0 ? 1 : (p.outputs + scope_rows - 1) / scope_rows;
  const int64_t blocks = (p.inputs + dim - 1) / dim;
  for (int64_t i = 0; i < scopes * books * count * dim; ++i)
    c.entries.push_back(std::round(static_cast<float>(r.normal()) * 8) / 8);
  if (entry == EntryType::i8) {
    for (float& v : c.entries) v *= 8;
    c.entry_scales.assign(static_cast<size_t>(scopes * books * count), 0.125f);
  }
  for (int64_t i = 0; i < books * blocks * p.outputs; ++i)
    c.codes.push_back(static_cast<uint16_t>(r.below(count)));
  return c;
}

double error(const FitProblem& p, const Codebook& c) {
  return quant::fit_error(p, quant::decode(quant::Encoding(c), p.outputs, p.inputs));
}

}  // namespace

TEST_CASE("fit: the error is the quadratic form it says") {
  const FitProblem p = problem(3, 5, 1, 1);
  std::vector<float> q = p.target;
  q[7] += 0.5f;  // output 1, input 2
  double all = 0;
  for (int64_t o = 0; o < 3; ++o)
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t j = 0; j < 5; ++j)
        all += p.importance[o] * p.target[o * 5 + i] * p.gram[i * 5 + j] * p.target[o * 5 + j];
  CHECK(quant::fit_error(p, q) ==
        doctest::Approx(0.25 * p.importance[1] * p.gram[2 * 5 + 2] / all).epsilon(1e-4));
  CHECK(quant::fit_error(p, p.target) == 0);
}

TEST_CASE("fit: entries end where no entry value can lower the error") {
  const FitProblem p = problem(12, 10, 2, 2);
  Codebook c = start(p, 4, 3, EntryType::f32, 3);  // the last block is short
  FitOptions o;
  o.rounds = 1;
  o.reassign = false;
  o.iterations = 200;
  o.ridge = 1e-9;
  const std::vector<uint16_t> codes = c.codes;
  quant::fit_codebook(p, o, c);
  CHECK(c.codes == codes);
  const double best = error(p, c);
  for (size_t i = 0; i < c.entries.size(); ++i)
    for (const float step : {-0.02f, 0.02f}) {
      Codebook moved = c;
      moved.entries[i] += step;
      CHECK(error(p, moved) >= best - 1e-6);
    }
}

TEST_CASE("fit: no single code can be chosen better") {
  const FitProblem p = problem(8, 9, 1, 4);
  Codebook c = start(p, 3, 5, EntryType::f32, 5);
  FitOptions o;
  o.refit = false;
  o.rounds = 50;
  const std::vector<float> entries = c.entries;
  quant::fit_codebook(p, o, c);
  CHECK(c.entries == entries);
  const double best = error(p, c);
  for (size_t i = 0; i < c.codes.size(); ++i)
    for (uint16_t code = 0; code < 5; ++code) {
      Codebook moved = c;
      moved.codes[i] = code;
      CHECK(error(p, moved) >= best - 1e-6);
    }
}

TEST_CASE("fit: all kinds of codebooks improve and stay storable") {
  struct Kind {
    int64_t outputs, inputs, groups;
    int32_t dim, count, books, scope_rows;
    EntryType entry;
  };
  for (const Kind& k :
       {Kind{16, 24, 1, 4, 16, 1, 0, EntryType::f16}, Kind{16, 24, 1, 4, 16, 2, 0, EntryType::f16},
        Kind{16, 24, 2, 5, 8, 1, 0, EntryType::f32}, Kind{16, 9, 16, 3, 4, 1, 0, EntryType::f16},
        Kind{15, 24, 1, 6, 4, 2, 4, EntryType::i8}, Kind{4, 7, 1, 7, 1, 1, 0, EntryType::f16}}) {
    CAPTURE(k.dim);
    CAPTURE(k.books);
    const FitProblem p = problem(k.outputs, k.inputs, k.groups, 6);
    Codebook c = start(p, k.dim, k.count, k.entry, 7, k.books, k.scope_rows);
    REQUIRE(quant::check(quant::Encoding(c), k.outputs, k.inputs).ok());
    const double before = error(p, c);
    quant::fit_codebook(p, {}, c);
    const auto sound = quant::check(quant::Encoding(c), k.outputs, k.inputs);
    REQUIRE_MESSAGE(sound.ok(), sound.error().message);
    CHECK(error(p, c) < 0.9 * before);
    CHECK(error(p, c) < 1);
  }
}

TEST_CASE("fit: without energy nothing breaks") {
  FitProblem p = problem(6, 8, 1, 8);
  std::fill(p.gram.begin(), p.gram.end(), 0.0f);
  Codebook c = start(p, 4, 4, EntryType::f16, 9);
  const std::vector<uint16_t> codes = c.codes;
  const std::vector<float> entries = c.entries;
  quant::fit_codebook(p, {}, c);
  CHECK(c.codes == codes);
  CHECK(c.entries == entries);
  CHECK(error(p, c) == 0);
}

TEST_CASE("algebra: solve_rows solves across panels and refuses what is not definite") {
  quant::Random r(10);
  const int64_t n = 131, rows = 3;
  std::vector<double> a(n * n, 0.0), half(n * n), x(rows * n), b(rows * n, 0.0);
  for (double& v : half) v = r.normal();
  for (double& v : x) v = r.normal();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t t = 0; t < n; ++t) a[i * n + j] += half[i * n + t] * half[j * n + t];
  for (int64_t i = 0; i < n; ++i) a[i * n + i] += 1;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t t = 0; t < n; ++t) b[i * n + j] += x[i * n + t] * a[t * n + j];
  std::vector<double> factored = a;
  REQUIRE(eval::solve_rows(factored, n, b));
  for (size_t i = 0; i < x.size(); ++i) CHECK(b[i] == doctest::Approx(x[i]).epsilon(1e-8));
  a[100 * n + 100] = -1;
  CHECK_FALSE(eval::solve_rows(a, n, b));
}
