// Functions of two elements with NumPy broadcasting: arithmetic on f32, i32 and i64,
// comparisons that give bool, logic on bool; sums of quantized bytes. f32 results may be clamped.
// max and min give a NaN when either side is one.
//
// Integers wrap like two's complement, and a division by zero gives 0: run() has no
// failing path. Bytes of a bool are read as "not 0", whatever they hold.
#include <cmath>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/quantized.h"

namespace qrt {
namespace {

// ---- one element ---------------------------------------------------------------------------

template <BinaryOp op>
inline float apply(float x, float y) {
  if constexpr (op == BinaryOp::add) return x + y;
  if constexpr (op == BinaryOp::sub) return x - y;
  if constexpr (op == BinaryOp::mul) return x * y;
  if constexpr (op == BinaryOp::div) return x / y;
  if constexpr (op == BinaryOp::max) return (x > y || x != x) ? x : y;
  if constexpr (op == BinaryOp::min) return (x < y || x != x) ? x : y;
  if constexpr (op == BinaryOp::pow) return std::pow(x, y);
  if constexpr (op == BinaryOp::fmod) return std::fmod(x, y);
}

// base^exponent by squaring, modulo 2^bits; below 0 only the powers of 1 and -1 are whole.
template <class T, class U>
T power(T base, T exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    if (base == -1) return (exponent & 1) != 0 ? T{-1} : T{1};
    return 0;
  }
  U result = 1, square = static_cast<U>(base);
  for (U e = static_cast<U>(exponent); e != 0; e >>= 1, square *= square)
    if ((e & 1) != 0) result *= square;
  return static_cast<T>(result);
}

// U is the unsigned type of T's size: its arithmetic wraps.
template <BinaryOp op, class T, class U>
inline T apply_whole(T x, T y) {
  const U a = static_cast<U>(x), b = static_cast<U>(y);
  if constexpr (op == BinaryOp::add) return static_cast<T>(a + b);
  if constexpr (op == BinaryOp::sub) return static_cast<T>(a - b);
  if constexpr (op == BinaryOp::mul) return static_cast<T>(a * b);
  // The smallest integer by -1 would trap: by -1 everything is a change of sign.
  if constexpr (op == BinaryOp::div)
    return y == 0 ? 0 : y == -1 ? static_cast<T>(U{0} - a) : static_cast<T>(x / y);
  if constexpr (op == BinaryOp::max) return x > y ? x : y;
  if constexpr (op == BinaryOp::min) return x < y ? x : y;
  if constexpr (op == BinaryOp::pow) return power<T, U>(x, y);
  if constexpr (op == BinaryOp::mod || op == BinaryOp::fmod) {
    if (y == 0 || y == -1) return 0;
    const T rest = static_cast<T>(x % y);
    if (op == BinaryOp::fmod || rest == 0 || (rest < 0) == (y < 0)) return rest;
    return static_cast<T>(rest + y);
  }
}

template <BinaryOp op, class T>
inline bool compare(T x, T y) {
  if constexpr (op == BinaryOp::equal) return x == y;
  if constexpr (op == BinaryOp::greater) return x > y;
  if constexpr (op == BinaryOp::greater_equal) return x >= y;
  if constexpr (op == BinaryOp::less) return x < y;
  if constexpr (op == BinaryOp::less_equal) return x <= y;
}

template <BinaryOp op>
inline bool logic(bool x, bool y) {
  if constexpr (op == BinaryOp::logical_and) return x && y;
  if constexpr (op == BinaryOp::logical_or) return x || y;
  if constexpr (op == BinaryOp::logical_xor) return x != y;
  if constexpr (op == BinaryOp::equal) return x == y;
}

// ---- one row -------------------------------------------------------------------------------

using RowFn = void(const std::byte* a, const std::byte* b, std::byte* out, const Broadcast::Row&,
                   Limits);

// Pointers to the first elements of a row.
template <class T>
const T* at(const std::byte* base, size_t element) {
  return reinterpret_cast<const T*>(base) + element;
}
template <class T>
T* at(std::byte* base, size_t element) {
  return reinterpret_cast<T*>(base) + element;
}

// The loop with one side standing still is written apart: compilers then use vectors.
template <BinaryOp op>
void f32_row(const std::byte* base_a, const std::byte* base_b, std::byte* base_out,
             const Broadcast::Row& row, Limits l) {
  const float *a = at<float>(base_a, row.offset[0]), *b = at<float>(base_b, row.offset[1]);
  float* out = at<float>(base_out, row.out);
  const size_t n = row.count;
  if (row.step[0] != 0 && row.step[1] != 0) {
    for (size_t i = 0; i < n; ++i) out[i] = clamp_to(apply<op>(a[i], b[i]), l);
  } else if (row.step[0] != 0) {
    const float y = *b;
    for (size_t i = 0; i < n; ++i) out[i] = clamp_to(apply<op>(a[i], y), l);
  } else if (row.step[1] != 0) {
    const float x = *a;
    for (size_t i = 0; i < n; ++i) out[i] = clamp_to(apply<op>(x, b[i]), l);
  } else {
    const float z = clamp_to(apply<op>(*a, *b), l);
    for (size_t i = 0; i < n; ++i) out[i] = z;
  }
}

// out[i] = f(a[i], b[i]) for everything that networks do little of.
template <class In, class Out, class F>
void plain_row(const std::byte* base_a, const std::byte* base_b, std::byte* base_out,
               const Broadcast::Row& row, F&& f) {
  const In *a = at<In>(base_a, row.offset[0]), *b = at<In>(base_b, row.offset[1]);
  Out* out = at<Out>(base_out, row.out);
  for (size_t i = 0; i < row.count; ++i)
    out[i] = static_cast<Out>(f(a[i * row.step[0]], b[i * row.step[1]]));
}

template <BinaryOp op, class T, class U>
void whole_row(const std::byte* a, const std::byte* b, std::byte* out, const Broadcast::Row& row,
               Limits) {
  plain_row<T, T>(a, b, out, row, apply_whole<op, T, U>);
}

template <BinaryOp op, class T>
void compare_row(const std::byte* a, const std::byte* b, std::byte* out, const Broadcast::Row& row,
                 Limits) {
  plain_row<T, uint8_t>(a, b, out, row, compare<op, T>);
}

template <BinaryOp op>
void bool_row(const std::byte* a, const std::byte* b, std::byte* out, const Broadcast::Row& row,
              Limits) {
  plain_row<uint8_t, uint8_t>(a, b, out, row,
                              [](uint8_t x, uint8_t y) { return logic<op>(x != 0, y != 0); });
}

// ---- quantized ----------------------------------------------------------------------------

// Sums of two quantized tensors: each in steps of the output, added, rounded once.
struct ByteSum {
  float scale[2];
  int32_t zero[2], out_zero;
  ByteBounds bounds;

