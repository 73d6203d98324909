// Every search on every way to group weights; the smallest result that decodes to
// the same floats and is worth its place wins.
#include "converter/lattice/lattice.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "converter/base/half.h"
#include "converter/lattice/search.h"

namespace qrt::lattice {
namespace {

using quant::Encoding;
using quant::ScaleAxis;

// An encoding takes more tables and gaps in the file than floats do, and decoding takes time: less
// than a tenth, or than this, is no gain.
constexpr uint64_t kLeastGain = 256;

// Planes are read in place, where codes are unpacked: a little padding is worth that.
constexpr uint64_t kPlanesMayCost = 2048;

Matrix matrix_of(const Weights& w, double slack) {
  Matrix m;
  m.values.assign(w.values.begin(), w.values.end());
  for (float& v : m.values) v += 0.0f;  // -0 becomes 0
  m.outputs = w.outputs;
  m.inputs = w.inputs;
  m.slack = slack;
  return m;
}

// The same with kernel elements outermost: groups then run along channels.
Matrix taps_first(const Matrix& m, int64_t taps) {
  Matrix r = m;
  r.taps = static_cast<int32_t>(taps);
  const auto row = static_cast<size_t>(m.inputs), each = static_cast<size_t>(taps);
  for (size_t first = 0; first < r.values.size(); first += row)
    for (size_t i = 0; i < row; ++i)
      r.values[first + i % each * (row / each) + i / each] = m.values[first + i];
  return r;
}

// Sizes of groups as methods and formats have them: parts of a row, and 16 to 256.
std::set<int64_t> groups_of(int64_t inputs) {
  std::set<int64_t> r;
  for (const int64_t parts : {2, 4, 8, 16})
    if (inputs % parts == 0) r.insert(inputs / parts);
  for (const int64_t size : {16, 32, 64, 128, 256}) r.insert(size);
  std::erase_if(r, [&](int64_t size) { return size < 4 || size >= inputs; });
  return r;
}

// Groups of stored columns, large ones first. No group takes less than a bit per weight and an f16
// scale: where that cannot win, it is not looked for.
void search_groups(const Matrix& m, std::set<int64_t> sizes, const Weights& w, Candidates& found) {
  for (auto size = sizes.rbegin(); size != sizes.rend(); ++size) {
    uint64_t best = w.values.size() * sizeof(float);
    for (const Encoding& e : found) best = std::min(best, bytes_of(e, w));
    const auto groups = static_cast<uint64_t>(w.outputs * ((w.inputs + *size - 1) / *size));
    if (best <= w.values.size() / 8 + 2 * groups) continue;
    const Grouping g{ScaleAxis::group, static_cast<int32_t>(*size)};
    find_uniform(m, g, found);
    find_planes(m, g, found);
    find_scaled_tables(m, g, found);
  }
}

void search_all(const Matrix& m, const Weights& w, Candidates& found) {
  find_uniform(m, {ScaleAxis::layer}, found);
  find_uniform(m, {ScaleAxis::output}, found);
  find_tables(m, found);
  find_planes(m, {ScaleAxis::output}, found);
  if (w.has_blocks) find_blocks(m, w.taps, found);
  std::set<int64_t> sizes = groups_of(w.inputs);
  if (w.taps > 3 && w.taps < w.inputs) sizes.insert(w.taps);  // a kernel
  search_groups(m, sizes, w, found);
  if (w.taps == 1 || w.taps == w.inputs) return;
  sizes = groups_of(w.inputs);
  if (w.inputs / w.taps > 3) sizes.insert(w.inputs / w.taps);  // the channels of a pixel
  search_groups(taps_first(m, w.taps), sizes, w, found);
}

// What candidates are ordered by: bytes, but rows of signs may be padded, since kernels read them
// in place, and codebooks, which are slower than codes of single weights, must be smaller by a
// tenth.
uint64_t cost_of(const Encoding& e, const Weights& w) {
  const uint64_t bytes = bytes_of(e, w);
  if (std::holds_alternative<quant::Codebook>(e)) return bytes + bytes / 10 + kLeastGain;
  const auto* planes = std::get_if<quant::BitPlanes>(&e);
  if (planes == nullptr || !quant::is_integer(e)) return bytes;
  const uint64_t spared = bytes / 100 + kPlanesMayCost;
  return bytes > spared ? bytes - spared : 0;
}

bool is_same(const Encoding& e, const Weights& w, double slack) {
  if (!quant::check(e, w.outputs, w.inputs).ok()) return false;
  const std::vector<float> made = quant::decode(e, w.outputs, w.inputs);
  for (size_t i = 0; i < made.size(); ++i)
    if (!(std::abs(double{made[i]} - double{w.values[i]}) <= slack)) return false;
  return true;
}

}  // namespace

uint64_t bytes_of(const Encoding& e, const Weights& w) {
  const quant::StoredBytes b = quant::stored_bytes(e, w.outputs, w.inputs);
  return b.codes + b.entries + b.scales + b.dense;
}

uint64_t dense_bytes(const Weights& w) {
  return w.values.size() * (std::all_of(w.values.begin(), w.values.end(), is_half) ? 2 : 4);
}

std::optional<Encoding> find(const Weights& w, const Options& o) {
  double largest = 0;
  for (const float v : w.values) largest = std::max(largest, std::abs(double{v}));
  const double slack = o.tolerance * largest;
  Candidates found;
  search_all(matrix_of(w, slack), w, found);
  const uint64_t dense = dense_bytes(w);
  std::sort(found.begin(), found.end(),
            [&](const Encoding& a, const Encoding& b) { return cost_of(a, w) < cost_of(b, w); });
  for (Encoding& e : found) {
    const uint64_t bytes = bytes_of(e, w);
    if (o.only_integers && !std::holds_alternative<quant::Codebook>(e) && !quant::is_integer(e))
      continue;
    if (bytes + std::max(dense / 10, kLeastGain) > dense) continue;
    if (is_same(e, w, slack)) return std::move(e);
  }
  return std::nullopt;
}

}  // namespace qrt::lattice
