// What the streamlining of low-bit networks did, for the user.
#ifndef QRT_CONVERTER_CLI_LOW_BITS_H_
#define QRT_CONVERTER_CLI_LOW_BITS_H_

#include <string>
#include <vector>

#include "converter/cli/options.h"
#include "converter/lowbit/esb_activations.h"
#include "converter/lowbit/lowbit.h"

namespace qrt::cli {

// A line per layer: what its sums are of, and how they end; empty where there was nothing to do.
std::string low_bits_table(const lowbit::Report&);

// Rounds activations to ESB values, where --activations esb asks for it; a plan has no data and
// rounds nothing. Throws ToolError with the codes of lowbit::round_activations().
std::vector<lowbit::EsbActivation> round_to_esb(const ConvertOptions&,
                                                const quant::CalibrationData&, ir::Graph& laid_out);

// A line per value that --activations esb rounds: its format, the largest value, what is lost.
std::string esb_table(const std::vector<lowbit::EsbActivation>&);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_LOW_BITS_H_
