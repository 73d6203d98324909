// Random numbers that are the same on every platform: std::mt19937_64 is defined
// to the bit, the standard distributions are not.
#ifndef QRT_CONVERTER_QUANT_RANDOM_H_
#define QRT_CONVERTER_QUANT_RANDOM_H_

#include <cstdint>
#include <random>

namespace qrt::quant {

class Random {
 public:
  explicit Random(uint64_t seed) : bits_(seed) {}

  // Uniform in 0..n-1 but for a bias of n / 2^53.
  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }

  // In [0, 1), multiples of 2^-53.
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }

  // Mean 0, variance 1, close to normal: the sum of twelve uniforms. No logarithm, whose last
  // bit differs between libraries.
  double normal() {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::mt19937_64 bits_;
};

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_RANDOM_H_
