// perfdiff [--all] OLD.json NEW.json: what a change did to speed; exit code 1 where something is
// slower.
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "bench/perfdiff.h"

namespace {

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    throw std::runtime_error(std::string("cannot read '") + path + "'");
  return text.str();
}

}  // namespace

int main(int argc, char** argv) {
  const bool all = argc > 1 && std::strcmp(argv[1], "--all") == 0;
  if (argc != (all ? 4 : 3)) {
    std::fprintf(stderr, "usage: perfdiff [--all] OLD.json NEW.json\n");
    return 2;
  }
  try {
    const auto changes =
        qrt::bench::compare_reports(read_file(argv[argc - 2]), read_file(argv[argc - 1]));
    std::printf("%s", qrt::bench::changes_markdown(changes, all).c_str());
    for (const auto& c : changes)
      if (c.verdict == qrt::bench::Change::Verdict::slower) return 1;
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "perfdiff: %s\n", e.what());
    return 2;
  }
}
