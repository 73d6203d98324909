// Baseline: another engine running the same network inside qrt bench, for a
// comparison in one process, round by round. Engines that libqrt does not link
// otherwise come from bench/ and only in builds that ask for them.
#ifndef QRT_RUNTIME_TOOLS_BENCH_BASELINE_H_
#define QRT_RUNTIME_TOOLS_BENCH_BASELINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/model/model.h"

namespace qrt::tools {

class Baseline {
 public:
  virtual ~Baseline() = default;
  virtual const char* name() const = 0;  // e.g. "dense f32, oneDNN"
  // Copies a whole input of the model, as the model's port lays it out, batch included.
  virtual void set_input(size_t port, const void* data, size_t bytes) = 0;
  virtual void run() = 0;
  // The result of the last run, as the model's port lays it out; null when not f32.
  virtual const float* output(size_t port) const = 0;
};

// The model's graph with its weights decoded to f32, through oneDNN; bench/onednn_graph.cc
// defines it in builds with QRT_WITH_ONEDNN. `model` outlives the baseline. May throw
// std::runtime_error with a sentence on what it cannot run.
std::unique_ptr<Baseline> make_onednn_baseline(const qrt::Model& model, uint32_t threads,
                                               uint32_t batch);

// Keeps oneDNN to an ISA level (as --isa names them), so that both sides of a comparison
// are capped alike. Once per process, before its first use: later calls change nothing.
void cap_onednn(const std::string& isa);

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_BENCH_BASELINE_H_
