#include "converter/int8/contracts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "converter/eval/algebra.h"
#include "schema/layout.h"

namespace qrt::int8 {
namespace {

// Nanoseconds of the runtime's kernels, as their own cost functions have them
// (kernels/int8/cost.cc, kernels/tables): a product; a code decoded into a panel and each four of
// its weights. Of tables: an entry of a line of `lanes` rows, each four of its products, a lookup
// of books up to 16, 64 and 256 entries and its code, a sum finished. x86 is measured (Zen 4), ARM
// counted instructions.
struct Machine {
  Target target;
  double product, code, four;
  int64_t lanes;
  double entry, products, lookup16, lookup64, lookup256, name, sum;
};
constexpr Machine kMachines[] = {
    {Target::x86_vnni, 0.00446, 0.2, 0.15, 64, 0.9, 0.95, 0.45, 0.55, 0.75, 0.07, 0.19},
    {Target::x86_avx2, 0.0123, 0.25, 0.18, 32, 0.6, 1.3, 0.3, 0.35, 0.45, 0.07, 0.2},
    {Target::arm_dotprod, 0.039, 1.5, 1.0, 64, 5.0, 2.5, 2.0, 2.0, 3.0, 0.5, 1.0},
    {Target::arm_baseline, 0.125, 1.5, 1.0, 64, 5.0, 10.0, 2.0, 2.0, 3.0, 0.5, 1.0},
};

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

double up(int64_t x, int64_t by) {
  return static_cast<double>((x + by - 1) / by);
}

double gain_on(const Machine& m, const LayerShape& s, const quant::Codebook& c, int32_t bits) {
  const auto rows = static_cast<double>(s.rows), outputs = static_cast<double>(s.outputs);
  const double lookups = up(s.inputs, c.dim) * c.books, fours = up(c.dim, 4);
  const double exact = rows * outputs * static_cast<double>(s.inputs) * m.product +
                       lookups * outputs * (m.code + fours * m.four);
  // Sums of 12 bits are words: half as many rows to a line.
  const int64_t lanes = bits > 8 ? m.lanes / 2 : m.lanes;
  const double lookup = c.count <= 16 ? m.lookup16 : c.count <= 64 ? m.lookup64 : m.lookup256;
  const double tables =
      up(s.rows, lanes) * lookups *
          (c.count * (m.entry + fours * m.products) + outputs * (lookup + m.name)) +
      rows * outputs * m.sum;
  return exact / tables;
}

// Tables of one shift against the exact sums.
double noise_of(const std::vector<float>& products, const std::vector<double>& exact,
                const quant::Codebook& c, int64_t outputs, int64_t lookups, int64_t rows,
                int32_t bits, int32_t shift) {
  const auto most = static_cast<float>(1 << (bits - 1));
  const auto step = static_cast<float>(1 << shift);
  std::vector<double> sums(exact.size());
  std::vector<float> table(at(c.count * rows));
  for (int64_t b = 0; b < lookups; ++b) {
    const float* from = &products[at(b) * table.size()];
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = step * std::clamp(std::floor((from[i] + step / 2) / step), -most, most - 1);
    for (int64_t o = 0; o < outputs; ++o) {
      const float* line = &table[at(c.codes[at(b * outputs + o)] * rows)];
      for (int64_t r = 0; r < rows; ++r) sums[at(o * rows + r)] += double{line[r]};
    }
  }
  double noise = 0;
  for (size_t i = 0; i < sums.size(); ++i) noise += std::pow(sums[i] - exact[i], 2);
  return noise;
}

// The sum over all outputs of their variances times the rows.
double spread(const std::vector<double>& sums, int64_t rows) {
  double all = 0;
  for (size_t o = 0; o < sums.size() / at(rows); ++o) {
    double sum = 0, squares = 0;
    for (size_t r = o * at(rows); r < (o + 1) * at(rows); ++r)
      sum += sums[r], squares += sums[r] * sums[r];
    all += squares - sum * sum / static_cast<double>(rows);
  }
  return all;
}

}  // namespace

std::optional<Target> target_of(std::string_view name) {
  constexpr std::pair<const char*, Target> kNames[] = {{"portable", Target::portable},
                                                       {"x86-vnni", Target::x86_vnni},
                                                       {"x86-avx2", Target::x86_avx2},
                                                       {"arm-dotprod", Target::arm_dotprod},
                                                       {"arm-baseline", Target::arm_baseline}};
  for (const auto& [word, target] : kNames)
    if (name == word) return target;
  return std::nullopt;
}

double table_gain(Target target, const LayerShape& s, const quant::Codebook& c, int32_t bits) {
  if (layout::code_bits(static_cast<uint32_t>(c.count)) > 8 || c.dim > 64 || c.scope_rows != 0 ||
      s.groups != 1)
    return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const Machine& m : kMachines)
    if (target == Target::portable || target == m.target)
      least = std::min(least, gain_on(m, s, c, bits));
  return least;
}

double least_gain(Target target) {
  return target == Target::portable ? 2.0 : 1.1;
}

int32_t best_shift(const quant::Codebook& c, int64_t outputs, int64_t inputs, int32_t bits,
                   std::span<const float> rows, double* noise) {
  const int64_t count = static_cast<int64_t>(rows.size()) / inputs;
  const int64_t blocks = (inputs + c.dim - 1) / c.dim, lookups = c.books * blocks;
  const std::vector<float> entries = quant::integer_entries(c, 0);
  std::vector<float> products(at(lookups * c.count * count)), columns(at(c.dim * count));
  std::vector<double> exact(at(outputs * count));
  for (int64_t b = 0; b < lookups; ++b) {
    const int64_t first = b % blocks * c.dim;
    for (int64_t t = 0; t < c.dim; ++t)
      for (int64_t r = 0; r < count; ++r)
        columns[at(t * count + r)] = first + t < inputs ? rows[at(r * inputs + first + t)] : 0.0f;
    float* to = &products[at(b * c.count * count)];
    eval::multiply(c.count, count, c.dim, &entries[at(b / blocks * c.count * c.dim)],
                   columns.data(), 0.0f, to);
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t r = 0; r < count; ++r)
        exact[at(o * count + r)] += double{to[at(c.codes[at(b * outputs + o)] * count + r)]};
  }
  int32_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int32_t shift = bits == 8 ? 8 : 1; shift <= (bits == 8 ? 15 : 20); ++shift) {
    const double here = noise_of(products, exact, c, outputs, lookups, count, bits, shift);
    if (here < least) least = here, best = shift;
  }
  *noise = least / std::max(spread(exact, count), 1e-300);
  return best;
}

}  // namespace qrt::int8
