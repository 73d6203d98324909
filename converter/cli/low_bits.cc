#include "converter/cli/low_bits.h"

#include <algorithm>

#include "converter/base/text.h"

namespace qrt::cli {

std::string low_bits_table(const lowbit::Report& report) {
  size_t width = 0;
  for (const lowbit::LayerReport& l : report.layers) width = std::max(width, l.layer.size());
  std::string text;
  for (const lowbit::LayerReport& l : report.layers)
    text += cat(l.layer, std::string(width + 2 - l.layer.size(), ' '), l.what, "\n");
  return text;
}

}  // namespace qrt::cli
