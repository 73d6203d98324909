// Options of slice, resize, gather and tile. What they allow keeps every sum and
// product of shapes.cc within 64 bits, and every place an operator reads inside
// of its input.
#include <cmath>

#include "runtime/model/node_options.h"

namespace qrt {
namespace {

constexpr int64_t kMaxDim = layout::kMaxDim;

// A factor beyond this makes a dimension the format does not hold.
constexpr float kMaxScale = 16777216.0f;

template <class Vector>
Status counts_axes(const Vector& v, int32_t rank, const char* what) {
  return equal(v.size(), rank, 184, what);
}

}  // namespace

Status read_options(Reader& r, const fb::Slice& o, const Node& node, SliceAttr& a) {
  const Shape& in = input_shape(r, node);
  QRT_TRY(counts_axes(*o.start(), in.rank, "`start` does not count the input's axes"));
  QRT_TRY(counts_axes(*o.step(), in.rank, "`step` does not count the input's axes"));
  QRT_TRY(counts_axes(*o.size(), in.rank, "`size` does not count the input's axes"));
  for (int32_t i = 0; i < in.rank; ++i) {
    const auto at = static_cast<uint32_t>(i);
    const int64_t start = o.start()->Get(at), step = o.step()->Get(at), size = o.size()->Get(at);
    a.start[i] = o.start()->Get(at);
    a.step[i] = o.step()->Get(at);
    a.size[i] = o.size()->Get(at);
    if (size == 0) {
      QRT_TRY(equal(start, 0, 184, "a slice of a whole axis has a start"));
      QRT_TRY(equal(step, 1, 184, "a slice of a whole axis has a step"));
      continue;
    }
    QRT_TRY(in_range(size, 1, kMaxDim, 184, "a slice's size is out of range"));
    QRT_TRY(in_range(step, -kMaxDim, kMaxDim, 184, "a slice's step is out of range"));
    QRT_TRY(in_range(start, 0, int64_t{in[i]} - 1, 184, "a slice starts outside of its input"));
    QRT_TRY(in_range(start + (size - 1) * step, 0, int64_t{in[i]} - 1, 184,
                     "a slice ends outside of its input"));
  }
  return {};
}

Status read_options(Reader& r, const fb::Resize& o, const Node& node, ResizeAttr& a) {
  QRT_TRY(read_enum(o.mode(), &a.mode, "the resize mode is unknown"));
  QRT_TRY(read_enum(o.coordinates(), &a.coordinates, "the coordinate mode is unknown"));
  QRT_TRY(read_enum(o.nearest(), &a.nearest, "the nearest mode is unknown"));
  a.exclude_outside = o.exclude_outside();
  a.cubic_a = o.cubic_a();
  a.outside = o.outside();
  QRT_REQUIRE(std::isfinite(a.cubic_a) && std::isfinite(a.outside), kBadModel, 185,
              "a number of a resize is not finite");
  const int32_t rank = input_shape(r, node).rank;
  QRT_TRY(counts_axes(*o.size(), rank, "`size` does not count the input's axes"));
  QRT_TRY(counts_axes(*o.scale(), rank, "`scale` does not count the input's axes"));
  const bool crops = a.coordinates == Coordinates::tf_crop_and_resize;
  const uint32_t roi = o.roi() == nullptr ? 0 : o.roi()->size();
  QRT_TRY(equal(roi, crops ? 2 * rank : 0, 184, "`roi` does not count the input's axes twice"));
  for (int32_t i = 0; i < rank; ++i) {
    const auto at = static_cast<uint32_t>(i);
    a.size[i] = o.size()->Get(at);
    a.scale[i] = o.scale()->Get(at);
    QRT_TRY(in_range(a.size[i], 0, kMaxDim, 184, "a resized axis is out of range"));
    QRT_REQUIRE(a.scale[i] >= 0 && a.scale[i] <= kMaxScale, kBadModel, 185,
                "a scale of a resize is out of range");
    a.roi_start[i] = crops ? o.roi()->Get(at) : 0;
    a.roi_end[i] = crops ? o.roi()->Get(at + static_cast<uint32_t>(rank)) : 1;
    QRT_REQUIRE(std::isfinite(a.roi_start[i]) && std::isfinite(a.roi_end[i]), kBadModel, 185,
                "a number of a resize is not finite");
  }
  return {};
}

Status read_options(Reader& r, const fb::Gather& o, const Node& node, GatherAttr& a) {
  return read_axis(r, node, o.axis(), &a.axis);
}

Status read_options(Reader& r, const fb::Tile& o, const Node& node, TileAttr& a) {
  const int32_t rank = input_shape(r, node).rank;
  QRT_TRY(counts_axes(*o.repeats(), rank, "`repeats` does not count the input's axes"));
  for (int32_t i = 0; i < rank; ++i) {
    a.repeats[i] = o.repeats()->Get(static_cast<uint32_t>(i));
    QRT_TRY(in_range(a.repeats[i], 1, kMaxDim, 184, "a number of repeats is out of range"));
  }
  return {};
}

}  // namespace qrt
