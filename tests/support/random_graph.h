// Small random networks for property tests of passes: chains of layers, batch
// norms, activations, residual sums, concats, pools and a classifier behind a
// Flatten, NCHW as an importer leaves them.
#ifndef QRT_TESTS_SUPPORT_RANDOM_GRAPH_H_
#define QRT_TESTS_SUPPORT_RANDOM_GRAPH_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "converter/eval/evaluate.h"
#include "converter/ir/edit.h"
#include "converter/ir/graph.h"

namespace qrt::testing {

class RandomGraph {
 public:
  explicit RandomGraph(uint32_t seed) : rng_(seed) {}

  // `batched`: dimension 0 of the input takes the batch.
  ir::Graph make();
  // Random values for every input, dimension 0 times `batch` where it is batched.
  std::vector<eval::Tensor> inputs(const ir::Graph& g, int64_t batch);
  int64_t pick(int64_t low, int64_t high);

  // Half of the time exact halves, so that both ways of storing are met.
  std::vector<float> floats(int64_t n, float low, float high);

 private:
  const ir::Value& value(ir::ValueId v) const { return g_.values[static_cast<size_t>(v)]; }

  ir::ValueId constant(std::vector<int64_t> shape, float low = -1, float high = 1);

  // -1 where the node cannot be, or an input could not.
  ir::ValueId node(ir::Attr attr, std::vector<ir::ValueId> in);
  ir::ValueId conv(ir::ValueId x, int64_t outputs, bool same);
  ir::ValueId conv_transpose(ir::ValueId x, int64_t outputs);
  ir::ValueId per_channel(ir::ValueId x);
  ir::ValueId binary(ir::Binary::Op op, ir::ValueId a, ir::ValueId b);
  ir::ValueId activation(ir::ValueId x);
  ir::ValueId pool(ir::ValueId x);
  ir::ValueId step(ir::ValueId x);
  ir::ValueId one_step(ir::ValueId x, int64_t channels);

  // What exporters leave behind now and then.
  ir::ValueId odd_step(ir::ValueId x);
  ir::ValueId cut(ir::ValueId x);
  ir::ValueId resize(ir::ValueId x);
  ir::ValueId sequence(ir::ValueId x);
  ir::ValueId reduction(ir::ValueId x, bool keep_dims);
  ir::ValueId classifier(ir::ValueId x);

  std::mt19937 rng_;
  ir::Graph g_;
  int count_ = 0;
};

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_RANDOM_GRAPH_H_
