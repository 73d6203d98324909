// qrt-verify: the float model against the converted one, layer by layer, worst
// first; then what libqrt really computes from the file. Exit code 1 when its
// outputs differ from the model's by more than the tolerance.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "converter/base/text.h"
#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/tools/verify_layers.h"
#include "runtime/tools/io/arguments.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/preprocess.h"

namespace {

using namespace qrt;  // NOLINT: a main file
using io::ToolError;

struct VerifyOptions {
  std::string model, file, weights, preprocess;
  std::vector<std::string> inputs, shapes;
  double tolerance = 1e-4;
  int64_t rows = 64;
  bool json = false;
};

struct Report {
  std::vector<verify::LayerError> layers;  // worst first
  verify::ErrorSum model;                  // libqrt's outputs against the float model's
  verify::ErrorSum engine;                 // against the interpreter on the same compressed weights
  int64_t rows = 0;
  bool within = false;
};

bool parse(int argc, char** argv, VerifyOptions& o) {
  CLI::App app("qrt-verify: per-layer error of a .qrt file against its ONNX model", "qrt-verify");
  app.add_option("model", o.model, "The ONNX model")->required();
  app.add_option("file", o.file, "The .qrt file made from it")->required();
  app.add_option("-i,--input", o.inputs, "X.npy, a picture or a directory; NAME=... for each input")
      ->required();
  app.add_option("--weights", o.weights, "The checkpoint whose parameters the model takes");
  app.add_option("--shape", o.shapes, "NAME=1,3,224,224, as for qrt-convert");
  app.add_option("--preprocess", o.preprocess, "For pictures: imagenet, imagenet-crop or JSON");
  app.add_option("--rows", o.rows, "At most so many rows of the input")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app.add_option("--tolerance", o.tolerance, "Relative error allowed for the outputs")
      ->check(CLI::Range(0.0, 1e9));
  app.add_flag("--json", o.json, "The report as JSON");
  io::refuse_empty_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() != 0)
      throw ToolError(462, std::string("command line: ") + e.what() + "; see 'qrt-verify --help'");
    app.exit(e);
    return false;
  }
  return true;
}

eval::Tensor row_of(const ir::Value& value, const eval::Tensor& all, int64_t row) {
  if (!value.batched) return all;
  eval::Tensor one = all;
  one.shape = value.shape;
  size_t n = 1;
  for (int64_t d : one.shape) n *= static_cast<size_t>(d);
  const auto first = static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * n);
  const auto end = first + static_cast<std::ptrdiff_t>(n);
  if (!all.data.empty()) one.data.assign(all.data.begin() + first, all.data.begin() + end);
  if (!all.ints.empty()) one.ints.assign(all.ints.begin() + first, all.ints.begin() + end);
  return one;
}

// Layers whose own compression costs most stand first.
void sort_worst_first(std::vector<verify::LayerError>& layers) {
  std::stable_sort(layers.begin(), layers.end(), [](const auto& a, const auto& b) {
    if (a.isolated.relative() != b.isolated.relative())
      return a.isolated.relative() > b.isolated.relative();
    return a.accumulated.relative() > b.accumulated.relative();
  });
}

Report compare(const VerifyOptions& o) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const std::string& text : o.shapes) cli::add_shape(text, shapes);
  const auto layers = verify::read_layers(o.file);
  const cli::Source source = cli::load_source(o.model, o.weights, shapes, false);
  const ir::Graph& g = source.graph;
  const auto preprocessing =
      o.preprocess.empty() ? std::nullopt : io::parse_preprocessing(o.preprocess);
  const auto inputs = cli::load_inputs(g, "--input", o.inputs, preprocessing, o.rows);
  const std::vector<uint8_t> file = io::read_file(o.file, uint64_t{1} << 31);
  verify::Comparison comparison(g, layers);
  Report report;
  report.rows = cli::row_count(g, inputs);
  for (int64_t row = 0; row < report.rows; ++row) {
    std::vector<eval::Tensor> one;
    for (size_t i = 0; i < inputs.size(); ++i)
      one.push_back(row_of(g.values[static_cast<size_t>(g.inputs[i])], inputs[i], row));
    const auto want = comparison.add_row(one);
    const auto got = cli::run_file(file, o.file, one);
    if (got.size() != want.exact.size())
      throw ToolError(461,
                      cat("the file has ", got.size(), " outputs, the model ", want.exact.size(),
                          "; give the model that the file was converted from"));
    for (size_t i = 0; i < got.size(); ++i) {
      report.model.add(got[i].data, want.exact[i].data);
      report.engine.add(got[i].data, want.compressed[i].data);
    }
  }
  report.layers = comparison.layers();
  sort_worst_first(report.layers);
  report.within = report.model.relative() <= o.tolerance;
  return report;
}

void print_text(const Report& r, const VerifyOptions& o) {
  size_t width = 5;
  for (const auto& l : r.layers) width = std::max(width, std::min<size_t>(l.name.size(), 60));
  std::printf("%-*s  %-8s %-20s %7s %11s %11s %11s %11s %11s\n", static_cast<int>(width), "layer",
              "kind", "encoding", "bits/w", "isolated", "rms", "accumulated", "rms", "weights rms");
  for (const auto& l : r.layers)
    std::printf("%-*s  %-8s %-20s %7.3f %11.2e %11.2e %11.2e %11.2e %11.2e\n",
                static_cast<int>(width), l.name.c_str(), l.kind.c_str(), l.encoding.c_str(),
                l.bits_per_weight, l.isolated.relative(), l.isolated.rms(),
                l.accumulated.relative(), l.accumulated.rms(), l.weights.rms());
  std::printf(
      "outputs of libqrt, %lld rows: relative error %.3e against the model (%s %.1e), %.3e "
      "against its own weights in the interpreter\n",
      static_cast<long long>(r.rows), r.model.relative(), r.within ? "within" : "NOT within",
      o.tolerance, r.engine.relative());
}

nlohmann::ordered_json to_json(const verify::ErrorSum& e) {
  return {{"relative", e.relative()}, {"rms", e.rms()}};
}

void print_json(const Report& r, const VerifyOptions& o) {
  nlohmann::ordered_json tree = {
      {"model", o.model},           {"file", o.file},     {"rows", r.rows},
      {"tolerance", o.tolerance},   {"within", r.within}, {"outputs", to_json(r.model)},
      {"engine", to_json(r.engine)}};
  tree["layers"] = nlohmann::ordered_json::array();
  for (const auto& l : r.layers)
    tree["layers"].push_back({{"name", l.name},
                              {"kind", l.kind},
                              {"encoding", l.encoding},
                              {"bits_per_weight", l.bits_per_weight},
                              {"isolated", to_json(l.isolated)},
                              {"accumulated", to_json(l.accumulated)},
                              {"weights", to_json(l.weights)}});
  std::printf("%s\n", tree.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int body(int argc, char** argv) {
  VerifyOptions o;
  if (!parse(argc, argv, o)) return io::kDone;
  const Report report = compare(o);
  if (o.json) {
    print_json(report, o);
  } else {
    print_text(report, o);
  }
  return report.within ? io::kDone : io::kAnswerIsNo;
}

}  // namespace

int main(int argc, char** argv) {
  return io::guarded_main("qrt-verify", body, argc, argv);
}
