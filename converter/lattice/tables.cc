// At most 256 numbers. For the layer as a whole any will do; they are kept as
// integers where they are multiples of a unit (ESB, powers of two, the element
// types of microscaling), since layers can then sum exactly. Where every output
// has its own scale, what is common is known only up to how the trainer rounded
// it: integers n, n / N with N the largest (APoT), and 2 i / N - 1 (DoReFa) are
// tried.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "converter/lattice/search.h"

namespace qrt::lattice {
namespace {

using quant::ScaleAxis;
using quant::Table;

constexpr size_t kMostNumbers = 256;
constexpr size_t kLeastRepeats = 4;
// ESB of 8 bits with a fraction of 4 reaches 1984, f32 rounding leaves room for a little more.
constexpr int32_t kMostSteps = 2048;
// An output that lacks the small numbers has found a multiple of the common unit.
constexpr int32_t kMostFactor = 16;

int32_t bits_for(size_t numbers) {
  return std::max(1, static_cast<int32_t>(std::bit_width(numbers - 1)));
}

// Numbers beyond those in use repeat the last.
template <class Number>
void pad(std::vector<Number>& numbers, int32_t bits) {
  numbers.resize(size_t{1} << bits, numbers.back());
}

// Whether numbers come back: a small layer has few of them anyway, and a pruned one many zeros.
bool repeats(const Matrix& m, size_t numbers) {
  const auto zeros = static_cast<size_t>(std::count(m.values.begin(), m.values.end(), 0.0f));
  return m.values.size() - zeros >= kLeastRepeats * (numbers - (zeros > 0));
}

void find_for_layer(const Matrix& m, Candidates& found) {
  const auto values = distinct(m.values, kMostNumbers, m.slack / 2);
  if (!values || !repeats(m, values->first.size())) return;
  Table t;
  t.bits = bits_for(values->first.size());
  t.taps = m.taps;
  t.codes.resize(m.values.size());
  for (size_t i = 0; i < t.codes.size(); ++i)
    t.codes[i] = static_cast<uint8_t>(values->place(m.values[i]));
  const auto steps = steps_of(values->middle, kMostSteps, m.slack / 2);
  if (steps) {
    t.integers.assign(steps->n.begin(), steps->n.end());
    pad(t.integers, t.bits);
    t.scales = {ScaleAxis::layer, 0, {steps->unit}};
  } else {
    t.values = values->middle;
    pad(t.values, t.bits);
    t.scales = {ScaleAxis::layer, 0, {1}};
  }
  found.emplace_back(std::move(t));
}

// The multiples of an output, over a unit that may be too large.
struct Row {
  Values values;
  Steps steps;
};

std::optional<std::vector<Row>> rows_of(const Matrix& m) {
  std::vector<Row> rows;
  const bool good = for_cells(m, {ScaleAxis::output, 0}, [&](std::span<const float> row) {
    auto values = distinct(row, kMostNumbers, m.slack / 2);
    if (!values) return false;
    // Numbers that were rounded before they were scaled are off by a few units in the last
    // place; unit_for() judges later.
    const double largest = std::max(std::abs(values->middle.front()), values->middle.back());
    auto steps = steps_of(values->middle, kMostSteps, std::max(m.slack / 2, largest * 0x1p-21));
    if (!steps) return false;
    rows.push_back({std::move(*values), std::move(*steps)});
    return true;
  });
  if (!good) return std::nullopt;
  return rows;
}

// The numbers that all outputs have in common: those of the richest output, into which the others
// fit after multiplication by a small factor; `factors` says which.
std::optional<std::set<int32_t>> common_numbers(const std::vector<Row>& rows,
                                                std::vector<int32_t>& factors) {
  const auto richest = std::max_element(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.steps.n.size() < b.steps.n.size();
  });
  std::set<int32_t> numbers(richest->steps.n.begin(), richest->steps.n.end());
  const int32_t most = std::max(std::abs(*numbers.begin()), *numbers.rbegin());
  for (const Row& row : rows) {
    int32_t best = 1;
    size_t missing = std::numeric_limits<size_t>::max();
    for (int32_t factor = 1; factor <= kMostFactor && missing > 0; ++factor) {
      size_t lacks = 0;
      bool fits = true;
      for (const int32_t n : row.steps.n) {
        lacks += numbers.count(n * factor) == 0;
        fits = fits && std::abs(n) * factor <= std::max(most, std::abs(n));
      }
      if (fits && lacks < missing) best = factor, missing = lacks;
    }
    factors.push_back(best);
    for (const int32_t n : row.steps.n) numbers.insert(n * best);
    if (numbers.size() > kMostNumbers) return std::nullopt;
  }
  return numbers;
}

// The table of these levels with a scale per output, if it gives the weights back.
std::optional<Table> scaled_table(const Matrix& m, const std::vector<Row>& rows,
                                  const std::vector<int32_t>& factors,
                                  const std::set<int32_t>& numbers, const Level& level) {
  Table t;
  t.bits = bits_for(numbers.size());
  t.taps = m.taps;
  t.scales = {ScaleAxis::output, 0, {}};
  std::map<int32_t, uint8_t> code_of;
  for (const int32_t n : numbers) {
    code_of.emplace(n, static_cast<uint8_t>(t.values.size()));
    t.values.push_back(level(n));
  }
  const int32_t most = std::max(std::abs(*numbers.begin()), *numbers.rbegin());
  for (size_t o = 0; o < rows.size(); ++o) {
    std::vector<int32_t> n = rows[o].steps.n;
    for (int32_t& each : n) each *= factors[o];
    const double guess = double{rows[o].steps.unit} / factors[o] * most / level(most);
    const auto unit = unit_for(rows[o].values.middle, n, level, guess, m.slack / 2);
    if (!unit) return std::nullopt;
    t.scales.values.push_back(*unit);
    for (const float v : m.row(static_cast<int64_t>(o)))
      t.codes.push_back(code_of.at(n[rows[o].values.place(v)]));
  }
  return t;
}

void find_for_outputs(const Matrix& m, Candidates& found) {
  const auto rows = rows_of(m);
  if (!rows) return;
  std::vector<int32_t> factors;
  const auto numbers = common_numbers(*rows, factors);
  if (!numbers) return;
  const int32_t most = std::max(std::abs(*numbers->begin()), *numbers->rbegin());
  if (most == 0) return;
  const auto largest = static_cast<float>(most);
  const Level levels[] = {
      [](int32_t n) { return static_cast<float>(n); },
      [=](int32_t n) { return static_cast<float>(n) / largest; },
      [=](int32_t n) { return 2 * (static_cast<float>(n + most) / 2 / largest) - 1; },
  };
  for (const Level& level : levels) {
    auto t = scaled_table(m, *rows, factors, *numbers, level);
    if (!t) continue;
    if (&level == levels) {
      t->integers.assign(numbers->begin(), numbers->end());
      t->values.clear();
      pad(t->integers, t->bits);
    } else {
      pad(t->values, t->bits);
    }
    found.emplace_back(std::move(*t));
    return;
  }
}

}  // namespace

void find_tables(const Matrix& m, Candidates& found) {
  find_for_layer(m, found);
  find_for_outputs(m, found);
}

}  // namespace qrt::lattice
