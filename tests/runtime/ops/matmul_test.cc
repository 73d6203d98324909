// The product of two activations against its definition in double precision.
#include <doctest/doctest.h>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

Node matmul_node() {
  Node node;
  node.kind = OpKind::matmul;
  return node;
}

// The element of an operand that belongs to `outer` (the output's axes before its matrices).
size_t start_of(const Shape& s, const Shape& out, size_t outer) {
  size_t at = 0, step = static_cast<size_t>(s[s.rank - 1]) * static_cast<size_t>(s[s.rank - 2]);
  for (int i = 3; i <= out.rank; ++i) {
    const size_t dim = static_cast<size_t>(out[out.rank - i]);
    const size_t own = i <= s.rank ? static_cast<size_t>(s[s.rank - i]) : 1;
    at += own == 1 ? 0 : outer % dim * step;
    step *= own;
    outer /= dim;
  }
  return at;
}

std::vector<double> naive(const HostTensor& a, const HostTensor& b, const Shape& out) {
  const size_t m = static_cast<size_t>(out[out.rank - 2]),
               n = static_cast<size_t>(out[out.rank - 1]);
  const size_t k = static_cast<size_t>(a.shape[a.shape.rank - 1]);
  std::vector<double> y(*out.elements().get());
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t outer = i / (m * n), row = i / n % m, column = i % n;
    const size_t from_a = start_of(a.shape, out, outer), from_b = start_of(b.shape, out, outer);
    for (size_t j = 0; j < k; ++j)
      y[i] += double{a[from_a + row * k + j]} * b[from_b + j * n + column];
  }
  return y;
}

void check(const Shape& a, const Shape& b, const Shape& out) {
  const std::vector<HostTensor> in = {random_tensor(a, 1), random_tensor(b, 2)};
  const std::vector<double> want = naive(in[0], in[1], out);
  std::vector<unsigned char> first;
  for (uint32_t threads : {1u, 4u}) {
    OpRun run;
    run.threads = threads;
    run.repeats = 2;
    HostTensor got;
    got.shape = out;
    const Status s = run(matmul_node(), in, &got);
    REQUIRE_MESSAGE(s.ok(), s.what());
    CHECK(difference(got, want) < 1e-5);
    CHECK(run.guards_held);
    CHECK(run.repeatable);
    CHECK(run.leaked == 0);
    if (first.empty()) first = got.bytes;
    CHECK(got.bytes == first);
  }
}

}  // namespace

TEST_CASE("matmul: every remainder of the tile") {
  for (int m : {1, 3, 4, 5, 9})
    for (int n : {1, 7, 8, 9, 17}) check(shape({m, 11}), shape({11, n}), shape({m, n}));
  check(shape({1, 1}), shape({1, 1}), shape({1, 1}));
  check(shape({65, 130}), shape({130, 70}), shape({65, 70}));
}

TEST_CASE("matmul: axes before the matrices broadcast") {
  check(shape({3, 5, 6}), shape({6, 9}), shape({3, 5, 9}));
  check(shape({5, 6}), shape({3, 6, 9}), shape({3, 5, 9}));
  check(shape({2, 3, 5, 6}), shape({2, 3, 6, 9}), shape({2, 3, 5, 9}));
  check(shape({2, 1, 5, 6}), shape({3, 6, 9}), shape({2, 3, 5, 9}));
  check(shape({4, 1, 2, 6}), shape({1, 3, 6, 2}), shape({4, 3, 2, 2}));
  check(shape({2, 1, 2, 1, 3, 4}), shape({2, 1, 3, 4, 5}), shape({2, 2, 2, 3, 3, 5}));
}

TEST_CASE("matmul: NaNs and infinities are those of IEEE 754") {
  HostTensor out;
  out.shape = shape({1, 2});
  OpRun run;
  const HostTensor a = floats(shape({1, 2}), {1, 0}), b = floats(shape({2, 2}), {1, 2, kInf, 3});
  REQUIRE(run(matmul_node(), {a, b}, &out).ok());
  CHECK(std::isnan(out[0]));
  CHECK(out[1] == 2);
}

TEST_CASE("matmul: refuses what cannot be multiplied") {
  const auto refusal = [](const Shape& a, const Shape& b, const Shape& y, DType type = DType::f32) {
    HostTensor out;
    out.shape = y;
    OpRun run;
    std::vector<HostTensor> in = {random_tensor(a, 1), random_tensor(b, 2)};
    in[1].dtype = type;
    const Status s = run(matmul_node(), in, &out);
    CHECK(run.leaked == 0);
    return s.id();
  };
  CHECK(refusal(shape({2, 3}), shape({3, 4}), shape({2, 4}), DType::i32) == 252);
  CHECK(refusal(shape({2, 3}), shape({3, 4}), shape({2, 5})) == 253);
  CHECK(refusal(shape({3}), shape({3, 4}), shape({4})) == 290);
  CHECK(refusal(shape({2, 3}), shape({4, 3}), shape({2, 3})) == 290);
  CHECK(refusal(shape({2, 2, 3}), shape({3, 3, 4}), shape({3, 2, 4})) == 261);
}

}  // namespace qrt::test
