// How often a network is right: the true classes of rows, and counts of hits.
#ifndef QRT_CONVERTER_CLI_ACCURACY_H_
#define QRT_CONVERTER_CLI_ACCURACY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qrt::cli {

// The true class of every row, from a text file in one of two forms:
//   one class per line, in the order of the rows;
//   a .csv file whose first line names its columns: `class_index`, `class` or `label`, and perhaps
//   `file`. Where the rows come from pictures, `file` says which line is whose (directories do not
//   count, lines of other pictures are passed over); else lines follow the rows.
// A class is an index in [0, classes) or one of `names` (may be empty). `row_files` has the file
// name of each row, "" where it has none. Lines beyond the last row are allowed only where rows
// were left out by a limit (`rows_were_cut`). Throws ToolError 401, and 470 with the line at fault.
std::vector<int64_t> read_truth(const std::string& path, const std::vector<std::string>& names,
                                const std::vector<std::string>& row_files, int64_t classes,
                                bool rows_were_cut);

// Hits among rows. A tie counts for the lower index; a score that is not a number is never ranked.
struct Accuracy {
  int64_t rows = 0, top1 = 0, top5 = 0;
  void add(std::span<const float> scores, int64_t truth);
  double top1_percent() const { return percent(top1); }
  double top5_percent() const { return percent(top5); }

 private:
  double percent(int64_t hits) const {
    return rows == 0 ? 0 : 100 * static_cast<double>(hits) / static_cast<double>(rows);
  }
};

// Of `scores` [rows][classes] against the classes of the rows.
Accuracy accuracy_of(std::span<const float> scores, const std::vector<int64_t>& truth);

// The index of the largest score, the lowest on a tie; -1 where all are NaN.
int64_t best_class(std::span<const float> scores);

// "74.20 % (371 of 500)"
std::string percent_text(int64_t hits, int64_t rows);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_ACCURACY_H_
