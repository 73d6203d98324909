// A model made ready to run: operators with their kernels chosen, one arena that
// holds every activation and all scratch, and the threads. open() may fail, with
// reasons; run() allocates nothing and refuses nothing an accepted model can ask.
// One thread of execution at a time; the model must outlive the session.
#ifndef QRT_RUNTIME_SESSION_SESSION_H_
#define QRT_RUNTIME_SESSION_SESSION_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/span.h"
#include "runtime/base/status.h"
#include "runtime/memory/arena.h"
#include "runtime/memory/planner.h"
#include "runtime/model/model.h"
#include "runtime/ops/op.h"
#include "runtime/session/threads.h"

namespace qrt {

struct SessionOptions {
  uint32_t threads = 1, batch = 1;
  Mode mode = Mode::compressed;
  bool prefer_speed = false;       // layers of integers may keep their weights decoded
  const char* isa = nullptr;       // null: QRT_ISA of the environment, else all the CPU has
  const char* strategy = nullptr;  // null: by cost
  const char* tune = nullptr;      // a file; null: QRT_TUNE of the environment, else none
};

class Session {
 public:
  Session(const Model& model, const Allocator& allocator)
      : model_(model), keep_(allocator), activations_(allocator) {}
  ~Session();  // destroys the operators
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Status open(const SessionOptions&);  // once
  Status run();
  Status run_profiled();

  // Runs the file's golden inputs and compares: max |got - want| / max |want| over
  // all outputs, infinite where a value is not a number.
  Status self_check(double* max_error);

  // The session's own buffers; they stay where they are.
  TensorView input(size_t i) const { return tensors_[model_.inputs[i].tensor]; }
  TensorView output(size_t i) const { return tensors_[model_.outputs[i].tensor]; }
  const Model& model() const { return model_; }

  struct Step {
    const Node* node = nullptr;
    Op* op = nullptr;
    Span<ConstTensorView> in;
    Span<TensorView> out;
    Span<std::byte*> scratch;
    size_t scratch_bytes[PrepareContext::kMaxSlots] = {};
    double last_ns = 0;
  };
  Span<const Step> steps() const { return steps_; }
  uint64_t macs(const Step&) const;  // dense multiply-adds of one run

  size_t weight_bytes() const { return weight_bytes_; }
  size_t arena_bytes() const { return activations_.bytes(); }
  size_t keep_bytes() const { return keep_.bytes(); }
  const char* note() const { return note_; }  // what was put aside while opening, or ""
  uint32_t batch() const { return batch_; }
  uint32_t threads() const { return threads_.count(); }

 private:
  Status choose_isa(const char* name);
  Status set_batch(uint32_t batch);
  Status prepare_all(const SessionOptions&);
  Status prepare_step(size_t n, const SessionOptions&, Tuner*);
  void share_storage();
  void find_lifetimes(Span<Lifetime> lives) const;
  Status plan();
  Status bind();
  RunContext context_of(const Step&) const;

  const Model& model_;
  Arena keep_, activations_;
  Threads threads_;
  kernels::IsaSet isa_ = 0;
  uint32_t batch_ = 1;
  Span<TensorView> tensors_;  // shapes for this batch, data once planned
  Span<uint32_t> storage_;    // per tensor: the tensor whose bytes it uses, itself as a rule
  Span<Step> steps_;
  size_t weight_bytes_ = 0;
  const char* note_ = "";
};

uint64_t stored_bytes(const Weights&);  // in the file: entries, codes, scales

}  // namespace qrt

#endif  // QRT_RUNTIME_SESSION_SESSION_H_
