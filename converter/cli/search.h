// --target-size and --max-drop: settings per layer that fit a size, or the smallest
// file that loses no more than allowed. The method measures the layers; here
// their allocations are turned into whole files, and those are judged.
#ifndef QRT_CONVERTER_CLI_SEARCH_H_
#define QRT_CONVERTER_CLI_SEARCH_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "converter/cli/accuracy.h"
#include "converter/cli/options.h"
#include "converter/ir/graph.h"
#include "converter/quant/method.h"

namespace qrt::cli {

// What the search may ask for. All refer to the same source graph.
struct SearchSteps {
  // Bytes of the file that these options of the method lead to, by placeholders.
  std::function<uint64_t(const quant::MethodOptions&)> size_of;
  // The whole conversion with these options of the method: the file's bytes.
  std::function<std::vector<uint8_t>(const quant::MethodOptions&)> build;
  // Accuracy of a file and of the network as it is; empty where there is no labelled data.
  std::function<Accuracy(const std::vector<uint8_t>&)> judge;
  std::function<Accuracy()> judge_float;
};

// One file that was tried.
struct SearchPoint {
  uint64_t bytes = 0;
  Accuracy accuracy;  // of no rows where nothing was judged
};

struct SearchResult {
  quant::MethodOptions options;    // that give the file, "layers" among them
  std::string layers;              // those rules alone, as a file for --layers
  std::vector<SearchPoint> curve;  // in the order they were tried
  std::vector<std::string> notes;
};

// Throws ToolError with the code of the stage that refused, 739 where the target is below the
// smallest file there is, 740 where every file loses more than allowed.
SearchResult search_settings(const ConvertOptions&, const ir::Graph&, const quant::CalibrationData&,
                             const SearchSteps&);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_SEARCH_H_
