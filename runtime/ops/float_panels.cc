// See float_panels.h. K goes in steps; between steps the sums rest in y.
#include "runtime/ops/float_panels.h"

#include "runtime/base/checked.h"

namespace qrt {
namespace {

namespace cb = kernels::codebook;

// Panels of an item, in L2 beside rows and sums: four of 576 inputs.
constexpr size_t kPanelFloats = 320 * 1024 / sizeof(float);

constexpr size_t ceil_div(size_t x, size_t by) {
  return (x + by - 1) / by;
}

constexpr size_t round_up(size_t x, size_t to) {
  return ceil_div(x, to) * to;
}

}  // namespace

Status FloatPanels::prepare(const CodebookLayer& layer, PrepareContext& context) {
  const kernels::Tile tile = layer.kit->tile;
  step_ = step_of(layer);
  divide(layer, tile);
  row_stride_ = ceil_div(step_, 16) * 16 + 16;  // one line off a power of two: no set is crowded
  const CheckedSize panels = CheckedSize(panels_) * step_ * tile.n;
  const CheckedSize rows = panels + round_up(row_stride_ * tile.m, 16);
  const CheckedSize own = rows + work_floats(layer, step_);
  const auto bytes = (own * sizeof(float) + 63).get();
  QRT_REQUIRE(bytes, Code::out_of_memory, 334, "the layer is too large for this machine");
  thread_bytes_ = *bytes / 64 * 64;
  rows_at_ = *panels.get(), work_at_ = *rows.get();  // smaller than what was just found to fit
  const auto all = (CheckedSize(thread_bytes_) * layer.threads).get();
  QRT_REQUIRE(all, Code::out_of_memory, 334, "the layer is too large for this machine");
  own_ = context.reserve_scratch(*all);
  return begin_prepare(layer, context, step_);
}

Status FloatPanels::run(const CodebookLayer& layer, const RunContext& context) const {
  if (layer.rows == 0) return {};
  const cb::Source source = begin_run(layer, context);
  const size_t items = layer.groups * panel_items_ * chunks_;
  context.threads.split(items, 1, [&](size_t begin, size_t end, uint32_t thread) {
    auto* own = reinterpret_cast<float*>(context.scratch[own_] + thread * thread_bytes_);
    for (size_t i = begin; i < end; ++i) item(layer, context, source, i, own);
  });
  return {};
}

// Items: at least four per thread keep all of them busy to the end. More chunks of rows
// decode panels again (N * K), more groups of panels gather rows again (M * K).
void FloatPanels::divide(const CodebookLayer& layer, const kernels::Tile& tile) {
  const size_t panels = ceil_div(layer.group_outputs, tile.n);
  const size_t row_tiles = layer.rows == 0 ? 1 : ceil_div(layer.rows, tile.m);
  const size_t wanted = layer.threads == 1 ? 1 : ceil_div(4 * layer.threads, layer.groups);
  const size_t fit = kPanelFloats / tile.n / step_;
  size_t groups = ceil_div(panels, fit < 1 ? 1 : fit);
  if (groups < wanted && layer.rows < layer.group_outputs)
    groups = wanted < panels ? wanted : panels;
  panels_ = ceil_div(panels, groups);
  panel_items_ = ceil_div(panels, panels_);
  const size_t chunks = ceil_div(wanted, panel_items_);
  chunk_tiles_ = ceil_div(row_tiles, chunks < row_tiles ? chunks : row_tiles);
  chunks_ = ceil_div(row_tiles, chunk_tiles_);
}

void FloatPanels::item(const CodebookLayer& layer, const RunContext& context,
                       const cb::Source& source, size_t i, float* own) const {
  const kernels::Tile tile = layer.kit->tile;
  const size_t chunk = i % chunks_, first_panel = i / chunks_ % panel_items_ * panels_;
  const size_t group = i / chunks_ / panel_items_;
  const size_t all = ceil_div(layer.group_outputs, tile.n);
  if (first_panel >= all) return;
  const size_t panels = all - first_panel < panels_ ? all - first_panel : panels_;
  for (size_t k0 = 0; k0 < layer.inputs; k0 += step_) {
    const size_t k1 = layer.inputs - k0 < step_ ? layer.inputs : k0 + step_;
    for (size_t p = 0; p < panels; ++p) {
      const size_t n0 = (first_panel + p) * tile.n, left = layer.group_outputs - n0;
      const size_t first = group * layer.group_outputs + n0;
      make(
          layer, source,
          {first, left < tile.n ? left : tile.n, k0, k1, own + p * step_ * tile.n, own + work_at_});
    }
    const size_t last = (chunk + 1) * chunk_tiles_ * tile.m;
    multiply(layer, context,
             {group, chunk * chunk_tiles_ * tile.m, last < layer.rows ? last : layer.rows, k0, k1},
             first_panel, panels, own);
  }
}

void FloatPanels::multiply(const CodebookLayer& layer, const RunContext& context, const Rows& range,
                           size_t first_panel, size_t panels, float* own) const {
  const kernels::Tile tile = layer.kit->tile;
  const float* x = context.in[0].as<float>();
  float* y = context.out[0].as<float>();
  const bool in_place = layer.rows_in_place();
  const size_t depth = layer.channels * layer.groups;
  // Tiles of about equal height: 49 rows are 13 + 12 + 12 + 12, not 14 + 14 + 14 + 7.
  const size_t count = range.end - range.begin, tiles = ceil_div(count, tile.m);
  for (size_t t = 0, row = range.begin; t < tiles; ++t) {
    const size_t rows = count / tiles + (t < count % tiles ? 1 : 0);
    cb::GemmArgs a{};
    if (in_place) {
      a.x = x + row * depth + range.group * layer.channels + range.k0, a.x_stride = depth;
    } else {
      gather_rows(layer, x, {range.group, row, rows, range.k0, range.k1}, own + rows_at_,
                  row_stride_);
      a.x = own + rows_at_, a.x_stride = row_stride_;
    }
    a.rows = rows, a.inputs = range.k1 - range.k0, a.y_stride = layer.outputs;
    a.first = range.k0 == 0, a.last = range.k1 == layer.inputs;
    for (size_t p = 0; p < panels; ++p) {
      const size_t n0 = (first_panel + p) * tile.n, left = layer.group_outputs - n0;
      const size_t output = range.group * layer.group_outputs + n0;
      a.outputs = left < tile.n ? left : tile.n;
      a.panel = own + p * step_ * tile.n;
      a.y = y + row * layer.outputs + output;
      a.finish = layer.finish_at(context, row, output);
      layer.kit->run->gemm(a);
    }
    row += rows;
  }
}

}  // namespace qrt
