// Changes the element type. Floats are truncated towards zero and taken to the nearest
// value of an integer type, a NaN to 0; integers wrap; anything but 0 becomes true.
#include <limits>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

// An element of dtype boolean; its byte may hold anything.
struct Bool {
  uint8_t byte;
};

template <class To>
To from_float(float x) {
  // Comparisons in float: the largest integers round up to a power of two that is out of range.
  constexpr float lowest = static_cast<float>(std::numeric_limits<To>::min());
  constexpr float highest = static_cast<float>(std::numeric_limits<To>::max());
  if (x != x) return 0;
  if (x >= highest) return std::numeric_limits<To>::max();
  if (x <= lowest) return std::numeric_limits<To>::min();
  return static_cast<To>(x);
}

template <class From, class To>
To convert(From x) {
  if constexpr (std::is_same_v<From, Bool> && std::is_same_v<To, Bool>)
    return {static_cast<uint8_t>(x.byte != 0)};
  else if constexpr (std::is_same_v<From, Bool>)
    return static_cast<To>(x.byte != 0 ? 1 : 0);
  else if constexpr (std::is_same_v<To, Bool>)
    return {static_cast<uint8_t>(x != From{0})};
  else if constexpr (std::is_same_v<From, float> && !std::is_same_v<To, float>)
    return from_float<To>(x);
  else
    return static_cast<To>(x);
}

using RunFn = void(const std::byte* in, std::byte* out, size_t begin, size_t end);

template <class From, class To>
void run_all(const std::byte* in, std::byte* out, size_t begin, size_t end) {
  const From* x = reinterpret_cast<const From*>(in);
  To* y = reinterpret_cast<To*>(out);
  for (size_t i = begin; i < end; ++i) y[i] = convert<From, To>(x[i]);
}

template <class From>
RunFn* to_type(DType to) {
  switch (to) {
    case DType::f32:
      return run_all<From, float>;
    case DType::i8:
      return run_all<From, int8_t>;
    case DType::u8:
      return run_all<From, uint8_t>;
    case DType::i32:
      return run_all<From, int32_t>;
    case DType::i64:
      return run_all<From, int64_t>;
    case DType::boolean:
      return run_all<From, Bool>;
    case DType::f16:
    case DType::bits:
      break;
  }
  return nullptr;
}

RunFn* choose(DType from, DType to) {
  switch (from) {
    case DType::f32:
      return to_type<float>(to);
    case DType::i8:
      return to_type<int8_t>(to);
    case DType::u8:
      return to_type<uint8_t>(to);
    case DType::i32:
      return to_type<int32_t>(to);
    case DType::i64:
      return to_type<int64_t>(to);
    case DType::boolean:
      return to_type<Bool>(to);
    case DType::f16:
    case DType::bits:
      break;
  }
  return nullptr;
}

class Cast final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    run_ = choose(ctx.in[0].dtype, ctx.out[0].dtype);
    if (run_ == nullptr)
      return Status(Code::unsupported, 252, "a cast from or to f16 is not computed")
          .values(static_cast<int64_t>(ctx.in[0].dtype), static_cast<int64_t>(ctx.out[0].dtype))
          .next("keep activations in f32");
    return check_output(ctx, ctx.in[0].shape);
  }

  Status run(const RunContext& ctx) const override {
    auto part = [&](size_t b, size_t e) { run_(ctx.in[0].data, ctx.out[0].data, b, e); };
    split_if_worth(ctx.threads, count_of(ctx.out[0].shape), 64, kElementsWorth, part);
    return {};
  }

  const char* kernel_name() const override { return "plain_cast"; }

 private:
  RunFn* run_ = nullptr;
};

}  // namespace

Op* make_cast(Arena& keep) {
  return keep.make<Cast>();
}

}  // namespace qrt
