#include "converter/cli/low_bits.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "converter/base/printed.h"
#include "converter/base/text.h"
#include "converter/ir/graph.h"
#include "runtime/tools/io/error.h"

namespace qrt::cli {

std::string low_bits_table(const lowbit::Report& report) {
  size_t width = 0;
  for (const lowbit::LayerReport& l : report.layers) width = std::max(width, l.layer.size());
  std::string text;
  for (const lowbit::LayerReport& l : report.layers)
    text += cat(l.layer, std::string(width + 2 - l.layer.size(), ' '), l.what, "\n");
  return text;
}

std::vector<lowbit::EsbActivation> round_to_esb(const ConvertOptions& o,
                                                const quant::CalibrationData& data,
                                                ir::Graph& laid_out) {
  if (!o.esb || data.inputs.empty()) return {};
  auto rounded = lowbit::round_activations(laid_out, *o.esb, data);
  if (!rounded.ok())
    throw io::ToolError(rounded.error().id, o.model + ": " + rounded.error().message);
  if (const auto sound = ir::verify(laid_out); !sound.ok())
    throw io::ToolError(sound.error().id, o.model + ": " + sound.error().message);
  if (o.print_passes) std::fprintf(stderr, "# after esb\n%s\n", ir::print(laid_out).c_str());
  return std::move(*rounded);
}

std::string esb_table(const std::vector<lowbit::EsbActivation>& all) {
  std::string text;
  for (const lowbit::EsbActivation& a : all)
    text +=
        printed("  %-32s %s%d values to %g, %.1f dB\n", a.value.c_str(), a.has_sign ? "+-" : "",
                1 << (a.format.bits - 1), static_cast<double>(a.scale) * quant::esb_most(a.format),
                a.error > 0 ? -10 * std::log10(a.error) : 200.0);
  return text.empty() ? text : "activations rounded to ESB values:\n" + text;
}

}  // namespace qrt::cli
