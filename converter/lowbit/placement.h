// Which layers sum integers, and which values are bytes or bits for them.
#ifndef QRT_CONVERTER_LOWBIT_PLACEMENT_H_
#define QRT_CONVERTER_LOWBIT_PLACEMENT_H_

#include <optional>
#include <string>
#include <vector>

#include "converter/ir/graph.h"
#include "converter/lowbit/grid.h"
#include "converter/lowbit/sums.h"

namespace qrt::lowbit {

struct Placement {
  std::vector<std::optional<Grid>> grid;  // per value
  std::vector<std::optional<Sums>> sums;  // per node: of layers of integers
  std::vector<std::string> why;           // per node: of other layers, why they are not
  std::vector<bool> wanted;               // per value: some reader takes it as bytes or bits
  std::vector<ir::Quantization> stored;   // per value with a grid: as what
  std::vector<ir::NodeId> quantizer;      // per node: the quantizer it takes over, or -1
};

Placement place(const ir::Graph&);

}  // namespace qrt::lowbit

#endif  // QRT_CONVERTER_LOWBIT_PLACEMENT_H_
