// Resize and its ancestor Upsample. Sizes are settled here, by scales rounded as
// ONNX's own shape inference does; the coordinates are left to the operator.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

using layout::kMaxDim;

template <class Enum, size_t n>
Enum word(const Node& node, const char* key, const char* otherwise, const char* const (&names)[n]) {
  const std::string text = node.text(key, otherwise);
  const auto found = std::find(std::begin(names), std::end(names), text);
  if (found == std::end(names)) {
    node.unsupported("its ", key, " is '", text, "', which opset 7 to 17 does not know");
  }
  return static_cast<Enum>(found - std::begin(names));
}

// A list of floats that must be known: an attribute or an input.
std::vector<float> known_floats(const Node& n, size_t input, const char* what) {
  const auto view = n.known(input);
  if (!view || !ir::is_float(view->type)) {
    refuse(513, what, " (input ", n.value(n.in(input)).name,
           ") is computed from the data or no list of numbers; make it a constant");
  }
  return {view->data.begin(), view->data.end()};
}

bool present(const Node& n, size_t input) {
  return n.has(input) && ir::element_count(n.value(n.in(input)).shape) != 0;
}

// Sizes and scales of the axes that change; an axis whose size stays and whose places are its own
// is left alone.
void take_scales(const std::vector<float>& scales, const ir::Value& x, ir::Resize& resize) {
  const size_t rank = x.shape.size();
  if (scales.size() != rank) {
    refuse(505, "it has ", scales.size(), " scales for the ", rank, " dimensions of ", x.name);
  }
  for (size_t k = 0; k < rank; ++k) {
    if (!(scales[k] > 0 && scales[k] <= static_cast<float>(kMaxDim))) {
      refuse(505, "the scale of axis ", k, " is ", scales[k], "; expected a positive number");
    }
    if (scales[k] == 1 && resize.roi.empty()) continue;
    const float size = std::floor(static_cast<float>(x.shape[k]) * scales[k]);
    resize.sizes[k] = to_int32(static_cast<int64_t>(size), 1, kMaxDim, "a resized dimension");
    resize.scales[k] = scales[k];
  }
}

void take_sizes(const std::vector<int64_t>& sizes, const ir::Value& x, ir::Resize& resize) {
  const size_t rank = x.shape.size();
  if (sizes.size() != rank) {
    refuse(505, "it has ", sizes.size(), " sizes for the ", rank, " dimensions of ", x.name);
  }
  for (size_t k = 0; k < rank; ++k) {
    const bool is_batch = k == 0 && x.batched && sizes[k] == kBatchSize;
    if (is_batch || (sizes[k] == x.shape[k] && resize.roi.empty())) continue;
    if (sizes[k] == kBatchSize) {
      refuse(536, "it resizes axis ", k, " of ", x.name,
             " to the size of the free batch; fix the batch with --shape ", x.name, "=1,...");
    }
    resize.sizes[k] = to_int32(sizes[k], 1, kMaxDim, "a resized dimension");
  }
}

void take_roi(const Node& n, const ir::Value& x, ir::Resize& resize) {
  resize.roi = known_floats(n, 1, "its region of interest");
  if (resize.roi.size() != 2 * x.shape.size()) {
    refuse(505, "its region of interest has ", resize.roi.size(), " numbers for ", x.shape.size(),
           " dimensions; expected two for each");
  }
}

// Axes that the region of interest leaves whole and that keep their size are left alone.
void settle_whole_axes(const ir::Value& x, ir::Resize& resize) {
  const size_t rank = x.shape.size();
  for (size_t k = 0; k < rank && !resize.roi.empty(); ++k) {
    const bool whole = resize.roi[k] == 0 && resize.roi[rank + k] == 1;
    if (!whole || resize.sizes[k] != x.shape[k]) continue;
    resize.sizes[k] = 0;
    resize.scales[k] = 0;
  }
}

void emit_resize(Node& n, ir::ValueId x, const ir::Resize& resize) {
  const bool same =
      std::all_of(resize.sizes.begin(), resize.sizes.end(), [](int64_t size) { return size == 0; });
  if (same) return n.emit(ir::Identity{}, {x});
  n.emit(resize, {x});
}

ir::Resize blank(const Node& n, size_t rank) {
  static constexpr const char* kModes[] = {"nearest", "linear", "cubic"};
  ir::Resize resize;
  resize.mode = word<ir::Resize::Mode>(n, "mode", "nearest", kModes);
  resize.sizes.assign(rank, 0);
  resize.scales.assign(rank, 0);
  return resize;
}

// Upsample, and Resize as it came in opset 10: the place of x is x / scale, rounded down.
void import_first_resize(Node& n) {
  const ir::ValueId x = n.in(0);
  const ir::Value& value = n.value(x);
  ir::Resize resize = blank(n, value.shape.size());
  resize.coordinates = ir::Resize::Coordinates::asymmetric;
  resize.nearest = ir::Resize::Nearest::floor;
  std::vector<float> scales;
  if (n.opset() < 9) {
    if (const auto* list = n.find("scales", onnx::AttributeProto::FLOATS)) {
      scales.assign(list->floats().begin(), list->floats().end());
    }
  } else {
    scales = known_floats(n, 1, "its scales");
  }
  take_scales(scales, value, resize);
  emit_resize(n, x, resize);
}

}  // namespace

void import_upsample(Node& n) {
  import_first_resize(n);
}

void import_resize(Node& n) {
  if (n.opset() < 11) return import_first_resize(n);
  static constexpr const char* kCoordinates[] = {"half_pixel",           "pytorch_half_pixel",
                                                 "align_corners",        "asymmetric",
                                                 "tf_half_pixel_for_nn", "tf_crop_and_resize"};
  static constexpr const char* kNearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil"};
  const ir::ValueId x = n.in(0);
  const ir::Value& value = n.value(x);
  ir::Resize resize = blank(n, value.shape.size());
  resize.coordinates = word<ir::Resize::Coordinates>(n, "coordinate_transformation_mode",
                                                     "half_pixel", kCoordinates);
  resize.nearest = word<ir::Resize::Nearest>(n, "nearest_mode", "round_prefer_floor", kNearest);
  resize.cubic_a = n.real("cubic_coeff_a", -0.75f);
  resize.exclude_outside = n.integer("exclude_outside", 0) != 0;
  const bool crops = resize.coordinates == ir::Resize::Coordinates::tf_crop_and_resize;
  if (crops) {
    resize.outside = n.real("extrapolation_value", 0);
    take_roi(n, value, resize);
  }
  const bool by_size = present(n, 3);
  if (by_size == present(n, 2)) {
    refuse(506, "it has ", by_size ? "both scales and sizes" : "neither scales nor sizes",
           "; expected one of them");
  }
  if (by_size) {
    take_sizes(n.known_ints(3, "its sizes"), value, resize);
  } else {
    take_scales(known_floats(n, 2, "its scales"), value, resize);
  }
  settle_whole_axes(value, resize);
  emit_resize(n, x, resize);
}

}  // namespace qrt::import
