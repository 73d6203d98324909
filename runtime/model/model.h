// An opened model: borrowed bytes seen through plain, checked structs. The only
// way to get a Model is open_model(), which verifies, validates (validate.cc)
// and copies the small facts of the FlatBuffer out, so nothing behind this
// header knows FlatBuffers and nothing is checked twice. Immutable afterwards;
// share it between threads. Bulk data stays in the file's bytes.
#ifndef QRT_RUNTIME_MODEL_MODEL_H_
#define QRT_RUNTIME_MODEL_MODEL_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/span.h"
#include "runtime/base/status.h"
#include "runtime/memory/arena.h"
#include "runtime/model/operators.h"
#include "runtime/model/weights.h"
#include "runtime/tensor/tensor.h"

namespace qrt {

struct TensorInfo {
  const char* name = "";
  DType dtype = DType::f32;
  Shape shape;           // for batch 1
  bool batched = false;  // shape[0] is multiplied by the session's batch
  bool is_constant = false;
  Bytes constant;
  Quantization quantization;
};

struct Node {
  const char* name = "";
  OpKind kind = OpKind::reshape;
  Span<const uint32_t> inputs, outputs;  // tensors
  union {                                // the member that `kind` names; some have none
    const Conv2dAttr* conv2d;
    const LinearAttr* linear;
    const Pool2dAttr* pool2d;
    const BinaryAttr* binary;
    const UnaryAttr* unary;
    const AffineAttr* affine;
    const SoftmaxAttr* softmax;
    const ConcatAttr* concat;
    const TransposeAttr* transpose;
    const PadAttr* pad;
    const SliceAttr* slice;
    const ResizeAttr* resize;
    const GatherAttr* gather;
    const TileAttr* tile;
    const ConvTransposeAttr* conv_transpose;
    const ReduceAttr* reduce;
    const ArgReduceAttr* arg_reduce;
    const TopKAttr* top_k;
    const FakeQuantizeAttr* fake_quantize;
    const StepsAttr* steps;
    const void* attr = nullptr;
  };
};

const Weights* weights_of(const Node&);    // of a layer; null for all other operators
const Epilogue* epilogue_of(const Node&);  // likewise

enum class Channels : uint8_t { rgb = 0, bgr = 1, gray = 2 };
struct Preprocess {
  uint32_t resize_shorter, crop_h, crop_w;
  Channels channels;
  float scale;
  Span<const float> mean, std;
};
struct Port {
  const char* name = "";
  uint32_t tensor = 0;
  const Preprocess* preprocess = nullptr;
};

struct Provenance {
  const char *tool, *source_sha256, *weights_sha256, *method, *options;
};

struct Model {
  Bytes file;
  const char* name = "";
  Span<const TensorInfo> tensors;
  Span<const Node> nodes;  // in an order that can be run
  Span<const Weights> weights;
  Span<const Bytes> buffers;
  Span<const uint64_t> buffer_checksums;
  Span<const Port> inputs, outputs;
  Span<const char* const> labels;
  bool has_golden = false;
  float golden_tolerance = 0;
  Span<const Bytes> golden_inputs, golden_outputs;
  Provenance provenance{};
  uint32_t schema_version = 0;
  uint64_t checksum = 0;
};

// Checks all of `file` and fills `model`, whose small facts live in `keep`. `file`
// must start on a 64-byte boundary and outlive the model. Never reads outside
// `file`; memory taken from `keep` is at most a small multiple of file.size().
Status open_model(Bytes file, Arena& keep, Model& model);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_MODEL_H_
