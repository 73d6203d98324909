// The pipeline behind qrt-convert: import, checkpoint, passes, method, passes,
// emit, check, write. Each stage is somebody else's; this is their order.
#ifndef QRT_CONVERTER_CLI_CONVERT_H_
#define QRT_CONVERTER_CLI_CONVERT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "converter/cli/options.h"
#include "converter/cli/predict.h"
#include "converter/cli/report.h"
#include "converter/cli/search.h"
#include "converter/cli/work_file.h"
#include "converter/emit/emit.h"
#include "converter/int8/int8.h"
#include "converter/ir/graph.h"
#include "converter/quant/method.h"

namespace qrt::cli {

// A model on its way: the graph that evaluate() understands (images NCHW) and what is known of it.
struct Source {
  ir::Graph graph;
  std::string model_sha256, weights_sha256;
  std::vector<std::string> notes;
};

// Imports, sets a checkpoint's weights (`weights` may be empty) and runs the prepare passes, with
// `low_bits` after those that find thresholds behind layers of integers.
// Throws ToolError with the code of the stage that refused.
Source load_source(const std::string& model, const std::string& weights,
                   const std::map<std::string, std::vector<int64_t>>& shapes, bool print_passes,
                   bool low_bits = true);

struct Converted {
  std::vector<uint8_t> file;
  emit::SizeReport sizes;
  double error = 0;                          // of the file's outputs against what the graph means
  std::vector<std::string> notes, warnings;  // warnings: the result may not be what was wanted
  std::vector<LayerTime> times;              // on this CPU; empty where nobody will see them
  std::vector<quant::LayerReport> layers;    // of the method, where one was asked for
  std::vector<ReportPoint> points;           // with --test: the float model, this file, variants
  SearchResult search;                       // of --target-size and --max-drop, else empty
  emit::FileInfo info;
  std::unique_ptr<WorkFile> work;  // of a method's run; discard() it once `file` is safe
};

// Everything but writing the output. Throws ToolError 482 when libqrt's outputs differ from the
// graph's, 492 and 493 of the work file. A refusal leaves no work file behind, an interruption
// does. A dry run codes nothing: the file holds placeholders of the planned sizes, `error` is 0.
Converted convert(const ConvertOptions&);

// What the HTML report shows of a conversion.
ReportData report_data(const ConvertOptions&, const Converted&);

// convert(), then the file, atomically, then the table.
int convert_main(const ConvertOptions&);

// The table that qrt-convert prints: layer, shape, encoding, bits per weight, bytes; totals. With
// times: milliseconds as stored and with dense f32 weights, everything without weights in one line.
std::string size_table(const emit::SizeReport&, const std::vector<LayerTime>& times = {});

// A line per point: bytes, accuracy, and how far the scores are from the float model's.
std::string points_text(const std::vector<ReportPoint>&);

// What --activations int8 made of each layer of integers: levels, signal to noise, contract and
// why.
std::string int8_table(const int8::Report&);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_CONVERT_H_
