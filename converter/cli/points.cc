// Measuring; what is converted in between is convert.cc's.
#include "converter/cli/points.h"

#include <algorithm>
#include <cmath>

#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/quant/rows.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/preprocess.h"

namespace qrt::cli {

using io::ToolError;

int64_t class_count(const ir::Graph& g) {
  if (g.outputs.empty()) return 0;
  const ir::Value& scores = g.values[static_cast<size_t>(g.outputs[0])];
  if (scores.type != ir::ElementType::f32) return 0;
  int64_t classes = 1;
  for (const int64_t d : scores.shape) {
    if (d != 1 && classes != 1) return 0;
    classes *= d;
  }
  return classes > 1 ? classes : 0;
}

TestData load_test(const ConvertOptions& o, const ir::Graph& g,
                   const std::vector<std::string>& labels) {
  TestData data;
  if (o.test.empty()) return data;
  const int64_t classes = class_count(g);
  if (classes == 0)
    throw ToolError(471, o.truth + ": output '" +
                             g.values[static_cast<size_t>(g.outputs.at(0))].name +
                             "' of the model does not rank classes; leave --truth and --test out");
  const auto preprocessing =
      o.preprocess.empty() ? std::nullopt : io::parse_preprocessing(o.preprocess);
  std::vector<std::string> files;
  int64_t skipped = 0;
  data.inputs = load_inputs(g, "--test", o.test, preprocessing, o.test_rows, &skipped, &files);
  files.resize(static_cast<size_t>(row_count(g, data.inputs)));
  data.truth = read_truth(o.truth, labels, files, classes, skipped > 0);
  return data;
}

std::vector<float> graph_scores(const ir::Graph& g, const TestData& data) {
  const int64_t at_once = quant::samples_at_once(g);
  const auto rows = static_cast<int64_t>(data.truth.size());
  std::vector<float> scores;
  for (int64_t row = 0; row < rows; row += at_once) {
    const auto out =
        eval::evaluate(g, some_rows(g, data.inputs, row, std::min(at_once, rows - row)));
    if (!out.ok()) throw ToolError(out.error().id, out.error().message);
    scores.insert(scores.end(), (*out)[0].data.begin(), (*out)[0].data.end());
  }
  return scores;
}

std::vector<float> file_scores(std::span<const uint8_t> file, const TestData& data) {
  return std::move(run_file(file, "the converted file", data.inputs).at(0).data);
}

double output_error(std::span<const float> got, std::span<const float> want) {
  double lost = 0, all = 0;
  for (size_t i = 0; i < want.size() && i < got.size(); ++i) {
    const double d = double{got[i]} - want[i];
    lost += d * d, all += double{want[i]} * want[i];
  }
  return all > 0 ? std::sqrt(lost / all) : 0;
}

std::vector<ReportPoint> measure_points(const PointSteps& steps, const ir::Graph& original,
                                        std::span<const uint8_t> file, const TestData& test,
                                        std::span<const Variant> others) {
  const double all = static_cast<double>(others.size()) + 2;
  std::vector<ReportPoint> points;
  steps.show({0, 0, "accuracy of the float model"});
  const std::vector<float> want = graph_scores(original, test);
  const auto add = [&](ReportPoint p, const std::vector<float>& scores) {
    p.accuracy = accuracy_of(scores, test.truth);
    if (!p.is_float) p.output_error = output_error(scores, want);
    points.push_back(std::move(p));
  };
  ReportPoint floats{"float model", steps.float_bytes, {}}, mine{"this file", file.size(), {}};
  floats.is_float = mine.is_this = true;
  add(std::move(floats), want);
  steps.show({1 / all, 0, "accuracy of the file"});
  add(std::move(mine), file_scores(file, test));
  for (size_t i = 0; i < others.size(); ++i) {
    const double from = static_cast<double>(i + 2) / all;
    const auto inner = [&](const quant::ProgressStep& s) {
      steps.show({from + s.done / all, 0, others[i].name});
    };
    std::vector<uint8_t> other;
    try {
      other = steps.convert(others[i], inner);
    } catch (const ToolError& e) {
      steps.missed(others[i], e.what());
      continue;
    }
    ReportPoint p{others[i].name, other.size(), {}};
    p.series = others[i].series, p.mark = others[i].mark;
    // Settings that a small network clips to those of another point add nothing.
    const bool is_new = std::none_of(points.begin(), points.end(), [&](const ReportPoint& q) {
      return q.bytes == p.bytes && q.series == p.series;
    });
    if (is_new || !p.series.empty()) add(std::move(p), file_scores(other, test));
  }
  return points;
}

}  // namespace qrt::cli
