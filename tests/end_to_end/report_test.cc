// The HTML report: what it says, that nothing in a model can break out of it, and,
// in a real browser, that it draws and loads nothing.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "converter/base/file.h"
#include "converter/cli/report.h"
#include "runtime/tools/io/image.h"
#include "tests/support/command.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

std::string demo(const std::string& name) {
  return std::string(QRT_SOURCE_DIR) + "/examples/demo/" + name;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

cli::ReportData sample() {
  cli::ReportData r;
  r.model = "net.onnx", r.output = "net.qrt", r.tool = "qrt-convert 0.1.0";
  r.file_bytes = 12345, r.weights = 20000;
  cli::ReportLayer coded, dense;
  coded.name = "conv1", coded.encoding = "codebook 256 x 9";
  coded.outputs = 64, coded.inputs = 576, coded.bytes = 8704, coded.bits_per_weight = 1.889;
  coded.output_error = 0.0125, coded.weight_snr_db = 8.5, coded.ms = 0.5, coded.dense_ms = 0.25;
  dense.name = "fc", dense.encoding = "dense f32", dense.why_not = "too small: 10 blocks";
  dense.outputs = 10, dense.inputs = 4, dense.bytes = 160, dense.bits_per_weight = 32;
  r.layers = {coded, dense};
  r.points = {{"float model", 80000, {500, 400, 480}, false, true},
              {"this file", 12345, {500, 390, 470}, true, false},
              {"a quarter of the entries", 9000, {500, 350, 460}, false, false}};
  r.warnings = {"something to know"};
  return r;
}

size_t count(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

// Whatever makes a browser ask for something else.
void check_self_contained(const std::string& html) {
  for (const char* word : {"://", "src=", "href", "url(", "@import", "<script", "<link", "<iframe",
                           "<object", "<embed", "<img"}) {
    CAPTURE(std::string(word));
    CHECK(html.find(word) == std::string::npos);
  }
  CHECK(html.find("content=\"default-src 'none'; style-src 'unsafe-inline'\"") !=
        std::string::npos);
}

TEST_CASE("report: figures, layers, points") {
  const std::string html = cli::html_report(sample());
  check_self_contained(html);
  CHECK(html.find("<b>12.3 kB</b>file") != std::string::npos);
  CHECK(html.find("<b>6.48 &times;</b>") != std::string::npos);  // 4 * 20000 / 12345
  CHECK(html.find("<b>80.00 %</b>top-1 of the float model") != std::string::npos);
  CHECK(html.find("<b>78.00 %</b>top-1 of this file") != std::string::npos);
  CHECK(html.find("1.250 %</td>") != std::string::npos);  // output error
  CHECK(html.find("<td class=\"slow\">0.50 &times;</td>") != std::string::npos);
  CHECK(html.find("too small: 10 blocks") != std::string::npos);
  CHECK(html.find("<li>something to know</li>") != std::string::npos);
  CHECK(count(html, "<circle") == 3);
  CHECK(count(html, "<svg") == 1);
  // Without labelled data there is no plot.
  cli::ReportData blind = sample();
  blind.points.clear();
  CHECK(count(cli::html_report(blind), "<svg") == 0);
  check_self_contained(cli::html_report({}));
}

// Every text field carries markup that would load something.
cli::ReportData hostile() {
  const std::string evil = "\"'><img src=http://127.0.0.1:9/x.png><script>alert(1)</script>&amp;\n";
  cli::ReportData r = sample();
  for (std::string* field :
       {&r.model, &r.output, &r.tool, &r.method, &r.options, &r.cpu, &r.model_sha256,
        &r.file_sha256, &r.layers[0].name, &r.layers[0].encoding, &r.layers[1].why_not,
        &r.points[2].setting, &r.warnings[0]})
    *field = evil;
  r.notes = {evil};
  return r;
}

TEST_CASE("report: a line and a color for every series, their names below") {
  cli::ReportData r = sample();
  r.points.resize(2);
  for (const char* method : {"uniform", "a<q"})
    for (const char* bits : {"4", "2"}) {
      cli::ReportPoint p{std::string(method) + ", " + bits + " bits", 5000, {500, 300, 400}};
      p.series = method, p.mark = bits, p.output_error = 0.125;
      r.points.push_back(p);
    }
  const std::string html = cli::html_report(r);
  check_self_contained(html);
  CHECK(count(html, "<path") == 3);  // this file's has one point
  CHECK(count(html, "<circle") == 6 + 2);
  CHECK(count(html, "class=\"legend\"") == 2);
  CHECK(count(html, ">uniform</text>") == 1);
  CHECK(count(html, ">a&lt;q</text>") == 1);
  CHECK(count(html, ">2</text>") == 2);
  CHECK(count(html, "<td>12.50 %</td>") == 4);
  CHECK(html.find("<title>uniform, 4 bits: 5.0 kB, 60.00 % (300 of 500)</title>") !=
        std::string::npos);
}

TEST_CASE("report: names of a model are text, whatever they hold") {
  const std::string html = cli::html_report(hostile());
  CHECK(count(html, "<script") == 0);
  CHECK(count(html, "<img") == 0);
  CHECK(count(html, "&lt;img src=http") >= 14);
  CHECK(cli::escaped("a<b>&\"c'\x01\x7f") == "a&lt;b&gt;&amp;&quot;c&#39;??");
}

TEST_CASE("report: round steps and sizes") {
  CHECK(cli::round_steps(0, 100, 6) == std::vector<double>{0, 20, 40, 60, 80, 100});
  CHECK(cli::round_steps(61, 71, 6) == std::vector<double>{62, 64, 66, 68, 70});
  for (const double to : {61.5, 62.0, 75.0, 161.0, 1061.0}) {
    const auto steps = cli::round_steps(61, to, 6);
    CHECK(!steps.empty());
    CHECK(steps.size() <= 6);
    for (const double s : steps) CHECK((s >= 61 && s <= to));
  }
  CHECK(cli::round_steps(5, 5, 6).empty());
  CHECK(cli::bytes_text(999) == "999 bytes");
  CHECK(cli::bytes_text(1000) == "1.0 kB");
  CHECK(cli::bytes_text(123456) == "123 kB");
  CHECK(cli::bytes_text(1630000) == "1.63 MB");
}

const char* kPreprocess =
    R"({"scale": 0.00392156862745098, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})";

// The demo's report, made once.
std::string demo_report() {
  static const std::string path = [] {
    const std::string out = scratch("report.html");
    const CommandResult r = run_command({command("qrt-convert"),
                                         demo("model.onnx"),
                                         "--preprocess",
                                         kPreprocess,
                                         "--labels",
                                         demo("labels.txt"),
                                         "--method",
                                         "pq",
                                         "--calibrate",
                                         demo("calibration.npy"),
                                         "--pq",
                                         "block_3x3=9,centroids_fc=64",
                                         "--test",
                                         demo("images"),
                                         "--truth",
                                         demo("truth.csv"),
                                         "--report",
                                         out,
                                         "--report-points",
                                         "2",
                                         "-o",
                                         scratch("report.qrt")});
    CAPTURE(r.err);
    REQUIRE(r.code == 0);
    CHECK(r.out.find("this file: ") != std::string::npos);
    return out;
  }();
  return path;
}

TEST_CASE("report: of a real conversion") {
  const std::string html = read_text(demo_report());
  check_self_contained(html);
  const std::string file = read_text(scratch("report.qrt"));
  CHECK(html.find(sha256_hex(file.data(), file.size())) != std::string::npos);
  CHECK(html.find("/blocks/blocks.4/conv2/Conv") != std::string::npos);
  CHECK(html.find("the first convolution") != std::string::npos);
  CHECK(count(html, "<circle") == 4);  // the float model, this file, two other settings
  CHECK(count(html, "<td>300</td>") == 4);
  // Times of every coded layer, as stored and dense.
  CHECK(html.find("with dense f32 weights") != std::string::npos);
  // A dry run makes one too, and nothing else.
  const std::string dry = scratch("dry.html");
  CHECK(
      run_command({command("qrt-convert"), demo("model.onnx"), "--dry-run", "-q", "--report", dry})
          .code == 0);
  check_self_contained(read_text(dry));
}

std::vector<std::string> demo_curve(const std::vector<std::string>& more) {
  std::vector<std::string> words = {command("qrt-convert"),
                                    demo("model.onnx"),
                                    "--preprocess",
                                    kPreprocess,
                                    "--labels",
                                    demo("labels.txt"),
                                    "--calibrate",
                                    demo("calibration.npy"),
                                    "-o",
                                    scratch("curve.qrt")};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Bytes and right answers of the line that starts with `what`.
std::pair<int64_t, int64_t> point_of(const std::string& out, const std::string& what) {
  const size_t at = out.find("\n" + what + ": ");
  REQUIRE_MESSAGE(at != std::string::npos, what);
  const size_t open = out.find('(', at);
  return {std::stoll(out.substr(at + what.size() + 3)), std::stoll(out.substr(open + 1))};
}

TEST_CASE("report: curves of several methods, of a dense conversion") {
  const std::string html = scratch("curve.html");
  const CommandResult r =
      run_command(demo_curve({"--test", demo("images"), "--truth", demo("truth.csv"), "--report",
                              html, "--curve", "uniform=8+3,bwn", "--curve", "alq=2", "esb=4"}));
  CAPTURE(r.err);
  REQUIRE(r.code == 0);
  const auto floats = point_of(r.out, "float model"), eight = point_of(r.out, "uniform, 8 bits"),
             three = point_of(r.out, "uniform, 3 bits"), esb = point_of(r.out, "esb, 4 bits"),
             alq = point_of(r.out, "alq, 2 bits"), bwn = point_of(r.out, "bwn");
  CHECK(floats.first > 3 * eight.first);
  CHECK(eight.first > esb.first);
  CHECK(esb.first > three.first);
  CHECK(three.first > bwn.first);
  CHECK(alq.first < eight.first);
  CHECK(eight.second >= floats.second - 2);
  CHECK(r.out.find("output error 0.00 %\n") != std::string::npos);  // this file: dense
  const std::string text = read_text(html);
  check_self_contained(text);
  CHECK(count(text, "<circle") == 7 + 4);
  CHECK(count(text, ">esb</text>") == 1);
  CHECK(count(text, "<td>300</td>") == 7);
}

TEST_CASE("report: rules for single layers hold for the curves of other methods") {
  const std::string rules = scratch("curve_rules.json");
  const std::vector<std::string> data = {"--test",          demo("images"), "--truth",
                                         demo("truth.csv"), "--test-rows",  "40"};
  const auto converted = [&](std::vector<std::string> more) {
    more.insert(more.end(), data.begin(), data.end());
    const CommandResult r = run_command(demo_curve(more));
    REQUIRE_MESSAGE(r.code == 0, r.err);
    return r;
  };
  const CommandResult free = converted({"--curve", "uniform=4,bwn,alq=2"});
  const auto bytes = [&](const CommandResult& r, const std::string& what) {
    return point_of(r.out, what).first;
  };
  // 96 x 96 kernels of 3 x 3.
  const std::string name = "\"/blocks/blocks\\\\.4/conv2/Conv\"";
  write_text(rules, "{\"layers\": [{\"match\": " + name + ", \"dense\": true}]}");
  for (const std::vector<std::string>& method :
       {std::vector<std::string>{}, {"--method", "esb"}, {"--method", "pq"}}) {
    std::vector<std::string> words = {"--layers", rules, "--curve", "uniform=4,bwn,alq=2"};
    words.insert(words.end(), method.begin(), method.end());
    const CommandResult r = converted(words);
    for (const char* point : {"uniform, 4 bits", "bwn", "alq, 2 bits"})
      CHECK_MESSAGE(bytes(r, point) > bytes(free, point) + 96 * 96 * 9 * 3, point);
  }
  // Numbers of bits are common to methods; settings of codebooks are not.
  write_text(rules, "{\"layers\": [{\"match\": " + name + ", \"bits\": 8}]}");
  const CommandResult eight =
      converted({"--method", "esb", "--layers", rules, "--curve", "uniform=4,alq=2"});
  for (const char* point : {"uniform, 4 bits", "alq, 2 bits"})
    CHECK_MESSAGE(bytes(eight, point) > bytes(free, point) + 96 * 96 * 9 / 3, point);
  write_text(rules, "{\"layers\": [{\"match\": " + name + ", \"centroids\": 16}]}");
  const CommandResult books =
      converted({"--method", "pq", "--layers", rules, "--curve", "uniform=4"});
  // The file says which method and rules made it.
  CHECK(std::abs(bytes(books, "uniform, 4 bits") - bytes(free, "uniform, 4 bits")) < 512);
}

TEST_CASE("report: a point of a curve that cannot be made is missed, with a warning") {
  const std::string rules = scratch("curve_missed.json");
  write_text(rules, "{\"default\": {\"bits\": 1}}");
  const CommandResult r = run_command(
      demo_curve({"--test", demo("images"), "--truth", demo("truth.csv"), "--test-rows", "40",
                  "--method", "alq", "--layers", rules, "--curve", "uniform=8,bwn"}));
  REQUIRE_MESSAGE(r.code == 0, r.err);
  CHECK(r.err.find("warning: no point \"uniform, 8 bits\" of the curve: ") != std::string::npos);
  CHECK(r.err.find("sets 1 bits; method uniform allows 2 to 8") != std::string::npos);
  CHECK(r.out.find("\nuniform, 8 bits: ") == std::string::npos);
  CHECK(r.out.find("\nthis file: ") != std::string::npos);
}

TEST_CASE("report: curves that cannot be") {
  const std::vector<std::string> data = {"--test", demo("images"), "--truth", demo("truth.csv")};
  const auto refused = [&](std::vector<std::string> more, const std::string& why) {
    const CommandResult r = run_command(demo_curve(more));
    CHECK(r.code == 2);
    CHECK_MESSAGE(r.err.find(why) != std::string::npos, r.err);
    CHECK(r.err.find("QRT-E0480") != std::string::npos);
  };
  refused({"--curve", "uniform"}, "--curve measures accuracy");
  for (const auto& [curve, why] :
       {std::pair<const char*, const char*>("pq", "--curve pq: is not of uniform"),
        {"uniform=9", "a whole number from 1 to 8"},
        {"uniform=1", "bits=1 needs grid=original"},
        {"bwn=1", "no number of bits to set"},
        {"alq=", "joined by +"},
        {"uniform=8++4", "joined by +"},
        {"uniform=8+", "joined by +"},
        {"alq=1e300", "1e300"},
        {"alq=nan", "nan"},
        {"esb=1", "needs zero=no"}}) {
    std::vector<std::string> words = data;
    words.insert(words.end(), {"--curve", curve});
    refused(words, why);
  }
}

std::string chromium() {
  const CommandResult r = run_command({"sh", "-c", "command -v chromium || command -v chrome"});
  return r.code == 0 ? r.out.substr(0, r.out.find('\n')) : "";
}

// What the browser says when it opens the file; `extra` are more of its options. Its names resolve
// to nothing: not even what the browser itself would like to fetch leaves the machine.
CommandResult browse(const std::string& browser, const std::string& html,
                     const std::vector<std::string>& extra) {
  std::vector<std::string> words = {"timeout",
                                    "120",
                                    browser,
                                    "--headless=new",
                                    "--no-sandbox",
                                    "--disable-gpu",
                                    "--disable-dev-shm-usage",
                                    "--no-first-run",
                                    "--disable-background-networking",
                                    "--disable-component-update",
                                    "--disable-sync",
                                    "--host-resolver-rules=MAP * ~NOTFOUND",
                                    "--user-data-dir=" + scratch("chromium"),
                                    "--window-size=1400,2000"};
  words.insert(words.end(), extra.begin(), extra.end());
  words.push_back("file://" + html);
  return run_command(words);
}

// Addresses that the page made the browser ask for, from its own network log. Requests that the
// browser makes for itself have no origin there.
std::set<std::string> asked_for(const std::string& log) {
  std::set<std::string> out;
  const auto tree = nlohmann::json::parse(read_text(log), nullptr, false);
  REQUIRE(tree.is_object());
  const auto type = tree["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
  REQUIRE(type.is_number());
  for (const auto& event : tree["events"]) {
    if (event["type"] != type || !event["params"].contains("url")) continue;
    if (event["params"].value("initiator", "") == "not an origin") continue;
    out.insert(event["params"]["url"].get<std::string>());
  }
  return out;
}

TEST_CASE("report: a browser draws it and asks for nothing else") {
  const std::string browser = chromium();
  if (browser.empty()) {
    MESSAGE("SKIPPED: chromium is not installed (toolchains/bootstrap.sh chromium)");
    return;
  }
  // The log does show what a page asks for.
  const std::string log = scratch("net.json"), page = scratch("page.html");
  const std::string address = "http://127.0.0.1:9/x.png";
  std::ofstream(page) << "<!DOCTYPE html><p>x</p><img src=\"" << address << "\">";
  browse(browser, page, {"--log-net-log=" + log, "--screenshot=" + scratch("page.png")});
  CHECK(asked_for(log).count(address) == 1);

  // The picture stays in the build's test output for people to look at.
  const std::string folder = std::string(QRT_BINARY_DIR) + "/test_output";
  const std::string shot = folder + "/report.png";
  run_command({"sh", "-c", "mkdir -p '" + folder + "' && rm -f '" + shot + "'"});
  browse(browser, demo_report(), {"--log-net-log=" + log, "--screenshot=" + shot});
  CHECK(asked_for(log).empty());
  REQUIRE(exists(shot));
  const io::Image picture = io::read_image(shot);
  CHECK(picture.width == 1400);
  std::set<uint32_t> colors;
  for (size_t i = 0; i + 2 < picture.rgb.size(); i += 3)
    colors.insert(picture.rgb[i] << 16 | picture.rgb[i + 1] << 8 | picture.rgb[i + 2]);
  CHECK(colors.count(0xd9542b) == 1);  // the point of this conversion in the plot
  CHECK(colors.count(0x4a90d9) == 1);  // those of the others
  const CommandResult dom = browse(browser, demo_report(), {"--dump-dom"});
  CHECK(count(dom.out, "<circle") == 4);
  CHECK(count(dom.out, "<tr>") > 14);

  // Hostile names neither load nor run.
  std::ofstream(page) << cli::html_report(hostile());
  const CommandResult evil = browse(browser, page, {"--log-net-log=" + log, "--dump-dom"});
  CHECK(asked_for(log).empty());
  CHECK(evil.out.find("&lt;img src=http") != std::string::npos);
  CHECK(evil.out.find("<img") == std::string::npos);
}

}  // namespace
