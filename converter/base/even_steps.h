// Thresholds at even distances, as files store them: a start and a step of 32 bits behind the
// point.
#ifndef QRT_CONVERTER_BASE_EVEN_STEPS_H_
#define QRT_CONVERTER_BASE_EVEN_STEPS_H_

#include <cstdint>
#include <optional>
#include <span>

namespace qrt {

// Threshold k = floor((start + k * step) / 2^32).
struct EvenSteps {
  int64_t start = 0, step = 0;
  int64_t at(size_t k) const { return (start + static_cast<int64_t>(k) * step) >> 32; }
};

// No threshold is further from 0, as schema/README.md bounds a start, and no step is wider.
inline constexpr int64_t kMostEvenThreshold = int64_t{1} << 29;
inline constexpr int64_t kMostEvenStep = int64_t{1} << 52;

// Steps whose threshold k lies from low[k] to high[k], for every k; nothing where there are none.
std::optional<EvenSteps> even_steps(std::span<const int64_t> low, std::span<const int64_t> high);

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_EVEN_STEPS_H_
