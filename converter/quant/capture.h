// Sequential re-capture: the float network and the network being coded run side by
// side over the calibration data, node by node, so that each layer is fitted on the
// inputs it will really see, against the output it should give.
#ifndef QRT_CONVERTER_QUANT_CAPTURE_H_
#define QRT_CONVERTER_QUANT_CAPTURE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/method.h"

namespace qrt::quant {

// Second moments of one layer over sampled output positions. x is the row the coded network feeds
// the layer; t is what the layer's scale * W x + bias should be there: the float network's value
// before its clamp, less the difference the coded network brings in through the residual.
struct LayerMoments {
  int64_t groups = 1, inputs = 0, outputs = 0, rows = 0;
  std::vector<double> xx;  // [group][inputs][inputs]: sum of x x'
  std::vector<double> x;   // [group][inputs]: sum of x
  std::vector<double> tx;  // [outputs][inputs]: sum of t x' with the x of the output's group
  std::vector<double> t;   // [outputs]
  std::vector<double> tt;  // [outputs]: sum of t^2
};

// Both graphs must outlive this and have the same nodes in the same order; of the coded one only
// weights, scales and biases may change, in nodes that were not passed yet, each reported by
// changed(). Activations of all samples are kept from their producer to their last reader:
// live_bytes() says how much that is.
class Capture {
 public:
  Capture(const ir::Graph& reference, const ir::Graph& coded);

  // The first `rows` samples. Errors: 560 as eval::evaluate(), QRT-E0725 where there are none.
  Result<void> open(const CalibrationData&, int64_t rows);

  int64_t samples() const { return samples_; }

  // The node of the coded graph no longer computes what the float one does.
  void changed(ir::NodeId node) { changed_.insert(node); }

  // Runs everything before `node`. Nodes can only be asked for in ascending order.
  Result<void> run_before(ir::NodeId node);

  // Moments of the layer last run up to. About `rows` positions are sampled, spread over all images
  // and drawn from `seed`; all of them where there are no more. Errors: QRT-E0711 where an
  // activation is not finite.
  Result<LayerMoments> moments(ir::NodeId node, int64_t rows, uint64_t seed) const;

 private:
  using TensorPtr = std::shared_ptr<const eval::Tensor>;
  struct Chunk {
    std::map<ir::ValueId, TensorPtr> reference, coded;
  };
  Result<TensorPtr> compute(const ir::Graph&, const ir::Node&,
                            const std::map<ir::ValueId, TensorPtr>& values,
                            const std::map<ir::ValueId, TensorPtr>& constants) const;
  Result<void> step(ir::NodeId);

  const ir::Graph &reference_, &coded_;
  std::vector<Chunk> chunks_;
  int64_t samples_ = 0;
  std::vector<int> uses_;  // readers left of each value, the graph's outputs excluded
  std::set<ir::NodeId> changed_;
  ir::NodeId next_ = 0;
};

// The most bytes of activations that live at once for one sample of this graph.
int64_t live_bytes(const ir::Graph&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_CAPTURE_H_
