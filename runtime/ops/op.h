// Op: one operator of an opened model, prepared once and run many times.
//
// prepare() checks what the model claims about shapes, chooses a kernel, and
// reserves memory; it may fail, with reasons. bind() learns where the tensors
// lie. run() computes: it allocates nothing and cannot fail but for bad values
// inside an input.
#ifndef QRT_RUNTIME_OPS_OP_H_
#define QRT_RUNTIME_OPS_OP_H_

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "runtime/base/span.h"
#include "runtime/base/status.h"
#include "runtime/memory/arena.h"
#include "runtime/model/model.h"
#include "runtime/session/threads.h"
#include "runtime/tensor/tensor.h"

namespace qrt {

class Tuner;

using ScratchSlot = uint32_t;

// Kernels may read, never write, this many bytes past the end of any tensor: the
// activation arena ends in as many bytes that belong to nobody (XNN_EXTRA_BYTES
// is 16; one cache line is what we grant).
inline constexpr size_t kReadSlack = 64;

// How compressed layers are to be run (qrt_options.mode).
enum class Mode : uint8_t {
  compressed,  // codes are used from the file
  dense,       // decoded once at prepare, into f32 or int8 panels: when memory is no concern
};

class PrepareContext {
 public:
  PrepareContext(const Model& m, Arena& k, Threads& t) : model(m), keep(k), threads(t) {}

  const Model& model;
  Arena& keep;              // lives as long as the session
  Threads& threads;         // count() tells how many scratch areas run() needs
  kernels::IsaSet isa = 0;  // may be narrower than the CPU: tests and users decide
  Mode mode = Mode::compressed;
  bool prefer_speed = false;       // layers of integers may keep panels where that is faster
  const char* strategy = nullptr;  // forces a strategy by name; null: by cost
  Tuner* tuner = nullptr;          // null: nothing is measured
  uint32_t op = 0;                 // which of the model's this is, for the tuner
  bool use_xnnpack = true;         // false: dense layers on our plain code (tests compare both)
  Span<const ConstTensorView> in;  // shapes for this session's batch; data only where constant
  Span<const TensorView> out;      // shapes as the model declares them; data null

  // Bytes that run() may use until it returns, 64-byte aligned; shared with other ops.
  ScratchSlot reserve_scratch(size_t bytes) {
    scratch_bytes[slots] = bytes;
    return slots++;
  }
  // A layer of codes takes four, what IntegerLayer puts around it two.
  static constexpr uint32_t kMaxSlots = 6;
  size_t scratch_bytes[kMaxSlots] = {};
  uint32_t slots = 0;
  // Bytes of memory that hold weights in another form than the file (packed, decoded).
  size_t weight_bytes = 0;
};

struct RunContext {
  const ConstTensorView* in;
  const TensorView* out;
  std::byte* const* scratch;  // indexed by ScratchSlot
  const Threads& threads;
};

class Op {
 public:
  virtual ~Op() = default;
  virtual Status prepare(const Node&, PrepareContext&) = 0;
  // Called once, when the arena is planned and before the first run: the pointers
  // in the context are those of every later run. The last call that may allocate.
  virtual Status bind(const RunContext&) { return {}; }
  virtual Status run(const RunContext&) const = 0;
  // Which kernel really runs, e.g. "codebook_decode_avx512".
  virtual const char* kernel_name() const = 0;
  // Why: the cost model's figures, for `qrt inspect`.
  virtual const char* choice() const { return ""; }
};

// ops.inc lists one factory per operator kind; registry.cc turns the rows into a table.
// An op is placed in `keep`; the session calls its destructor.
using OpFactory = Op*(Arena& keep);  // null: out of memory

// Chooses by kind, by numerics and encoding of the weights and by mode: a codebook layer of f32
// in Mode::dense becomes a dense layer that decodes at prepare. Refuses (QRT-E0250)
// an encoding that no operator of this build computes with. `bits`: one of the node's tensors is
// packed bits, which operators other than layers have rows of their own for (QRT-E0266).
Expected<Op*> make_op(const Node&, Mode mode, bool bits, Arena& keep);

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_OP_H_
