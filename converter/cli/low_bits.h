// What the streamlining of low-bit networks did, for the user.
#ifndef QRT_CONVERTER_CLI_LOW_BITS_H_
#define QRT_CONVERTER_CLI_LOW_BITS_H_

#include <string>

#include "converter/lowbit/lowbit.h"

namespace qrt::cli {

// A line per layer: what its sums are of, and how they end; empty where there was nothing to do.
std::string low_bits_table(const lowbit::Report&);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_LOW_BITS_H_
