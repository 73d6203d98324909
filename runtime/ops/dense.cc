// conv2d, conv_transpose and linear on dense f32 weights: those stored dense, and in Mode::dense
// those decoded from a codebook at prepare.
//
//   file order -> [outputs][inputs] f32 -> kernel_h, kernel_w, inputs -> packed
//
// by XNNPACK, or by our plain code where XNNPACK is absent or cannot. The
// epilogue's scale is folded into the weights. A residual is added in a pass of its
// own after the layer, in place: inside XNNPACK it would need a second buffer as
// big as the output.
#include "runtime/dense/plain.h"
#include "runtime/dense/xnn.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/conv_geometry.h"
#include "runtime/ops/decode_weights.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

// Memory of prepare alone, from the session's allocator.
class TemporaryFloats {
 public:
  explicit TemporaryFloats(const Allocator& a) : allocator_(a) {}
  ~TemporaryFloats() {
    if (data_ != nullptr) allocator_.release(allocator_.user, data_);
  }
  TemporaryFloats(const TemporaryFloats&) = delete;
  TemporaryFloats& operator=(const TemporaryFloats&) = delete;
  bool allocate(size_t count) {
    data_ = static_cast<float*>(allocator_.alloc(allocator_.user, count * sizeof(float), 64));
    return data_ != nullptr;
  }
  float* data() { return data_; }

 private:
  Allocator allocator_;
  float* data_ = nullptr;
};

// Rows [output][file order] to what XnnLayer::open and plain_pack want:
// [output][tap][input], or [tap][output] for a depthwise convolution.
void reorder(const ConvGeometry& g, InputOrder order, const float* from, float* to) {
  const size_t taps = g.taps(), inputs = g.group_in();
  const bool channel_first = order == InputOrder::cin_kh_kw;
  for (size_t o = 0; o < g.out_c; ++o, from += taps * inputs)
    for (size_t t = 0; t < taps; ++t)
      for (size_t c = 0; c < inputs; ++c) {
        const float value = from[channel_first ? c * taps + t : t * inputs + c];
        (g.depthwise() ? to[t * g.out_c + o] : to[(o * taps + t) * inputs + c]) = value;
      }
}

class DenseLayer : public Op {
 public:
  Status bind(const RunContext& ctx) override {
    if (!xnn_.is_open()) return {};
    return xnn_.bind(ctx.in[0].as<float>(), ctx.out[0].as<float>());
  }

  Status run(const RunContext& ctx) const override {
    float* out = ctx.out[0].as<float>();
    if (xnn_.is_open()) {
      QRT_TRY(xnn_.run());
    } else {
      const Limits own = residual_ ? Limits{-__builtin_inff(), __builtin_inff()} : limits_;
      plain_run(geometry_, packed_.data(), bias_.data(), own, ctx.in[0].as<float>(), out,
                ctx.threads);
    }
    if (residual_) add_residual(ctx, out);
    return {};
  }

 protected:
  // After the geometry is known: epilogue, weights, kernel.
  Status prepare_layer(const Weights& w, const Epilogue& e, bool is_linear, PrepareContext& ctx) {
    QRT_TRY(check_arity(ctx, e.residual ? 2 : 1));
    QRT_TRY(check_f32(ctx));
    QRT_TRY(check_clamp(e.clamp));
    limits_ = limits_of(e.clamp);
    residual_ = e.residual;
    if (residual_ && ctx.in[1].shape != ctx.out[0].shape)
      return Status(Code::invalid_model, 254, "a residual does not have the output's shape")
          .values(ctx.in[1].shape.rank, ctx.out[0].shape.rank)
          .next("convert the model again");
    QRT_TRY(read_bias(e, ctx.keep));
    TemporaryFloats weights(ctx.keep.allocator());
    const float* ready = nullptr;
    QRT_TRY(ready_weights(w, e, ctx.keep, &weights, &ready));
    return choose(is_linear, ready, ctx);
  }

  ConvGeometry geometry_{};

 private:
  Status read_bias(const Epilogue& e, Arena& keep) {
    const uint32_t count = static_cast<uint32_t>(geometry_.out_c);
    Expected<Span<const float>> bias = read_floats(e.bias, count, keep);
    if (!bias.ok()) return bias.status();
    bias_ = *bias;
    if (!bias_.empty()) return {};
    bias_ = keep.array<float>(count);
    return bias_.size() == count ? Status() : out_of_memory();
  }

