// What ranks elements along one axis: the index of the extreme (arg_reduce), and the k
// most extreme in order or their indices (top_k). Of equal elements the first comes
// first, unless the last is asked for. A NaN counts as the extreme, either way.
//
// top_k keeps a heap of the best k found so far whose root is the worst of them:
// n log k comparisons, and all its memory is k indices of scratch per thread.
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

// Lines along an axis: outer x inner of them, `extent` elements `inner` apart.
struct Lines {
  size_t outer = 1, extent = 1, inner = 1;

  void set(const Shape& s, int axis) {
    outer = count_of(s, 0, axis);
    extent = static_cast<size_t>(s[axis]);
    inner = count_of(s, axis + 1, s.rank);
  }
  size_t count() const { return outer * inner; }
  // First element of a line in a tensor whose axis has this extent.
  size_t first(size_t line, size_t own_extent) const {
    return line / inner * own_extent * inner + line % inner;
  }
};

template <class T>
bool beats(T a, T b, bool smallest) {
  if constexpr (std::is_same_v<T, float>) {
    if (a != a || b != b) return a != a && b == b;
  }
  return smallest ? a < b : a > b;
}

Status check_ranked(const PrepareContext& ctx, int axis) {
  QRT_TRY(check_arity(ctx, 1));
  const DType t = ctx.in[0].dtype;
  if (t != DType::f32 && t != DType::i32 && t != DType::i64)
    return Status(Code::unsupported, 252, "this operator compares f32, i32 and i64 tensors only")
        .values(static_cast<int64_t>(t), 0)
        .next("cast the tensor to one of these types");
  const int rank = ctx.in[0].shape.rank;
  if (axis < 0 || axis >= rank)
    return Status(Code::invalid_model, 260, "the axis of a ranking is out of range")
        .values(axis, rank - 1)
        .next("convert the model again");
  return {};
}

Status check_indices(const PrepareContext& ctx) {
  if (ctx.out[0].dtype == DType::i64) return {};
  return Status(Code::invalid_model, 252, "indices are i64")
      .values(static_cast<int64_t>(ctx.out[0].dtype), static_cast<int64_t>(DType::i64))
      .next("convert the model again");
}

class ArgReduce final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    const ArgReduceAttr& attr = *node.arg_reduce;
    QRT_TRY(check_ranked(ctx, attr.axis));
    QRT_TRY(check_indices(ctx));
    smallest_ = attr.smallest;
    last_ = attr.last;
    type_ = ctx.in[0].dtype;
    const Shape& in = ctx.in[0].shape;
    lines_.set(in, attr.axis);
    Shape out;
    for (int i = 0; i < in.rank; ++i) {
      if (i != attr.axis) out[out.rank++] = in[i];
      if (i == attr.axis && attr.keep_dims) out[out.rank++] = 1;
    }
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    int64_t* out = ctx.out[0].as<int64_t>();
    auto part = [&](size_t begin, size_t end) {
      for (size_t line = begin; line < end; ++line) {
        const size_t first = lines_.first(line, lines_.extent);
        switch (type_) {
          case DType::i32:
            out[line] = best(ctx.in[0].as<int32_t>() + first);
            break;
          case DType::i64:
            out[line] = best(ctx.in[0].as<int64_t>() + first);
            break;
          default:
            out[line] = best(ctx.in[0].as<float>() + first);
            break;
        }
      }
    };
    split_if_worth(ctx.threads, lines_.count(), 8, kElementsWorth / (lines_.extent + 1) + 2, part);
    return {};
  }

  const char* kernel_name() const override { return "plain_arg_reduce"; }

 private:
  template <class T>
  int64_t best(const T* x) const {
    size_t found = 0;
    T top = x[0];
    for (size_t i = 1; i < lines_.extent; ++i) {
      const T here = x[i * lines_.inner];
      if (last_ ? beats(top, here, smallest_) : !beats(here, top, smallest_)) continue;
      found = i;
      top = here;
    }
    return static_cast<int64_t>(found);
  }

  Lines lines_;
  bool smallest_ = false, last_ = false;
  DType type_ = DType::f32;
};

