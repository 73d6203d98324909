// qrt bench: how long a model takes, beside the same graph with dense weights
// in the same process, interleaved round by round.
#ifndef QRT_RUNTIME_TOOLS_BENCH_H_
#define QRT_RUNTIME_TOOLS_BENCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/tools/engine.h"

namespace qrt::tools {

struct BenchOptions {
  std::string model, f32, format = "md", output;
  std::vector<uint32_t> threads{1};
  uint32_t warmup = 3, repeats = 30;
  bool profile = false, json = false, baselines = true, thread_time = false;
  EngineOptions engine;
};

struct Stats {  // milliseconds
  double mean = 0, median = 0, p95 = 0, min = 0, std = 0;
};
Stats summarize(std::vector<double> samples);  // at least one sample; p95 is the nearest rank

struct BenchRow {
  std::string name;
  uint32_t threads = 1;
  Stats ms;
  double ratio = 1;       // time / time of libqrt with as many threads: median over rounds
  double difference = 0;  // of its outputs from libqrt's, relative to the largest value
};

struct ProfileRow {
  std::string name, kind, kernel, encoding, choice;
  uint32_t threads = 1;
  uint64_t weight_bytes = 0, macs = 0;
  double ms = 0;  // median
};

struct BenchReport {
  std::string version, cpu, isa, compiler, model, hash, strategy;
  uint32_t batch = 1, warmup = 0, repeats = 0;
  uint64_t file_bytes = 0, resident_weight_bytes = 0, arena_bytes = 0, peak_rss = 0;
  Stats model_open, session_open;  // map + verify + validate; prepare + plan
  std::vector<BenchRow> rows;
  std::vector<ProfileRow> profile;
  std::vector<std::string> notes;
};

std::string format_markdown(const BenchReport&);
std::string format_csv(const BenchReport&);
std::string format_json(const BenchReport&);

std::string version_text();  // "0.1.0"
int bench(const BenchOptions&);

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_BENCH_H_
