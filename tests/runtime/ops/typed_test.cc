// Operators on integers and bool: arithmetic that wraps, comparisons, logic, the
// choice between two tensors, casts.
#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

using Bytes = std::vector<uint8_t>;

template <class T>
constexpr DType type_of() {
  if (std::is_same_v<T, int32_t>) return DType::i32;
  if (std::is_same_v<T, int64_t>) return DType::i64;
  if (std::is_same_v<T, int8_t>) return DType::i8;
  return std::is_same_v<T, float> ? DType::f32 : DType::u8;
}
template <class T>
HostTensor tensor(const Shape& s, const std::vector<T>& values) {
  return tensor_of(type_of<T>(), s, values);
}
HostTensor bools(const Shape& s, const Bytes& values) {
  return tensor_of(DType::boolean, s, values);
}
template <class T>
std::vector<T> values_of(const HostTensor& t) {
  std::vector<T> v;
  for (size_t i = 0; i < t.count(); ++i) v.push_back(t.at<T>(i));
  return v;
}

HostTensor result(DType type, const Shape& s) {
  HostTensor out;
  out.dtype = type;
  out.shape = s;
  return out;
}

HostTensor binary(BinaryOp op, const HostTensor& a, const HostTensor& b, DType type,
                  const Shape& s) {
  const BinaryAttr attr{op, {}};
  Node node;
  node.kind = OpKind::binary;
  node.binary = &attr;
  HostTensor out = result(type, s);
  OpRun run;
  run.threads = 2;
  const Status status = run(node, {a, b}, &out);
  REQUIRE_MESSAGE(status.ok(), status.what());
  CHECK(run.guards_held);
  return out;
}

template <class T>
void check_whole(BinaryOp op, const std::vector<T>& a, const std::vector<T>& b,
                 const std::vector<T>& want) {
  const Shape s = shape({static_cast<int>(a.size())});
  const HostTensor out = binary(op, tensor(s, a), tensor(s, b), type_of<T>(), s);
  CAPTURE(static_cast<int>(op));
  CHECK(values_of<T>(out) == want);
}

template <class T>
void check_wrapping() {
  constexpr T low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  check_whole<T>(BinaryOp::add, {high, -3, 7}, {1, -4, 0}, {low, -7, 7});
  check_whole<T>(BinaryOp::sub, {low, 5, 0}, {1, 7, low}, {high, -2, low});
  check_whole<T>(BinaryOp::mul, {high, -3, low}, {2, -4, -1}, {-2, 12, low});
  check_whole<T>(BinaryOp::div, {7, -7, 5, low, 1}, {2, 2, 0, -1, low}, {3, -3, 0, low, 0});
  check_whole<T>(BinaryOp::max, {low, 3}, {high, -3}, {high, 3});
  check_whole<T>(BinaryOp::min, {low, 3}, {high, -3}, {low, -3});
  check_whole<T>(BinaryOp::mod, {7, -7, 7, -7, 5, low, 6}, {3, 3, -3, -3, 0, -1, 3},
                 {1, 2, -2, -1, 0, 0, 0});
  check_whole<T>(BinaryOp::fmod, {7, -7, 7, -7, 5, low}, {3, 3, -3, -3, 0, -1},
                 {1, -1, 1, -1, 0, 0});
  check_whole<T>(BinaryOp::pow, {2, -3, 0, 5, 1, -1, -1, 2}, {10, 3, 0, 0, -9, -9, -8, -1},
                 {1024, -27, 1, 1, 1, -1, 1, 0});
}

}  // namespace

TEST_CASE("integers wrap, and a division by zero gives 0") {
  check_wrapping<int32_t>();
  check_wrapping<int64_t>();
  // Powers wrap as repeated products do.
  check_whole<int32_t>(BinaryOp::pow, {3}, {40}, {static_cast<int32_t>(12157665459056928801u)});
}

