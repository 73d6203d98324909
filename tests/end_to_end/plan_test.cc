// What a conversion says before it starts, settings layer by layer, and searches for
// a size or an allowed loss, as a user types them.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "converter/cli/convert.h"
#include "runtime/tools/io/error.h"
#include "tests/support/command.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

std::string demo(const std::string& name) {
  return std::string(QRT_SOURCE_DIR) + "/examples/demo/" + name;
}

std::string file(const std::string& name, const std::string& text) {
  const std::string path = scratch(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

CommandResult convert(std::vector<std::string> words, const std::string& out) {
  words.insert(words.begin(), {command("qrt-convert"), demo("model.onnx"), "--method", "pq"});
  if (!out.empty()) words.insert(words.end(), {"-o", out});
  CommandResult r = run_command(words);
  CAPTURE(r.err);
  CHECK(r.signal == 0);
  return r;
}

const char* kPreprocess =
    R"({"scale": 0.00392156862745098, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})";

// Classes of the demo's pictures, which have them in their names: 000_disc.png.
std::string truth() {
  std::string text = "file,class\n";
  const std::string names = run_command({"ls", demo("images")}).out;
  for (size_t at = 0; at < names.size();) {
    const size_t end = names.find('\n', at);
    const std::string name = names.substr(at, end - at);
    const size_t line = name.find('_') + 1;
    text += name + "," + name.substr(line, name.rfind('.') - line) + "\n";
    at = end + 1;
  }
  return file("truth.csv", text);
}

// Leaves the last block and the classifier to a search, so that it does not take long.
const char* kMostLayers = R"({"layers": [
  {"match": "/blocks/blocks\\.[0-3]/.*", "centroids": 64}]})";

// A search is tested here, not how well layers are fitted afterwards.
const char* kQuick = "iterations=3,permute=0,rounds=1,reassign=no,refit=no,retarget=no";

size_t size_of(const std::string& path) {
  return read_text(path).size();
}

}  // namespace

TEST_CASE("dry run: the sizes it tells are those of the conversion") {
  for (const std::string rules :
       {R"({"default": {"iterations": 3}})",
        R"({"default": {"iterations": 3, "books": 2, "centroids": 16, "entries": "i8"},
            "layers": [{"match": "/fc/Gemm", "dense": true}]})"}) {
    for (const bool has_data : {false, true}) {
      CAPTURE(rules);
      CAPTURE(has_data);
      cli::ConvertOptions o;
      o.model = demo("model.onnx");
      o.method = "pq";
      o.method_options["layers"] = rules;
      o.method_options["rounds"] = "1";
      if (has_data) o.calibrate = {demo("calibration.npy")};
      o.calibrate_rows = 32;
      const cli::Converted real = cli::convert(o);
      o.dry_run = true;
      const cli::Converted planned = cli::convert(o);
      CHECK(planned.file.size() == real.file.size());
      REQUIRE(planned.sizes.layers.size() == real.sizes.layers.size());
      for (size_t i = 0; i < real.sizes.layers.size(); ++i) {
        const auto &p = planned.sizes.layers[i], &r = real.sizes.layers[i];
        CHECK(p.layer == r.layer);
        CHECK(p.encoding == r.encoding);
        CHECK(p.weight_bytes() == r.weight_bytes());
      }
      REQUIRE(planned.times.size() == real.times.size());
      for (size_t i = 0; i < real.times.size(); ++i)  // the same kernels will run
        CHECK(planned.times[i].kernel == real.times[i].kernel);
    }
  }
}

TEST_CASE("dry run: planes are shared among layers as the conversion shares them") {
  for (const char* groups : {"pixel", "channel", "kernel"})
    for (const bool has_data : {false, true}) {
      CAPTURE(std::string(groups));
      CAPTURE(has_data);
      cli::ConvertOptions o;
      o.model = demo("model.onnx");
      o.method = "alq";
      o.method_options = {{"bits", "2"}, {"groups", groups}};
      if (has_data) o.calibrate = {demo("calibration.npy")};
      o.calibrate_rows = 32;
      const cli::Converted real = cli::convert(o);
      o.dry_run = true;
      const cli::Converted planned = cli::convert(o);
      const auto size = [](const cli::Converted& c) { return static_cast<double>(c.file.size()); };
      CHECK(std::fabs(size(planned) / size(real) - 1) < (has_data ? 0.02 : 0.01));
      for (size_t i = 0; !has_data && i < real.sizes.layers.size(); ++i) {
        const auto &p = planned.sizes.layers[i], &r = real.sizes.layers[i];
        CAPTURE(p.layer);
        CHECK(std::fabs(p.bits_per_weight() / r.bits_per_weight() - 1) < 0.02);
      }
    }
}

