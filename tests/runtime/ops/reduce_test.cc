// Reductions, arg-extremes and top-k against their definitions, over every set of
// axes.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

double start_of(ReduceMode mode) {
  if (mode == ReduceMode::max) return -kInf;
  if (mode == ReduceMode::min) return kInf;
  return mode == ReduceMode::prod ? 1 : 0;
}

double folded(ReduceMode mode, double sum, double x) {
  switch (mode) {
    case ReduceMode::max:
      return std::isnan(sum) || std::isnan(x) ? kNan : std::max(sum, x);
    case ReduceMode::min:
      return std::isnan(sum) || std::isnan(x) ? kNan : std::min(sum, x);
    case ReduceMode::prod:
      return sum * x;
    case ReduceMode::l1:
      return sum + std::fabs(x);
    case ReduceMode::l2:
    case ReduceMode::sum_square:
      return sum + x * x;
    case ReduceMode::log_sum_exp:
      return sum + std::exp(x);
    default:
      return sum + x;
  }
}

double finished(ReduceMode mode, double sum, double count) {
  if (mode == ReduceMode::mean) return sum / count;
  if (mode == ReduceMode::l2) return std::sqrt(sum);
  return mode == ReduceMode::log_sum || mode == ReduceMode::log_sum_exp ? std::log(sum) : sum;
}

// Sum, count and shape by walking the whole input.
std::vector<double> reduced(const HostTensor& in, const ReduceAttr& a, Shape* out) {
  const Shape& s = in.shape;
  out->rank = 0;
  for (int i = 0; i < s.rank; ++i) {
    if (!a.axis[i]) (*out)[out->rank++] = s[i];
    if (a.axis[i] && a.keep_dims) (*out)[out->rank++] = 1;
  }
  const size_t outputs = *out->elements().get();
  std::vector<double> sums(outputs, start_of(a.mode));
  for (size_t i = 0; i < in.count(); ++i) {
    size_t rest = i, at = 0, step = 1;
    for (int d = s.rank - 1; d >= 0; --d) {
      const size_t extent = static_cast<size_t>(s[d]);
      if (!a.axis[d]) at += rest % extent * step, step *= extent;
      rest /= extent;
    }
    sums[at] = folded(a.mode, sums[at], double{in[i]});
  }
  for (double& sum : sums) sum = finished(a.mode, sum, static_cast<double>(in.count() / outputs));
  return sums;
}

Status run_reduce(const ReduceAttr& attr, const HostTensor& in, HostTensor* out,
                  uint32_t threads = 1) {
  Node node;
  node.kind = OpKind::reduce;
  node.reduce = &attr;
  OpRun run;
  run.threads = threads;
  const Status s = run(node, {in}, out);
  CHECK(run.guards_held);
  return s;
}

std::vector<int64_t> indices_of(const HostTensor& t) {
  std::vector<int64_t> v;
  for (size_t i = 0; i < t.count(); ++i) v.push_back(t.at<int64_t>(i));
  return v;
}

}  // namespace

TEST_CASE("reduce: every mode over every set of axes") {
  for (const Shape& s : {shape({2, 3, 4, 5}), shape({1, 19, 1, 33}), shape({40}), shape({}),
                         shape({2, 1, 3, 2, 1, 2})}) {
    std::vector<float> x = random_floats(*s.elements().get(), 3);
    for (float& v : x) v = std::fabs(v) + 0.1f;  // logarithms exist
    for (size_t i = 0; i < x.size(); i += 3) x[i] += 0.5f;
    for (int set = 0; set < 1 << s.rank; ++set) {
      for (int mode = 0; mode <= static_cast<int>(ReduceMode::log_sum_exp); ++mode) {
        ReduceAttr attr{static_cast<ReduceMode>(mode), {}, (set & 1) != 0};
        for (int d = 0; d < s.rank; ++d) attr.axis[d] = (set >> d & 1) != 0;
        const HostTensor in = floats(s, x);
        HostTensor out;
        const std::vector<double> want = reduced(in, attr, &out.shape);
        CAPTURE(mode);
        CAPTURE(set);
        REQUIRE(run_reduce(attr, in, &out, 2).ok());
        for (size_t i = 0; i < want.size(); ++i)
          REQUIRE(std::fabs(double{out[i]} - want[i]) <= 2e-6 * std::max(1.0, std::fabs(want[i])));
      }
    }
  }
}

