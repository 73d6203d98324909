#include "converter/lowbit/grid.h"

#include <algorithm>
#include <cmath>

#include "converter/ir/edit.h"
#include "converter/passes/edit.h"

namespace qrt::lowbit {
namespace {

// How far bias / scale may be off a multiple of a half: both are rounded floats.
constexpr double kSlack = 1e-4;

// The only float of a constant.
std::optional<float> single(const ir::Graph& g, ir::ValueId v) {
  const auto* data = passes::floats_of(g, v);
  if (data == nullptr || data->size() != 1) return {};
  return (*data)[0];
}

}  // namespace

std::optional<Grid> grid_of_levels(double scale, double bias, int64_t count) {
  if (!(scale > 0) || count < 1 || count > 255 || !std::isnormal(static_cast<float>(scale)))
    return {};
  const double halves = -2 * bias / scale;  // the level that stands for 0, doubled
  if (!(std::fabs(halves) < 1024) || std::fabs(halves - std::nearbyint(halves)) > kSlack) return {};
  auto zero = static_cast<int64_t>(std::nearbyint(halves));
  const int64_t step = zero % 2 == 0 ? 1 : 2;  // between levels: bytes of half the scale
  if (step == 1) zero /= 2;
  const int64_t low = std::max<int64_t>(0, -zero), high = low + step * count;
  zero += low;
  if (high > 255 || zero > 255) return {};
  const auto narrow = [](int64_t v) { return static_cast<int32_t>(v); };
  return Grid{static_cast<float>(scale / static_cast<double>(step)), narrow(zero), narrow(low),
              narrow(high), narrow(step)};
}

std::optional<Grid> grid_made_by(const ir::Graph& g, const ir::Node& n) {
  if (const auto* unary = std::get_if<ir::Unary>(&n.attr))
    return unary->op == ir::Unary::Op::sign ? grid_of_levels(1, -1, 2) : std::nullopt;
  if (const auto* steps = std::get_if<ir::Steps>(&n.attr)) {
    if (ir::constant_of(g, n.in[1]) == nullptr) return {};
    return grid_of_levels(double{steps->scale}, double{steps->bias},
                          passes::value_of(g, n.in[1]).shape.at(1));
  }
  if (const auto* fake = std::get_if<ir::FakeQuantize>(&n.attr)) {
    const auto scale = single(g, n.in[1]), zero = single(g, n.in[2]);
    if (!scale || !zero) return {};
    return grid_of_levels(double{*scale}, (double{fake->low} - *zero) * *scale,
                          static_cast<int64_t>(double{fake->high} - double{fake->low}));
  }
  return {};
}

bool rounds_to_bytes(const ir::Graph& g, const ir::Node& n) {
  const auto* fake = std::get_if<ir::FakeQuantize>(&n.attr);
  if (fake == nullptr || !fake->zero_after) return false;
  const auto grid = grid_made_by(g, n);
  return fake->rounding == ir::FakeQuantize::Rounding::half_even && grid && grid->step == 1 &&
         grid->low == 0 && grid->high == 255;
}

bool keeps_grid(const ir::Node& n) {
  if (const auto* pool = std::get_if<ir::Pool2d>(&n.attr))
    return pool->mode == ir::Pool2d::Mode::max;
  if (const auto* pad = std::get_if<ir::Pad>(&n.attr))
    return pad->mode != ir::Pad::Mode::constant || pad->value == 0;
  return ir::moves(n.attr) || std::holds_alternative<ir::Squeeze>(n.attr) ||
         std::holds_alternative<ir::Unsqueeze>(n.attr);
}

void update_grid(const ir::Graph& g, const ir::Node& n, std::vector<std::optional<Grid>>& all) {
  all.resize(g.values.size());
  if (n.out.empty()) return;
  std::optional<Grid> found = grid_made_by(g, n);
  if (keeps_grid(n)) {
    found = all[static_cast<size_t>(n.in[0])];
    // A Concat has several inputs of data, the others one and perhaps constants.
    if (std::holds_alternative<ir::Concat>(n.attr))
      for (const ir::ValueId v : n.in)
        if (all[static_cast<size_t>(v)] != found) found.reset();
  }
  all[static_cast<size_t>(n.out[0])] = found;
}

std::vector<std::optional<Grid>> grids(const ir::Graph& g) {
  std::vector<std::optional<Grid>> all(g.values.size());
  for (const ir::Node& n : g.nodes) update_grid(g, n, all);
  return all;
}

}  // namespace qrt::lowbit
