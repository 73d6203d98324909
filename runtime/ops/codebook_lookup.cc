// Strategy `lookup`: for a few rows at a time, held in the lanes of vectors, the
// inner products of every centroid with a block are tabulated; every output then
// adds one table entry per block. Pays where outputs far outnumber centroids.
//
//   item = one vector of rows of one group                        (split over threads)
//     for each step of K:  gather the rows, turn them into lanes
//       tables of some blocks, then their lookups for all outputs
//     sums go back to rows through the epilogue
#include "kernels/codebook/cost.h"
#include "runtime/base/checked.h"
#include "runtime/ops/codebook_layer.h"

namespace qrt {
namespace {

namespace cb = kernels::codebook;

constexpr size_t kStep = 512;  // inputs gathered and turned at a time: 32 KB of lanes

class Lookup final : public CodebookStrategy {
 public:
  const char* name() const override { return "lookup"; }
  const char* kernel_name() const override { return name_; }
  float cost_ns(const CodebookLayer& layer) const override {
    if (layer.weights->codebook.code_bits > cb::kMaxLookupBits) return -1;
    return cb::lookup_cost_ns(codebook_cost_shape(layer), *layer.kit);
  }

  Status prepare(const CodebookLayer& layer, PrepareContext& context) override {
    const cb::Kit& kit = *layer.kit->run;
    name_ = kit.lookup_name;
    step_ = codebook_step(layer, kStep);
    stride_ = (step_ + 15) / 16 * 16 + 16;
    tiles_ = (layer.rows + kit.lanes - 1) / kit.lanes;
    // Thread's own: rows [lanes][stride], lanes [step][lanes], tables, sums. Each part
    // is a multiple of a line long.
    const auto largest = ((CheckedSize(step_) + 32) * 4 * kit.lanes).get();
    QRT_REQUIRE(largest, Code::out_of_memory, 334, "the layer is too large for this machine");
    lanes_at_ = up(stride_ * kit.lanes);
    tables_at_ = lanes_at_ + up(step_ * kit.lanes);
    sums_at_ = tables_at_ + up(cb::lookup_table_floats(kit, layer.weights->codebook.code_bits));
    const auto own = (CheckedSize(layer.group_outputs) * kit.lanes + sums_at_ + 15).get();
    QRT_REQUIRE(own, Code::out_of_memory, 334, "the layer is too large for this machine");
    own_floats_ = *own / 16 * 16;
    const auto all = (CheckedSize(own_floats_) * layer.threads * sizeof(float)).get();
    QRT_REQUIRE(all, Code::out_of_memory, 334, "the layer is too large for this machine");
    table_ = context.reserve_scratch(layer.table_floats * sizeof(float));
    own_ = context.reserve_scratch(*all);
    return {};
  }

  Status run(const CodebookLayer& layer, const RunContext& context) const override {
    const cb::Source source =
        widen_entries(layer, reinterpret_cast<float*>(context.scratch[table_]));
    const size_t items = tiles_ * layer.groups;
    if (items == 0) return {};
    context.threads.split(items, 1, [&](size_t begin, size_t end, uint32_t thread) {
      float* own = reinterpret_cast<float*>(context.scratch[own_]) + thread * own_floats_;
      for (size_t i = begin; i < end; ++i)
        item(layer, context, source, i % layer.groups, i / layer.groups, own);
    });
    return {};
  }

 private:
  static size_t up(size_t floats) { return (floats + 15) / 16 * 16; }

  void item(const CodebookLayer& layer, const RunContext& context, const cb::Source& source,
            size_t group, size_t tile, float* own) const {
    const cb::Kit& kit = *layer.kit->run;
    const float* x = context.in[0].as<float>();
    const size_t row0 = tile * kit.lanes, left = layer.rows - row0;
    const size_t rows = left < kit.lanes ? left : kit.lanes;
    const size_t first = group * layer.group_outputs, last = first + layer.group_outputs;
    const size_t scope = source.scope_rows == 0 ? layer.outputs : source.scope_rows;
    for (size_t k0 = 0; k0 < layer.inputs; k0 += step_) {
      const size_t k1 = layer.inputs - k0 < step_ ? layer.inputs : k0 + step_;
      gather_rows(layer, x, {group, row0, rows, k0, k1}, own, stride_);
      kit.pack({rows, k1 - k0, layer.interleaved ? layer.taps : 1, own, stride_, own + lanes_at_});
      for (size_t n = first; n < last;) {  // one scope after the other
        const size_t end = (n / scope + 1) * scope < last ? (n / scope + 1) * scope : last;
        kit.lookup({source, n, end - n, k0 / source.dim, k1 - k0, own + lanes_at_, own + tables_at_,
                    own + sums_at_ + (n - first) * kit.lanes, k0 == 0});
        n = end;
      }
    }
    kit.store({rows, layer.group_outputs, own + sums_at_,
               context.out[0].as<float>() + row0 * layer.outputs + first, layer.outputs,
               layer.finish_at(context, row0, first)});
  }

  const char* name_ = "";
  size_t step_ = 0, stride_ = 0, tiles_ = 0, lanes_at_ = 0, tables_at_ = 0, sums_at_ = 0;
  size_t own_floats_ = 0;
  ScratchSlot table_ = 0, own_ = 0;
};

}  // namespace

CodebookStrategy* make_lookup_strategy(Arena& keep) {
  return keep.make<Lookup>();
}

}  // namespace qrt
