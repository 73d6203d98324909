// A carriage return and "erase to the end of line" are all the terminal must know.
#include "converter/cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace qrt::cli {
namespace {

std::string clock_text(double seconds) {
  const auto s = static_cast<long long>(std::round(seconds));
  char text[40];
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  return text;
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string progress_text(const quant::ProgressStep& step, double elapsed, int width) {
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3d %%  ", static_cast<int>(100 * step.done));
  const double worked = step.done - step.resumed;
  std::string left;
  if (elapsed >= 2 && worked >= 0.01)
    left = "  " + clock_text(elapsed * (1 - step.done) / worked) + " left";
  // The name gives way where there is no room for everything.
  const auto room = static_cast<size_t>(std::max(0, width));
  const size_t taken = std::strlen(percent) + left.size();
  std::string name(step.now.substr(0, room > taken ? room - taken : 0));
  for (char& c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return (percent + name + left).substr(0, room);
}

ProgressLine::ProgressLine(bool wanted) : start_(Clock::now()), last_() {
  const char* term = std::getenv("TERM");
  const bool is_dumb = term != nullptr && std::strcmp(term, "dumb") == 0;
  draws_ = wanted && !is_dumb && ::isatty(STDERR_FILENO) == 1;
}

ProgressLine::~ProgressLine() {
  clear();
}

void ProgressLine::show(const quant::ProgressStep& step) {
  if (!draws_) return;
  const auto now = Clock::now();
  const bool is_new = step.now != now_;  // a new layer is shown at once
  if (drawn_ && !is_new && now - last_ < std::chrono::milliseconds(100)) return;
  now_ = step.now;
  last_ = now;
  drawn_ = true;
  const std::chrono::duration<double> elapsed = now - start_;
  // The last column stays free: some terminals wrap as soon as it is filled.
  std::fprintf(stderr, "\r%s\033[K",
               progress_text(step, elapsed.count(), terminal_width() - 1).c_str());
  std::fflush(stderr);
}

quant::Progress ProgressLine::sink() {
  if (!draws_) return {};
  return [this](const quant::ProgressStep& step) { show(step); };
}

void ProgressLine::clear() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace qrt::cli
