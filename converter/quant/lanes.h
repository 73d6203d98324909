// Thirty-two lanes of a search: two zmm, four ymm or eight xmm registers. Loops over
// them are left to the compiler, which makes vectors of them; every lane keeps its own
// order of operations, so that all widths give the same bits.
#ifndef QRT_CONVERTER_QUANT_LANES_H_
#define QRT_CONVERTER_QUANT_LANES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace qrt::quant {

constexpr size_t kLanes = 32;

// A float as an integer that sorts alike: searches for a minimum and its place are then integer
// reductions, which compilers turn into vectors as they are. -0 sorts below 0; no NaN.
[[gnu::always_inline]] inline int32_t sortable(float value) {
  int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

// The least of `count` keys, a multiple of kLanes, and the lowest of index[i] where it stands.
[[gnu::always_inline]] inline int32_t place_of_least(const int32_t* keys, const int32_t* index,
                                                     size_t count) {
  int32_t lanes[kLanes];
  for (size_t j = 0; j < kLanes; ++j) lanes[j] = keys[j];
  for (size_t i = kLanes; i < count; i += kLanes)
    for (size_t j = 0; j < kLanes; ++j) lanes[j] = keys[i + j] < lanes[j] ? keys[i + j] : lanes[j];
  int32_t least = lanes[0];
  for (size_t j = 0; j < kLanes; ++j) least = lanes[j] < least ? lanes[j] : least;
  for (size_t j = 0; j < kLanes; ++j) lanes[j] = INT32_MAX;
  for (size_t i = 0; i < count; i += kLanes)
    for (size_t j = 0; j < kLanes; ++j) {
      const int32_t place = keys[i + j] == least ? index[i + j] : INT32_MAX;
      lanes[j] = place < lanes[j] ? place : lanes[j];
    }
  int32_t place = lanes[0];
  for (size_t j = 0; j < kLanes; ++j) place = lanes[j] < place ? lanes[j] : place;
  return place;
}

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_LANES_H_