  ByteSum() = default;
  ByteSum(const Quantization& a, const Quantization& b, const Quantization& y, const Clamp& clamp)
      : scale{a.scale * (1 / y.scale), b.scale * (1 / y.scale)},
        zero{a.zero, b.zero},
        out_zero(y.zero),
        bounds(byte_bounds(clamp, y)) {}

  uint8_t operator()(uint8_t x, uint8_t y) const {
    const float a = static_cast<float>(x - zero[0]) * scale[0];
    const float b = static_cast<float>(y - zero[1]) * scale[1];
    return byte_of(a + b, bounds, out_zero);
  }
};

// Whole rows are written apart: compilers then use vectors.
void byte_row(const ByteSum& sum, const std::byte* base_a, const std::byte* base_b,
              std::byte* base_out, const Broadcast::Row& row) {
  const uint8_t* a = at<uint8_t>(base_a, row.offset[0]);
  const uint8_t* b = at<uint8_t>(base_b, row.offset[1]);
  uint8_t* __restrict out = at<uint8_t>(base_out, row.out);
  const ByteSum s = sum;
  if (row.step[0] == 1 && row.step[1] == 1)
    for (size_t i = 0; i < row.count; ++i) out[i] = s(a[i], b[i]);
  else
    for (size_t i = 0; i < row.count; ++i) out[i] = s(a[i * row.step[0]], b[i * row.step[1]]);
}

// ---- the table -----------------------------------------------------------------------------

struct TypedRow {
  BinaryOp op;
  DType in;
  RowFn* run;
  const char* name;
};

constexpr TypedRow kRows[] = {
#define QRT_F32(op) {BinaryOp::op, DType::f32, f32_row<BinaryOp::op>, "plain_f32_" #op},
#define QRT_WHOLE(op)                                                                       \
  {BinaryOp::op, DType::i32, whole_row<BinaryOp::op, int32_t, uint32_t>, "plain_i32_" #op}, \
      {BinaryOp::op, DType::i64, whole_row<BinaryOp::op, int64_t, uint64_t>, "plain_i64_" #op},
#define QRT_COMPARE(op)                                                                 \
  {BinaryOp::op, DType::f32, compare_row<BinaryOp::op, float>, "plain_f32_" #op},       \
      {BinaryOp::op, DType::i32, compare_row<BinaryOp::op, int32_t>, "plain_i32_" #op}, \
      {BinaryOp::op, DType::i64, compare_row<BinaryOp::op, int64_t>, "plain_i64_" #op},
#define QRT_BOOL(op) {BinaryOp::op, DType::boolean, bool_row<BinaryOp::op>, "plain_bool_" #op},
    QRT_F32(add) QRT_F32(sub) QRT_F32(mul) QRT_F32(div) QRT_F32(max) QRT_F32(min) QRT_F32(pow)
        QRT_F32(fmod) QRT_WHOLE(add) QRT_WHOLE(sub) QRT_WHOLE(mul) QRT_WHOLE(div) QRT_WHOLE(max)
            QRT_WHOLE(min) QRT_WHOLE(pow) QRT_WHOLE(mod) QRT_WHOLE(fmod) QRT_COMPARE(equal)
                QRT_COMPARE(greater) QRT_COMPARE(greater_equal) QRT_COMPARE(less)
                    QRT_COMPARE(less_equal) QRT_BOOL(equal) QRT_BOOL(logical_and)
                        QRT_BOOL(logical_or) QRT_BOOL(logical_xor)
#undef QRT_F32
#undef QRT_WHOLE
#undef QRT_COMPARE
#undef QRT_BOOL
};

class Binary final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 2));
    const BinaryAttr& attr = *node.binary;
    QRT_REQUIRE(attr.op <= BinaryOp::logical_xor, Code::invalid_model, 260,
                "unknown element-wise operator");
    bytes_ = ctx.out[0].quantization.present();
    if (bytes_) return prepare_bytes(attr, ctx);
    const bool gives_bool = compares(attr.op) || is_logical(attr.op);
    DType type = gives_bool ? DType::boolean : ctx.out[0].dtype;
    for (size_t i = 0; i < 2; ++i) {
      QRT_TRY(take_constant(ctx, i));
      const DType own = constant_[i] != nullptr ? DType::f32 : ctx.in[i].dtype;
      if (i == 0 && gives_bool) type = own;
      QRT_TRY(check_type(own == type, own));
    }
    QRT_TRY(check_type(!gives_bool || ctx.out[0].dtype == DType::boolean, ctx.out[0].dtype));
    for (const TypedRow& row : kRows)
      if (row.op == attr.op && row.in == type) row_ = &row;
    QRT_TRY(check_type(row_ != nullptr, type));
    QRT_TRY(check_clamp(attr.clamp));
    limits_ = limits_of(attr.clamp);
    Shape out;
    QRT_TRY(loops_.prepare(ctx.in, &out));
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    const auto* a = constant_[0] != nullptr ? constant_[0] : ctx.in[0].data;
    const auto* b = constant_[1] != nullptr ? constant_[1] : ctx.in[1].data;
    auto part = [&](size_t begin, size_t end) {
      loops_.rows(begin, end, [&](const Broadcast::Row& row) {
        if (bytes_)
          byte_row(sum_, a, b, ctx.out[0].data, row);
        else
          row_->run(a, b, ctx.out[0].data, row, limits_);
      });
    };
    split_if_worth(ctx.threads, loops_.total(), 64, kElementsWorth, part);
    return {};
  }

  const char* kernel_name() const override { return bytes_ ? "plain_u8_add" : row_->name; }

 private:
  static Status check_type(bool good, DType type) {
    if (good) return {};
    return Status(Code::unsupported, 252, "this operator does not compute on these element types")
        .values(static_cast<int64_t>(type), 0)
        .next("cast the tensors to one type, f32, i32 or i64, and logic to bool");
  }

  Status prepare_bytes(const BinaryAttr& attr, const PrepareContext& ctx) {
    QRT_TRY(check_type(attr.op == BinaryOp::add, DType::u8));
    for (const ConstTensorView& t : ctx.in)
      QRT_TRY(check_type(is_quantized(t.dtype, t.quantization), t.dtype));
    const Quantization& y = ctx.out[0].quantization;
    QRT_TRY(check_type(is_quantized(ctx.out[0].dtype, y), ctx.out[0].dtype));
    QRT_TRY(check_clamp(attr.clamp));
    sum_ = ByteSum(ctx.in[0].quantization, ctx.in[1].quantization, y, attr.clamp);
    Shape out;
    QRT_TRY(loops_.prepare(ctx.in, &out));
    return check_output(ctx, out);
  }

  // An f16 constant is widened once; other tensors are used where they lie.
  Status take_constant(PrepareContext& ctx, size_t i) {
    const ConstTensorView& t = ctx.in[i];
    if (t.dtype != DType::f16 || t.data == nullptr) return {};
    const size_t n = count_of(t.shape);
    Span<float> copy = ctx.keep.array<float>(n);
    if (copy.size() != n) return out_of_memory();
    const Constant c{t.data, DType::f16, static_cast<uint32_t>(n)};
    for (uint32_t k = 0; k < n; ++k) copy[k] = read_constant(c, k);
    constant_[i] = reinterpret_cast<const std::byte*>(copy.data());
    return {};
  }

  Broadcast loops_;
  const TypedRow* row_ = nullptr;
  Limits limits_{};
  bool bytes_ = false;
  ByteSum sum_;
  const std::byte* constant_[2] = {};  // widened; null: the tensor itself
};

}  // namespace

Op* make_binary(Arena& keep) {
  return keep.make<Binary>();
}

}  // namespace qrt