  // Weights of the file as f32 in kernel order with the scale folded in: the file's
  // own bytes where they are that already, else a temporary.
  Status ready_weights(const Weights& w, const Epilogue& e, Arena& keep, TemporaryFloats* kept,
                       const float** ready) {
    QRT_TRY(check_weights(w));
    Expected<Span<const float>> scale = read_floats(e.scale, w.outputs, keep);
    if (!scale.ok()) return scale.status();
    const bool ordered =
        !geometry_.depthwise() &&
        (w.order != InputOrder::cin_kh_kw || geometry_.taps() == 1 || geometry_.group_in() == 1);
    const uint8_t* bytes = w.dense.data.data();
    if (w.encoding == Encoding::dense && w.dense.dtype == DType::f32 && ordered && scale->empty() &&
        reinterpret_cast<uintptr_t>(bytes) % alignof(float) == 0) {
      *ready = reinterpret_cast<const float*>(bytes);
      return {};
    }
    const size_t count = size_t{w.outputs} * w.inputs;
    TemporaryFloats decoded(keep.allocator());
    TemporaryFloats* first = ordered ? kept : &decoded;
    if (!first->allocate(count) || (!ordered && !kept->allocate(count))) return out_of_memory();
    QRT_TRY(decode_weights(w, first->data()));
    if (!scale->empty())
      for (size_t o = 0; o < w.outputs; ++o)
        for (size_t i = 0; i < w.inputs; ++i) first->data()[o * w.inputs + i] *= (*scale)[o];
    if (!ordered) reorder(geometry_, w.order, decoded.data(), kept->data());
    *ready = kept->data();
    return {};
  }

  // A constant input lies in the model's file, where nothing may be read past its
  // end; XNNPACK would.
  Status choose(bool is_linear, const float* weights, PrepareContext& ctx) {
    const Limits own = residual_ ? Limits{-__builtin_inff(), __builtin_inff()} : limits_;
    if (ctx.use_xnnpack && ctx.in[0].data == nullptr && XnnLayer::supports(geometry_, own)) {
      const Status s =
          xnn_.open(geometry_, is_linear, weights, bias_.data(), own, ctx.threads.pool());
      if (s.code() == Code::out_of_memory) return s;
      if (s.ok()) {
        ctx.weight_bytes += XnnLayer::packed_bytes(geometry_);
        return {};
      }
    }
    const std::optional<size_t> floats = plain_packed_floats(geometry_).get();
    if (floats) packed_ = ctx.keep.array<float>(*floats);
    if (packed_.empty()) return out_of_memory();
    plain_pack(geometry_, weights, packed_.data());
    ctx.weight_bytes += packed_.size() * sizeof(float);
    return {};
  }

  void add_residual(const RunContext& ctx, float* out) const {
    const float* residual = ctx.in[1].as<float>();
    const Limits limits = limits_;
    auto add = [=](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) out[i] = clamp_to(out[i] + residual[i], limits);
    };
    const size_t n = count_of(ctx.out[0].shape);
    split_if_worth(ctx.threads, n, 64, kElementsWorth, add);
  }

 protected:
  XnnLayer xnn_;

 private:
  Span<const float> bias_;
  Span<float> packed_;  // of the plain code
  Limits limits_{};
  bool residual_ = false;
};

class DenseConv2d final : public DenseLayer {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1, 2));
    const Conv2dAttr& a = *node.conv2d;
    QRT_TRY(conv_geometry(ctx, a, &geometry_));
    return prepare_layer(*a.weights, a.epilogue, false, ctx);
  }
  const char* kernel_name() const override {
    if (geometry_.depthwise())
      return xnn_.is_open() ? "xnnpack_f32_depthwise_conv2d" : "plain_f32_depthwise_conv2d";
    return xnn_.is_open() ? "xnnpack_f32_conv2d" : "plain_f32_conv2d";
  }
};

class DenseConvTranspose final : public DenseLayer {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1, 2));
    const ConvTransposeAttr& a = *node.conv_transpose;
    QRT_TRY(conv_transpose_geometry(ctx, a, &geometry_));
    return prepare_layer(*a.weights, a.epilogue, false, ctx);
  }
  const char* kernel_name() const override {
    return xnn_.is_open() ? "xnnpack_f32_conv_transpose" : "plain_f32_conv_transpose";
  }
};

class DenseLinear final : public DenseLayer {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1, 2));
    const LinearAttr& a = *node.linear;
    Shape shape = ctx.in[0].shape;
    const int last = shape.rank - 1;
    if (shape.rank < 1 || shape[last] < 1 ||
        static_cast<uint32_t>(shape[last]) != a.weights->inputs)
      return Status(Code::invalid_model, 254, "a linear layer's input has the wrong last dimension")
          .values(shape.rank < 1 ? 0 : shape[last], a.weights->inputs)
          .next("convert the model again");
    const size_t rows = count_of(shape, 0, last);
    shape[last] = static_cast<int32_t>(a.weights->outputs);
    QRT_TRY(check_output(ctx, shape));
    geometry_ = linear_geometry(rows, a.weights->inputs, a.weights->outputs);
    return prepare_layer(*a.weights, a.epilogue, true, ctx);
  }
  const char* kernel_name() const override {
    return xnn_.is_open() ? "xnnpack_f32_linear" : "plain_f32_linear";
  }
};

}  // namespace

Op* make_dense_conv2d(Arena& keep) {
  return keep.make<DenseConv2d>();
}
Op* make_dense_conv_transpose(Arena& keep) {
  return keep.make<DenseConvTranspose>();
}
Op* make_dense_linear(Arena& keep) {
  return keep.make<DenseLinear>();
}

}  // namespace qrt
