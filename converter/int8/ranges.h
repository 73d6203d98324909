// Which numbers the 256 bytes of an activation stand for: histograms over sample
// inputs, and three ways to choose a range from one.
#ifndef QRT_CONVERTER_INT8_RANGES_H_
#define QRT_CONVERTER_INT8_RANGES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/ir/graph.h"

namespace qrt::int8 {

enum class RangeMode { minmax, percentile, mse };

// Counts values in equal bins over [-limit, limit). The limit is a power of two and doubles as
// larger values come, two bins becoming one, so that one pass over the data is enough and its order
// does not matter.
class Histogram {
 public:
  // False, and nothing is added, where a value is not finite.
  bool add(std::span<const float> values);

  int64_t count() const { return count_; }
  float least() const { return least_; }
  float most() const { return most_; }
  bool constant() const { return least_ == most_; }

  // Sum over all values of the squared error that bytes from `low` to `high` make.
  double error(double low, double high) const;
  // The value that the share `q` of all values lie below.
  double quantile(double q) const;

 private:
  void grow(float magnitude);
  double centre(size_t bin) const;

  double limit_ = 0;
  std::vector<int64_t> bins_;
  int64_t count_ = 0;
  float least_ = 0, most_ = 0;
};

// An interval that holds 0, as every padding needs.
struct Range {
  float low = 0, high = 0;
};

Range choose_range(const Histogram&, RangeMode);

// 0 is exactly a byte; low 0 has the zero 0. An empty range has the scale 1: 0 is all there is.
ir::Quantization quantization_of(Range);

}  // namespace qrt::int8

#endif  // QRT_CONVERTER_INT8_RANGES_H_
