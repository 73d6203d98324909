// Every layer of integers: what its input and output are decides who computes it.
//
//   bits x one plane of signs             BitsOp
//   bytes x anything                      Int8Op
//   bits x anything else                  bytes 0 and 2 about a zero of 1, then Int8Op
//   thresholds behind Int8Op              its sums as floats, then compared
//
// What is made in between is scratch of the run.
#include "runtime/base/checked.h"
#include "runtime/model/exact.h"
#include "runtime/ops/bit_rows.h"
#include "runtime/ops/bits_layer.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/thresholds.h"

namespace qrt {
namespace {

constexpr size_t kRowsAtOnce = 16;  // of a thread's share where rows are converted

class IntegerLayer final : public Op {
 public:
  ~IntegerLayer() override {
    if (inner_ != nullptr) inner_->~Op();
  }

  Status prepare(const Node& node, PrepareContext& context) override {
    const Weights& w = *weights_of(node);
    const Epilogue& e = *epilogue_of(node);
    const bool bits = !context.in.empty() && context.in[0].dtype == DType::bits;
    if (bits && is_sign_plane(w)) {
      inner_ = context.keep.make<BitsOp>();
      return inner_ == nullptr ? out_of_memory() : inner_->prepare(node, context);
    }
    inner_ = make_int8_layer(context.keep);
    if (inner_ == nullptr) return out_of_memory();
    if (!bits && e.threshold_count == 0) return inner_->prepare(node, context);
    QRT_TRY(check_arity(context, 1, 2));
    return prepare_around(node, e, bits, context);
  }

  Status bind(const RunContext& context) override {
    if (!expands_ && !thresholds_.present()) return inner_->bind(context);
    ConstTensorView in[2];
    TensorView out;
    return inner_->bind(around(context, in, &out));
  }

  Status run(const RunContext& context) const override {
    if (!expands_ && !thresholds_.present()) return inner_->run(context);
    ConstTensorView in[2];
    TensorView out;
    const RunContext inside = around(context, in, &out);
    if (expands_) expand(context);
    QRT_TRY(inner_->run(inside));
    if (thresholds_.present()) compare(context);
    return {};
  }

  const char* kernel_name() const override { return inner_->kernel_name(); }
  const char* choice() const override { return inner_->choice(); }

 private:
  Status prepare_around(const Node& node, const Epilogue& e, bool bits, PrepareContext& context) {
    const Span<const ConstTensorView> given_in = context.in;
    const Span<const TensorView> given_out = context.out;
    ConstTensorView in[2];
    inputs_ = given_in.size();
    for (size_t i = 0; i < inputs_; ++i) in[i] = given_in[i];
    TensorView out = given_out[0];
    expands_ = bits;
    if (bits) in[0] = as_bytes(in[0]);
    const Weights& w = *weights_of(node);
    const uint64_t most = uint64_t{w.inputs} * 255 * most_integer(w);
    QRT_TRY(thresholds_.prepare(e, w.outputs, most, context));
    if (thresholds_.present()) out = as_sums(out);
    context.in = {in, given_in.size()};
    context.out = {&out, 1};
    const Status inside = inner_->prepare(node, context);
    context.in = given_in, context.out = given_out;
    QRT_TRY(inside);
    const auto sums = bytes_of(DType::f32, out.shape).get(SIZE_MAX / 2);
    const auto bytes = bytes_of(DType::u8, in[0].shape).get(SIZE_MAX / 2);
    if (!sums || !bytes) return layer_too_large();
    if (expands_) bytes_ = context.reserve_scratch(*bytes + kReadSlack);
    if (thresholds_.present()) sums_ = context.reserve_scratch(*sums);
    return {};
  }

  // +-scale as the bytes 0 and 2.
  static ConstTensorView as_bytes(ConstTensorView t) {
    t.dtype = DType::u8, t.quantization.zero = 1;
    return t;
  }
  static TensorView as_sums(TensorView t) {
    t.dtype = DType::f32, t.quantization = {};
    return t;
  }

  RunContext around(const RunContext& context, ConstTensorView* in, TensorView* out) const {
    for (size_t i = 0; i < inputs_; ++i) in[i] = context.in[i];
    *out = context.out[0];
    if (expands_) in[0] = as_bytes(in[0]), in[0].data = context.scratch[bytes_];
    if (thresholds_.present()) *out = as_sums(*out), out->data = context.scratch[sums_];
    return {in, out, context.scratch, context.threads};
  }

  void expand(const RunContext& context) const {
    const Shape& shape = context.in[0].shape;
    const size_t n = row_of(shape), words = words_of_row(shape), rows = count_of(shape) / n;
    auto* to = reinterpret_cast<uint8_t*>(context.scratch[bytes_]);
    const auto* from = context.in[0].as<uint64_t>();
    split_if_worth(context.threads, rows, kRowsAtOnce, kElementsWorth / n,
                   [=](size_t r, size_t end) {
                     for (; r < end; ++r) unpack_row(from + r * words, n, 0, 2, to + r * n);
                   });
  }

  void compare(const RunContext& context) const {
    const TensorView& out = context.out[0];
    const size_t n = row_of(out.shape), words = words_of_row(out.shape);
    const auto* sums = reinterpret_cast<const float*>(context.scratch[sums_]);
    split_if_worth(context.threads, count_of(out.shape) / n, kRowsAtOnce, kElementsWorth / n,
                   [&](size_t r, size_t end) {
                     if (out.dtype == DType::bits)
                       thresholds_.store(sums + r * n, end - r, out.as<uint64_t>() + r * words);
                     else
                       thresholds_.store(sums + r * n, end - r, out.as<uint8_t>() + r * n);
                   });
  }

  Op* inner_ = nullptr;
  bool expands_ = false;
  size_t inputs_ = 1;
  Thresholds thresholds_;
  ScratchSlot bytes_ = 0, sums_ = 0;
};

}  // namespace

Op* make_integer_conv2d(Arena& keep) {
  return keep.make<IntegerLayer>();
}
Op* make_integer_linear(Arena& keep) {
  return keep.make<IntegerLayer>();
}

}  // namespace qrt
