#include "runtime/memory/budget.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace qrt {

uint64_t available_memory() {
  // Linux: "MemAvailable:   12345678 kB", which counts the page cache that can be dropped.
  char text[512];
  ssize_t size = -1;
  const int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    size = read(fd, text, sizeof text - 1);
    close(fd);
  }
  if (size > 0) {
    text[size] = 0;
    if (const char* line = std::strstr(text, "MemAvailable:"))
      return std::strtoull(line + sizeof "MemAvailable:" - 1, nullptr, 10) * 1024;
  }
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return UINT64_MAX;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
}

}  // namespace qrt