TEST_CASE("comparisons and logic, broadcast") {
  const HostTensor a = tensor<float>(shape({2, 3}), {1, 2, kNan, 4, -0.0f, 6});
  const HostTensor b = tensor<float>(shape({3}), {2, 2, 2});
  const Shape s = shape({2, 3});
  struct {
    BinaryOp op;
    Bytes want;
  } const rows[] = {{BinaryOp::equal, {0, 1, 0, 0, 0, 0}},
                    {BinaryOp::greater, {0, 0, 0, 1, 0, 1}},
                    {BinaryOp::greater_equal, {0, 1, 0, 1, 0, 1}},
                    {BinaryOp::less, {1, 0, 0, 0, 1, 0}},
                    {BinaryOp::less_equal, {1, 1, 0, 0, 1, 0}}};
  for (const auto& row : rows)
    CHECK(values_of<uint8_t>(binary(row.op, a, b, DType::boolean, s)) == row.want);
  const HostTensor wide = tensor<int64_t>(shape({2}), {int64_t{1} << 40, -1});
  const HostTensor one = tensor<int64_t>(shape({}), {-1});
  CHECK(values_of<uint8_t>(binary(BinaryOp::greater, wide, one, DType::boolean, shape({2}))) ==
        Bytes{1, 0});
  // Any byte but 0 is true.
  const HostTensor p = bools(shape({4}), {0, 1, 2, 255}), q = bools(shape({4}), {0, 0, 1, 128});
  CHECK(values_of<uint8_t>(binary(BinaryOp::equal, p, q, DType::boolean, shape({4}))) ==
        Bytes{1, 0, 1, 1});
  CHECK(values_of<uint8_t>(binary(BinaryOp::logical_and, p, q, DType::boolean, shape({4}))) ==
        Bytes{0, 0, 1, 1});
  CHECK(values_of<uint8_t>(binary(BinaryOp::logical_or, p, q, DType::boolean, shape({4}))) ==
        Bytes{0, 1, 1, 1});
  CHECK(values_of<uint8_t>(binary(BinaryOp::logical_xor, p, q, DType::boolean, shape({4}))) ==
        Bytes{0, 1, 0, 0});
}

TEST_CASE("powers and remainders of floats") {
  const Shape s = shape({4});
  const HostTensor a = tensor<float>(s, {2, -8, 5.5f, -5.5f}),
                   b = tensor<float>(s, {0.5f, 2, 2, 2});
  const HostTensor power = binary(BinaryOp::pow, a, b, DType::f32, s);
  CHECK(difference(power, {std::sqrt(2.0), 64, 30.25, 30.25}) < 1e-6);
  const HostTensor rest = binary(BinaryOp::fmod, a, b, DType::f32, s);
  CHECK(difference(rest, {0, 0, 1.5, -1.5}) < 1e-6);
}

TEST_CASE("types that do not go together are refused") {
  const Shape s = shape({2});
  const HostTensor f = tensor<float>(s, {1, 2}), i = tensor<int32_t>(s, {1, 2}),
                   b = bools(s, {1, 0}), u = tensor<uint8_t>(s, {1, 2});
  const auto refused = [&](BinaryOp op, const HostTensor& x, const HostTensor& y, DType type) {
    const BinaryAttr attr{op, {}};
    Node node;
    node.kind = OpKind::binary;
    node.binary = &attr;
    HostTensor out = result(type, s);
    OpRun run;
    return run(node, {x, y}, &out).id() == 252;
  };
  CHECK(refused(BinaryOp::add, f, i, DType::f32));
  CHECK(refused(BinaryOp::add, i, i, DType::f32));
  CHECK(refused(BinaryOp::add, b, b, DType::boolean));
  CHECK(refused(BinaryOp::add, u, u, DType::u8));
  CHECK(refused(BinaryOp::mod, f, f, DType::f32));
  CHECK(refused(BinaryOp::less, b, b, DType::boolean));
  CHECK(refused(BinaryOp::less, i, i, DType::i32));
  CHECK(refused(BinaryOp::less, i, f, DType::boolean));
  CHECK(refused(BinaryOp::logical_or, i, i, DType::boolean));
}

