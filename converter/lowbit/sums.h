// Layers whose sums are exact integers: inputs on a grid times weights that are
// integers with a scale per output.
#ifndef QRT_CONVERTER_LOWBIT_SUMS_H_
#define QRT_CONVERTER_LOWBIT_SUMS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "converter/ir/graph.h"
#include "converter/lowbit/grid.h"

namespace qrt::lowbit {

// conv(x, w) of output o is unit[o] * sum, and low[o] <= sum <= high[o] whatever x is.
struct Sums {
  std::vector<long double> unit;
  std::vector<int64_t> low, high;
  bool is_signs = false;  // all weights are +1 or -1
};

// The sums of a layer whose input has `grid`, or in `why` the reason that they are none.
std::optional<Sums> sums_of(const ir::Graph&, const ir::Node& layer,
                            const std::optional<Grid>& grid, std::string* why = nullptr);

// The weights of the outputs marked, negated; nothing where the encoding cannot hold them.
std::optional<quant::Encoding> negate_outputs(const quant::Encoding&,
                                              const std::vector<bool>& which, int64_t inputs);

}  // namespace qrt::lowbit

#endif  // QRT_CONVERTER_LOWBIT_SUMS_H_
