// See report.h.
#include "bench/report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/rounds.h"

namespace qrt::bench {
namespace {

std::string fixed(double v, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

std::string or_dash(double v, int digits) {
  return v > 0 ? fixed(v, digits) : "-";
}

}  // namespace

std::string markdown_head(const Report& r) {
  const Ceilings& c = r.ceilings;
  return r.cpu + ", one thread, ours up to " + r.level + "\nceilings: f32 " + fixed(c.f32_256, 0) +
         " / " + fixed(c.f32_512, 0) + " GFLOP/s (256 / 512 bits), u8 x s8 " + fixed(c.i8_256, 0) +
         " / " + fixed(c.i8_512, 0) + " GOP/s without VNNI, " + fixed(c.vnni_512, 0) +
         " with; loads L1 " + fixed(c.l1, 0) + ", L2 " + fixed(c.l2, 0) + ", memory " +
         fixed(c.dram, 1) +
         " GB/s\n\n"
         "| layer | M, K, N | candidate | median us | best us | GOP/s | x int8 | x f32 | of "
         "ceiling "
         "| what ran |\n|---|---|---|--:|--:|--:|--:|--:|--:|---|\n";
}

std::string markdown_row(const Row& r) {
  const double us = median(r.us);
  return "| " + r.layer + " | " + std::to_string(r.rows) + ", " + std::to_string(r.inputs) + ", " +
         std::to_string(r.outputs) + " | " + r.candidate + " | " + fixed(us, 1) + " | " +
         fixed(best(r.us), 1) + " | " + fixed(r.ops / us / 1000, 0) + " | " +
         or_dash(r.times_int8, 2) + " | " + or_dash(r.times_f32, 2) + " | " +
         (r.of_ceiling > 0 ? fixed(100 * r.of_ceiling, 0) + " %" : "-") + " | " +
         (r.is_chosen ? "**chosen** " : "") + r.note + " |\n";
}

std::string to_json(const Report& r) {
  using nlohmann::ordered_json;
  const Ceilings& c = r.ceilings;
  ordered_json tree = {{"cpu", r.cpu},
                       {"level", r.level},
                       {"ceilings",
                        {{"f32_256", c.f32_256},
                         {"f32_512", c.f32_512},
                         {"i8_256", c.i8_256},
                         {"i8_512", c.i8_512},
                         {"vnni_512", c.vnni_512},
                         {"l1", c.l1},
                         {"l2", c.l2},
                         {"dram", c.dram}}},
                       {"rows", ordered_json::array()}};
  for (const Row& row : r.rows)
    tree["rows"].push_back({{"layer", row.layer},
                            {"candidate", row.candidate},
                            {"kind", row.kind},
                            {"m", row.rows},
                            {"k", row.inputs},
                            {"n", row.outputs},
                            {"cold", row.is_cold},
                            {"weight_bytes", row.weight_bytes},
                            {"median_us", median(row.us)},
                            {"best_us", best(row.us)},
                            {"gops", row.ops / median(row.us) / 1000},
                            {"times_int8", row.times_int8},
                            {"times_f32", row.times_f32},
                            {"of_ceiling", row.of_ceiling},
                            {"chosen", row.is_chosen},
                            {"note", row.note},
                            {"us", row.us}});
  return tree.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace qrt::bench
