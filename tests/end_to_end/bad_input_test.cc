// What users and attackers get wrong on the command line: one message with a
// stable code, exit code 2, nothing partial left behind, never a signal.
#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include "tests/support/command.h"

namespace {

using namespace qrt::test;  // NOLINT: a test

std::string demo(const std::string& name) {
  return std::string(QRT_SOURCE_DIR) + "/examples/demo/" + name;
}

std::string file(const std::string& name, const std::string& bytes) {
  const std::string path = scratch(name);
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string npy(const std::string& shape, size_t data, const char* type = "<f4",
                const char* fortran = "False") {
  const std::string head = std::string("{'descr': '") + type + "', 'fortran_order': " + fortran +
                           ", 'shape': " + shape + "}";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(head.size()) + '\0' + head +
         std::string(data, '\0');
}

std::string demo_model() {
  const std::string out = scratch("demo.qrt");
  if (!exists(out))
    REQUIRE(run_command({command("qrt-convert"), demo("model.onnx"), "-o", out, "-q"}).code == 0);
  return out;
}

std::string picture() {
  return demo("images/000_disc.png");
}

std::string listing() {
  return run_command({"ls", scratch(".")}).out;
}

struct Row {
  const char* code;
  std::vector<std::string> words;
};

// The row's command fails as it should, and leaves the directory as it was.
void check(const Row& row) {
  const std::string before = listing();
  std::vector<std::string> words = row.words;
  words[0] = command(words[0]);
  const CommandResult r = run_command(words);
  std::string line;
  for (const std::string& w : row.words) line += w + " ";
  CAPTURE(line);
  CAPTURE(r.err);
  CHECK(r.signal == 0);
  CHECK(r.code == 2);
  CHECK(r.out.empty());
  CHECK(r.err.find(row.code) != std::string::npos);
  // One line, "tool: ... (QRT-Ennnn)".
  CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
  CHECK(std::regex_match(r.err, std::regex(row.words[0] + R"(: [^\n]{10,} \(QRT-E\d{4}\)\n)")));
  CHECK(listing() == before);
}

TEST_CASE("bad input: command lines of qrt") {
  const std::string m = demo_model(), x = demo("calibration.npy"), out = scratch("out.npy");
  const std::string no = scratch("no_such_directory/out.npy");
  const std::string copy = file("copy.npy", read_text(x));
  for (const Row& row : std::vector<Row>{
           {"QRT-E0400", {"qrt"}},
           {"QRT-E0400", {"qrt", "walk"}},
           {"QRT-E0400", {"qrt", "run", m}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--image", picture()}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--preprocess", "none"}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--output", out, "--csv"}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--threads", "0"}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--batch", "-1"}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--mode", "fast"}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--output", m}},
           {"QRT-E0400", {"qrt", "run", m, "--input", copy, "--output", copy}},
           {"QRT-E0400", {"qrt", "run", m, "--input", x, "--isa", ""}},
           {"QRT-E0400", {"qrt", "bench", m, "-o", m}},
           {"QRT-E0400", {"qrt", "bench", m, "--format", "xml"}},
           {"QRT-E0400", {"qrt", "bench", m, "--json", "--format", "md"}},
           {"QRT-E0400", {"qrt", "bench", m, "--repeats", "0"}},
           {"QRT-E0400", {"qrt", "inspect"}},
           {"QRT-E0401", {"qrt", "run", m, "--input", "/no/such.npy"}},
           {"QRT-E0401", {"qrt", "run", m, "--input", "/"}},
           {"QRT-E0402", {"qrt", "run", m, "--input", x, "--output", no}},
           {"QRT-E0402", {"qrt", "run", m, "--input", x, "--output", "/"}},
           {"QRT-E0402", {"qrt", "bench", m, "-o", no}},
           {"QRT-E0419", {"qrt", "run", m, "--input", "wrong=" + x, "--output", out}},
           {"QRT-E0419", {"qrt", "run", m, "--input", x, x, "--output", out}},
           {"QRT-E0419", {"qrt", "run", m, "--input", x, "--output", "wrong=" + out}},
           {"sse2", {"qrt", "run", m, "--input", x, "--isa", "sse2", "--output", out}},
           {"magic", {"qrt", "run", m, "--input", x, "--strategy", "magic", "--output", out}},
           {"QRT-E", {"qrt", "inspect", "/no/such.qrt"}},
           {"QRT-E", {"qrt", "inspect", demo("model.onnx")}},
           {"QRT-E", {"qrt", "inspect", "/dev/null"}},
           {"QRT-E", {"qrt", "inspect", "/"}},
       })
    check(row);
}

