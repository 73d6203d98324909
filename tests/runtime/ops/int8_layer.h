// Layers of integers for tests, and what schema/README.md says they give: integers in 64 bits,
// then the float steps one by one.
#ifndef QRT_TESTS_RUNTIME_OPS_INT8_LAYER_H_
#define QRT_TESTS_RUNTIME_OPS_INT8_LAYER_H_

#include <doctest/doctest.h>

#include "schema/layout.h"
#include "tests/runtime/ops/lowbit_weights.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {

struct IntegerWeights {
  uint32_t dim = 0, count = 256, books = 1, scope_rows = 0, levels = 1;  // dim 0: dense
  DType entry = DType::f32;
  InputOrder order = InputOrder::kh_kw_cin;
  ScaleAxis axis = ScaleAxis::output;        // of dense weights
  uint32_t table_bits = 0, table_shift = 0;  // rounded numerics
  const LowbitSpec* lowbit = nullptr;        // codes of few bits instead
};

struct IntegerFinish {
  bool scale = true, bias = true, residual = false, to_f32 = false;
  Clamp clamp{};
  Quantization x{0.02f, 7}, y{0.4f, 100}, r{0.1f, 31};
  bool bias_first = false;
};

struct IntegerLayer {
  IntegerWeights kind;
  IntegerFinish finish;
  Weights weights;
  std::vector<uint8_t> data, codes, level_of;
  std::vector<float> entry_scales, levels, scales, scale, bias;
  LowbitWeights low;
  std::vector<int8_t> entries;  // rounded: [level][scope][book][count][dim]
  Conv2dAttr conv{};
  LinearAttr linear{};
  Node node;
  std::vector<HostTensor> in;
  HostTensor out;  // bytes are what must come out

  // Weight `k` (file order) of output `n`, books added up.
  int weight(uint32_t n, uint32_t k) const;
  int entry(uint32_t n, uint32_t book, uint32_t k) const;
  // Pixels of one output position, file order, each minus the input's zero.
  int64_t sum(uint32_t n, const std::vector<int>& x) const;
  // The sum as a float; where groups of inputs have scales, scaled and added up.
  float total(uint32_t n, const std::vector<int>& x) const;
  void store(size_t at, uint32_t n, float total);
  bool has_group_scales() const;
};

struct IntegerConv {
  int batch, height, width, channels, outputs;
  Window window;
  uint32_t groups = 1;
  IntegerWeights weights{};
  IntegerFinish finish{};
};
void make_conv(const IntegerConv&, IntegerLayer*);
void make_linear(int rows, int inputs, int outputs, const IntegerWeights&, const IntegerFinish&,
                 IntegerLayer*);

}  // namespace qrt::test

#endif  // QRT_TESTS_RUNTIME_OPS_INT8_LAYER_H_
