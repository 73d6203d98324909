// Strategies `winograd8_2x2` and `winograd8_4x4`: 3x3 convolutions of stride 1 whose codes name
// whole 3x3 kernels, with fewer products on transformed entries and the same sums
// (kernels/winograd8).
//
//   entries are rounded, and transformed                            (levels split over threads)
//   for each block of tiles whose input fits L2:
//     transform the input                                          (tiles split over threads)
//     item = a range of outputs x a part of the tiles              (split over threads)
//
// Nothing is kept from run to run.
#include <cstdio>
#include <cstring>

#include "kernels/winograd8/winograd8.h"
#include "runtime/base/checked.h"
#include "runtime/ops/int8_layer.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;
namespace w8 = kernels::winograd8;

constexpr size_t kLine = 64;
constexpr size_t kBlockBytes = 1024 * 1024;      // of transformed input
constexpr size_t kMostTableBytes = 1024 * 1024;  // of transformed entries, which share L2 with it
constexpr size_t kMostChannels = 4096;

constexpr size_t ceil_div(size_t x, size_t by) {
  return (x + by - 1) / by;
}

bool is_winograd(const Int8Layer& layer) {
  if (!layer.coded() || layer.weights->numerics != Numerics::exact) return false;
  const Window& w = layer.window;
  const CodebookWeights& c = layer.weights->codebook;
  return w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == 1 && w.stride_w == 1 &&
         w.dilation_h == 1 && w.dilation_w == 1 && layer.groups == 1 && layer.interleaved &&
         c.dim % 9 == 0 && c.books == 1 && layer.channels <= kMostChannels;
}

// The sums of an entry's weights above and below zero.
struct Sides {
  int64_t above = 0, below = 0;
  void add(const Sides& s) { above += s.above, below += s.below; }
  // The most that a sum of these weights with x - zero, x a byte, is away from zero.
  int64_t most(int64_t zero) const {
    const int64_t up = above * (255 - zero) + below * zero;
    const int64_t down = above * zero + below * (255 - zero);
    return up > down ? up : down;
  }
};

int64_t most_of_outputs(const Int8Layer& layer, const i8::Coded& s, Span<Sides> entries,
                        Span<Sides> outputs) {
  for (size_t i = 0; i < entries.size(); ++i)
    for (size_t t = 0; t < s.dim; ++t) {
      const int64_t w = s.entries[i * s.entry_stride + t];
      (w < 0 ? entries[i].below : entries[i].above) += w < 0 ? -w : w;
    }
  for (size_t b = 0; b < layer.blocks; ++b)
    for (size_t n = 0; n < layer.outputs; ++n) {
      const size_t level = s.level_of == nullptr ? 0 : s.level_of[n];
      const size_t scope = s.scope_rows == 0 ? 0 : n / s.scope_rows;
      const uint32_t code =
          layout::read_code(s.codes + b * s.row_bytes, static_cast<uint32_t>(n), s.bits);
      outputs[n].add(entries[((level * layer.scopes + scope) << s.bits) + code]);
    }
  int64_t most = 0;
  for (const Sides& n : outputs) {
    const int64_t here = n.most(layer.x.zero);
    most = here > most ? here : most;
  }
  return most;
}

class Winograd8 final : public Int8Strategy {
 public:
  explicit Winograd8(size_t edge) : edge_(edge) {}
  const char* name() const override { return edge_ == 2 ? "winograd8_2x2" : "winograd8_4x4"; }

