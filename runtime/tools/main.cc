// qrt: runs, measures and explains .qrt models on the target. Options to
// functions, nothing more; the work is in run.cc, bench.cc and inspect.cc.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <vector>

#include "runtime/tools/bench.h"
#include "runtime/tools/inspect.h"
#include "runtime/tools/io/arguments.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/run.h"

namespace {

using namespace qrt::tools;  // NOLINT: a main file

constexpr uint32_t kMaxThreads = 256, kMaxBatch = 1 << 20;

CLI::App* add_run(CLI::App& app, RunOptions& o) {
  CLI::App* sub = app.add_subcommand("run", "Run a model on .npy files or pictures");
  sub->add_option("model", o.model, "The .qrt file")->required();
  auto* input = sub->add_option("-i,--input", o.inputs, "IN.npy, or NAME=IN.npy for each input");
  sub->add_option("-o,--output", o.outputs, "OUT.npy, or NAME=OUT.npy for each output");
  auto* image = sub->add_option("--image", o.images, "JPEG or PNG files, or directories of them");
  input->excludes(image);
  auto* labels = sub->add_option("--labels", o.labels, "A text file, one class name per line");
  auto* preprocess =
      sub->add_option("--preprocess", o.preprocess,
                      "imagenet, imagenet-crop, none or JSON, instead of the model's own");
  preprocess->needs(image);
  auto* top = sub->add_option("--top", o.top, "Classes per line")->check(CLI::Range(1u, 1u << 20));
  auto* csv = sub->add_flag("--csv", o.csv, "Lines as comma-separated values with a head");
  for (auto* option : {static_cast<CLI::Option*>(labels), top, csv}) option->group("Classes");
  sub->add_option("--threads", o.engine.threads, "Threads")->check(CLI::Range(1u, kMaxThreads));
  sub->add_option("--batch", o.engine.batch, "Rows per run")->check(CLI::Range(1u, kMaxBatch));
  add_engine_options(*sub, o.engine);
  sub->add_flag("--self-check", o.self_check, "Run the golden input stored in the file and compare")
      ->excludes(input)
      ->excludes(image);
  sub->add_flag("--stats", o.stats, "Memory figures to stderr");
  sub->final_callback([&o, sub] {
    if (o.inputs.empty() && o.images.empty() && !o.self_check)
      throw CLI::RequiredError("--input, --image or --self-check");
    if (o.self_check && !o.outputs.empty())
      throw CLI::ValidationError("--self-check writes no outputs; leave out --output");
    if (!o.outputs.empty() && o.images.empty() &&
        (sub->count("--labels") + sub->count("--csv")) > 0)
      throw CLI::ValidationError("--labels and --csv describe printed classes; leave out --output");
  });
  return sub;
}

CLI::App* add_bench(CLI::App& app, BenchOptions& o) {
  CLI::App* sub =
      app.add_subcommand("bench", "Time a model against dense engines in the same process");
  sub->add_option("model", o.model, "The .qrt file")->required();
  sub->add_option("--threads", o.threads, "One or more thread counts, e.g. 1,2")
      ->delimiter(',')
      ->check(CLI::Range(1u, kMaxThreads));
  sub->add_option("--batch", o.engine.batch, "Rows per run")->check(CLI::Range(1u, kMaxBatch));
  sub->add_option("--warmup", o.warmup, "Untimed rounds")->check(CLI::Range(0u, 1000000u));
  sub->add_option("--repeats", o.repeats, "Timed rounds")->check(CLI::Range(1u, 1000000u));
  sub->add_option("--isa", o.engine.isa,
                  "Cap for libqrt's kernels: scalar, avx2, avx512, neon, ...");
  sub->add_option("--strategy", o.engine.strategy, "Force a strategy of qrt.h where possible");
  sub->add_option("--f32", o.f32,
                  "The same network with f32 activations: its dense forms run beside it");
  sub->add_flag("--profile", o.profile, "Time per operator and the kernel that really ran");
  auto* format = sub->add_option("--format", o.format, "md, csv or json")
                     ->check(CLI::IsMember({"md", "csv", "json"}));
  sub->add_flag("--json", o.json, "As --format json")->excludes(format);
  sub->add_option("-o,--output", o.output, "A file instead of standard output");
  sub->add_flag("--thread-time", o.thread_time,
                "With one thread, its own time instead of the clock's: for a busy machine");
  sub->add_flag("!--no-baseline", o.baselines, "Do not run the dense baselines");
  return sub;
}

CLI::App* add_inspect(CLI::App& app, InspectOptions& o) {
  CLI::App* sub =
      app.add_subcommand("inspect", "Layers, encodings, sizes, memory plan and kernels");
  sub->add_option("model", o.model, "The .qrt file")->required();
  sub->add_flag("--json", o.json, "Everything as JSON");
  sub->add_option("--threads", o.engine.threads, "Threads")->check(CLI::Range(1u, kMaxThreads));
  sub->add_option("--batch", o.engine.batch, "Rows per run")->check(CLI::Range(1u, kMaxBatch));
  add_engine_options(*sub, o.engine);
  return sub;
}

int body(int argc, char** argv) {
  CLI::App app("qrt: runs extremely compressed neural networks", "qrt");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  RunOptions run_options;
  BenchOptions bench_options;
  InspectOptions inspect_options;
  const CLI::App* run_command = add_run(app, run_options);
  const CLI::App* bench_command = add_bench(app, bench_options);
  add_inspect(app, inspect_options);
  for (CLI::App* sub : app.get_subcommands({})) qrt::io::refuse_empty_values(*sub);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    throw qrt::io::ToolError(400, std::string("command line: ") + e.what() +
                                      "; see 'qrt --help' and 'qrt COMMAND --help'");
  }
  for (uint32_t* n : {&run_options.engine.threads, &inspect_options.engine.threads})
    *n = usable_threads(*n);
  std::vector<uint32_t>& counts = bench_options.threads;
  for (uint32_t& n : counts) n = usable_threads(n);
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  if (run_command->parsed()) return run(run_options);
  return bench_command->parsed() ? bench(bench_options) : inspect(inspect_options);
}

}  // namespace

int main(int argc, char** argv) {
  return qrt::io::guarded_main("qrt", body, argc, argv);
}
