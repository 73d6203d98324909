// One line to stderr, exit code 2, never a signal: the tools' only way out on errors.
#include "runtime/tools/io/error.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/tools/io/files.h"

namespace qrt::io {

std::string error_code(int id) {
  char text[16];
  std::snprintf(text, sizeof text, "QRT-E%04d", id);
  return text;
}

ToolError library_error(const std::string& where, const char* message, const char* code) {
  std::string text = message;
  const size_t tail = text.rfind(" (QRT-E");
  if (tail != std::string::npos && text.back() == ')') text.resize(tail);
  if (text.compare(0, where.size(), where) != 0) text = where + ": " + text;
  const bool known = std::strncmp(code, "QRT-E", 5) == 0;
  return {known ? std::atoi(code + 5) : 451, text};
}

void print_error(const char* tool, const std::string& message, int id) {
  std::string line = message;
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  std::fprintf(stderr, "%s: %s (%s)\n", tool, line.c_str(), error_code(id).c_str());
}

int guarded_main(const char* tool, int (*body)(int argc, char** argv), int argc, char** argv) {
  // A closed pipe and a file size limit are write errors with a message, not signals.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  // Where the caller closed 0, 1 or 2, the next file opened would take its place and get what is
  // printed. What is written to these placeholders fails.
  int fd;
  do fd = ::open("/dev/null", O_RDONLY);
  while (fd >= 0 && fd <= 2);
  if (fd > 2) ::close(fd);
  remove_partials_when_interrupted();
  try {
    int code = body(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      throw ToolError(402, "cannot write to standard output; is the disk full or the pipe closed?");
    return code;
  } catch (const ToolError& e) {
    print_error(tool, e.what(), e.id());
  } catch (const std::bad_alloc&) {
    print_error(tool, "out of memory; use a smaller --batch or a machine with more memory", 450);
  } catch (const std::exception& e) {
    print_error(tool, std::string("internal error: ") + e.what() + "; please report it", 451);
  }
  return kFailed;
}

}  // namespace qrt::io
