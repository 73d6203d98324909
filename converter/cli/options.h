// The command line of qrt-convert as a struct, checked for contradictions.
#ifndef QRT_CONVERTER_CLI_OPTIONS_H_
#define QRT_CONVERTER_CLI_OPTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "converter/lattice/lattice.h"
#include "converter/quant/esb_values.h"

namespace qrt::cli {

struct ConvertOptions {
  std::string model, weights, output;
  std::string method;                                 // empty: what is dense stays dense
  std::map<std::string, std::string> method_options;  // --pq key=value ..., text of --layers
  std::vector<std::string> calibrate, golden;
  int64_t calibrate_rows = 256;
  std::map<std::string, std::vector<int64_t>> shapes;
  std::string preprocess, labels;
  std::vector<std::string> test;  // labelled rows, for accuracy only
  std::string truth, report;      // their classes; the HTML file to write
  int64_t test_rows = 1 << 20, report_points = 4;
  std::vector<std::string> curve;  // methods measured beside this conversion: curve.h
  std::string save_layers;         // where to write what a search chose
  uint64_t target_size = 0;        // bytes of the file at most; 0: not asked for
  double max_drop = -1;            // points of top-1 accuracy at most; negative: not asked for
  bool searches() const { return target_size > 0 || max_drop >= 0; }
  std::string layers;                   // the text of --layers
  bool int8 = false;                    // --activations int8
  std::optional<quant::EsbFormat> esb;  // --activations esb
  bool low_bits = true;                 // what the model rounds to a grid becomes bytes and bits
  std::string calibration = "mse";      // how their ranges are chosen
  std::string first_last = "int8";      // what the first and last layers compute in
  std::string target = "portable";      // machines that contracts are chosen for
  double max_loss = 0.3;                // per cent of output energy that rounded tables may cost
  double tolerance = 1e-4;
  lattice::Options lattice;  // --lattice
  bool print_passes = false, dry_run = false, quiet = false;
  std::string command;  // the options that shape the file, for its provenance record
};

// Throws ToolError 480 on anything wrong; false when only help or the version was asked for (and
// printed).
bool parse_command_line(int argc, char** argv, ConvertOptions&);

// "name=1,3,224,224"; a first dimension "N" stays free. Throws ToolError 481.
void add_shape(const std::string& text, std::map<std::string, std::vector<int64_t>>& shapes);

// "600000", "600k", "1.5M", "512Ki", "2MiB", with or without a B: bytes. Throws ToolError 484.
uint64_t parse_bytes(const std::string& text);

// "key=value" words, separated by spaces or commas. Throws ToolError 480.
std::map<std::string, std::string> parse_pairs(const char* option,
                                               const std::vector<std::string>& words);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_OPTIONS_H_
