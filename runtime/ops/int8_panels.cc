// Strategies `dense8`, `unpack8` and `decode8`: weights become panels of the kit's GEMM just in
// time, from rows of i8, from codes of few bits or of codebooks, and are forgotten; in Mode::dense
// panels are made once and kept.
//
//   first, split over threads: all panels, if they fit L2, or else all rows, if these do
//   item = a range of panels of one group x a chunk of rows        (split over threads)
//     for each part of the panels:  make them, if not done          (in L2)
//       for each block of rows:  gather it, if not done             (in L1)
//         for each panel:  block x panel, sums stay in registers
//
// So nothing is made or gathered twice but in layers where neither fits. A sum is made over all
// inputs at once: a panel is as deep as the layer. Rows that are gathered may be sorted
// (int8_inside.h): "rows" below are those of that order, blocks are of one class.
#include "runtime/base/checked.h"
#include "runtime/ops/int8_inside.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

// What is held in L2: panels, or rows beside one panel.
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
    stride_ = gathered_stride(layer.inputs);
    const auto panels = (CheckedSize(layer.groups) * panels_of(layer) * panel_stride_).get();
    const auto rows = (CheckedSize(layer.groups) * layer.rows * stride_).get();
    if (!panels || !rows) return layer_too_large();
    QRT_TRY(classes_.prepare(layer, context.keep));
    plan(layer, *panels, *rows);
    QRT_TRY(resident_ ? keep_panels(layer, *panels, context) : reserve_weights(layer, context));
    const size_t blocks = gathers_ && !shares_rows_ ? block_rows_ * stride_ : 0;
    panels_at_ = round_up(blocks + i8::kRowSlack, kLine);
    weights_at_ = panels_at_ + (resident_ || shares_panels_ ? 0 : held_ * panel_stride_);
    own_bytes_ = weights_at_ + (resident_ ? 0 : round_up(row_scratch(layer), kLine));
    const auto all = (CheckedSize(own_bytes_) * layer.threads).get();
    if (!all) return layer_too_large();
    own_ = context.reserve_scratch(*all);
    if (shares_panels_) shared_ = context.reserve_scratch(*panels);
    if (shares_rows_) shared_ = context.reserve_scratch(*rows + i8::kRowSlack);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const final {
    if (layer.rows == 0) return {};
    const i8::Coded source = resident_ ? i8::Coded{} : weights_of(layer, context);
    share(layer, context, source);
    const size_t items = layer.groups * panel_items_ * chunks_;
    context.threads.split(items, 1, [&](size_t begin, size_t end, uint32_t thread) {
      for (size_t i = begin; i < end; ++i) item(layer, context, source, i, own_of(context, thread));
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

  // What is shared, and the items: at least four per thread keep all of them busy to the end.
  void plan(const Int8Layer& layer, size_t panels_bytes, size_t rows_bytes) {
    gathers_ = !layer.rows_in_place();
    const bool panels_fit = panels_bytes <= kHeldBytes;
    shares_panels_ = !resident_ && panels_fit;
    shares_rows_ = gathers_ && !panels_fit && rows_bytes + panel_stride_ <= kHeldBytes;
    const size_t tile_m = layer.kit->tile.m, tile_n = layer.kit->tile.n, panels = panels_of(layer);
    const size_t row_tiles = layer.rows == 0 ? 1 : ceil_div(layer.rows, tile_m);
    const size_t wanted = layer.threads == 1 ? 1 : ceil_div(4 * layer.threads, layer.groups);
    // Chunks of rows make panels again that are not shared, ranges of panels gather rows again.
    // Ranges end on lines of the output where these are shared by two panels.
    const bool by_panels = shares_rows_ || (!panels_fit && layer.rows < layer.group_outputs);
    const size_t unit = tile_n < kLine ? kLine / tile_n : 1;
    const size_t ranges = !by_panels ? 1 : wanted < panels ? wanted : panels;
    range_ = round_up(ceil_div(panels, ranges), unit);
    panel_items_ = ceil_div(panels, range_);
    const size_t chunks = ceil_div(wanted, panel_items_);
    // Even chunks, even where their last tile is not full: 196 rows for two threads are 8 x 25, not
    // 7 x 28, of which one thread would have four.
    chunk_rows_ =
        layer.rows == 0 ? 1 : ceil_div(layer.rows, chunks < row_tiles ? chunks : row_tiles);
    chunks_ = layer.rows == 0 ? 1 : ceil_div(layer.rows, chunk_rows_);
    const size_t fit = shares_rows_ ? 1 : kHeldBytes / panel_stride_;
    held_ = shares_panels_ || resident_ || range_ < fit ? range_ : fit < 1 ? 1 : fit;
    const size_t in_block = kBlockBytes / stride_ / tile_m;
    block_rows_ = shares_rows_ ? chunk_rows_ : (in_block < 1 ? 1 : in_block) * tile_m;
  }

  uint8_t* own_of(const RunContext& context, uint32_t thread) const {
    return reinterpret_cast<uint8_t*>(context.scratch[own_]) + thread * own_bytes_;
  }
  uint8_t* shared_of(const RunContext& context) const {
    return reinterpret_cast<uint8_t*>(context.scratch[shared_]);
  }

  // All panels or all rows, [group][panel] or [group][row].
  void share(const Int8Layer& layer, const RunContext& context, const i8::Coded& source) const {
    if (shares_panels_) {
      const size_t panels = panels_of(layer);
      context.threads.split(
          layer.groups * panels, 1, [&](size_t begin, size_t end, uint32_t thread) {
            auto* rows = reinterpret_cast<int8_t*>(own_of(context, thread) + weights_at_);
            for (size_t i = begin; i < end; ++i)
              make_panel(layer, source, i / panels, i % panels,
                         shared_of(context) + i * panel_stride_, rows);
          });
    }
    if (!shares_rows_) return;
    const size_t tile = layer.kit->tile.m, tiles = ceil_div(layer.rows, tile);
    context.threads.split(layer.groups * tiles, 1, [&](size_t begin, size_t end, uint32_t) {
      for (size_t i = begin; i < end; ++i) {
        const size_t group = i / tiles, row = i % tiles * tile, left = layer.rows - row;
        gather_rows(layer, context.in[0].as<uint8_t>(),
                    range_of(group, row, left < tile ? left : tile),
                    shared_of(context) + (group * layer.rows + row) * stride_, stride_);
      }
    });
  }

  void make_panel(const Int8Layer& layer, const i8::Coded& source, size_t group, size_t panel,
                  void* to, int8_t* rows) const {
    const size_t tile = layer.kit->tile.n, n0 = panel * tile, left = layer.group_outputs - n0;
    make(layer, source, group * layer.group_outputs + n0, left < tile ? left : tile, to, rows);
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
    const size_t panels = panels_of(layer);
    for (size_t i = 0; i < layer.groups * panels; ++i)
      make_panel(layer, source, i / panels, i % panels, kept_ + i * panel_stride_, rows);
    return {};
  }

  void item(const Int8Layer& layer, const RunContext& context, const i8::Coded& source, size_t i,
            uint8_t* own) const {
    const size_t chunk = i % chunks_, group = i / chunks_ / panel_items_;
    const size_t panels = panels_of(layer), p0 = i / chunks_ % panel_items_ * range_;
    const size_t p1 = panels - p0 < range_ ? panels : p0 + range_;
    const size_t row0 = chunk * chunk_rows_, left = layer.rows - row0;
    const size_t row1 = left < chunk_rows_ ? layer.rows : row0 + chunk_rows_;
    for (size_t part = p0; part < p1; part += held_) {
      const size_t end = p1 - part < held_ ? p1 : part + held_;
      const uint8_t* made = ready(context, group * panels + part);
      if (made == nullptr) {
        made = own + panels_at_;
        for (size_t p = part; p < end; ++p)
          make_panel(layer, source, group, p, own + panels_at_ + (p - part) * panel_stride_,
                     reinterpret_cast<int8_t*>(own + weights_at_));
      }
      for (size_t row = row0; row < row1;) {
        const size_t height = block_from(row, row1);
        multiply(layer, context, range_of(group, row, height), part, end, made, own);
        row += height;
      }
    }
  }

  // Rows of the block at `row`, of a class and before `end`: what is left there, in even blocks.
  size_t block_from(size_t row, size_t end) const {
    const RowClass& c = classes_.of(row);
    const size_t left = (c.first + c.rows < end ? c.first + c.rows : end) - row;
    return ceil_div(left, ceil_div(left, block_rows_));
  }

  Int8RowRange range_of(size_t group, size_t row, size_t rows) const {
    return {group, row, rows, classes_.order() ? classes_.order() + row : nullptr};
  }

  // Where panel `i` of all groups lies if it is not for the item to make.
  const uint8_t* ready(const RunContext& context, size_t i) const {
    if (resident_) return kept_ + i * panel_stride_;
    return shares_panels_ ? shared_of(context) + i * panel_stride_ : nullptr;
  }

  // A block of rows with panels [begin, end), which lie at `made`.
  void multiply(const Int8Layer& layer, const RunContext& context, const Int8RowRange& range,
                size_t begin, size_t end, const uint8_t* made, uint8_t* own) const {
    const uint8_t* x = context.in[0].as<uint8_t>();
    const size_t tile = layer.kit->tile.n, depth = layer.channels * layer.groups;
    const RowClass& rows = classes_.of(range.row0);
    i8::GemmArgs a{};
    a.rows = range.rows, a.inputs = rows.inputs, a.runs = rows.runs, a.row_at = range.order;
    a.x_zero = layer.x.zero;
    a.x = own, a.x_stride = stride_;
    if (!gathers_)
      a.x = x + range.row0 * depth + range.group * layer.channels, a.x_stride = depth;
    else if (shares_rows_)
      a.x = shared_of(context) + (range.group * layer.rows + range.row0) * stride_;
    else
      gather_rows(layer, x, range, own, stride_);
    a.x += a.runs.first;
    a.y_stride = layer.outputs;
    const size_t row0 = range.order ? 0 : range.row0;  // that y and the residual begin at
    for (size_t p = begin; p < end; ++p) {
      const size_t n0 = p * tile, left = layer.group_outputs - n0;
      const size_t output = range.group * layer.group_outputs + n0;
      const size_t at = row0 * layer.outputs + output;
      a.outputs = left < tile ? left : tile;
      a.panel = made + (p - begin) * panel_stride_;
      if (layer.y.present())
        a.y8 = context.out[0].as<uint8_t>() + at;
      else
        a.y32 = context.out[0].as<float>() + at;
      a.finish = layer.finish_at(context, row0, output);
      layer.kit->run->gemm(a);
    }
  }

  RowClasses classes_;
  bool gathers_ = false, shares_panels_ = false, shares_rows_ = false;
  size_t panel_stride_ = 0, stride_ = 0, held_ = 1, range_ = 1, panel_items_ = 1;
  size_t chunk_rows_ = 1, chunks_ = 1, block_rows_ = 1;
  size_t panels_at_ = 0, weights_at_ = 0, own_bytes_ = 0;
  uint8_t* kept_ = nullptr;
  ScratchSlot own_ = 0, shared_ = 0;
};

class Dense8 final : public Panels {
 public:
  using Panels::Panels;
  const char* name() const override { return "dense8"; }
  float cost_ns(const Int8Layer& layer) const override {
    if (!layer.dense()) return -1;
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

// Codes of few bits.
class Unpack8 final : public Panels {
 public:
  using Panels::Panels;
  const char* name() const override { return "unpack8"; }
  float cost_ns(const Int8Layer& layer) const override {
    if (!layer.packed()) return -1;
    return resident_ ? i8::resident_cost_ns(layer.cost_shape(), *layer.kit)
                     : i8::dense_cost_ns(layer.cost_shape(), *layer.kit);
  }

 protected:
  size_t row_scratch(const Int8Layer& layer) const override {
    return layer.interleaved ? (layer.kit->tile.n + 2) * layer.inputs : 0;
  }
  // Rows in the order of the source become rows of i8 first, to go tap by tap.
  void make(const Int8Layer& layer, const i8::Coded&, size_t first, size_t outputs, void* panel,
            int8_t* rows) const override {
    if (layer.interleaved) return make_interleaved(layer, first, outputs, panel, rows);
    LowbitIntegers::Packed packed;
    layer.lowbit.describe(first, outputs, &packed);
    packed.args.inputs = layer.inputs, packed.args.sums = layer.x.zero != 0;
    packed.args.panel = panel;
    layer.kit->run->packed(packed.args);
  }

 private:
  static void make_interleaved(const Int8Layer& layer, size_t first, size_t outputs, void* panel,
                               int8_t* rows) {
    const size_t inputs = layer.inputs;
    int8_t* row = rows + layer.kit->tile.n * inputs;
    auto* codes = reinterpret_cast<uint8_t*>(row + inputs);
    for (size_t n = 0; n < outputs; ++n) {
      layer.lowbit.decode(first + n, 0, inputs, codes, row);
      for (size_t t = 0; t < layer.taps; ++t)
        for (size_t c = 0; c < layer.channels; ++c)
          rows[n * inputs + t * layer.channels + c] = row[c * layer.taps + t];
    }
    layer.kit->run->panel({rows, inputs, outputs, inputs, panel});
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
Int8Strategy* make_unpack8_strategy(Arena& keep, bool resident) {
  return keep.make<Unpack8>(resident);
}
Int8Strategy* make_decode8_strategy(Arena& keep, bool resident) {
  return keep.make<Decode8>(resident);
}

}  // namespace qrt
