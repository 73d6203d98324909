// qrt-verify: the float model against the converted one, layer by layer, worst
// first; what libqrt really computes from the file; and, with labelled data, how
// often each of them is right. Exit code 1 when libqrt's outputs differ from the
// model's by more than the tolerance.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "converter/base/text.h"
#include "converter/cli/accuracy.h"
#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/cli/points.h"
#include "converter/cli/progress.h"
#include "converter/eval/algebra.h"
#include "converter/quant/rows.h"
#include "converter/tools/verify_layers.h"
#include "converter/tools/verify_report.h"
#include "runtime/tools/io/arguments.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/preprocess.h"

namespace {

using namespace qrt;  // NOLINT: a main file
using io::ToolError;

struct VerifyOptions {
  std::string model, file, weights, preprocess, truth, labels;
  std::vector<std::string> inputs, shapes;
  double tolerance = 1e-4;
  int64_t rows = 0;  // 0: all where there is a truth, else 64
  int64_t layer_rows = 64, probe_rows = 4;
  bool json = false, quiet = false;
};

bool parse(int argc, char** argv, VerifyOptions& o) {
  CLI::App app("qrt-verify: per-layer error of a .qrt file against its ONNX model", "qrt-verify");
  const CLI::Range count(int64_t{1}, int64_t{1} << 20), some(int64_t{0}, int64_t{1} << 20);
  const CLI::Validator finite(
      [](std::string& text) {
        const double v = std::strtod(text.c_str(), nullptr);
        return std::isfinite(v) ? std::string() : text + " is not a number to compare with";
      },
      "");
  app.add_option("model", o.model, "The ONNX model")->required();
  app.add_option("file", o.file, "The .qrt file made from it")->required();
  app.add_option("-i,--input", o.inputs, "X.npy, a picture or a directory; NAME=... for each input")
      ->required();
  app.add_option("--truth", o.truth,
                 "The true class of every row: one per line, or .csv with columns file, class");
  app.add_option("--labels", o.labels, "Names of the classes, one per line; else the file's own");
  app.add_option("--weights", o.weights, "The checkpoint whose parameters the model takes");
  app.add_option("--shape", o.shapes, "NAME=1,3,224,224, as for qrt-convert");
  app.add_option("--preprocess", o.preprocess, "For pictures: imagenet, imagenet-crop or JSON");
  app.add_option("--rows", o.rows, "At most so many rows; all with --truth, else 64")->check(count);
  app.add_option("--layer-rows", o.layer_rows, "Rows of them that layers are compared on: 64")
      ->check(count);
  app.add_option("--probe-rows", o.probe_rows, "Rows that each layer is tried alone on: 4; 0: none")
      ->check(some);
  app.add_option("--tolerance", o.tolerance, "Relative error allowed for the outputs")
      ->check(CLI::Range(0.0, 1e9))
      ->check(finite);
  app.add_flag("--json", o.json, "The report as JSON");
  app.add_flag("-q,--quiet", o.quiet, "No progress on the terminal");
  io::refuse_empty_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() != 0)
      throw ToolError(462, std::string("command line: ") + e.what() + "; see 'qrt-verify --help'");
    app.exit(e);
    return false;
  }
  if (o.rows == 0) o.rows = o.truth.empty() ? 64 : int64_t{1} << 20;
  return true;
}

std::vector<eval::Tensor> evaluated(const ir::Graph& g, const std::vector<eval::Tensor>& inputs) {
  auto out = eval::evaluate(g, inputs);
  if (!out.ok()) throw ToolError(out.error().id, out.error().message);
  return std::move(*out);
}

// What one row of all rows of an output is.
std::span<const float> row_of(const eval::Tensor& all, int64_t row, int64_t rows) {
  const size_t n = all.data.size() / static_cast<size_t>(rows);
  return std::span(all.data).subspan(static_cast<size_t>(row) * n, n);
}