TEST_CASE("reduce: large sums keep their digits, and threads change nothing") {
  const Shape s = shape({3, 300, 300, 5});
  std::vector<float> x = random_floats(3 * 300 * 300 * 5, 4);
  for (float& v : x) v += 1000;
  const HostTensor in = floats(s, x);
  for (const bool columns : {true, false}) {
    ReduceAttr attr{ReduceMode::mean, {}, false};
    attr.axis[1] = attr.axis[2] = true;
    attr.axis[3] = !columns;
    HostTensor one, four;
    const std::vector<double> want = reduced(in, attr, &one.shape);
    four.shape = one.shape;
    REQUIRE(run_reduce(attr, in, &one, 1).ok());
    REQUIRE(run_reduce(attr, in, &four, 4).ok());
    CHECK(one.bytes == four.bytes);
    CHECK(difference(one, want) < 1e-6);
  }
}

TEST_CASE("reduce: NaN, infinities, and exponents that would overflow") {
  const HostTensor in = floats(shape({4, 2}), {1, kNan, 2, 5, 1000, 7, 1000, -kInf});
  ReduceAttr attr{ReduceMode::max, {}, false};
  attr.axis[0] = true;
  HostTensor out;
  out.shape = shape({2});
  REQUIRE(run_reduce(attr, in, &out).ok());
  CHECK(out[0] == 1000);
  CHECK(std::isnan(out[1]));
  attr.mode = ReduceMode::log_sum_exp;
  REQUIRE(run_reduce(attr, in, &out).ok());
  CHECK(std::fabs(out[0] - (1000 + std::log(2.0f))) < 1e-3f);
  CHECK(std::isnan(out[1]));
  const HostTensor nothing = floats(shape({2}), {-kInf, -kInf});
  out.shape = shape({});
  REQUIRE(run_reduce(attr, nothing, &out).ok());
  CHECK(out[0] == -kInf);
}

TEST_CASE("reduce: integers are exact and wrap; other types are refused") {
  const Shape s = shape({2, 2});
  const HostTensor in = tensor_of<int64_t>(DType::i64, s, {INT64_MAX, 1, -3, 4});
  ReduceAttr attr{ReduceMode::sum, {}, false};
  attr.axis[1] = true;
  HostTensor out;
  out.dtype = DType::i64;
  out.shape = shape({2});
  REQUIRE(run_reduce(attr, in, &out).ok());
  CHECK(indices_of(out) == std::vector<int64_t>{INT64_MIN, 1});
  attr.mode = ReduceMode::l1;
  REQUIRE(run_reduce(attr, in, &out).ok());
  CHECK(indices_of(out) == std::vector<int64_t>{INT64_MIN, 7});
  attr.mode = ReduceMode::prod;
  REQUIRE(run_reduce(attr, in, &out).ok());
  CHECK(indices_of(out) == std::vector<int64_t>{INT64_MAX, -12});
  attr.mode = ReduceMode::min;
  REQUIRE(run_reduce(attr, in, &out).ok());
  CHECK(indices_of(out) == std::vector<int64_t>{1, -3});
  attr.mode = ReduceMode::mean;
  CHECK(run_reduce(attr, in, &out).id() == 252);
  attr.mode = static_cast<ReduceMode>(10);
  CHECK(run_reduce(attr, in, &out).id() == 260);
  const HostTensor narrow = tensor_of<int32_t>(DType::i32, s, {INT32_MAX, 1, -3, 4});
  attr.mode = ReduceMode::sum_square;
  out.dtype = DType::i32;
  REQUIRE(run_reduce(attr, narrow, &out).ok());
  CHECK(out.at<int32_t>(0) == 2);
  CHECK(out.at<int32_t>(1) == 25);
  out.shape = shape({3});
  CHECK(run_reduce(attr, narrow, &out).id() == 253);
}

