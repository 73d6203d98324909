// Names of everything that has one, and the table of tensors.
#include <cmath>
#include <cstdint>

#include "runtime/model/reader.h"

namespace qrt {
namespace {

// SGQuant's buckets: bounds rise from 0 to the number of rows, one width, offset and step each.
Status check_features(const fb::FeatureBuckets* f, const Shape& shape) {
  if (f == nullptr) return {};
  const size_t n = f->bits()->size();
  QRT_REQUIRE(
      n >= 1 && f->bounds()->size() == n + 1 && f->lo()->size() == n && f->step()->size() == n,
      kBadModel, 125, "the feature buckets' vectors have different lengths");
  for (uint32_t i = 0; i < n; ++i) {
    QRT_REQUIRE(f->bounds()->Get(i) < f->bounds()->Get(i + 1), kBadModel, 125,
                "the feature buckets' bounds do not rise");
    QRT_TRY(in_range(f->bits()->Get(i), 1, 8, 125, "a feature bucket's bits are out of range"));
    QRT_REQUIRE(std::isfinite(f->lo()->Get(i)) && std::isfinite(f->step()->Get(i)), kBadModel, 125,
                "a feature bucket's lo or step is not finite");
  }
  QRT_TRY(equal(f->bounds()->Get(0), 0, 125, "the feature buckets do not start at row 0"));
  return equal(f->bounds()->Get(static_cast<uint32_t>(n)), shape.rank > 0 ? shape[0] : 0, 125,
               "the feature buckets do not end at the last row");
}

Status read_quantization(const fb::Tensor& t, TensorInfo& info) {
  const float scale = t.scale();
  const bool bits = info.dtype == DType::bits;
  if (bits) {
    QRT_REQUIRE(scale != 0 && t.zero() == 0 && !info.is_constant, kBadModel, 158,
                "a tensor of bits is an activation with a scale and no zero");
  }
  if (scale == 0) return equal(t.zero(), 0, 126, "a tensor that is not quantized has a zero");
  QRT_REQUIRE(std::isnormal(scale) && scale > 0 && std::isnormal(1 / scale), kBadModel, 126,
              "a tensor's scale is not a positive finite number");
  QRT_REQUIRE(bits || (info.dtype == DType::u8 && !info.is_constant), kBadModel, 126,
              "only activations of type u8 or bits may be quantized");
  info.quantization = {scale, t.zero()};
  return {};
}

Status read_tensor(const Reader& r, const fb::Tensor& t, TensorInfo& info) {
  QRT_TRY(read_enum(t.dtype(), &info.dtype, "the element type is unknown"));
  QRT_TRY(in_range(t.dims()->size(), 0, kMaxRank, 120, "the rank is out of range"));
  info.shape.rank = static_cast<int32_t>(t.dims()->size());
  for (int i = 0; i < info.shape.rank; ++i) {
    const int32_t dim = t.dims()->Get(static_cast<uint32_t>(i));
    QRT_TRY(in_range(dim, 1, layout::kMaxDim, 121, "a dimension is out of range"));
    info.shape[i] = dim;
  }
  const auto elements = info.shape.elements().get(layout::kMaxElements);
  QRT_REQUIRE(elements, kBadModel, 122, "the tensor has more than 2^31 - 1 elements");
  if (!bytes_of(info.dtype, info.shape).get(SIZE_MAX / 2))
    return Status(Code::unsupported, 122, "the tensor does not fit this machine's address space");
  info.batched = t.batched();
  info.is_constant = t.is_constant();
  QRT_REQUIRE(!info.batched || (info.shape.rank > 0 && !info.is_constant), kBadModel, 124,
              "a tensor without dimensions or with constant data cannot depend on the batch");
  QRT_TRY(read_quantization(t, info));
  if (info.is_constant) {
    QRT_TRY(read_buffer(r, t.buffer(), &info.constant));
    QRT_TRY(equal_size(info.constant.size(), CheckedSize(*elements) * size_of(info.dtype), 123,
                       "the constant's buffer has another size than its shape"));
  }
  return check_features(t.features(), info.shape);
}

}  // namespace

Status read_names(Reader& r) {
  const auto* weights = r.root.weights();
  const Span<TensorInfo> tensors = r.keep.array<TensorInfo>(r.root.tensors()->size());
  const Span<Node> nodes = r.keep.array<Node>(r.root.operators()->size());
  const Span<Weights> all_weights = r.keep.array<Weights>(weights == nullptr ? 0 : weights->size());
  if (tensors.data() == nullptr || nodes.data() == nullptr || all_weights.data() == nullptr)
    return out_of_memory();
  QRT_TRY(read_text(r.root.name(), &r.model.name));
  for (uint32_t i = 0; i < tensors.size(); ++i)
    QRT_TRY(read_text(r.root.tensors()->Get(i)->name(), &tensors[i].name).at(Where::tensor, i));
  for (uint32_t i = 0; i < nodes.size(); ++i)
    QRT_TRY(read_text(r.root.operators()->Get(i)->name(), &nodes[i].name).at(Where::op, i));
  for (uint32_t i = 0; i < all_weights.size(); ++i)
    QRT_TRY(read_text(weights->Get(i)->name(), &all_weights[i].name).at(Where::weights, i));
  r.model.tensors = tensors;
  r.model.nodes = nodes;
  r.model.weights = all_weights;
  return {};
}

Status read_tensors(Reader& r) {
  for (uint32_t i = 0; i < r.model.tensors.size(); ++i) {
    auto& info = const_cast<TensorInfo&>(r.model.tensors[i]);  // ours until open_model() returns
    QRT_TRY(read_tensor(r, *r.root.tensors()->Get(i), info).at(Where::tensor, i));
  }
  return {};
}

}  // namespace qrt
