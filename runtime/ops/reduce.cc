// Reductions over any set of axes: sums, means, extremes, products and norms.
//
// At prepare, axes of extent 1 vanish and neighbours of one kind (kept or reduced)
// merge. If the innermost axis is kept, columns of it are reduced side by side, up to
// kLanes at a time; if it is reduced, a run of it is split over kLanes partial results
// that are joined in a fixed order. Sums are in double precision, so that neither the
// order nor the length matters to an f32 result. Integers wrap. A NaN is the extreme.
//
//   log_sum_exp: m = max x, then log(sum exp(x - m)) + m, which cannot overflow
#include <cmath>

#include "runtime/ops/checks.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

constexpr size_t kLanes = 16;

struct Axis {
  size_t extent, step;  // step in elements of the input
};

// What is accumulated: doubles of floats, unsigned 64-bit of integers.
inline double fold(ReduceMode mode, double sum, double x) {
  switch (mode) {
    case ReduceMode::max:
      return x > sum || x != x ? x : sum;
    case ReduceMode::min:
      return x < sum || x != x ? x : sum;
    case ReduceMode::prod:
      return sum * x;
    case ReduceMode::l1:
      return sum + std::fabs(x);
    case ReduceMode::l2:
    case ReduceMode::sum_square:
      return sum + x * x;
    default:
      return sum + x;
  }
}
inline int64_t fold(ReduceMode mode, int64_t sum, int64_t x) {
  const auto s = static_cast<uint64_t>(sum), u = static_cast<uint64_t>(x);
  switch (mode) {
    case ReduceMode::max:
      return x > sum ? x : sum;
    case ReduceMode::min:
      return x < sum ? x : sum;
    case ReduceMode::prod:
      return static_cast<int64_t>(s * u);
    case ReduceMode::l1:
      return static_cast<int64_t>(s + (x < 0 ? 0 - u : u));
    case ReduceMode::sum_square:
      return static_cast<int64_t>(s + u * u);
    default:
      return static_cast<int64_t>(s + u);
  }
}

// Joins two partial results: squares and absolute values are taken already.
template <class A>
A join(ReduceMode mode, A a, A b) {
  const bool as_is = mode == ReduceMode::max || mode == ReduceMode::min || mode == ReduceMode::prod;
  return fold(as_is ? mode : ReduceMode::sum, a, b);
}

template <class A>
A neutral(ReduceMode mode) {
  if (mode == ReduceMode::prod) return A{1};
  if constexpr (std::is_same_v<A, double>) {
    if (mode == ReduceMode::max) return -HUGE_VAL;
    if (mode == ReduceMode::min) return HUGE_VAL;
  } else {
    if (mode == ReduceMode::max) return INT64_MIN;
    if (mode == ReduceMode::min) return INT64_MAX;
  }
  return A{0};
}

class Reduce final : public Op {
 public:
  Status prepare(const Node& node, PrepareContext& ctx) override {
    QRT_TRY(check_arity(ctx, 1));
    QRT_TRY(check_same_dtype(ctx));
    const ReduceAttr& attr = *node.reduce;
    mode_ = attr.mode;
    type_ = ctx.in[0].dtype;
    QRT_REQUIRE(mode_ <= ReduceMode::log_sum_exp, Code::invalid_model, 260, "unknown reduction");
    const bool whole = mode_ != ReduceMode::mean && mode_ != ReduceMode::l2 &&
                       mode_ != ReduceMode::log_sum && mode_ != ReduceMode::log_sum_exp;
    if (!(whole && (type_ == DType::i32 || type_ == DType::i64))) QRT_TRY(check_f32(ctx));
    const Shape& in = ctx.in[0].shape;
    Shape out;
    for (int i = 0; i < in.rank; ++i) {
      if (!attr.axis[i]) out[out.rank++] = in[i];
      if (attr.axis[i] && attr.keep_dims) out[out.rank++] = 1;
    }
    merge(in, attr.axis);
    return check_output(ctx, out);
  }

  Status run(const RunContext& ctx) const override {
    switch (type_) {
      case DType::i32:
        run_typed<int32_t, int64_t>(ctx);
        break;
      case DType::i64:
        run_typed<int64_t, int64_t>(ctx);
        break;
      default:
        run_typed<float, double>(ctx);
        break;
    }
    return {};
  }

  const char* kernel_name() const override {
    return columns_ > 1 ? "plain_reduce_columns" : "plain_reduce_runs";
  }

 private:
  // Axes innermost first, those of extent 1 left out, neighbours of one kind joined.
  void merge(const Shape& in, const bool* reduced) {
    size_t step = 1;
    bool last = false;
    Axis* open = nullptr;
    for (int i = in.rank - 1; i >= 0; --i) {
      const size_t extent = static_cast<size_t>(in[i]);
      if (extent == 1) continue;
      if (open != nullptr && reduced[i] == last) {
        open->extent *= extent;
      } else {
        open = reduced[i] ? &gone_[gone_count_++] : &kept_[kept_count_++];
        *open = {extent, step};
        last = reduced[i];
      }
      step *= extent;
    }
    for (size_t i = 0; i < kept_count_; ++i) outputs_ *= kept_[i].extent;
    for (size_t i = 0; i < gone_count_; ++i) elements_ *= gone_[i].extent;
    // A kept innermost axis gives columns, a reduced one runs.
    if (kept_count_ > 0 && kept_[0].step == 1) columns_ = kept_[0].extent;
    if (gone_count_ > 0 && gone_[0].step == 1) run_ = gone_[0].extent;
  }

