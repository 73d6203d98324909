// One test case through the real importer, passes, emit and libqrt, and its
// outputs against those ONNX's own reference gave.
#ifndef QRT_TESTS_ONNX_RUN_H_
#define QRT_TESTS_ONNX_RUN_H_

#include <string>
#include <vector>

#include "tests/onnx/case.h"

namespace qrt::test {

enum class Verdict : char {
  passed = 'p',   // interpreter and engine both give what is expected
  probed = 'f',   // passed, with the inputs that add_probes() gave it
  refused = 'r',  // qrt-convert or libqrt says why it will not; `code` is the error's
  wrong = 'w',    // another answer, or a crash
};

struct Outcome {
  Verdict verdict = Verdict::wrong;
  int code = 0;        // of QRT-E<code>, 0 where there is none
  std::string detail;  // one line
};

// Largest error of floats relative to the largest expected magnitude; outputs that were rounded to
// 16 bits get what that rounding costs. Integers, booleans, infinities and shapes must be equal.
inline constexpr double kTolerance = 1e-4;

Outcome run_case(const Case& test);

}  // namespace qrt::test

#endif  // QRT_TESTS_ONNX_RUN_H_