class Verification {
 public:
  explicit Verification(const VerifyOptions& o) : o_(o), line_(!o.quiet) {
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const std::string& text : o.shapes) cli::add_shape(text, shapes);
    stored_ = verify::read_layers(o.file);
    source_ = cli::load_source(o.model, o.weights, shapes, false);
    file_ = io::read_file(o.file, uint64_t{1} << 31);
    const auto preprocessing =
        o.preprocess.empty() ? std::nullopt : io::parse_preprocessing(o.preprocess);
    int64_t skipped = 0;
    inputs_ = cli::load_inputs(graph(), "--input", o.inputs, preprocessing, o.rows, &skipped,
                               &row_files_);
    rows_were_cut_ = skipped > 0;
    rows_ = cli::row_count(graph(), inputs_);
  }

  verify::Report run() {
    verify::Report r;
    r.model = o_.model, r.file = o_.file, r.tolerance = o_.tolerance;
    const auto classes = static_cast<size_t>(cli::class_count(graph()));
    const auto truth = load_truth(classes);
    verify::Comparison comparison(graph(), stored_);
    tell(0, "libqrt");
    const auto got = cli::run_file(file_, o_.file, inputs_);
    if (got.size() != graph().outputs.size())
      throw ToolError(
          461, cat("the file has ", got.size(), " outputs, the model ", graph().outputs.size(),
                   "; give the model that the file was converted from"));
    r.rows = std::min(rows_, o_.layer_rows);
    // Eight rows tell channels apart, and their activations fit in memory.
    comparison.find_orders(cli::some_rows(graph(), inputs_, 0, std::min(rows_, at_once())));
    std::vector<float> scores = compare_layers(comparison, got, r);
    probe(comparison, r);
    r.layers = comparison.layers();
    verify::sort_worst_first(r.layers);
    r.within = r.outputs.relative() <= o_.tolerance;
    if (classes == 0) return r;
    score_the_rest(scores);
    r.classes.emplace();
    r.classes->rows = rows_;
    for (int64_t row = 0; row < rows_; ++row) {
      const auto of_model = std::span(scores).subspan(static_cast<size_t>(row) * classes, classes);
      const auto of_file = row_of(got[0], row, rows_);
      r.classes->agree += cli::best_class(of_model) == cli::best_class(of_file);
      if (truth.empty()) continue;
      r.classes->has_truth = true;
      r.classes->model.add(of_model, truth[static_cast<size_t>(row)]);
      r.classes->file.add(of_file, truth[static_cast<size_t>(row)]);
    }
    return r;
  }

 private:
  const ir::Graph& graph() const { return source_.graph; }
  int64_t at_once() const { return quant::samples_at_once(graph()); }

  std::vector<int64_t> load_truth(size_t classes) {
    if (o_.truth.empty()) return {};
    if (classes == 0)
      throw ToolError(471, o_.truth + ": output '" +
                               graph().values[static_cast<size_t>(graph().outputs.at(0))].name +
                               "' of the model does not rank classes; leave --truth out");
    std::vector<std::string> names =
        o_.labels.empty() ? cli::stored_labels(file_, o_.file) : cli::read_labels(o_.labels);
    row_files_.resize(static_cast<size_t>(rows_));
    return cli::read_truth(o_.truth, names, row_files_, static_cast<int64_t>(classes),
                           rows_were_cut_);
  }

  // Row by row: all layers are kept for one row at a time. Returns output 0 of these rows.
  std::vector<float> compare_layers(verify::Comparison& comparison,
                                    const std::vector<eval::Tensor>& got, verify::Report& r) {
    std::vector<float> scores;
    for (int64_t row = 0; row < r.rows; ++row) {
      tell(static_cast<double>(row) / static_cast<double>(rows_), "layers");
      const auto want = comparison.add_row(cli::some_rows(graph(), inputs_, row, 1));
      for (size_t i = 0; i < got.size(); ++i) {
        r.outputs.add(row_of(got[i], row, rows_), want.exact[i].data);
        r.engine.add(row_of(got[i], row, rows_), want.compressed[i].data);
      }
      scores.insert(scores.end(), want.exact[0].data.begin(), want.exact[0].data.end());
    }
    return scores;
  }

  void probe(verify::Comparison& comparison, verify::Report& r) {
    r.probe_rows = std::min(r.rows, o_.probe_rows);
    if (at_once() == 1) r.probe_rows = std::min<int64_t>(r.probe_rows, 1);
    if (r.probe_rows == 0) return;
    line_.clear();
    comparison.add_probe(cli::some_rows(graph(), inputs_, 0, r.probe_rows),
                         [&](double done, const std::string& layer) { tell(done, layer); });
  }

  void score_the_rest(std::vector<float>& scores) {
    for (int64_t row = std::min(rows_, o_.layer_rows); row < rows_; row += at_once()) {
      tell(static_cast<double>(row) / static_cast<double>(rows_), "classes");
      const auto part = cli::some_rows(graph(), inputs_, row, std::min(at_once(), rows_ - row));
      const auto out = evaluated(graph(), part);
      scores.insert(scores.end(), out[0].data.begin(), out[0].data.end());
    }
  }

  void tell(double done, std::string_view now) { line_.show({done, 0, now}); }

  const VerifyOptions& o_;
  cli::ProgressLine line_;
  std::map<std::string, verify::StoredLayer> stored_;
  cli::Source source_;
  std::vector<uint8_t> file_;
  std::vector<eval::Tensor> inputs_;
  std::vector<std::string> row_files_;
  bool rows_were_cut_ = false;
  int64_t rows_ = 0;
};

int body(int argc, char** argv) {
  VerifyOptions o;
  if (!parse(argc, argv, o)) return io::kDone;
  eval::use_one_blas_thread();
  const verify::Report report = Verification(o).run();
  std::fputs((o.json ? to_json(report) : to_text(report)).c_str(), stdout);
  return report.within ? io::kDone : io::kAnswerIsNo;
}

}  // namespace

int main(int argc, char** argv) {
  return io::guarded_main("qrt-verify", body, argc, argv);
}
