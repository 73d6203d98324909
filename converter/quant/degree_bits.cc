// In whole numbers: b >= 32 / sqrt(D) where D b^2 >= 1024, so that no root decides at a threshold.
#include "converter/quant/degree_bits.h"

namespace qrt::quant {

int32_t degree_bits(int64_t degree) {
  constexpr int64_t kMost = 32, kManyEdges = 1024;
  if (degree <= 1) return kMost;
  if (degree > kManyEdges) return 2;
  int64_t bits = 2;  // 1 would be below the least wanted
  while (bits < kMost && degree * bits * bits < kMost * kMost) bits *= 2;
  return static_cast<int32_t>(bits);
}

}  // namespace qrt::quant
