// Strategy `unpack` of f32 layers whose weights are codes of few bits: rows of weights are decoded
// a step of inputs at a time and turned into f32 panels, float_panels.h does the rest.
#include <cstring>

#include "kernels/codebook/cost.h"
#include "runtime/ops/float_panels.h"
#include "runtime/ops/lowbit_rows.h"

namespace qrt {
namespace {

namespace cb = kernels::codebook;

constexpr size_t kStep = 640;  // as in codebook_decode.cc

constexpr size_t round_up(size_t x, size_t to) {
  return (x + to - 1) / to * to;
}

class Unpack final : public FloatPanels {
 public:
  const char* name() const override { return "unpack"; }
  float cost_ns(const CodebookLayer& layer) const override {
    return is_lowbit(layer.weights->encoding) ? cb::decode_cost_ns(as_codes(layer), *layer.kit)
                                              : -1.0f;
  }
  const char* kernel_name() const override { return kernel_->name; }

 protected:
  // Steps of about equal length; interleaved layers take whole channels.
  size_t step_of(const CodebookLayer& layer) const override {
    const size_t steps = (layer.inputs + kStep - 1) / kStep;
    const size_t unit = layer.interleaved ? layer.taps : 8;
    const size_t step = round_up((layer.inputs + steps - 1) / steps, unit);
    return step < layer.inputs ? step : layer.inputs;
  }
  Status begin_prepare(const CodebookLayer& layer, PrepareContext& context, size_t step) override {
    kernel_ = &kernels::select(kernels::lowbit::kKits, layer.isa);
    stride_ = stride_of(step), step_ = step;
    return rows_.prepare(*layer.weights, *kernel_->run, step, context.keep);
  }
  // Rows of a vector of outputs, these turned, and codes of one row.
  size_t work_floats(const CodebookLayer& layer, size_t step) const override {
    const size_t lanes = layer.kit->run->lanes;
    return lanes * (stride_of(step) + step) + (step + LowbitFloats::kSlack + 3) / 4;
  }
  void make(const CodebookLayer& layer, const cb::Source&, const Panel& p) const override {
    const size_t lanes = layer.kit->run->lanes, tile = layer.kit->tile.n, inputs = p.k1 - p.k0;
    float *turned = p.work + lanes * stride_, *spare = turned + lanes * step_;
    auto* codes = reinterpret_cast<uint8_t*>(spare);
    const size_t taps = layer.interleaved ? layer.taps : 1, channels = inputs / taps;
    for (size_t n = 0; n < p.outputs; n += lanes) {
      const size_t live = p.outputs - n < lanes ? p.outputs - n : lanes;
      for (size_t i = 0; i < live; ++i)
        rows_.decode(p.first_output + n + i, p.k0, p.k1, codes, p.work + i * stride_);
      layer.kit->run->pack({live, inputs, 1, p.work, stride_, turned});
      // Input c * taps + t goes to place t * channels + c, where rows of x have it.
      const float* from = turned;
      for (size_t c = 0; c < channels; ++c)
        for (size_t t = 0; t < taps; ++t, from += lanes)
          std::memcpy(p.to + (t * channels + c) * tile + n, from, lanes * sizeof(float));
    }
  }

 private:
  // Rows one line off a power of two: no set of the cache is crowded.
  static size_t stride_of(size_t step) { return round_up(step, 16) + 16; }

  // As if every four inputs were a block with a code of its own, which is what they cost.
  static cb::CostShape as_codes(const CodebookLayer& layer) {
    cb::CostShape s{};
    s.rows = layer.rows, s.outputs = layer.group_outputs, s.inputs = layer.inputs;
    s.groups = layer.groups, s.blocks = (layer.inputs + 3) / 4;
    s.bits = 8, s.books = 1, s.dim = 4;
    s.gathers = !layer.rows_in_place();
    s.threads = layer.threads;
    return s;
  }

  const kernels::Kernel<const kernels::lowbit::Kit>* kernel_ = nullptr;
  LowbitFloats rows_;
  size_t stride_ = 0, step_ = 0;
};

}  // namespace

CodebookStrategy* make_unpack_strategy(Arena& keep) {
  return keep.make<Unpack>();
}

}  // namespace qrt
