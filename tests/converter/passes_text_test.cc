// Passes as text in, text out: every file of tests/converter/passes/ holds the
// names of the passes to run, a graph before and the graph after. Where a pass
// has something to say, `note` lines stand in front of the graph after.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "converter/ir/graph.h"
#include "converter/lowbit/lowbit.h"
#include "converter/passes/passes.h"
#include "converter/passes/pipeline.h"

namespace qrt {
namespace {

struct Case {
  std::vector<std::string> passes, notes;
  std::string before, after, error;
};

Case read_case(const std::filesystem::path& path) {
  std::ifstream in(path);
  Case c;
  std::string* section = nullptr;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first, word;
    words >> first;
    if (first == "passes:") {
      while (words >> word) c.passes.push_back(word);
    } else if (first == "note:" || first == "error:") {
      const std::string text = line.substr(first.size() + 1);
      if (first == "note:") c.notes.push_back(text);
      if (first == "error:") c.error = text;
    } else if (first == "before:") {
      section = &c.before;
    } else if (first == "after:") {
      section = &c.after;
    } else if (section != nullptr) {
      *section += line + "\n";
    }
  }
  return c;
}

// Its report is streamline_test.cc's matter.
Result<void> streamline(ir::Graph& g) {
  const auto report = lowbit::streamline(g);
  return report.ok() ? Result<void>() : report.error();
}

const ir::Pass* find_pass(const std::string& name) {
  static constexpr ir::Pass kStreamline = {"streamline", streamline};
  if (name == kStreamline.name) return &kStreamline;
  for (auto list : {passes::prepare_passes(), passes::layout_passes(), lowbit::steps_passes()})
    for (const ir::Pass& p : list)
      if (p.name == name) return &p;
  return nullptr;
}

ir::Graph parse_or_fail(const std::string& text) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  return *g;
}

void run_case(const Case& c) {
  REQUIRE(!c.passes.empty());
  ir::Graph g = parse_or_fail(c.before);
  std::vector<ir::Pass> list;
  for (const std::string& name : c.passes) {
    const ir::Pass* pass = find_pass(name);
    REQUIRE_MESSAGE(pass != nullptr, "no pass is called ", name);
    list.push_back(*pass);
  }
  const auto done = passes::run_pipeline(g, list);
  if (!c.error.empty()) {
    REQUIRE(!done.ok());
    CHECK("QRT-E0" + std::to_string(done.error().id) + " " + done.error().message == c.error);
    return;
  }
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
  CHECK(ir::print(g) == ir::print(parse_or_fail(c.after)));
  CHECK(g.notes == c.notes);
}

TEST_CASE("passes, text in and text out") {
  std::vector<std::filesystem::path> files;
  for (const auto& f :
       std::filesystem::directory_iterator(QRT_SOURCE_DIR "/tests/converter/passes"))
    if (f.path().extension() == ".txt") files.push_back(f.path());
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() >= 12);
  for (const auto& f : files) {
    const std::string name = f.filename().string();
    CAPTURE(name);
    run_case(read_case(f));
  }
}

TEST_CASE("a pass that breaks the graph is caught and named") {
  ir::Graph g =
      parse_or_fail("graph g\ninput %x : f32[1,2]\nnode n = unary(%x) -> %y\noutput %y\n");
  const ir::Pass bad{"bad", [](ir::Graph& broken) -> Result<void> {
                       broken.values[1].producer = -1;
                       return {};
                     }};
  int seen = 0;
  const auto done =
      passes::run_pipeline(g, {&bad, 1}, [&](const char*, const ir::Graph&) { ++seen; });
  REQUIRE(!done.ok());
  CHECK(done.error().id == 580);
  CHECK(done.error().message.find("after bad") != std::string::npos);
  CHECK(seen == 0);
}

}  // namespace
}  // namespace qrt
