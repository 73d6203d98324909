// Stage after stage; a stage that refuses ends it with its own code and sentence.
#include "converter/cli/convert.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "converter/base/file.h"
#include "converter/base/text.h"
#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/cli/points.h"
#include "converter/cli/progress.h"
#include "converter/eval/evaluate.h"
#include "converter/import/activation_trap.h"
#include "converter/import/checkpoint.h"
#include "converter/import/onnx.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "converter/quant/method.h"
#include "qrt.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/picture_input.h"
#include "runtime/tools/io/preprocess.h"

namespace qrt::cli {
namespace {

using io::ToolError;

// Spent on timing the converted file's layers.
constexpr double kTimingSeconds = 0.5;

// Some stages name the file themselves.
[[noreturn]] void refuse(const Error& e, const std::string& where) {
  const bool named = e.message.compare(0, where.size(), where) == 0;
  throw ToolError(e.id, named ? e.message : where + ": " + e.message);
}

void check(const Result<void>& r, const std::string& where) {
  if (!r.ok()) refuse(r.error(), where);
}

template <class T>
T take(Result<T> r, const std::string& where) {
  if (!r.ok()) refuse(r.error(), where);
  return std::move(*r);
}

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

passes::AfterPass printer(bool wanted) {
  if (!wanted) return {};
  return [](const char* pass, const ir::Graph& g) {
    std::fprintf(stderr, "# after %s\n%s\n", pass, ir::print(g).c_str());
  };
}

std::string base_name(const std::string& path) {
  const size_t slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

// Sample inputs of a conversion; empty where none are given.
struct Samples {
  std::vector<eval::Tensor> calibration, golden;
};

Samples load_samples(const ConvertOptions& o, const ir::Graph& g,
                     const std::optional<io::Preprocessing>& preprocessing,
                     std::vector<std::string>& notes) {
  Samples s;
  int64_t skipped = 0;
  if (!o.calibrate.empty())
    s.calibration =
        load_inputs(g, "--calibrate", o.calibrate, preprocessing, o.calibrate_rows, &skipped);
  if (skipped > 0)
    notes.push_back(cat("--calibrate: used ", row_count(g, s.calibration), " samples and left out ",
                        skipped, "; --calibrate-rows sets how many are used"));
  if (!o.golden.empty()) {
    s.golden = load_inputs(g, "--golden", o.golden, preprocessing, 1, &skipped);
    s.golden = first_rows(g, s.golden, 1);
  }
  return s;
}

// A checkpoint that lost its batch norm statistics converts without a fault and answers at random;
// sample inputs show it.
void look_for_trap(const ConvertOptions& o, const Samples& samples, const ir::Graph& g,
                   std::vector<std::string>& warnings) {
  const auto& inputs = samples.calibration.empty() ? samples.golden : samples.calibration;
  if (o.weights.empty() || inputs.empty()) return;
  const auto trap = take(import::activation_trap(g, inputs), o.model);
  if (trap) warnings.push_back(*trap);
}

// A bare architecture, with placeholders for weights, converts without a fault as well.
void look_for_placeholders(const ConvertOptions& o, const ir::Graph& g,
                           std::vector<std::string>& warnings) {
  size_t weights = 0, flat = 0;
  for (const ir::Value& value : g.values) {
    if (value.constant < 0 || value.shape.size() < 2) continue;
    const auto& v = g.constants[static_cast<size_t>(value.constant)].data;
    if (v.size() < 16) continue;
    ++weights;
    flat += std::all_of(v.begin(), v.end(), [&](float x) { return x == v[0]; });
  }
  if (flat > weights / 2)
    warnings.push_back(cat(o.model, ": ", flat, " of ", weights,
                           " weights hold one number over and over: they look like placeholders; ",
                           "give the trained ones with --weights CKPT.pth"));
}

// What a finished layer depends on beside its own key: another model, other data, options or
// another build of this program start afresh.
std::string identity(const ConvertOptions& o, const Source& source, const Samples& samples) {
  Fingerprint print;
  const io::MappedFile program("/proc/self/exe");
  print.add(program.data(), program.size());
  print.add(source.model_sha256).add(source.weights_sha256).add(o.method).add(o.command);
  for (const auto& [key, value] : o.method_options) print.add(key).add(value);
  for (const eval::Tensor& t : samples.calibration) print.add(t.shape).add(t.data).add(t.ints);
  return print.hex();
}

// The work file of a conversion; null where the output is a device or nothing will be written.
std::unique_ptr<WorkFile> open_work(const ConvertOptions& o, const Source& source,
                                    const Samples& samples, std::vector<std::string>& notes) {
  struct stat info {};
  const bool is_device = ::stat(o.output.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  if (o.dry_run || o.output.empty() || is_device) return nullptr;
  auto work = std::make_unique<WorkFile>(o.output + ".work", identity(o, source, samples));
  if (work->kept() > 0)
    notes.push_back(cat("resumed: ", work->kept(), " finished steps were found in ", work->path()));
  return work;
}

// Encodes the graph's weights in place.
std::vector<quant::LayerReport> apply_method(const ConvertOptions& o, const Samples& samples,
                                             Source& source, std::unique_ptr<WorkFile>& work) {
  if (o.method.empty()) return {};
  ir::Graph& g = source.graph;
  std::vector<std::string>& notes = source.notes;
  const quant::Method* method = take(quant::find_method(o.method), "--method");
  work = open_work(o, source, samples, notes);
  ProgressLine line(!o.quiet);
  const quant::CalibrationData data{samples.calibration, {line.sink(), work.get()}};
  const quant::MethodReport report = take(method->run(g, o.method_options, data), o.model);
  if (work && !work->trouble().empty()) notes.push_back(work->trouble());
  append(notes, report.notes);
  for (const quant::LayerReport& l : report.layers)
    if (!l.is_encoded && !l.why_not.empty())
      notes.push_back(cat(l.layer, " stays dense: ", l.why_not));
  return report.layers;
}

emit::FileInfo describe(const ConvertOptions& o, const Source& source,
                        const std::optional<io::Preprocessing>& preprocessing) {
  emit::FileInfo info;
  info.name = base_name(o.model);
  const uint32_t v = qrt_version();
  info.tool = cat("qrt-convert ", v >> 16, ".", v >> 8 & 255, ".", v & 255);
  info.source_sha256 = source.model_sha256;
  info.weights_sha256 = source.weights_sha256;
  info.method = o.method;
  info.options = o.command;
  if (!o.labels.empty()) info.labels = read_labels(o.labels);
  if (preprocessing) {
    const io::Preprocessing& p = *preprocessing;
    info.preprocess.push_back(emit::Preprocess{p.resize_shorter, p.crop_h, p.crop_w,
                                               static_cast<uint8_t>(p.channels), p.scale, p.mean,
                                               p.std});
  }
  return info;
}

void check_labels(const ConvertOptions& o, const ir::Graph& g, size_t labels) {
  if (o.labels.empty()) return;
  const ir::Value& scores = g.values[static_cast<size_t>(g.outputs.at(0))];
  int64_t classes = 1;
  for (int64_t d : scores.shape) classes *= d;
  if (classes != static_cast<int64_t>(labels))
    throw ToolError(426, cat(o.labels, ": ", labels, " labels where output '", scores.name,
                             "' has ", classes, " classes; give one line per class"));
}

std::vector<std::vector<float>> floats_of(const std::vector<eval::Tensor>& tensors) {
  std::vector<std::vector<float>> out;
  for (const eval::Tensor& t : tensors) out.push_back(t.data);
  return out;
}

}  // namespace

Source load_source(const std::string& model, const std::string& weights,
                   const std::map<std::string, std::vector<int64_t>>& shapes, bool print_passes) {
  Source source;
  import::Imported imported = take(import::import_onnx(model, {shapes}), model);
  source.graph = std::move(imported.graph);
  source.model_sha256 = imported.sha256;
  append(source.notes, imported.notes);
  if (!weights.empty()) {
    const import::Checkpoint checkpoint = take(import::read_checkpoint(weights), weights);
    const import::MapReport report =
        take(import::apply_checkpoint(source.graph, checkpoint), weights);
    source.weights_sha256 = checkpoint.sha256;
    source.notes.push_back(cat(weights, ": ", checkpoint.format, ", ", report.weights,
                               " weights set, ", report.codebooks, " of them codebooks, ",
                               report.norms, " batch norms"));
    append(source.notes, report.notes);
  }
  check(passes::run_pipeline(source.graph, passes::prepare_passes(), printer(print_passes)), model);
  append(source.notes, source.graph.notes);
  source.graph.notes.clear();
  return source;
}

namespace {

// The bytes that a finished graph becomes.
struct Built {
  std::vector<uint8_t> file;
  emit::SizeReport sizes;
  std::vector<std::string> notes;
};

Built build(const ConvertOptions& o, const ir::Graph& graph, const emit::FileInfo& info) {
  ir::Graph laid_out = graph;
  check(passes::run_pipeline(laid_out, passes::layout_passes(), printer(o.print_passes)), o.model);
  const lower::File lowered = take(lower::lower(laid_out), o.model);
  Built built;
  built.file = take(emit::emit(lowered, info), o.model);
  built.sizes = emit::size_report(lowered, built.file.size());
  built.notes = std::move(laid_out.notes);
  return built;
}

// The float model, this conversion and, for a report, the method's other settings on the test rows.
void measure_points(const ConvertOptions& o, const ir::Graph& original, const Samples& samples,
                    const emit::FileInfo& info, const TestData& test, WorkFile* work,
                    Converted& result) {
  ProgressLine line(!o.quiet);
  const size_t wanted = o.report.empty() ? 0 : static_cast<size_t>(o.report_points);
  const std::vector<Variant> others = variants(o, wanted);
  const double steps = static_cast<double>(others.size()) + 2;
  line.show({0, 0, "accuracy of the float model"});
  uint64_t weights = 0;
  for (const emit::LayerBytes& l : result.sizes.layers)
    weights += static_cast<uint64_t>(l.outputs) * static_cast<uint64_t>(l.inputs);
  result.points.push_back(
      {"float model", 4 * weights, graph_accuracy(original, test), false, true});
  line.show({1 / steps, 0, "accuracy of the file"});
  result.points.push_back(
      {"this file", result.file.size(), file_accuracy(result.file, test), true, false});
  for (size_t i = 0; i < others.size(); ++i) {
    const double from = static_cast<double>(i + 2) / steps;
    const quant::Progress inner = [&](const quant::ProgressStep& s) {
      line.show({from + s.done / steps, 0, others[i].name});
    };
    ir::Graph graph = original;
    const quant::CalibrationData data{samples.calibration, {inner, work}};
    take(take(quant::find_method(o.method), "--method")->run(graph, others[i].method_options, data),
         o.model);
    const Built built = build(o, graph, info);
    // Settings that a small network clips to those of another point add nothing.
    const bool is_new = std::none_of(result.points.begin(), result.points.end(),
                                     [&](auto& p) { return p.bytes == built.file.size(); });
    if (is_new)
      result.points.push_back(
          {others[i].name, built.file.size(), file_accuracy(built.file, test), false, false});
  }
}

Converted convert_with(const ConvertOptions& o, std::unique_ptr<WorkFile>& work) {
  Source source = load_source(o.model, o.weights, o.shapes, o.print_passes);
  ir::Graph& graph = source.graph;
  const auto preprocessing =
      o.preprocess.empty() ? std::nullopt : io::parse_preprocessing(o.preprocess);
  emit::FileInfo info = describe(o, source, preprocessing);
  check_labels(o, graph, info.labels.size());
  if (preprocessing) {  // refused here when its pictures cannot become the first input
    const ir::Value& value = graph.values[static_cast<size_t>(graph.inputs.at(0))];
    const io::PictureInput fits(value.shape, preprocessing, o.model, value.name);
  }
  const Samples samples = load_samples(o, graph, preprocessing, source.notes);
  Converted result;
  look_for_placeholders(o, graph, result.warnings);
  look_for_trap(o, samples, graph, result.warnings);
  const TestData test = load_test(o, graph, info.labels);
  const ir::Graph original = test.truth.empty() ? ir::Graph() : graph;
  result.layers = apply_method(o, samples, source, work);

  const std::vector<eval::Tensor> input = !samples.golden.empty() ? samples.golden
                                          : !samples.calibration.empty()
                                              ? first_rows(graph, samples.calibration, 1)
                                              : random_inputs(graph);
  const std::vector<eval::Tensor> want = take(eval::evaluate(graph, input), o.model);
  if (!samples.golden.empty())
    info.golden = emit::Golden{floats_of(input), floats_of(want), static_cast<float>(o.tolerance)};

  Built built = build(o, graph, info);
  append(source.notes, built.notes);
  result.file = std::move(built.file);
  result.sizes = std::move(built.sizes);
  result.notes = std::move(source.notes);

  const auto got = run_file(result.file, o.output.empty() ? "the converted file" : o.output, input);
  result.error = relative_error(got, want);
  if (!(result.error <= o.tolerance))
    throw ToolError(482, cat(o.model,
                             ": the converted file computes something else than the model: "
                             "relative error ",
                             result.error, ", allowed ", o.tolerance,
                             "; nothing was written, please report the model"));
  if (!o.quiet || !o.report.empty()) {
    result.times = time_layers(result.file, o.model, kTimingSeconds);
    append(result.warnings, slower_than_dense(result.times));
  }
  if (!test.truth.empty()) measure_points(o, original, samples, info, test, work.get(), result);
  result.info = std::move(info);
  return result;
}

void write_output(const ConvertOptions& o, const Converted& result) {
  try {
    io::OutputFile file(o.output);
    file.write(result.file.data(), result.file.size());
    file.commit();
  } catch (const ToolError& e) {
    if (!result.work || !result.work->trouble().empty()) throw;
    throw ToolError(e.id(), cat(e.what(), "; what was computed is kept in ", result.work->path(),
                                ", the same command goes on from there"));
  }
  if (result.work) result.work->discard();
}

}  // namespace

Converted convert(const ConvertOptions& o) {
  std::unique_ptr<WorkFile> work;
  try {
    Converted result = convert_with(o, work);
    result.work = std::move(work);
    return result;
  } catch (const ToolError&) {
    if (work) work->discard();  // the same command would be refused again
    throw;
  }
}

int convert_main(const ConvertOptions& o) {
  if (!o.output.empty() && !o.dry_run) io::check_writable(o.output);
  if (!o.report.empty()) io::check_writable(o.report);
  const Converted result = convert(o);
  if (!o.dry_run) write_output(o, result);
  if (!o.report.empty()) {
    io::OutputFile report(o.report);
    report.write(html_report(report_data(o, result)));
    report.commit();
  }
  for (const std::string& warning : result.warnings)
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  if (o.quiet) return io::kDone;
  for (const std::string& note : result.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  std::fputs(size_table(result.sizes, result.times).c_str(), stdout);
  for (const ReportPoint& p : result.points)
    std::printf("%s: %llu bytes, top-1 %s, top-5 %s\n", p.setting.c_str(),
                static_cast<unsigned long long>(p.bytes),
                percent_text(p.accuracy.top1, p.accuracy.rows).c_str(),
                percent_text(p.accuracy.top5, p.accuracy.rows).c_str());
  std::printf("%s; relative error of its outputs against the model's %.1e\n",
              o.dry_run ? "nothing written (--dry-run)" : o.output.c_str(), result.error);
  return io::kDone;
}

}  // namespace qrt::cli
