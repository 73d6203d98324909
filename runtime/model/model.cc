// From bytes to a Model: bounds first, the FlatBuffers verifier, then the parts
// of reader.h one by one.
#include "runtime/model/model.h"

#include <cstring>

#include "runtime/model/checksum.h"
#include "runtime/model/coverage.h"
#include "runtime/model/reader.h"
#include "runtime/model/validate.h"
#include "runtime/tensor/half.h"
#include "runtime/tensor/power.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the file is read in place, and it is little-endian"
#endif

namespace qrt {
namespace {

// Model > Operator > Conv2d > Epilogue > Constant is 5 deep; nothing legal needs more than twice
// that.
constexpr uint32_t kMaxDepth = 16;
constexpr uint32_t kMaxTables = 65536;
constexpr size_t kSmallestFile = 16;

template <class Ours, class Theirs>
constexpr bool same(Ours a, Theirs b) {
  return static_cast<int>(a) == static_cast<int>(b);
}
static_assert(same(DType::boolean, fb::DType::boolean) && same(DType::bits, fb::DType::MAX));
static_assert(same(OpKind::pad, fb::OpKind::pad));
static_assert(same(OpKind::slice, fb::OpKind::slice) && same(OpKind::tile, fb::OpKind::tile));
static_assert(same(OpKind::resize, fb::OpKind::resize) && same(OpKind::gather, fb::OpKind::gather));
static_assert(same(OpKind::expand, fb::OpKind::expand));
static_assert(same(ResizeMode::cubic, fb::ResizeMode::MAX));
static_assert(same(Coordinates::tf_crop_and_resize, fb::Coordinates::MAX));
static_assert(same(NearestMode::ceil, fb::NearestMode::MAX));
static_assert(same(OpKind::matmul, fb::OpKind::matmul));
static_assert(same(OpKind::conv_transpose, fb::OpKind::conv_transpose));
static_assert(same(OpKind::quantize, fb::OpKind::quantize));
static_assert(same(OpKind::steps, fb::OpKind::MAX) && same(Rounding::away, fb::Rounding::MAX));
static_assert(same(OpKind::select, fb::OpKind::select) && same(OpKind::cast, fb::OpKind::cast));
static_assert(same(OpKind::reduce, fb::OpKind::reduce) && same(OpKind::top_k, fb::OpKind::top_k));
static_assert(same(ReduceMode::log_sum_exp, fb::ReduceMode::MAX));
static_assert(same(Encoding::bit_planes, fb::Encoding::MAX));
static_assert(same(Numerics::rounded, fb::Numerics::MAX));
static_assert(same(InputOrder::kh_kw_cin, fb::InputOrder::MAX));
static_assert(same(ScaleAxis::group, fb::ScaleAxis::MAX));
static_assert(same(PlanePacking::ternary5, fb::PlanePacking::MAX));
static_assert(same(Activation::clamp, fb::Activation::MAX));
static_assert(same(PoolMode::lp, fb::PoolMode::MAX));
static_assert(same(BinaryOp::logical_xor, fb::BinaryOp::MAX));
static_assert(same(BinaryOp::equal, fb::BinaryOp::equal) && same(BinaryOp::mod, fb::BinaryOp::mod));
static_assert(same(UnaryOp::logical_not, fb::UnaryOp::MAX) && same(UnaryOp::erf, fb::UnaryOp::erf));
static_assert(same(UnaryOp::silu, fb::UnaryOp::silu) && same(UnaryOp::atanh, fb::UnaryOp::atanh));
static_assert(same(PadMode::edge, fb::PadMode::MAX));
static_assert(same(Channels::gray, fb::Channels::MAX));

// The length, the four letters, and every offset of the FlatBuffer.
Status verify(Bytes file) {
  if (file.size() < kSmallestFile) {
    return Status(kBadModel, 100, "the file is too short to be a model")
        .at_least(static_cast<int64_t>(file.size()), kSmallestFile);
  }
  if (file.size() > layout::kMaxFileBytes) {
    return Status(kBadModel, 100, "the file is too long to be a model")
        .at_most(static_cast<int64_t>(file.size()), layout::kMaxFileBytes);
  }
  if (reinterpret_cast<uintptr_t>(file.data()) % layout::kAlignment != 0)
    return Status(Code::internal, 2, "the model's bytes do not start on a 64-byte boundary");
  if (!flatbuffers::BufferHasIdentifier(file.data(), fb::ModelIdentifier())) {
    return Status(kBadModel, 101, "the file does not hold \"QRT1\" at byte 4: it is no .qrt model")
        .next("pass a file made by qrt-convert");
  }
  flatbuffers::Verifier verifier(file.data(), file.size(), kMaxDepth, kMaxTables);
  if (!fb::VerifyModelBuffer(verifier)) {
    return Status(kBadModel, 102, "the file's structure is broken: it is truncated or corrupted")
        .next("copy the file again, or re-create it with qrt-convert");
  }
  return {};
}

Status check_header(const fb::Model& root, Bytes file, Model& model) {
  if (root.schema_version() != layout::kSchemaVersion) {
    const Status s(root.schema_version() == 0 ? kBadModel : Code::unsupported, 103,
                   "the file's schema_version is not one that this libqrt reads");
    return s.values(root.schema_version(), layout::kSchemaVersion)
        .next("update libqrt, or re-create the file with the qrt-convert of this version");
  }
  if (root.file_bytes() != file.size()) {
    return Status(kBadModel, 104, "the file's length differs from its file_bytes")
        .values(static_cast<int64_t>(file.size()), static_cast<int64_t>(root.file_bytes()))
        .next("copy the file again, or re-create it with qrt-convert");
  }
  const uint8_t* field =
      reinterpret_cast<const flatbuffers::Table&>(root).GetAddressOf(fb::Model::VT_CHECKSUM);
  QRT_REQUIRE(field != nullptr, kBadModel, 105, "the file has no checksum");
  const auto at = static_cast<size_t>(field - file.data());
  if (checksum_without(file.data(), file.size(), at) != root.checksum()) {
    return Status(kBadModel, 105, "the file's checksum does not fit its contents: it is corrupted")
        .next("copy the file again, or re-create it with qrt-convert");
  }
  model.file = file;
  model.schema_version = root.schema_version();
  model.checksum = root.checksum();
  return {};
}

}  // namespace

Status open_model(Bytes file, Arena& keep, Model& model) {
  model = Model{};
  QRT_TRY(verify(file));
  const fb::Model& root = *fb::GetModel(file.data());
  QRT_TRY(check_header(root, file, model));
  QRT_TRY(check_coverage(root, file, keep.allocator()));
  Reader reader{root, keep, model, {}, {}};
  QRT_TRY(read_buffers(reader));
  QRT_TRY(read_names(reader));
  QRT_TRY(read_tensors(reader));
  QRT_TRY(read_weights(reader));
  QRT_TRY(read_nodes(reader));
  QRT_TRY(read_ports(reader));
  return validate_graph(model, keep);
}

float read_constant(const Constant& c, uint32_t i) {
  assert(i < c.count);
  if (c.dtype == DType::f16) {
    uint16_t half;
    std::memcpy(&half, static_cast<const uint8_t*>(c.data) + size_t{i} * 2, sizeof half);
    return half_to_float(half);
  }
  float value;
  if (c.dtype == DType::u8) {
    const uint32_t bits = power_bits(static_cast<const uint8_t*>(c.data)[i]);
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  std::memcpy(&value, static_cast<const uint8_t*>(c.data) + size_t{i} * 4, sizeof value);
  return value;
}

const Weights* weights_of(const Node& node) {
  if (node.kind == OpKind::conv2d) return node.conv2d->weights;
  if (node.kind == OpKind::linear) return node.linear->weights;
  if (node.kind == OpKind::conv_transpose) return node.conv_transpose->weights;
  return nullptr;
}

const Epilogue* epilogue_of(const Node& node) {
  if (node.kind == OpKind::conv2d) return &node.conv2d->epilogue;
  if (node.kind == OpKind::linear) return &node.linear->epilogue;
  if (node.kind == OpKind::conv_transpose) return &node.conv_transpose->epilogue;
  return nullptr;
}

const char* name_of(OpKind kind) {
  switch (kind) {
    case OpKind::conv2d:
      return "conv2d";
    case OpKind::linear:
      return "linear";
    case OpKind::pool2d:
      return "pool2d";
    case OpKind::binary:
      return "binary";
    case OpKind::unary:
      return "unary";
    case OpKind::affine:
      return "affine";
    case OpKind::softmax:
      return "softmax";
    case OpKind::concat:
      return "concat";
    case OpKind::transpose:
      return "transpose";
    case OpKind::reshape:
      return "reshape";
    case OpKind::pad:
      return "pad";
    case OpKind::slice:
      return "slice";
    case OpKind::resize:
      return "resize";
    case OpKind::gather:
      return "gather";
    case OpKind::tile:
      return "tile";
    case OpKind::matmul:
      return "matmul";
    case OpKind::conv_transpose:
      return "conv_transpose";
    case OpKind::select:
      return "select";
    case OpKind::reduce:
      return "reduce";
    case OpKind::arg_reduce:
      return "arg_reduce";
    case OpKind::top_k:
      return "top_k";
    case OpKind::cast:
      return "cast";
    case OpKind::expand:
      return "expand";
    case OpKind::quantize:
      return "quantize";
    case OpKind::fake_quantize:
      return "fake_quantize";
    case OpKind::steps:
      return "steps";
  }
  return "unknown";
}

const char* name_of(Encoding e) {
  constexpr const char* names[] = {"dense", "codebook", "table", "affine", "bit_planes"};
  const auto i = static_cast<size_t>(e);
  return i < 5 ? names[i] : "unknown";
}

}  // namespace qrt
