// Reorders the axes of a tensor of any element size.
//
// At prepare, axes of extent 1 vanish and axes that stay neighbours merge (strided_copy.h).
// NCHW to NHWC and back then are both batches of one matrix transposition, [B][R][C] to
// [B][C][R], done in square tiles that fit the level-1 cache; everything else walks
// the output in order and gathers.
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"
#include "runtime/ops/strided_copy.h"

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
    for (int i = 0; i < in.rank; ++i) {
      const size_t step = count_of(in, perm[i] + 1, in.rank);
      copy_.add_axis(static_cast<size_t>(out[i]), static_cast<int64_t>(step));
    }
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    const void* in = ctx.in[0].data;
    void* out = ctx.out[0].data;
    if (!is_matrix()) {
      copy_.run(in, out, element_, ctx.threads);
      return {};
    }
    switch (element_) {
      case 1:
        run_matrix<uint8_t>(in, out, ctx.threads);
        break;
      case 2:
        run_matrix<uint16_t>(in, out, ctx.threads);
        break;
      case 4:
        run_matrix<uint32_t>(in, out, ctx.threads);
        break;
      default:
        run_matrix<uint64_t>(in, out, ctx.threads);
        break;
    }
    return {};
  }

  const char* kernel_name() const override {
    if (copy_.is_plain()) return "plain_copy";
    return is_matrix() ? "plain_transpose_matrix" : "plain_transpose";
  }

 private:
  size_t extent(size_t from_inside) const {
    return copy_.axis(copy_.axes() - 1 - from_inside).extent;
  }
  size_t step(size_t from_inside) const {
    return static_cast<size_t>(copy_.axis(copy_.axes() - 1 - from_inside).step);
  }

  // [C][R] or [B][C][R] in the output, the last two swapped.
  bool is_matrix() const {
    if (copy_.axes() != 2 && copy_.axes() != 3) return false;
    if (step(1) != 1 || step(0) != extent(1)) return false;
    return copy_.axes() == 2 || step(2) == extent(1) * extent(0);
  }

  template <class T>
  void run_matrix(const void* in_bytes, void* out_bytes, const Threads& threads) const {
    const T* in = static_cast<const T*>(in_bytes);
    T* out = static_cast<T*>(out_bytes);
    const size_t columns = extent(1), rows = extent(0);
    auto part = [&](size_t begin, size_t end) {  // whole output rows, over the batch
      while (begin < end) {
        const size_t matrix = begin / columns, first = begin % columns;
        const size_t left = columns - first, n = left < end - begin ? left : end - begin;
        const size_t offset = matrix * columns * rows;
        transpose_matrix(in + offset, out + offset, rows, columns, first, first + n);
        begin += n;
      }
    };
    const size_t lines = copy_.total() / rows;
    split_if_worth(threads, lines, kTile, kElementsWorth / rows + 2, part);
  }

  StridedCopy copy_;
  size_t element_ = 4;
};

}  // namespace

Op* make_transpose(Arena& keep) {
  return keep.make<Transpose>();
}

}  // namespace qrt
