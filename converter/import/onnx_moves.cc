// Operators that cut, pick, pad and repeat: Slice, Split, Gather, Pad, Tile, Expand,
// DepthToSpace, SpaceToDepth. What they ask for must be known at conversion, the
// indices of a Gather may be computed. Where one is a simple case of another, it
// becomes that: a Split is slices, an Expand a Tile, blocks of pixels a Transpose.
#include <algorithm>
#include <limits>
#include <numeric>

#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

using layout::kMaxDim;
constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

size_t rank_of(const Node& n, ir::ValueId x) {
  return n.value(x).shape.size();
}

// A possibly negative axis, counted from the front.
size_t axis_of(int64_t axis, size_t rank) {
  const auto limit = static_cast<int64_t>(rank);
  if (axis < -limit || axis >= limit) {
    refuse(505, "axis is ", axis, "; allowed are ", -limit, " to ", limit - 1);
  }
  return static_cast<size_t>(axis < 0 ? axis + limit : axis);
}

ir::Slice slice_of(size_t axis, int64_t start, int64_t end, int64_t step) {
  return {{start}, {end}, {static_cast<int64_t>(axis)}, {step}};
}

// Whether entry k takes all of a dimension that takes the batch: the one way to slice it.
bool takes_batch(const ir::Slice& slice, size_t k) {
  return slice.starts[k] == 0 && slice.steps[k] == 1 &&
         (slice.ends[k] == kBatchSize || slice.ends[k] > kMaxDim);
}

// Drops what slices the free batch as a whole; the batch's size means nothing anywhere else.
void settle_batch(ir::Slice& slice, const ir::Value& x) {
  const auto rank = static_cast<int64_t>(x.shape.size());
  for (size_t k = slice.starts.size(); k-- > 0;) {
    const bool first = slice.axes[k] == 0 || slice.axes[k] == -rank;
    if (x.batched && first && takes_batch(slice, k)) {
      for (auto* list : {&slice.starts, &slice.ends, &slice.axes, &slice.steps}) {
        list->erase(list->begin() + static_cast<int64_t>(k));
      }
    } else if (slice.starts[k] == kBatchSize || slice.ends[k] == kBatchSize) {
      refuse(535, "it slices axis ", slice.axes[k], " of ", x.name,
             " by the size of the free batch; fix the batch with --shape ", x.name, "=1,...");
    }
  }
}

}  // namespace

void import_slice(Node& n) {
  const ir::ValueId x = n.in(0);
  ir::Slice slice;
  slice.starts = list_of(n, "starts", 1, 10);
  slice.ends = list_of(n, "ends", 2, 10);
  slice.axes = list_of(n, "axes", 3, 10);
  slice.steps = list_of(n, "steps", 4, 10);
  const size_t count = slice.starts.size();
  if (slice.axes.empty()) {
    slice.axes.resize(count);
    std::iota(slice.axes.begin(), slice.axes.end(), 0);
  }
  if (slice.steps.empty()) slice.steps.assign(count, 1);
  if (slice.ends.size() != count || slice.axes.size() != count || slice.steps.size() != count) {
    refuse(505, "starts, ends, axes and steps have ", count, ", ", slice.ends.size(), ", ",
           slice.axes.size(), " and ", slice.steps.size(), " entries; expected as many");
  }
  settle_batch(slice, n.value(x));
  if (slice.starts.empty()) return n.emit(ir::Identity{}, {x});
  n.emit(slice, {x});
}

void import_split(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  const size_t axis = axis_of(n.integer("axis", 0), shape.size());
  std::vector<int64_t> parts = list_of(n, "split", 1, 13);
  const auto outputs = static_cast<int64_t>(n.outputs());
  if (parts.empty() && shape[axis] % outputs == 0) {
    parts.assign(n.outputs(), shape[axis] / outputs);
  }
  const bool fits = parts.size() == n.outputs() &&
                    std::all_of(parts.begin(), parts.end(), [](int64_t p) { return p >= 0; }) &&
                    std::accumulate(parts.begin(), parts.end(), int64_t{0}) == shape[axis];
  if (!fits) {
    refuse(505, "it splits axis ", axis, " of ", shape_text(shape, n.value(x).batched), " into [",
           join(parts), "] for ", outputs, " outputs; the parts must count the outputs and add up");
  }
  int64_t start = 0;
  for (size_t k = 0; k < parts.size(); ++k) {
    n.emit_output(k, slice_of(axis, start, start + parts[k], 1), {x});
    start += parts[k];
  }
}

