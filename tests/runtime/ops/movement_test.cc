// concat, transpose, reshape and pad: every element type, every axis.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "tests/runtime/ops/elements.h"

namespace qrt::test {
namespace {

void check_transpose(DType type, const Shape& s, const std::vector<int>& perm) {
  TransposeAttr attr{};
  HostTensor out;
  out.dtype = type;
  out.shape.rank = s.rank;
  for (int i = 0; i < s.rank; ++i) {
    attr.perm[i] = perm[static_cast<size_t>(i)];
    out.shape[i] = s[attr.perm[i]];
  }
  Node node;
  node.kind = OpKind::transpose;
  node.transpose = &attr;
  const HostTensor in = bytes_tensor(type, s, 3);
  OpRun run;
  run.threads = 3;
  const Status status = run(node, {in}, &out);
  REQUIRE_MESSAGE(status.ok(), status.what());
  CHECK(run.guards_held);
  size_t wrong = 0;
  for (size_t i = 0; i < out.count(); ++i) {
    const std::vector<int> at = indices(out.shape, i);
    std::vector<int> from(at.size());
    for (size_t k = 0; k < at.size(); ++k) from[static_cast<size_t>(perm[k])] = at[k];
    if (element(out, i) != element(in, flat_of(s, from))) ++wrong;
  }
  CHECK(wrong == 0);
}

struct PadCase {
  PadMode mode;
  Shape shape;
  std::vector<int> before, after;
  float value = 0;
};

Status run_pad(const PadCase& c, const HostTensor& in, HostTensor* out) {
  PadAttr attr{c.mode, {}, {}, c.value};
  out->dtype = in.dtype;
  out->shape = c.shape;
  for (int i = 0; i < c.shape.rank; ++i) {
    attr.before[i] = c.before[static_cast<size_t>(i)];
    attr.after[i] = c.after[static_cast<size_t>(i)];
    const int64_t extent = int64_t{c.shape[i]} + attr.before[i] + attr.after[i];
    out->shape[i] = static_cast<int32_t>(std::min<int64_t>(extent, INT32_MAX));
  }
  Node node;
  node.kind = OpKind::pad;
  node.pad = &attr;
  OpRun run;
  run.threads = 2;
  const Status s = run(node, {in}, out);
  if (s.ok()) CHECK(run.guards_held);
  return s;
}

void check_pad(const PadCase& c) {
  for (DType type : kTypes) {
    if (type == DType::f16 && c.value != 0) continue;
    const HostTensor in = bytes_tensor(type, c.shape, 4);
    HostTensor out;
    const Status status = run_pad(c, in, &out);
    REQUIRE_MESSAGE(status.ok(), status.what());
    size_t wrong = 0;
    for (size_t i = 0; i < out.count(); ++i) {
      std::vector<int> at = indices(out.shape, i);
      bool outside = false;
      for (size_t k = 0; k < at.size(); ++k) {
        const int last = c.shape[static_cast<int>(k)] - 1;
        at[k] -= c.before[k];
        outside = outside || at[k] < 0 || at[k] > last;
        if (c.mode == PadMode::reflect)
          at[k] = at[k] < 0 ? -at[k] : at[k] > last ? 2 * last - at[k] : at[k];
        if (c.mode == PadMode::edge) at[k] = std::min(std::max(at[k], 0), last);
      }
      std::vector<unsigned char> want;
      if (outside && c.mode == PadMode::constant) {
        want.assign(size_of(type), 0);
        if (type == DType::f32)
          std::memcpy(want.data(), &c.value, 4);
        else
          want[0] = static_cast<unsigned char>(c.value);
      } else {
        want = element(in, flat_of(c.shape, at));
      }
      if (element(out, i) != want) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

}  // namespace

TEST_CASE("transpose: all permutations of rank 4, every element size") {
  for (DType type : kTypes) {
    std::vector<int> perm(4);
    std::iota(perm.begin(), perm.end(), 0);
    do {
      check_transpose(type, shape({2, 3, 5, 4}), perm);
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}

TEST_CASE("transpose: fast paths and odd shapes") {
  check_transpose(DType::f32, shape({1, 3, 40, 41}), {0, 2, 3, 1});
  check_transpose(DType::f32, shape({2, 40, 41, 3}), {0, 3, 1, 2});
  check_transpose(DType::f32, shape({2, 7, 9, 65}), {0, 3, 1, 2});
  check_transpose(DType::f32, shape({100, 333}), {1, 0});
  check_transpose(DType::f32, shape({1, 1, 1, 7}), {3, 0, 1, 2});
  check_transpose(DType::i64, shape({5}), {0});
  check_transpose(DType::u8, shape({2, 3, 2, 3, 2, 2}), {5, 3, 1, 0, 2, 4});
  check_transpose(DType::f32, shape({40, 2, 30, 30}), {2, 1, 0, 3});
}

TEST_CASE("transpose: refuses what is no permutation") {
  for (int wrong : {-1, 2, 0}) {
    TransposeAttr attr{{0, wrong}};
    Node node;
    node.kind = OpKind::transpose;
    node.transpose = &attr;
    HostTensor out;
    out.shape = shape({2, 3});
    OpRun run;
    CHECK(run(node, {random_tensor(shape({2, 3}), 1)}, &out).id() == 260);
  }
}

TEST_CASE("concat: every axis and type, inputs of different extent") {
  for (DType type : kTypes)
    for (int axis = 0; axis < 3; ++axis) {
      std::vector<HostTensor> in;
      HostTensor out;
      out.dtype = type;
      out.shape = shape({3, 4, 5});
      out.shape[axis] = 0;
      for (int extent : {2, 1, 6}) {
        Shape s = shape({3, 4, 5});
        s[axis] = extent;
        in.push_back(bytes_tensor(type, s, static_cast<uint32_t>(extent)));
        out.shape[axis] += extent;
      }
      const ConcatAttr attr{axis};
      Node node;
      node.kind = OpKind::concat;
      node.concat = &attr;
      OpRun run;
      run.threads = 2;
      REQUIRE(run(node, in, &out).ok());
      CHECK(run.guards_held);
      size_t wrong = 0;
      for (size_t i = 0; i < out.count(); ++i) {
        std::vector<int> at = indices(out.shape, i);
        size_t part = 0;
        while (at[static_cast<size_t>(axis)] >= in[part].shape[axis])
          at[static_cast<size_t>(axis)] -= in[part++].shape[axis];
        if (element(out, i) != element(in[part], flat_of(in[part].shape, at))) ++wrong;
      }
      CHECK(wrong == 0);
    }
}

TEST_CASE("concat and reshape: refusals") {
  const HostTensor a = random_tensor(shape({2, 3}), 1), b = random_tensor(shape({2, 4}), 1);
  ConcatAttr attr{0};
  Node node;
  node.kind = OpKind::concat;
  node.concat = &attr;
  HostTensor out;
  out.shape = shape({4, 3});
  OpRun run;
  CHECK(run(node, {a, b}, &out).id() == 253);
  attr.axis = 2;
  CHECK(run(node, {a, a}, &out).id() == 260);
  CHECK(run(node, {}, &out).id() == 251);
  Node reshape;
  CHECK(run(reshape, {a}, &out).id() == 253);
  out.shape = shape({6});
  out.dtype = DType::i32;
  CHECK(run(reshape, {a}, &out).id() == 252);
}

TEST_CASE("reshape: a copy of any type") {
  for (DType type : kTypes) {
    const HostTensor in = bytes_tensor(type, shape({2, 3, 4}), 9);
    HostTensor out;
    out.dtype = type;
    out.shape = shape({24});
    OpRun run;
    REQUIRE(run(Node(), {in}, &out).ok());
    CHECK(out.bytes == in.bytes);
    CHECK(run.guards_held);
  }
}

TEST_CASE("pad: modes, axes, types") {
  check_pad({PadMode::constant, shape({2, 3, 4}), {1, 0, 2}, {0, 3, 1}});
  check_pad({PadMode::constant, shape({2, 3, 4}), {1, 0, 2}, {0, 3, 1}, 1.0f});
  check_pad({PadMode::constant, shape({3}), {2}, {5}});
  check_pad({PadMode::constant, shape({2, 2, 2, 2, 2, 2}), {1, 0, 1, 0, 1, 0}, {0, 1, 0, 1, 0, 1}});
  check_pad({PadMode::constant, shape({}), {}, {}});
  check_pad({PadMode::reflect, shape({2, 5, 4}), {1, 4, 3}, {1, 0, 3}});
  check_pad({PadMode::reflect, shape({1, 3}), {0, 2}, {0, 2}});
  check_pad({PadMode::edge, shape({2, 1, 4}), {3, 2, 1}, {0, 5, 7}});
  check_pad({PadMode::constant, shape({1, 60, 60, 8}), {0, 3, 3, 0}, {0, 3, 3, 0}});
}

TEST_CASE("pad: refusals") {
  HostTensor out;
  const HostTensor in = random_tensor(shape({2, 3}), 1);
  CHECK(run_pad({PadMode::constant, in.shape, {0, -1}, {0, 0}}, in, &out).id() == 262);
  CHECK(run_pad({PadMode::reflect, in.shape, {2, 0}, {0, 0}}, in, &out).id() == 262);
  CHECK(run_pad({PadMode::constant, in.shape, {0, 0}, {0, INT32_MAX}}, in, &out).id() == 262);
  const HostTensor whole = bytes_tensor(DType::i8, in.shape, 1);
  CHECK(run_pad({PadMode::constant, in.shape, {1, 0}, {0, 0}, 0.5f}, whole, &out).id() == 262);
  CHECK(run_pad({PadMode::constant, in.shape, {1, 0}, {0, 0}, 1e30f}, whole, &out).id() == 262);
}

}  // namespace qrt::test
