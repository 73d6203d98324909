// See folded_grids.h.
#include "converter/passes/folded_grids.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "converter/passes/edit.h"

namespace qrt::passes {

namespace {

constexpr int kMaxBits = 8;  // of an Affine
constexpr const char* kSource = "quant";

// Where dimension `axis` of `from` stands in `to`, if it stands there.
std::optional<size_t> axis_in(const std::vector<int64_t>& from, size_t axis,
                              const std::vector<int64_t>& to) {
  int64_t before = 1, here = 1;
  for (size_t d = 0; d < axis; ++d) before *= from[d];
  for (size_t d = 0; d < to.size(); ++d) {
    if (here == before && to[d] == from[axis]) return d;
    here *= to[d];
  }
  return std::nullopt;
}

// The fewest bits of codes from low to high, and whether they are signed.
std::optional<std::pair<int, bool>> bits_of(float low, float high) {
  const bool is_signed = low < 0;
  for (int bits = 1; bits <= kMaxBits; ++bits) {
    const float all = std::ldexp(1.0f, bits);
    if (is_signed ? low >= -all / 2 && high <= all / 2 - 1 : high <= all - 1)
      return std::pair(bits, is_signed);
  }
  return std::nullopt;
}

bool means(const quant::Encoding& e, const std::vector<float>& data, int64_t outputs) {
  const int64_t inputs = static_cast<int64_t>(data.size()) / outputs;
  return quant::check(e, outputs, inputs).ok() && quant::decode(e, outputs, inputs) == data;
}

}  // namespace

FoldedGrids::Grid FoldedGrids::grid_of(const ir::Graph& g, const ir::Node& n,
                                       const ir::FakeQuantize& f) {
  const auto rank = static_cast<int32_t>(value_of(g, n.in[0]).shape.size());
  return {false,
          f.low,
          f.high,
          ir::constant_of(g, n.in[1])->data,
          ir::constant_of(g, n.in[2])->data,
          static_cast<size_t>(f.axis < 0 ? f.axis + rank : f.axis)};
}

void FoldedGrids::note(const ir::Graph& g, const ir::Node& n) {
  const ir::ValueId y = n.out[0];
  if (const auto* f = std::get_if<ir::FakeQuantize>(&n.attr)) {
    grids_[y] = grid_of(g, n, *f);
    return;
  }
  if (const auto* s = std::get_if<ir::Steps>(&n.attr)) {
    if (ir::constant_of(g, n.in[1])->data.size() == 1 && s->scale == -2 * s->bias && s->bias < 0)
      grids_[y] = {true, -1, 1, {-s->bias}, {0}, 0};
    return;
  }
  const auto found = grids_.find(n.in[0]);
  if (found == grids_.end()) return;
  Grid grid = found->second;
  const bool along = grid.scale.size() > 1 || grid.zero.size() > 1;
  if (const auto* t = std::get_if<ir::Transpose>(&n.attr)) {
    const auto at = std::find(t->perm.begin(), t->perm.end(), static_cast<int32_t>(grid.axis));
    if (along) grid.axis = static_cast<size_t>(at - t->perm.begin());
  } else if (std::holds_alternative<ir::Reshape>(n.attr) ||
             std::holds_alternative<ir::Identity>(n.attr) ||
             std::holds_alternative<ir::Squeeze>(n.attr) ||
             std::holds_alternative<ir::Unsqueeze>(n.attr)) {
    if (along) {
      const auto at = axis_in(value_of(g, n.in[0]).shape, grid.axis, value_of(g, y).shape);
      if (!at) return;
      grid.axis = *at;
    }
  } else {
    return;
  }
  grids_[y] = std::move(grid);
}

namespace {

// q of every weight, by its row's scale and zero.
struct Rows {
  const std::vector<float>&scale, &zero;
  size_t inputs;
  float code(float w, size_t i) const {
    const size_t row = i / inputs;
    return std::nearbyint(w / scale[scale.size() == 1 ? 0 : row] +
                          zero[zero.size() == 1 ? 0 : row]);
  }
};

std::optional<quant::Encoding> signs_of(const std::vector<float>& data, size_t outputs,
                                        float scale) {
  quant::BitPlanes planes;
  planes.counts.assign(outputs, 1);
  planes.alphas.assign(outputs, scale);
  for (const float w : data) planes.signs.push_back(w > 0);
  return planes;
}

}  // namespace

void FoldedGrids::encode(ir::Graph& g) const {
  // Only what nothing else reads than layers, as their weight.
  std::vector<int> as_weight(g.values.size());
  for (const ir::Node& n : g.nodes)
    if (std::holds_alternative<ir::Conv2d>(n.attr) || std::holds_alternative<ir::Linear>(n.attr))
      ++as_weight[static_cast<size_t>(n.in[1])];
  const std::vector<int> uses = count_uses(g);
  for (const auto& [v, grid] : grids_) {
    const auto at = static_cast<size_t>(v);
    const ir::Constant* c = ir::constant_of(g, v);
    if (as_weight[at] == 0 || as_weight[at] != uses[at] || c == nullptr || c->encoding ||
        c->data.empty())
      continue;
    const std::vector<int64_t>& shape = value_of(g, v).shape;
    const auto outputs = static_cast<size_t>(shape[0]);
    const bool along = grid.scale.size() > 1 || grid.zero.size() > 1;
    if (along && grid.axis != 0) continue;
    std::optional<quant::Encoding> encoding;
    if (grid.signs) {
      encoding = signs_of(c->data, outputs, grid.scale[0]);
    } else if (const auto bits = bits_of(grid.low, grid.high)) {
      quant::Affine affine;
      affine.bits = bits->first, affine.is_signed = bits->second;
      const Rows rows{grid.scale, grid.zero, c->data.size() / outputs};
      bool fits = true;
      for (size_t i = 0; i < c->data.size(); ++i) {
        const float q = rows.code(c->data[i], i);
        fits = fits && q >= grid.low && q <= grid.high && q == std::floor(q);
        affine.codes.push_back(fits ? static_cast<int16_t>(q) : int16_t{0});
      }
      for (const float z : grid.zero) {
        fits = fits && 2 * z == std::floor(2 * z) && std::fabs(z) < 10000;
        if (fits) affine.zero_halves.push_back(static_cast<int16_t>(2 * z));
      }
      if (std::all_of(grid.zero.begin(), grid.zero.end(), [](float z) { return z == 0; }))
        affine.zero_halves.clear();
      affine.scales = {grid.scale.size() == 1 ? quant::ScaleAxis::layer : quant::ScaleAxis::output,
                       0, grid.scale};
      if (fits) encoding = std::move(affine);
    }
    if (!encoding || !means(*encoding, c->data, shape[0])) continue;
    ir::Constant coded;
    coded.encoding = std::make_shared<const quant::Encoding>(std::move(*encoding));
    coded.source = kSource;
    ir::Value& value = g.values[at];
    value.type = ir::ElementType::f32;
    value.constant = static_cast<int32_t>(g.constants.size());
    g.constants.push_back(std::move(coded));
  }
}

}  // namespace qrt::passes
