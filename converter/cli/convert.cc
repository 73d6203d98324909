// Stage after stage; a stage that refuses ends it with its own code and sentence.
#include "converter/cli/convert.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "converter/base/file.h"
#include "converter/base/text.h"
#include "converter/cli/data.h"
#include "converter/cli/engine.h"
#include "converter/cli/low_bits.h"
#include "converter/cli/points.h"
#include "converter/cli/progress.h"
#include "converter/eval/evaluate.h"
#include "converter/import/activation_trap.h"
#include "converter/import/checkpoint.h"
#include "converter/import/onnx.h"
#include "converter/int8/int8.h"
#include "converter/ir/edit.h"
#include "converter/lattice/lattice.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "converter/quant/layer_rules.h"
#include "converter/quant/method.h"
#include "qrt.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/picture_input.h"
#include "runtime/tools/io/preprocess.h"

namespace qrt::cli {
namespace {

using io::ToolError;

constexpr int64_t kFewSamples = 16;

// Where the least bit of a float decides how a byte is rounded, and that byte many others.
constexpr double kInt8Tolerance = 2e-2;

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

// Sample by sample, so that the message can name one.
void check_finite(const ir::Graph& g, const char* option, const std::vector<eval::Tensor>& inputs) {
  const auto rows = static_cast<size_t>(row_count(g, inputs));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<float>& data = inputs[i].data;
    const auto bad =
        std::find_if(data.begin(), data.end(), [](float v) { return !std::isfinite(v); });
    if (bad == data.end()) continue;
    const auto at = static_cast<size_t>(bad - data.begin());
    throw ToolError(
        487, cat(option, ": sample ", at / std::max<size_t>(data.size() / rows, 1), " for input '",
                 g.values[static_cast<size_t>(g.inputs[i])].name, "' holds ", *bad,
                 "; samples must be finite, check how they were made"));
  }
}

// Data that says nothing converts without a fault.
void look_for_poor_data(const ConvertOptions& o, const ir::Graph& g, const Samples& s,
                        std::vector<std::string>& warnings) {
  if (s.calibration.empty() || o.dry_run || (o.method.empty() && !o.int8)) return;
  const int64_t rows = row_count(g, s.calibration);
  if (rows < kFewSamples)
    warnings.push_back(cat("--calibrate: ", rows, " samples are few to tell which inputs matter; ",
                           "give at least ", kFewSamples, ", as different as those to come"));
  for (size_t i = 0; i < s.calibration.size(); ++i) {
    const std::vector<float>& data = s.calibration[i].data;
    if (data.empty()) continue;
    const std::string name = g.values[static_cast<size_t>(g.inputs[i])].name;
    const auto [least, most] = std::minmax_element(data.begin(), data.end());
    const size_t row = data.size() / static_cast<size_t>(rows);
    bool alike = rows > 1;
    for (size_t at = row; alike && at < data.size(); ++at) alike = data[at] == data[at - row];
    if (*least == *most)
      warnings.push_back(cat("--calibrate: all values for input '", name, "' are ", *least,
                             "; nothing can be learned from them"));
    else if (alike)
      warnings.push_back(cat("--calibrate: all ", rows, " samples for input '", name,
                             "' are the same; one of them would do as well"));
  }
}

Samples load_samples(const ConvertOptions& o, const ir::Graph& g,
                     const std::optional<io::Preprocessing>& preprocessing,
                     std::vector<std::string>& notes) {
  Samples s;
  int64_t skipped = 0;
  // A dry run looks at one sample: does it fit?
  const int64_t rows = o.dry_run ? 1 : o.calibrate_rows;
  if (!o.calibrate.empty())
    s.calibration = load_inputs(g, "--calibrate", o.calibrate, preprocessing, rows, &skipped);
  check_finite(g, "--calibrate", s.calibration);
  if (skipped > 0 && !o.dry_run)
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
  const bool runs = g.inputs.empty() || g.values[static_cast<size_t>(g.inputs[0])].batched;
  const auto trap =
      take(import::activation_trap(g, runs ? inputs : first_rows(g, inputs, 1)), o.model);
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
void apply_method(const ConvertOptions& o, const quant::MethodOptions& options,
                  const quant::CalibrationData& data, ir::Graph& g, Converted& result) {
  const quant::Method* method = take(quant::find_method(o.method), "--method");
  const quant::MethodReport report = take(method->run(g, options, data), o.model);
  append(result.notes, report.notes);
  append(result.warnings, report.warnings);
  for (const quant::LayerReport& l : report.layers)
    if (!l.is_encoded && !l.why_not.empty())
      result.notes.push_back(cat(l.layer, " stays dense: ", l.why_not));
  result.layers = report.layers;
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
  for (const eval::Tensor& t : tensors) {
    out.push_back(t.data);
    out.back().insert(out.back().end(), t.ints.begin(), t.ints.end());
  }
  return out;
}

}  // namespace

Source load_source(const std::string& model, const std::string& weights,
                   const std::map<std::string, std::vector<int64_t>>& shapes, bool print_passes,
                   bool low_bits) {
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
  for (const auto list :
       {low_bits ? lowbit::steps_passes() : std::span<const ir::Pass>(), passes::prepare_passes()})
    check(passes::run_pipeline(source.graph, list, printer(print_passes)), model);
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

ir::Graph lay_out(const ConvertOptions& o, const ir::Graph& graph) {
  ir::Graph laid_out = graph;
  check(passes::run_pipeline(laid_out, passes::layout_passes(), printer(o.print_passes)), o.model);
  return laid_out;
}

// Of a laid-out graph.
Built write(const ConvertOptions& o, const ir::Graph& laid_out, const emit::FileInfo& info) {
  const lower::File lowered = take(lower::lower(laid_out), o.model);
  Built built;
  built.file = take(emit::emit(lowered, info), o.model);
  built.sizes = emit::size_report(lowered, built.file.size());
  built.notes = laid_out.notes;
  return built;
}

// Activations become bytes, where they are asked to; `data` may be empty in a plan.
int8::Report apply_int8(const ConvertOptions& o, const quant::CalibrationData& data,
                        ir::Graph& laid_out) {
  if (!o.int8 || data.inputs.empty()) return {};
  int8::Options options;
  options.range = o.calibration == "mse"          ? int8::RangeMode::mse
                  : o.calibration == "percentile" ? int8::RangeMode::percentile
                                                  : int8::RangeMode::minmax;
  options.first_last = o.first_last == "int8";
  options.fit.target = int8::target_of(o.target).value_or(int8::Target::portable);
  options.fit.max_loss = o.max_loss / 100;
  options.fit.tables = o.max_loss > 0;
  quant::LayerRules rules;
  if (!o.layers.empty()) rules = take(quant::parse_layer_rules(o.layers), o.model);
  quant::RuleBook book(rules);
  options.stays_f32 = [&](const std::string& layer) {
    const quant::LayerRule rule = take(book.about(layer), o.model);
    return rule.f32_activations.value_or(rules.defaults.f32_activations.value_or(false));
  };
  int8::Report report = take(int8::quantize(laid_out, options, data), o.model);
  check(ir::verify(laid_out), o.model);
  if (o.print_passes) std::fprintf(stderr, "# after int8\n%s\n", ir::print(laid_out).c_str());
  return report;
}

Built build(const ConvertOptions& o, const ir::Graph& graph, const emit::FileInfo& info,
            const quant::CalibrationData& data = {}) {
  ir::Graph coded = graph;
  lattice::recognise(coded, o.lattice);
  ir::Graph laid_out = lay_out(o, coded);
  apply_int8(o, data, laid_out);
  round_to_esb(o, data, laid_out);
  if (o.low_bits) take(lowbit::streamline(laid_out), o.model);
  return write(o, laid_out, info);
}

// Of the size that golden data will have.
emit::Golden placeholder_golden(const ir::Graph& g, const std::vector<eval::Tensor>& input) {
  emit::Golden golden;
  golden.inputs = floats_of(input);
  for (const ir::ValueId id : g.outputs)
    golden.outputs.emplace_back(
        static_cast<size_t>(ir::element_count(g.values[static_cast<size_t>(id)].shape)), 0.0f);
  return golden;
}

// The network with encodings of the planned sizes that mean nothing.
Built build_placeholders(const ConvertOptions& o, ir::Graph graph, const emit::FileInfo& info,
                         const quant::MethodOptions& options, quant::MethodReport* report) {
  if (!o.method.empty()) {
    const quant::Method* method = take(quant::find_method(o.method), "--method");
    quant::MethodReport planned = take(method->plan(graph, options, !o.calibrate.empty()), o.model);
    if (report) *report = std::move(planned);
  }
  return build(o, graph, info);
}

void add_times(const ConvertOptions& o, Converted& result) {
  if (o.quiet && o.report.empty()) return;
  result.times = time_layers(result.file, o.model, kTimingSeconds);
  append(result.warnings, slower_than_dense(result.times));
}

// The plan alone: sizes and times, nothing is coded.
void dry_run(const ConvertOptions& o, const ir::Graph& graph, const emit::FileInfo& info,
             Converted& result) {
  quant::MethodReport report;
  Built built = build_placeholders(o, graph, info, o.method_options, &report);
  append(result.notes, report.notes);
  append(result.warnings, report.warnings);
  for (const quant::LayerReport& l : report.layers)
    if (!l.is_encoded) result.notes.push_back(cat(l.layer, " stays dense: ", l.why_not));
  result.layers = std::move(report.layers);
  append(result.notes, built.notes);
  result.file = std::move(built.file);
  result.sizes = std::move(built.sizes);
  add_times(o, result);
}

// Settings that --target-size or --max-drop ask for. `graph` becomes the network so encoded.
void search(const ConvertOptions& o, const emit::FileInfo& info, const quant::CalibrationData& data,
            const TestData& test, ir::Graph& graph, Converted& result) {
  struct Tried {
    ir::Graph graph;
    Converted report;
  };
  std::map<std::string, Tried> tried;  // by the rules that led there; encoded graphs are small
  SearchSteps steps;
  steps.size_of = [&](const quant::MethodOptions& options) -> uint64_t {
    return build_placeholders(o, graph, info, options, nullptr).file.size();
  };
  steps.build = [&](const quant::MethodOptions& options) {
    Tried t{graph, {}};
    apply_method(o, options, data, t.graph, t.report);
    std::vector<uint8_t> file = build(o, t.graph, info, data).file;
    tried[options.at("layers")] = std::move(t);
    return file;
  };
  if (!test.truth.empty()) {
    steps.judge = [&](const std::vector<uint8_t>& file) {
      return accuracy_of(file_scores(file, test), test.truth);
    };
    steps.judge_float = [&] { return accuracy_of(graph_scores(graph, test), test.truth); };
  }
  result.search = search_settings(o, graph, data, steps);
  Tried& best = tried.at(result.search.layers);
  graph = std::move(best.graph);
  result.layers = std::move(best.report.layers);
  append(result.notes, best.report.notes);
  append(result.warnings, best.report.warnings);
  append(result.notes, result.search.notes);
}

// The float model, this conversion and, for a report, other settings on the test rows: those that a
// search tried, those of --curve, or variations of those given.
void judge(const ConvertOptions& o, const ir::Graph& original, const Samples& samples,
           const emit::FileInfo& info, const TestData& test, WorkFile* work, Converted& result) {
  ProgressLine line(!o.quiet);
  const bool varies = !o.report.empty() && !o.searches() && o.curve.empty();
  const std::vector<Variant> others =
      varies ? variants(o, static_cast<size_t>(o.report_points)) : curve_variants(o);
  PointSteps steps;
  for (const emit::LayerBytes& l : result.sizes.layers)
    steps.float_bytes += 4 * static_cast<uint64_t>(l.outputs) * static_cast<uint64_t>(l.inputs);
  steps.show = [&](const quant::ProgressStep& s) { line.show(s); };
  steps.convert = [&](const Variant& v, const quant::Progress& progress) {
    ir::Graph graph = original;
    const quant::CalibrationData data{samples.calibration, {progress, work}};
    take(take(quant::find_method(v.method), "--method")->run(graph, v.method_options, data),
         o.model);
    return build(o, graph, info, data).file;
  };
  steps.missed = [&](const Variant& v, const std::string& why) {
    result.warnings.push_back("no point \"" + v.name + "\" of the curve: " + why);
  };
  result.points = measure_points(steps, original, result.file, test, others);
  for (const SearchPoint& p : result.search.curve)
    if (p.bytes != result.file.size() && p.accuracy.rows > 0)
      result.points.push_back({"tried by the search", p.bytes, p.accuracy, false, false});
}

Converted convert_with(const ConvertOptions& o, std::unique_ptr<WorkFile>& work) {
  Source source = load_source(o.model, o.weights, o.shapes, o.print_passes, o.low_bits);
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
  look_for_poor_data(o, graph, samples, result.warnings);
  if (!samples.golden.empty()) info.golden = placeholder_golden(graph, samples.golden);
  if (o.dry_run) {
    result.notes = std::move(source.notes);
    dry_run(o, graph, info, result);
    result.info = std::move(info);
    return result;
  }
  if (!o.method.empty()) {
    work = open_work(o, source, samples, source.notes);
    ProgressLine line(!o.quiet);
    const quant::CalibrationData data{samples.calibration, {line.sink(), work.get()}};
    if (o.searches())
      search(o, info, data, test, graph, result);
    else
      apply_method(o, o.method_options, data, graph, result);
    if (work && !work->trouble().empty()) result.notes.push_back(work->trouble());
  }

  const std::vector<eval::Tensor> input = !samples.golden.empty() ? samples.golden
                                          : !samples.calibration.empty()
                                              ? first_rows(graph, samples.calibration, 1)
                                              : random_inputs(graph);
  const auto lattices = lattice::recognise(graph, o.lattice);  // of what no method has coded
  ir::Graph laid_out = lay_out(o, graph);
  const int8::Report int8 = apply_int8(o, {samples.calibration, {}}, laid_out);
  const auto rounded = round_to_esb(o, {samples.calibration, {}}, laid_out);
  append(source.notes, int8.notes);
  append(result.warnings, int8.warnings);
  lowbit::Report low_bits;
  if (o.low_bits) low_bits = take(lowbit::streamline(laid_out), o.model);
  // What the file means: with bytes, the graph as it is laid out now.
  const bool bytes = o.int8 || o.esb || !low_bits.layers.empty();
  const std::vector<eval::Tensor> want =
      take(eval::evaluate(bytes ? laid_out : graph, input), o.model);
  const double tolerance = std::max(o.tolerance, o.int8 ? kInt8Tolerance : low_bits.tolerance);
  if (!samples.golden.empty())
    info.golden = emit::Golden{floats_of(input), floats_of(want), static_cast<float>(tolerance)};

  Built built = write(o, laid_out, info);
  result.notes.insert(result.notes.begin(), source.notes.begin(), source.notes.end());
  append(result.notes, built.notes);
  result.file = std::move(built.file);
  result.sizes = std::move(built.sizes);

  if (!o.quiet)
    std::fputs((lattice::found_table(lattices) + int8_table(int8) + esb_table(rounded) +
                low_bits_table(low_bits))
                   .c_str(),
               stdout);
  const auto got = run_file(result.file, o.output.empty() ? "the converted file" : o.output, input);
  result.error = relative_error(got, want);
  if (!(result.error <= tolerance))
    throw ToolError(482, cat(o.model,
                             ": the converted file computes something else than the model: "
                             "relative error ",
                             result.error, ", allowed ", tolerance,
                             "; nothing was written, please report the model"));
  add_times(o, result);
  if (!test.truth.empty()) judge(o, original, samples, info, test, work.get(), result);
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
  if (!o.save_layers.empty()) io::check_writable(o.save_layers);
  const Converted result = convert(o);
  if (!o.dry_run) write_output(o, result);
  if (!o.save_layers.empty()) {
    io::OutputFile layers(o.save_layers);
    layers.write(result.search.layers);
    layers.commit();
  }
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
  std::fputs(points_text(result.points).c_str(), stdout);
  if (o.dry_run)
    std::puts("planned (--dry-run): nothing was computed or written");
  else
    std::printf("%s; relative error of its outputs against the model's %.1e\n", o.output.c_str(),
                result.error);
  return io::kDone;
}

}  // namespace qrt::cli
