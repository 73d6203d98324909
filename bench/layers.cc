// Our layers and XNNPACK's, put together without a model file.
#include "bench/layers.h"

#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/dense/xnn.h"
#include "runtime/ops/codebook_layer.h"
#include "schema/layout.h"

namespace qrt::bench {
namespace {

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory memory(size_t bytes) {
  auto* p = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
  std::memset(p, 0, bytes);
  return Memory(p);
}

Memory random_floats(size_t n, uint32_t seed) {
  std::mt19937 bits(seed);
  Memory m = memory(n * sizeof(float));
  for (size_t i = 0; i < n; ++i)
    reinterpret_cast<float*>(m.get())[i] = static_cast<float>(bits() >> 8) / 8388608.0f - 1.0f;
  return m;
}

Window window_of(const LayerShape& s) {
  const uint32_t pad = s.kernel / 2;
  return {s.kernel, s.kernel, s.stride, s.stride, 1, 1, pad, pad, pad, pad};
}

Shape image(uint32_t size, uint32_t channels) {
  Shape shape;
  shape.rank = 4;
  shape.dim = {1, static_cast<int32_t>(size), static_cast<int32_t>(size),
               static_cast<int32_t>(channels)};
  return shape;
}

class OurLayer final : public TimedLayer {
 public:
  explicit OurLayer(const LayerShape& s)
      : keep_(default_allocator()),
        context_(model_, keep_, threads_),
        x_(random_floats(size_t{s.size} * s.size * s.cin, 1)),
        y_(memory(size_t{s.rows()} * s.cout * sizeof(float))),
        bias_(random_floats(s.cout, 2)) {
    const uint32_t bits = layout::code_bits(s.count), blocks = (s.inputs() + s.dim - 1) / s.dim;
    const uint64_t row = layout::codebook_row_bytes(s.cout, bits);
    codes_ = memory(row * blocks), entries_ = random_floats(size_t{s.count} * s.dim, 3);
    std::mt19937 random(4);
    for (uint32_t b = 0; b < blocks; ++b)
      for (uint32_t n = 0; n < s.cout; ++n)
        layout::write_code(reinterpret_cast<uint8_t*>(codes_.get()) + b * row, n, bits,
                           (random() >> 4) % s.count);
    // Entries are halves, as in published files: the upper half of a float in [-1, 1) with
    // its exponent moved is close enough to a random one.
    auto* halves = reinterpret_cast<uint16_t*>(entries_.get());
    for (size_t i = 0; i < size_t{s.count} * s.dim; ++i)
      halves[i] = static_cast<uint16_t>((random() >> 8 & 0x83ffu) | 14u << 10);
    weights_.outputs = s.cout, weights_.inputs = s.inputs();
    weights_.order = InputOrder::cin_kh_kw, weights_.encoding = Encoding::codebook;
    weights_.codebook = {1,
                         s.count,
                         s.dim,
                         bits,
                         0,
                         DType::f16,
                         bytes_of(entries_, size_t{s.count} * s.dim * 2),
                         {},
                         bytes_of(codes_, row * blocks)};
    attr_ = {&weights_, window_of(s), 1, {}};
    attr_.epilogue.bias = {bias_.get(), DType::f32, s.cout};
    attr_.epilogue.clamp = {Activation::clamp, 0, 3.4028234e38f};
    node_.kind = OpKind::conv2d, node_.conv2d = &attr_;
    in_ = {x_.get(), DType::f32, image(s.size, s.cin)};
    out_ = {y_.get(), DType::f32, image((s.size - 1) / s.stride + 1, s.cout)};
  }
  ~OurLayer() override {
    if (op_) op_->~Op();
  }

  bool prepare(const char* strategy, kernels::IsaSet isa) {
    context_.isa = isa, context_.strategy = *strategy ? strategy : nullptr;
    context_.in = {&in_, 1}, context_.out = {&out_, 1};
    op_ = make_codebook_conv2d(keep_);
    if (op_ == nullptr || !op_->prepare(node_, context_).ok()) return false;
    if (*strategy && std::strstr(op_->kernel_name(), strategy) == nullptr) return false;
    for (uint32_t i = 0; i < context_.slots; ++i) {
      scratch_.push_back(memory(context_.scratch_bytes[i]));
      pointers_.push_back(scratch_.back().get());
    }
    return true;
  }
  void run() override {
    if (!op_->run({&in_, &out_, pointers_.data(), threads_}).ok()) std::abort();
  }
  std::string note() const override {
    return std::string(op_->kernel_name()) + ": " + op_->choice();
  }

 private:
  static Bytes bytes_of(const Memory& m, size_t n) {
    return {reinterpret_cast<const uint8_t*>(m.get()), n};
  }
  Model model_;
  Threads threads_;
  Arena keep_;
  PrepareContext context_;
  Memory x_, y_, bias_, codes_, entries_;
  std::vector<Memory> scratch_;
  std::vector<std::byte*> pointers_;
  Weights weights_;
  Conv2dAttr attr_{};
  Node node_;
  ConstTensorView in_;
  TensorView out_;
  Op* op_ = nullptr;
};

class XnnpackLayer final : public TimedLayer {
 public:
  bool open(const LayerShape& s) {
    const size_t out = (s.size - 1) / s.stride + 1;
    const ConvGeometry g =
        s.kernel == 1 && s.size == 1
            ? linear_geometry(1, s.cin, s.cout)
            : ConvGeometry{1, s.size, s.size, s.cin, out, out, s.cout, 1, window_of(s)};
    const Limits limits{0, 3.4028234e38f};
    if (!XnnLayer::supports(g, limits)) return false;
    const Memory w = random_floats(size_t{s.inputs()} * s.cout, 1), b = random_floats(s.cout, 2);
    x_ = random_floats(size_t{s.size} * s.size * s.cin, 3);
    y_ = memory(out * out * s.cout * sizeof(float));
    auto floats = [](const Memory& m) { return reinterpret_cast<float*>(m.get()); };
    return layer_.open(g, g.taps() == 1 && s.size == 1, floats(w), floats(b), limits, nullptr)
               .ok() &&
           layer_.bind(floats(x_), floats(y_)).ok();
  }
  void run() override {
    if (!layer_.run().ok()) std::abort();
  }

 private:
  XnnLayer layer_;
  Memory x_, y_;
};

}  // namespace

std::unique_ptr<TimedLayer> make_ours(const LayerShape& s, const char* strategy,
                                      kernels::IsaSet isa) {
  auto layer = std::make_unique<OurLayer>(s);
  if (!layer->prepare(strategy, isa)) return nullptr;
  return layer;
}

std::unique_ptr<TimedLayer> make_xnnpack(const LayerShape& s) {
  auto layer = std::make_unique<XnnpackLayer>();
  if (!layer->open(s)) return nullptr;
  return layer;
}

#if !QRT_HAVE_ONEDNN
std::unique_ptr<TimedLayer> make_onednn(const LayerShape&, bool) {
  return nullptr;
}
#endif

}  // namespace qrt::bench
