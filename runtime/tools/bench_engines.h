// Who takes part in qrt bench: sessions of libqrt, and other engines running the same graph, all in
// this process and with the same input.
#ifndef QRT_RUNTIME_TOOLS_BENCH_ENGINES_H_
#define QRT_RUNTIME_TOOLS_BENCH_ENGINES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/tools/bench.h"
#include "runtime/tools/bench_baseline.h"
#include "runtime/tools/facts.h"

namespace qrt::tools {

// Something that runs the network; libqrt itself is the first of them.
struct Candidate {
  std::string name;
  std::function<void()> run;
  std::function<const float*(size_t)> output;  // null where there is none in f32
  std::vector<double> ms;
};

// The model, and where asked for the same network with f32 activations. Refuses a twin whose inputs
// differ (QRT-E0400).
struct Networks {
  Networks(const std::string& path, const std::string& f32_path);
  Model model;
  Facts facts;
  std::optional<Model> twin;
  std::optional<Facts> twin_facts;
};

class Engines {
 public:
  Engines(const BenchOptions&, uint32_t threads);
  // An empty name: what runs the dense layers, e.g. "dense f32, XNNPACK".
  void add_libqrt(const Model&, const char* mode, const std::string& name);
  // Where oneDNN cannot run the graph, or is not built in, a note says so.
  void add_onednn(const Facts&, std::vector<std::string>& notes);
  std::vector<Candidate>& all() { return all_; }
  Session& first() { return *sessions_.front(); }

 private:
  const BenchOptions& options_;
  uint32_t threads_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<std::unique_ptr<Baseline>> others_;
  std::vector<Candidate> all_;
};

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_BENCH_ENGINES_H_