TEST_CASE("dry run: writes nothing, computes nothing, and checks a sample of the data") {
  const std::string out = scratch("planned.qrt");
  const CommandResult r = convert({"--dry-run"}, out);
  CHECK(r.code == 0);
  CHECK_FALSE(exists(out));
  CHECK_FALSE(exists(out + ".work"));
  CHECK(r.out.find("dense ms") != std::string::npos);
  CHECK(r.out.find("nothing was computed or written") != std::string::npos);
  CHECK(r.err.find("stays dense: the first convolution") != std::string::npos);
  CHECK(convert({"--dry-run", "--calibrate", "/no/such"}, "").code == 2);
  CHECK(convert({"--dry-run", "--calibrate", demo("calibration.npy")}, "").code == 0);
}

TEST_CASE("layers: rules reach the file, unused ones are told") {
  const std::string out = scratch("ruled.qrt");
  const std::string rules = file("rules.json", R"({"layers": [
    {"match": "/blocks/blocks\\.[01]/.*", "block": 9, "centroids": 16},
    {"match": "/fc/Gemm", "dense": true},
    {"match": "/blocks/block0/conv1", "block": 4}]})");
  const CommandResult r = convert({"--layers", rules, "--pq", "iterations=3"}, out);
  REQUIRE(r.code == 0);
  CHECK(r.out.find("codebook 16 x 9") != std::string::npos);
  CHECK(r.err.find("/fc/Gemm stays dense: a rule of --layers") != std::string::npos);
  CHECK(r.err.find("warning: --layers: rule 3 ('/blocks/block0/conv1') matched none") !=
        std::string::npos);
  const CommandResult seen = run_command({command("qrt"), "inspect", out});
  CHECK(seen.out.find("--layers sha256:") != std::string::npos);
}

TEST_CASE("layers: an expression that invites backtracking is matched all the same") {
  const std::string rules =
      file("backtrack.json", R"({"layers": [{"match": "(([a-z0-9/._]+)+)+X", "block": 3}]})");
  const CommandResult r = convert({"--dry-run", "--layers", rules}, "");
  CHECK(r.code == 0);
  CHECK(r.err.find("matched none") != std::string::npos);
}

TEST_CASE("numbers to compare with are numbers") {
  for (const char* option : {"--max-drop", "--tolerance"}) {
    const CommandResult r = convert({"--dry-run", option, "nan"}, "");
    CHECK(r.code == 2);
    CHECK(r.err.find("nan is not a number to compare with") != std::string::npos);
  }
}

TEST_CASE("sizes: every way to write bytes, and what is none") {
  CHECK(cli::parse_bytes("600000") == 600000);
  CHECK(cli::parse_bytes("600k") == 600000);
  CHECK(cli::parse_bytes("1.5M") == 1500000);
  CHECK(cli::parse_bytes("2MiB") == 2097152);
  CHECK(cli::parse_bytes("512Ki") == 524288);
  CHECK(cli::parse_bytes("1kB") == 1000);
  CHECK(cli::parse_bytes("7B") == 7);
  for (const char* bad : {"", "k", "0", "-1", "1.2.3M", ".5M", "5.M", "1G", "1 k", "0x10", "1e6",
                          "9999999999", "99999999999999999999", "nan"}) {
    CAPTURE(bad);
    try {
      cli::parse_bytes(bad);
      FAIL("accepted");
    } catch (const io::ToolError& e) {
      CHECK(e.id() == 484);
    }
  }
}

TEST_CASE("data: samples that are not finite are refused, poor ones told") {
  const auto npy = [](const std::string& name, int rows, float value, float first) {
    const std::string head = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                             std::to_string(rows) + ", 3, 32, 32)}";
    std::vector<float> data(static_cast<size_t>(rows) * 3072, value);
    data[3072] = first;  // the second sample
    return file(name, std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(head.size()) + '\0' +
                          head +
                          std::string(reinterpret_cast<const char*>(data.data()), data.size() * 4));
  };
  const std::string out = scratch("poor.qrt");
  const CommandResult nan =
      convert({"--calibrate", npy("nan.npy", 3, 0.5f, __builtin_nanf(""))}, out);
  CHECK(nan.code == 2);
  CHECK(nan.err.find("--calibrate: sample 1 for input '") != std::string::npos);
  CHECK(nan.err.find("' holds nan; samples must be finite") != std::string::npos);
  CHECK(nan.err.find("QRT-E0487") != std::string::npos);
  CHECK_FALSE(exists(out));
  const CommandResult flat =
      convert({"--calibrate", npy("flat.npy", 3, 0.5f, 0.5f), "--pq", "iterations=1"}, out);
  CHECK(flat.code == 0);
  CHECK(flat.err.find("warning: --calibrate: 3 samples are few") != std::string::npos);
  CHECK(flat.err.find("warning: --calibrate: all values for input '") != std::string::npos);
  CHECK(flat.err.find("' are 0.5; nothing can be learned") != std::string::npos);
}