namespace {

// Indices that are known and count regularly: start, start + step, ...
struct Run {
  int64_t start, step, count;
};
std::optional<Run> run_of(const Node& n, int64_t length) {
  const auto view = n.known(1);
  if (!view || ir::is_float(view->type) || view->ints.empty()) return std::nullopt;
  std::vector<int64_t> at(view->ints.begin(), view->ints.end());
  for (int64_t& index : at) {
    if (index < -length || index >= length) {
      refuse(538, "index ", index, " of ", n.value(n.in(1)).name, " names none of the ", length,
             " entries; allowed are ", -length, " to ", length - 1);
    }
    if (index < 0) index += length;
  }
  const int64_t step = at.size() > 1 ? at[1] - at[0] : 1;
  for (size_t i = 1; i < at.size(); ++i) {
    if (at[i] - at[i - 1] != step) return std::nullopt;
  }
  if (step == 0) return std::nullopt;
  return Run{at[0], step, static_cast<int64_t>(at.size())};
}

}  // namespace

// On data, one index or a regular list of them is a Slice. Constants keep the Gather, which is how
// codebooks are spelled.
void import_gather(Node& n) {
  ir::ValueId x = n.in(0);
  const ir::ValueId indices = n.in(1);
  const bool is_half = n.value(x).type == ir::ElementType::f16;
  if (is_half && !n.fixed(indices)) x = n.step("wide", ir::Cast{1}, {x});  // data are f32
  const std::vector<int64_t> shape = n.value(x).shape;
  const size_t axis = axis_of(n.integer("axis", 0), shape.size());
  const ir::Gather gather{static_cast<int32_t>(axis)};
  const size_t index_rank = rank_of(n, indices);
  if (n.fixed(x) || index_rank > 1 || (axis == 0 && n.value(x).batched)) {
    return n.emit(gather, {x, indices});
  }
  const std::optional<Run> run = run_of(n, shape[axis]);
  if (!run) return n.emit(gather, {x, indices});
  const int64_t end = run->start + run->count * run->step;
  // One step before the front would count from the end.
  const ir::Slice slice = slice_of(axis, run->start, end < 0 ? -kEnd : end, run->step);
  if (index_rank == 1) return n.emit(slice, {x});
  const ir::ValueId one = n.step("entry", slice, {x});
  n.emit(ir::Squeeze{{static_cast<int32_t>(axis)}}, {one});
}

namespace {

ir::Pad::Mode pad_mode(const Node& n) {
  const std::string mode = n.text("mode", "constant");
  if (mode == "reflect") return ir::Pad::Mode::reflect;
  if (mode == "edge") return ir::Pad::Mode::edge;
  if (mode == "constant") return ir::Pad::Mode::constant;
  n.unsupported("its mode is '", mode, "'; supported are constant, reflect and edge");
}

float pad_value(const Node& n) {
  if (n.opset() < 11) return n.real("value", 0);
  if (!n.has(2)) return 0;
  const auto view = n.known(2);
  if (view && !ir::is_float(view->type) && view->ints.size() == 1) {
    const int64_t value = view->ints[0];
    return static_cast<float>(to_int32(value, -(1 << 24), 1 << 24, "the padding value"));
  }
  return n.known_float(2, "the padding value");
}

}  // namespace

// Negative padding crops first: what is left is padded.
void import_pad(Node& n) {
  ir::ValueId x = n.in(0);
  const std::vector<int64_t> pads = list_of(n, "pads", 1, 11);
  const size_t rank = rank_of(n, x);
  if (pads.size() != 2 * rank) {
    refuse(505, "pads has ", pads.size(), " entries; expected ", 2 * rank);
  }
  ir::Pad pad;
  pad.mode = pad_mode(n);
  pad.value = pad.mode == ir::Pad::Mode::constant ? pad_value(n) : 0;
  ir::Slice crop;
  bool pads_any = false;
  for (size_t k = 0; k < rank; ++k) {
    const int32_t before = to_int32(pads[k], -kMaxDim, kMaxDim, "pads");
    const int32_t after = to_int32(pads[k + rank], -kMaxDim, kMaxDim, "pads");
    pad.before.push_back(std::max(before, 0));
    pad.after.push_back(std::max(after, 0));
    pads_any = pads_any || before > 0 || after > 0;
    if (before >= 0 && after >= 0) continue;
    const int64_t dim = n.value(x).shape[k], start = std::max(-before, 0);
    const int64_t end = dim + std::min(after, 0);
    if (end <= start) {
      refuse(505, "pads crop axis ", k, " of ", dim, " elements by ", -before, " and ", -after,
             "; something must be left");
    }
    crop.starts.push_back(start);
    crop.ends.push_back(end);
    crop.axes.push_back(static_cast<int64_t>(k));
    crop.steps.push_back(1);
  }
  if (crop.starts.empty()) return n.emit(pad, {x});
  if (!pads_any) return n.emit(crop, {x});
  n.emit(pad, {n.step("crop", crop, {x})});
}

namespace {

// Repeats a value that does not take the batch, by a batch size along dimension 0 too.
void emit_tile(Node& n, ir::ValueId x, ir::Tile tile) {
  const bool along_batch = !tile.repeats.empty() && tile.repeats[0] == kBatchSize;
  if (along_batch) tile.repeats[0] = 1;
  const bool same = std::all_of(tile.repeats.begin(), tile.repeats.end(),
                                [](int64_t repeats) { return repeats == 1; });
  if (along_batch) return n.emit_along_batch(same ? x : n.step("tile", tile, {x}));
  if (same) return n.emit(ir::Identity{}, {x});
  n.emit(tile, {x});
}

}  // namespace

