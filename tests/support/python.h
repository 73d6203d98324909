// Python scripts that tests run: whether there is one with the packages a script
// needs, and its output.
#ifndef QRT_TESTS_SUPPORT_PYTHON_H_
#define QRT_TESTS_SUPPORT_PYTHON_H_

#include <string>
#include <vector>

#include "tests/support/command.h"

namespace qrt::test {

// A Python that can import these ("numpy, onnx"): the first of PATH, or Debian's, which its
// packages belong to. Empty if there is none.
inline std::string python_with(const std::string& packages) {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (run_command({python, "-c", "import " + packages}).code == 0) return python;
  }
  return "";
}

// Runs a script of the source tree, `script` being its path there; leaves no cache beside it.
inline CommandResult run_script(const std::string& python, const std::string& script,
                                std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {python, "-B", std::string(QRT_SOURCE_DIR) + "/" + script});
  return run_command(arguments);
}

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_PYTHON_H_
