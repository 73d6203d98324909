// Single layers: ours by every strategy on every instruction set of this CPU, interleaved round by
// round with XNNPACK f32, oneDNN f32 and u8 x s8, and faiss's scans.
//   kernels_bench [--set main|nets|bits|lowbit|esb|all] [--filter REGEX] [--ours REGEX] [--isa
//   LEVEL]
//   [--rounds N] [--json FILE]
#include <omp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <regex>
#include <string>
#include <utility>

#include "bench/field.h"
#include "bench/report.h"
#include "bench/shapes.h"
#include "runtime/tools/bench_baseline.h"
#include "runtime/tools/machine.h"

namespace qrt::bench {
namespace {

struct Options {
  std::string set = "main", filter = ".*", json;
  FieldOptions field;
};

int run(const Options& o) {
  omp_set_num_threads(1);
#if QRT_HAVE_ONEDNN
  tools::cap_onednn(o.field.isa);
#endif
  Report report;
  report.cpu = tools::cpu_name();
  report.level = o.field.isa.empty() ? kernels::isa_level_name(kernels::detect_isa()) : o.field.isa;
  report.ceilings = measure_ceilings();
  std::printf("%s", markdown_head(report).c_str());
  const std::regex filter(o.filter);
  for (const BenchShape& shape : bench_shapes()) {
    if (o.set != "all" && o.set != shape.set) continue;
    if (!std::regex_search(shape.layer.name, filter)) continue;
    Field field(shape, o.field);
    for (Row& row : field.race(report.ceilings)) {
      std::printf("%s", markdown_row(row).c_str());
      report.rows.push_back(std::move(row));
    }
    std::fflush(stdout);
  }
  if (o.json.empty()) return 0;
  std::ofstream file(o.json);
  file << to_json(report);
  if (!file.flush()) {
    std::fprintf(stderr, "kernels_bench: cannot write '%s'\n", o.json.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace qrt::bench

int main(int argc, char** argv) {
  CLI::App app("Times single layers against dense peers, interleaved, one thread", "kernels_bench");
  qrt::bench::Options o;
  app.add_option("--set", o.set, "main, nets, bits, lowbit, esb or all")
      ->check(CLI::IsMember({"main", "nets", "bits", "lowbit", "esb", "all"}));
  app.add_option("--filter", o.filter, "A regular expression on the names of layers");
  app.add_option("--ours", o.field.ours, "A regular expression on the names of our candidates");
  app.add_option("--isa", o.field.isa, "Cap for our kernels and oneDNN's")
      ->check(CLI::IsMember({"avx2", "avx512", "avx512vnni", "avx512vbmi"}));
  app.add_option("--rounds", o.field.rounds, "Samples per candidate")->check(CLI::Range(1, 1000));
  app.add_option("--round-us", o.field.round_us, "Time of a candidate in a round");
  app.add_option("--json", o.json, "A file for all samples");
  CLI11_PARSE(app, argc, argv);
  return qrt::bench::run(o);
}
