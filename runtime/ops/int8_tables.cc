// Strategy `tables`: inner products of entries with blocks are tabulated and looked up by the
// codes, in the way of kernels/tables that is predicted to be fastest. Every way gives the same
// bits. It is all there is for rounded numerics; of exact ones it has those of one book and one
// level, where an instruction set has a way for them.
//
//   item = a tile of rows of one group x a range of outputs        (split over threads)
//     gather the rows; for each scope of the range: one call
#include <cstdio>
#include <cstring>

#include "kernels/tables/tables.h"
#include "runtime/base/checked.h"
#include "runtime/ops/int8_layer.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;
namespace tb = kernels::tables;

constexpr size_t kLine = 64;

constexpr size_t ceil_div(size_t x, size_t by) {
  return (x + by - 1) / by;
}

bool is_exact(const Int8Layer& layer) {
  return layer.weights->numerics == Numerics::exact;
}
uint32_t keep_of(const Int8Layer& layer) {
  return is_exact(layer) ? tb::kExactBits : layer.weights->table_bits;
}
uint32_t shift_of(const Int8Layer& layer) {
  return is_exact(layer) ? 0 : layer.weights->table_shift;
}

tb::Shape shape_of(const Int8Layer& layer) {
  const Weights& w = *layer.weights;
  tb::Shape s{};
  s.rows = layer.rows, s.outputs = layer.group_outputs, s.inputs = layer.inputs;
  s.blocks = layer.blocks;
  s.bits = w.codebook.code_bits, s.books = w.codebook.books, s.dim = w.codebook.dim;
  s.scopes = static_cast<uint32_t>(layer.scopes);
  s.keep = keep_of(layer), s.shift = shift_of(layer);
  s.zero = layer.x.zero != 0;
  return s;
}

class Tables final : public Int8Strategy {
 public:
  // `wanted`, where it names a way, is the only one that is considered.
  explicit Tables(const char* wanted) {
    for (const tb::Row& row : tb::kWays)
      if (wanted != nullptr && std::strcmp(wanted, row.name) == 0) only_ = &row;
  }
  const char* name() const override { return only_ ? only_->name : "tables"; }
  float cost_ns(const Int8Layer& layer) const override {
    float ns = -1;
    best(layer, &ns);
    return ns;
  }

  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    float ns;
    row_ = best(layer, &ns);
    const tb::Way& way = *row_->way;
    gathers_ = !layer.rows_in_place();
    rows_at_ = ceil_div(way.scratch(shape_of(layer)), kLine) * kLine;
    const size_t rows = layer.rows < way.rows ? layer.rows : way.rows;
    const auto own = (CheckedSize(gathers_ ? rows : 0) * gathered_stride(layer.inputs) + rows_at_ +
                      tb::kRowSlack)
                         .get();
    if (!own) return layer_too_large();
    own_bytes_ = ceil_div(*own, kLine) * kLine;
    const auto all = (CheckedSize(own_bytes_) * layer.threads).get();
    if (!all) return layer_too_large();
    divide(layer, way);
    entries_ = reserve_entries(layer, context);
    own_ = context.reserve_scratch(*all);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const override {
    if (layer.rows == 0) return {};
    const i8::Coded source = round_entries(layer, entries_, context);
    const size_t items = tiles_ * layer.groups * ranges_;
    context.threads.split(items, 1, [&](size_t begin, size_t end, uint32_t thread) {
      auto* own = reinterpret_cast<uint8_t*>(context.scratch[own_]) + thread * own_bytes_;
      for (size_t i = begin; i < end; ++i) item(layer, context, source, i, own);
    });
    return {};
  }

  void write_kernel_name(const Int8Layer&, char* out, size_t room) const override {
    std::snprintf(out, room, "%s", row_->name);
  }

