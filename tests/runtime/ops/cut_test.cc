// slice, tile and gather against their definitions, one element at a time, for
// every element type.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/runtime/ops/elements.h"

namespace qrt::test {
namespace {

// The input index of every output index of one axis.
using Source = std::vector<std::vector<int>>;

// Runs the node and compares each element with the one that `source` names.
void check_moves(const Node& node, const Shape& in_shape, const Source& source) {
  for (DType type : kTypes) {
    const HostTensor in = bytes_tensor(type, in_shape, 5);
    HostTensor out;
    out.dtype = type;
    for (const auto& axis : source) out.shape[out.shape.rank++] = static_cast<int>(axis.size());
    OpRun run;
    run.threads = 3;
    const Status status = run(node, {in}, &out);
    REQUIRE_MESSAGE(status.ok(), status.what());
    CHECK(run.guards_held);
    size_t wrong = 0;
    for (size_t i = 0; i < out.count(); ++i) {
      std::vector<int> at = indices(out.shape, i);
      for (size_t k = 0; k < at.size(); ++k) at[k] = source[k][static_cast<size_t>(at[k])];
      if (element(out, i) != element(in, flat_of(in_shape, at))) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

struct Cut {
  int start, step, size;  // size 0: whole
};
Node slice_node(SliceAttr& attr, const std::vector<Cut>& cuts) {
  attr = {};
  for (size_t k = 0; k < cuts.size(); ++k) {
    attr.start[k] = cuts[k].start;
    attr.step[k] = cuts[k].step;
    attr.size[k] = cuts[k].size;
  }
  Node node;
  node.kind = OpKind::slice;
  node.slice = &attr;
  return node;
}

void check_slice(const Shape& shape, const std::vector<Cut>& cuts) {
  SliceAttr attr;
  Source source;
  for (size_t k = 0; k < cuts.size(); ++k) {
    source.emplace_back();
    const Cut& c = cuts[k];
    const int n = c.size == 0 ? shape[static_cast<int>(k)] : c.size;
    for (int i = 0; i < n; ++i) source[k].push_back(c.size == 0 ? i : c.start + i * c.step);
  }
  check_moves(slice_node(attr, cuts), shape, source);
}

void check_tile(const Shape& shape, const std::vector<int>& repeats) {
  TileAttr attr{};
  Source source;
  for (size_t k = 0; k < repeats.size(); ++k) {
    attr.repeats[k] = repeats[k];
    source.emplace_back();
    const int n = shape[static_cast<int>(k)];
    for (int i = 0; i < n * repeats[k]; ++i) source[k].push_back(i % n);
  }
  Node node;
  node.kind = OpKind::tile;
  node.tile = &attr;
  check_moves(node, shape, source);
}

}  // namespace

TEST_CASE("slice: starts, steps, backwards, every rank") {
  check_slice(shape({}), {});
  check_slice(shape({7}), {{2, 1, 4}});
  check_slice(shape({7}), {{6, -1, 7}});
  check_slice(shape({7}), {{5, -2, 3}});
  check_slice(shape({4, 5, 6}), {{0, 1, 0}, {1, 2, 2}, {0, 1, 0}});
  check_slice(shape({4, 5, 6}), {{3, -1, 4}, {0, 1, 0}, {5, -5, 2}});
  check_slice(shape({4, 5, 6}), {{1, 1, 1}, {4, 1, 1}, {0, 1, 0}});
  check_slice(shape({2, 3, 2, 3, 2, 3}),
              {{0, 1, 0}, {2, -1, 3}, {1, 1, 1}, {0, 2, 2}, {1, -1, 2}, {0, 2, 2}});
  check_slice(shape({2, 70, 71, 8}), {{0, 1, 0}, {1, 1, 64}, {3, 1, 64}, {0, 1, 0}});  // threads
}

TEST_CASE("slice: refuses what reaches outside") {
  for (const Cut& c : {Cut{3, 1, 1}, Cut{-1, 1, 1}, Cut{0, 2, 3}, Cut{1, -1, 3}}) {
    SliceAttr attr;
    HostTensor out;
    out.shape = shape({c.size});
    OpRun run;
    CHECK(run(slice_node(attr, {c}), {random_tensor(shape({3}), 1)}, &out).id() == 275);
  }
  SliceAttr attr;
  HostTensor out;
  out.shape = shape({2});
  OpRun run;
  CHECK(run(slice_node(attr, {{0, 1, 3}}), {random_tensor(shape({3}), 1)}, &out).id() == 253);
}

TEST_CASE("tile: every axis, and broadcasts") {
  check_tile(shape({}), {});
  check_tile(shape({3}), {1});
  check_tile(shape({3}), {4});
  check_tile(shape({2, 3, 4}), {2, 1, 3});
  check_tile(shape({3, 1, 4}), {1, 5, 1});
  check_tile(shape({3, 1}), {1, 9});
  check_tile(shape({1, 1, 1}), {2, 3, 4});
  check_tile(shape({2, 1, 2, 1, 2, 3}), {2, 2, 2, 2, 2, 2});
  check_tile(shape({1, 3, 50, 4}), {8, 1, 9, 2});  // threads
}

TEST_CASE("tile: refuses none and too many") {
  for (int repeats : {0, -1, INT32_MAX}) {
    const TileAttr attr{{repeats}};
    Node node;
    node.kind = OpKind::tile;
    node.tile = &attr;
    HostTensor out;
    out.shape = shape({3});
    OpRun run;
    CHECK(run(node, {random_tensor(shape({3}), 1)}, &out).id() == 276);
  }
}

TEST_CASE("gather: every axis, both index types, negative indices") {
  const Shape in_shape = shape({3, 4, 5});
  for (DType type : kTypes) {
    const HostTensor in = bytes_tensor(type, in_shape, 7);
    for (int axis = 0; axis < 3; ++axis)
      for (const bool wide : {false, true}) {
        const std::vector<int64_t> list = {2, 0, -1, -3, 1, 2};
        const Shape at_shape = shape({2, 3});
        const HostTensor at =
            wide ? tensor_of(DType::i64, at_shape, list)
                 : tensor_of(DType::i32, at_shape, std::vector<int32_t>(list.begin(), list.end()));
        HostTensor out;
        out.dtype = type;
        for (int k = 0; k < axis; ++k) out.shape[out.shape.rank++] = in_shape[k];
        for (int k = 0; k < 2; ++k) out.shape[out.shape.rank++] = at_shape[k];
        for (int k = axis + 1; k < 3; ++k) out.shape[out.shape.rank++] = in_shape[k];
        const GatherAttr attr{axis};
        Node node;
        node.kind = OpKind::gather;
        node.gather = &attr;
        OpRun run;
        run.threads = 2;
        const Status status = run(node, {in, at}, &out);
        REQUIRE_MESSAGE(status.ok(), status.what());
        CHECK(run.guards_held);
        size_t wrong = 0;
        for (size_t i = 0; i < out.count(); ++i) {
          std::vector<int> from = indices(out.shape, i);
          const auto a = static_cast<long>(axis);
          const int64_t index = list[flat_of(
              at_shape, {from[static_cast<size_t>(axis)], from[static_cast<size_t>(axis) + 1]})];
          from.erase(from.begin() + a, from.begin() + a + 2);
          from.insert(from.begin() + a,
                      static_cast<int>(index < 0 ? index + in_shape[axis] : index));
          if (element(out, i) != element(in, flat_of(in_shape, from))) ++wrong;
        }
        CHECK(wrong == 0);
      }
  }
}

TEST_CASE("gather: a single index takes the axis away; refusals") {
  const HostTensor in = floats(shape({2, 3}), {1, 2, 3, 4, 5, 6});
  GatherAttr attr{1};
  Node node;
  node.kind = OpKind::gather;
  node.gather = &attr;
  HostTensor out;
  out.shape = shape({2});
  OpRun run;
  const auto at = [](int64_t index) {
    return tensor_of(DType::i64, shape({}), std::vector<int64_t>{index});
  };
  REQUIRE(run(node, {in, at(-1)}, &out).ok());
  CHECK(out[0] == 3);
  CHECK(out[1] == 6);
  CHECK(run(node, {in, at(3)}, &out).id() == 277);
  CHECK(run(node, {in, at(-4)}, &out).id() == 277);
  CHECK(run(node, {in, at(INT64_MIN)}, &out).id() == 277);
  CHECK(run(node, {in, floats(shape({}), {0})}, &out).id() == 252);
  CHECK(run(node, {in}, &out).id() == 251);
  attr.axis = 2;
  CHECK(run(node, {in, at(0)}, &out).id() == 260);
  attr.axis = 1;
  out.shape = shape({3});
  CHECK(run(node, {in, at(0)}, &out).id() == 253);
}

TEST_CASE("expand: as often as the second input's dimension 0 says") {
  for (DType type : kTypes) {
    const HostTensor in = bytes_tensor(type, shape({1, 2, 3}), 8);
    HostTensor out;
    out.dtype = type;
    out.shape = shape({4, 2, 3});
    Node node;
    node.kind = OpKind::expand;
    OpRun run;
    const Status status = run(node, {in, random_tensor(shape({4, 5}), 1)}, &out);
    REQUIRE_MESSAGE(status.ok(), status.what());
    CHECK(run.guards_held);
    for (size_t i = 0; i < out.count(); ++i) CHECK(element(out, i) == element(in, i % 6));
  }
  HostTensor out;
  out.shape = shape({4, 3});
  Node node;
  node.kind = OpKind::expand;
  OpRun run;
  const HostTensor like = random_tensor(shape({4}), 1), two = random_tensor(shape({2, 3}), 1);
  CHECK(run(node, {two, like}, &out).id() == 279);
  CHECK(run(node, {random_tensor(shape({}), 1), like}, &out).id() == 279);
  CHECK(run(node, {two}, &out).id() == 251);
  const HostTensor one = random_tensor(shape({1, 3}), 1);
  CHECK(run(node, {one, random_tensor(shape({5}), 1)}, &out).id() == 253);
  CHECK(run(node, {bytes_tensor(DType::i32, shape({1, 3}), 1), like}, &out).id() == 252);
}

}  // namespace qrt::test
