// Two sessions on one file, run in turns, so that a machine that slows down slows
// both. The minimum over runs is the figure least disturbed by other programs.
#include "converter/cli/predict.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>

#include "converter/base/text.h"
#include "qrt.h"
#include "runtime/tools/io/error.h"

namespace qrt::cli {
namespace {

using Clock = std::chrono::steady_clock;

class Timer {
 public:
  Timer(const qrt_model* model, uint32_t mode, const std::string& where) : where_(where) {
    error_.struct_size = sizeof error_;
    qrt_options options;
    qrt_options_init(&options);
    options.mode = mode;
    qrt_session* session = nullptr;
    check(qrt_session_open(model, &options, &session, &error_));
    session_.reset(session);
    for (uint32_t i = 0; i < qrt_model_input_count(model); ++i) {
      qrt_tensor t{};
      check(qrt_session_input(session, i, &t, &error_));
      std::memset(t.data, 0, t.bytes);
    }
    best_.assign(qrt_session_op_count(session), std::numeric_limits<double>::infinity());
  }

  qrt_op_info op(size_t i) {
    qrt_op_info info{};
    info.struct_size = sizeof info;
    check(qrt_session_op(session_.get(), static_cast<uint32_t>(i), &info, &error_));
    return info;
  }
  size_t count() const { return best_.size(); }
  double best_ms(size_t i) const { return best_[i] * 1e-6; }

  void run() {
    check(qrt_session_run_profiled(session_.get(), &error_));
    for (size_t i = 0; i < best_.size(); ++i) best_[i] = std::min(best_[i], op(i).last_ns);
  }

 private:
  void check(qrt_status status) const {
    if (status != QRT_OK) throw io::library_error(where_, error_.message, error_.id);
  }

  std::string where_;
  qrt_error error_{};
  std::unique_ptr<qrt_session, void (*)(qrt_session*)> session_{nullptr, qrt_session_close};
  std::vector<double> best_;  // nanoseconds
};

std::string milliseconds(double ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f ms", ms);
  return text;
}

}  // namespace

std::vector<LayerTime> time_layers(std::span<const uint8_t> file, const std::string& where,
                                   double seconds) {
  qrt_error error{};
  error.struct_size = sizeof error;
  qrt_model* opened = nullptr;
  if (qrt_model_open_memory(file.data(), file.size(), nullptr, &opened, &error) != QRT_OK)
    throw io::library_error(where, error.message, error.id);
  const std::unique_ptr<qrt_model, void (*)(qrt_model*)> model(opened, qrt_model_close);
  Timer stored(opened, QRT_MODE_COMPRESSED, where), dense(opened, QRT_MODE_DENSE, where);
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (int runs = 0; runs < 3 || Clock::now() < end; ++runs) {
    stored.run();
    dense.run();
  }
  std::vector<LayerTime> out;
  for (size_t i = 0; i < stored.count(); ++i) {
    const qrt_op_info info = stored.op(i);
    const bool coded = info.encoding[0] != 0 && std::strcmp(info.encoding, "dense") != 0;
    out.push_back({info.name, info.kind, info.kernel, info.choice, coded, stored.best_ms(i),
                   dense.best_ms(i)});
  }
  return out;
}

std::vector<std::string> slower_than_dense(const std::vector<LayerTime>& layers) {
  std::vector<std::string> out;
  for (const LayerTime& l : layers) {
    if (!l.is_coded || l.ms < l.dense_ms * kSlowerRatio || l.ms - l.dense_ms < kSlowerMs) continue;
    char ratio[32];
    std::snprintf(ratio, sizeof ratio, "%.2f", l.ms / l.dense_ms);
    out.push_back(cat(l.name, ": coded it takes ", milliseconds(l.ms), " on this CPU, dense ",
                      milliseconds(l.dense_ms), ", ", ratio,
                      " x less; a rule of --layers or its method's option skip keeps it dense"));
  }
  return out;
}

TotalTime total_time(const std::vector<LayerTime>& layers) {
  TotalTime t;
  for (const LayerTime& l : layers) t.ms += l.ms, t.dense_ms += l.dense_ms;
  return t;
}

}  // namespace qrt::cli
