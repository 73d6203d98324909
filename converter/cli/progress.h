// One line on the terminal that says how far a conversion is and when it will be
// done. Silent where standard error is no terminal: logs and pipes get no
// half-drawn lines.
#ifndef QRT_CONVERTER_CLI_PROGRESS_H_
#define QRT_CONVERTER_CLI_PROGRESS_H_

#include <chrono>
#include <string>

#include "converter/quant/control.h"

namespace qrt::cli {

// " 34 %  layer2.0.conv1  1:20 left", at most `width` characters; control characters of names as
// '?'. The rate is that of this run alone: what it resumed cost no time. No time is named before
// there is a rate to tell it by (two seconds and one per cent).
std::string progress_text(const quant::ProgressStep&, double elapsed_seconds, int width);

// The line of one stage. Redrawn at most ten times a second; wiped by the destructor, so that what
// is printed next starts on an empty line.
class ProgressLine {
 public:
  // Draws only if `wanted` and standard error is a terminal that can.
  explicit ProgressLine(bool wanted);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void show(const quant::ProgressStep&);
  // Refers to this line; empty where it does not draw.
  quant::Progress sink();
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool draws_, drawn_ = false;
  Clock::time_point start_, last_;
  std::string now_;
};

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_PROGRESS_H_
