// Grids that values lie on: which activations can be bytes or bits without losing
// anything, and which byte stands for which level.
#ifndef QRT_CONVERTER_LOWBIT_GRID_H_
#define QRT_CONVERTER_LOWBIT_GRID_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "converter/ir/graph.h"

namespace qrt::lowbit {

// value = scale * (byte - zero) for the bytes low, low + step, ... high. All that is padded with 0
// needs `zero` to be a byte, which it is; it need not be one of those.
struct Grid {
  float scale = 0;
  int32_t zero = 0, low = 0, high = 0, step = 1;
  // Two levels of one magnitude: a bit can hold them.
  bool is_signs() const { return step == high - low && low + high == 2 * zero; }
  float magnitude() const { return scale * static_cast<float>(high - zero); }
  bool operator==(const Grid&) const = default;
};

// The grid of bias + scale * k for k = 0 .. count. Nothing where no byte stands for 0, or the
// levels are too far apart for bytes.
std::optional<Grid> grid_of_levels(double scale, double bias, int64_t count);

// What this FakeQuantize, Steps or sign gives; nothing for other operators, and where scales differ
// by channel.
std::optional<Grid> grid_made_by(const ir::Graph&, const ir::Node&);

// Whether this is ONNX's rounding to nearest, ties to even, onto all 256 bytes: what the engine's
// layers, sums and averages of bytes end with.
bool rounds_to_bytes(const ir::Graph&, const ir::Node&);

// Whether the operator keeps its input's grid: moves and maximum pools, and pads with 0.
bool keeps_grid(const ir::Node&);

// The grid of every value, where there is one.
std::vector<std::optional<Grid>> grids(const ir::Graph&);

// Brings `node`'s output up to date in a list that grids() made.
void update_grid(const ir::Graph&, const ir::Node& node, std::vector<std::optional<Grid>>& all);

}  // namespace qrt::lowbit

#endif  // QRT_CONVERTER_LOWBIT_GRID_H_
