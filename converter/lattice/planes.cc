// Sums of P <= 4 scaled signs, w = s_1 a_1 + ... + s_P a_P. Magnitudes only: the
// negative of a sum is one, too. Signs of the a can be chosen so that the largest
// magnitude is v_0 = a_1 + ... + a_P; every other is then, up to its sign,
//   v = v_0 - 2 sum over T of a,   T a set that leaves a_P out,
// so v_0 - v or v_0 + v is a sum of some of e_1 .. e_{P-1}, e = 2 a. With at most P
// magnitudes any a will do. With more, P - 1 of them are taken for independent
// sums in every possible way, the e follow, and the others must be sums as well.
// What is found in real numbers is then moved by fractions of the last place
// until f32 arithmetic in the order of decode() gives every weight.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "converter/base/half.h"
#include "converter/lattice/search.h"

namespace qrt::lattice {
namespace {

using quant::BitPlanes;

constexpr size_t kMostPlanes = 4;
constexpr int kMostTries = 3;

using Coordinates = std::vector<float>;

// What decode() makes of a pattern of signs: bit p set means +a_p.
float sum_of(const Coordinates& a, uint32_t pattern) {
  float sum = 0;
  for (size_t p = 0; p < a.size(); ++p) sum += pattern >> p & 1 ? a[p] : -a[p];
  return sum;
}

// Whether every value is a sum, up to slack.
bool covers(const Coordinates& a, const std::vector<float>& magnitudes, double slack) {
  for (const float v : magnitudes) {
    bool any = false;
    for (uint32_t pattern = 0; pattern < 1u << a.size() && !any; ++pattern)
      any = std::abs(double{sum_of(a, pattern)} - double{v}) <= slack;
    if (!any) return false;
  }
  return true;
}

// The real sum of a pattern nearest to v, and that pattern.
std::pair<double, uint32_t> nearest_sum(const std::vector<double>& a, double v) {
  std::pair<double, uint32_t> best{std::numeric_limits<double>::infinity(), 0};
  for (uint32_t pattern = 0; pattern < 1u << a.size(); ++pattern) {
    double sum = 0;
    for (size_t p = 0; p < a.size(); ++p) sum += pattern >> p & 1 ? a[p] : -a[p];
    if (std::abs(sum - v) < std::abs(best.first - v)) best = {sum, pattern};
  }
  return best;
}

// Spreads what rounding has left over all magnitudes: each in turn takes its share of the error to
// the coordinates (Kaczmarz), which meets where all are about equally well served.
void balance(std::vector<double>& a, const std::vector<float>& magnitudes) {
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round)
    for (const float v : magnitudes) {
      const auto [sum, pattern] = nearest_sum(a, v);
      const double share = (double{v} - sum) / static_cast<double>(2 * a.size());
      for (size_t p = 0; p < a.size(); ++p) a[p] += pattern >> p & 1 ? share : -share;
    }
}

// The sum in f32 arithmetic nearest to v, and its pattern.
std::pair<float, uint32_t> nearest_rounded(const Coordinates& a, float v) {
  std::pair<float, uint32_t> best{sum_of(a, 0), 0};
  for (uint32_t pattern = 1; pattern < 1u << a.size(); ++pattern) {
    const float sum = sum_of(a, pattern);
    if (std::abs(double{sum} - double{v}) < std::abs(double{best.first} - double{v}))
      best = {sum, pattern};
  }
  return best;
}

Coordinates rounded(const std::vector<double>& a) {
  Coordinates r;
  for (const double each : a) r.push_back(static_cast<float>(each));
  return r;
}

// The same with the errors of f32 sums, which come in whole last places.
bool settle(std::vector<double> a, const std::vector<float>& magnitudes, double slack,
            Coordinates* settled) {
  constexpr int kRounds = 12;
  for (int round = 0; round < kRounds; ++round) {
    *settled = rounded(a);
    if (covers(*settled, magnitudes, slack)) return true;
    for (const float v : magnitudes) {
      const auto [sum, pattern] = nearest_rounded(rounded(a), v);
      const double share = (double{v} - double{sum}) / static_cast<double>(2 * a.size());
      for (size_t p = 0; p < a.size(); ++p) a[p] += pattern >> p & 1 ? share : -share;
    }
  }
  return false;
}

// The solution in real numbers as floats: rounded to f16 if that will do, else shaken by up to one
// last place of the largest magnitude until f32 sums agree.
std::optional<Coordinates> exact_near(std::vector<double> a, const std::vector<float>& magnitudes,
                                      double slack) {
  // f32 sums depend on their order; methods sort coordinates.
  for (double& each : a) each = std::abs(each);
  std::sort(a.begin(), a.end());
  balance(a, magnitudes);
  Coordinates found = rounded(a);
  for (float& each : found) each = half_to_float(float_to_half(each));
  if (covers(found, magnitudes, slack)) return found;
  constexpr int kShakes = 100;
  const float top = magnitudes.back();
  const double place = double{std::nextafter(top, 2 * top)} - double{top};
  uint32_t state = 1;
  std::vector<double> moved = a;
  for (int shake = 0; shake < kShakes; ++shake) {
    if (settle(moved, magnitudes, slack, &found)) return found;
    for (size_t p = 0; p < a.size(); ++p) {
      state = state * 1664525u + 1013904223u;
      moved[p] = a[p] + place * (static_cast<double>(state) * 0x1p-31 - 1);
    }
  }
  return std::nullopt;
}

// a from e: the last is what remains of v_0.
std::vector<double> coordinates_of(double largest, const std::vector<double>& e) {
  std::vector<double> a;
  for (const double each : e) a.push_back(each / 2), largest -= each / 2;
  a.push_back(largest);
  return a;
}

// Any coordinates with these sums, as many as there are magnitudes.
std::vector<double> trivial(const std::vector<float>& magnitudes) {
  std::vector<double> e;
  for (size_t i = 0; i + 1 < magnitudes.size(); ++i)
    e.push_back(double{magnitudes.back()} - double{magnitudes[i]});
  return coordinates_of(magnitudes.back(), e);
}

// Up to three unknowns: row r says which of them add up to right[r].
struct System {
  size_t count = 0;
  std::array<uint32_t, 3> rows{};
  std::array<double, 3> right{};
};

// Gauss and Jordan; false where the sums are dependent.
bool solve(System s, std::array<double, 3>* e) {
  double m[3][3] = {};
  for (size_t r = 0; r < s.count; ++r)
    for (size_t c = 0; c < s.count; ++c) m[r][c] = s.rows[r] >> c & 1;
  for (size_t c = 0; c < s.count; ++c) {
    size_t pivot = c;
    for (size_t r = c; r < s.count; ++r)
      if (std::abs(m[r][c]) > std::abs(m[pivot][c])) pivot = r;
    if (m[pivot][c] == 0) return false;
    std::swap(m[c], m[pivot]);
    std::swap(s.right[c], s.right[pivot]);
    for (size_t r = 0; r < s.count; ++r) {
      if (r == c) continue;
      const double by = m[r][c] / m[c][c];
      for (size_t k = 0; k < s.count; ++k) m[r][k] -= by * m[c][k];
      s.right[r] -= by * s.right[c];
    }
  }
  for (size_t c = 0; c < s.count; ++c) (*e)[c] = s.right[c] / m[c][c];
  return true;
}

// Whether all magnitudes are v_0 less some of e, up to sign.
bool explains(const std::vector<float>& magnitudes, const std::array<double, 3>& e, size_t count,
              double slack) {
  const double largest = magnitudes.back();
  for (const float v : magnitudes) {
    bool any = false;
    for (uint32_t t = 0; t < 1u << count && !any; ++t) {
      double sum = largest;
      for (size_t i = 0; i < count; ++i) sum -= t >> i & 1 ? e[i] : 0;
      any = std::abs(std::abs(sum) - double{v}) <= slack;
    }
    if (!any) return false;
  }
  return true;
}

// The chosen magnitudes, each with a sign, taken for the sums that the digits of `way` say.
System system_of(const std::vector<float>& magnitudes, uint32_t chosen, size_t unknown,
                 size_t way) {
  System s;
  for (size_t i = 0; s.count < unknown; ++i) {
    if (!(chosen >> i & 1)) continue;
    const double v = way & 1 ? -magnitudes[i] : magnitudes[i];
    s.rows[s.count] = static_cast<uint32_t>(way >> 1 & 7);
    s.right[s.count++] = double{magnitudes.back()} - v;
    way >>= 4;
  }
  return s;
}

// More magnitudes than planes: some P - 1 of those below the largest are independent sums.
std::optional<Coordinates> search(const std::vector<float>& magnitudes, size_t planes,
                                  double slack) {
  const size_t unknown = planes - 1, others = magnitudes.size() - 1;
  const double largest = magnitudes.back();
  const double rounding = std::max(slack, largest * 0x1p-20);
  int tries = kMostTries;  // what explains the magnitudes is the same solution again and again
  for (uint32_t chosen = 0; chosen < 1u << others; ++chosen) {
    if (static_cast<size_t>(std::popcount(chosen)) != unknown) continue;
    for (size_t way = 0; way < size_t{1} << (4 * unknown); ++way) {
      const System s = system_of(magnitudes, chosen, unknown, way);
      // The unknowns may change places: the first sum is one of the first, the first two, or all.
      if ((s.rows[0] & (s.rows[0] + 1)) != 0) continue;
      std::array<double, 3> e{};
      if (!solve(s, &e) || !explains(magnitudes, e, unknown, rounding)) continue;
      const std::vector<double> sums(e.begin(), e.begin() + static_cast<int64_t>(unknown));
      const auto found = exact_near(coordinates_of(largest, sums), magnitudes, slack);
      if (found || --tries == 0) return found;
    }
  }
  return std::nullopt;
}

// Coordinates of a cell, ascending and positive, at most `most`; none for zeros.
std::optional<Coordinates> coordinates(const std::vector<float>& magnitudes, size_t most,
                                       double slack) {
  if (magnitudes.size() == 1 && magnitudes[0] <= slack) return Coordinates();
  std::optional<Coordinates> found;
  for (size_t planes = 1; planes <= most && !found; ++planes) {
    if (magnitudes.size() > size_t{1} << (planes - 1)) continue;
    found = magnitudes.size() <= planes ? exact_near(trivial(magnitudes), magnitudes, slack)
                                        : search(magnitudes, planes, slack);
  }
  return found;
}

// Planes of a cell that still save a tenth, with coordinates of f16 if the weights are, else f32.
size_t worth(const Matrix& m, Grouping g, bool half) {
  const int64_t width = g.axis == quant::ScaleAxis::group ? g.group : m.inputs;
  const int64_t number = half ? 16 : 32;
  size_t planes = 0;
  while (planes < kMostPlanes &&
         10 * (8 + static_cast<int64_t>(planes + 1) * (width + number)) < 9 * number * width)
    ++planes;
  return planes;
}

void append_cell(std::span<const float> cell, const Coordinates& a, BitPlanes& p) {
  p.counts.push_back(static_cast<uint8_t>(a.size()));
  p.alphas.insert(p.alphas.end(), a.begin(), a.end());
  std::vector<uint32_t> patterns;
  for (const float v : cell) {
    uint32_t best = 0;
    for (uint32_t pattern = 1; pattern < 1u << a.size(); ++pattern)
      if (std::abs(double{sum_of(a, pattern)} - double{v}) <
          std::abs(double{sum_of(a, best)} - double{v}))
        best = pattern;
    patterns.push_back(best);
  }
  for (size_t plane = 0; plane < a.size(); ++plane)
    for (const uint32_t pattern : patterns)
      p.signs.push_back(static_cast<uint8_t>(pattern >> plane & 1));
}

}  // namespace

void find_planes(const Matrix& m, Grouping g, Candidates& found) {
  const bool half = std::all_of(m.values.begin(), m.values.end(), is_half);
  const size_t most = worth(m, g, half);
  if (most == 0) return;
  BitPlanes p;
  p.taps = m.taps;
  p.group = g.group;
  std::vector<float> last_magnitudes;
  std::optional<Coordinates> last;
  const bool good = for_cells(m, g, [&](std::span<const float> cell) {
    std::vector<float> sizes(cell.begin(), cell.end());
    for (float& v : sizes) v = std::abs(v);
    const auto magnitudes = distinct(sizes, size_t{1} << (most - 1), m.slack / 2);
    if (!magnitudes) return false;
    if (!last || magnitudes->middle != last_magnitudes) {
      last = coordinates(magnitudes->middle, most, m.slack / 2);
      last_magnitudes = magnitudes->middle;
    }
    if (!last) return false;
    append_cell(cell, *last, p);
    return true;
  });
  if (good) found.emplace_back(std::move(p));
}

}  // namespace qrt::lattice
