// The dense twins of a layer through oneDNN, f32 and u8 x s8 -> u8, as convolution, inner product
// and matrix product. Every layout is the primitive's own choice ("any"), weights are reordered
// beforehand, bias, ReLU and requantization are part of the primitive, and reordering activations
// is not counted: its times are the best it can do inside a graph.
#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "bench/layers.h"

namespace qrt::bench {
namespace {

using Dims = dnnl::memory::dims;
using Md = dnnl::memory::desc;
using Type = dnnl::memory::data_type;
constexpr auto kInference = dnnl::prop_kind::forward_inference;
constexpr int kTried = 4;  // implementations of a primitive, its favourite first

Md any(const Dims& dims, Type type) {
  return {dims, type, dnnl::memory::format_tag::any};
}

// A primitive ready for execution with memory of its own.
class OnednnLayer final : public TimedLayer {
 public:
  template <class Primitive>
  OnednnLayer(Primitive, const dnnl::engine& engine, const typename Primitive::primitive_desc& pd)
      : engine_(engine), stream_(engine), primitive_(Primitive(pd)) {
    weight_bytes_ = static_cast<double>(pd.weights_desc().get_size());
    arguments_ = {{DNNL_ARG_SRC, filled(pd.src_desc())},
                  {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
                  {DNNL_ARG_BIAS, filled(pd.bias_desc())},
                  {DNNL_ARG_DST, filled(pd.dst_desc())}};
  }
  void run() override {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  double weight_bytes() const override { return weight_bytes_; }

 private:
  dnnl::memory filled(const Md& md) {
    dnnl::memory m(md, engine_);
    const bool floats = md.data_type() == Type::f32;
    const size_t n = md.get_size() / (floats ? sizeof(float) : 1);
    for (size_t i = 0; i < n; ++i) {
      if (floats)
        static_cast<float*>(m.get_data_handle())[i] = static_cast<float>(i % 7) - 3.0f;
      else
        static_cast<uint8_t*>(m.get_data_handle())[i] = static_cast<uint8_t>(i % 7);
    }
    return m;
  }
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
  double weight_bytes_ = 0;
};

// Types and attributes of one precision. A ReLU to u8 is what saturation does anyway.
struct Precision {
  Type x, w, y;
  dnnl::primitive_attr attr;
  bool is_integer;
};

Precision precision(bool is_integer, uint32_t outputs) {
  Precision p{Type::f32, Type::f32, Type::f32, {}, is_integer};
  if (is_integer) {
    p.x = p.y = Type::u8, p.w = Type::s8;
    std::vector<float> scales(outputs);
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = 1e-3f + 1e-6f * static_cast<float>(i);
    p.attr.set_output_scales(1 << 1, scales);
  } else {
    dnnl::post_ops relu;
    relu.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0, 0);
    p.attr.set_post_ops(relu);
  }
  return p;
}

// Names and makes what it is shown; stops at the name that is wanted.
class Search {
 public:
  explicit Search(std::string wanted) : wanted_(std::move(wanted)) {}
  const dnnl::engine& engine() const { return engine_; }
  bool done() const { return layer_ != nullptr; }
  LayerPtr take() { return std::move(layer_); }
  const std::vector<OnednnChoice>& choices() const { return choices_; }

  template <class Primitive>
  void visit(Primitive tag, const char* kind, bool is_integer,
             typename Primitive::primitive_desc pd) {
    for (int i = 0; pd && i < kTried && !done(); ++i) {
      const std::string implementation = pd.impl_info_str();
      if (implementation.find("ref") != std::string::npos) return;
      const std::string name =
          std::string(is_integer ? "onednn u8s8 " : "onednn f32 ") + kind + " " + implementation;
      if (name == wanted_) layer_ = std::make_unique<OnednnLayer>(tag, engine_, pd);
      choices_.push_back({name, is_integer});
      if (!pd.next_impl()) return;
    }
  }

 private:
  bool is_known(const std::string& name) const {
    return std::any_of(choices_.begin(), choices_.end(),
                       [&name](const OnednnChoice& c) { return c.name == name; });
  }
  std::string wanted_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  std::vector<OnednnChoice> choices_;
  LayerPtr layer_;
};

void visit_convolution(const LayerShape& s, const Precision& p, Search& search) {
  using dnnl::convolution_forward;
  const dnnl::memory::dim size = s.size, out = s.out_size(), k = s.kernel, g = s.groups;
  const dnnl::memory::dim pad = k / 2, far = (out - 1) * s.stride + k - size - pad;
  const Md w = any(g == 1 ? Dims{s.cout, s.cin, k, k} : Dims{g, s.cout / g, s.cin / g, k, k}, p.w);
  for (const auto algorithm :
       {dnnl::algorithm::convolution_direct, dnnl::algorithm::convolution_winograd}) {
    const bool is_winograd = algorithm == dnnl::algorithm::convolution_winograd;
    if (is_winograd && (p.is_integer || k != 3)) continue;  // u8 x s8: its sums are not exact
    const convolution_forward::desc d(kInference, algorithm, any({1, s.cin, size, size}, p.x), w,
                                      any({s.cout}, Type::f32), any({1, s.cout, out, out}, p.y),
                                      {s.stride, s.stride}, {pad, pad}, {far, far});
    search.visit(convolution_forward(), is_winograd ? "winograd" : "conv", p.is_integer,
                 {d, p.attr, search.engine(), true});
  }
}

// 1x1 layers of stride 1 are matrix products.
void visit_products(const LayerShape& s, const Precision& p, Search& search) {
  if (s.kernel != 1 || s.stride != 1 || s.groups != 1) return;
  const dnnl::memory::dim m = s.rows(), k = s.cin, n = s.cout;
  const dnnl::inner_product_forward::desc ip(kInference, any({m, k}, p.x), any({n, k}, p.w),
                                             any({n}, Type::f32), any({m, n}, p.y));
  search.visit(dnnl::inner_product_forward(), "ip", p.is_integer,
               {ip, p.attr, search.engine(), true});
  const dnnl::matmul::desc mm(any({m, k}, p.x), any({k, n}, p.w),
                              Md({1, n}, Type::f32, dnnl::memory::format_tag::ab),
                              any({m, n}, p.y));
  search.visit(dnnl::matmul(), "matmul", p.is_integer, {mm, p.attr, search.engine(), true});
}

void visit_all(const LayerShape& s, Search& search) {
  for (const bool is_integer : {false, true}) {
    const Precision p = precision(is_integer, s.cout);
    visit_convolution(s, p, search);
    visit_products(s, p, search);
  }
}

}  // namespace

std::vector<OnednnChoice> onednn_choices(const LayerShape& s) {
  Search search("");
  visit_all(s, search);
  return search.choices();
}

LayerPtr make_onednn(const LayerShape& s, const std::string& name) {
  Search search(name);
  visit_all(s, search);
  return search.take();
}

}  // namespace qrt::bench
