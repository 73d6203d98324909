// Owners around the C API; see engine.h.
#include "runtime/tools/engine.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <thread>

#include "runtime/tools/io/error.h"

namespace qrt::tools {
namespace {

[[noreturn]] void refuse(const std::string& path, const qrt_error& e) {
  throw io::library_error(path, e.message, e.id);
}

qrt_error make_error() {
  qrt_error e{};
  e.struct_size = sizeof e;
  return e;
}

template <class Owner, class Call>
std::vector<qrt_tensor> tensors(const std::string& path, Owner* owner, uint32_t count, Call* call) {
  std::vector<qrt_tensor> out(count);
  for (uint32_t i = 0; i < count; ++i) {
    qrt_error e = make_error();
    if (call(owner, i, &out[i], &e) != QRT_OK) refuse(path, e);
  }
  return out;
}

}  // namespace

void add_engine_options(CLI::App& app, EngineOptions& o) {
  app.add_option("--isa", o.isa, "Cap for libqrt's kernels: scalar, avx2, avx512, neon, ...");
  app.add_option("--mode", o.mode, "compressed: weights from the file; dense: decoded to f32")
      ->check(CLI::IsMember({"compressed", "dense"}));
  app.add_option("--prefer", o.prefer, "speed: layers of integers may keep decoded weights")
      ->check(CLI::IsMember({"memory", "speed"}));
  app.add_option("--tune", o.tune, "Measure layers of integers once and remember it in this file");
  app.add_option("--strategy", o.strategy, "Force a strategy of qrt.h where possible");
}

uint32_t usable_threads(uint32_t asked) {
  const uint32_t cpus = std::max(1u, std::thread::hardware_concurrency());
  if (asked <= cpus) return asked;
  std::fprintf(stderr, "note: --threads %u: this process may use %u CPUs, so %u threads run\n",
               asked, cpus, cpus);
  return cpus;
}

Model::Model(const std::string& path) : path_(path) {
  qrt_error e = make_error();
  qrt_model* model = nullptr;
  if (qrt_model_open_file(path.c_str(), nullptr, &model, &e) != QRT_OK) refuse(path, e);
  model_.reset(model);
}

std::vector<qrt_tensor> Model::inputs() const {
  return tensors(path_, get(), qrt_model_input_count(get()), qrt_model_input);
}

std::vector<qrt_tensor> Model::outputs() const {
  return tensors(path_, get(), qrt_model_output_count(get()), qrt_model_output);
}

Session::Session(const Model& model, const EngineOptions& o) : path_(model.path()) {
  qrt_options options;
  qrt_options_init(&options);
  options.threads = o.threads;
  options.batch = o.batch;
  options.mode = o.mode == "dense" ? QRT_MODE_DENSE : QRT_MODE_COMPRESSED;
  options.prefer = o.prefer == "speed" ? QRT_PREFER_SPEED : QRT_PREFER_MEMORY;
  options.tune = o.tune.empty() ? nullptr : o.tune.c_str();
  options.isa = o.isa.empty() ? nullptr : o.isa.c_str();
  options.strategy = o.strategy.empty() ? nullptr : o.strategy.c_str();
  qrt_error e = make_error();
  qrt_session* session = nullptr;
  if (qrt_session_open(model.get(), &options, &session, &e) != QRT_OK) refuse(path_, e);
  session_.reset(session);
  if (*qrt_session_note(session) != 0)
    std::fprintf(stderr, "note: %s\n", qrt_session_note(session));
  inputs_ = qrt_model_input_count(model.get());
  outputs_ = qrt_model_output_count(model.get());
}

std::vector<qrt_tensor> Session::inputs() const {
  return tensors(path_, get(), inputs_, qrt_session_input);
}

std::vector<qrt_tensor> Session::outputs() const {
  return tensors(path_, get(), outputs_, qrt_session_output);
}

void Session::run() {
  qrt_error e = make_error();
  if (qrt_session_run(get(), &e) != QRT_OK) refuse(path_, e);
}

void Session::run_profiled() {
  qrt_error e = make_error();
  if (qrt_session_run_profiled(get(), &e) != QRT_OK) refuse(path_, e);
}

void Session::self_check(double& error, double& tolerance) {
  qrt_error e = make_error();
  if (qrt_session_self_check(get(), &error, &tolerance, &e) != QRT_OK) refuse(path_, e);
}

std::vector<qrt_op_info> Session::ops() const {
  std::vector<qrt_op_info> out(qrt_session_op_count(get()));
  for (uint32_t i = 0; i < out.size(); ++i) {
    out[i].struct_size = sizeof out[i];
    qrt_error e = make_error();
    if (qrt_session_op(get(), i, &out[i], &e) != QRT_OK) refuse(path_, e);
  }
  return out;
}

qrt_memory_info Session::memory() const {
  qrt_memory_info info{};
  info.struct_size = sizeof info;
  qrt_error e = make_error();
  if (qrt_session_memory(get(), &info, &e) != QRT_OK) refuse(path_, e);
  return info;
}

uint64_t elements(const qrt_tensor& t) {
  uint64_t n = 1;
  for (int32_t i = 0; i < t.rank; ++i) n *= static_cast<uint64_t>(t.dims[i]);
  return n;
}

std::vector<int64_t> dims(const qrt_tensor& t) {
  return {t.dims, t.dims + t.rank};
}

uint64_t peak_rss_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace qrt::tools
