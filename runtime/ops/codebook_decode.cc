// Strategy `decode`: codes become f32 panels of whole blocks, float_panels.h does the rest.
#include "kernels/codebook/cost.h"
#include "runtime/ops/float_panels.h"

namespace qrt {
namespace {

namespace cb = kernels::codebook;

// Most inputs of one step: 14 rows of 640 floats are 36 KB, about an L1; the sums'
// rest in y costs 1/640 of the products. 576 = 9 * 64 and 512 fit as they are.
constexpr size_t kStep = 640;

uint64_t lcm(uint64_t a, uint64_t b) {  // of numbers below 2^32
  uint64_t x = a, y = b;
  while (y != 0) {
    const uint64_t rest = x % y;
    x = y, y = rest;
  }
  return a / x * b;
}

constexpr size_t ceil_div(size_t x, size_t by) {
  return (x + by - 1) / by;
}

class Decode final : public FloatPanels {
 public:
  const char* name() const override { return "decode"; }
  float cost_ns(const CodebookLayer& layer) const override {
    return cb::decode_cost_ns(codebook_cost_shape(layer), *layer.kit);
  }
  const char* kernel_name() const override { return name_; }

 protected:
  size_t step_of(const CodebookLayer& layer) const override { return codebook_step(layer, kStep); }
  Status begin_prepare(const CodebookLayer& layer, PrepareContext& context, size_t) override {
    name_ = layer.kit->run->decode_name;
    table_ = context.reserve_scratch(layer.table_floats * sizeof(float));
    return {};
  }
  cb::Source begin_run(const CodebookLayer& layer, const RunContext& context) const override {
    return widen_entries(layer, reinterpret_cast<float*>(context.scratch[table_]));
  }
  void make(const CodebookLayer& layer, const cb::Source& source,
            const Panel& panel) const override {
    cb::PanelArgs a{};
    a.source = source;
    a.first_output = panel.first_output, a.outputs = panel.outputs;
    a.first_block = panel.k0 / source.dim;
    a.inputs = panel.k1 - panel.k0;
    a.taps = layer.interleaved ? layer.taps : 1;
    a.panel = panel.to;
    layer.kit->run->panel(a);
  }

 private:
  const char* name_ = "";
  ScratchSlot table_ = 0;
};

}  // namespace

// Steps of about equal length: 576 inputs are one step, not 504 and 72.
size_t codebook_step(const CodebookLayer& layer, size_t most) {
  const uint64_t unit = lcm(layer.weights->codebook.dim, layer.interleaved ? layer.taps : 1);
  const uint64_t even = ceil_div(layer.inputs, ceil_div(layer.inputs, most));
  const uint64_t step = (even + unit - 1) / unit * unit;
  return step < layer.inputs ? static_cast<size_t>(step) : layer.inputs;
}

CodebookStrategy* make_decode_strategy(Arena& keep) {
  return keep.make<Decode>();
}

}  // namespace qrt
