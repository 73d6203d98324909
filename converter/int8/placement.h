// Which values of a laid-out graph are bytes: a pure function of the graph and of
// the layers that may sum integers.
#ifndef QRT_CONVERTER_INT8_PLACEMENT_H_
#define QRT_CONVERTER_INT8_PLACEMENT_H_

#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::int8 {

// Bytes flow from layer to layer, through what moves them, pools and adds. Where they end or begin,
// a Quantize node stands.
struct Placement {
  std::vector<bool> reads_bytes;   // per node, of all inputs but constants
  std::vector<bool> makes_bytes;   // per node
  std::vector<bool> needed;        // per value: it exists as bytes, made or converted
  std::vector<ir::ValueId> group;  // per value: those of one group share one quantization
};

// `layers` says of each node whether it sums integers; such a node is a Conv2d or Linear.
Placement place(const ir::Graph&, const std::vector<bool>& layers);

// Marks values and puts the Quantize nodes in. `quantization` is per value of `needed`, equal
// within a group. Values keep their ids, nodes do not.
Result<void> insert(ir::Graph&, const Placement&, const std::vector<ir::Quantization>&);

}  // namespace qrt::int8

#endif  // QRT_CONVERTER_INT8_PLACEMENT_H_
