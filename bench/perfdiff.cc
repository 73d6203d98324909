// See perfdiff.h. The error of a median of n samples of spread s is 1.25 s / sqrt(n) for noise that
// is normal; the spread is 1.48 times the median distance from the median, which single hiccups of
// the machine do not move. A change counts where it is more than three such errors, of both runs
// and of the drift together, and more than 3 %: alignment and placement in memory alone make as
// much from build to build.
#include "bench/perfdiff.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/rounds.h"

namespace qrt::bench {
namespace {

constexpr double kErrors = 3, kLeast = 0.03;

struct Timing {
  double us, error;  // error relative
  bool is_ours;
};
using Key = std::pair<std::string, std::string>;  // layer, candidate
struct Run {
  std::vector<Key> order;
  std::map<Key, Timing> timings;
};

double relative_error(const std::vector<double>& samples) {
  const double middle = median(samples);
  std::vector<double> distances;
  for (const double v : samples) distances.push_back(std::fabs(v - middle));
  return 1.25 * 1.48 * median(distances) / middle / std::sqrt(double(samples.size()));
}

Run read_run(const std::string& text, const char* which) {
  try {
    Run run;
    const auto tree = nlohmann::json::parse(text);
    for (const auto& row : tree.at("rows")) {
      Key key;
      Timing t{};
      if (row.contains("engine")) {  // of a whole network
        const std::string engine = row.at("engine");
        key = {tree.at("model").get<std::string>() + ", " +
                   std::to_string(row.at("threads").get<int>()) + " threads",
               engine};
        t.us = row.at("median_ms").get<double>() * 1000;
        t.error = 1.25 * row.at("std_ms").get<double>() * 1000 / t.us /
                  std::sqrt(tree.at("repeats").get<double>());
        t.is_ours = engine.rfind("libqrt", 0) == 0;
      } else {
        key = {row.at("layer"), row.at("candidate")};
        const auto us = row.at("us").get<std::vector<double>>();
        if (us.empty()) throw std::runtime_error("a row has no samples");
        t = {median(us), relative_error(us), row.at("kind") == "ours"};
      }
      if (!(t.us > 0)) throw std::runtime_error("a time is not positive");
      run.order.push_back(key);
      run.timings[key] = t;
    }
    return run;
  } catch (const std::exception& e) {
    throw std::runtime_error(
        std::string("the ") + which +
        " report is not one of kernels_bench or qrt bench --json: " + e.what());
  }
}

struct Drift {
  double factor = 1, error = 0;
};

// What became of the peers of a layer: new time over old.
Drift drift_of(const std::string& layer, const Run& before, const Run& after) {
  std::vector<double> factors, errors;
  for (const auto& [key, t] : after.timings) {
    const auto old = before.timings.find(key);
    if (key.first != layer || t.is_ours || old == before.timings.end()) continue;
    factors.push_back(t.us / old->second.us);
    errors.push_back(std::hypot(t.error, old->second.error));
  }
  if (factors.empty()) return {};
  const double error = median(errors) / std::sqrt(double(factors.size()));
  return {median(factors), std::max(error, factors.size() > 2 ? relative_error(factors) : 0)};
}

}  // namespace

std::vector<Change> compare_reports(const std::string& old_json, const std::string& new_json) {
  const Run before = read_run(old_json, "old"), after = read_run(new_json, "new");
  std::vector<Change> changes;
  std::map<std::string, Drift> drifts;
  for (const Key& key : after.order) {
    const Timing& now = after.timings.at(key);
    const auto old = before.timings.find(key);
    if (!now.is_ours || old == before.timings.end()) continue;
    if (drifts.find(key.first) == drifts.end())
      drifts[key.first] = drift_of(key.first, before, after);
    const Drift& drift = drifts[key.first];
    Change c{key.first, key.second, old->second.us, now.us, 0, 0, Change::Verdict::same};
    c.speed = c.old_us * drift.factor / c.new_us;
    c.noise = std::hypot(now.error, old->second.error, drift.error);
    const double beyond = std::max(kErrors * c.noise, kLeast);
    if (c.speed > 1 + beyond) c.verdict = Change::Verdict::faster;
    if (1 / c.speed > 1 + beyond) c.verdict = Change::Verdict::slower;
    changes.push_back(c);
  }
  return changes;
}

std::string changes_markdown(const std::vector<Change>& changes, bool all) {
  std::string out =
      "| layer | candidate | old us | new us | speed | noise | |\n|---|---|--:|--:|--:|--:|---|\n";
  size_t faster = 0, slower = 0;
  for (const Change& c : changes) {
    const bool is_faster = c.verdict == Change::Verdict::faster;
    const bool is_slower = c.verdict == Change::Verdict::slower;
    faster += is_faster, slower += is_slower;
    if (!all && !is_faster && !is_slower) continue;
    char text[96];
    std::snprintf(text, sizeof text, " | %.1f | %.1f | %.3f | %.1f %% | %s |\n", c.old_us, c.new_us,
                  c.speed, 100 * c.noise,
                  is_faster   ? "faster"
                  : is_slower ? "SLOWER"
                              : "");
    out += "| " + c.layer + " | " + c.candidate + text;
  }
  return out + "\n" + std::to_string(changes.size()) + " rows: " + std::to_string(faster) +
         " faster, " + std::to_string(slower) + " slower\n";
}

}  // namespace qrt::bench
