// qrt-convert's options, and which of them contradict each other.
#include "converter/cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "converter/base/file.h"
#include "converter/cli/curve.h"
#include "converter/quant/method.h"
#include "qrt.h"
#include "runtime/tools/io/arguments.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/preprocess.h"

namespace qrt::cli {
namespace {

using io::ToolError;

[[noreturn]] void refuse(const std::string& what) {
  throw ToolError(480, "command line: " + what + "; see 'qrt-convert --help'");
}

// The path of "NAME=PATH" or "PATH".
std::string path_of(const std::string& text) {
  return text.substr(text.find('=') + 1);
}

// What a search decides cannot be decided beforehand, and it needs data to decide by.
void check_search(const ConvertOptions& o) {
  if (!o.searches()) {
    if (!o.save_layers.empty())
      refuse("--save-layers writes what --target-size or --max-drop chose; give one of them");
    return;
  }
  const std::string option = o.target_size > 0 ? "--target-size" : "--max-drop";
  if (o.target_size > 0 && o.max_drop >= 0)
    refuse("--target-size and --max-drop each decide the size; give one of them");
  if (o.method.empty()) refuse(option + " chooses settings of a method; add --method pq");
  if (o.calibrate.empty())
    refuse(option + " compares settings on sample inputs; give them with --calibrate");
  if (o.dry_run)
    refuse(option +
           " must code layers to compare them, which --dry-run does not; give one of them");
  if (o.max_drop >= 0 && o.truth.empty())
    refuse("--max-drop measures accuracy; give labelled samples with --test and --truth");
  for (const auto& [key, value] : o.method_options) {
    const bool chosen = key.starts_with("block_") || key.starts_with("centroids_") ||
                        key == "books" || key == "bits" || (key == "activations" && value == "no");
    if (chosen)
      refuse("--" + o.method + " " + key + "=" + value + " contradicts " + option +
             ", which chooses it layer by layer; use --layers for single layers");
  }
}

void check_int8(const ConvertOptions& o) {
  if (o.esb && o.calibrate.empty())
    throw ToolError(760,
                    "--activations esb chooses the scales of activations on sample inputs; give "
                    "them with --calibrate FILE.npy or a folder of .npy or pictures");
  if (o.int8 && o.calibrate.empty())
    throw ToolError(760,
                    "--activations int8 chooses the scales of activations on sample inputs; give "
                    "them with --calibrate FILE.npy or a folder of .npy or pictures");
  const ConvertOptions plain;
  if (!o.int8 && (o.calibration != plain.calibration || o.first_last != plain.first_last ||
                  o.target != plain.target || o.max_loss != plain.max_loss))
    refuse(
        "--calibration, --first-last, --target and --max-loss are options of --activations int8; "
        "add it");
}

void check(const ConvertOptions& o, const std::string& layers) {
  if (o.output.empty() && !o.dry_run) refuse("no output is named; give -o OUT.qrt or --dry-run");
  std::vector<std::string> inputs = {o.model, o.weights, o.labels, o.truth, layers};
  for (const auto* list : {&o.calibrate, &o.golden, &o.test})
    for (const std::string& text : *list) inputs.insert(inputs.end(), {text, path_of(text)});
  for (const std::string& input : inputs) {
    if (!o.output.empty() && !input.empty() && io::same_file(input, o.output))
      refuse("-o " + o.output + " would overwrite the input " + input + "; name another file");
    if (!o.report.empty() && !input.empty() && io::same_file(input, o.report))
      refuse("--report " + o.report + " would overwrite the input " + input +
             "; name another file");
  }
  if (!o.report.empty() && (o.report == o.output || io::same_file(o.report, o.output)))
    refuse("--report and -o name the same file " + o.report + "; name another one");
  if (!o.curve.empty() && o.test.empty())
    refuse("--curve measures accuracy; give labelled samples with --test and --truth");
  if (!o.curve.empty() && o.dry_run)
    refuse("--curve converts and measures, which --dry-run does not; give one of them");
  if (o.test.empty() != o.truth.empty())
    refuse("--test and --truth belong together: rows and the class of each; give both");
  if (!layers.empty() && o.method.empty() && !o.int8 && o.curve.empty())
    refuse("--layers sets options of a method, but none is chosen; add --method pq");
  if (!o.save_layers.empty()) {
    inputs.push_back(o.output);
    inputs.push_back(o.report);
    for (const std::string& other : inputs)
      if (!other.empty() && (other == o.save_layers || io::same_file(other, o.save_layers)))
        refuse("--save-layers would overwrite " + other + "; name another file");
  }
  check_search(o);
  check_int8(o);
  if (!o.preprocess.empty()) io::parse_preprocessing(o.preprocess);
}

std::string short_number(double v) {
  std::ostringstream out;
  out << v;
  return out.str();
}

// What shaped the file, in a fixed order and without names of directories: files made by the same
// options from the same inputs are equal.
std::string record(const ConvertOptions& o) {
  std::ostringstream out;
  const auto add = [&](const std::string& word) {
    out << (out.tellp() == std::streampos(0) ? "" : " ") << word;
  };
  if (!o.method.empty()) add("--method " + o.method);
  for (const auto& [key, value] : o.method_options)
    add(key == "layers" ? "--layers sha256:" + sha256_hex(value.data(), value.size())
                        : "--" + o.method + " " + key + "=" + value);
  if (o.target_size > 0) add("--target-size " + std::to_string(o.target_size));
  if (o.max_drop >= 0) add("--max-drop " + short_number(o.max_drop));
  if (o.int8) add("--activations int8 --calibration " + o.calibration);
  if (o.esb)
    add("--activations esb:" + std::to_string(o.esb->bits) + "," + std::to_string(o.esb->fraction));
  if (o.method.empty() && o.int8 && !o.layers.empty())
    add("--layers sha256:" + sha256_hex(o.layers.data(), o.layers.size()));
  if (o.int8) add("--target " + o.target + " --max-loss " + short_number(o.max_loss));
  if (o.int8 && o.first_last != "int8") add("--first-last " + o.first_last);
  if ((!o.method.empty() || o.int8 || o.esb) && !o.calibrate.empty()) add("--calibrate");
  if (!o.lattice.on) add("--lattice off");
  if (o.lattice.tolerance > 0) add("--lattice " + short_number(o.lattice.tolerance));
  for (const auto& [name, dims] : o.shapes) {
    std::string text = "--shape " + name + "=";
    for (size_t i = 0; i < dims.size(); ++i)
      text += (i == 0 ? "" : ",") + (dims[i] < 0 ? "N" : std::to_string(dims[i]));
    add(text);
  }
  if (!o.preprocess.empty()) add("--preprocess " + o.preprocess);
  return out.str();
}

// Options of a method belong to no other.
void take_options(const std::string& method, const std::vector<std::string>& pairs,
                  ConvertOptions& o) {
  if (pairs.empty()) return;
  const std::string option = "--" + method;
  if (o.method != method)
    refuse(option + " sets options of --method " + method + ", but " +
           (o.method.empty() ? "no method" : "--method " + o.method) + " is chosen; add --method " +
           method + " or leave " + option + " out");
  o.method_options = parse_pairs(option.c_str(), pairs);
}

// f32, int8, esb (4 bits, 1 of them fraction) or esb:BITS,FRACTION.
void set_activations(const std::string& text, ConvertOptions& o) {
  o.int8 = text == "int8";
  if (text == "f32" || o.int8) return;
  quant::EsbFormat f;
  int end = 0;
  const bool named =
      text == "esb" || (std::sscanf(text.c_str(), "esb:%d,%d%n", &f.bits, &f.fraction, &end) == 2 &&
                        end == static_cast<int>(text.size()));
  if (!named) refuse("--activations " + text + " is none of f32, int8, esb and esb:BITS,FRACTION");
  if (const auto good = quant::check(f); !good.ok())
    throw ToolError(good.error().id, "--activations " + text + ": " + good.error().message);
  if (!o.low_bits)
    refuse("--activations esb makes integers of what it rounds; leave --no-lowbit away");
  o.esb = f;
}

void set_lattice(const std::string& text, ConvertOptions& o) {
  o.lattice.on = text != "off";
  if (text == "off" || text == "exact") return;
  char* end = nullptr;
  o.lattice.tolerance = std::strtod(text.c_str(), &end);
  if (*end != 0 || !(o.lattice.tolerance > 0 && o.lattice.tolerance <= 0.1))
    refuse("--lattice " + text + " is neither exact, off nor a number above 0 and up to 0.1");
}

std::string method_help() {
  std::string text;
  for (const quant::Method& m : quant::methods())
    text += std::string(text.empty() ? "" : "; ") + m.name + ", " + m.summary;
  return text;
}

}  // namespace

void add_shape(const std::string& text, std::map<std::string, std::vector<int64_t>>& shapes) {
  const size_t equals = text.rfind('=');
  const auto bad = [&](const std::string& why) {
    throw ToolError(481,
                    "--shape " + text + ": " + why +
                        "; write --shape NAME=1,3,224,224, the first dimension N to keep it free");
  };
  if (equals == std::string::npos || equals == 0) bad("there is no NAME=");
  std::vector<int64_t> dims;
  std::stringstream rest(text.substr(equals + 1));
  for (std::string word; std::getline(rest, word, ',');) {
    if (word == "N" && dims.empty()) {
      dims.push_back(-1);
      continue;
    }
    const bool digits = !word.empty() && word.size() <= 8 &&
                        word.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoll(word) < 1 || std::stoll(word) > (1 << 24))
      bad("dimension '" + word + "' is not a whole number from 1 to 16777216");
    dims.push_back(std::stoll(word));
  }
  if (dims.empty() || dims.size() > 6) bad("1 to 6 dimensions are needed");
  if (!shapes.emplace(text.substr(0, equals), dims).second) bad("the name is given twice");
}

