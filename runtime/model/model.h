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
#include "runtime/model/weights.h"
#include "runtime/tensor/tensor.h"

namespace qrt {

// Values equal those of schema/qrt.fbs; model.cc holds the static_asserts.
enum class OpKind : uint8_t {
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
  slice = 16,
  resize = 17,
  gather = 18,
  tile = 19,
  matmul = 21,
  conv_transpose = 22,
};
const char* name_of(OpKind);  // "unknown" for a number that is no kind

struct TensorInfo {
  const char* name = "";
  DType dtype = DType::f32;
  Shape shape;           // for batch 1
  bool batched = false;  // shape[0] is multiplied by the session's batch
  bool is_constant = false;
  Bytes constant;
};

enum class Activation : uint8_t { none = 0, clamp = 1 };
struct Clamp {
  Activation activation = Activation::none;
  float min = 0, max = 0;
};
struct Epilogue {
  Constant scale, bias;
  bool residual = false;
  Clamp clamp;
};

struct Window {  // of a convolution or pooling
  uint32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  uint32_t pad_top, pad_left, pad_bottom, pad_right;
};
struct Conv2dAttr {
  const Weights* weights;
  Window window;
  uint32_t groups;
  Epilogue epilogue;
};
struct LinearAttr {
  const Weights* weights;
  Epilogue epilogue;
};
struct ConvTransposeAttr {
  const Weights* weights;
  Window window;
  uint32_t adjust_h, adjust_w;
  uint32_t groups;
  Epilogue epilogue;
};
enum class PoolMode : uint8_t { max = 0, average = 1, lp = 2 };
struct Pool2dAttr {
  PoolMode mode;
  Window window;
  bool count_include_pad, is_global;
  uint32_t power;  // of the mode lp
};
enum class BinaryOp : uint8_t { add = 0, sub, mul, div, max, min };
struct BinaryAttr {
  BinaryOp op;
  Clamp clamp;
};
enum class UnaryOp : uint8_t {
  clamp = 0,
  leaky_relu,
  elu,
  sigmoid,
  hard_sigmoid,
  tanh,
  hard_swish,
  exp,
  log,
  sqrt,
  abs,
  neg,
  erf,
  softplus,
  selu,
  reciprocal,
  floor,
  ceil,
  gelu,
  silu,
};
struct UnaryAttr {
  UnaryOp op;
  float alpha, beta;
};
struct AffineAttr {
  Constant scale, bias;
  Clamp clamp;
};
struct SoftmaxAttr {
  int32_t axis;
  bool log;
};  // axis normalised to [0, rank)
struct ConcatAttr {
  int32_t axis;
};
struct TransposeAttr {
  int32_t perm[kMaxRank];
};
enum class PadMode : uint8_t { constant = 0, reflect, edge };
struct PadAttr {
  PadMode mode;
  int32_t before[kMaxRank], after[kMaxRank];
  float value;
};

struct SliceAttr {
  int32_t start[kMaxRank], step[kMaxRank], size[kMaxRank];  // size 0: the whole axis
};
enum class ResizeMode : uint8_t { nearest = 0, linear, cubic };
enum class Coordinates : uint8_t {
  half_pixel = 0,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  tf_half_pixel_for_nn,
  tf_crop_and_resize,
};
enum class NearestMode : uint8_t { round_prefer_floor = 0, round_prefer_ceil, floor, ceil };
struct ResizeAttr {
  ResizeMode mode;
  Coordinates coordinates;
  NearestMode nearest;
  bool exclude_outside;
  int32_t size[kMaxRank];  // 0: the axis stays as it is
  float scale[kMaxRank];   // 0: output / input
  float roi_start[kMaxRank], roi_end[kMaxRank];
  float cubic_a, outside;
};
struct GatherAttr {
  int32_t axis;
};
struct TileAttr {
  int32_t repeats[kMaxRank];
};

struct Node {
  const char* name = "";
  OpKind kind = OpKind::reshape;
  Span<const uint32_t> inputs, outputs;  // tensors
  union {                                // the member that `kind` names; reshape, matmul: none
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
