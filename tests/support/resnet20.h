// ResNet-20 and its pictures, made by the scripts of examples/resnet20 from the
// checkpoint and the records under QRT_DATA. Needs a Python with numpy and onnx.
#ifndef QRT_TESTS_SUPPORT_RESNET20_H_
#define QRT_TESTS_SUPPORT_RESNET20_H_

#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/real_data.h"

namespace qrt::test {

// A Python that has both packages: the first of PATH, or Debian's, which its packages belong to.
inline std::string python_with_onnx() {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (run_command({python, "-c", "import numpy, onnx"}).code == 0) return python;
  }
  return "";
}

// Runs one of the scripts; the error it printed, empty if it went well.
inline std::string run_script(const std::string& python, const std::string& script,
                              std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   {python, "-B", std::string(QRT_SOURCE_DIR) + "/examples/resnet20/" + script});
  const CommandResult r = run_command(arguments);
  return r.code == 0 ? "" : r.err + " (exit code " + std::to_string(r.code) + ")";
}

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_RESNET20_H_
