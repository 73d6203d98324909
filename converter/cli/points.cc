// Measuring; what is converted in between is convert.cc's.
#include "converter/cli/points.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/quant/product.h"
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

Accuracy graph_accuracy(const ir::Graph& g, const TestData& data) {
  const int64_t at_once = quant::samples_at_once(g);
  const auto rows = static_cast<int64_t>(data.truth.size());
  std::vector<float> scores;
  for (int64_t row = 0; row < rows; row += at_once) {
    const auto out =
        eval::evaluate(g, some_rows(g, data.inputs, row, std::min(at_once, rows - row)));
    if (!out.ok()) throw ToolError(out.error().id, out.error().message);
    scores.insert(scores.end(), (*out)[0].data.begin(), (*out)[0].data.end());
  }
  return accuracy_of(scores, data.truth);
}

Accuracy file_accuracy(std::span<const uint8_t> file, const TestData& data) {
  return accuracy_of(run_file(file, "the converted file", data.inputs).at(0).data, data.truth);
}

namespace {

// Methods of few bits: other numbers of bits, those next to what was asked for first.
std::vector<Variant> of_other_bits(const ConvertOptions& o, size_t most) {
  const bool is_esb = o.method == "esb", whole = o.method == "uniform" || is_esb;
  const auto given = o.method_options.find("bits");
  const double now = given == o.method_options.end() ? (is_esb  ? 5
                                                        : whole ? 8
                                                                : 2)
                                                     : std::atof(given->second.c_str());
  std::vector<int> bits = {2, 3, 4, 5, 6};
  if (!whole) bits = {1, 2, 3, 4};
  std::stable_sort(bits.begin(), bits.end(),
                   [&](int a, int b) { return std::abs(a - now) < std::abs(b - now); });
  std::vector<Variant> out;
  for (const int b : bits) {
    if (b == now || out.size() == most) continue;
    auto words = o.method_options;
    words["bits"] = std::to_string(b);
    out.push_back({std::to_string(b) + (b == 1 ? " bit" : " bits"), words});
  }
  return out;
}

}  // namespace

std::vector<Variant> variants(const ConvertOptions& o, size_t most) {
  if (o.method == "uniform" || o.method == "alq" || o.method == "esb")
    return of_other_bits(o, most);
  std::vector<Variant> out;
  const auto parsed = quant::parse_pq_options(o.method_options);
  if (o.method != "pq" || !parsed.ok()) return out;
  const quant::PqOptions& p = *parsed;
  const auto entries = [&](int32_t divisor) {
    auto words = o.method_options;
    words["centroids_conv"] = std::to_string(std::max(2, p.centroids_conv / divisor));
    words["centroids_fc"] = std::to_string(std::max(2, p.centroids_fc / divisor));
    return words;
  };
  const auto blocks = [&](auto length) {
    auto words = o.method_options;
    words["block_3x3"] = std::to_string(length(p.block_3x3));
    words["block_1x1"] = std::to_string(length(p.block_1x1));
    words["block_fc"] = std::to_string(length(p.block_fc));
    if (p.block_other > 0) words["block_other"] = std::to_string(length(p.block_other));
    return words;
  };
  out.push_back(
      {"blocks of half the length", blocks([](int32_t d) { return std::max(1, d / 2); })});
  out.push_back({"a quarter of the entries", entries(4)});
  out.push_back({"a sixteenth of the entries", entries(16)});
  out.push_back(
      {"blocks of twice the length", blocks([](int32_t d) { return std::min(1024, 2 * d); })});
  if (out.size() > most) out.resize(most);
  return out;
}

}  // namespace qrt::cli
