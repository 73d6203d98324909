// XNNPACK's s8 x s8 layers with a scale per output: what it has for integers, as 1x1 or padded
// convolution. Asymmetric inputs, s8 outputs, requantized inside.
#include <xnnpack.h>

#include <random>

#include "bench/layers.h"
#include "runtime/ops/op.h"

namespace qrt::bench {
namespace {

class XnnpackIntegerLayer final : public TimedLayer {
 public:
  ~XnnpackIntegerLayer() override {
    if (op_ != nullptr) xnn_delete_operator(op_);
  }
  bool open(const LayerShape& s) {
    std::mt19937 bits(1);
    const auto fill = [&bits](std::vector<int8_t>& v, size_t n) {
      v.resize(n);
      for (int8_t& x : v) x = static_cast<int8_t>(bits() >> 24);
    };
    std::vector<int8_t> weights;
    fill(weights, size_t{s.cout} * s.inputs());
    fill(x_, size_t{s.size} * s.size * s.cin + kReadSlack);
    y_.resize(size_t{s.rows()} * s.cout);
    const std::vector<float> scales(s.cout, 0.01f);
    const std::vector<int32_t> bias(s.cout, 5);
    bytes_ = static_cast<double>(weights.size());
    const uint32_t pad = s.kernel / 2, g = s.groups;
    return xnn_initialize(nullptr) == xnn_status_success &&
           xnn_create_convolution2d_nhwc_qc8(
               pad, pad, pad, pad, s.kernel, s.kernel, s.stride, s.stride, 1, 1, g, s.cin / g,
               s.cout / g, s.cin, s.cout, 3, 0.02f, scales.data(), weights.data(), bias.data(), -5,
               0.5f, -128, 127, g == s.cin && g > 1 ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0,
               &op_) == xnn_status_success &&
           xnn_setup_convolution2d_nhwc_qc8(op_, 1, s.size, s.size, x_.data(), y_.data(),
                                            nullptr) == xnn_status_success;
  }
  void run() override { xnn_run_operator(op_, nullptr); }
  double weight_bytes() const override { return bytes_; }

 private:
  xnn_operator_t op_ = nullptr;
  std::vector<int8_t> x_, y_;
  double bytes_ = 0;
};

}  // namespace

LayerPtr make_xnnpack_s8(const LayerShape& s) {
  auto layer = std::make_unique<XnnpackIntegerLayer>();
  if (!layer->open(s)) return nullptr;
  return layer;
}

}  // namespace qrt::bench