TEST_CASE("bad input: models cut, changed and foreign") {
  const std::string whole = read_text(demo_model());
  for (size_t n :
       {size_t{0}, size_t{3}, size_t{8}, size_t{100}, whole.size() / 2, whole.size() - 1})
    check({"QRT-E", {"qrt", "inspect", file("cut.qrt", whole.substr(0, n))}});
  for (size_t at : {size_t{0}, size_t{5}, size_t{64}, whole.size() / 2, whole.size() - 1}) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    check({"QRT-E",
           {"qrt", "run", file("changed.qrt", changed), "--input", demo("calibration.npy")}});
  }
  check({"QRT-E", {"qrt", "inspect", file("long.qrt", whole + "x")}});
}

TEST_CASE("bad input: arrays") {
  const std::string m = demo_model(), out = scratch("out.npy");
  const auto run = [&](const char* code, const std::string& bytes) {
    check({code, {"qrt", "run", m, "--input", file("bad.npy", bytes), "--output", out}});
  };
  run("QRT-E0401", "");
  run("QRT-E0410", "hello, this is not an array");
  run("QRT-E0411", std::string("\x93NUMPY\x09", 7) + std::string(20, 0));
  run("QRT-E0413", npy("(1, 3, 32, 32)", 3072 * 16, "<c16"));
  run("QRT-E0414", npy("(1, 3, 32, 32)", 3072 * 4, "<f4", "True"));
  run("QRT-E0415", npy("(99999999999, 99999999999)", 4));
  run("QRT-E0416", npy("(1, 3, 32, 32)", 3072 * 4 - 1));
  run("QRT-E0417", npy("(1, 3, 32, 32)", 3072, "|u1"));
  run("QRT-E0418", npy("(1, 3, 32, 31)", 3 * 32 * 31 * 4));
  run("QRT-E0418", npy("(3, 3, 32)", 3 * 3 * 32 * 4));
  run("QRT-E0418", npy("(0, 3, 32, 32)", 0));
}

TEST_CASE("bad input: pictures, labels and preprocessing") {
  const std::string m = demo_model(), png = read_text(picture());
  const auto run = [&](const char* code, const std::string& image, const std::string& preprocess) {
    check({code, {"qrt", "run", m, "--image", image, "--preprocess", preprocess}});
  };
  run("QRT-E0401", "/no/such.png", "none");
  run("QRT-E0420", file("text.png", "not a picture at all"), "none");
  run("QRT-E0421", file("cut.png", png.substr(0, png.size() / 2)), "none");
  run("QRT-E0421", file("head.jpg", "\xff\xd8\xff\xe0 and nothing more"), "none");
  std::string huge = png;  // IHDR claims 2^24 x 2^24 pixels; its checksum then is wrong as well
  huge[16] = 1, huge[17] = huge[18] = huge[19] = 0;
  run("QRT-E042", file("huge.png", huge), "none");
  run("QRT-E0424", picture(), "imagenett");
  run("QRT-E0424", picture(), "{\"crop\": 3, \"bogus\": 1}");
  run("QRT-E0425", picture(), "imagenet");
  run("QRT-E0425", picture(), "{\"channels\": \"gray\"}");
  run("QRT-E0427", std::string(QRT_SOURCE_DIR) + "/schema", "none");
  const CommandResult none =
      run_command({command("qrt-convert"), demo("model.onnx"), "-o", scratch("none.qrt"),
                   "--calibrate", std::string(QRT_SOURCE_DIR) + "/schema"});
  CHECK(none.err.find("QRT-E0427") != std::string::npos);
  CHECK(none.err.find("holds no .npy, .jpg, .jpeg or .png files") != std::string::npos);
  check({"QRT-E0425", {"qrt", "run", m, "--image", picture()}});
  check({"QRT-E0426",
         {"qrt", "run", m, "--image", picture(), "--preprocess", "none", "--labels",
          file("none.txt", "")}});
  check({"QRT-E0426",
         {"qrt", "run", m, "--image", picture(), "--preprocess", "none", "--labels",
          file("labels.txt", "one\ntwo\n")}});
}

