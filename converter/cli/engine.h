// libqrt as the converter's commands use it: a file in memory is opened and run,
// and its outputs are compared with what the graph means.
#ifndef QRT_CONVERTER_CLI_ENGINE_H_
#define QRT_CONVERTER_CLI_ENGINE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "converter/eval/evaluate.h"

namespace qrt::cli {

// Opens `file` from memory with libqrt and runs it, row by row, on inputs in the order of the
// file's ports. Throws ToolError with libqrt's own code and message, `where` in front.
std::vector<eval::Tensor> run_file(std::span<const uint8_t> file, const std::string& where,
                                   const std::vector<eval::Tensor>& inputs);

// The class names that the file carries; empty where it has none. Throws as run_file().
std::vector<std::string> stored_labels(std::span<const uint8_t> file, const std::string& where);

// max |got - want| / max |want| over finite numbers; infinite where sizes differ, or where only one
// of two is finite or they are different infinities: made-up inputs may well reach log(-1).
double relative_error(std::span<const float> got, std::span<const float> want);

// The largest relative error over all f32 outputs, and the largest share of elements that differ
// over the others: of two nearly equal scores rounding may choose another index.
double relative_error(const std::vector<eval::Tensor>& got, const std::vector<eval::Tensor>& want);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_ENGINE_H_
