// Single layers of ResNet-18 and -50: every codebook strategy on every instruction set of
// this CPU, interleaved with dense f32 through XNNPACK and oneDNN in the same process.
// Repetitions of all benchmarks are shuffled; the table at the end gives medians and
// ratios to the faster of the two dense ones.
//   kernels_bench [--benchmark_filter=REGEX] [any option of Google Benchmark]
//   OMP_NUM_THREADS=1 taskset -c 1 kernels_bench --benchmark_filter='1x1'
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include "bench/layers.h"

namespace qrt::bench {
namespace {

constexpr LayerShape kShapes[] = {
    // name            size  cin  cout k s  d  count
    {"r50.c2.1x1a", 56, 64, 256, 1, 1, 4, 256},   {"r50.c2.1x1b", 56, 256, 64, 1, 1, 4, 256},
    {"r50.c3.1x1a", 28, 128, 512, 1, 1, 4, 256},  {"r50.c3.1x1b", 28, 512, 128, 1, 1, 4, 256},
    {"r50.c4.1x1a", 14, 256, 1024, 1, 1, 8, 256}, {"r50.c4.1x1b", 14, 1024, 256, 1, 1, 8, 256},
    {"r50.c5.1x1a", 7, 512, 2048, 1, 1, 8, 256},  {"r50.c5.1x1b", 7, 2048, 512, 1, 1, 8, 256},
    {"r50.c3.down", 56, 256, 512, 1, 2, 8, 256},  {"r18.c2.3x3", 56, 64, 64, 3, 1, 9, 256},
    {"r18.c3.3x3s2", 56, 64, 128, 3, 2, 9, 256},  {"r18.c3.3x3", 28, 128, 128, 3, 1, 9, 256},
    {"r18.c4.3x3s2", 28, 128, 256, 3, 2, 9, 256}, {"r18.c4.3x3", 14, 256, 256, 3, 1, 9, 256},
    {"r18.c5.3x3s2", 14, 256, 512, 3, 2, 9, 256}, {"r18.c5.3x3", 7, 512, 512, 3, 1, 9, 256},
    {"r50.c5.3x3", 7, 512, 512, 3, 1, 18, 256},   {"r18.c5.down", 14, 256, 512, 1, 2, 4, 256},
    {"r18.fc", 1, 512, 1000, 1, 1, 4, 2048},      {"r50.fc", 1, 2048, 1000, 1, 1, 4, 1024},
    {"gemv.4k4k", 1, 4096, 4096, 1, 1, 8, 256},
};

// Medians and best of the repetitions, by shape and candidate.
class Table : public benchmark::ConsoleReporter {
 public:
  Table() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const std::string name = run.run_name.function_name;
      const size_t slash = name.find('/');
      times_[name.substr(0, slash)][name.substr(slash + 1)].push_back(run.GetAdjustedRealTime());
    }
  }
  bool ReportContext(const Context& context) override {
    PrintBasicContext(&GetErrorStream(), context);
    return true;
  }
  void Finalize() override {
    std::printf(
        "| layer | M, K, N, d | candidate | median us | best us | GFLOP/s | x best dense f32 | "
        "x XNNPACK |\n");
    std::printf("|---|---|---|--:|--:|--:|--:|--:|\n");
    for (const LayerShape& s : kShapes) {
      const auto found = times_.find(s.name);
      if (found == times_.end()) continue;
      double dense = 0, xnnpack = 0;
      for (auto& [name, us] : found->second) {
        const double t = median(us);
        if (name.rfind("xnnpack", 0) == 0) xnnpack = t;
        if (name.find(':') == std::string::npos && (dense == 0 || t < dense)) dense = t;
      }
      for (auto& [name, us] : found->second) {
        const double t = median(us);
        std::printf("| %s | %u, %u, %u, %u | %s | %.1f | %.1f | %.1f | %.2f | %.2f |\n", s.name,
                    s.rows(), s.inputs(), s.cout, s.dim, name.c_str(), t, us.front(),
                    s.flops() / t / 1000, dense / t, xnnpack / t);
      }
    }
  }

 private:
  static double median(std::vector<double>& v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
  }
  std::map<std::string, std::map<std::string, std::vector<double>>> times_;
};

// A layer lives for one repetition: all of them at once would crowd the caches.
template <class F>
void add(const LayerShape& s, const std::string& name, F make) {
  benchmark::RegisterBenchmark((std::string(s.name) + "/" + name).c_str(),
                               [make](benchmark::State& state) {
                                 const std::unique_ptr<TimedLayer> layer = make();
                                 if (layer == nullptr) {
                                   state.SkipWithError("cannot compute this layer");
                                   return;
                                 }
                                 layer->run();
                                 for (auto _ : state) layer->run();
                                 state.SetLabel(layer->note());
                               })
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

void add_shape(const LayerShape& s) {
  if (make_xnnpack(s)) add(s, "xnnpack", [s] { return make_xnnpack(s); });
  if (make_onednn(s, false)) add(s, "onednn", [s] { return make_onednn(s, false); });
  if (make_onednn(s, true)) add(s, "onednn winograd", [s] { return make_onednn(s, true); });
  for (const char* level : {"scalar", "avx2", "avx512", "neon"}) {
    kernels::IsaSet isa = 0;
    kernels::isa_level(level, &isa);
    const bool foreign = isa == 0 && std::string(level) != "scalar";
    if (foreign || !kernels::includes(kernels::detect_isa(), isa)) continue;
    for (const char* strategy : {"", "decode", "lookup", "dot", "winograd"}) {
      if (isa == 0 && *strategy) continue;  // the reference: once
      if (std::string(strategy) == "dot" && s.rows() > 8) continue;
      if (!make_ours(s, strategy, isa)) continue;
      const std::string name = std::string(level) + ":" + (*strategy ? strategy : "chosen");
      add(s, name, [s, strategy, isa] { return make_ours(s, strategy, isa); });
    }
  }
}

}  // namespace
}  // namespace qrt::bench

int main(int argc, char** argv) {
  // Defaults that the command line may override, since it comes after them.
  std::vector<char*> arguments = {argv[0]};
  static char interleave[] = "--benchmark_enable_random_interleaving=true";
  static char repetitions[] = "--benchmark_repetitions=7", least[] = "--benchmark_min_time=0.02";
  for (char* a : {interleave, repetitions, least}) arguments.push_back(a);
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  for (const qrt::bench::LayerShape& s : qrt::bench::kShapes) qrt::bench::add_shape(s);
  qrt::bench::Table table;
  benchmark::RunSpecifiedBenchmarks(&table);
  return 0;
}
