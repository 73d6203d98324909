// FlatBuffer tables of single things: a weight matrix, a tensor, an operator
// with its options. emit.cc puts them together into a file. Only emit/ may
// include this: it shows FlatBuffers.
#ifndef QRT_CONVERTER_EMIT_TABLES_H_
#define QRT_CONVERTER_EMIT_TABLES_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "converter/emit/bulk.h"
#include "converter/lower/file.h"
#include "qrt_generated.h"

namespace qrt::emit {

class Tables {
 public:
  template <class T>
  using Offset = flatbuffers::Offset<T>;

  // Numbers must have been added to `bulk` before: here they are only found again.
  Tables(flatbuffers::FlatBufferBuilder& b, Bulk& bulk) : b_(b), bulk_(bulk) {}

  // Control characters become underscores: names go to terminals, and the runtime refuses them.
  Offset<flatbuffers::String> string(const std::string&);  // nothing for ""
  Offset<flatbuffers::String> required_string(const std::string&);

  Offset<fb::Weights> weights(const lower::Weights&, const StoredWeights&);
  Offset<fb::Tensor> tensor(const lower::Tensor&);
  Offset<fb::Operator> op(const lower::Operator&);

  // The buffer of an operator's thresholds, before any table is written.
  void place_thresholds(const lower::Operator&);

 private:
  struct Act {
    fb::Activation kind;
    float min, max;
  };
  // The options table of an operator: its field in Operator, and where it lies. {0, 0}: none.
  using Options = std::pair<flatbuffers::voffset_t, flatbuffers::uoffset_t>;

  struct Stored;  // of the encoding of weights: its name and table

  static Act activation(ir::Clamp);
  Offset<fb::Constant> constant(const std::vector<float>&);  // nothing for an empty one
  Offset<fb::Constant> constant(const Numbers&);
  Offset<fb::Dense> dense(const lower::Weights&, const StoredWeights&);
  Offset<fb::Codebook> codebook(const quant::Codebook&, const StoredWeights&);
  Offset<fb::Scales> scales(const quant::Scales&, const StoredWeights&);
  Offset<fb::CodeTable> table(const quant::Table&, const StoredWeights&);
  Offset<fb::Affine> affine(const quant::Affine&, const StoredWeights&);
  Offset<fb::BitPlanes> bit_planes(const quant::BitPlanes&, const StoredWeights&);
  Stored stored(const lower::Weights&, const StoredWeights&);
  template <class Layer>
  Offset<fb::Epilogue> epilogue(const lower::Operator&, const Layer&);

  Options options(const lower::Operator&, const ir::Conv2d&);
  Options options(const lower::Operator&, const ir::Linear&);
  Options options(const lower::Operator&, const ir::Pool2d&);
  Options options(const lower::Operator&, const ir::Binary&);
  Options options(const lower::Operator&, const ir::Unary&);
  Options options(const lower::Operator&, const ir::Affine&);
  Options options(const lower::Operator&, const ir::Softmax&);
  Options options(const lower::Operator&, const ir::Concat&);
  Options options(const lower::Operator&, const ir::Transpose&);
  Options options(const lower::Operator&, const ir::Pad&);
  Options options(const lower::Operator&, const ir::Slice&);
  Options options(const lower::Operator&, const ir::Resize&);
  Options options(const lower::Operator&, const ir::Gather&);
  Options options(const lower::Operator&, const ir::Tile&);
  Options options(const lower::Operator&, const ir::ConvTranspose&);
  Options options(const lower::Operator&, const ir::Reduce&);
  Options options(const lower::Operator&, const ir::ArgReduce&);
  Options options(const lower::Operator&, const ir::TopK&);
  Options options(const lower::Operator&, const ir::FakeQuantize&);
  Options options(const lower::Operator&, const ir::Steps&);
  template <class Other>
  Options options(const lower::Operator&, const Other&) {
    return {0, 0};  // Reshape, MatMul, Select, Cast: the tensors say everything
  }

  flatbuffers::FlatBufferBuilder& b_;
  Bulk& bulk_;
  // The buffer, and whether it holds starts and steps.
  std::map<const lower::Operator*, std::pair<uint32_t, bool>> thresholds_;
};

}  // namespace qrt::emit

#endif  // QRT_CONVERTER_EMIT_TABLES_H_
