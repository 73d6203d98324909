// See machine.h.
#include "runtime/tools/machine.h"

#include <fstream>

namespace qrt::tools {

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    const bool is_name = line.rfind("model name", 0) == 0 || line.rfind("Model", 0) == 0 ||
                         line.rfind("Hardware", 0) == 0;
    if (is_name && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

}  // namespace qrt::tools
