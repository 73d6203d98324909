// y = (q - zero) * scale, q = clamp(round(x / scale + zero), low, high): activations on
// a grid, in f32. Every operation is rounded on its own, as the converter's interpreter does.
//
// The clamp goes first here: low and high are whole, and a rounding keeps order and whole numbers,
// so clamp(round(v)) = round(clamp(v)). What is left to round is below 2^18, where adding and
// taking away 1.5 * 2^23 rounds to the nearest whole number, ties to even, in vector instructions
// of every machine; the other roundings are corrections of it. With zero_after the limits move by
// the zero, which is whole.
#include "runtime/ops/channel_rows.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23

inline float nearest(float v) {
  return (v + kMagic) - kMagic;
}
inline float rounded_down(float v) {
  const float r = nearest(v);
  return r > v ? r - 1 : r;
}
inline float rounded_up(float v) {
  const float r = nearest(v);
  return r < v ? r + 1 : r;
}

// `up` of |v|, with the sign of v; a result of 0 is +0.
template <float up(float)>
inline float of_magnitude(float v, float shift) {
  const float r = up((v < 0 ? -v : v) + shift);
  return v < 0 ? 0 - r : r;
}

template <Rounding rounding>
inline float round_to(float v) {
  switch (rounding) {
    case Rounding::half_even:
      return nearest(v);
    case Rounding::half_away:
      return of_magnitude<rounded_down>(v, 0.5f);
    case Rounding::half_to_zero:
      return of_magnitude<rounded_up>(v, -0.5f);
    case Rounding::floor:
      return rounded_down(v);
    case Rounding::ceil:
      return rounded_up(v);
    case Rounding::to_zero:
      return of_magnitude<rounded_down>(v, 0);
    case Rounding::away:
      return of_magnitude<rounded_up>(v, 0);
  }
  return v;
}

struct Run {
  const float* x;
  float* y;
  size_t count;
  const float *scale, *zero;  // one each, or one per element
  float low, high;
};

template <Rounding rounding, bool after, bool along>
void quantize(const Run& r) {
  for (size_t i = 0; i < r.count; ++i) {
    const float scale = r.scale[along ? i : 0], zero = r.zero[along ? i : 0];
    const float added = after ? 0 : zero, taken = after ? 0 : zero;
    const float low = after ? r.low - zero : r.low, high = after ? r.high - zero : r.high;
    const float v = after ? r.x[i] / scale : r.x[i] / scale + added;
    const float inside = v < low ? low : v > high ? high : v;
    r.y[i] = (round_to<rounding>(inside) - taken) * scale;
  }
}

using QuantizeFn = void(const Run&);

struct Ways {
  QuantizeFn* one;
  QuantizeFn* along;
};

template <Rounding rounding>
Ways ways_of(bool after) {
  if (after) return {quantize<rounding, true, false>, quantize<rounding, true, true>};
  return {quantize<rounding, false, false>, quantize<rounding, false, true>};
}

Ways ways_of(Rounding rounding, bool after) {
  switch (rounding) {
    case Rounding::half_even:
      return ways_of<Rounding::half_even>(after);
    case Rounding::half_away:
      return ways_of<Rounding::half_away>(after);
    case Rounding::half_to_zero:
      return ways_of<Rounding::half_to_zero>(after);
    case Rounding::floor:
      return ways_of<Rounding::floor>(after);
    case Rounding::ceil:
      return ways_of<Rounding::ceil>(after);
    case Rounding::to_zero:
      return ways_of<Rounding::to_zero>(after);
    case Rounding::away:
      return ways_of<Rounding::away>(after);
  }
  return {};
}

class FakeQuantize final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_f32(ctx));
    attr_ = node.fake_quantize;
    const uint32_t scales = attr_->scale.count, zeros = attr_->zero.count;
    const uint32_t rows = scales > zeros ? scales : zeros;
    rows_ = ChannelRows::of(ctx.in[0].shape, attr_->axis, rows);
    QRT_TRY(spread(attr_->scale, rows, ctx.keep, &scale_));
    QRT_TRY(spread(attr_->zero, rows, ctx.keep, &zero_));
    ways_ = ways_of(attr_->rounding, attr_->zero_after);
    return check_output(ctx, ctx.in[0].shape);
  }

  Status run(const RunContext& ctx) const override {
    const float* x = ctx.in[0].as<float>();
    float* y = ctx.out[0].as<float>();
    const auto part = [&](QuantizeFn* way, size_t begin, size_t end, size_t c) {
      way({x + begin, y + begin, end - begin, scale_ + c, zero_ + c, attr_->low, attr_->high});
    };
    const auto one = [&](size_t b, size_t e, size_t c) { part(ways_.one, b, e, c); };
    const auto along = [&](size_t b, size_t e, size_t c) { part(ways_.along, b, e, c); };
    const size_t count = count_of(ctx.in[0].shape);
    rows_.walk(ctx.threads, count, count, one, along);
    return {};
  }

  const char* kernel_name() const override { return "plain_f32_fake_quantize"; }

 private:
  // A constant of one element repeated for every row.
  static Status spread(const Constant& c, uint32_t rows, Arena& keep, const float** out) {
    const Span<float> values = keep.array<float>(rows);
    if (values.size() != rows) return out_of_memory();
    for (uint32_t i = 0; i < rows; ++i) values[i] = read_constant(c, c.count == 1 ? 0 : i);
    *out = values.data();
    return {};
  }

  const FakeQuantizeAttr* attr_ = nullptr;
  const float *scale_ = nullptr, *zero_ = nullptr;
  ChannelRows rows_;
  Ways ways_{};
};

}  // namespace

Op* make_fake_quantize(Arena& keep) {
  return keep.make<FakeQuantize>();
}

}  // namespace qrt
