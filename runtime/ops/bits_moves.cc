// What only moves packed bits: other shapes, axes and borders. Rows of the innermost dimension
// start on words, so they move as words where that dimension stays, and bit by bit where not.
#include <cstring>

#include "kernels/bits/border.h"
#include "runtime/ops/bit_rows.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

using kernels::bits::copy_bits;

Status check_bits(const PrepareContext& ctx) {
  for (const ConstTensorView& t : ctx.in)
    if (t.dtype != DType::bits || ctx.out[0].dtype != DType::bits)
      return Status(Code::invalid_model, 252, "input and output of this operator differ in type")
          .values(static_cast<int64_t>(t.dtype), static_cast<int64_t>(ctx.out[0].dtype))
          .next("convert the model again");
  return {};
}

size_t rows_of(const Shape& s) {
  return count_of(s) / row_of(s);
}

// Bits behind a row are zeros.
void clear(const TensorView& t) {
  std::memset(t.data, 0, *bytes_of(DType::bits, t.shape).get());
}

class BitsReshape final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_bits(ctx));
    const size_t in = count_of(ctx.in[0].shape), out = count_of(ctx.out[0].shape);
    if (in != out)
      return Status(Code::invalid_model, 253, "a reshape changes the number of elements")
          .values(static_cast<int64_t>(out), static_cast<int64_t>(in))
          .next("convert the model again; for a batch, check that the model's batch is free");
    return {};
  }

  Status run(const RunContext& ctx) const override {
    const TensorView& out = ctx.out[0];
    if (ctx.in[0].data == out.data || count_of(out.shape) == 0) return {};
    clear(out);
    const size_t from = row_of(ctx.in[0].shape), to = row_of(out.shape), all = count_of(out.shape);
    const size_t from_words = words_of_row(ctx.in[0].shape), to_words = words_of_row(out.shape);
    for (size_t i = 0, n; i < all; i += n) {
      const size_t left_in = from - i % from, left_out = to - i % to;
      n = left_in < left_out ? left_in : left_out;
      copy_bits(ctx.in[0].as<uint64_t>() + i / from * from_words, i % from, n,
                out.as<uint64_t>() + i / to * to_words, i % to);
    }
    return {};
  }

  const char* kernel_name() const override { return "plain_bits_reshape"; }
};

class BitsTranspose final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_bits(ctx));
    const Shape& in = ctx.in[0].shape;
    Shape out;
    out.rank = rank_ = in.rank;
    uint32_t seen = 0;
    for (int i = 0; i < in.rank; ++i) {
      const int32_t from = node.transpose->perm[i];
      QRT_REQUIRE(from >= 0 && from < in.rank && !(seen >> from & 1), Code::invalid_model, 260,
                  "a transpose's permutation names an axis that is not there, or twice");
      seen |= 1u << from;
      perm_[i] = from;
      out[i] = in[from];
    }
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    const Shape& in = ctx.in[0].shape;
    const TensorView& out = ctx.out[0];
    if (count_of(in) == 0) return {};
    const int last = rank_ - 1;
    const size_t words = words_of_row(in), to_words = words_of_row(out.shape);
    // Rows of the input that one step along each of its axes is.
    size_t step[kMaxRank] = {};
    for (int i = last - 1, rows = 1; i >= 0; rows *= in[i--]) step[i] = static_cast<size_t>(rows);
    const bool whole = rank_ == 0 || perm_[last] == last;
    if (!whole) clear(out);
    const auto* from = ctx.in[0].as<uint64_t>();
    auto* to = out.as<uint64_t>();
    int32_t at[kMaxRank] = {};
    for (size_t r = 0, rows = rows_of(out.shape); r < rows; ++r, to += to_words) {
      size_t row = 0, bit = 0;
      for (int i = 0; i < last; ++i)
        if (perm_[i] == last)
          bit = static_cast<size_t>(at[i]);
        else
          row += static_cast<size_t>(at[i]) * step[perm_[i]];
      if (whole)
        std::memcpy(to, from + row * words, words * sizeof(uint64_t));
      else
        gather(from + row * words + bit / kWordBits, bit % kWordBits, step[perm_[last]] * words,
               row_of(out.shape), to);
      for (int i = last - 1; i >= 0 && ++at[i] == out.shape[i]; --i) at[i] = 0;
    }
    return {};
  }

  const char* kernel_name() const override { return "plain_bits_transpose"; }

 private:
  // One bit of every `step` words.
  static void gather(const uint64_t* from, size_t bit, size_t step, size_t n, uint64_t* to) {
    for (size_t i = 0; i < n; ++i, from += step)
      to[i / kWordBits] |= (*from >> bit & 1u) << i % kWordBits;
  }

  int rank_ = 0;
  int32_t perm_[kMaxRank] = {};
};

