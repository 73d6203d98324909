// What emit/ writes, as plain structs: the operators of the file with their
// tensors and weights by index. Between the graph (which knows ONNX habits) and
// the bytes (which know FlatBuffers).
#ifndef QRT_CONVERTER_LOWER_FILE_H_
#define QRT_CONVERTER_LOWER_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "converter/ir/graph.h"
#include "converter/quant/encoding.h"

namespace qrt::lower {

// Numbers as in schema/qrt.fbs OpKind and InputOrder; emit/tables.cc holds the static_asserts.
enum class Kind : uint8_t {
  conv2d = 0,
  linear = 1,
  pool2d = 2,
  binary = 3,
  unary = 4,
  affine = 5,
  softmax = 6,
  concat = 7,
  transpose = 8,
  reshape = 9,
  pad = 10,
  select = 11,
  reduce = 12,
  arg_reduce = 13,
  top_k = 14,
  cast = 15,
  slice = 16,
  resize = 17,
  gather = 18,
  tile = 19,
  expand = 20,
  matmul = 21,
  conv_transpose = 22,
  quantize = 23,
  fake_quantize = 24,
  steps = 25
};
// Whether operators of this kind have weights.
inline bool is_layer(Kind kind) {
  return kind == Kind::conv2d || kind == Kind::linear || kind == Kind::conv_transpose;
}
enum class InputOrder : uint8_t { linear = 0, cin_kh_kw = 1, kh_kw_cin = 2 };

struct Tensor {
  std::string name;  // empty between operators: only what a user can name costs bytes
  std::vector<int32_t> dims;
  ir::ElementType type = ir::ElementType::f32;
  bool batched = false, is_constant = false;
  std::vector<float> data;    // of an f32 constant
  std::vector<int64_t> ints;  // of one of another type
  ir::Quantization quantization = {};
};

// A weight matrix [outputs][inputs]: dense floats in `order`, or an encoding of them, whose stored
// columns are in `order`. `exact`: its layers sum integers, which the encoding must be able to.
struct Weights {
  std::string name;
  int64_t outputs = 0, inputs = 0;
  InputOrder order = InputOrder::linear;
  bool exact = false;
  std::vector<float> dense;
  std::shared_ptr<const quant::Encoding> encoding;
};

// `attr` is the graph's own attribute struct, with axes counted from the front. Layers: inputs are
// x and, if flagged, the residual; scale and bias are empty where absent. Affine: both are there.
// FakeQuantize: bias holds the zeros. Steps: scale holds the thresholds.
struct Operator {
  std::string name;
  Kind kind = Kind::reshape;
  std::vector<uint32_t> inputs, outputs;
  ir::Attr attr;
  uint32_t weights = 0;
  std::vector<float> scale, bias;
  uint32_t count = 0;               // Steps: thresholds per channel
  std::vector<int64_t> thresholds;  // [output][thresholds_each], or none
  uint32_t thresholds_each = 0;
};

struct File {
  std::vector<Tensor> tensors;
  std::vector<Operator> operators;
  std::vector<Weights> weights;
  std::vector<uint32_t> inputs, outputs;
};

}  // namespace qrt::lower

#endif  // QRT_CONVERTER_LOWER_FILE_H_
