// onnx_cases: runs ONNX's own test cases (Debian's libonnx-testdata) through the
// converter and libqrt. Every case whose operators qrt-convert claims
// (converter/import/onnx_ops.inc) must give the right answer or be refused with
// a reason; a wrong answer, a crash, or fewer passes than promised below fails.
//
// usage: onnx_cases [--data DIR] [--list] [TEXT...]
//   --list   every case with its outcome and reason, unclaimed operators included
//   TEXT     only cases whose name holds one of these; nothing is promised then
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "converter/base/text.h"
#include "tests/onnx/run.h"

namespace {

using qrt::test::Case;
using qrt::test::Outcome;
using qrt::test::Verdict;

constexpr char kDefaultData[] = "/usr/share/libonnx-testdata/data";
constexpr unsigned kSecondsPerCase = 60;

// What must hold of each suite: how many cases pass, and whether all of claimed operators do.
struct Promise {
  const char* suite;
  int passed;
  bool all_claimed;
};
constexpr Promise kPromises[] = {
    {"node", 632, false},
    {"pytorch-converted", 82, true},
    {"pytorch-operator", 35, true},
    {"simple", 7, true},
};

struct Options {
  std::string data = kDefaultData;
  bool list = false;
  std::vector<std::string> texts;
};

const std::set<std::string>& claimed_operators() {
  static const std::set<std::string> names = {
#define QRT_ONNX_OP(name, min_inputs, max_inputs, handler) #name,
#include "converter/import/onnx_ops.inc"
#undef QRT_ONNX_OP
  };
  return names;
}

std::string unclaimed(const Case& test) {
  std::string list;
  for (const std::string& op : test.operators)
    if (!claimed_operators().count(op)) qrt::append(list, op);
  return list;
}

// In a process of its own: a crash or an endless loop is an outcome like others.
Outcome run_apart(const Case& test) {
  int ends[2];
  if (pipe(ends) != 0) return {Verdict::wrong, 0, "no pipe"};
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(kSecondsPerCase);
    const Outcome outcome = run_case(test);
    const std::string text =
        qrt::cat(static_cast<char>(outcome.verdict), outcome.code, " ", outcome.detail);
    const bool told = write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  std::string text(65536, '\0');
  size_t length = 0;
  for (ssize_t n; (n = read(ends[0], text.data() + length, text.size() - length)) > 0;)
    length += static_cast<size_t>(n);
  close(ends[0]);
  text.resize(length);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || text.size() < 3) {
    return {Verdict::wrong, 0,
            WIFSIGNALED(status) ? qrt::cat("died of signal ", WTERMSIG(status)) : "gave no answer"};
  }
  const size_t space = text.find(' ');
  return {static_cast<Verdict>(text[0]), std::atoi(text.c_str() + 1), text.substr(space + 1)};
}

const char* word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "passed";
    case Verdict::probed:
      return "passed, given an input";
    case Verdict::refused:
      return "refused";
    case Verdict::wrong:
      break;
  }
  return "WRONG";
}

struct Tally {
  int cases = 0, claimed = 0;
  std::map<Verdict, int> count;
  std::map<std::string, std::vector<std::string>> refused;  // by code
  int passed() { return count[Verdict::passed] + count[Verdict::probed]; }
};

bool wanted(const std::string& name, const Options& options) {
  return options.texts.empty() ||
         std::any_of(options.texts.begin(), options.texts.end(),
                     [&](const std::string& t) { return name.find(t) != std::string::npos; });
}

void run_one(const std::string& folder, const std::string& name, bool list, Tally& tally) {
  const Case test = qrt::test::read_case(folder, name);
  ++tally.cases;
  if (const std::string missing = unclaimed(test); !missing.empty()) {
    if (list) std::printf("  %s: operators not claimed: %s\n", name.c_str(), missing.c_str());
    return;
  }
  ++tally.claimed;
  const Outcome outcome = run_apart(test);
  ++tally.count[outcome.verdict];
  const std::string code =
      outcome.code ? qrt::cat("QRT-E0", outcome.code) : std::string("the case's data");
  if (outcome.verdict == Verdict::refused) tally.refused[code].push_back(name);
  if (list || outcome.verdict == Verdict::wrong)
    std::printf("  %s: %s%s%s %s\n", name.c_str(), word_of(outcome.verdict),
                outcome.code ? " " : "", outcome.code ? code.c_str() : "", outcome.detail.c_str());
}

// False if the suite breaks its promise.
bool run_suite(const Promise& promise, const Options& options) {
  const std::string folder = options.data + "/" + promise.suite;
  Tally tally;
  for (const std::string& name : qrt::test::case_names(folder))
    if (wanted(name, options)) run_one(folder, name, options.list, tally);
  if (tally.cases == 0 && !options.texts.empty()) return true;
  std::printf(
      "%s: %d cases, %d of claimed operators: %d passed (%d of them without inputs of their own), "
      "%zu refused, "
      "%d wrong\n",
      promise.suite, tally.cases, tally.claimed, tally.passed(), tally.count[Verdict::probed],
      static_cast<size_t>(tally.count[Verdict::refused]), tally.count[Verdict::wrong]);
  for (const auto& [code, names] : tally.refused)
    std::printf("  refused, %s (%zu): %s\n", code.c_str(), names.size(),
                qrt::join(names, ", ").c_str());
  bool good = tally.count[Verdict::wrong] == 0;
  if (!options.texts.empty()) return good;
  if (tally.passed() < promise.passed) {
    std::printf("  BROKEN: at least %d must pass\n", promise.passed);
    good = false;
  }
  if (promise.all_claimed && tally.passed() != tally.claimed) {
    std::printf("  BROKEN: every case of claimed operators must pass\n");
    good = false;
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--list") == 0) {
      options.list = true;
    } else if (std::strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
      options.data = argv[++i];
    } else {
      options.texts.push_back(argv[i]);
    }
  }
  if (qrt::test::case_names(options.data + "/node").empty()) {
    std::printf("SKIPPED: no test cases in %s; install libonnx-testdata or give --data\n",
                options.data.c_str());
    return 0;
  }
  bool good = true;
  for (const Promise& promise : kPromises) good &= run_suite(promise, options);
  return good ? 0 : 1;
}
