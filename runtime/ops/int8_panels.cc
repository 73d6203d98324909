// Strategies `dense8` and `decode8`: weights become panels of the kit's GEMM just in time, from
// rows of i8 or from codes, and are forgotten; in Mode::dense panels are made once and kept.
//
//   item = a range of panels of one group x a chunk of rows        (split over threads)
//     for each part of the panels:  make them                       (in L2)
//       for each block of rows:  gather it                          (in L1, or in L2 and once)
//         for each panel:  block x panel, sums stay in registers
//
// A sum is made over all inputs at once, so a panel is as deep as the layer.
#include "runtime/base/checked.h"
#include "runtime/ops/int8_layer.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

// What an item holds in L2: panels, and rows where all of them fit beside one panel.
constexpr size_t kHeldBytes = 640 * 1024;
constexpr size_t kBlockBytes = 24 * 1024;  // of rows that are gathered for the panels of a part
constexpr size_t kLine = 64;

constexpr size_t ceil_div(size_t x, size_t by) {
  return (x + by - 1) / by;
}
constexpr size_t round_up(size_t x, size_t to) {
  return ceil_div(x, to) * to;
}

class Panels : public Int8Strategy {
 public:
  explicit Panels(bool resident) : resident_(resident) {}

  Status prepare(const Int8Layer& layer, PrepareContext& context) final {
    panel_stride_ = round_up(i8::panel_bytes(*layer.kit->run, layer.inputs), kLine);
    const auto all = (CheckedSize(layer.groups) * panels_of(layer) * panel_stride_).get();
    const auto rows = (CheckedSize(layer.rows) * gathered_stride(layer.inputs)).get();
    if (!all || !rows) return layer_too_large();
    divide(layer, *rows);
    QRT_TRY(resident_ ? keep_panels(layer, *all, context) : reserve_weights(layer, context));
    panels_at_ = round_up(rows_bytes(layer) + i8::kRowSlack, kLine);
    weights_at_ = panels_at_ + (resident_ ? 0 : held_ * panel_stride_);
    const CheckedSize own =
        CheckedSize(weights_at_) + (resident_ ? 0 : round_up(row_scratch(layer), kLine));
    const auto threads = (own * layer.threads).get();
    if (!threads) return layer_too_large();
    own_bytes_ = *own.get();
    own_ = context.reserve_scratch(*threads);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const final {
    if (layer.rows == 0) return {};
    const i8::Coded source = resident_ ? i8::Coded{} : weights_of(layer, context);
    const size_t items = layer.groups * panel_items_ * chunks_;
    context.threads.split(items, 1, [&](size_t begin, size_t end, uint32_t thread) {
      auto* own = reinterpret_cast<uint8_t*>(context.scratch[own_]) + thread * own_bytes_;
      for (size_t i = begin; i < end; ++i) item(layer, context, source, i, own);
    });
    return {};
  }

 protected:
  // Makes the panel of `outputs` outputs from `first` (of all groups) on.
  virtual void make(const Int8Layer&, const i8::Coded&, size_t first, size_t outputs, void* panel,
                    int8_t* rows) const = 0;
  // Bytes of `rows` that make() works in.
  virtual size_t row_scratch(const Int8Layer&) const { return 0; }
  // Scratch of all threads together, and what lies in it in every run.
  virtual Status reserve_weights(const Int8Layer&, PrepareContext&) { return {}; }
  virtual i8::Coded weights_of(const Int8Layer&, const RunContext&) const { return {}; }
  // The same while preparing, in memory that lives until then.
  virtual Status weights_once(const Int8Layer&, Arena&, i8::Coded*) const { return {}; }

  const bool resident_;

 private:
  static size_t panels_of(const Int8Layer& layer) {
    return ceil_div(layer.group_outputs, layer.kit->tile.n);
  }

  // Items: at least four per thread keep all of them busy to the end. More chunks of rows make
  // panels again, more ranges of panels gather rows again, so the larger side is split. Ranges of
  // panels end on lines of the output where these are shared by two panels.
  void divide(const Int8Layer& layer, size_t all_rows_bytes) {
    const size_t tile_m = layer.kit->tile.m, tile_n = layer.kit->tile.n, panels = panels_of(layer);
    const size_t row_tiles = layer.rows == 0 ? 1 : ceil_div(layer.rows, tile_m);
    const size_t wanted = layer.threads == 1 ? 1 : ceil_div(4 * layer.threads, layer.groups);
    const size_t unit = tile_n < kLine ? kLine / tile_n : 1;
    size_t ranges = 1;
    if (layer.rows < layer.group_outputs) ranges = wanted < panels ? wanted : panels;
    range_ = round_up(ceil_div(panels, ranges), unit);
    panel_items_ = ceil_div(panels, range_);
    const size_t chunks = ceil_div(wanted, panel_items_);
    chunk_rows_ = ceil_div(row_tiles, chunks < row_tiles ? chunks : row_tiles) * tile_m;
    chunks_ = layer.rows == 0 ? 1 : ceil_div(layer.rows, chunk_rows_);

    gathers_ = !layer.rows_in_place();
    const size_t stride = gathered_stride(layer.inputs);
    const size_t chunk_bytes = chunks_ == 1 ? all_rows_bytes : chunk_rows_ * stride;
    const size_t fit = kHeldBytes / panel_stride_;
    const size_t few = range_ < fit ? range_ : fit < 1 ? 1 : fit;
    // All panels at once need each row once, whatever is done with the rows.
    const bool rows_held = gathers_ && few < range_ && chunk_bytes + panel_stride_ <= kHeldBytes;
    const size_t in_block = kBlockBytes / stride / tile_m;
    block_rows_ = rows_held ? chunk_rows_ : (in_block < 1 ? 1 : in_block) * tile_m;
    held_ = rows_held ? 1 : few;
  }

  size_t rows_bytes(const Int8Layer& layer) const {
    return gathers_ ? block_rows_ * gathered_stride(layer.inputs) : 0;
  }

  Status keep_panels(const Int8Layer& layer, size_t bytes, PrepareContext& context) {
    kept_ = static_cast<uint8_t*>(context.keep.allocate(bytes, kLine));
    if (kept_ == nullptr) return layer_too_large();
    context.weight_bytes += bytes;
    Arena work(context.keep.allocator());
    auto* rows = static_cast<int8_t*>(work.allocate(row_scratch(layer) + 1, kLine));
    if (rows == nullptr) return layer_too_large();
    i8::Coded source{};
    QRT_TRY(weights_once(layer, work, &source));
    const size_t panels = panels_of(layer), tile = layer.kit->tile.n;
    for (size_t i = 0; i < layer.groups * panels; ++i) {
      const size_t n0 = i % panels * tile, left = layer.group_outputs - n0;
      make(layer, source, i / panels * layer.group_outputs + n0, left < tile ? left : tile,
           kept_ + i * panel_stride_, rows);
    }
    return {};
  }

  void item(const Int8Layer& layer, const RunContext& context, const i8::Coded& source, size_t i,
            uint8_t* own) const {
    const size_t chunk = i % chunks_, group = i / chunks_ / panel_items_;
    const size_t panels = panels_of(layer), p0 = i / chunks_ % panel_items_ * range_;
    const size_t p1 = panels - p0 < range_ ? panels : p0 + range_;
    const size_t row0 = chunk * chunk_rows_, left = layer.rows - row0;
    const size_t rows = left < chunk_rows_ ? left : chunk_rows_;
    const size_t blocks = ceil_div(rows, block_rows_);
    for (size_t part = p0; part < p1; part += held_) {
      const size_t end = p1 - part < held_ ? p1 : part + held_;
      const uint8_t* made = kept_ + (group * panels + part) * panel_stride_;
      if (!resident_) made = make_part(layer, source, group, part, end, own);
      for (size_t b = 0, row = row0; b < blocks; ++b) {
        const size_t height = rows / blocks + (b < rows % blocks ? 1 : 0);
        const bool again = blocks > 1 || part == p0;
        multiply(layer, context, {group, row, height}, part, end, made, own, again);
        row += height;
      }
    }
  }

  const uint8_t* make_part(const Int8Layer& layer, const i8::Coded& source, size_t group,
                           size_t begin, size_t end, uint8_t* own) const {
    const size_t tile = layer.kit->tile.n;
    for (size_t p = begin; p < end; ++p) {
      const size_t n0 = p * tile, left = layer.group_outputs - n0;
      make(layer, source, group * layer.group_outputs + n0, left < tile ? left : tile,
           own + panels_at_ + (p - begin) * panel_stride_,
           reinterpret_cast<int8_t*>(own + weights_at_));
    }
    return own + panels_at_;
  }

  // A block of rows with panels [begin, end), which lie at `made`.
  void multiply(const Int8Layer& layer, const RunContext& context, const Int8RowRange& range,
                size_t begin, size_t end, const uint8_t* made, uint8_t* own, bool gather) const {
    const uint8_t* x = context.in[0].as<uint8_t>();
    const size_t tile = layer.kit->tile.n, depth = layer.channels * layer.groups;
    i8::GemmArgs a{};
    a.rows = range.rows, a.inputs = layer.inputs, a.x_zero = layer.x.zero;
    a.x = own, a.x_stride = gathered_stride(layer.inputs);
    if (!gathers_)
      a.x = x + range.row0 * depth + range.group * layer.channels, a.x_stride = depth;
    else if (gather)
      gather_rows(layer, x, range, own, a.x_stride);
    a.y_stride = layer.outputs;
    for (size_t p = begin; p < end; ++p) {
      const size_t n0 = p * tile, left = layer.group_outputs - n0;
      const size_t output = range.group * layer.group_outputs + n0;
      const size_t at = range.row0 * layer.outputs + output;
      a.outputs = left < tile ? left : tile;
      a.panel = made + (p - begin) * panel_stride_;
      if (layer.y.present())
        a.y8 = context.out[0].as<uint8_t>() + at;
      else
        a.y32 = context.out[0].as<float>() + at;
      a.finish = layer.finish_at(context, range.row0, output);
      layer.kit->run->gemm(a);
    }
  }

  bool gathers_ = false;
  size_t panel_stride_ = 0, held_ = 1, range_ = 1, panel_items_ = 1;
  size_t chunk_rows_ = 1, chunks_ = 1, block_rows_ = 1;
  size_t panels_at_ = 0, weights_at_ = 0, own_bytes_ = 0;
  uint8_t* kept_ = nullptr;
  ScratchSlot own_ = 0;
};

class Dense8 final : public Panels {
 public:
  using Panels::Panels;
  const char* name() const override { return "dense8"; }
  float cost_ns(const Int8Layer& layer) const override {
    if (layer.coded()) return -1;
    return resident_ ? i8::resident_cost_ns(layer.cost_shape(), *layer.kit)
                     : i8::dense_cost_ns(layer.cost_shape(), *layer.kit);
  }

