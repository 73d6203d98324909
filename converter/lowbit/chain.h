// What stands between a layer and the quantizer behind it, as a function of one
// number: batch norms, biases, clamps, and moves that keep every element as it is.
#ifndef QRT_CONVERTER_LOWBIT_CHAIN_H_
#define QRT_CONVERTER_LOWBIT_CHAIN_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "converter/ir/graph.h"

namespace qrt::lowbit {

// Wide enough that a product of two floats and a sum is exact.
using Real = long double;

// y = factor * x / divisor + offset per channel (or one for all), then slope * y where y < 0, then
// the clamp. Dividing once instead of multiplying by a rounded inverse keeps exact halves exact.
struct Step {
  std::vector<Real> factor{1}, divisor{1}, offset{0};
  Real slope = 1, min = 0, max = 0;
  bool clamps = false;
};

// From a layer's result to the level (0, 1, ...) of a quantizer.
struct Chain {
  ir::NodeId layer = -1, quantizer = -1;
  std::vector<ir::NodeId> between;  // forwards
  std::vector<Step> steps;

  // Whether the function falls for this channel.
  bool falls(size_t channel) const;
  Real value(Real x, size_t channel) const;
};

// The chain that ends in the quantizer `n`: FakeQuantize, Steps or the Unary sign. Nothing where no
// layer stands before it, something between has another reader or cannot be followed.
std::optional<Chain> chain_to(const ir::Graph&, ir::NodeId quantizer);

// The levels of a quantizer: what bias + scale * level it gives, for levels 0 .. count, and the
// level of a number. Non-decreasing.
class Levels {
 public:
  // Nothing where scales differ by channel or there are more levels than bytes.
  static std::optional<Levels> of(const ir::Graph&, const ir::Node& quantizer, int64_t channels);
  int64_t level(Real x, size_t channel) const;

  double scale = 1, bias = 0;
  int64_t count = 0;

 private:
  std::optional<ir::FakeQuantize> fake_;
  Real fake_scale_ = 1, fake_zero_ = 0;
  bool sign_ = false;
  std::vector<float> thresholds_;  // [1 or channels][count]
  bool rows_ = false;
};

}  // namespace qrt::lowbit

#endif  // QRT_CONVERTER_LOWBIT_CHAIN_H_