  // Place of output element `i` in the input.
  size_t first_of(size_t i) const {
    size_t at = 0;
    for (size_t k = 0; k < kept_count_; i /= kept_[k++].extent)
      at += i % kept_[k].extent * kept_[k].step;
    return at;
  }
  // The same of the i-th reduced run (or element, where there are columns).
  size_t run_of(size_t i) const {
    size_t at = 0;
    for (size_t k = run_ > 1 ? 1 : 0; k < gone_count_; i /= gone_[k++].extent)
      at += i % gone_[k].extent * gone_[k].step;
    return at;
  }

  // f(element) over what one output reduces, results joined in lanes.
  template <class T, class A, class F>
  A over_runs(const T* x, ReduceMode mode, F&& f) const {
    A lanes[kLanes];
    for (A& lane : lanes) lane = neutral<A>(mode);
    for (size_t r = 0; r < elements_ / run_; ++r) {
      const T* from = x + run_of(r);
      size_t i = 0;
      for (; i + kLanes <= run_; i += kLanes)
        for (size_t k = 0; k < kLanes; ++k) lanes[k] = fold(mode, lanes[k], f(from[i + k]));
      for (; i < run_; ++i) lanes[0] = fold(mode, lanes[0], f(from[i]));
    }
    A all = lanes[0];
    for (size_t k = 1; k < kLanes; ++k) all = join(mode, all, lanes[k]);
    return all;
  }

  // The same for `n` neighbouring outputs at once: f(element, lane).
  template <class T, class A, class F>
  void over_columns(const T* x, size_t n, ReduceMode mode, A* lanes, F&& f) const {
    for (size_t k = 0; k < n; ++k) lanes[k] = neutral<A>(mode);
    for (size_t r = 0; r < elements_; ++r) {
      const T* from = x + run_of(r);
      for (size_t k = 0; k < n; ++k) lanes[k] = fold(mode, lanes[k], f(from[k], k));
    }
  }

  static double shift_of(double top) { return std::isfinite(top) ? top : 0; }

  double finish(double sum, double shift) const {
    switch (mode_) {
      case ReduceMode::mean:
        return sum / static_cast<double>(elements_);
      case ReduceMode::l2:
        return std::sqrt(sum);
      case ReduceMode::log_sum:
      case ReduceMode::log_sum_exp:
        return std::log(sum) + shift;
      default:
        return sum;
    }
  }
  static int64_t finish(int64_t sum, int64_t) { return sum; }

  template <class T, class A>
  T reduce_one(const T* x) const {
    A shift{0}, sum;
    const auto plain = [](T v) { return static_cast<A>(v); };
    if constexpr (std::is_same_v<T, float>) {
      if (mode_ == ReduceMode::log_sum_exp) {
        shift = shift_of(over_runs<T, A>(x, ReduceMode::max, plain));
        sum = over_runs<T, A>(x, ReduceMode::sum,
                              [shift](T v) { return std::exp(double{v} - shift); });
        return static_cast<T>(finish(sum, shift));
      }
    }
    sum = over_runs<T, A>(x, mode_, plain);
    return static_cast<T>(finish(sum, shift));
  }

  template <class T, class A>
  void reduce_columns(const T* x, size_t n, T* out) const {
    A lanes[kLanes], shift[kLanes] = {};
    const auto plain = [](T v, size_t) { return static_cast<A>(v); };
    bool done = false;
    if constexpr (std::is_same_v<T, float>) {
      if (mode_ == ReduceMode::log_sum_exp) {
        over_columns(x, n, ReduceMode::max, shift, plain);
        for (A& s : shift) s = shift_of(s);
        over_columns(x, n, ReduceMode::sum, lanes,
                     [&](T v, size_t k) { return std::exp(double{v} - shift[k]); });
        done = true;
      }
    }
    if (!done) over_columns(x, n, mode_, lanes, plain);
    for (size_t k = 0; k < n; ++k) out[k] = static_cast<T>(finish(lanes[k], shift[k]));
  }

  template <class T, class A>
  void run_typed(const RunContext& ctx) const {
    const T* x = ctx.in[0].as<T>();
    T* out = ctx.out[0].as<T>();
    auto part = [&](size_t begin, size_t end) {
      while (begin < end) {
        size_t n = 1;
        if (columns_ > 1) {
          const size_t left = columns_ - begin % columns_;
          n = left < end - begin ? left : end - begin;
          n = n < kLanes ? n : kLanes;
          reduce_columns<T, A>(x + first_of(begin), n, out + begin);
        } else {
          out[begin] = reduce_one<T, A>(x + first_of(begin));
        }
        begin += n;
      }
    };
    split_if_worth(ctx.threads, outputs_, kLanes, kElementsWorth / (elements_ + 1) + 2, part);
  }

  Axis kept_[kMaxRank] = {}, gone_[kMaxRank] = {};
  size_t kept_count_ = 0, gone_count_ = 0;
  size_t outputs_ = 1, elements_ = 1;  // of the output; of the input for each
  size_t columns_ = 1, run_ = 1;
  ReduceMode mode_ = ReduceMode::sum;
  DType type_ = DType::f32;
};

}  // namespace

Op* make_reduce(Arena& keep) {
  return keep.make<Reduce>();
}

}  // namespace qrt
