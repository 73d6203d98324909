// What one core of this machine can do at most, measured: the denominators of "of ceiling". They
// are loops of independent multiply-adds in registers and of loads, in the process that uses them.
#ifndef QRT_BENCH_CEILINGS_H_
#define QRT_BENCH_CEILINGS_H_

#include <string>

namespace qrt::bench {

// 0 where the CPU cannot.
struct Ceilings {
  double f32_256, f32_512;  // fused multiply-adds, GFLOP/s
  double i8_256;            // vpmaddubsw, vpmaddwd, vpaddd: u8 x s8 without VNNI, GOP/s
  double i8_512;            // the same in zmm
  double vnni_512;          // vpdpbusd, GOP/s
  double l1, l2, dram;      // loads, GB/s: 16 KiB, 512 KiB, 128 MiB
};
Ceilings measure_ceilings();

// The multiply-add ceiling for code of an ISA level; 0: unknown.
double arithmetic_ceiling(const Ceilings&, const std::string& level, bool is_integer);

}  // namespace qrt::bench

#endif  // QRT_BENCH_CEILINGS_H_
