// What qrt-verify found, as text and as JSON.
#ifndef QRT_CONVERTER_TOOLS_VERIFY_REPORT_H_
#define QRT_CONVERTER_TOOLS_VERIFY_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "converter/cli/accuracy.h"
#include "converter/tools/verify_layers.h"

namespace qrt::verify {

// Both networks as classifiers. `agree`: rows to which both give the same first class.
struct Classes {
  int64_t rows = 0, agree = 0;
  bool has_truth = false;
  cli::Accuracy model, file;  // the ONNX model in the interpreter; the file in libqrt
};

struct Report {
  std::string model, file;
  double tolerance = 0;
  int64_t rows = 0;                // that layers and outputs were compared on
  int64_t probe_rows = 0;          // that each layer was tried alone on
  std::vector<LayerError> layers;  // worst first
  ErrorSum outputs;                // libqrt's against the float model's
  ErrorSum engine;                 // libqrt's against the interpreter's, on the same weights
  std::optional<Classes> classes;  // where output 0 ranks classes
  bool within = false;
};

// The layer that costs most: compressed alone it moves the outputs further than any other.
struct Culprit {
  size_t layer = 0;  // index into Report::layers
  double rms = 0;    // of the outputs' error
  double share = 0;  // of the sum of squares over all layers, in (0, 1]
};
std::optional<Culprit> culprit(const Report&);  // none where nothing that is compressed errs

// Layers whose compression alone moves the outputs furthest stand first; where that was not
// measured, those with the largest isolated error.
void sort_worst_first(std::vector<LayerError>&);

std::string to_text(const Report&);
std::string to_json(const Report&);

}  // namespace qrt::verify

#endif  // QRT_CONVERTER_TOOLS_VERIFY_REPORT_H_
