// Low-bit networks: activations that an imported network rounds to a grid become bytes
// or bits, and the layers between them sum integers. README.md explains the steps.
#ifndef QRT_CONVERTER_LOWBIT_LOWBIT_H_
#define QRT_CONVERTER_LOWBIT_LOWBIT_H_

#include <span>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::lowbit {

// What became of a layer.
struct LayerReport {
  std::string layer;
  std::string what;  // "1 x 1 bit, thresholds", "8 x 4 bit", "f32: why"
};

struct Report {
  std::vector<LayerReport> layers;  // all convolutions and linear layers; empty: nothing was done
  // How far outputs of the file may be off what the graph gives. Where floats are still rounded to
  // a grid, their last bit may decide for the next level, and that is a whole step of few.
  double tolerance = 0;
};

// On the imported graph, once shapes are known and constants folded, before batch norms are: behind
// a layer of integers everything up to and including the next quantizer becomes one Steps of
// thresholds per channel, which stand half way between two sums. They are found in exact
// arithmetic; batch norms and scales that are folded into floats would move them.
Result<void> find_steps(ir::Graph&);

// What must run before it, and find_steps.
std::span<const ir::Pass> steps_passes();

// On the graph that passes::layout_passes() left: grids to bytes and bits, layers to sums of
// integers with thresholds or a requantization that gives the same.
Result<Report> streamline(ir::Graph&);

}  // namespace qrt::lowbit

#endif  // QRT_CONVERTER_LOWBIT_LOWBIT_H_