 private:
  const tb::Row* best(const Int8Layer& layer, float* best_ns) const {
    *best_ns = -1;
    if (!layer.coded()) return nullptr;
    const bool exact = is_exact(layer);
    if (exact && layer.weights->codebook.levels.count != 1) return nullptr;
    const tb::Shape shape = shape_of(layer);
    if (exact && shape.books != 1) return nullptr;
    if (shape.bits > tb::kMaxBits || shape.dim > tb::kMaxDim) return nullptr;
    const tb::Row* found = nullptr;
    for (const tb::Row& row : tb::kWays) {
      if (only_ != nullptr && only_ != &row) continue;
      // The reference has no competitor in rounded numerics only.
      if (exact && row.isa == kernels::isa_none) continue;
      if (!kernels::includes(layer.isa, row.isa) || row.way->scratch(shape) == 0) continue;
      const float ns = row.way->cost_ns(shape) * static_cast<float>(layer.groups);
      if (ns >= 0 && (found == nullptr || ns < *best_ns)) found = &row, *best_ns = ns;
    }
    return found;
  }

  // Outputs are split only where tiles of rows leave threads idle: every range makes the tables
  // again. Ranges end where two calls share neither a vector nor a line.
  void divide(const Int8Layer& layer, const tb::Way& way) {
    tiles_ = ceil_div(layer.rows, way.rows);
    const size_t unit = way.unit < kLine ? kLine : way.unit;
    const size_t units = ceil_div(layer.group_outputs, unit);
    size_t wanted = 1;
    if (layer.threads > 1 && tiles_ * layer.groups < 2 * layer.threads)
      wanted = ceil_div(layer.threads, tiles_ * layer.groups);
    range_ = ceil_div(units, wanted < units ? wanted : units) * unit;
    ranges_ = ceil_div(layer.group_outputs, range_);
  }

  void item(const Int8Layer& layer, const RunContext& context, const i8::Coded& source, size_t i,
            uint8_t* own) const {
    const tb::Way& way = *row_->way;
    const size_t group = i / ranges_ % layer.groups, tile = i / ranges_ / layer.groups;
    const size_t row = tile * way.rows, left = layer.rows - row;
    const size_t last = (group + 1) * layer.group_outputs;
    size_t n = group * layer.group_outputs + i % ranges_ * range_;
    const size_t end = last - n < range_ ? last : n + range_;
    const size_t scope = source.scope_rows == 0 ? layer.outputs : source.scope_rows;
    tb::Args a{};
    a.source = source;
    a.keep = keep_of(layer), a.shift = shift_of(layer);
    a.inputs = layer.inputs, a.taps = layer.interleaved ? layer.taps : 1;
    a.rows = left < way.rows ? left : way.rows;
    a.x_zero = layer.x.zero;
    a.scratch = own, a.y_stride = layer.outputs;
    place_rows(layer, context.in[0].as<uint8_t>(), {group, row, a.rows}, own + rows_at_, &a);
    while (n < end) {
      const size_t scope_end = (n / scope + 1) * scope;
      a.first_output = n, a.outputs = (scope_end < end ? scope_end : end) - n;
      const size_t at = row * layer.outputs + n;
      if (layer.y.present())
        a.y8 = context.out[0].as<uint8_t>() + at;
      else
        a.y32 = context.out[0].as<float>() + at;
      a.finish = layer.finish_at(context, row, n);
      way.run(a);
      n += a.outputs;
    }
  }

  void place_rows(const Int8Layer& layer, const uint8_t* x, const Int8RowRange& range, uint8_t* own,
                  tb::Args* a) const {
    if (gathers_) {
      a->x = own, a->x_stride = gathered_stride(layer.inputs);
      return gather_rows(layer, x, range, own, a->x_stride);
    }
    a->x_stride = layer.channels * layer.groups;
    a->x = x + range.row0 * a->x_stride + range.group * layer.channels;
  }

  const tb::Row *only_ = nullptr, *row_ = nullptr;
  bool gathers_ = false;
  size_t tiles_ = 0, range_ = 1, ranges_ = 1, rows_at_ = 0, own_bytes_ = 0;
  EntryScratch entries_;
  ScratchSlot own_ = 0;
};

}  // namespace

Int8Strategy* make_tables_strategy(Arena& keep, const char* wanted) {
  return keep.make<Tables>(wanted);
}

}  // namespace qrt
