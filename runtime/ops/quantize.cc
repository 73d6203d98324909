// From f32 to quantized bytes and back (schema/README.md, Numerics):
//   q = clamp(rne(x * (1 / scale)) + zero, 0, 255), a NaN gives 0;   x = scale * float(q - zero).
#include "kernels/int8/int8.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/quantized.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

class Quantize final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    const ConstTensorView& in = ctx.in[0];
    const TensorView& out = ctx.out[0];
    to_bytes_ = in.dtype == DType::f32 && is_quantized(out.dtype, out.quantization);
    if (!to_bytes_ && !(is_quantized(in.dtype, in.quantization) && out.dtype == DType::f32))
      return Status(Code::unsupported, 252, "quantize goes from f32 to a quantized u8 or back")
          .values(static_cast<int64_t>(in.dtype), static_cast<int64_t>(out.dtype))
          .next("convert the model again");
    quantization_ = to_bytes_ ? out.quantization : in.quantization;
    kit_ = kernels::select(i8::kKits, ctx.isa).run;
    return check_output(ctx, in.shape);
  }

  Status run(const RunContext& ctx) const override {
    const size_t n = count_of(ctx.in[0].shape);
    split_if_worth(ctx.threads, n, 64, kElementsWorth, [&](size_t begin, size_t end) {
      if (to_bytes_)
        kit_->quantize({ctx.in[0].as<float>() + begin, end - begin, 1 / quantization_.scale,
                        quantization_.zero, ctx.out[0].as<uint8_t>() + begin});
      else
        back(ctx.in[0].as<uint8_t>() + begin, end - begin, ctx.out[0].as<float>() + begin);
    });
    return {};
  }

  const char* kernel_name() const override { return to_bytes_ ? "int8_quantize" : "int8_expand"; }

 private:
  void back(const uint8_t* q, size_t n, float* x) const {
    const float scale = quantization_.scale;
    const int32_t zero = quantization_.zero;
    for (size_t i = 0; i < n; ++i) x[i] = scale * static_cast<float>(int32_t{q[i]} - zero);
  }

  const i8::Kit* kit_ = nullptr;
  Quantization quantization_;
  bool to_bytes_ = true;
};

}  // namespace

Op* make_quantize(Arena& keep) {
  return keep.make<Quantize>();
}

}  // namespace qrt
