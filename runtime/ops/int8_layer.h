// What every layer of integers has in common: bytes in, weights that are dense i8, entries of
// a codebook rounded to levels or codes of few bits, sums that are exact or of rounded tables, and
// one definition of what becomes of a sum (schema/README.md, Numerics). Int8Op chooses a strategy
// by predicted time; strategies of one layer give the same bits.
#ifndef QRT_RUNTIME_OPS_INT8_LAYER_H_
#define QRT_RUNTIME_OPS_INT8_LAYER_H_

#include <cstddef>

#include "kernels/codebook/codebook.h"
#include "kernels/int8/cost.h"
#include "kernels/shift/shift.h"
#include "runtime/ops/choice.h"
#include "runtime/ops/int8_wide.h"
#include "runtime/ops/layer_geometry.h"
#include "runtime/ops/lowbit_rows.h"

namespace qrt {

struct Int8Layer : LayerGeometry {
  Quantization x, y, r;  // of input, output (absent: f32) and residual
  bool residual = false;
  // What the kernels do with a sum; made by finish_constants().
  float* scale = nullptr;
  float* bias = nullptr;  // null: none
  float residual_scale = 0, min = 0, max = 0;
  bool bias_first = false, tame = false;  // kernels::int8::Finish

  // Of codebooks: derived by derive_codes().
  size_t blocks = 0, scopes = 1;
  size_t entry_stride = 0;   // bytes of a rounded entry
  size_t table_bytes = 0;    // of all rounded entries, with slack
  size_t floats = 0;         // of one book, where it must be widened or padded to be rounded
  uint32_t levels_used = 0;  // a set of bits
  // No sum, with any input, is further from zero than this; below zero: not known. bound_sums().
  int64_t most_sum = -1;

  kernels::IsaSet isa = 0;
  const kernels::Kernel<const kernels::int8::Kit>* kit = nullptr;
  const kernels::codebook::Kit* widen = nullptr;
  size_t threads = 1;

  // Of codes of few bits.
  const kernels::Kernel<const kernels::lowbit::Kit>* unpack = nullptr;
  LowbitIntegers lowbit;

  // Of tables of integers: describe_table().
  const kernels::shift::Plan* table = nullptr;
  size_t table_row_bytes = 0;
  size_t scale_group = 0;  // stored inputs that share a scale; 0: none do, outputs have theirs

  bool coded() const { return weights->encoding == Encoding::codebook; }
  bool dense() const { return weights->encoding == Encoding::dense; }
  // Integers that the ways of kernels/shift alone can sum.
  bool beyond_bytes() const { return scale_group != 0 || (table != nullptr && table->two_planes); }
  bool packed() const { return is_lowbit(weights->encoding) && !beyond_bytes(); }
  kernels::int8::Finish finish_at(const RunContext&, size_t row, size_t output) const;
  kernels::int8::CostShape cost_shape() const;
};

// The scratch that round_entries() works in, 64-byte aligned, and reserved as it says.
struct EntryScratch {
  ScratchSlot table = 0, floats = 0;
};
EntryScratch reserve_entries(const Int8Layer&, PrepareContext&);

// Rounds the entries of the file to the levels in use and describes codes and entries to the
// kernels. Part of every run: nothing is kept.
kernels::int8::Coded round_entries(const Int8Layer&, int8_t* table, float* floats);
inline kernels::int8::Coded round_entries(const Int8Layer& layer, const EntryScratch& at,
                                          const RunContext& context) {
  return round_entries(layer, reinterpret_cast<int8_t*>(context.scratch[at.table]),
                       reinterpret_cast<float*>(context.scratch[at.floats]));
}

// Fills scale, bias and bounds, from the quantizations that the layer has and its weights' scales.
// With thresholds they leave sums as they are. QRT-E0340.
Status finish_constants(const Epilogue&, PrepareContext&, Int8Layer*);

// Checks a table of integers and plans it in `keep`. QRT-E0142, QRT-E0153, QRT-E0256, QRT-E0334.
Status describe_table(Int8Layer*, Arena& keep);

// Finds most_sum where a strategy asks for it.
Status bound_sums(Int8Layer*, const PrepareContext&);

// Writes rows row0 ... of one group, or those that `order` names, to dst[rows][stride] as
// [tap][channel]; pixels outside the image are the input's zero.
struct Int8RowRange {
  size_t group, row0, rows;
  const uint32_t* order = nullptr;
};
void gather_rows(const Int8Layer&, const uint8_t* x, const Int8RowRange&, uint8_t* dst,
                 size_t stride);
// A stride for `inputs` bytes: whole lines and an odd number of them, so that no set of a cache is
// crowded by a tile of rows.
constexpr size_t gathered_stride(size_t inputs) {
  return (((inputs + 63) / 64) | 1) * 64;
}

// A way to compute a layer. cost_ns() is asked first; the chosen one is prepared.
class Int8Strategy {
 public:
  virtual ~Int8Strategy() = default;
  virtual const char* name() const = 0;  // what PrepareContext::strategy forces
  // Predicted nanoseconds of one run; negative: cannot compute this layer.
  virtual float cost_ns(const Int8Layer&) const = 0;
  virtual Status prepare(const Int8Layer&, PrepareContext&) = 0;
  virtual Status run(const Int8Layer&, const RunContext&) const = 0;
  // "int8_<strategy>_<isa>" as a rule.
  virtual void write_kernel_name(const Int8Layer&, char* out, size_t room) const;
};

// Placed in `keep`; null: out of memory. Strategies own nothing that needs a destructor.
Int8Strategy* make_dense8_strategy(Arena& keep, bool resident);
Int8Strategy* make_decode8_strategy(Arena& keep, bool resident);
Int8Strategy* make_unpack8_strategy(Arena& keep, bool resident);
Int8Strategy* make_masked_dot_strategy(Arena& keep, bool resident);
Int8Strategy* make_unpack_dot_strategy(Arena& keep);
Int8Strategy* make_shift_strategy(Arena& keep, kernels::shift::Kind);
Int8Strategy* make_depthwise8_strategy(Arena& keep, bool resident);
Int8Strategy* make_dot8_strategy(Arena& keep);
Int8Strategy* make_coded_dot_strategy(Arena& keep);
Int8Strategy* make_winograd8_strategy(Arena& keep, size_t edge);      // of its tiles: 2 or 4
Int8Strategy* make_tables_strategy(Arena& keep, const char* wanted);  // "tables", or a way's name

// The name of the one of `all` whose runs were shortest, or null.
const char* fastest_strategy(Span<Int8Strategy* const> all, const Int8Layer&,
                             const PrepareContext&);

class Int8Op final : public Op {
 public:
  Status prepare(const Node&, PrepareContext&) override;
  Status run(const RunContext& context) const override {
    QRT_TRY(strategy_->run(layer_, context));
    wide_.run(layer_, context);
    return {};
  }
  const char* kernel_name() const override { return kernel_name_; }
  const char* choice() const override { return choice_.text(); }

 private:
  Status choose(PrepareContext&);
  const char* tuned(PrepareContext&, bool resident) const;
  Int8Layer layer_;
  Int8Strategy* strategy_ = nullptr;
  WideOutputs wide_;
  ChoiceText choice_;
  char kernel_name_[48] = "";
};

Op* make_int8_layer(Arena& keep);

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_INT8_LAYER_H_