TEST_SUITE_BEGIN("long");

TEST_CASE("target size: the file fits, and its saved settings give it again") {
  const std::string out = scratch("fit.qrt"), again = scratch("again.qrt"),
                    saved = scratch("saved.json");
  const std::vector<std::string> data = {
      "--calibrate", demo("calibration.npy"), "--calibrate-rows", "32", "--pq", kQuick};
  const std::string rules = file("most.json", kMostLayers);
  std::vector<std::string> words = data;
  words.insert(words.end(), {"--layers", rules, "--target-size", "100k", "--save-layers", saved});
  const CommandResult r = convert(words, out);
  REQUIRE(r.code == 0);
  CHECK(size_of(out) <= 100000);
  CHECK(size_of(out) > 85000);  // bytes that were allowed are used
  words = data;
  words.insert(words.end(), {"--layers", saved});
  REQUIRE(convert(words, again).code == 0);
  // All but the record of the options is the same.
  const auto table = [](const std::string& path) {
    const std::string text = run_command({command("qrt"), "inspect", path}).out;
    return text.substr(text.find("\nlayer "), text.find("\nbytes of") - text.find("\nlayer "));
  };
  CHECK(table(out) == table(again));
  const auto run = [](const std::string& path) {
    const std::string y = scratch("fit.npy");
    REQUIRE(run_command(
                {command("qrt"), "run", path, "--input", demo("calibration.npy"), "--output", y})
                .code == 0);
    return read_text(y);
  };
  CHECK(run(out) == run(again));
}

TEST_CASE("target size: a search keeps to rules, and refuses what cannot be") {
  const std::string out = scratch("pinned.qrt");
  const std::string rules =
      file("pin.json", R"({"layers": [{"match": "/fc/Gemm", "block": 4, "centroids": 8},
                                      {"match": ".*blocks\\.[0-3]/.*", "dense": true}]})");
  const std::vector<std::string> data = {"--calibrate", demo("calibration.npy"), "--layers", rules,
                                         "--pq",        "iterations=3"};
  std::vector<std::string> words = data;
  words.insert(words.end(), {"--target-size", "400000"});
  const CommandResult r = convert(words, out);
  REQUIRE(r.code == 0);
  CHECK(size_of(out) <= 400000);
  CHECK(r.out.find("codebook 8 x 4") != std::string::npos);
  CHECK(r.err.find("blocks.0/conv1/Conv stays dense: a rule of --layers") != std::string::npos);
  words = data;
  words.insert(words.end(), {"--target-size", "10k"});
  const std::string none = scratch("none.qrt");
  const CommandResult small = convert(words, none);
  CHECK(small.code == 2);
  CHECK(small.err.find("QRT-E0739") != std::string::npos);
  CHECK_FALSE(exists(none));
}

TEST_CASE("max drop: the smallest file found loses no more than allowed") {
  const std::string out = scratch("drop.qrt");
  const CommandResult r = convert({"--calibrate", demo("calibration.npy"), "--pq", "iterations=5",
                                   "--max-drop", "2", "--test", demo("images"), "--truth", truth(),
                                   "--labels", demo("labels.txt"), "--preprocess", kPreprocess},
                                  out);
  REQUIRE(r.code == 0);
  const auto top1 = [&](const std::string& what) {
    const size_t at = r.out.find("top-1 ", r.out.find(what));
    REQUIRE(at != std::string::npos);
    return std::stod(r.out.substr(at + 6));
  };
  CHECK(top1("float model: ") > 80);
  CHECK(top1("float model: ") - top1("this file: ") <= 2);
  CHECK(r.err.find("note: searched: ") != std::string::npos);
  CHECK(size_of(out) < 225096 * 4 / 6);
}

TEST_SUITE_END();
