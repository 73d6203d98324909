// Measuring: candidates take turns within every round, so that a machine that
// slows down slows all of them, and ratios of medians stay honest.
#include "runtime/tools/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <numeric>

#include "runtime/tools/bench_engines.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/machine.h"

namespace qrt::tools {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Of this thread alone: what other programs take from it does not count.
double thread_milliseconds(const std::function<void()>& work) {
  const auto now = [] {
    timespec t;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
  };
  const double start = now();
  work();
  return now() - start;
}

// max |got - want| / max |want| over the f32 outputs.
double difference(const std::vector<qrt_tensor>& outputs, const Candidate& want,
                  const Candidate& got) {
  double worst = 0, largest = 0;
  for (size_t port = 0; port < outputs.size(); ++port) {
    const float *w = want.output(port), *g = got.output(port);
    if (w == nullptr || g == nullptr) continue;
    for (uint64_t i = 0; i < elements(outputs[port]); ++i) {
      const double d = std::fabs(double{g[i]} - double{w[i]});
      worst = d <= worst || std::isnan(worst) ? worst : d;  // a NaN stays
      largest = std::max(largest, std::fabs(double{w[i]}));
    }
  }
  return largest > 0 ? worst / largest : worst;
}

void add_profile(BenchReport& report, Session& session, uint32_t threads, uint32_t repeats) {
  const size_t first = report.profile.size();
  for (const qrt_op_info& op : session.ops())
    report.profile.push_back({op.name, op.kind, op.kernel, op.encoding, op.choice, threads,
                              op.weight_bytes, op.macs, 0});
  std::vector<std::vector<double>> ms(report.profile.size() - first);
  for (uint32_t r = 0; r < repeats; ++r) {
    session.run_profiled();
    const std::vector<qrt_op_info> ops = session.ops();
    for (size_t i = 0; i < ops.size(); ++i) ms[i].push_back(ops[i].last_ns * 1e-6);
  }
  for (size_t i = 0; i < ms.size(); ++i) report.profile[first + i].ms = summarize(ms[i]).median;
}

// All engines with one number of threads.
void measure(const BenchOptions& o, const Networks& networks, uint32_t threads,
             BenchReport& report) {
  Engines engines(o, threads);
  engines.add_libqrt(networks.model, "compressed", "libqrt");
  if (o.baselines) {
    engines.add_libqrt(networks.model, "dense", "");
    engines.add_onednn(networks.facts, report.notes);
  }
  if (networks.twin) {
    engines.add_libqrt(*networks.twin, "dense", "");
    engines.add_onednn(*networks.twin_facts, report.notes);
  }
  std::vector<Candidate>& all = engines.all();
  for (uint32_t r = 0; r < o.warmup; ++r)
    for (Candidate& c : all) c.run();
  for (uint32_t r = 0; r < o.repeats; ++r)
    for (size_t i = 0; i < all.size(); ++i) {  // who is first changes from round to round
      Candidate& c = all[(i + r) % all.size()];
      c.ms.push_back(o.thread_time && threads == 1 ? thread_milliseconds(c.run)
                                                   : milliseconds(c.run));
    }
  Session& compressed = engines.first();
  for (const Candidate& c : all) {
    BenchRow row{c.name, threads, summarize(c.ms), 1, 0};
    std::vector<double> ratios;  // of the same round
    for (size_t i = 0; i < c.ms.size(); ++i) ratios.push_back(c.ms[i] / all[0].ms[i]);
    row.ratio = summarize(ratios).median;
    if (&c != &all[0]) row.difference = difference(compressed.outputs(), all[0], c);
    report.rows.push_back(row);
  }
  if (o.profile) add_profile(report, compressed, threads, std::min(o.repeats, 10u));
  const qrt_memory_info m = compressed.memory();
  report.resident_weight_bytes = m.file_bytes + m.copied_bytes + m.weight_bytes;
  report.arena_bytes = std::max(report.arena_bytes, m.arena_bytes);
}

// Opening as an app does it: map, verify, validate, then prepare; pages are warm.
void measure_open(const BenchOptions& o, BenchReport& report) {
  std::vector<double> model_ms, session_ms;
  EngineOptions engine = o.engine;
  engine.threads = o.threads.front();
  for (int r = 0; r < 7; ++r) {
    std::unique_ptr<Model> model;
    std::unique_ptr<Session> session;
    model_ms.push_back(milliseconds([&] { model = std::make_unique<Model>(o.model); }));
    session_ms.push_back(
        milliseconds([&] { session = std::make_unique<Session>(*model, engine); }));
  }
  report.model_open = summarize(model_ms);
  report.session_open = summarize(session_ms);
}

}  // namespace

Stats summarize(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const size_t n = samples.size();
  Stats s;
  s.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(n);
  s.median = n % 2 == 1 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
  s.p95 = samples[std::min(n - 1, (n * 95 + 99) / 100 - 1)];
  s.min = samples[0];
  double squares = 0;
  for (double v : samples) squares += (v - s.mean) * (v - s.mean);
  s.std = n > 1 ? std::sqrt(squares / static_cast<double>(n - 1)) : 0;
  return s;
}

std::string version_text() {
  const uint32_t v = qrt_version();
  return std::to_string(v >> 16) + "." + std::to_string(v >> 8 & 255) + "." +
         std::to_string(v & 255);
}

int bench(const BenchOptions& o) {
  if (io::same_file(o.output, o.model))
    throw io::ToolError(400, "-o " + o.output + " would overwrite the model; name another file");
  if (!o.output.empty()) io::check_writable(o.output);
  BenchReport report;
  measure_open(o, report);
  const Networks networks(o.model, o.f32);
  char hash[20];
  std::snprintf(hash, sizeof hash, "%016llx",
                static_cast<unsigned long long>(networks.facts.model().checksum));
  report.version = version_text();
  report.cpu = cpu_name();
  report.isa = o.engine.isa.empty() ? qrt_isa_name() : o.engine.isa;
#if defined(__clang__)
  report.compiler = __VERSION__;
#else
  report.compiler = "GCC " __VERSION__;
#endif
  report.model = o.model;
  report.hash = hash;
  report.strategy = o.engine.strategy;
  report.batch = o.engine.batch;
  report.warmup = o.warmup;
  report.repeats = o.repeats;
  report.file_bytes = networks.facts.model().file.size();
  if (o.thread_time) report.notes.push_back("one thread: time of the thread, not of the clock");
  for (uint32_t threads : o.threads) measure(o, networks, threads, report);
  report.peak_rss = peak_rss_bytes();
  const std::string format = o.json ? "json" : o.format;
  const std::string text = format == "json"  ? format_json(report)
                           : format == "csv" ? format_csv(report)
                                             : format_markdown(report);
  if (o.output.empty()) {
    std::fputs(text.c_str(), stdout);
  } else {
    io::OutputFile file(o.output);
    file.write(text);
    file.commit();
  }
  return io::kDone;
}

}  // namespace qrt::tools
