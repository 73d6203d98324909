// What product quantization costs a network in accuracy, one row per way of doing it:
//   pq_table MODEL.onnx --calibrate C.npy --test T.npy --labels L.txt
//            --row "name: key=value key=value" ...
// Every row starts from the float network and runs method pq with its options. The
// table is Markdown; bench/pq_table.sh has the data and the rows of the READMEs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "converter/base/text.h"
#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/emit/emit.h"
#include "converter/eval/algebra.h"
#include "converter/eval/evaluate.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "converter/quant/method.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/preprocess.h"

using namespace qrt;

namespace {

struct Options {
  std::string model, calibrate, test, labels, preprocess;
  std::vector<std::string> rows;
  int64_t calibrate_rows = 1 << 20, test_first = 0, test_rows = 1 << 20;
  bool layers = false;
  int seeds = 1;
};

template <class T>
T take(Result<T> r) {
  if (!r.ok()) throw io::ToolError(r.error().id, r.error().message);
  return std::move(*r);
}

// Logits of all rows, [rows][classes], a few rows at a time.
std::vector<float> logits(const ir::Graph& g, const eval::Tensor& x) {
  std::vector<float> out;
  const int64_t rows = x.shape[0], size = static_cast<int64_t>(x.data.size()) / rows;
  for (int64_t first = 0; first < rows; first += 16) {
    eval::Tensor part{x.type, x.shape, {}, {}};
    part.shape[0] = std::min<int64_t>(16, rows - first);
    part.data.assign(x.data.begin() + first * size,
                     x.data.begin() + (first + part.shape[0]) * size);
    const auto y = take(eval::evaluate(g, std::vector<eval::Tensor>{std::move(part)}));
    out.insert(out.end(), y[0].data.begin(), y[0].data.end());
  }
  return out;
}

std::vector<int> top1(const std::vector<float>& scores, size_t rows) {
  std::vector<int> out;
  const size_t classes = scores.size() / rows;
  for (size_t i = 0; i < rows; ++i) {
    const auto from = scores.begin() + static_cast<std::ptrdiff_t>(i * classes);
    out.push_back(static_cast<int>(
        std::max_element(from, from + static_cast<std::ptrdiff_t>(classes)) - from));
  }
  return out;
}

// Energy of the difference over the energy of the float logits around their mean.
double relative(const std::vector<float>& got, const std::vector<float>& want, size_t rows) {
  const size_t classes = want.size() / rows;
  std::vector<double> mean(classes, 0.0);
  for (size_t i = 0; i < want.size(); ++i) mean[i % classes] += double{want[i]} / double(rows);
  double error = 0, energy = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{got[i]} - double{want[i]}, 2);
    energy += std::pow(double{want[i]} - mean[i % classes], 2);
  }
  return error / energy;
}

uint64_t file_bytes(ir::Graph g) {
  const auto r = passes::run_pipeline(g, passes::layout_passes());
  if (!r.ok()) throw io::ToolError(r.error().id, r.error().message);
  return take(emit::emit(take(lower::lower(g)), {})).size();
}

int count_equal(const std::vector<int>& a, const std::vector<int>& b) {
  int n = 0;
  for (size_t i = 0; i < a.size(); ++i) n += a[i] == b[i];
  return n;
}

