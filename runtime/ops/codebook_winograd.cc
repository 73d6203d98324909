// Strategy `winograd`: 3x3 convolutions of stride 1 whose codes name whole 3x3 kernels
// run as F(2x2,3x3) on the codes themselves (kernels/winograd/generic.h derives it).
// Every run transforms the codebook anew, some microseconds: nothing is kept, and no
// buffer grows with outputs x inputs. Threads share out the tiles of the output.
#include "kernels/winograd/winograd.h"

#include "runtime/base/checked.h"
#include "runtime/ops/codebook_layer.h"

namespace qrt {
namespace {

// A transformed codebook beyond this no longer stays in L2 beside the activations.
constexpr size_t kMostTableBytes = 1024 * 1024;
// Scratch is at least six lines of 64 bytes per channel, for every thread.
constexpr size_t kMostChannels = 65536;

// What of a call does not depend on the run.
kernels::WinogradArgs describe(const CodebookLayer& layer) {
  const CodebookWeights& w = layer.weights->codebook;
  kernels::WinogradArgs a{};
  a.batch = layer.batch, a.in_h = layer.in_h, a.in_w = layer.in_w, a.cin = layer.channels;
  a.out_h = layer.out_h, a.out_w = layer.out_w, a.cout = layer.outputs;
  a.pad_top = layer.window.pad_top, a.pad_left = layer.window.pad_left;
  a.scale = layer.scale, a.bias = layer.bias, a.min = layer.min, a.max = layer.max;
  a.codes = w.codes.data();
  a.books = w.books, a.dim = w.dim, a.code_bits = w.code_bits, a.scope_rows = w.scope_rows;
  return a;
}

bool fits(const CodebookLayer& layer) {
  const Window& w = layer.window;
  if (w.kernel_h != 3 || w.kernel_w != 3 || w.stride_h != 1 || w.stride_w != 1 ||
      w.dilation_h != 1 || w.dilation_w != 1)
    return false;
  if (layer.channels > kMostChannels) return false;
  if (layer.groups != 1 || !layer.interleaved || layer.weights->codebook.dim % 9 != 0) return false;
  const size_t bytes = kernels::winograd_table_bytes(describe(layer));
  return bytes != 0 && bytes <= kMostTableBytes;
}

class Winograd final : public CodebookStrategy {
 public:
  const char* name() const override { return "winograd"; }
  const char* kernel_name() const override { return name_; }

  float cost_ns(const CodebookLayer& layer) const override {
    if (!fits(layer)) return -1;
    const kernels::WinogradArgs a = describe(layer);
    const kernels::Kernel<kernels::WinogradFn>& row =
        kernels::select(kernels::kWinograd, layer.isa);
    return kernels::winograd_cost_ns(a, row) / static_cast<float>(layer.threads);
  }

  Status prepare(const CodebookLayer& layer, PrepareContext& context) override {
    const kernels::Kernel<kernels::WinogradFn>& row =
        kernels::select(kernels::kWinograd, layer.isa);
    const kernels::WinogradArgs a = describe(layer);
    name_ = row.name, run_ = row.run, tiles_ = kernels::winograd_tiles(a);
    // Whole register tiles for every thread.
    const size_t steps = (tiles_ + row.tile.m - 1) / row.tile.m;
    grain_ = (steps + layer.threads - 1) / layer.threads * row.tile.m;
    thread_bytes_ = kernels::winograd_scratch_bytes(a);
    const auto own = (CheckedSize(thread_bytes_) * layer.threads).get();
    QRT_REQUIRE(own, Code::out_of_memory, 334, "the layer is too large for this machine");
    entries_ = context.reserve_scratch(layer.table_floats * sizeof(float));
    table_ = context.reserve_scratch(kernels::winograd_table_bytes(a));
    own_ = context.reserve_scratch(*own);
    return {};
  }

  Status run(const CodebookLayer& layer, const RunContext& context) const override {
    if (tiles_ == 0) return {};
    kernels::WinogradArgs a = describe(layer);
    a.input = context.in[0].as<float>();
    a.output = context.out[0].as<float>();
    if (layer.residual) a.residual = context.in[1].as<float>();
    const kernels::codebook::Source source =
        widen_entries(layer, reinterpret_cast<float*>(context.scratch[entries_]));
    float* table = reinterpret_cast<float*>(context.scratch[table_]);
    kernels::winograd_build_table(a, source.entries, source.entry_stride, table);
    a.table = table;
    context.threads.split(tiles_, grain_, [&](size_t begin, size_t end, uint32_t thread) {
      kernels::WinogradArgs part = a;
      part.tile_begin = begin, part.tile_end = end;
      part.scratch = context.scratch[own_] + thread * thread_bytes_;
      run_(part);
    });
    return {};
  }

 private:
  const char* name_ = "";
  kernels::WinogradFn* run_ = nullptr;
  size_t tiles_ = 0, grain_ = 1, thread_bytes_ = 0;
  ScratchSlot entries_ = 0, table_ = 0, own_ = 0;
};

}  // namespace

CodebookStrategy* make_winograd_strategy(Arena& keep) {
  return keep.make<Winograd>();
}

}  // namespace qrt
