// Two runs of kernels_bench or of `qrt bench --json`, by an old and a new build: which rows changed
// beyond noise. Rows of the peers did not change, so what happened to them in a layer is the
// machine's doing and is taken out of ours.
#ifndef QRT_BENCH_PERFDIFF_H_
#define QRT_BENCH_PERFDIFF_H_

#include <string>
#include <vector>

namespace qrt::bench {

struct Change {
  std::string layer, candidate;
  double old_us, new_us;  // medians
  double speed;           // how many times faster than before, the machine's drift taken out
  double noise;           // relative standard error of `speed`
  enum class Verdict { same, faster, slower } verdict;
};

// Rows of ours that both have, in the order of the new one. Throws std::runtime_error with a
// sentence for text that is not such a report.
std::vector<Change> compare_reports(const std::string& old_json, const std::string& new_json);

// A table of what changed, or of everything, and a line that counts.
std::string changes_markdown(const std::vector<Change>&, bool all);

}  // namespace qrt::bench

#endif  // QRT_BENCH_PERFDIFF_H_