quant::MethodOptions words(const std::string& text) {
  quant::MethodOptions out;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    const size_t equals = word.find('=');
    out[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return out;
}

struct Outcome {
  double right = 0, agree = 0, logit_error = 0, layer_error = 0, bytes = 0, seconds = 0;
  void add(const Outcome& o) {
    right += o.right;
    agree += o.agree;
    logit_error += o.logit_error;
    layer_error += o.layer_error;
    bytes += o.bytes;
    seconds += o.seconds;
  }
};

struct Test {
  const eval::Tensor& inputs;
  const std::vector<int>& labels;
  const std::vector<float>& want;  // logits of the float network
};

// One conversion of the float network and what it gives on the test set.
Outcome measure(ir::Graph g, const quant::MethodOptions& options,
                const quant::CalibrationData& data, const Test& test, bool layers) {
  Outcome out;
  const auto start = std::chrono::steady_clock::now();
  const quant::MethodReport report = take(take(quant::find_method("pq"))->run(g, options, data));
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const size_t rows = test.labels.size();
  const std::vector<float> got = logits(g, test.inputs);
  const std::vector<int> mine = top1(got, rows);
  out.right = count_equal(mine, test.labels);
  out.agree = count_equal(mine, top1(test.want, rows));
  out.logit_error = relative(got, test.want, rows);
  out.bytes = static_cast<double>(file_bytes(g));
  int coded = 0;
  for (const quant::LayerReport& l : report.layers) {
    if (!l.is_encoded) continue;
    out.layer_error += l.output_error;
    ++coded;
    if (layers)
      std::fprintf(stderr, "%s: %d x %d, %.2f bits, error %.4f\n", l.layer.c_str(), l.centroids,
                   l.block, l.bits_per_weight, l.output_error);
  }
  if (coded > 0) out.layer_error /= coded;
  for (const std::string& note : report.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  return out;
}

int run(const Options& o) {
  const cli::Source source = cli::load_source(o.model, "", {}, false);
  const auto preprocessing =
      o.preprocess.empty() ? std::nullopt : io::parse_preprocessing(o.preprocess);
  quant::CalibrationData data{cli::load_inputs(source.graph, "--calibrate", {o.calibrate},
                                               preprocessing, o.calibrate_rows)};
  eval::Tensor test = cli::load_inputs(source.graph, "--test", {o.test}, preprocessing,
                                       o.test_first + o.test_rows)[0];
  const int64_t size = static_cast<int64_t>(test.data.size()) / test.shape[0];
  test.data.erase(test.data.begin(), test.data.begin() + o.test_first * size);
  test.shape[0] -= o.test_first;
  std::vector<int> labels;
  for (const std::string& line : cli::read_labels(o.labels)) labels.push_back(std::stoi(line));
  const size_t rows = static_cast<size_t>(test.shape[0]);
  if (labels.size() < rows)
    throw io::ToolError(426, cat(o.labels, ": ", labels.size(), " labels for ", rows, " rows"));
  labels.resize(rows);

  const std::vector<float> want = logits(source.graph, test);
  const std::vector<int> reference = top1(want, rows);
  const int float_right = count_equal(reference, labels);
  const uint64_t float_bytes = file_bytes(source.graph);
  const auto percent = [&](double n) { return 100.0 * n / double(rows); };
  std::printf("float: %.2f %% of %zu, %llu bytes\n\n", percent(float_right), rows,
              static_cast<unsigned long long>(float_bytes));
  std::printf(
      "| variant | top-1 | against float | agree | logit error | layer error | bytes | x | s |\n"
      "|---|---|---|---|---|---|---|---|---|\n");
  for (const std::string& row : o.rows) {
    const size_t colon = row.find(':');
    quant::MethodOptions options = words(colon == std::string::npos ? "" : row.substr(colon + 1));
    Outcome sum;
    for (int seed = 1; seed <= o.seeds; ++seed) {
      if (o.seeds > 1) options["seed"] = std::to_string(seed);
      sum.add(measure(source.graph, options, data, {test, labels, want}, o.layers));
    }
    std::printf("| %s | %.2f %% | %+.2f (%+.1f) | %.1f %% | %.4f | %.4f | %.0f | %.2f | %.0f |\n",
                row.substr(0, colon).c_str(), percent(sum.right / o.seeds),
                percent(sum.right / o.seeds - float_right), sum.right / o.seeds - float_right,
                percent(sum.agree / o.seeds), sum.logit_error / o.seeds, sum.layer_error / o.seeds,
                sum.bytes / o.seeds, double(float_bytes) / (sum.bytes / o.seeds),
                sum.seconds / o.seeds);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What product quantization costs a network, one row per way of doing it"};
  eval::use_one_blas_thread();
  Options o;
  app.add_option("model", o.model, "MODEL.onnx")->required();
  app.add_option("--calibrate", o.calibrate, ".npy or a folder of pictures")->required();
  app.add_option("--calibrate-rows", o.calibrate_rows, "at most so many samples");
  app.add_option("--test", o.test, ".npy or a folder of pictures")->required();
  app.add_option("--test-first", o.test_first, "leave out so many samples of it");
  app.add_option("--test-rows", o.test_rows, "then take at most so many");
  app.add_option("--labels", o.labels, "a class number per test sample and line")->required();
  app.add_option("--preprocess", o.preprocess, "as for qrt-convert");
  app.add_option("--row", o.rows, "NAME: key=value ...")->required();
  app.add_option("--seeds", o.seeds, "means over so many runs, seeds 1, 2, ...");
  app.add_flag("--layers", o.layers, "each layer's error to stderr");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const io::ToolError& e) {
    std::fprintf(stderr, "pq_table: %s\n", e.what());
    return 1;
  }
}