class TopK final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    const TopKAttr& attr = *node.top_k;
    QRT_TRY(check_ranked(ctx, attr.axis));
    QRT_TRY(attr.indices ? check_indices(ctx) : check_same_dtype(ctx));
    smallest_ = attr.smallest;
    indices_ = attr.indices;
    type_ = ctx.in[0].dtype;
    Shape out = ctx.in[0].shape;
    if (attr.k < 1 || attr.k > out[attr.axis])
      return Status(Code::invalid_model, 260, "k is out of range")
          .values(attr.k, out[attr.axis])
          .next("convert the model again");
    lines_.set(out, attr.axis);
    k_ = static_cast<size_t>(attr.k);
    out[attr.axis] = attr.k;
    // 32-bit indices: an axis has at most 2^24 elements, times a batch that fits a tensor.
    const auto bytes = (CheckedSize(k_) * sizeof(uint32_t) * ctx.threads.count()).get();
    if (!bytes) return out_of_memory();
    heap_ = ctx.reserve_scratch(*bytes);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    auto* scratch = reinterpret_cast<uint32_t*>(ctx.scratch[heap_]);
    auto part = [&](size_t begin, size_t end, uint32_t thread) {
      uint32_t* heap = scratch + thread * k_;
      for (size_t line = begin; line < end; ++line) {
        switch (type_) {
          case DType::i32:
            run_line<int32_t>(ctx, line, heap);
            break;
          case DType::i64:
            run_line<int64_t>(ctx, line, heap);
            break;
          default:
            run_line<float>(ctx, line, heap);
            break;
        }
      }
    };
    ctx.threads.split(lines_.count(), kElementsWorth / (lines_.extent + 1) + 1, part);
    return {};
  }

  const char* kernel_name() const override { return "plain_top_k"; }

 private:
  // Whether element i comes before element j in the result: a strict total order.
  template <class T>
  bool before(const T* x, uint32_t i, uint32_t j) const {
    const T a = x[i * lines_.inner], b = x[j * lines_.inner];
    if (beats(a, b, smallest_)) return true;
    return !beats(b, a, smallest_) && i < j;
  }

  // Moves the entry at `at` down until both below it come before it: the root is the last.
  template <class T>
  void sink(const T* x, uint32_t* heap, size_t at, size_t count) const {
    const uint32_t moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
      if (child + 1 < count && before(x, heap[child], heap[child + 1])) ++child;
      if (!before(x, moved, heap[child])) break;
      heap[at] = heap[child];
    }
    heap[at] = moved;
  }

  template <class T>
  void run_line(const RunContext& ctx, size_t line, uint32_t* heap) const {
    const T* x = ctx.in[0].as<T>() + lines_.first(line, lines_.extent);
    for (size_t i = 0; i < k_; ++i) heap[i] = static_cast<uint32_t>(i);
    for (size_t i = k_ / 2; i-- > 0;) sink(x, heap, i, k_);
    for (size_t i = k_; i < lines_.extent; ++i) {
      if (!before(x, static_cast<uint32_t>(i), heap[0])) continue;
      heap[0] = static_cast<uint32_t>(i);
      sink(x, heap, 0, k_);
    }
    // The root is the last of those left: fill the output from behind.
    const size_t to = lines_.first(line, k_);
    for (size_t left = k_; left-- > 0;) {
      const uint32_t found = heap[0];
      heap[0] = heap[left];
      sink(x, heap, 0, left);
      const size_t at = to + left * lines_.inner;
      if (indices_)
        ctx.out[0].as<int64_t>()[at] = found;
      else
        ctx.out[0].as<T>()[at] = x[found * lines_.inner];
    }
  }

  Lines lines_;
  size_t k_ = 1;
  bool smallest_ = false, indices_ = false;
  DType type_ = DType::f32;
  ScratchSlot heap_ = 0;
};

}  // namespace

Op* make_arg_reduce(Arena& keep) {
  return keep.make<ArgReduce>();
}
Op* make_top_k(Arena& keep) {
  return keep.make<TopK>();
}

}  // namespace qrt
