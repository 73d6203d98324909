// The report of a conversion: one HTML file without scripts that loads nothing,
// from anywhere. Sizes, errors and times layer by layer; accuracy against size
// where labelled data was given.
#ifndef QRT_CONVERTER_CLI_REPORT_H_
#define QRT_CONVERTER_CLI_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "converter/cli/accuracy.h"

namespace qrt::cli {

struct ReportLayer {
  std::string name, encoding;
  std::string why_not;  // a method was asked for and left the layer dense
  int64_t outputs = 0, inputs = 0;
  uint64_t bytes = 0;  // of its weights in the file
  double bits_per_weight = 0;
  // Of coded layers: the share of the layer's output energy that is lost, and the signal-to-noise
  // ratio of its weights.
  std::optional<double> output_error, weight_snr_db;
  // Of one run on this CPU, batch 1, one thread: as stored, and decoded to dense f32.
  std::optional<double> ms, dense_ms;
};

// One conversion in the plot of accuracy against size.
struct ReportPoint {
  std::string setting;
  uint64_t bytes = 0;
  Accuracy accuracy;
  bool is_this = false;   // the conversion that the report is about
  bool is_float = false;  // the model as it came; bytes are those of its weights in f32
  // Scores against those of the float model: |y - y'| / |y| over all rows, Euclidean lengths.
  std::optional<double> output_error = {};
  std::string series = {};  // points of one name are joined; empty: the line of this conversion
  std::string mark = {};    // what the plot shows beside the point; empty: its setting
};

struct ReportData {
  std::string model, output, tool, method, options, cpu;
  std::string model_sha256, file_sha256;
  uint64_t file_bytes = 0, weights = 0;
  double relative_error = 0;  // of libqrt's outputs against what the compressed graph means
  std::vector<ReportLayer> layers;
  std::vector<ReportPoint> points;  // empty without labelled data
  std::vector<std::string> warnings, notes;
};

std::string html_report(const ReportData&);

// Text for HTML: & < > " ' are escaped, control characters become '?'.
std::string escaped(std::string_view text);

// Accuracy against size as an inline SVG picture; "" without points.
std::string accuracy_plot(const std::vector<ReportPoint>& points);

// "1.63 MB", "812 bytes": powers of ten.
std::string bytes_text(uint64_t bytes);

// At most `most` round numbers within [from, to], a step of 1, 2 or 5 times a power of ten apart.
std::vector<double> round_steps(double from, double to, int most);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_REPORT_H_
