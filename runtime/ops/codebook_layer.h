// What every f32 layer of codes has in common: its geometry, its codes in the file, and
// the strategies that can compute it. CodebookOp chooses one by predicted time. Layers of
// codebooks have several; those whose weights are codes of few bits have `unpack`.
#ifndef QRT_RUNTIME_OPS_CODEBOOK_LAYER_H_
#define QRT_RUNTIME_OPS_CODEBOOK_LAYER_H_

#include <cstddef>

#include "kernels/codebook/cost.h"
#include "runtime/ops/choice.h"
#include "runtime/ops/layer_geometry.h"

namespace qrt {

struct CodebookLayer : LayerGeometry {
  // Of codebooks, derived by derive().
  size_t blocks = 0, scopes = 1;
  size_t entry_stride = 0;  // floats of a widened entry
  size_t table_floats = 0;  // of all widened entries

  // Epilogue, widened to f32 in prepare().
  float* scale = nullptr;
  float* bias = nullptr;
  bool residual = false;
  float min = 0, max = 0;

  kernels::IsaSet isa = 0;
  const kernels::Kernel<const kernels::codebook::Kit>* kit = nullptr;
  size_t threads = 1;

  Status derive();
  kernels::codebook::Finish finish_at(const RunContext&, size_t row, size_t output) const;
};

// Widens the entries of the file into `table` (table_floats, 64-byte aligned) and
// describes codes and entries to the kernels. Part of every run: nothing is kept.
kernels::codebook::Source widen_entries(const CodebookLayer&, float* table);

// Writes inputs [k0, k1) of rows row0 ... of one group to dst[rows][stride]; pixels
// outside the image are zeros. Interleaved layers come tap after tap, [tap][channel],
// and k0, k1 must be multiples of taps.
struct RowRange {
  size_t group, row0, rows, k0, k1;
};
void gather_rows(const CodebookLayer&, const float* x, const RowRange&, float* dst, size_t stride);

kernels::codebook::CostShape codebook_cost_shape(const CodebookLayer&);

// Inputs that a strategy takes at a time: about `most` or less, in whole blocks and,
// where interleaved, whole channels; at most layer.inputs.
size_t codebook_step(const CodebookLayer&, size_t most);

// A way to compute a layer. cost_ns() is asked first; the chosen one is prepared.
class CodebookStrategy {
 public:
  virtual ~CodebookStrategy() = default;
  virtual const char* name() const = 0;  // what PrepareContext::strategy forces
  // Predicted nanoseconds of one run; negative: cannot compute this layer.
  virtual float cost_ns(const CodebookLayer&) const = 0;
  virtual Status prepare(const CodebookLayer&, PrepareContext&) = 0;
  virtual Status run(const CodebookLayer&, const RunContext&) const = 0;
  virtual const char* kernel_name() const = 0;
};

// Placed in `keep`; null: out of memory. Strategies own nothing that needs a destructor.
CodebookStrategy* make_decode_strategy(Arena& keep);
CodebookStrategy* make_dot_strategy(Arena& keep);
CodebookStrategy* make_lookup_strategy(Arena& keep);
CodebookStrategy* make_winograd_strategy(Arena& keep);
CodebookStrategy* make_unpack_strategy(Arena& keep);

class CodebookOp final : public Op {
 public:
  Status prepare(const Node&, PrepareContext&) override;
  Status run(const RunContext& context) const override { return strategy_->run(layer_, context); }
  const char* kernel_name() const override { return strategy_ ? strategy_->kernel_name() : ""; }
  const char* choice() const override { return choice_.text(); }

 private:
  Status choose(PrepareContext&);
  Status unpack(PrepareContext&);
  CodebookLayer layer_;
  CodebookStrategy* strategy_ = nullptr;
  ChoiceText choice_;
};

Op* make_codebook_conv2d(Arena& keep);
Op* make_codebook_linear(Arena& keep);

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_CODEBOOK_LAYER_H_
