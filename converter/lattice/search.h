// What the searches of this folder share; only they include it. Each looks for
// one family of encodings; find() takes the smallest of what they bring.
#ifndef QRT_CONVERTER_LATTICE_SEARCH_H_
#define QRT_CONVERTER_LATTICE_SEARCH_H_

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "converter/lattice/grid.h"
#include "converter/quant/encoding.h"

namespace qrt::lattice {

// A matrix with its columns in stored order (quant/encoding.h); no negative zeros.
struct Matrix {
  std::vector<float> values;
  int64_t outputs = 0, inputs = 0;
  int32_t taps = 1;
  double slack = 0;  // absolute

  std::span<const float> row(int64_t output) const {
    return std::span(values).subspan(static_cast<size_t>(output * inputs),
                                     static_cast<size_t>(inputs));
  }
};

// The weights that share a scale, or planes: all, those of an output, or `group` stored columns of
// one.
struct Grouping {
  quant::ScaleAxis axis;
  int32_t group = 0;
};

// Calls visit(cell) in order for the values of every cell; false, at once, when visit says so.
template <class Visit>
bool for_cells(const Matrix& m, Grouping g, const Visit& visit) {
  if (g.axis == quant::ScaleAxis::layer) return visit(std::span<const float>(m.values));
  const int64_t width = g.axis == quant::ScaleAxis::group ? g.group : m.inputs;
  for (int64_t o = 0; o < m.outputs; ++o)
    for (int64_t first = 0; first < m.inputs; first += width)
      if (!visit(m.row(o).subspan(static_cast<size_t>(first),
                                  static_cast<size_t>(std::min(width, m.inputs - first)))))
        return false;
  return true;
}

using Candidates = std::vector<quant::Encoding>;

// Whole multiples of a unit per cell: Affine, and one sign or trit per weight as BitPlanes.
void find_uniform(const Matrix&, Grouping, Candidates&);

// At most 256 numbers of the layer, or of every output once its scale is divided out.
void find_tables(const Matrix&, Candidates&);

// Numbers as microscaling formats (OCP MX) have them: a power of two per cell, times at most 256
// whole numbers that all cells have in common: elements of FP4, FP6 or INT8. Exactly only.
void find_scaled_tables(const Matrix&, Grouping, Candidates&);

// Sums of up to four scaled signs per output or group.
void find_planes(const Matrix&, Grouping, Candidates&);

// Few different blocks of consecutive inputs; taps 1 only, and not by tolerance.
void find_blocks(const Matrix&, int64_t taps, Candidates&);

}  // namespace qrt::lattice

#endif  // QRT_CONVERTER_LATTICE_SEARCH_H_
