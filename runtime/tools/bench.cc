// Measuring: candidates take turns within every round, so that a machine that
// slows down slows all of them, and ratios of medians stay honest.
#include "runtime/tools/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>

#include "runtime/tools/bench_baseline.h"
#include "runtime/tools/facts.h"
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

// Something that runs the network; libqrt itself is the first of them.
struct Candidate {
  std::string name;
  std::function<void()> run;
  std::function<const float*(size_t)> output;  // null where there is none in f32
  std::vector<double> ms;
};

// The same reproducible values for every candidate: xorshift, in [-2, 2) for floats.
void fill_inputs(const std::vector<qrt_tensor>& inputs) {
  uint64_t state = 0x9e3779b97f4a7c15;
  for (const qrt_tensor& t : inputs) {
    std::memset(t.data, 0, t.bytes);
    auto* f = static_cast<float*>(t.data);
    auto* b = static_cast<uint8_t*>(t.data);
    for (uint64_t i = 0; i < elements(t); ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      if (t.dtype == QRT_F32) f[i] = static_cast<float>(state >> 40) / (1 << 22) - 2;
      if (t.dtype == QRT_I8 || t.dtype == QRT_U8) b[i] = static_cast<uint8_t>(state >> 56);
    }
  }
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

Candidate session_candidate(std::string name, Session& session) {
  Candidate c;
  c.name = std::move(name);
  c.run = [&session] { session.run(); };
  const std::vector<qrt_tensor> outputs = session.outputs();
  c.output = [outputs](size_t port) {
    const qrt_tensor& t = outputs[port];
    return t.dtype == QRT_F32 ? static_cast<const float*>(t.data) : nullptr;
  };
  return c;
}

std::string dense_name(const Session& session) {
  for (const qrt_op_info& op : session.ops())
    if (std::string(op.kernel).find("xnn") != std::string::npos) return "dense f32, XNNPACK";
  return "dense f32, libqrt";
}

void add_profile(BenchReport& report, Session& session, uint32_t threads, uint32_t repeats) {
  const size_t first = report.profile.size();
  for (const qrt_op_info& op : session.ops())
    report.profile.push_back({op.name, op.kind, op.kernel, op.encoding, op.choice, threads,
                              op.weight_bytes, op.macs, 0});
  for (uint32_t r = 0; r < repeats; ++r) {
    session.run_profiled();
    const std::vector<qrt_op_info> ops = session.ops();
    for (size_t i = 0; i < ops.size(); ++i)
      report.profile[first + i].ms += ops[i].last_ns * 1e-6 / repeats;
  }
}

// All candidates with one number of threads.
void measure(const BenchOptions& o, const Model& model, const Facts& facts, uint32_t threads,
             BenchReport& report) {
  EngineOptions engine = o.engine;
  engine.threads = threads;
  Session compressed(model, engine);
  fill_inputs(compressed.inputs());
  std::vector<Candidate> all;
  all.push_back(session_candidate("libqrt", compressed));
  std::unique_ptr<Session> dense;
  std::unique_ptr<Baseline> other;
  if (o.baselines) {
    engine.mode = "dense";
    dense = std::make_unique<Session>(model, engine);
    fill_inputs(dense->inputs());
    all.push_back(session_candidate(dense_name(*dense), *dense));
#if QRT_HAVE_ONEDNN
    try {
      cap_onednn(o.engine.isa);
      other = make_onednn_baseline(facts.model(), threads, o.engine.batch);
      const std::vector<qrt_tensor> inputs = compressed.inputs();
      for (size_t i = 0; i < inputs.size(); ++i)
        other->set_input(i, inputs[i].data, inputs[i].bytes);
      all.push_back({other->name(),
                     [&other] { other->run(); },
                     [&other](size_t port) { return other->output(port); },
                     {}});
    } catch (const std::runtime_error& e) {
      report.notes.push_back(std::string("no oneDNN row: ") + e.what());
    }
#else
    (void)facts;
#endif
  }
  for (uint32_t r = 0; r < o.warmup; ++r)
    for (Candidate& c : all) c.run();
  for (uint32_t r = 0; r < o.repeats; ++r)
    for (size_t i = 0; i < all.size(); ++i) {  // who is first changes from round to round
      Candidate& c = all[(i + r) % all.size()];
      c.ms.push_back(milliseconds(c.run));
    }
  const size_t first = report.rows.size();
  for (const Candidate& c : all) {
    BenchRow row{c.name, threads, summarize(c.ms), 1, 0};
    if (&c != &all[0]) row.difference = difference(compressed.outputs(), all[0], c);
    report.rows.push_back(row);
    report.rows.back().ratio = row.ms.median / report.rows[first].ms.median;
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
  const Model model(o.model);
  const Facts facts(o.model);
  char hash[20];
  std::snprintf(hash, sizeof hash, "%016llx",
                static_cast<unsigned long long>(facts.model().checksum));
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
  report.file_bytes = facts.model().file.size();
  for (uint32_t threads : o.threads) measure(o, model, facts, threads, report);
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
