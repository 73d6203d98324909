#include "converter/quant/sensitivity.h"

#include <algorithm>
#include <cmath>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/quant/rows.h"

namespace qrt::quant {
namespace {

constexpr int kNotFinite = 738;

// Of got - want, and of want.
void add_energies(const std::vector<eval::Tensor>& got, const std::vector<eval::Tensor>& want,
                  double& lost, double& all) {
  for (size_t t = 0; t < want.size(); ++t)
    for (size_t i = 0; i < want[t].data.size(); ++i) {
      const double w = want[t].data[i], d = double{got[t].data[i]} - w;
      lost += d * d, all += w * w;
    }
}

}  // namespace

Result<void> Sensitivity::open(std::vector<eval::Tensor> samples) {
  const int64_t rows = sample_count(graph_, samples);
  // Graphs of a fixed batch take one sample at a time.
  const int64_t at_once = std::min(samples_at_once(graph_), std::max<int64_t>(rows, 1));
  for (int64_t row = 0; row < rows; row += at_once) {
    runs_.push_back(slice_samples(graph_, samples, row, std::min(row + at_once, rows)));
    auto want = eval::evaluate(graph_, runs_.back());
    if (!want.ok()) return want.error();
    want_.push_back(std::move(*want));
  }
  network_ = graph_;
  return {};
}

Result<double> Sensitivity::disturbance(ir::NodeId id, ir::Constant weight) {
  ir::Node& node = network_.nodes[static_cast<size_t>(id)];
  const ir::ValueId kept = node.in[1];
  const auto shape = network_.values[static_cast<size_t>(kept)].shape;
  node.in[1] = ir::add_constant(network_, "exchanged." + node.name, shape, std::move(weight));
  double lost = 0, all = 0;
  for (size_t i = 0; i < runs_.size(); ++i) {
    const auto got = eval::evaluate(network_, runs_[i]);
    if (!got.ok()) return got.error();
    add_energies(*got, want_[i], lost, all);
  }
  network_.nodes[static_cast<size_t>(id)].in[1] = kept;
  const double out = all > 0 ? lost / all : 0;
  if (!std::isfinite(out))
    return fail(kNotFinite, "coding it makes the network's output not finite");
  return out;
}

}  // namespace qrt::quant