std::map<std::string, std::string> parse_pairs(const char* option,
                                               const std::vector<std::string>& words) {
  std::map<std::string, std::string> out;
  for (const std::string& group : words) {
    std::stringstream parts(group);
    for (std::string pair; std::getline(parts, pair, ',');) {
      const size_t equals = pair.find('=');
      if (equals == std::string::npos || equals == 0)
        refuse(std::string(option) + " " + pair + " is not of the form key=value");
      if (!out.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second)
        refuse(std::string(option) + " " + pair.substr(0, equals) + " is given twice");
    }
  }
  return out;
}

uint64_t parse_bytes(const std::string& text) {
  const auto bad = [&](const char* why) {
    throw ToolError(484, "--target-size " + text + ": " + why +
                             "; write bytes as 600000, 600k, 1.5M, 512Ki or 2Mi");
  };
  size_t digits = 0;
  while (digits < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.'))
    ++digits;
  const std::string number = text.substr(0, digits);
  std::string unit = text.substr(digits);
  if (unit.size() > 1 && unit.back() == 'B') unit.pop_back();
  if (number.empty() || number.size() > 15 || std::count(number.begin(), number.end(), '.') > 1 ||
      number.front() == '.' || number.back() == '.')
    bad("it does not start with a number");
  double factor = 0;
  for (const auto& [name, value] : {std::pair("", 1.0),
                                    {"B", 1.0},
                                    {"k", 1e3},
                                    {"K", 1e3},
                                    {"M", 1e6},
                                    {"Ki", 1024.0},
                                    {"Mi", 1048576.0}})
    if (unit == name) factor = value;
  if (factor == 0) bad("its unit is unknown");
  const double bytes = std::strtod(number.c_str(), nullptr) * factor;
  if (!(bytes >= 1 && bytes <= 2147483647.0)) bad("it must be from 1 byte to 2 GiB");
  return static_cast<uint64_t>(bytes);
}

bool parse_command_line(int argc, char** argv, ConvertOptions& o) {
  CLI::App app("qrt-convert: ONNX models and PyTorch checkpoints to .qrt files", "qrt-convert");
  const uint32_t v = qrt_version();
  app.set_version_flag("--version", std::to_string(v >> 16) + "." + std::to_string(v >> 8 & 255) +
                                        "." + std::to_string(v & 255));
  const CLI::Validator finite(
      [](std::string& text) {
        const double limit = std::strtod(text.c_str(), nullptr);
        return std::isfinite(limit) ? std::string() : text + " is not a number to compare with";
      },
      "");
  std::map<std::string, std::vector<std::string>> words;  // for each method
  std::vector<std::string> shapes;
  std::string layers, target, activations = "f32", lattice = "exact";
  app.add_option("model", o.model, "The ONNX model")->required();
  app.add_option("-o,--output", o.output, "The .qrt file to write");
  app.add_option("--weights", o.weights, "A PyTorch checkpoint for the model's parameters");
  app.add_option("--method", o.method, "Compress dense layers: " + method_help());
  for (const quant::Method& m : quant::methods())
    app.add_option(std::string("--") + m.name, words[m.name],
                   std::string("Options of --method ") + m.name + " as key=value: " + m.options)
        ->allow_extra_args(true);
  app.add_option("--layers", layers, "Settings layer by layer: a JSON file, see docs/layers.md");
  app.add_option("--target-size", target,
                 "Choose settings per layer for a file of at most so many bytes (600k, 1.5M)");
  app.add_option("--max-drop", o.max_drop,
                 "Choose settings per layer that lose at most so many points of top-1 accuracy")
      ->check(CLI::Range(0.0, 100.0))
      ->check(finite);
  app.add_option("--save-layers", o.save_layers, "Write the chosen settings, as for --layers");
  app.add_option(
      "--activations", activations,
      "f32; int8: bytes from layer to layer, sums of integers; esb or "
      "esb:BITS,FRACTION: few values, a power of two times a short fraction, in front of "
      "layers with integer weights. All but f32 need --calibrate");
  app.add_option("--calibration", o.calibration,
                 "How int8 chooses ranges on the samples: mse, percentile or minmax")
      ->check(CLI::IsMember({"minmax", "percentile", "mse"}));
  app.add_option("--first-last", o.first_last,
                 "What the first and last layers of an int8 network compute in: int8 or f32")
      ->check(CLI::IsMember({"int8", "f32"}));
  app.add_option("--target", o.target,
                 "Machines that int8 codebooks may have rounded tables for: portable (all of "
                 "them), x86-vnni, x86-avx2, arm-dotprod or arm-baseline")
      ->check(CLI::IsMember({"portable", "x86-vnni", "x86-avx2", "arm-dotprod", "arm-baseline"}));
  app.add_option("--max-loss", o.max_loss,
                 "Per cent of output energy that rounded tables may cost; 0: exact sums only")
      ->check(CLI::Range(0.0, 100.0))
      ->check(finite);
  app.add_option(
      "--lattice", lattice,
      "Weights that lie on a grid, a table or a codebook already are stored as such: "
      "exact, off, or how far off they may be, as a part of the largest (0.001). Between "
      "quantizers, weights that miss a grid by a trainer's f32 roundings alone (2^-22 of "
      "each) count as exact, unless --no-lowbit");
  app.add_option("--calibrate", o.calibrate,
                 "Sample inputs: .npy, or a directory of .npy or pictures");
  app.add_option("--calibrate-rows", o.calibrate_rows, "At most so many samples")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app.add_option("--golden", o.golden, "An input to store with its output for self-checks");
  app.add_option("--shape", shapes, "NAME=1,3,224,224 fixes the dimensions of an input");
  app.add_option("--preprocess", o.preprocess, "imagenet, imagenet-crop, none or JSON");
  app.add_option("--labels", o.labels, "A text file, one class name per line");
  app.add_option("--tolerance", o.tolerance, "Relative error allowed in the check of the output")
      ->check(CLI::Range(0.0, 1.0))
      ->check(finite);
  app.add_option("--test", o.test, "Labelled samples to measure accuracy on, as --calibrate takes");
  app.add_option("--truth", o.truth,
                 "Their classes: one per line, or .csv with columns file, class");
  app.add_option("--test-rows", o.test_rows, "At most so many of them")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app.add_option(
      "--report", o.report,
      "An HTML report: size, error and time per layer; with --test accuracy against size");
  app.add_option("--report-points", o.report_points,
                 "With --test: so many other settings are converted for the plot, 0 to 4")
      ->check(CLI::Range(int64_t{0}, int64_t{4}));
  app.add_option("--curve", o.curve,
                 "With --test: accuracy over bytes of other methods, too, at several numbers of "
                 "bits: uniform, esb, alq, twn, bwn, or uniform=8+4+2");
  app.add_flag(
      "!--no-lowbit", o.low_bits,
      "Compute in f32 what the model rounds to grids, instead of in bytes, bits and integers");
  app.add_flag("--print-passes", o.print_passes, "The graph after every pass, to standard error");
  app.add_flag("--dry-run", o.dry_run,
               "Sizes and times per layer for this CPU; computes and writes nothing");
  app.add_flag("-q,--quiet", o.quiet, "No table, no notes");
  io::refuse_empty_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() != 0) refuse(e.what());
    app.exit(e);
    return false;
  }
  for (const auto& [method, pairs] : words) take_options(method, pairs, o);
  for (const std::string& text : shapes) add_shape(text, o.shapes);
  if (!target.empty()) o.target_size = parse_bytes(target);
  set_activations(activations, o);
  set_lattice(lattice, o);
  o.lattice.only_integers = o.int8;
  const bool no_low_bits = !o.low_bits;
  o.low_bits = o.low_bits && !o.int8;
  check(o, layers);
  if (!layers.empty()) {
    const std::vector<uint8_t> text = io::read_file(layers, uint64_t{1} << 20);
    o.layers.assign(text.begin(), text.end());
    if (!o.method.empty()) o.method_options["layers"] = o.layers;
  }
  curve_variants(o);  // refuses what it cannot mean
  o.command = record(o);
  if (no_low_bits) o.command += o.command.empty() ? "--no-lowbit" : " --no-lowbit";
  return true;
}

}  // namespace qrt::cli
