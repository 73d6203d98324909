// The dense f32 twin of a layer through oneDNN: every layout is its own choice
// ("any"), and reordering activations from and to NHWC is not counted, so its times
// are the best it can do inside a graph.
#include <oneapi/dnnl/dnnl.hpp>

#include "bench/layers.h"

namespace qrt::bench {
namespace {

class OnednnLayer final : public TimedLayer {
 public:
  OnednnLayer(const LayerShape& s, bool winograd)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Tag = dnnl::memory::format_tag;
    const auto f32 = dnnl::memory::data_type::f32;
    const dnnl::memory::dim size = s.size, out = (s.size - 1) / s.stride + 1, k = s.kernel;
    const dnnl::memory::desc x({1, s.cin, size, size}, f32, Tag::any),
        w({s.cout, s.cin, k, k}, f32, Tag::any);
    const dnnl::memory::desc b({s.cout}, f32, Tag::any), y({1, s.cout, out, out}, f32, Tag::any);
    const dnnl::memory::dim pad = k / 2, far = (out - 1) * s.stride + k - size - pad;
    dnnl::post_ops ops;
    ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0, 0);
    dnnl::primitive_attr attr;
    attr.set_post_ops(ops);
    const dnnl::convolution_forward::desc d(
        dnnl::prop_kind::forward_inference,
        winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct, x,
        w, b, y, {s.stride, s.stride}, {pad, pad}, {far, far});
    const dnnl::convolution_forward::primitive_desc pd(d, attr, engine_);
    primitive_ = dnnl::convolution_forward(pd);
    auto make = [&](const dnnl::memory::desc& md) {
      dnnl::memory m(md, engine_);
      auto* p = static_cast<float*>(m.get_data_handle());
      for (size_t i = 0; i < md.get_size() / sizeof(float); ++i)
        p[i] = static_cast<float>(i % 7) - 3.0f;
      return m;
    };
    arguments_ = {{DNNL_ARG_SRC, make(pd.src_desc())},
                  {DNNL_ARG_WEIGHTS, make(pd.weights_desc())},
                  {DNNL_ARG_BIAS, make(pd.bias_desc())},
                  {DNNL_ARG_DST, make(pd.dst_desc())}};
  }
  void run() override {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

}  // namespace

std::unique_ptr<TimedLayer> make_onednn(const LayerShape& s, bool winograd) {
  try {
    return std::make_unique<OnednnLayer>(s, winograd);
  } catch (const dnnl::error&) {  // no such implementation
    return nullptr;
  }
}

}  // namespace qrt::bench