TEST_CASE("unary functions of integers and bool") {
  const auto run_unary = [](UnaryOp op, const HostTensor& in, HostTensor* out) {
    const UnaryAttr attr{op, 0, 0};
    Node node;
    node.kind = OpKind::unary;
    node.unary = &attr;
    OpRun run;
    return run(node, {in}, out);
  };
  const Shape s = shape({4});
  const std::vector<int64_t> x = {INT64_MIN, -5, 0, 7};
  HostTensor out = result(DType::i64, s);
  REQUIRE(run_unary(UnaryOp::neg, tensor(s, x), &out).ok());
  CHECK(values_of<int64_t>(out) == std::vector<int64_t>{INT64_MIN, 5, 0, -7});
  REQUIRE(run_unary(UnaryOp::abs, tensor(s, x), &out).ok());
  CHECK(values_of<int64_t>(out) == std::vector<int64_t>{INT64_MIN, 5, 0, 7});
  REQUIRE(run_unary(UnaryOp::sign, tensor(s, x), &out).ok());
  CHECK(values_of<int64_t>(out) == std::vector<int64_t>{-1, -1, 0, 1});
  CHECK(run_unary(UnaryOp::exp, tensor(s, x), &out).id() == 252);
  out = result(DType::i32, s);
  REQUIRE(run_unary(UnaryOp::abs, tensor<int32_t>(s, {INT32_MIN, -5, 0, 7}), &out).ok());
  CHECK(values_of<int32_t>(out) == std::vector<int32_t>{INT32_MIN, 5, 0, 7});
  out = result(DType::boolean, s);
  REQUIRE(run_unary(UnaryOp::logical_not, bools(s, {0, 1, 2, 255}), &out).ok());
  CHECK(values_of<uint8_t>(out) == Bytes{1, 0, 0, 0});
  CHECK(run_unary(UnaryOp::neg, bools(s, {0, 1, 2, 255}), &out).id() == 252);
}

TEST_CASE("unary: the functions of trigonometry and their kin") {
  using F = std::function<double(double)>;
  const struct {
    UnaryOp op;
    F f;
  } rows[] = {
      {UnaryOp::round, [](double x) { return std::nearbyint(x); }},
      {UnaryOp::sign, [](double x) { return double((x > 0) - (x < 0)); }},
      {UnaryOp::sin, [](double x) { return std::sin(x); }},
      {UnaryOp::cos, [](double x) { return std::cos(x); }},
      {UnaryOp::tan, [](double x) { return std::tan(x); }},
      {UnaryOp::asin, [](double x) { return std::asin(x); }},
      {UnaryOp::acos, [](double x) { return std::acos(x); }},
      {UnaryOp::atan, [](double x) { return std::atan(x); }},
      {UnaryOp::sinh, [](double x) { return std::sinh(x); }},
      {UnaryOp::cosh, [](double x) { return std::cosh(x); }},
      {UnaryOp::asinh, [](double x) { return std::asinh(x); }},
      {UnaryOp::acosh, [](double x) { return std::acosh(x); }},
      {UnaryOp::atanh, [](double x) { return std::atanh(x); }},
      {UnaryOp::softsign, [](double x) { return x / (1 + std::fabs(x)); }},
      {UnaryOp::thresholded_relu, [](double x) { return x > 0.25 ? x : 0; }},
      {UnaryOp::shrink, [](double x) { return x < -0.25  ? x + 0.75
                                              : x > 0.25 ? x - 0.75
                                                         : 0; }},
      {UnaryOp::celu, [](double x) { return x < 0 ? 0.25 * std::expm1(x / 0.25) : x; }},
      {UnaryOp::gelu_tanh,
       [](double x) {
         return x / 2 *
                (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
       }},
  };
  std::vector<float> x = random_floats(300, 5);
  x[0] = 0.5f, x[1] = 1.5f, x[2] = -2.5f, x[3] = 0, x[4] = 0.25f, x[5] = 3, x[6] = -7;
  const HostTensor in = floats(shape({300}), x);
  for (const auto& row : rows) {
    const UnaryAttr attr{row.op, 0.25f, 0.75f};
    Node node;
    node.kind = OpKind::unary;
    node.unary = &attr;
    HostTensor out = result(DType::f32, in.shape);
    OpRun run;
    REQUIRE(run(node, {in}, &out).ok());
    CAPTURE(run.kernel);
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = row.f(double{x[i]}), got = double{out[i]};
      CHECK(std::isnan(want) == std::isnan(got));
      if (!std::isnan(want)) CHECK(std::fabs(got - want) <= 4e-6 * std::max(1.0, std::fabs(want)));
    }
  }
}

