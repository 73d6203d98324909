// Reorders the axes of a tensor of any element size.
//
// At prepare, axes of extent 1 vanish and axes that stay neighbours merge. NCHW to
// NHWC and back then are both batches of one matrix transposition, [B][R][C] to
// [B][C][R], done in square tiles that fit the level-1 cache; everything else walks
// the output in order and gathers.
#include <cstring>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

constexpr size_t kTile = 32;  // 32 x 32 floats, in and out: 8 KB of a 32 KB cache

// Transposes rows [begin, end) of the output [columns][rows], in tiles.
template <class T>
void transpose_matrix(const T* in, T* out, size_t rows, size_t columns, size_t begin, size_t end) {
  for (size_t c0 = begin; c0 < end; c0 += kTile) {
    const size_t c1 = c0 + kTile < end ? c0 + kTile : end;
    for (size_t r0 = 0; r0 < rows; r0 += kTile) {
      const size_t r1 = r0 + kTile < rows ? r0 + kTile : rows;
      for (size_t c = c0; c < c1; ++c)
        for (size_t r = r0; r < r1; ++r) out[c * rows + r] = in[r * columns + c];
    }
  }
}

struct Axis {
  size_t extent, step;  // of the output axis, in input elements
};

class Transpose final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_same_dtype(ctx));
    const Shape& in = ctx.in[0].shape;
    const int32_t* perm = node.transpose->perm;
    Shape out;
    out.rank = in.rank;
    uint32_t seen = 0;
    for (int i = 0; i < in.rank; ++i) {
      if (perm[i] < 0 || perm[i] >= in.rank || (seen >> perm[i] & 1u) != 0)
        return Status(Code::invalid_model, 260, "a transpose's axes are not a permutation")
            .values(perm[i], in.rank - 1)
            .next("convert the model again");
      seen |= 1u << perm[i];
      out[i] = in[perm[i]];
    }
    element_ = size_of(ctx.out[0].dtype);
    total_ = count_of(out);
    merge(in, perm);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    const void* in = ctx.in[0].data;
    void* out = ctx.out[0].data;
    switch (element_) {
      case 1:
        run_typed<uint8_t>(in, out, ctx.threads);
        break;
      case 2:
        run_typed<uint16_t>(in, out, ctx.threads);
        break;
      case 4:
        run_typed<uint32_t>(in, out, ctx.threads);
        break;
      default:
        run_typed<uint64_t>(in, out, ctx.threads);
        break;
    }
    return {};
  }

  const char* kernel_name() const override {
    if (axes_ <= 1) return "plain_copy";
    return is_matrix() ? "plain_transpose_matrix" : "plain_transpose";
  }

 private:
  // Output axes with their steps through the input, outermost first.
  void merge(const Shape& in, const int32_t* perm) {
    for (int i = 0; i < in.rank; ++i) {
      const Axis axis{static_cast<size_t>(in[perm[i]]), count_of(in, perm[i] + 1, in.rank)};
      if (axis.extent == 1) continue;
      if (axes_ > 0 && axis_[axes_ - 1].step == axis.extent * axis.step) {
        axis_[axes_ - 1].extent *= axis.extent;
        axis_[axes_ - 1].step = axis.step;
      } else {
        axis_[axes_++] = axis;
      }
    }
  }

  // [C][R] or [B][C][R] in the output, the last two swapped.
  bool is_matrix() const {
    if (axes_ != 2 && axes_ != 3) return false;
    const Axis &c = axis_[axes_ - 2], &r = axis_[axes_ - 1];
    if (c.step != 1 || r.step != c.extent) return false;
    return axes_ == 2 || axis_[0].step == c.extent * r.extent;
  }

  template <class T>
  void run_typed(const void* in_bytes, void* out_bytes, const Threads& threads) const {
    const T* in = static_cast<const T*>(in_bytes);
    T* out = static_cast<T*>(out_bytes);
    if (axes_ <= 1) {
      if (total_ != 0) std::memcpy(out, in, total_ * sizeof(T));
    } else if (is_matrix()) {
      const size_t columns = axis_[axes_ - 2].extent, rows = axis_[axes_ - 1].extent;
      auto part = [&](size_t begin, size_t end) {  // whole output rows, over the batch
        while (begin < end) {
          const size_t matrix = begin / columns, first = begin % columns;
          const size_t left = columns - first, n = left < end - begin ? left : end - begin;
          const size_t offset = matrix * columns * rows;
          transpose_matrix(in + offset, out + offset, rows, columns, first, first + n);
          begin += n;
        }
      };
      const size_t lines = total_ / rows;
      split_if_worth(threads, lines, kTile, kElementsWorth / rows + 2, part);
    } else {
      auto part = [&](size_t begin, size_t end) { gather(in, out, begin, end); };
      split_if_worth(threads, total_, 64, kElementsWorth, part);
    }
  }

  // Output elements [begin, end) in flat order, a run of the last axis at a time.
  template <class T>
  void gather(const T* in, T* out, size_t begin, size_t end) const {
    const Axis& inner = axis_[axes_ - 1];
    while (begin < end) {
      size_t rest = begin / inner.extent;
      const size_t skip = begin % inner.extent;
      const T* from = in + skip * inner.step;
      for (size_t i = axes_ - 1; i-- > 0; rest /= axis_[i].extent)
        from += rest % axis_[i].extent * axis_[i].step;
      const size_t left = inner.extent - skip, n = left < end - begin ? left : end - begin;
      for (size_t i = 0; i < n; ++i) out[begin + i] = from[i * inner.step];
      begin += n;
    }
  }

  Axis axis_[kMaxRank] = {};
  size_t axes_ = 0, element_ = 4, total_ = 0;
};

}  // namespace

Op* make_transpose(Arena& keep) {
  return keep.make<Transpose>();
}

}  // namespace qrt
