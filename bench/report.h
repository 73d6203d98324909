// What a run of kernels_bench found: rows with their samples, as a Markdown table for people and as
// JSON for perfdiff, which reads it back.
#ifndef QRT_BENCH_REPORT_H_
#define QRT_BENCH_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bench/ceilings.h"

namespace qrt::bench {

struct Row {
  std::string layer, candidate;
  std::string kind;  // ours, f32, int8 (dense peers), scan (faiss)
  uint32_t rows = 0, inputs = 0, outputs = 0;
  double ops = 0, weight_bytes = 0;
  double times_int8 = 0, times_f32 = 0;  // speed against the fastest dense peer; 0: there is none
  double of_ceiling = 0;                 // of multiply-adds, or of loads from memory where cold
  bool is_cold = false;
  bool is_chosen = false;  // of ours: what the cost model takes at this instruction set
  std::string note;
  std::vector<double> us;  // per round
};

struct Report {
  std::string cpu, level;
  Ceilings ceilings{};
  std::vector<Row> rows;
};

std::string markdown_head(const Report&);  // machine, ceilings, the table's head
std::string markdown_row(const Row&);
std::string to_json(const Report&);

}  // namespace qrt::bench

#endif  // QRT_BENCH_REPORT_H_
