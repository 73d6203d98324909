// Topology-aware bits of graph features (SGQuant, METHODS 6a): nodes that many others feed may be
// coarser, since aggregation averages their noise.
#ifndef QRT_CONVERTER_QUANT_DEGREE_BITS_H_
#define QRT_CONVERTER_QUANT_DEGREE_BITS_H_

#include <cstdint>

namespace qrt::quant {

// Bits of a feature of a node with `degree` (>= 0) incoming edges: wanted are 32 / sqrt(degree), at
// least 2, 32 where there is one edge or none; the smallest of 1, 2, 4, 8, 16, 32 not below that.
int32_t degree_bits(int64_t degree);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_DEGREE_BITS_H_
