// Single layers: ours by every strategy on every instruction set of this CPU, interleaved round by
// round with XNNPACK f32, oneDNN f32 and u8 x s8, and faiss's scans.
//   kernels_bench [--set main|nets|all] [--filter REGEX] [--isa LEVEL] [--rounds N] [--json FILE]
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <regex>
#include <string>
#include <vector>

#include "bench/layers.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/shapes.h"
#include "runtime/tools/bench_baseline.h"
#include "runtime/tools/machine.h"

namespace qrt::bench {
namespace {

struct Options {
  std::string set = "main", filter = ".*", isa, json;
  size_t rounds = 11;
  double round_us = 2000;
};

using Factory = std::function<LayerPtr()>;

// Weights that come from memory: copies take turns, so many that no cache holds them all.
class Rotating final : public TimedLayer {
 public:
  explicit Rotating(const Factory& make) {
    constexpr double kBytes = 96e6;  // three times the largest cache there is here
    double bytes = 0;
    while (bytes < kBytes) {
      copies_.push_back(make());
      bytes += copies_.back()->weight_bytes();
    }
  }
  void run() override {
    copies_[next_]->run();
    next_ = (next_ + 1) % copies_.size();
  }
  std::string note() const override { return copies_[0]->note(); }
  double weight_bytes() const override { return copies_[0]->weight_bytes(); }

 private:
  std::vector<LayerPtr> copies_;
  size_t next_ = 0;
};

struct Candidate {
  Row row;
  std::string level;
  bool is_integer;
  LayerPtr layer;
  double first_us = 0;
};

// Everybody who can compute one shape.
class Field {
 public:
  Field(const BenchShape& shape, const Options& options) : shape_(shape), options_(options) {
    if (make_xnnpack(shape.layer))
      add("f32", "xnnpack f32", "", false, [this] { return make_xnnpack(shape_.layer); });
    for (const OnednnChoice& c : onednn_choices(shape.layer))
      add(c.is_integer ? "int8" : "f32", c.name, level_of(c.name), c.is_integer,
          [this, &c] { return make_onednn(shape_.layer, c.name); });
    for (const uint32_t dim : {4u, 8u})
      for (const bool tables : {true, false})
        add("scan", "faiss 4-bit d" + std::to_string(dim) + (tables ? "" : " scan only"), "", false,
            [this, dim, tables] { return make_faiss(shape_.layer, dim, tables); });
    for (const char* level : {"avx2", "avx512", "avx512vnni", "neon", "neondot"}) add_ours(level);
    drop_slow_peers();
  }

  std::vector<Row> race(const Ceilings& ceilings) {
    std::vector<Contestant> all(field_.size());
    for (size_t i = 0; i < all.size(); ++i) {
      all[i].run = [layer = field_[i].layer.get()] { layer->run(); };
      calibrate_calls(all[i], options_.round_us);
    }
    run_rounds(all, options_.rounds);
    const Contestant* int8 = fastest(all, "int8");
    const Contestant* f32 = fastest(all, "f32");
    std::vector<Row> rows;
    for (size_t i = 0; i < all.size(); ++i) {
      Row row = field_[i].row;
      row.us = all[i].us;
      if (int8 != nullptr) row.times_int8 = speed_ratio(*int8, all[i]);
      if (f32 != nullptr) row.times_f32 = speed_ratio(*f32, all[i]);
      const double us = median(row.us);
      const double most = arithmetic_ceiling(ceilings, field_[i].level, field_[i].is_integer);
      if (most > 0) row.of_ceiling = row.ops / us / 1000 / most;
      if (row.is_cold) row.of_ceiling = row.weight_bytes / us / 1000 / ceilings.dram;
      rows.push_back(row);
    }
    return rows;
  }

 private:
  void add(const char* kind, const std::string& name, const std::string& level, bool is_integer,
           const Factory& make) {
    LayerPtr first = make();
    if (first == nullptr) return;
    Candidate c{{}, level, is_integer, nullptr};
    const LayerShape& s = shape_.layer;
    c.row.layer = s.name, c.row.candidate = name, c.row.kind = kind;
    c.row.rows = s.rows(), c.row.inputs = s.inputs(), c.row.outputs = s.cout;
    c.row.ops = s.ops(), c.row.is_cold = shape_.cold;
    Contestant trial{[&first] { first->run(); }, 1, {}};
    c.first_us = calibrate_calls(trial, 0);
    c.layer = shape_.cold ? std::make_unique<Rotating>(make) : std::move(first);
    c.row.note = c.layer->note(), c.row.weight_bytes = c.layer->weight_bytes();
    field_.push_back(std::move(c));
  }

