// The product of two activations, [..., M, K] by [..., K, N]. What stands before
// the matrices broadcasts as in NumPy.
//
// kRows x kColumns sums stay in registers while K passes by,
//
//   sum[r][n] += a[r][k] * b[k][n]
//
// so that each row of b is loaded once per kRows multiply-adds; 8 sums, 2 vectors
// of b and 1 of a fit the 16 vector registers of the smallest machine. Every output
// is summed by one thread in the order of k.
#include "runtime/dense/lanes.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

constexpr size_t kRows = 4, kVectors = 2, kColumns = kVectors * kLanes;

// One pair of matrices.
struct Matrices {
  const float *a, *b;
  float* out;
  size_t k, n;
};

// kRows or fewer rows times kColumns columns from `column` on. Missing rows repeat the first.
void tile(const Matrices& m, size_t row, size_t rows, size_t column) {
  const float* a[kRows];
  for (size_t r = 0; r < kRows; ++r) a[r] = m.a + (row + (r < rows ? r : 0)) * m.k;
  const float* b = m.b + column;
  f32x4 s00{}, s01{}, s10{}, s11{}, s20{}, s21{}, s30{}, s31{};
  for (size_t k = 0; k < m.k; ++k, b += m.n) {
    const f32x4 b0 = load_f32x4(b), b1 = load_f32x4(b + kLanes);
    s00 += a[0][k] * b0, s01 += a[0][k] * b1;
    s10 += a[1][k] * b0, s11 += a[1][k] * b1;
    s20 += a[2][k] * b0, s21 += a[2][k] * b1;
    s30 += a[3][k] * b0, s31 += a[3][k] * b1;
  }
  const f32x4 sums[kRows][kVectors] = {{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}};
  for (size_t r = 0; r < rows; ++r)
    for (size_t v = 0; v < kVectors; ++v)
      store_f32x4(m.out + (row + r) * m.n + column + v * kLanes, sums[r][v]);
}

void run_rows(const Matrices& m, size_t row, size_t rows) {
  size_t column = 0;
  for (; column + kColumns <= m.n; column += kColumns) tile(m, row, rows, column);
  for (; column < m.n; ++column)
    for (size_t r = row; r < row + rows; ++r) {
      float sum = 0;
      for (size_t k = 0; k < m.k; ++k) sum += m.a[r * m.k + k] * m.b[k * m.n + column];
      m.out[r * m.n + column] = sum;
    }
}

class MatMul final : public Op {
 public:
  Status prepare(const Node&, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 2));
    QRT_TRY(check_f32(ctx));
    const Shape &a = ctx.in[0].shape, &b = ctx.in[1].shape;
    if (a.rank < 2 || b.rank < 2)
      return Status(Code::invalid_model, 290, "an operand of a product is no matrix")
          .values(a.rank < b.rank ? a.rank : b.rank, 2)
          .next("convert the model again");
    if (a[a.rank - 1] != b[b.rank - 2])
      return Status(Code::invalid_model, 290, "two matrices cannot be multiplied")
          .values(b[b.rank - 2], a[a.rank - 1])
          .next("convert the model again");
    Shape out;
    out.rank = a.rank > b.rank ? a.rank : b.rank;
    for (int i = 0; i < out.rank; ++i) out[i] = 1;
    rows_ = static_cast<size_t>(a[a.rank - 2]);
    summed_ = static_cast<size_t>(a[a.rank - 1]);
    columns_ = static_cast<size_t>(b[b.rank - 1]);
    size_t step_a = rows_ * summed_, step_b = summed_ * columns_;
    for (int i = 3; i <= out.rank; ++i) {  // from the innermost axis before the matrices outwards
      const int32_t p = i <= a.rank ? a[a.rank - i] : 1, q = i <= b.rank ? b[b.rank - i] : 1;
      if (p != q && p != 1 && q != 1)
        return Status(Code::invalid_model, 261, "two shapes do not broadcast to each other")
            .values(p, q)
            .next("convert the model again");
      Axis& axis = axes_[outer_++];
      axis = {static_cast<size_t>(p == 1 ? q : p), p == 1 ? 0 : step_a, q == 1 ? 0 : step_b};
      step_a *= static_cast<size_t>(p);
      step_b *= static_cast<size_t>(q);
      out[out.rank - i] = static_cast<int32_t>(axis.count);
    }
    out[out.rank - 2] = a[a.rank - 2];
    out[out.rank - 1] = b[b.rank - 1];
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    const float *a = ctx.in[0].as<float>(), *b = ctx.in[1].as<float>();
    float* out = ctx.out[0].as<float>();
    const size_t blocks = (rows_ + kRows - 1) / kRows;
    size_t pairs = 1;
    for (int i = 0; i < outer_; ++i) pairs *= axes_[i].count;
    auto work = [&](size_t begin, size_t end, uint32_t) {
      for (size_t i = begin; i < end; ++i) {
        const size_t pair = i / blocks, row = i % blocks * kRows;
        size_t rest = pair, from_a = 0, from_b = 0;
        for (int axis = 0; axis < outer_; ++axis) {
          const size_t at = rest % axes_[axis].count;
          rest /= axes_[axis].count;
          from_a += at * axes_[axis].step_a;
          from_b += at * axes_[axis].step_b;
        }
        const Matrices m{a + from_a, b + from_b, out + pair * rows_ * columns_, summed_, columns_};
        run_rows(m, row, rows_ - row < kRows ? rows_ - row : kRows);
      }
    };
    // Work that is over in microseconds stays on the caller: one call with everything.
    const size_t all = pairs * blocks, chunks = size_t{ctx.threads.count()} * 8;
    const bool small = uint64_t{all} * kRows * columns_ * summed_ < kElementsWorth * 4;
    ctx.threads.split(all, small ? all : (all + chunks - 1) / chunks, work);
    return {};
  }

  const char* kernel_name() const override { return "plain_f32_matmul"; }

 private:
  // An axis before the matrices, and what a step along it means in each operand: 0 where the
  // operand stretches.
  struct Axis {
    size_t count, step_a, step_b;
  };
  Axis axes_[kMaxRank] = {};
  int outer_ = 0;
  size_t rows_ = 0, summed_ = 0, columns_ = 0;
};

}  // namespace

Op* make_matmul(Arena& keep) {
  return keep.make<MatMul>();
}

}  // namespace qrt
