// One schema, three spellings: Markdown for people, CSV and JSON for programs. Every
// row says what was measured where, so that it can be quoted alone.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "runtime/tools/bench.h"

namespace qrt::tools {
namespace {

using nlohmann::ordered_json;

std::string number(double v, int digits = 3) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

std::string scientific(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", v);
  return text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

double gmacs(const ProfileRow& p) {
  return p.ms > 0 ? static_cast<double>(p.macs) / (p.ms * 1e6) : 0;
}

double inference_ms(const BenchReport& r) {
  return r.rows.empty() ? 0 : r.rows[0].ms.median;
}

ordered_json to_json(const Stats& s) {
  return {{"mean_ms", s.mean},
          {"median_ms", s.median},
          {"p95_ms", s.p95},
          {"min_ms", s.min},
          {"std_ms", s.std}};
}

void append_profile(const BenchReport& r, std::string& out) {
  if (r.profile.empty()) return;
  double total = 0;
  for (const ProfileRow& p : r.profile)
    if (p.threads == r.profile[0].threads) total += p.ms;
  out +=
      "\n| operator | kind | kernel | encoding | weight bytes | MMAC | ms | share | GMAC/s | "
      "threads |\n"
      "|---|---|---|---|--:|--:|--:|--:|--:|--:|\n";
  for (const ProfileRow& p : r.profile)
    out += "| " + p.name + " | " + p.kind + " | " + p.kernel + " | " + p.encoding + " | " +
           std::to_string(p.weight_bytes) + " | " + number(static_cast<double>(p.macs) * 1e-6, 2) +
           " | " + number(p.ms) + " | " + number(100 * p.ms / total, 1) + " % | " +
           number(gmacs(p), 1) + " | " + std::to_string(p.threads) + " |\n";
}

}  // namespace

std::string format_markdown(const BenchReport& r) {
  std::string out = r.model + ", xxh3 " + r.hash + ", " + std::to_string(r.file_bytes) +
                    " bytes\nlibqrt " + r.version + " (" + r.compiler + "), " + r.cpu + ", ISA " +
                    r.isa + ", batch " + std::to_string(r.batch) + ", " + std::to_string(r.warmup) +
                    " + " + std::to_string(r.repeats) + " rounds" +
                    (r.strategy.empty() ? "" : ", strategy " + r.strategy) + "\n\n";
  out +=
      "| engine | threads | median ms | mean | p95 | min | std | time / libqrt | difference |\n"
      "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const BenchRow& b : r.rows)
    out += "| " + b.name + " | " + std::to_string(b.threads) + " | " + number(b.ms.median) + " | " +
           number(b.ms.mean) + " | " + number(b.ms.p95) + " | " + number(b.ms.min) + " | " +
           number(b.ms.std) + " | " + number(b.ratio, 2) + " x | " + scientific(b.difference) +
           " |\n";
  const double open = r.model_open.median + r.session_open.median;
  out += "\nopen: " + number(open) + " ms (map, verify, validate " + number(r.model_open.median) +
         "; prepare " + number(r.session_open.median) + "), " + number(open / inference_ms(r), 2) +
         " x one inference\nmemory: resident weights " + std::to_string(r.resident_weight_bytes) +
         " bytes, activations " + std::to_string(r.arena_bytes) +
         " bytes, peak RSS of this process with all engines " + std::to_string(r.peak_rss) +
         " bytes\n";
  for (const std::string& note : r.notes) out += "note: " + note + "\n";
  append_profile(r, out);
  return out;
}

std::string format_csv(const BenchReport& r) {
  std::string out =
      "version,cpu,isa,model,model_hash,batch,threads,engine,repeats,median_ms,mean_ms,p95_ms,"
      "min_ms,std_ms,ratio_to_libqrt,difference\n";
  for (const BenchRow& b : r.rows)
    out += r.version + "," + csv_field(r.cpu) + "," + r.isa + "," + csv_field(r.model) + "," +
           r.hash + "," + std::to_string(r.batch) + "," + std::to_string(b.threads) + "," +
           csv_field(b.name) + "," + std::to_string(r.repeats) + "," + number(b.ms.median, 6) +
           "," + number(b.ms.mean, 6) + "," + number(b.ms.p95, 6) + "," + number(b.ms.min, 6) +
           "," + number(b.ms.std, 6) + "," + number(b.ratio, 4) + "," + scientific(b.difference) +
           "\n";
  if (r.profile.empty()) return out;
  out += "\noperator,kind,kernel,encoding,weight_bytes,macs,ms,gmac_per_s,threads\n";
  for (const ProfileRow& p : r.profile)
    out += csv_field(p.name) + "," + p.kind + "," + p.kernel + "," + csv_field(p.encoding) + "," +
           std::to_string(p.weight_bytes) + "," + std::to_string(p.macs) + "," + number(p.ms, 6) +
           "," + number(gmacs(p), 3) + "," + std::to_string(p.threads) + "\n";
  return out;
}

std::string format_json(const BenchReport& r) {
  ordered_json tree = {{"version", r.version},
                       {"compiler", r.compiler},
                       {"cpu", r.cpu},
                       {"isa", r.isa},
                       {"model", r.model},
                       {"model_hash", r.hash},
                       {"strategy", r.strategy},
                       {"batch", r.batch},
                       {"warmup", r.warmup},
                       {"repeats", r.repeats},
                       {"file_bytes", r.file_bytes},
                       {"resident_weight_bytes", r.resident_weight_bytes},
                       {"arena_bytes", r.arena_bytes},
                       {"peak_rss_bytes", r.peak_rss}};
  tree["open"] = {{"model_ms", r.model_open.median},
                  {"session_ms", r.session_open.median},
                  {"total_ms", r.model_open.median + r.session_open.median},
                  {"inference_ms", inference_ms(r)}};
  tree["rows"] = ordered_json::array();
  for (const BenchRow& b : r.rows) {
    ordered_json row = {{"engine", b.name}, {"version", r.version}, {"cpu", r.cpu},
                        {"isa", r.isa},     {"model_hash", r.hash}, {"threads", b.threads},
                        {"batch", r.batch}};
    row.update(to_json(b.ms));
    row["ratio_to_libqrt"] = b.ratio;
    row["difference"] = b.difference;
    tree["rows"].push_back(row);
  }
  tree["profile"] = ordered_json::array();
  for (const ProfileRow& p : r.profile)
    tree["profile"].push_back({{"name", p.name},
                               {"kind", p.kind},
                               {"kernel", p.kernel},
                               {"encoding", p.encoding},
                               {"choice", p.choice},
                               {"weight_bytes", p.weight_bytes},
                               {"macs", p.macs},
                               {"ms", p.ms},
                               {"gmac_per_s", gmacs(p)},
                               {"threads", p.threads}});
  tree["notes"] = r.notes;
  return tree.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace qrt::tools