 protected:
  size_t row_scratch(const Int8Layer& layer) const override {
    return layer.interleaved ? layer.kit->tile.n * layer.inputs : 0;
  }
  // Rows in the order of the source go tap by tap first.
  void make(const Int8Layer& layer, const i8::Coded&, size_t first, size_t outputs, void* panel,
            int8_t* rows) const override {
    const auto* w = reinterpret_cast<const int8_t*>(layer.weights->dense.data.data());
    const int8_t* from = w + first * layer.inputs;
    if (layer.interleaved) {
      for (size_t n = 0; n < outputs; ++n)
        for (size_t t = 0; t < layer.taps; ++t)
          for (size_t c = 0; c < layer.channels; ++c)
            rows[n * layer.inputs + t * layer.channels + c] =
                from[n * layer.inputs + c * layer.taps + t];
      from = rows;
    }
    layer.kit->run->panel({from, layer.inputs, outputs, layer.inputs, panel});
  }
};

class Decode8 final : public Panels {
 public:
  using Panels::Panels;
  const char* name() const override { return "decode8"; }
  float cost_ns(const Int8Layer& layer) const override {
    if (!layer.coded() || layer.weights->numerics != Numerics::exact) return -1;
    return resident_ ? i8::resident_cost_ns(layer.cost_shape(), *layer.kit)
                     : i8::decode_cost_ns(layer.cost_shape(), *layer.kit);
  }

