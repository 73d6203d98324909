// The table has one line per layer; the sentences below it say what to do with it.
#include "converter/tools/verify_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "converter/base/printed.h"
#include "converter/base/text.h"

namespace qrt::verify {
namespace {

std::string classes_text(const Classes& c) {
  std::string out = "classes, " + std::to_string(c.rows) + " rows: ";
  if (c.has_truth)
    out += "top-1 of the model " + cli::percent_text(c.model.top1, c.rows) + ", of the file " +
           cli::percent_text(c.file.top1, c.rows) + "; top-5 " +
           cli::percent_text(c.model.top5, c.rows) + " and " +
           cli::percent_text(c.file.top5, c.rows) + "; ";
  return out + "both give the same class to " + cli::percent_text(c.agree, c.rows) + "\n";
}

std::string culprit_text(const Report& r) {
  const auto worst = culprit(r);
  if (!worst) return "";
  const LayerError& l = r.layers[worst->layer];
  return printed(
      "culprit: %s (%s): compressed alone it changes the outputs by %.2e rms, %.0f %% of the "
      "squared error that the layers cause one by one; smaller blocks or more entries for it, or "
      "leaving it dense, gain most\n",
      l.name.c_str(), l.encoding.c_str(), worst->rms, 100 * worst->share);
}

nlohmann::ordered_json to_json(const ErrorSum& e) {
  return {{"relative", e.relative()}, {"rms", e.rms()}};
}

}  // namespace

std::optional<Culprit> culprit(const Report& r) {
  Culprit worst;
  double sum = 0;
  for (size_t i = 0; i < r.layers.size(); ++i) {
    const double rms = r.layers[i].outputs.rms();
    sum += rms * rms;
    if (rms > worst.rms) worst = {i, rms, 0};
  }
  if (!(worst.rms > 0)) return std::nullopt;
  worst.share = worst.rms * worst.rms / sum;
  return worst;
}

void sort_worst_first(std::vector<LayerError>& layers) {
  const auto key = [](const LayerError& l) {
    return std::array{l.outputs.rms(), l.isolated.relative(), l.accumulated.relative()};
  };
  std::stable_sort(layers.begin(), layers.end(),
                   [&](const auto& a, const auto& b) { return key(a) > key(b); });
}

std::string to_text(const Report& r) {
  size_t width = 5;
  for (const auto& l : r.layers) width = std::max(width, std::min<size_t>(l.name.size(), 60));
  const int w = static_cast<int>(width);
  std::string out = printed("%-*s  %-8s %-20s %7s %11s %11s %11s %11s %11s %11s\n", w, "layer",
                            "kind", "encoding", "bits/w", "outputs rms", "isolated", "rms",
                            "accumulated", "rms", "weights rms");
  for (const auto& l : r.layers)
    out += printed("%-*.60s  %-8s %-20s %7.3f %11.2e %11.2e %11.2e %11.2e %11.2e %11.2e\n", w,
                   l.name.c_str(), l.kind.c_str(), l.encoding.c_str(), l.bits_per_weight,
                   l.outputs.rms(), l.isolated.relative(), l.isolated.rms(),
                   l.accumulated.relative(), l.accumulated.rms(), l.weights.rms());
  out += culprit_text(r);
  if (r.classes) out += classes_text(*r.classes);
  return out + printed(
                   "outputs of libqrt, %lld rows: relative error %.3e against the model (%s %.1e), "
                   "%.3e against its own weights in the interpreter\n",
                   static_cast<long long>(r.rows), r.outputs.relative(),
                   r.within ? "within" : "NOT within", r.tolerance, r.engine.relative());
}

std::string to_json(const Report& r) {
  nlohmann::ordered_json tree = {{"model", r.model},
                                 {"file", r.file},
                                 {"rows", r.rows},
                                 {"probe_rows", r.probe_rows},
                                 {"tolerance", r.tolerance},
                                 {"within", r.within},
                                 {"outputs", to_json(r.outputs)},
                                 {"engine", to_json(r.engine)}};
  if (const auto worst = culprit(r))
    tree["culprit"] = {{"layer", r.layers[worst->layer].name},
                       {"outputs_rms", worst->rms},
                       {"share", worst->share}};
  if (r.classes) {
    const Classes& c = *r.classes;
    tree["classes"] = {{"rows", c.rows}, {"agree", c.agree}};
    if (c.has_truth) {
      tree["classes"]["model"] = {{"top1", c.model.top1}, {"top5", c.model.top5}};
      tree["classes"]["file"] = {{"top1", c.file.top1}, {"top5", c.file.top5}};
    }
  }
  tree["layers"] = nlohmann::ordered_json::array();
  for (const auto& l : r.layers)
    tree["layers"].push_back({{"name", l.name},
                              {"kind", l.kind},
                              {"encoding", l.encoding},
                              {"bits_per_weight", l.bits_per_weight},
                              {"outputs", to_json(l.outputs)},
                              {"isolated", to_json(l.isolated)},
                              {"accumulated", to_json(l.accumulated)},
                              {"weights", to_json(l.weights)}});
  return tree.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace qrt::verify