  float cost_ns(const Int8Layer& layer) const override {
    if (!is_winograd(layer) || layer.most_sum < 0 || layer.most_sum >= w8::limit(edge_) ||
        lines_bytes(layer) > kMostTableBytes)
      return -1;
    return w8::cost_ns(describe(layer), edge_, layer.cost_shape().entries, row_of(layer));
  }

  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    const w8::Row& row = row_of(layer);
    way_ = edge_ == 2 ? &row.kit->two : &row.kit->four;
    std::snprintf(kernel_name_, sizeof kernel_name_, "int8_%s%s", name(),
                  std::strchr(row.name, '_'));
    w8::Args a = describe(layer);
    tiles_ = w8::tiles_of(a, edge_);
    if (tiles_ == 0) return {};
    divide(layer, row, &a);
    input_at_ = ceil_div(lines_bytes(layer), kLine) * kLine;
    const auto shared = (CheckedSize(way_->input_bytes(a)) + input_at_).get();
    const auto own = (CheckedSize(own_bytes_) * layer.threads).get();
    if (!shared || !own) return layer_too_large();
    entries_ = reserve_entries(layer, context);
    shared_ = context.reserve_scratch(*shared);
    own_ = context.reserve_scratch(*own);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const override {
    if (tiles_ == 0) return {};
    const i8::Coded source = round_entries(layer, entries_, context);
    auto* shared = reinterpret_cast<int8_t*>(context.scratch[shared_]);
    w8::Args a = describe(layer);
    a.x = context.in[0].as<uint8_t>();
    if (layer.y.present())
      a.y8 = context.out[0].as<uint8_t>();
    else
      a.y32 = context.out[0].as<float>();
    a.finish = layer.finish_at(context, 0, 0);
    a.table = transform_entries(layer, context, source, shared);
    a.input = shared + input_at_;
    for (size_t begin = 0; begin < tiles_; begin += block_tiles_) {
      a.block_begin = begin;
      a.block_end = tiles_ - begin < block_tiles_ ? tiles_ : begin + block_tiles_;
      run_block(layer, context, a);
    }
    return {};
  }

  void write_kernel_name(const Int8Layer&, char* out, size_t room) const override {
    std::snprintf(out, room, "%s", kernel_name_);
  }

 private:
  static const w8::Row& row_of(const Int8Layer& layer) {
    const w8::Row* row = w8::kRows;
    while (!kernels::includes(layer.isa, row->isa)) ++row;  // the last needs nothing
    return *row;
  }
  // Of one entry.
  size_t line_bytes(const Int8Layer& layer) const {
    return layer.weights->codebook.dim / 9 * w8::line_words(edge_) * sizeof(int16_t);
  }
  size_t lines_bytes(const Int8Layer& layer) const {
    const CodebookWeights& c = layer.weights->codebook;
    return c.levels.count * layer.scopes * line_bytes(layer) << c.code_bits;
  }

  // What of a call does not depend on the run.
  static w8::Args describe(const Int8Layer& layer) {
    w8::Args a{};
    a.batch = layer.batch, a.in_h = layer.in_h, a.in_w = layer.in_w, a.channels = layer.channels;
    a.out_h = layer.out_h, a.out_w = layer.out_w, a.outputs = layer.outputs;
    a.pad_top = layer.window.pad_top, a.pad_left = layer.window.pad_left;
    a.x_zero = layer.x.zero;
    return a;
  }

  // Even blocks. Ranges of outputs end on lines of the output; parts of the tiles make panels
  // again, so there are only as many as it takes to give every thread an item.
  void divide(const Int8Layer& layer, const w8::Row& row, w8::Args* a) {
    a->block_end = 1;
    const size_t fit = kBlockBytes / way_->input_bytes(*a);
    const size_t least = row.tile_m < tiles_ ? row.tile_m : tiles_;
    block_tiles_ = ceil_div(tiles_, ceil_div(tiles_, fit > least ? fit : least));
    a->block_end = block_tiles_;
    const size_t units = ceil_div(layer.outputs, kLine);
    const size_t wanted = 4 * layer.threads < units ? 4 * layer.threads : units;
    range_ = layer.threads == 1 ? layer.outputs : ceil_div(units, wanted) * kLine;
    ranges_ = ceil_div(layer.outputs, range_);
    const size_t parts = ceil_div(layer.threads, ranges_);
    part_tiles_ = ceil_div(block_tiles_, parts < block_tiles_ ? parts : block_tiles_);
    // Kits hold less of many tiles than of few: calls are of a part at most.
    for (size_t tiles = part_tiles_; tiles != 0; --tiles) {
      a->tile_end = tiles;
      const size_t bytes = ceil_div(way_->scratch_bytes(*a), kLine) * kLine;
      own_bytes_ = bytes > own_bytes_ ? bytes : own_bytes_;
    }
  }