void import_tile(Node& n) {
  const ir::ValueId x = n.in(0);
  const ir::Tile tile{n.known_ints(1, "its repeats")};
  const ir::Value& value = n.value(x);
  for (size_t k = 0; k < tile.repeats.size(); ++k) {
    if (tile.repeats[k] == kBatchSize && (k > 0 || value.batched || value.shape[0] != 1)) {
      refuse(536, "it repeats axis ", k, " of ", value.name, " ",
             shape_text(value.shape, value.batched),
             " as often as the free batch; fix the batch with --shape INPUT=1,...");
    }
  }
  emit_tile(n, x, tile);
}

// Dimensions are aligned at the last one; a 1 on either side takes the other side's.
void import_expand(Node& n) {
  ir::ValueId x = n.in(0);
  const ir::Value& value = n.value(x);
  const std::vector<int64_t> target = n.known_ints(1, "its shape");
  std::vector<int64_t> shape = value.shape;
  const bool batched = value.batched;
  const bool grows = target.size() > shape.size();
  const size_t rank = std::max(shape.size(), target.size()), skip = rank - target.size();
  shape.insert(shape.begin(), rank - shape.size(), 1);
  ir::Tile tile;
  tile.repeats.assign(rank, 1);
  for (size_t k = 0; k < target.size(); ++k) {
    const int64_t want = target[k], have = shape[k + skip];
    const bool is_batch = want == kBatchSize && batched && !grows && k + skip == 0;
    if (is_batch || want == 1 || want == have) continue;
    if (want == kBatchSize && k + skip == 0 && have == 1 && !batched) {
      tile.repeats[0] = kBatchSize;
      continue;
    }
    if (want == kBatchSize || (batched && grows)) {
      refuse(536, "it expands ", shape_text(value.shape, batched),
             " along the free batch; fix the batch with --shape INPUT=1,...");
    }
    if (have != 1 || want < 1) {
      refuse(505, "it expands ", shape_text(value.shape, batched), " to [", join(target),
             "]; these do not broadcast");
    }
    tile.repeats[k + skip] = want;
  }
  if (grows) x = n.step("ranks", ir::Reshape{shape}, {x});
  emit_tile(n, x, tile);
}

namespace {

struct Blocks {
  ir::ValueId x;
  std::vector<int64_t> shape;  // NCHW
  int64_t size;
};
Blocks blocks_of(const Node& n) {
  const Blocks b{n.in(0), n.value(n.in(0)).shape, n.integer("blocksize", 0)};
  if (b.shape.size() != 4 || b.size < 1 || b.size > 4096) {
    refuse(505, "its input has shape ", shape_text(b.shape), " and its blocks ", b.size,
           " pixels; expected an image of rank 4 and 1 to 4096");
  }
  return b;
}

// Six dimensions, in another order, as an image again.
void emit_blocks(Node& n, ir::ValueId x, std::vector<int64_t> six, std::vector<int32_t> perm,
                 std::vector<int64_t> image) {
  const ir::ValueId cut = n.step("blocks", ir::Reshape{std::move(six)}, {x});
  const ir::ValueId moved = n.heart(ir::Transpose{std::move(perm)}, {cut});
  n.emit(ir::Reshape{std::move(image)}, {moved});
}

}  // namespace

void import_depth_to_space(Node& n) {
  const auto [x, s, b] = blocks_of(n);
  if (s[1] % (b * b) != 0) {
    refuse(505, s[1], " channels make no blocks of ", b, " x ", b, " pixels");
  }
  const int64_t c = s[1] / (b * b);
  const std::string mode = n.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") {
    n.unsupported("its mode is '", mode, "'; supported are DCR and CRD");
  }
  const std::vector<int64_t> image = {s[0], c, s[2] * b, s[3] * b};
  if (mode == "DCR") {
    return emit_blocks(n, x, {s[0], b, b, c, s[2], s[3]}, {0, 3, 4, 1, 5, 2}, image);
  }
  emit_blocks(n, x, {s[0], c, b, b, s[2], s[3]}, {0, 1, 4, 2, 5, 3}, image);
}

void import_space_to_depth(Node& n) {
  const auto [x, s, b] = blocks_of(n);
  if (s[2] % b != 0 || s[3] % b != 0) {
    refuse(505, "an image of ", s[2], " x ", s[3], " has no whole blocks of ", b, " x ", b);
  }
  const int64_t h = s[2] / b, w = s[3] / b;
  emit_blocks(n, x, {s[0], s[1], h, b, w, b}, {0, 3, 5, 1, 2, 4}, {s[0], s[1] * b * b, h, w});
}

}  // namespace qrt::import
