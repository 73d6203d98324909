// Threads::split: every item once, no lane twice at a time, any count and grain.
#include "runtime/session/threads.h"

#include <doctest/doctest.h>

#include <atomic>
#include <vector>

namespace qrt {
namespace {

TEST_CASE("split covers the range once, in chunks of the grain") {
  for (const uint32_t count : {1u, 2u, 5u}) {
    Threads threads;
    threads.start(count);
    CHECK(threads.count() <= count);
    for (const size_t n : {0u, 1u, 2u, 7u, 64u, 1000u}) {
      for (const size_t grain : {0u, 1u, 3u, 64u, 5000u}) {
        std::vector<std::atomic<int>> seen(n), busy(threads.count());
        std::atomic<int> bad{0};
        threads.split(n, grain, [&](size_t begin, size_t end, uint32_t thread) {
          if (thread >= threads.count() || busy[thread].exchange(1) != 0) ++bad;
          const size_t chunk = grain == 0 ? 1 : grain;
          if (begin >= end || end > n || end - begin > chunk || begin % chunk != 0) ++bad;
          for (size_t i = begin; i < end; ++i) ++seen[i];
          busy[thread] = 0;
        });
        CHECK(bad == 0);
        for (const auto& s : seen) CHECK(s == 1);
      }
    }
  }
}

TEST_CASE("many splits in a row, more threads than cores") {
  Threads threads;
  threads.start(4);
  std::atomic<size_t> sum{0};
  for (int round = 0; round < 50; ++round)
    threads.split(100, 7, [&](size_t begin, size_t end, uint32_t) { sum += end - begin; });
  CHECK(sum == 5000);
}

TEST_CASE("an absurd count is capped; starting again changes nothing") {
  Threads threads;
  CHECK(threads.count() == 1);
  CHECK(threads.pool() == nullptr);
  CHECK(threads.start(1));
  threads.start(4);
  const uint32_t count = threads.count();
  threads.start(2);
  CHECK(threads.count() == count);
  Threads many;
  many.start(1u << 31);
  CHECK(many.count() <= Threads::kMost);
}

}  // namespace
}  // namespace qrt
