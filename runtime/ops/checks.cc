// See checks.h.
#include "runtime/ops/checks.h"

#include <cfloat>

namespace qrt {

Limits limits_of(float min, float max) {
  return {min <= -FLT_MAX ? -__builtin_inff() : min, max >= FLT_MAX ? __builtin_inff() : max};
}

Limits limits_of(const Clamp& c) {
  if (c.activation == Activation::none) return {-__builtin_inff(), __builtin_inff()};
  return limits_of(c.min, c.max);
}

Status check_arity(const PrepareContext& ctx, size_t min_in, size_t max_in) {
  if (max_in == 0) max_in = min_in;
  const size_t ins = ctx.in.size(), outs = ctx.out.size();
  if (ins < min_in || ins > max_in)
    return Status(Code::invalid_model, 251, "an operator has the wrong number of input tensors")
        .values(static_cast<int64_t>(ins), static_cast<int64_t>(ins < min_in ? min_in : max_in))
        .next("convert the model again; the file was not written by qrt-convert");
  if (outs != 1)
    return Status(Code::invalid_model, 251, "an operator has the wrong number of output tensors")
        .values(static_cast<int64_t>(outs), 1)
        .next("convert the model again; the file was not written by qrt-convert");
  return {};
}

Status check_f32(const PrepareContext& ctx) {
  for (const ConstTensorView& t : ctx.in)
    if (t.dtype != DType::f32)
      return Status(Code::unsupported, 252, "this operator computes on f32 tensors only")
          .values(static_cast<int64_t>(t.dtype), 0)
          .next("keep i64 and bool tensors to data movement, or fold them at conversion");
  for (const TensorView& t : ctx.out)
    if (t.dtype != DType::f32)
      return Status(Code::invalid_model, 252, "this operator's output must be f32")
          .values(static_cast<int64_t>(t.dtype), 0)
          .next("convert the model again");
  return {};
}

Status check_same_dtype(const PrepareContext& ctx) {
  for (const ConstTensorView& t : ctx.in)
    if (t.dtype != ctx.out[0].dtype)
      return Status(Code::invalid_model, 252, "input and output of this operator differ in type")
          .values(static_cast<int64_t>(t.dtype), static_cast<int64_t>(ctx.out[0].dtype))
          .next("convert the model again");
  return {};
}

Status check_output(const PrepareContext& ctx, const Shape& computed) {
  const Shape& declared = ctx.out[0].shape;
  if (declared == computed) return {};
  const Status s(Code::invalid_model, 253, "the declared output shape is not the computed one");
  const char* hint = "convert the model again; for a batch, check that the model's batch is free";
  if (declared.rank != computed.rank) return s.values(declared.rank, computed.rank).next(hint);
  for (int i = 0; i < declared.rank; ++i)
    if (declared[i] != computed[i]) return s.values(declared[i], computed[i]).next(hint);
  return {};
}

Status check_clamp(float min, float max) {
  QRT_REQUIRE(min <= max, Code::invalid_model, 257,
              "the limits of a clamp are not in order (minimum <= maximum, neither NaN)");
  return {};
}

Status check_clamp(const Clamp& c) {
  return c.activation == Activation::none ? Status() : check_clamp(c.min, c.max);
}

Expected<Span<const float>> read_floats(const Constant& c, uint32_t count, Arena& keep) {
  if (!c.present()) return Span<const float>();
  if (c.count != count)
    return Status(Code::invalid_model, 259, "a scale or bias has the wrong number of elements")
        .values(c.count, count)
        .next("convert the model again");
  Span<float> copy = keep.array<float>(count);
  if (copy.size() != count) return out_of_memory();
  for (uint32_t i = 0; i < count; ++i) copy[i] = read_constant(c, i);
  return Span<const float>(copy);
}

}  // namespace qrt