TEST_CASE("arg_reduce: first and last of equal elements, NaN, axes") {
  const HostTensor in =
      floats(shape({2, 4, 2}), {1, 5, 3, 5, 3, 2, 0, 2, 7, kNan, 7, 1, 9, kNan, 2, 0});
  const auto run_arg = [&](ArgReduceAttr attr, const HostTensor& x, const Shape& s) {
    Node node;
    node.kind = OpKind::arg_reduce;
    node.arg_reduce = &attr;
    HostTensor out;
    out.dtype = DType::i64;
    out.shape = s;
    OpRun run;
    run.threads = 2;
    const Status status = run(node, {x}, &out);
    REQUIRE_MESSAGE(status.ok(), status.what());
    return indices_of(out);
  };
  using Indices = std::vector<int64_t>;
  CHECK(run_arg({1, false, false, true}, in, shape({2, 1, 2})) == Indices{1, 0, 2, 0});
  CHECK(run_arg({1, false, true, false}, in, shape({2, 2})) == Indices{2, 1, 2, 2});
  CHECK(run_arg({1, true, false, false}, in, shape({2, 2})) == Indices{3, 2, 3, 0});
  CHECK(run_arg({1, true, true, false}, in, shape({2, 2})) == Indices{3, 3, 3, 2});
  CHECK(run_arg({2, false, false, false}, in, shape({2, 4})) == Indices{1, 1, 0, 1, 1, 0, 1, 0});
  const HostTensor wide =
      tensor_of<int64_t>(DType::i64, shape({3}), {(int64_t{1} << 53) + 1, int64_t{1} << 53, 5});
  CHECK(run_arg({0, false, false, true}, wide, shape({1})) == Indices{0});
  const HostTensor narrow = tensor_of<int32_t>(DType::i32, shape({3}), {4, -9, 5});
  CHECK(run_arg({0, true, false, true}, narrow, shape({1})) == Indices{1});

  const ArgReduceAttr bad{3, false, false, true};
  Node node;
  node.kind = OpKind::arg_reduce;
  node.arg_reduce = &bad;
  HostTensor out;
  out.dtype = DType::i64;
  out.shape = in.shape;
  OpRun run;
  CHECK(run(node, {in}, &out).id() == 260);
  const ArgReduceAttr good{1, false, false, true};
  node.arg_reduce = &good;
  CHECK(run(node, {in}, &out).id() == 253);
  out.shape = shape({2, 1, 2});
  out.dtype = DType::i32;
  CHECK(run(node, {in}, &out).id() == 252);
  const HostTensor flags = tensor_of<uint8_t>(DType::boolean, shape({2}), {0, 1});
  CHECK(run(node, {flags}, &out).id() == 252);
}

TEST_CASE("top_k: values and indices are those of a stable sort") {
  for (const auto& [extent, k] : {std::pair{1, 1}, {7, 3}, {64, 64}, {1000, 17}}) {
    const Shape s = shape({3, extent, 2});
    std::vector<float> x = random_floats(static_cast<size_t>(6 * extent), 9);
    for (float& v : x) v = std::nearbyint(v * 20);  // many equal ones
    if (x.size() > 40) x[33] = kNan;
    const HostTensor in = floats(s, x);
    for (const bool smallest : {false, true}) {
      TopKAttr attr{1, k, smallest, false};
      Node node;
      node.kind = OpKind::top_k;
      node.top_k = &attr;
      HostTensor values, places;
      values.shape = places.shape = shape({3, k, 2});
      places.dtype = DType::i64;
      OpRun run;
      run.threads = 3;
      REQUIRE(run(node, {in}, &values).ok());
      CHECK(run.guards_held);
      attr.indices = true;
      REQUIRE(run(node, {in}, &places).ok());
      CHECK(run.guards_held);
      for (size_t line = 0; line < 6; ++line) {
        const size_t n = static_cast<size_t>(extent), first = line / 2 * n * 2 + line % 2;
        std::vector<size_t> order(n);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
          const float p = x[first + 2 * a], q = x[first + 2 * b];
          if (std::isnan(p) || std::isnan(q)) return std::isnan(p) && !std::isnan(q);
          return smallest ? p < q : p > q;
        });
        for (size_t i = 0; i < static_cast<size_t>(k); ++i) {
          const size_t at = line / 2 * static_cast<size_t>(k) * 2 + line % 2 + 2 * i;
          REQUIRE(places.at<int64_t>(at) == static_cast<int64_t>(order[i]));
          const float want = x[first + 2 * order[i]];
          REQUIRE((values[at] == want || (std::isnan(want) && std::isnan(values[at]))));
        }
      }
    }
  }
  const HostTensor in = random_tensor(shape({4}), 1);
  TopKAttr attr{0, 5, false, false};
  Node node;
  node.kind = OpKind::top_k;
  node.top_k = &attr;
  HostTensor out;
  out.shape = shape({5});
  OpRun run;
  CHECK(run(node, {in}, &out).id() == 260);
  attr.k = 0;
  CHECK(run(node, {in}, &out).id() == 260);
  attr = {1, 1, false, false};
  CHECK(run(node, {in}, &out).id() == 260);
  attr = {0, 2, false, true};
  out.shape = shape({2});
  CHECK(run(node, {in}, &out).id() == 252);
}

}  // namespace qrt::test