 protected:
  Status reserve_weights(const Int8Layer& layer, PrepareContext& context) override {
    entries_ = reserve_entries(layer, context);
    return {};
  }
  i8::Coded weights_of(const Int8Layer& layer, const RunContext& context) const override {
    return round_entries(layer, entries_, context);
  }
  Status weights_once(const Int8Layer& layer, Arena& work, i8::Coded* source) const override {
    auto* table = static_cast<int8_t*>(work.allocate(layer.table_bytes, kLine));
    const Span<float> floats = work.array<float>(layer.floats + 1);
    if (table == nullptr || floats.data() == nullptr) return layer_too_large();
    *source = round_entries(layer, table, floats.data());
    return {};
  }
  void make(const Int8Layer& layer, const i8::Coded& source, size_t first, size_t outputs,
            void* panel, int8_t*) const override {
    layer.kit->run->decode({source, first, outputs, layer.inputs,
                            layer.interleaved ? layer.taps : 1, layer.x.zero != 0, panel});
  }

 private:
  EntryScratch entries_;
};

}  // namespace

Int8Strategy* make_dense8_strategy(Arena& keep, bool resident) {
  return keep.make<Dense8>(resident);
}
Int8Strategy* make_decode8_strategy(Arena& keep, bool resident) {
  return keep.make<Decode8>(resident);
}

}  // namespace qrt
