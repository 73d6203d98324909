// y = bias + scale * #{i : x >= threshold[c][i]}. Few thresholds are all compared, a
// vector of elements at a time; many are searched. Both give the same number, and a NaN reaches
// no threshold in either.
#include "runtime/ops/channel_rows.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

constexpr size_t kBlock = 64;  // elements whose counts stay in registers or L1

// Comparing k thresholds costs k / 4 to k / 16 instructions an element, a search about
// 5 log2 k, and its branches depend on each other.
constexpr uint32_t kMostCompared = 64;

class Steps final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_f32(ctx));
    attr_ = node.steps;
    const uint32_t all = attr_->thresholds.count, count = attr_->count;
    const uint32_t channels = all / count;
    rows_ = ChannelRows::of(ctx.in[0].shape, attr_->axis, channels);
    const Span<float> table = ctx.keep.array<float>(all);
    if (table.size() != all) return out_of_memory();
    compares_ = count <= kMostCompared;
    for (uint32_t i = 0; i < all; ++i) {
      // [threshold][channel] for vectors of channels, [channel][threshold] for searches.
      const size_t to = compares_ ? size_t{i % count} * channels + i / count : i;
      table[to] = read_constant(attr_->thresholds, i);
    }
    table_ = table.data();
    channels_ = channels;
    return check_output(ctx, ctx.in[0].shape);
  }

  Status run(const RunContext& ctx) const override {
    const float* x = ctx.in[0].as<float>();
    float* y = ctx.out[0].as<float>();
    const size_t count = count_of(ctx.in[0].shape);
    const auto one = [&](size_t begin, size_t end, size_t c) {
      if (compares_)
        compare<false>(x + begin, y + begin, end - begin, c);
      else
        search<false>(x + begin, y + begin, end - begin, c);
    };
    const auto along = [&](size_t begin, size_t end, size_t c) {
      if (compares_)
        compare<true>(x + begin, y + begin, end - begin, c);
      else
        search<true>(x + begin, y + begin, end - begin, c);
    };
    rows_.walk(ctx.threads, count, kBlock, one, along);
    return {};
  }

  const char* kernel_name() const override { return "plain_f32_steps"; }

 private:
  float value(float reached) const { return attr_->bias + attr_->scale * reached; }

  template <bool along>  // element i has the thresholds of channel c + i, else of c
  void compare(const float* x, float* y, size_t n, size_t c) const {
    float reached[kBlock] = {};
    for (uint32_t k = 0; k < attr_->count; ++k) {
      const float* threshold = table_ + size_t{k} * channels_ + c;
      for (size_t i = 0; i < n; ++i) reached[i] += x[i] >= threshold[along ? i : 0] ? 1.0f : 0.0f;
    }
    for (size_t i = 0; i < n; ++i) y[i] = value(reached[i]);
  }

  template <bool along>
  void search(const float* x, float* y, size_t n, size_t c) const {
    for (size_t i = 0; i < n; ++i) {
      const float* thresholds = table_ + (c + (along ? i : 0)) * attr_->count;
      uint32_t below = 0, above = attr_->count;  // thresholds before `below` are reached
      while (below < above) {
        const uint32_t middle = below + (above - below) / 2;
        if (x[i] >= thresholds[middle])
          below = middle + 1;
        else
          above = middle;
      }
      y[i] = value(static_cast<float>(below));
    }
  }

  const StepsAttr* attr_ = nullptr;
  const float* table_ = nullptr;
  size_t channels_ = 1;
  ChannelRows rows_;
  bool compares_ = true;
};

}  // namespace

Op* make_steps(Arena& keep) {
  return keep.make<Steps>();
}

}  // namespace qrt
