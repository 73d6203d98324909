// Work over threads without a pool: split() cuts a range into one contiguous part
// per thread. Callers write results that no other part touches and add nothing up
// across parts, so that bytes never depend on the number of threads.
#ifndef QRT_CONVERTER_BASE_PARALLEL_H_
#define QRT_CONVERTER_BASE_PARALLEL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace qrt {

// What a request for `threads` means: 0 stands for every core, and 64 are the most.
inline size_t thread_count(int32_t threads) {
  const size_t wanted =
      threads > 0 ? static_cast<size_t>(threads) : size_t{std::thread::hardware_concurrency()};
  return std::clamp<size_t>(wanted, 1, 64);
}

// Calls run(begin, end) for parts that cover [0, count) once each, at the same time, and returns
// when all are done. The calling thread takes the first part.
template <class Fn>
void split(size_t count, size_t threads, const Fn& run) {
  threads = std::clamp<size_t>(std::min(threads, count), 1, 64);
  std::vector<std::thread> others;
  for (size_t t = 1; t < threads; ++t)
    others.emplace_back([&, t] { run(count * t / threads, count * (t + 1) / threads); });
  run(0, count / threads);
  for (std::thread& t : others) t.join();
}

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_PARALLEL_H_
