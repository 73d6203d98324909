// Gram matrices through the interpreter's observer: each value is seen once, while
// it lives, and every layer that reads it takes its samples then.
#include "converter/quant/calibrate.h"

#include <algorithm>
#include <cmath>

#include "converter/base/text.h"
#include "converter/quant/random.h"
#include "converter/quant/rows.h"

namespace qrt::quant {
namespace {

// One layer being sampled.
class Sampler {
 public:
  Sampler(const ir::Graph& graph, const GramRequest& request, int32_t positions, uint64_t seed)
      : graph_(graph),
        node_(graph.nodes[request.node]),
        dim_(static_cast<size_t>(request.dim)),
        positions_(positions),
        random_(seed ^ (0x9e3779b97f4a7c15u * static_cast<uint64_t>(request.node + 1))) {
    const std::vector<int64_t>& weight = graph.values[node_.in[1]].shape;
    int64_t length = 1;
    for (size_t i = 1; i < weight.size(); ++i) length *= weight[i];
    row_.assign((static_cast<size_t>(length) + dim_ - 1) / dim_ * dim_, 0.0f);
    gram.sums.assign((request.per_block ? row_.size() / dim_ : 1) * dim_ * dim_, 0.0);
  }

  ir::ValueId reads() const { return node_.in[0]; }

  void see(const eval::Tensor& x) {
    const RowMap map = row_map(graph_, node_, x);
    for (int64_t image = 0; image < map.images; ++image)
      each_position(map.positions(), [&](int64_t at) {
        // Groups see different channels; their rows count alike.
        for (int64_t group = 0; group < map.groups; ++group) {
          gather_row(node_, map, x, image, group, at, row_.data());
          add_row();
        }
      });
  }

  Gram gram;
  bool is_finite = true;

 private:
  // All positions where they are few, else `positions` of them, with replacement.
  template <class Fn>
  void each_position(int64_t count, Fn fn) {
    if (count <= positions_) {
      for (int64_t at = 0; at < count; ++at) fn(at);
      return;
    }
    for (int32_t i = 0; i < positions_; ++i) fn(random_.below(count));
  }

  void add_row() {
    for (size_t block = 0; block < row_.size(); block += dim_) {
      const float* x = &row_[block];
      double* sums = &gram.sums[gram.sums.size() > dim_ * dim_ ? block * dim_ : 0];
      for (size_t i = 0; i < dim_; ++i) {
        is_finite = is_finite && std::isfinite(x[i]);
        for (size_t j = 0; j < dim_; ++j) sums[i * dim_ + j] += double{x[i]} * double{x[j]};
      }
      ++gram.rows;
    }
  }

  const ir::Graph& graph_;
  const ir::Node& node_;
  size_t dim_;
  int32_t positions_;
  Random random_;
  std::vector<float> row_;
};

}  // namespace

Result<std::vector<Gram>> collect_grams(const ir::Graph& graph,
                                        std::span<const GramRequest> requests,
                                        const CalibrationData& data, int32_t positions,
                                        uint64_t seed) {
  std::vector<Sampler> samplers;
  for (const GramRequest& r : requests) samplers.emplace_back(graph, r, positions, seed);
  const eval::Observer observer = [&](ir::ValueId id, const eval::Tensor& value) {
    for (Sampler& s : samplers)
      if (s.reads() == id) s.see(value);
  };
  const int64_t rows = sample_count(graph, data.inputs), step = samples_at_once(graph);
  for (int64_t first = 0; first < rows; first += step) {
    const bool is_whole = rows <= step || data.inputs.size() != graph.inputs.size();
    const auto batch = is_whole
                           ? data.inputs
                           : slice_samples(graph, data.inputs, first, std::min(rows, first + step));
    const auto outputs = eval::evaluate(graph, batch, observer);
    if (!outputs.ok()) return outputs.error();
    if (is_whole) break;
  }
  std::vector<Gram> grams;
  for (size_t i = 0; i < samplers.size(); ++i) {
    if (!samplers[i].is_finite)
      return fail(711, graph.nodes[requests[i].node].name,
                  ": its input is not finite on the calibration data; check the data's "
                  "preprocessing and the weights");
    grams.push_back(std::move(samplers[i].gram));
  }
  return grams;
}

}  // namespace qrt::quant
