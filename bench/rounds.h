// Interleaved measurement: in every round each contestant runs once without and then often enough
// with the clock to fill a few milliseconds, and who is first changes from round to round. A
// machine that slows down slows all of a round alike, so times are compared within rounds:
// a ratio is the median over rounds of the ratios. The clock is that of the calling thread.
#ifndef QRT_BENCH_ROUNDS_H_
#define QRT_BENCH_ROUNDS_H_

#include <cstddef>
#include <functional>
#include <vector>

namespace qrt::bench {

struct Contestant {
  std::function<void()> run;
  size_t calls = 1;        // per round
  std::vector<double> us;  // of one call, by round
};

// The calling thread's own time: what another program takes away from it does not count.
double thread_us();

double median(std::vector<double> values);  // of at least one
double best(const std::vector<double>& values);

// The median over rounds of base / contestant: how many times faster the contestant is.
double speed_ratio(const Contestant& base, const Contestant& contestant);

// Sets `calls` so that they take `least_us` together, from a few runs; returns their best.
double calibrate_calls(Contestant&, double least_us);

// Adds `rounds` samples to everybody's `us`.
void run_rounds(std::vector<Contestant>&, size_t rounds);

}  // namespace qrt::bench

#endif  // QRT_BENCH_ROUNDS_H_
