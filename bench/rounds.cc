// See rounds.h.
#include "bench/rounds.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace qrt::bench {
namespace {

double microseconds(Contestant& c, size_t calls) {
  const double start = thread_us();
  for (size_t i = 0; i < calls; ++i) c.run();
  return (thread_us() - start) / static_cast<double>(calls);
}

}  // namespace

double thread_us() {
  timespec now;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double best(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

double speed_ratio(const Contestant& base, const Contestant& contestant) {
  std::vector<double> ratios;
  for (size_t i = 0; i < base.us.size() && i < contestant.us.size(); ++i)
    ratios.push_back(base.us[i] / contestant.us[i]);
  return median(ratios);
}

double calibrate_calls(Contestant& c, double least_us) {
  c.run();
  double us = microseconds(c, 1);
  if (us > 20000) return us;
  // Short calls are timed again, many at once, so that the clock itself does not count.
  for (int i = 0; i < 2; ++i) {
    const double calls = std::ceil(std::min(least_us, 500.0) / std::max(us, 0.05));
    us = std::min(us, microseconds(c, static_cast<size_t>(std::max(calls, 1.0))));
  }
  c.calls = static_cast<size_t>(std::max(1.0, std::ceil(least_us / std::max(us, 0.01))));
  return us;
}

void run_rounds(std::vector<Contestant>& all, size_t rounds) {
  for (size_t r = 0; r < rounds; ++r)
    for (size_t i = 0; i < all.size(); ++i) {
      Contestant& c = all[(i + r) % all.size()];
      c.run();
      c.us.push_back(microseconds(c, c.calls));
    }
}

}  // namespace qrt::bench
