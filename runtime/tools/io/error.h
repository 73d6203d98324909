// ToolError: how the command line tools say no. The message is the whole line -
// where, what, found vs allowed, what to do - and `id` is the
// number in the stable code that docs/errors lists. Only tools throw.
#ifndef QRT_RUNTIME_TOOLS_IO_ERROR_H_
#define QRT_RUNTIME_TOOLS_IO_ERROR_H_

#include <algorithm>
#include <stdexcept>
#include <string>

namespace qrt::io {

class ToolError : public std::runtime_error {
 public:
  ToolError(int id, std::string message) : std::runtime_error(without_nul(message)), id_(id) {}
  int id() const { return id_; }

 private:
  // A hostile name with a NUL must not cut off the rest of the message.
  static const std::string& without_nul(std::string& text) {
    std::replace(text.begin(), text.end(), '\0', '?');
    return text;
  }
  int id_;
};

// Exit codes of all tools.
inline constexpr int kDone = 0, kAnswerIsNo = 1, kFailed = 2;

// "QRT-E0410"
std::string error_code(int id);

// libqrt's own message and code ("QRT-E0123") as a ToolError; `where` is put in front unless the
// message names it already.
ToolError library_error(const std::string& where, const char* message, const char* code);

// Prints "tool: message (QRT-Ennnn)" as one line to stderr; control characters of
// hostile names are shown as '?'.
void print_error(const char* tool, const std::string& message, int id);

// Runs a tool's body; every exception becomes a printed line and exit code 2.
// Also makes a closed pipe an ordinary write error instead of a signal.
int guarded_main(const char* tool, int (*body)(int argc, char** argv), int argc, char** argv);

}  // namespace qrt::io

#endif  // QRT_RUNTIME_TOOLS_IO_ERROR_H_