  // What oneDNN says of an implementation ends in what it needs, e.g. jit:avx512_core_vnni.
  static std::string level_of(const std::string& name) {
    if (name.find("vnni") != std::string::npos) return "avx512vnni";
    if (name.find("avx512") != std::string::npos) return "avx512";
    return name.find("avx2") != std::string::npos ? "avx2" : "";
  }

  void add_ours(const std::string& level) {
    kernels::IsaSet isa = 0, cap = kernels::detect_isa();
    if (!options_.isa.empty()) kernels::isa_level(options_.isa.c_str(), &cap);
    kernels::isa_level(level.c_str(), &isa);
    const bool is_foreign = isa == 0;
    if (is_foreign || !kernels::includes(kernels::detect_isa() & cap, isa)) return;
    const bool is_main = std::string(shape_.set) == "main";
    if (is_main && level != "avx512vnni") {  // f32 kits need no VNNI
      for (const char* strategy : {"", "decode", "lookup", "dot", "winograd"})
        add_coded(level, isa, {Coding::Kind::f32, shape_.dim, 256}, strategy);
    }
    add_coded(level, isa, {Coding::Kind::exact, 0, 0}, "");
    for (const uint32_t count : {16u, 64u, 256u}) {
      if (!is_main && count != 256) continue;
      for (const char* strategy : {"", "decode8", "coded_dot"})
        add_coded(level, isa, {Coding::Kind::exact, shape_.dim, count}, strategy);
      for (const char* strategy : {"", "tables", "decode8"})
        add_coded(level, isa, {Coding::Kind::rounded, shape_.dim, count, 8}, strategy);
    }
  }

  void add_coded(const std::string& level, kernels::IsaSet isa, const Coding& coding,
                 const char* strategy) {
    std::string name = level + " " + (*strategy ? strategy : "chosen");
    if (coding.count == 0)
      name += " dense i8";
    else
      name += " d" + std::to_string(coding.dim) + " x" + std::to_string(coding.count) +
              (coding.kind == Coding::Kind::exact     ? " exact"
               : coding.kind == Coding::Kind::rounded ? " rounded"
                                                      : " f32");
    add("ours", name, level, coding.kind != Coding::Kind::f32,
        [this, coding, strategy, isa] { return make_ours(shape_.layer, coding, strategy, isa); });
  }

  // Of the many that oneDNN offers only those that may be its best stay.
  void drop_slow_peers() {
    for (const char* kind : {"int8", "f32"}) {
      double best = 0;
      for (const Candidate& c : field_)
        if (c.row.kind == kind && (best == 0 || c.first_us < best)) best = c.first_us;
      field_.erase(std::remove_if(field_.begin(), field_.end(),
                                  [&](const Candidate& c) {
                                    return c.row.kind == kind && c.first_us > 1.5 * best &&
                                           c.row.candidate != "xnnpack f32";
                                  }),
                   field_.end());
    }
  }

  const Contestant* fastest(const std::vector<Contestant>& all, const std::string& kind) const {
    const Contestant* found = nullptr;
    for (size_t i = 0; i < all.size(); ++i)
      if (field_[i].row.kind == kind && (!found || median(all[i].us) < median(found->us)))
        found = &all[i];
    return found;
  }

  const BenchShape& shape_;
  const Options& options_;
  std::vector<Candidate> field_;
};

int run(const Options& o) {
  omp_set_num_threads(1);
#if QRT_HAVE_ONEDNN
  tools::cap_onednn(o.isa);
#endif
  Report report;
  report.cpu = tools::cpu_name();
  report.level = o.isa.empty() ? kernels::isa_level_name(kernels::detect_isa()) : o.isa;
  report.ceilings = measure_ceilings();
  std::printf("%s", markdown_head(report).c_str());
  const std::regex filter(o.filter);
  for (const BenchShape& shape : bench_shapes()) {
    if (o.set != "all" && o.set != shape.set) continue;
    if (!std::regex_search(shape.layer.name, filter)) continue;
    Field field(shape, o);
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
  app.add_option("--set", o.set, "main, nets or all")
      ->check(CLI::IsMember({"main", "nets", "all"}));
  app.add_option("--filter", o.filter, "A regular expression on the names of layers");
  app.add_option("--isa", o.isa, "Cap for our kernels and oneDNN's")
      ->check(CLI::IsMember({"avx2", "avx512", "avx512vnni"}));
  app.add_option("--rounds", o.rounds, "Samples per candidate")->check(CLI::Range(1, 1000));
  app.add_option("--round-us", o.round_us, "Time of a candidate in a round");
  app.add_option("--json", o.json, "A file for all samples");
  CLI11_PARSE(app, argc, argv);
  return qrt::bench::run(o);
}
