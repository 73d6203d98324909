// The layers that kernels_bench measures.
#ifndef QRT_BENCH_SHAPES_H_
#define QRT_BENCH_SHAPES_H_

#include <vector>

#include "bench/layers.h"

namespace qrt::bench {

struct BenchShape {
  LayerShape layer;
  uint32_t dim;       // of our blocks
  const char* set;    // main: products measured in depth; nets: the other layers of
                      // networks; bits: products and 3x3 layers of 1 x 1 bit;
                      // lowbit: weights of 1, 2 and 4 bits against int8 alone; esb: ESB likewise
  bool cold = false;  // weights from memory: as many copies take turns as no cache can hold
};

// ResNet-18 and -50, MobileNet v1 and v2, classifiers, products of a matrix with one row.
const std::vector<BenchShape>& bench_shapes();

}  // namespace qrt::bench

#endif  // QRT_BENCH_SHAPES_H_
