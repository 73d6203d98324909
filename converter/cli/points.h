// Accuracy against size: the float model, the conversion at hand, and the same
// method at coarser and finer settings, each measured on labelled data.
#ifndef QRT_CONVERTER_CLI_POINTS_H_
#define QRT_CONVERTER_CLI_POINTS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/cli/curve.h"
#include "converter/cli/options.h"
#include "converter/cli/report.h"
#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"
#include "converter/quant/control.h"

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

// Scores [rows][classes] of the graph in the interpreter. Throws ToolError with evaluate()'s codes.
std::vector<float> graph_scores(const ir::Graph&, const TestData&);

// Of a file in libqrt. Throws ToolError with libqrt's codes.
std::vector<float> file_scores(std::span<const uint8_t> file, const TestData&);

// |got - want| / |want| of all scores together, as Euclidean lengths.
double output_error(std::span<const float> got, std::span<const float> want);

// What measuring needs to be done by others.
struct PointSteps {
  uint64_t float_bytes = 0;  // of the float model's weights
  std::function<void(const quant::ProgressStep&)> show;
  // The file of another conversion.
  std::function<std::vector<uint8_t>(const Variant&, const quant::Progress&)> convert;
  // Another conversion that could not be made, and why.
  std::function<void(const Variant&, const std::string& why)> missed;
};

// The float model, `file`, and the others that can be made, each judged on the test rows.
std::vector<ReportPoint> measure_points(const PointSteps&, const ir::Graph& original,
                                        std::span<const uint8_t> file, const TestData&,
                                        std::span<const Variant> others);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_POINTS_H_