TEST_CASE("select: types, broadcasting, threads") {
  Node node;
  node.kind = OpKind::select;
  OpRun run;
  run.threads = 3;
  const HostTensor condition = bools(shape({2, 1, 2}), {1, 0, 0, 7});
  const HostTensor a = tensor<int64_t>(shape({3, 1}), {1, 2, 3});
  const HostTensor b = tensor<int64_t>(shape({2}), {-1, -2});
  HostTensor out = result(DType::i64, shape({2, 3, 2}));
  REQUIRE(run(node, {condition, a, b}, &out).ok());
  CHECK(values_of<int64_t>(out) == std::vector<int64_t>{1, -2, 2, -2, 3, -2, -1, 1, -1, 2, -1, 3});
  const size_t n = 40000;
  Bytes mask(n);
  for (size_t i = 0; i < n; ++i) mask[i] = i % 3 == 0;
  const Shape s = shape({200, 200});
  const HostTensor x = random_tensor(s, 1), y = random_tensor(s, 2);
  HostTensor big = result(DType::f32, s);
  REQUIRE(run(node, {bools(s, mask), x, y}, &big).ok());
  for (size_t i = 0; i < n; ++i) REQUIRE(big[i] == (i % 3 == 0 ? x[i] : y[i]));
  CHECK(run.guards_held);
  CHECK(run(node, {x, x, y}, &big).id() == 252);
  CHECK(run(node, {bools(shape({3}), {1, 1, 1}), x, y}, &big).id() == 261);
  big.shape = shape({100, 400});
  CHECK(run(node, {bools(s, mask), x, y}, &big).id() == 253);
}

TEST_CASE("casts truncate, saturate and wrap") {
  Node node;
  node.kind = OpKind::cast;
  OpRun run;
  const std::vector<float> x = {1.9f, -1.9f, 0, 300, -300, 3e9f, -3e9f, 1e30f, -kInf, kNan, 0.3f};
  const Shape s = shape({11});
  const HostTensor in = floats(s, x);
  HostTensor out = result(DType::i32, s);
  REQUIRE(run(node, {in}, &out).ok());
  CHECK(values_of<int32_t>(out) == std::vector<int32_t>{1, -1, 0, 300, -300, INT32_MAX, INT32_MIN,
                                                        INT32_MAX, INT32_MIN, 0, 0});
  out = result(DType::i64, s);
  REQUIRE(run(node, {in}, &out).ok());
  CHECK(values_of<int64_t>(out) == std::vector<int64_t>{1, -1, 0, 300, -300, 3000000000,
                                                        -3000000000, INT64_MAX, INT64_MIN, 0, 0});
  out = result(DType::u8, s);
  REQUIRE(run(node, {in}, &out).ok());
  CHECK(values_of<uint8_t>(out) == Bytes{1, 0, 0, 255, 0, 255, 0, 255, 0, 0, 0});
  out = result(DType::boolean, s);
  REQUIRE(run(node, {in}, &out).ok());
  CHECK(values_of<uint8_t>(out) == Bytes{1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1});
  out = result(DType::i8, shape({3}));
  REQUIRE(run(node, {tensor<int64_t>(shape({3}), {300, -1, 128})}, &out).ok());
  CHECK(values_of<int8_t>(out) == std::vector<int8_t>{44, -1, -128});
  out = result(DType::f32, shape({3}));
  REQUIRE(run(node, {bools(shape({3}), {0, 1, 9})}, &out).ok());
  CHECK(difference(out, {0, 1, 1}) == 0);
  out = result(DType::f16, s);
  CHECK(run(node, {in}, &out).id() == 252);
  out = result(DType::i32, shape({10}));
  CHECK(run(node, {in}, &out).id() == 253);
}

}  // namespace qrt::test