TEST_CASE("bad input: qrt-convert") {
  const std::string onnx = demo("model.onnx"), out = scratch("bad.qrt"),
                    x = demo("calibration.npy");
  const std::string bytes = read_text(onnx);
  const std::string copy = file("copy.onnx", bytes);
  for (const Row& row : std::vector<Row>{
           {"QRT-E0480", {"qrt-convert"}},
           {"QRT-E0480", {"qrt-convert", onnx}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", out, "--frobnicate"}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", out, "--pq", "block_fc=4"}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", out, "--method", "pq", "--pq", "block_fc"}},
           {"QRT-E0480", {"qrt-convert", copy, "-o", copy}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", out, "--weights", ""}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", copy, "--labels", copy}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", out, "--test", x}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", out, "--truth", demo("truth.csv")}},
           {"QRT-E0480", {"qrt-convert", onnx, "-o", out, "--report", out}},
           {"QRT-E0480", {"qrt-convert", copy, "-o", out, "--report", copy}},
           {"QRT-E0402", {"qrt-convert", onnx, "-o", out, "--report", "/no/such/report.html"}},
           {"QRT-E0470",
            {"qrt-convert", onnx, "-o", out, "--test", x, "--truth", demo("labels.txt")}},
           {"QRT-E0425", {"qrt-convert", onnx, "-o", out, "--preprocess", "imagenet"}},
           {"QRT-E0424", {"qrt-convert", onnx, "-o", out, "--preprocess", "{\"scale\":0}"}},
           {"QRT-E0481", {"qrt-convert", onnx, "-o", out, "--shape", "input"}},
           {"QRT-E0481", {"qrt-convert", onnx, "-o", out, "--shape", "input=1,x,3"}},
           {"QRT-E0710", {"qrt-convert", onnx, "-o", out, "--method", "magic"}},
           {"QRT-E07", {"qrt-convert", onnx, "-o", out, "--method", "pq", "--pq", "bogus=4"}},
           {"QRT-E07", {"qrt-convert", onnx, "-o", out, "--method", "pq", "--pq", "block_fc=x"}},
           {"QRT-E05", {"qrt-convert", onnx, "-o", out, "--shape", "nothere=1,3,32,32"}},
           {"QRT-E05", {"qrt-convert", "/no/such.onnx", "-o", out}},
           {"QRT-E05",
            {"qrt-convert", file("cut.onnx", bytes.substr(0, bytes.size() / 2)), "-o", out}},
           {"QRT-E05", {"qrt-convert", x, "-o", out}},
           {"QRT-E06", {"qrt-convert", onnx, "-o", out, "--weights", "/no/such.pth"}},
           {"QRT-E06", {"qrt-convert", onnx, "-o", out, "--weights", x}},
           {"QRT-E0402", {"qrt-convert", onnx, "-o", "/no/such/directory/out.qrt"}},
           {"QRT-E0424", {"qrt-convert", onnx, "-o", out, "--preprocess", "what"}},
           {"QRT-E0426", {"qrt-convert", onnx, "-o", out, "--labels", file("two.txt", "a\nb\n")}},
           {"QRT-E0418",
            {"qrt-convert", onnx, "-o", out, "--golden", file("s.npy", npy("(2, 2)", 16))}},
           {"QRT-E0419", {"qrt-convert", onnx, "-o", out, "--calibrate", x, x}},
           {"QRT-E0482", {"qrt-convert", onnx, "-o", out, "--tolerance", "0"}},
       })
    check(row);
}

