// qrt-verify with folders and labels, and what it is made of: label files, hits,
// the culprit layer.
#include <doctest/doctest.h>

#include <cmath>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "converter/cli/accuracy.h"
#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/cli/low_bits.h"
#include "converter/tools/verify_layers.h"
#include "converter/tools/verify_report.h"
#include "runtime/tools/io/error.h"
#include "tests/support/command.h"
#include "tests/support/onnx_builder.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

std::string demo(const std::string& name) {
  return std::string(QRT_SOURCE_DIR) + "/examples/demo/" + name;
}

std::string file(const std::string& name, const std::string& bytes) {
  const std::string path = scratch(name);
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

const char* kPreprocess =
    R"({"scale": 0.00392156862745098, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})";

// Every layer of the demo that a codebook would be made for.
const std::vector<std::string>& coded_layers() {
  static const std::vector<std::string> all = {"/blocks/blocks.0/conv1/Conv",
                                               "/blocks/blocks.0/conv2/Conv",
                                               "/blocks/blocks.1/conv1/Conv",
                                               "/blocks/blocks.1/conv2/Conv",
                                               "/blocks/blocks.2/conv1/Conv",
                                               "/blocks/blocks.2/conv2/Conv",
                                               "/blocks/blocks.2/short/short.0/Conv",
                                               "/blocks/blocks.3/conv1/Conv",
                                               "/blocks/blocks.3/conv2/Conv",
                                               "/blocks/blocks.4/conv1/Conv",
                                               "/blocks/blocks.4/conv2/Conv",
                                               "/blocks/blocks.4/short/short.0/Conv",
                                               "/fc/Gemm"};
  return all;
}

// The demo with `dense` left as it is.
std::string converted(const std::string& name, const std::vector<std::string>& dense,
                      const char* more = "") {
  const std::string out = scratch(name);
  std::string skip = "skip=first";
  for (const std::string& layer : dense) skip += "+" + layer;
  const CommandResult r = run_command(
      {command("qrt-convert"), demo("model.onnx"), "--preprocess", kPreprocess, "--labels",
       demo("labels.txt"), "--method", "pq", "--calibrate", demo("calibration.npy"), "--pq",
       "block_3x3=9,centroids_fc=64," + skip + more, "-q", "-o", out});
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  return out;
}

CommandResult verify(const std::string& qrt, const std::vector<std::string>& more) {
  std::vector<std::string> words = {command("qrt-verify"), demo("model.onnx"), qrt, "--json"};
  words.insert(words.end(), more.begin(), more.end());
  return run_command(words);
}

TEST_CASE("verify: a folder of pictures with labels gives top-1 and top-5 of both") {
  const std::string qrt = converted("labelled.qrt", {});
  const CommandResult r = verify(qrt, {"-i", demo("images"), "--preprocess", kPreprocess, "--truth",
                                       demo("truth.csv"), "--tolerance", "1e9"});
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  const auto classes = nlohmann::json::parse(r.out)["classes"];
  CHECK(classes["rows"] == 300);
  // The same file counted another way: what qrt run prints against the names of the pictures.
  std::istringstream lines(
      run_command({command("qrt"), "run", qrt, "--image", demo("images"), "--top", "5", "--csv"})
          .out);
  int top1 = 0, top5 = 0;
  std::string line;
  std::getline(lines, line);  // the head: file,class1,score1,label1,class2,...
  while (std::getline(lines, line)) {
    std::vector<std::string> cells;
    std::istringstream words(line);
    for (std::string cell; std::getline(words, cell, ',');) cells.push_back(cell);
    REQUIRE(cells.size() == 16);
    for (size_t rank = 0; rank < 5; ++rank) {
      const bool hit = cells[0].find("_" + cells[3 + 3 * rank] + ".") != std::string::npos;
      top1 += hit && rank == 0;
      top5 += hit;
    }
  }
  CHECK(classes["file"]["top1"] == top1);
  CHECK(classes["file"]["top5"] == top5);
  CHECK(classes["model"]["top1"] > 290);  // 98.65 % by its own training script
  CHECK(classes["model"]["top5"] >= classes["model"]["top1"]);
  CHECK(classes["agree"] <= 300);
  CHECK(classes["agree"] >= top1 + classes["model"]["top1"].get<int>() - 300);
}

TEST_CASE("verify: bits per weight are those of the file in every encoding") {
  const std::string qrt = scratch("bits.qrt"), name = "/blocks/blocks.4/conv2/Conv";
  const size_t inputs = 96 * 9;
  for (const auto& [method, options, bits] :
       {std::tuple<const char*, const char*, double>{"uniform", "bits=4", 4},
        {"esb", "bits=5", 5},
        {"twn", "fit=yes", 8.0 / 5},
        {"bwn", "fit=yes", 1},
        {"alq", "bits=2,planes=2,groups=channel", 2}}) {
    CAPTURE(std::string(method));
    const CommandResult c = run_command({command("qrt-convert"), demo("model.onnx"), "--method",
                                         method, std::string("--") + method, options, "-o", qrt});
    REQUIRE_MESSAGE(c.code == 0, c.err);
    const CommandResult r =
        verify(qrt, {"-i", demo("calibration.npy"), "--rows", "2", "--tolerance", "1e9"});
    REQUIRE_MESSAGE(r.code == 0, r.err);
    double found = 0;
    const auto tree = nlohmann::json::parse(r.out);
    for (const auto& l : tree["layers"])
      if (l["name"] == name) found = l["bits_per_weight"];
    CHECK(found >= bits);
    CHECK(found <= bits + 256.0 / inputs);  // scales, zero points, counts
    // The same as the converter's own table has.
    const size_t at = c.out.find(name);
    REQUIRE(at != std::string::npos);
    std::ostringstream text;
    text << std::fixed << std::setprecision(3) << found;
    CHECK(c.out.substr(at, c.out.find('\n', at) - at).find(" " + text.str() + " ") !=
          std::string::npos);
  }
}

TEST_CASE("tables and sentences hold names of any length") {
  const std::string name(700, 'n');
  quant::EsbFormat format{4, 1};
  const std::string esb = cli::esb_table({{name, format, true, 0.5f, 0.01}});
  CHECK(esb.find(name + " +-8 values to 6, 20.0 dB\n") != std::string::npos);
  int8::Report bytes;
  bytes.fit.layers.push_back({name, "dense", 1, 0, 0, 0, 0, "why", 30, 20});
  CHECK(cli::int8_table(bytes).find("output  20.0 dB, why\n") != std::string::npos);
  const std::string found = lattice::found_table({{name, "ternary", 4, 100, 1600, 100}});
  CHECK(found.find(name) != std::string::npos);
  CHECK(found.find("1600 -> 100 bytes\n") != std::string::npos);
  verify::Report report;
  verify::LayerError layer;
  layer.name = name, layer.encoding = "table";
  layer.outputs.add(std::vector<float>{2}, std::vector<float>{1});
  report.layers.push_back(layer);
  CHECK(verify::to_text(report).find(name + " (table): compressed alone it changes") !=
        std::string::npos);
  CHECK(verify::to_text(report).find("gain most\n") != std::string::npos);
}

TEST_CASE("verify: the demo is ten times smaller for less than a point") {
  const std::string out = scratch("ten.qrt");
  REQUIRE(
      run_command({command("qrt-convert"), demo("model.onnx"), "--preprocess", kPreprocess,
                   "--labels", demo("labels.txt"), "--method", "pq", "--calibrate",
                   demo("calibration.npy"), "--pq", "block_3x3=6,centroids_fc=64", "-q", "-o", out})
          .code == 0);
  const auto tree = nlohmann::json::parse(
      verify(out, {"-i", demo("images"), "--preprocess", kPreprocess, "--truth", demo("truth.csv"),
                   "--layer-rows", "2", "--probe-rows", "0", "--tolerance", "1e9"})
          .out);
  CHECK(10 * read_text(out).size() <= read_text(demo("model.onnx")).size());
  const int model = tree["classes"]["model"]["top1"], file = tree["classes"]["file"]["top1"];
  CHECK(tree["classes"]["rows"] == 300);
  CHECK(model - file <= 3);  // of 300: one point
}

TEST_CASE("verify: labels in the order of rows, and without labels only agreement") {
  const std::string qrt = converted("labelled.qrt", {});
  std::string lines;
  for (int i = 0; i < 64; ++i) lines += std::to_string(i % 10) + "\n";
  const auto with = nlohmann::json::parse(
      verify(qrt, {"-i", demo("calibration.npy"), "--truth", file("order.txt", lines),
                   "--tolerance", "1e9", "--layer-rows", "2"})
          .out);
  CHECK(with["rows"] == 2);
  CHECK(with["classes"]["rows"] == 64);
  CHECK(with["classes"].contains("model"));
  const auto without = nlohmann::json::parse(
      verify(qrt, {"-i", demo("calibration.npy"), "--rows", "7", "--tolerance", "1e9"}).out);
  CHECK(without["classes"]["rows"] == 7);
  CHECK_FALSE(without["classes"].contains("model"));
  CHECK(without["probe_rows"] == 4);
}

TEST_CASE("verify: the culprit is named") {
  // One layer coded, and (without data) nothing repaired around it: nobody else can be it.
  const std::string culprit = "/blocks/blocks.3/conv2/Conv";
  std::vector<std::string> others;
  for (const std::string& layer : coded_layers())
    if (layer != culprit) others.push_back(layer);
  const auto one = nlohmann::json::parse(verify(converted("one.qrt", others, ",activations=no"),
                                                {"-i", demo("calibration.npy"), "--rows", "4"})
                                             .out);
  CHECK(one["culprit"]["layer"] == culprit);
  CHECK(one["culprit"]["share"] == 1.0);
  // Alone in the network is what the network is: the same outputs, the same error.
  const auto& first = one["layers"][0];
  CHECK(first["name"] == culprit);
  CHECK(first["outputs"]["relative"].get<double>() ==
        doctest::Approx(one["outputs"]["relative"].get<double>()).epsilon(1e-4));
  CHECK(first["isolated"]["rms"].get<double>() ==
        doctest::Approx(first["accumulated"]["rms"].get<double>()).epsilon(1e-6));
  // A layer coded far worse than the rest is it.
  const auto all = nlohmann::json::parse(
      verify(converted("labelled.qrt", {}), {"-i", demo("calibration.npy"), "--rows", "4"}).out);
  double most = 0;
  for (const auto& layer : all["layers"])
    most = std::max(most, layer["outputs"]["rms"].get<double>());
  CHECK(all["culprit"]["outputs_rms"] == most);
  CHECK(all["culprit"]["layer"] == all["layers"][0]["name"]);
  CHECK(all["culprit"]["share"] < 1);
  const CommandResult text =
      run_command({command("qrt-verify"), demo("model.onnx"), scratch("one.qrt"), "-i",
                   demo("calibration.npy"), "--rows", "2", "--tolerance", "1e9"});
  CHECK(text.code == 0);
  CHECK(text.out.find("culprit: " + culprit) != std::string::npos);
  CHECK(text.out.find("both give the same class to ") != std::string::npos);
}

// The demo's layers as a dense file has them, and four rows of input.
struct Dense {
  cli::Source source = cli::load_source(demo("model.onnx"), "", {}, false);
  std::map<std::string, verify::StoredLayer> stored;
  std::vector<eval::Tensor> rows;
  Dense() {
    const std::string out = scratch("dense.qrt");
    REQUIRE(run_command({command("qrt-convert"), demo("model.onnx"), "-q", "-o", out}).code == 0);
    stored = verify::read_layers(out);
    rows = cli::load_inputs(source.graph, "--input", {demo("calibration.npy")}, std::nullopt, 4);
  }
};

// What the comparison says of one layer, and of all others together.
void check_layers(const Dense& d, const std::string& wrong) {
  verify::Comparison comparison(d.source.graph, d.stored);
  comparison.find_orders(d.rows);
  for (int64_t row = 0; row < 4; ++row)
    comparison.add_row(cli::some_rows(d.source.graph, d.rows, row, 1));
  comparison.add_probe(d.rows);
  for (const verify::LayerError& l : comparison.layers()) {
    CAPTURE(l.name);
    if (l.name == wrong) {
      CHECK(l.isolated.rms() > 1e-3);
      CHECK(l.outputs.rms() > 1e-6);
    } else {
      CHECK(l.isolated.rms() < 1e-6);
      CHECK(l.outputs.rms() < 1e-6);
    }
    if (wrong.empty()) CHECK(l.accumulated.rms() < 1e-6);
  }
}

TEST_CASE("verify: sizes moved between weights and scale are no error, a changed bias is") {
  Dense d;
  check_layers(d, "");
  verify::StoredLayer& layer = d.stored.at("/blocks/blocks.3/conv1/Conv");
  const size_t outputs = 48;
  if (layer.scale.empty()) layer.scale.assign(outputs, 1.0f);
  for (size_t o = 0; o < outputs; ++o) {
    const float size = o % 2 == 0 ? 4.0f : 0.5f;
    layer.scale[o] *= size;
    for (size_t i = 0; i < 432; ++i) layer.weights[o * 432 + i] /= size;
  }
  check_layers(d, "");
  layer.bias.resize(outputs);
  for (float& b : layer.bias) b += 0.25f;
  check_layers(d, "/blocks/blocks.3/conv1/Conv");
}

TEST_CASE("verify: channels in another order are found, and are no error") {
  Dense d;
  verify::StoredLayer &first = d.stored.at("/blocks/blocks.3/conv1/Conv"),
                      &second = d.stored.at("/blocks/blocks.3/conv2/Conv");
  const verify::StoredLayer a = first, b = second;
  for (size_t c = 0; c < 48; ++c) {
    const size_t from = (c * 5 + 7) % 48;  // 5 and 48 share no factor
    std::copy_n(a.weights.begin() + static_cast<std::ptrdiff_t>(from * 432), 432,
                first.weights.begin() + static_cast<std::ptrdiff_t>(c * 432));
    if (!a.scale.empty()) first.scale[c] = a.scale[from];
    if (!a.bias.empty()) first.bias[c] = a.bias[from];
    for (size_t o = 0; o < 48; ++o)
      std::copy_n(b.weights.begin() + static_cast<std::ptrdiff_t>(o * 432 + from * 9), 9,
                  second.weights.begin() + static_cast<std::ptrdiff_t>(o * 432 + c * 9));
  }
  check_layers(d, "");
  // An error in a permuted layer is still its own.
  for (size_t i = 0; i < second.weights.size(); i += 3) second.weights[i] *= 1.5f;
  check_layers(d, "/blocks/blocks.3/conv2/Conv");
}

TEST_CASE("verify: orders of channels") {
  eval::Tensor want, got;
  want.shape = got.shape = {2, 3, 2};  // two rows, three channels, two places
  want.data = {1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6};
  got.data = {5.1f, 6, 1, 2.1f, 3, 4, -5, -6.1f, -1, -2, -3, -4};
  const verify::ChannelOrder order = verify::find_order(got, want);
  CHECK(order == verify::ChannelOrder{2, 0, 1});
  CHECK(verify::restored({50, 60, 10, 20, 30, 40}, order, 1, 2) ==
        std::vector<float>{10, 20, 30, 40, 50, 60});
  CHECK(verify::restored({5, 1, 3, 50, 10, 30}, order, 2, 1) ==
        std::vector<float>{1, 3, 5, 10, 30, 50});
  CHECK(verify::find_order(want, want).empty());
  // Noise that some other order happens to fit a little better is no order.
  eval::Tensor noisy = want;
  noisy.data = {2.2f, 2, 2, 4, 5, 6, -1, -2, -3, -4, -5, -6};
  CHECK(verify::find_order(noisy, want).empty());
  eval::Tensor other = want;
  other.shape = {2, 2, 3};
  CHECK(verify::find_order(other, want).empty());
}

TEST_CASE("verify: label files that do not say every row's class") {
  const std::string qrt = converted("labelled.qrt", {});
  const std::string truth = read_text(demo("truth.csv"));
  const auto refused = [&](const char* code, const std::string& bytes, const char* what) {
    const CommandResult r = verify(qrt, {"-i", demo("images"), "--preprocess", kPreprocess,
                                         "--truth", file("truth.csv", bytes)});
    CAPTURE(r.err);
    CHECK(r.code == 2);
    CHECK(r.err.find(code) != std::string::npos);
    CHECK(r.err.find(what) != std::string::npos);
    CHECK(r.out.empty());
  };
  refused("QRT-E0470", truth.substr(0, truth.size() / 2), "line");
  refused("QRT-E0470", "file,kind\na.png,1\n", "line 1 names no column");
  refused("QRT-E0470", "file,class\n000_disc.png\n", "line 2 has 1 cells");
  refused("QRT-E0470", "file,class\n000_disc.png,10\n", "class 10 where the model has 10");
  refused("QRT-E0470", "file,class\n000_disc.png,oval\n", "'oval' is neither");
  refused("QRT-E0470", truth + "000_disc.png,disc\n", "stands twice");
  refused("QRT-E0470", "1\n2\n", "2 classes for 300 rows");
  CHECK(verify(qrt, {"-i", demo("images"), "--preprocess", kPreprocess, "--truth", "/no/such.csv"})
            .err.find("QRT-E0401") != std::string::npos);
}

TEST_CASE("accuracy: hits, ties and numbers that are none") {
  cli::Accuracy a;
  a.add(std::vector<float>{1, 3, 2}, 1);    // first
  a.add(std::vector<float>{3, 3, 2}, 1);    // a tie goes to the lower index
  a.add(std::vector<float>{NAN, 3, 2}, 0);  // never ranked
  a.add(std::vector<float>{9, 8, 7, 6, 5, 4, 3}, 4);
  a.add(std::vector<float>{9, 8, 7, 6, 5, 4, 3}, 5);
  CHECK(a.rows == 5);
  CHECK(a.top1 == 1);
  CHECK(a.top5 == 3);
  CHECK(cli::best_class(std::vector<float>{NAN, 1, 5, 5}) == 2);
  CHECK(cli::best_class(std::vector<float>{NAN}) == -1);
  CHECK(cli::percent_text(371, 500) == "74.20 % (371 of 500)");
}

TEST_CASE("accuracy: label files by row and by file") {
  const std::vector<std::string> names = {"cat", "dog"}, rows = {"d/b.png", "d/a.png"};
  using Classes = std::vector<int64_t>;
  CHECK(cli::read_truth(file("t", "file,class\nx/a.png,dog\nb.png,0\nc.png,1\n"), names, rows, 2,
                        false) == Classes{0, 1});
  CHECK(cli::read_truth(file("t", "row,class_index,file\r\n0,1,x\r\n1,0,y\r\n"), {}, {"", ""}, 2,
                        false) == Classes{1, 0});
  CHECK(cli::read_truth(file("t", "dog\ncat\n\n"), names, {"", ""}, 2, false) == Classes{1, 0});
  CHECK(cli::read_truth(file("t", "1\n0\n0\n"), names, {"", ""}, 2, true) == Classes{1, 0});
  // A table of one column has a head, too, unless a class is called so.
  for (const char* head : {"class_index\n", "class\r\n", "label\n"})
    CHECK(cli::read_truth(file("t", std::string(head) + "dog\n0\n"), names, {"", ""}, 2, false) ==
          Classes{1, 0});
  CHECK(cli::read_truth(file("t", "class\ndog\n"), {"dog", "class"}, {"", ""}, 2, false) ==
        Classes{1, 0});
  CHECK_THROWS_WITH_AS(
      cli::read_truth(file("t", "klass\n1\n"), names, {"", ""}, 2, false),
      doctest::Contains("index from 0 to 1, or class_index, class or label as the head"),
      io::ToolError);
  CHECK_THROWS_AS(cli::read_truth(file("t", "1\n0\n0\n"), names, {"", ""}, 2, false),
                  io::ToolError);
  CHECK_THROWS_AS(cli::read_truth(file("t", "1\n"), names, {"", ""}, 2, true), io::ToolError);
  CHECK_THROWS_AS(cli::read_truth(file("t", "-1\n0\n"), names, {"", ""}, 2, false), io::ToolError);
}

TEST_CASE("verify: a model that does not rank classes takes no labels") {
  OnnxBuilder b;
  b.input("x", {-1, 2, 4, 4});
  b.node("Relu", {"x"}, "y");
  b.output("y");
  const std::string onnx = file("plane.onnx", b.model.SerializeAsString());
  const std::string qrt = scratch("plane.qrt");
  REQUIRE(run_command({command("qrt-convert"), onnx, "-q", "-o", qrt}).code == 0);
  const std::string x = scratch("plane.npy");
  const std::string head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 4, 4)}";
  file("plane.npy", std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(head.size()) + '\0' +
                        head + std::string(128, '\0'));
  const std::string truth = file("t", "0\n");
  const CommandResult r =
      run_command({command("qrt-verify"), onnx, qrt, "-i", x, "--truth", truth});
  CHECK(r.code == 2);
  CHECK(r.err.find("QRT-E0471") != std::string::npos);
  const CommandResult c = run_command(
      {command("qrt-convert"), onnx, "-o", scratch("plane2.qrt"), "--test", x, "--truth", truth});
  CHECK(c.code == 2);
  CHECK(c.err.find("QRT-E0471") != std::string::npos);
  CHECK(run_command({command("qrt-verify"), onnx, qrt, "-i", x}).code == 0);
}

}  // namespace
