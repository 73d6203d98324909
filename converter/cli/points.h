// Accuracy against size: the float model, the conversion at hand, and the same
// method at coarser and finer settings, each measured on labelled data.
#ifndef QRT_CONVERTER_CLI_POINTS_H_
#define QRT_CONVERTER_CLI_POINTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/cli/options.h"
#include "converter/cli/report.h"
#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"

namespace qrt::cli {

// Labelled rows that no method has seen.
struct TestData {
  std::vector<eval::Tensor> inputs;
  std::vector<int64_t> truth;  // the class of every row; empty: there is no test data
};

// The rows of `--test` and their classes of `--truth`; empty where none are given. `labels` are the
// names of the classes, if known. Throws ToolError 401, 410..427, 470, 471.
TestData load_test(const ConvertOptions&, const ir::Graph&, const std::vector<std::string>& labels);

// Scores per row where output 0 ranks classes, that is where all its dimensions but one are 1; 0
// where it does not.
int64_t class_count(const ir::Graph&);

// Of the graph in the interpreter. Throws ToolError with evaluate()'s codes.
Accuracy graph_accuracy(const ir::Graph&, const TestData&);

// Of a file in libqrt. Throws ToolError with libqrt's codes.
Accuracy file_accuracy(std::span<const uint8_t> file, const TestData&);

// Other settings of the conversion's method, at most `most`, each with a name: of pq a sixteenth
// and a quarter of the entries, blocks of half and of twice the length; of uniform 2 to 6 bits, of
// alq averages of 1 to 4. Empty for methods without such settings.
struct Variant {
  std::string name;
  std::map<std::string, std::string> method_options;
};
std::vector<Variant> variants(const ConvertOptions&, size_t most);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_POINTS_H_
