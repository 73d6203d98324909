// A string builder with one escape function. The policy in the head forbids the
// browser itself to load anything, so a name in a model cannot make it try.
#include "converter/cli/report.h"

#include <algorithm>
#include <cstdio>

namespace qrt::cli {
namespace {

constexpr const char* kHead =
    R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #888; --bar: #4a90d955; --mark: #d9542b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 92rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0; }
.figures div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; }
.figures b { display: block; font-size: 1.4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th { font-weight: 600; position: sticky; top: 0; background: Canvas; }
th:first-child, td:first-child, .word { text-align: left; }
.why { color: var(--soft); }
.slow { color: var(--mark); font-weight: 600; }
.bar { background: linear-gradient(var(--bar), var(--bar)) left / var(--share) 100% no-repeat; }
svg { width: 100%; max-width: 46rem; height: auto; font: 12px system-ui, sans-serif; }
code { overflow-wrap: anywhere; white-space: normal; }
</style>
)";

std::string fixed(double v, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

std::string cell(const std::string& text, const char* kind = "") {
  return "<td" + (*kind ? std::string(" class=\"") + kind + "\"" : "") + ">" + text + "</td>";
}

// A figure on a bar of `share` of the cell's width.
std::string bar(const std::string& text, double share) {
  return "<td class=\"bar\" style=\"--share:" + fixed(100 * std::clamp(share, 0.0, 1.0), 1) +
         "%\">" + text + "</td>";
}

std::string figure(const std::string& value, const std::string& what) {
  return "<div><b>" + value + "</b>" + what + "</div>\n";
}

std::string figures(const ReportData& r) {
  const double f32 = 4.0 * static_cast<double>(r.weights);
  std::string out = "<div class=\"figures\">\n";
  out += figure(bytes_text(r.file_bytes), "file");
  if (r.file_bytes > 0)
    out += figure(fixed(f32 / static_cast<double>(r.file_bytes), 2) + " &times;",
                  "smaller than its weights in f32");
  for (const ReportPoint& p : r.points)
    if (p.is_float || p.is_this)
      out += figure(fixed(p.accuracy.top1_percent(), 2) + " %",
                    p.is_float ? "top-1 of the float model" : "top-1 of this file");
  double ms = 0, dense = 0;
  for (const ReportLayer& l : r.layers) ms += l.ms.value_or(0), dense += l.dense_ms.value_or(0);
  if (ms > 0 && dense > 0)
    out += figure(fixed(ms, 2) + " ms",
                  "in these layers on this CPU, " + fixed(dense, 2) + " ms with dense f32 weights");
  return out + "</div>\n";
}

std::string points_table(const ReportData& r) {
  if (r.points.empty()) return "";
  std::string out = "<h2>Accuracy against size</h2>\n" + accuracy_plot(r.points) +
                    "<div class=\"wide\"><table id=\"points\"><tr><th>conversion</th><th>bytes</th>"
                    "<th>top-1</th><th>top-5</th><th>rows</th><th>output error</th></tr>\n";
  for (const ReportPoint& p : r.points)
    out += "<tr>" + cell(escaped(p.setting)) + cell(std::to_string(p.bytes)) +
           cell(fixed(p.accuracy.top1_percent(), 2) + " %") +
           cell(fixed(p.accuracy.top5_percent(), 2) + " %") +
           cell(std::to_string(p.accuracy.rows)) +
           cell(p.output_error ? fixed(100 * *p.output_error, 2) + " %" : "") + "</tr>\n";
  return out +
         "</table></div>\n<p class=\"why\">Output error: how far the scores are from those of the "
         "float model, over all rows, relative (Euclidean lengths).</p>\n";
}

std::string times(const ReportLayer& l) {
  if (!l.ms || !l.dense_ms) return cell("") + cell("") + cell("");
  const double ratio = *l.ms > 0 ? *l.dense_ms / *l.ms : 0;
  return cell(fixed(*l.ms, 3)) + cell(fixed(*l.dense_ms, 3)) +
         cell(fixed(ratio, 2) + " &times;", ratio < 1 && l.output_error ? "slow" : "");
}

std::string layers_table(const ReportData& r) {
  uint64_t largest = 1;
  double worst = 0;
  for (const ReportLayer& l : r.layers) {
    largest = std::max(largest, l.bytes);
    worst = std::max(worst, l.output_error.value_or(0));
  }
  std::string out =
      "<h2>Layers</h2>\n<div class=\"wide\"><table id=\"layers\"><tr><th>layer</th><th>weights</th>"
      "<th class=\"word\">encoding</th><th>bits / weight</th><th>bytes</th><th>of f32</th>"
      "<th>output error</th><th>weights SNR, dB</th><th>ms</th><th>ms dense</th>"
      "<th>faster than dense</th><th class=\"word\">stays dense because</th></tr>\n";
  for (const ReportLayer& l : r.layers) {
    const double f32 = 4.0 * static_cast<double>(l.outputs) * static_cast<double>(l.inputs);
    const double share = static_cast<double>(l.bytes) / static_cast<double>(largest);
    out += "<tr>" + cell(escaped(l.name)) +
           cell(std::to_string(l.outputs) + " &times; " + std::to_string(l.inputs)) +
           cell(escaped(l.encoding), "word") + cell(fixed(l.bits_per_weight, 3)) +
           bar(std::to_string(l.bytes), share) +
           cell(f32 > 0 ? fixed(100 * static_cast<double>(l.bytes) / f32, 1) + " %" : "");
    out += l.output_error ? bar(fixed(100 * *l.output_error, 3) + " %",
                                worst > 0 ? *l.output_error / worst : 0)
                          : cell("");
    out += cell(l.weight_snr_db ? fixed(*l.weight_snr_db, 1) : "") + times(l) +
           cell(escaped(l.why_not), "word why") + "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string sentences(const char* title, const std::vector<std::string>& all) {
  if (all.empty()) return "";
  std::string out = std::string("<h2>") + title + "</h2>\n<ul>\n";
  for (const std::string& s : all) out += "<li>" + escaped(s) + "</li>\n";
  return out + "</ul>\n";
}

std::string provenance(const ReportData& r) {
  std::string out = "<h2>Provenance</h2>\n<table>\n";
  for (const auto& [what, text] : {std::pair<const char*, std::string>("model", r.model),
                                   {"SHA-256 of the model", r.model_sha256},
                                   {"file", r.output},
                                   {"SHA-256 of the file", r.file_sha256},
                                   {"tool", r.tool},
                                   {"method", r.method},
                                   {"options", r.options},
                                   {"CPU", r.cpu}})
    if (!text.empty())
      out += std::string("<tr><td>") + what + "</td><td class=\"word\"><code>" + escaped(text) +
             "</code></td></tr>\n";
  char error[48];
  std::snprintf(error, sizeof error, "%.1e", r.relative_error);
  return out + "<tr><td>outputs of libqrt</td><td class=\"word\">relative error " + error +
         " against the compressed graph in the interpreter</td></tr>\n</table>\n";
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return out;
}

std::string bytes_text(uint64_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (bytes < 1000) return std::to_string(bytes) + " bytes";
  if (bytes < 1000000) return fixed(b * 1e-3, bytes < 100000 ? 1 : 0) + " kB";
  return fixed(b * 1e-6, bytes < 100000000 ? 2 : 0) + " MB";
}

std::string html_report(const ReportData& r) {
  const std::string name = escaped(r.output.empty() ? r.model : r.output);
  return kHead +
         ("<title>" + name + "</title></head><body>\n<h1>" + name + "</h1>\n<div>from " +
          escaped(r.model) + "</div>\n") +
         figures(r) + sentences("Warnings", r.warnings) + points_table(r) + layers_table(r) +
         "<p class=\"why\">Output error: the share of a layer's output energy that its compression "
         "loses on the calibration data, the layer alone. Times: one run, batch 1, one "
         "thread.</p>\n" +
         sentences("Notes", r.notes) + provenance(r) + "</body></html>\n";
}

}  // namespace qrt::cli