class BitsConcat final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1, SIZE_MAX));
    QRT_TRY(check_bits(ctx));
    Shape joined = ctx.in[0].shape;
    axis_ = node.concat->axis, inputs_ = ctx.in.size();
    QRT_REQUIRE(axis_ >= 0 && axis_ < joined.rank, Code::invalid_model, 260,
                "a concat's axis is out of range");
    for (size_t i = 1; i < ctx.in.size(); ++i) {
      const Shape& next = ctx.in[i].shape;
      QRT_REQUIRE(next.rank == joined.rank, Code::invalid_model, 253,
                  "the inputs of a concat have different ranks");
      joined[axis_] += next[axis_];
    }
    return check_output(ctx, joined);
  }

  Status run(const RunContext& ctx) const override {
    const TensorView& out = ctx.out[0];
    const bool inner = axis_ == out.shape.rank - 1;
    const size_t outer = count_of(out.shape, 0, axis_), out_words = slab(out.shape);
    if (inner) clear(out);
    for (size_t i = 0, bit = 0, word = 0; i < inputs_; ++i) {
      const Shape& in = ctx.in[i].shape;
      const size_t words = slab(in);
      for (size_t o = 0; o < outer; ++o) {
        const uint64_t* from = ctx.in[i].as<uint64_t>() + o * words;
        uint64_t* to = out.as<uint64_t>() + o * out_words;
        if (inner)
          copy_bits(from, 0, row_of(in), to, bit);
        else
          std::memcpy(to + word, from, words * sizeof(uint64_t));
      }
      bit += row_of(in), word += words;
    }
    return {};
  }

  const char* kernel_name() const override { return "plain_bits_concat"; }

 private:
  // Words that stand for one place before the axis.
  size_t slab(const Shape& s) const {
    return axis_ == s.rank - 1 ? words_of_row(s) : count_of(s, axis_, s.rank - 1) * words_of_row(s);
  }
  int axis_ = 0;
  size_t inputs_ = 0;
};

// Constant borders: a value below 0 is bit 0, others bit 1, as quantize has it.
class BitsPad final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_bits(ctx));
    const PadAttr& a = *node.pad;
    if (a.mode != PadMode::constant)
      return Status(Code::unsupported, 266, "packed bits are padded with constants only")
          .next("convert the model with bytes there");
    Shape padded = ctx.in[0].shape;
    for (int i = 0; i < padded.rank; ++i) {
      QRT_REQUIRE(a.before[i] >= 0 && a.after[i] >= 0, Code::invalid_model, 262,
                  "a border is negative");
      before_[i] = a.before[i];
      padded[i] += a.before[i] + a.after[i];
    }
    one_ = a.value >= 0;
    return check_output(ctx, padded);
  }

  Status run(const RunContext& ctx) const override {
    const Shape &in = ctx.in[0].shape, &out = ctx.out[0].shape;
    const int last = out.rank - 1;
    const size_t words = words_of_row(in), to_words = words_of_row(out), n = row_of(out);
    const size_t before = out.rank == 0 ? 0 : static_cast<size_t>(before_[last]);
    const uint64_t fill = one_ ? ~uint64_t{0} : 0;
    const uint64_t end = n % kWordBits == 0 ? fill : fill & ((uint64_t{1} << n % kWordBits) - 1);
    const auto* from = ctx.in[0].as<uint64_t>();
    auto* to = ctx.out[0].as<uint64_t>();
    int32_t at[kMaxRank] = {};
    for (size_t r = 0, rows = rows_of(out); r < rows; ++r, to += to_words) {
      bool inside = true;
      size_t row = 0;
      for (int i = 0; i < last; ++i) {
        const int32_t place = at[i] - before_[i];
        inside = inside && place >= 0 && place < in[i];
        row = row * static_cast<size_t>(in[i]) + static_cast<size_t>(inside ? place : 0);
      }
      for (size_t i = 0; i + 1 < to_words; ++i) to[i] = fill;
      to[to_words - 1] = end;
      if (inside) copy_bits(from + row * words, 0, row_of(in), to, before);
      for (int i = last - 1; i >= 0 && ++at[i] == out[i]; --i) at[i] = 0;
    }
    return {};
  }

  const char* kernel_name() const override { return "plain_bits_pad"; }

 private:
  int32_t before_[kMaxRank] = {};
  bool one_ = false;
};

}  // namespace

Op* make_bits_reshape(Arena& keep) {
  return keep.make<BitsReshape>();
}
Op* make_bits_transpose(Arena& keep) {
  return keep.make<BitsTranspose>();
}
Op* make_bits_concat(Arena& keep) {
  return keep.make<BitsConcat>();
}
Op* make_bits_pad(Arena& keep) {
  return keep.make<BitsPad>();
}

}  // namespace qrt
