// Strategy `dot`: for one or a few rows. Each code is decoded straight into the
// inner products, outputs by outputs; no panel is worth making for so little work.
#include <cstring>

#include "kernels/codebook/cost.h"
#include "runtime/base/checked.h"
#include "runtime/ops/codebook_layer.h"

namespace qrt {
namespace {

namespace cb = kernels::codebook;

constexpr size_t kOutputs = 128;  // of one item: 16 steps of the kernel

class Dot final : public CodebookStrategy {
 public:
  const char* name() const override { return "dot"; }
  const char* kernel_name() const override { return name_; }
  float cost_ns(const CodebookLayer& layer) const override {
    return cb::dot_cost_ns(codebook_cost_shape(layer), *layer.kit);
  }

  Status prepare(const CodebookLayer& layer, PrepareContext& context) override {
    name_ = layer.kit->run->dot_name;
    chunks_ = (layer.group_outputs + kOutputs - 1) / kOutputs;
    row_floats_ = (layer.inputs + 15) / 16 * 16;
    const auto own = (CheckedSize(layer.blocks) * layer.entry_stride + row_floats_ + 15).get();
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
    const size_t items = layer.rows * layer.groups * chunks_;
    const size_t grain = (items + layer.threads - 1) / layer.threads;
    if (items == 0) return {};
    context.threads.split(items, grain, [&](size_t begin, size_t end, uint32_t thread) {
      float* own = reinterpret_cast<float*>(context.scratch[own_]) + thread * own_floats_;
      size_t ready = static_cast<size_t>(-1);  // the (row, group) whose blocks `own` holds
      for (size_t i = begin; i < end; ++i) {
        const size_t row_group = i / chunks_;
        if (row_group != ready) blocks_of(layer, context, row_group, own);
        ready = row_group;
        outputs_of(layer, context, source, i, own + row_floats_);
      }
    });
    return {};
  }

 private:
  // The row in the order of the source, each block padded with zeros to the stride of an entry.
  void blocks_of(const CodebookLayer& layer, const RunContext& context, size_t i,
                 float* own) const {
    gather_rows(layer, context.in[0].as<float>(),
                {i % layer.groups, i / layer.groups, 1, 0, layer.inputs}, own, 0);
    const size_t dim = layer.weights->codebook.dim;
    float* to = own + row_floats_;
    std::memset(to, 0, layer.blocks * layer.entry_stride * sizeof(float));
    if (layer.interleaved) {
      for (size_t k = 0; k < layer.inputs; ++k)
        to[k / dim * layer.entry_stride + k % dim] =
            own[k % layer.taps * layer.channels + k / layer.taps];
      return;
    }
    for (size_t k = 0; k < layer.inputs; k += dim, to += layer.entry_stride)
      std::memcpy(to, own + k, (layer.inputs - k < dim ? layer.inputs - k : dim) * sizeof(float));
  }

  void outputs_of(const CodebookLayer& layer, const RunContext& context, const cb::Source& source,
                  size_t i, const float* x) const {
    const size_t n0 = i % chunks_ * kOutputs, group = i / chunks_ % layer.groups;
    const size_t row = i / chunks_ / layer.groups, left = layer.group_outputs - n0;
    cb::DotArgs a{};
    a.source = source;
    a.first_output = group * layer.group_outputs + n0;
    a.outputs = left < kOutputs ? left : kOutputs;
    a.blocks = layer.blocks;
    a.x = x;
    a.y = context.out[0].as<float>() + row * layer.outputs + a.first_output;
    a.finish = layer.finish_at(context, row, a.first_output);
    layer.kit->run->dot(a);
  }

  const char* name_ = "";
  size_t chunks_ = 0, row_floats_ = 0, own_floats_ = 0;
  ScratchSlot table_ = 0, own_ = 0;
};

}  // namespace

CodebookStrategy* make_dot_strategy(Arena& keep) {
  return keep.make<Dot>();
}

}  // namespace qrt
