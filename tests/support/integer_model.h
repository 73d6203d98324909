// A small network of integers in a file: quantize, layers of every numerics, a residual, pools, a
// sum, and f32 logits.
#ifndef QRT_TESTS_SUPPORT_INTEGER_MODEL_H_
#define QRT_TESTS_SUPPORT_INTEGER_MODEL_H_

#include "tests/support/model_builder.h"

namespace qrt::testing {

struct IntegerModel {
  ModelBuilder b;
  uint32_t image, bytes, stem, block, pooled, summed, mean, logits;  // tensors
  uint32_t w_stem, w_block, w_tables, w_fc;
  size_t quantize, conv_stem, conv_block, conv_tables, max_pool, sum, average, fc;  // operators

  fb::TensorT& tensor(size_t i) { return *b.model.tensors[i]; }
  fb::WeightsT& weights(size_t i) { return *b.model.weights[i]; }
  fb::OperatorT& op(size_t i) { return *b.model.operators[i]; }
};
IntegerModel integer_model();

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_INTEGER_MODEL_H_
