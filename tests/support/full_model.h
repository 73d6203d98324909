// A model that sets every field of the schema: all operator kinds, encodings and
// optional tables. It opens; not all of it can run. Tests of the validator break
// one field at a time.
#ifndef QRT_TESTS_SUPPORT_FULL_MODEL_H_
#define QRT_TESTS_SUPPORT_FULL_MODEL_H_

#include "tests/support/model_builder.h"

namespace qrt::testing {

// Indices of what the tests change.
struct FullModel {
  ModelBuilder b;
  // operators
  size_t transpose, conv, codebook_conv, pool, global, binary, unary, affine, pad, concat, reshape,
      linear, table_linear, affine_linear, planes_linear, trits_linear, softmax, slice, resize,
      gather, tile, expand, norm, product, transposed, compare, select, reduce, arg_reduce, top_k,
      cast, quantize, fake_quantize, steps;
  size_t quantized;  // the tensor that quantize makes
  // weights
  size_t w_dense, w_codebook, w_i8, w_table, w_affine, w_planes, w_trits, w_transposed;
  // tensors
  uint32_t image, constant, logits, indices;

  fb::ModelT& model() { return b.model; }
  fb::OperatorT& op(size_t i) { return *b.model.operators[i]; }
  fb::WeightsT& weights(size_t i) { return *b.model.weights[i]; }
  fb::TensorT& tensor(size_t i) { return *b.model.tensors[i]; }
  // The bytes of a buffer, to change; seal() corrects its checksum.
  std::vector<uint8_t>& bytes(uint32_t buffer) { return b.model.buffers[buffer]->data; }
};
FullModel full_model();

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_FULL_MODEL_H_
