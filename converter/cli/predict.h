// What a file will cost on this CPU, before anybody has to wait for k-means:
// milliseconds per operator, as stored and with every weight decoded to dense f32.
// Time does not depend on which codes a file holds, so a file of placeholders tells
// it as well as the real one.
#ifndef QRT_CONVERTER_CLI_PREDICT_H_
#define QRT_CONVERTER_CLI_PREDICT_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qrt::cli {

// One operator of the file; one thread, batch 1.
struct LayerTime {
  std::string name, kind, kernel;
  std::string choice;     // the cost model's figures for each strategy, as `qrt inspect` has them
  bool is_coded = false;  // its weights are compressed
  double ms = 0;          // as stored
  double dense_ms = 0;    // with its weights decoded to dense f32
};

// Opens the file twice, compressed and decoded, and runs both in turns on zeros for about
// `seconds`, at least three times each; the fastest run of each operator counts. In file order.
// Throws ToolError with libqrt's own code and message, `where` in front.
std::vector<LayerTime> time_layers(std::span<const uint8_t> file, const std::string& where,
                                   double seconds);

// A coded layer counts as slower than dense beyond this ratio and difference; below it is the
// noise of a machine that does other things too.
inline constexpr double kSlowerRatio = 1.15, kSlowerMs = 0.002;

// One sentence for each coded layer that runs slower than it would dense, with both figures and
// what to do about it.
std::vector<std::string> slower_than_dense(const std::vector<LayerTime>&);

// The sums of `ms` and `dense_ms`.
struct TotalTime {
  double ms = 0, dense_ms = 0;
};
TotalTime total_time(const std::vector<LayerTime>&);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_PREDICT_H_
