// Puts a border around a tensor of any type: a constant, the mirrored inside
// (without repeating the edge itself) or the repeated edge.
//
// The output is written line by line along the last axis. Along the outer axes an
// output index maps to one input index, or to the border; a line of border is all
// constant, any other line is border, copied middle, border.
#include <cstring>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/quantized.h"

namespace qrt {
namespace {

constexpr size_t kOutside = static_cast<size_t>(-1);

// Input index for output index `i` of an axis, or kOutside.
size_t source(PadMode mode, size_t i, size_t before, size_t extent) {
  const int64_t at = static_cast<int64_t>(i) - static_cast<int64_t>(before);
  const int64_t last = static_cast<int64_t>(extent) - 1;
  if (at >= 0 && at <= last) return static_cast<size_t>(at);
  switch (mode) {
    case PadMode::constant:
      return kOutside;
    case PadMode::reflect:
      return static_cast<size_t>(at < 0 ? -at : 2 * last - at);
    case PadMode::edge:
      return static_cast<size_t>(at < 0 ? 0 : last);
  }
  return kOutside;
}

// The constant as the bytes of one element.
template <class T>
void store(float value, unsigned char (&bytes)[8]) {
  const T v = static_cast<T>(value);
  std::memcpy(bytes, &v, sizeof v);
}

class Pad final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_same_dtype(ctx));
    const PadAttr& a = *node.pad;
    mode_ = a.mode;
    in_ = ctx.in[0].shape;
    Shape out = in_;
    for (int i = 0; i < in_.rank; ++i) {
      QRT_TRY(check_axis(a, i));
      before_[i] = static_cast<size_t>(a.before[i]);
      const int64_t extent = int64_t{in_[i]} + a.before[i] + a.after[i];
      if (extent > INT32_MAX)
        return Status(Code::invalid_model, 262, "a padded axis is too long")
            .values(extent, INT32_MAX);
      out[i] = static_cast<int32_t>(extent);
    }
    element_ = size_of(ctx.out[0].dtype);
    const Quantization& q = ctx.out[0].quantization;
    if (mode_ == PadMode::constant && is_quantized(ctx.out[0].dtype, q))
      value_[0] = byte_of_value(a.value, q);
    else if (mode_ == PadMode::constant)
      QRT_TRY(store_value(a.value, ctx.out[0].dtype));
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    switch (element_) {
      case 1:
        run_typed<uint8_t>(ctx);
        break;
      case 2:
        run_typed<uint16_t>(ctx);
        break;
      case 4:
        run_typed<uint32_t>(ctx);
        break;
      default:
        run_typed<uint64_t>(ctx);
        break;
    }
    return {};
  }

  const char* kernel_name() const override { return "plain_pad"; }

 private:
  Status check_axis(const PadAttr& a, int i) const {
    const int32_t most = a.before[i] > a.after[i] ? a.before[i] : a.after[i];
    const int32_t least = a.before[i] < a.after[i] ? a.before[i] : a.after[i];
    if (least < 0)
      return Status(Code::unsupported, 262, "a negative padding (cropping) is not computed")
          .values(least, 0)
          .next("spell the cropping as a slice in the source model");
    if (mode_ == PadMode::reflect && most > in_[i] - 1 && most > 0)
      return Status(Code::invalid_model, 262, "a reflecting border is wider than what it reflects")
          .values(most, in_[i] - 1)
          .next("pad by less than the dimension");
    if (mode_ == PadMode::edge && most > 0 && in_[i] < 1)
      return Status(Code::invalid_model, 262, "an empty axis has no edge to repeat").values(0, 1);
    return {};
  }

  Status store_value(float value, DType type) {
    // What an integer type cannot hold exactly would be rounded without a word.
    const bool fits = value == 0 || type == DType::f32 ||
                      (type != DType::f16 &&
                       value >= (type == DType::u8 || type == DType::boolean ? 0.0f : -128.0f) &&
                       value <= (type == DType::boolean ? 1.0f : 127.0f) &&
                       value == static_cast<float>(static_cast<int32_t>(value)));
    if (!fits)
      return Status(Code::unsupported, 262, "a border value does not fit the tensor's type")
          .values(static_cast<int64_t>(type), 0)
          .next("pad with a whole number from 0 to 127 (bool: 1), or with f32 tensors");
    switch (type) {
      case DType::f32:
        store<float>(value, value_);
        break;
      case DType::i32:
        store<int32_t>(value, value_);
        break;
      case DType::i64:
        store<int64_t>(value, value_);
        break;
      case DType::i8:
        store<int8_t>(value, value_);
        break;
      case DType::u8:
      case DType::boolean:
        store<uint8_t>(value, value_);
        break;
      case DType::f16:
      case DType::bits:
        break;  // zero
    }
    return {};
  }

  // Offset in elements of the input line that output line `line` copies, or kOutside.
  size_t line_source(size_t line, const Shape& out) const {
    size_t offset = 0, step = in_.rank == 0 ? 1 : static_cast<size_t>(in_[in_.rank - 1]);
    for (int i = in_.rank - 2; i >= 0; --i) {
      const size_t extent = static_cast<size_t>(out[i]), have = static_cast<size_t>(in_[i]);
      const size_t from = source(mode_, line % extent, before_[i], have);
      if (from == kOutside) return kOutside;
      offset += from * step;
      step *= have;
      line /= extent;
    }
    return offset;
  }

  template <class T>
  void run_typed(const RunContext& ctx) const {
    const T* in = ctx.in[0].as<T>();
    T* out = ctx.out[0].as<T>();
    const Shape& shape = ctx.out[0].shape;
    T value;
    std::memcpy(&value, value_, sizeof value);
    const int last = shape.rank - 1;
    const size_t width = last < 0 ? 1 : static_cast<size_t>(shape[last]);
    const size_t middle = last < 0 ? 1 : static_cast<size_t>(in_[last]);
    const size_t before = last < 0 ? 0 : before_[last];
    auto part = [&](size_t begin, size_t end) {
      for (size_t line = begin; line < end; ++line) {
        T* to = out + line * width;
        const size_t from = line_source(line, shape);
        if (from == kOutside) {
          for (size_t i = 0; i < width; ++i) to[i] = value;
          continue;
        }
        auto border = [&](size_t i) {
          const size_t at = source(mode_, i, before, middle);
          to[i] = at == kOutside ? value : in[from + at];
        };
        for (size_t i = 0; i < before; ++i) border(i);
        if (middle != 0) std::memcpy(to + before, in + from, middle * sizeof(T));
        for (size_t i = before + middle; i < width; ++i) border(i);
      }
    };
    const size_t lines = width == 0 ? 0 : count_of(shape) / width;
    split_if_worth(ctx.threads, lines, 1, kElementsWorth / (width + 1) + 2, part);
  }

  Shape in_;
  size_t before_[kMaxRank] = {};
  size_t element_ = 4;
  PadMode mode_ = PadMode::constant;
  unsigned char value_[8] = {};
};

}  // namespace

Op* make_pad(Arena& keep) {
  return keep.make<Pad>();
}

}  // namespace qrt
