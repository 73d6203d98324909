// The arena planner: buffers alive together never overlap, whatever the lifetimes.
#include "runtime/memory/planner.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace qrt {
namespace {

struct Plan {
  Expected<size_t> bytes;
  std::vector<size_t> offsets;
};

Plan plan(const std::vector<Lifetime>& lives, size_t align = 64) {
  std::vector<size_t> offsets(lives.size());
  std::vector<uint32_t> work(2 * lives.size());
  Expected<size_t> bytes = plan_arena({lives.data(), lives.size()}, align,
                                      {offsets.data(), offsets.size()}, {work.data(), work.size()});
  return {bytes, offsets};
}

size_t up(size_t bytes, size_t align) {
  return (bytes + align - 1) / align * align;
}

TEST_CASE("random lifetimes: aligned, no overlap, between the two bounds") {
  std::mt19937 rng(1);
  const auto pick = [&](uint32_t n) { return static_cast<int32_t>(rng() % n); };
  for (int round = 0; round < 400; ++round) {
    const size_t align = size_t{1} << pick(8);
    std::vector<Lifetime> lives(static_cast<size_t>(pick(40)));
    for (Lifetime& life : lives) {
      const int32_t first = pick(30);
      life = {static_cast<size_t>(pick(3) == 0 ? pick(100000) : pick(500)), first,
              first + pick(round % 2 == 0 ? 4 : 30)};
    }
    const Plan p = plan(lives, align);
    REQUIRE(p.bytes.ok());
    size_t naive = 0, peak = 0;
    for (size_t i = 0; i < lives.size(); ++i) {
      CHECK(p.offsets[i] % align == 0);
      CHECK(p.offsets[i] + lives[i].bytes <= *p.bytes);
      naive += up(lives[i].bytes, align);
      for (size_t j = 0; j < i; ++j) {
        const bool together = lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
        const bool apart = p.offsets[i] + lives[i].bytes <= p.offsets[j] ||
                           p.offsets[j] + lives[j].bytes <= p.offsets[i];
        REQUIRE((!together || apart || lives[i].bytes == 0 || lives[j].bytes == 0));
      }
    }
    for (int32_t step = 0; step < 60; ++step) {
      size_t alive = 0;
      for (const Lifetime& life : lives)
        if (life.first <= step && step <= life.last) alive += life.bytes;
      peak = std::max(peak, alive);
    }
    CHECK(*p.bytes <= naive);  // never worse than giving each its own place
    CHECK(*p.bytes >= peak);   // never better than what is alive at once
  }
}

TEST_CASE("a chain of layers needs two places") {
  std::vector<Lifetime> lives;
  for (int32_t i = 0; i < 20; ++i) lives.push_back({4096, i, i + 1});
  const Plan p = plan(lives);
  CHECK(*p.bytes == 8192);
}

TEST_CASE("a residual block needs three") {
  // x is read by the first convolution and, two steps later, by the addition.
  const Plan p = plan({{1000, 0, 3}, {1000, 1, 2}, {1000, 2, 3}, {1000, 3, 4}});
  CHECK(*p.bytes == 2 * 1024 + 1000);
}

TEST_CASE("a small buffer fills the gap between two big ones") {
  const Plan p = plan({{640, 0, 1}, {320, 0, 0}, {640, 0, 9}, {320, 1, 9}});
  CHECK(*p.bytes == 640 + 640 + 320);
}

TEST_CASE("the edges: nothing, zero bytes, sizes that overflow") {
  CHECK(*plan({}).bytes == 0);
  CHECK(*plan({{0, 0, 5}, {0, 0, 5}}).bytes == 0);
  CHECK(plan({{SIZE_MAX, 0, 1}}).bytes.status().id() == 40);
  CHECK(plan({{SIZE_MAX / 2, 0, 1}, {SIZE_MAX / 2, 5, 6}, {128, 0, 9}}).bytes.status().id() == 40);
}

}  // namespace
}  // namespace qrt