  i8::Coded transform_entries(const Int8Layer& layer, const RunContext& context,
                              const i8::Coded& source, int8_t* to) const {
    i8::Coded table = source;
    table.entries = to;
    table.entry_stride = line_bytes(layer);
    table.book_stride = table.scope_stride = table.entry_stride << source.bits;
    table.level_stride = table.scope_stride * layer.scopes;
    const auto one = [&](size_t level) {
      way_->entries({source.entries + level * source.level_stride, source.entry_stride,
                     layer.scopes << source.bits, source.dim / 9,
                     reinterpret_cast<int16_t*>(to + level * table.level_stride)});
    };
    context.threads.split(layer.weights->codebook.levels.count, 1,
                          [&](size_t begin, size_t end, uint32_t) {
                            for (size_t level = begin; level < end; ++level)
                              if ((layer.levels_used >> level & 1) != 0) one(level);
                          });
    return table;
  }

  void run_block(const Int8Layer& layer, const RunContext& context, const w8::Args& block) const {
    const size_t tiles = block.block_end - block.block_begin;
    const auto part = [&](size_t begin, size_t end, uint32_t thread) {
      w8::Args a = block;
      a.tile_begin = block.block_begin + begin, a.tile_end = block.block_begin + end;
      a.scratch = context.scratch[own_] + thread * own_bytes_;
      return a;
    };
    const size_t grain = ceil_div(tiles, layer.threads == 1 ? 1 : 4 * layer.threads);
    context.threads.split(tiles, grain, [&](size_t begin, size_t end, uint32_t thread) {
      way_->transform(part(begin, end, thread));
    });
    const size_t parts = ceil_div(tiles, part_tiles_);
    context.threads.split(parts * ranges_, 1, [&](size_t begin, size_t end, uint32_t thread) {
      for (size_t i = begin; i < end; ++i) {
        const size_t first = i % parts * part_tiles_, left = tiles - first;
        w8::Args a = part(first, left < part_tiles_ ? tiles : first + part_tiles_, thread);
        a.output_begin = i / parts * range_;
        const size_t rest = layer.outputs - a.output_begin;
        a.output_end = a.output_begin + (rest < range_ ? rest : range_);
        way_->run(a);
      }
    });
  }

  const size_t edge_;
  const w8::Way* way_ = nullptr;
  size_t tiles_ = 0, block_tiles_ = 1, part_tiles_ = 1, range_ = 1, ranges_ = 1;
  size_t input_at_ = 0, own_bytes_ = 0;
  EntryScratch entries_;
  ScratchSlot shared_ = 0, own_ = 0;
  char kernel_name_[48] = "";
};

}  // namespace

Status bound_sums(Int8Layer* layer, const PrepareContext& context) {
  layer->most_sum = -1;
  if (!is_winograd(*layer)) return {};
  const int64_t any = static_cast<int64_t>(layer->inputs) * 127 * 255;
  if (any < w8::limit(4)) {
    layer->most_sum = any;
    return {};
  }
  Arena work(context.keep.allocator());
  auto* table = static_cast<int8_t*>(work.allocate(layer->table_bytes, kLine));
  const Span<float> floats = work.array<float>(layer->floats + 1);
  const size_t count = layer->weights->codebook.levels.count * layer->scopes;
  const Span<Sides> entries = work.array<Sides>(count << layer->weights->codebook.code_bits);
  const Span<Sides> outputs = work.array<Sides>(layer->outputs);
  if (table == nullptr || floats.data() == nullptr || entries.data() == nullptr ||
      outputs.data() == nullptr)
    return layer_too_large();
  layer->most_sum =
      most_of_outputs(*layer, round_entries(*layer, table, floats.data()), entries, outputs);
  return {};
}

Int8Strategy* make_winograd8_strategy(Arena& keep, size_t edge) {
  return keep.make<Winograd8>(edge);
}

}  // namespace qrt