TEST_CASE("bad input: settings per layer and searches") {
  const std::string onnx = demo("model.onnx"), out = scratch("bad.qrt"),
                    x = demo("calibration.npy"),
                    rules = file("rules.json", R"({"default": {"block": 4}})");
  const auto row = [&](const char* code, std::vector<std::string> words) {
    words.insert(words.begin(), {"qrt-convert", onnx, "-o", out});
    check({code, words});
  };
  row("QRT-E0480", {"--layers", rules});
  row("QRT-E0480", {"--target-size", "60k"});
  row("QRT-E0480", {"--target-size", "60k", "--method", "pq"});
  row("QRT-E0480", {"--target-size", "60k", "--method", "pq", "--calibrate", x, "--dry-run"});
  row("QRT-E0480", {"--target-size", "60k", "--method", "pq", "--calibrate", x, "--max-drop", "1"});
  row("QRT-E0480", {"--max-drop", "1", "--method", "pq", "--calibrate", x});
  row("QRT-E0480", {"--max-drop", "-1", "--method", "pq", "--calibrate", x});
  for (const char* chosen : {"block_3x3=9", "centroids_fc=16", "books=2", "activations=no"})
    row("QRT-E0480", {"--target-size", "60k", "--method", "pq", "--calibrate", x, "--pq", chosen});
  row("QRT-E0480", {"--save-layers", scratch("s.json"), "--method", "pq"});
  row("QRT-E0480", {"--save-layers", rules, "--method", "pq", "--layers", rules, "--calibrate", x,
                    "--target-size", "60k"});
  row("QRT-E0484", {"--target-size", "60 k", "--method", "pq", "--calibrate", x});
  row("QRT-E0401", {"--layers", "/no/such.json", "--method", "pq"});
  row("QRT-E0735", {"--layers", file("r1.json", "{"), "--method", "pq"});
  row("QRT-E0736", {"--layers", file("r2.json", R"({"layers": [{"match": "/fc/.*", "block": 4},
                                                  {"match": ".*Gemm", "block": 8}]})"),
                    "--method", "pq"});
  row("QRT-E0736",
      {"--layers", file("r3.json", R"({"layers": [{"match": "/fc/Gemm", "force": true}]})"),
       "--method", "pq", "--pq", "skip=/fc/Gemm"});
}

TEST_CASE("bad input: qrt-verify") {
  const std::string m = demo_model(), onnx = demo("model.onnx"), x = demo("calibration.npy");
  for (const Row& row : std::vector<Row>{
           {"QRT-E0462", {"qrt-verify"}},
           {"QRT-E0462", {"qrt-verify", onnx, m}},
           {"QRT-E", {"qrt-verify", onnx, onnx, "--input", x}},
           {"QRT-E05", {"qrt-verify", m, m, "--input", x}},
           {"QRT-E0401", {"qrt-verify", onnx, m, "--input", "/no/such.npy"}},
           {"QRT-E0401", {"qrt-verify", onnx, "/no/such.qrt", "--input", x}},
       })
    check(row);
}

TEST_CASE("bad input: output that cannot be written to the end") {
  if (!exists("/dev/full")) return;
  CHECK(run_command({"sh", "-c", command("qrt") + " inspect " + demo_model() + " > /dev/full"})
            .code == 2);
  CHECK(run_command({command("qrt"), "run", demo_model(), "--input", demo("calibration.npy"),
                     "--output", "/dev/full"})
            .code == 2);
  // A limit on file sizes is an error with a message too; nothing partial stays.
  const std::string before = listing();
  const CommandResult limited =
      run_command({"sh", "-c",
                   "ulimit -f 8; exec " + command("qrt-convert") + " " + demo("model.onnx") +
                       " -q -o " + scratch("limited.qrt")});
  CHECK(limited.signal == 0);
  CHECK(limited.code == 2);
  CHECK(limited.err.find("QRT-E0402") != std::string::npos);
  CHECK(listing() == before);
  // Closed descriptors are not taken over by files that are opened later.
  CHECK(run_command({"sh", "-c", command("qrt") + " inspect " + demo_model() + " >&-"}).code == 2);
}

}  // namespace
