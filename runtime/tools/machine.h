// What measurements say about where they were taken.
#ifndef QRT_RUNTIME_TOOLS_MACHINE_H_
#define QRT_RUNTIME_TOOLS_MACHINE_H_

#include <string>

namespace qrt::tools {

std::string cpu_name();  // as /proc/cpuinfo has it

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_MACHINE_H_
