// Reductions over any axes, arg-extremes and top-k along one, by their
// definitions: sums in double precision, in the order of the elements.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "converter/eval/compute.h"
#include "converter/eval/functions.h"

namespace qrt::eval {
namespace {

using Mode = ir::Reduce::Mode;

// Places of the input that one output element reduces over, and of the outputs' first elements.
struct Places {
  std::vector<int64_t> first, within;
};

// Row-major offsets over the axes for which set[d] == wanted.
std::vector<int64_t> offsets(std::span<const int64_t> shape, const std::vector<bool>& set,
                             bool wanted) {
  std::vector<int64_t> strides(shape.size()), result = {0};
  int64_t length = 1;
  for (size_t d = shape.size(); d-- > 0; length *= shape[d]) strides[d] = length;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (set[d] != wanted) continue;
    std::vector<int64_t> next;
    next.reserve(result.size() * static_cast<size_t>(shape[d]));
    for (int64_t at : result)
      for (int64_t i = 0; i < shape[d]; ++i) next.push_back(at + i * strides[d]);
    result = std::move(next);
  }
  return result;
}

Places places(std::span<const int64_t> shape, const std::vector<bool>& set) {
  return {offsets(shape, set, false), offsets(shape, set, true)};
}

// Along one axis, which may be negative.
Places places(std::span<const int64_t> shape, int32_t axis) {
  const auto rank = static_cast<int32_t>(shape.size());
  std::vector<bool> set(shape.size());
  set[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  return places(shape, set);
}

double fold(Mode mode, double sum, double x) {
  switch (mode) {
    case Mode::max:
      return x > sum || x != x ? x : sum;
    case Mode::min:
      return x < sum || x != x ? x : sum;
    case Mode::prod:
      return sum * x;
    case Mode::l1:
      return sum + std::abs(x);
    case Mode::l2:
    case Mode::sum_square:
      return sum + x * x;
    default:
      return sum + x;
  }
}

double start_of(Mode mode) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (mode == Mode::max) return -kInfinity;
  if (mode == Mode::min) return kInfinity;
  return mode == Mode::prod ? 1 : 0;
}

double reduce_floats(Mode mode, std::span<const float> x, int64_t first,
                     const std::vector<int64_t>& within) {
  double top = 0;  // log_sum_exp: log(sum exp(x - top)) + top cannot overflow
  if (mode == Mode::log_sum_exp) {
    top = -std::numeric_limits<double>::infinity();
    for (int64_t at : within) top = fold(Mode::max, top, double{x[first + at]});
    if (!std::isfinite(top)) top = 0;
  }
  double sum = start_of(mode);
  for (int64_t at : within) {
    const double value = double{x[first + at]};
    sum = fold(mode, sum, mode == Mode::log_sum_exp ? std::exp(value - top) : value);
  }
  switch (mode) {
    case Mode::mean:
      return sum / static_cast<double>(within.size());
    case Mode::l2:
      return std::sqrt(sum);
    case Mode::log_sum:
    case Mode::log_sum_exp:
      return std::log(sum) + top;
    default:
      return sum;
  }
}

int64_t reduce_ints(Mode mode, const View& x, int64_t first, const std::vector<int64_t>& within,
                    bool* exact) {
  using Op = ir::Binary::Op;
  int64_t sum = mode == Mode::prod ? 1 : 0;
  if (mode == Mode::max || mode == Mode::min) sum = x.ints[first];
  for (int64_t at : within) {
    int64_t value = x.ints[first + at];
    if (mode == Mode::l1) value = apply(ir::Unary::Op::abs, x.type, value, exact);
    if (mode == Mode::sum_square) value = apply(Op::mul, x.type, value, value, exact);
    const Op op = mode == Mode::max    ? Op::max
                  : mode == Mode::min  ? Op::min
                  : mode == Mode::prod ? Op::mul
                                       : Op::add;
    sum = apply(op, x.type, sum, value, exact);
  }
  return sum;
}

// Whether x[a] stands before x[b] in the order of the largest (smallest) first; a NaN is the
// extreme either way. Of equal ones neither does.
bool before(const View& x, int64_t a, int64_t b, bool smallest) {
  if (!ir::is_float(x.type)) return smallest ? x.ints[a] < x.ints[b] : x.ints[a] > x.ints[b];
  const float p = x.data[a], q = x.data[b];
  if (p != p || q != q) return p != p && q == q;
  return smallest ? p < q : p > q;
}

}  // namespace

Result<void> compute(Call& call, const ir::Reduce& reduce) {
  const View& x = call.in[0];
  const Places p = places(x.shape, ir::axis_set(reduce.axes, x.shape.size()));
  bool exact = true;
  for (size_t i = 0; i < p.first.size(); ++i) {
    if (ir::is_float(call.out.type)) {
      call.out.data[i] =
          static_cast<float>(reduce_floats(reduce.mode, x.data, p.first[i], p.within));
    } else {
      call.out.ints[i] = reduce_ints(reduce.mode, x, p.first[i], p.within, &exact);
    }
  }
  if (call.strict && !exact) return call.error("integers overflow; check the source model");
  return {};
}

Result<void> compute(Call& call, const ir::ArgReduce& arg) {
  const View& x = call.in[0];
  const Places p = places(x.shape, arg.axis);
  for (size_t i = 0; i < p.first.size(); ++i) {
    size_t best = 0;
    for (size_t k = 1; k < p.within.size(); ++k) {
      const int64_t here = p.first[i] + p.within[k], there = p.first[i] + p.within[best];
      const bool wins =
          arg.last ? !before(x, there, here, arg.smallest) : before(x, here, there, arg.smallest);
      if (wins) best = k;
    }
    call.out.ints[i] = static_cast<int64_t>(best);
  }
  return {};
}

Result<void> compute(Call& call, const ir::TopK& top) {
  const View& x = call.in[0];
  const Places from = places(x.shape, top.axis), to = places(call.out.shape, top.axis);
  std::vector<size_t> order(from.within.size());
  for (size_t i = 0; i < from.first.size(); ++i) {
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return before(x, from.first[i] + from.within[a], from.first[i] + from.within[b],
                    top.smallest);
    });
    for (size_t k = 0; k < to.within.size(); ++k) {
      const int64_t out = to.first[i] + to.within[k], in = from.first[i] + from.within[order[k]];
      if (top.indices) {
        call.out.ints[out] = static_cast<int64_t>(order[k]);
      } else if (ir::is_float(x.type)) {
        call.out.data[out] = x.data[in];
      } else {
        call.out.ints[out] = x.ints[in];
      }
    }
  }
  return {};
}

}  // namespace qrt::eval
