// Other conversions of the same model that a report measures beside the one at hand: the same
// method at other settings, or what --curve asks for.
#ifndef QRT_CONVERTER_CLI_CURVE_H_
#define QRT_CONVERTER_CLI_CURVE_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "converter/cli/options.h"

namespace qrt::cli {

struct Variant {
  std::string name, method;
  std::map<std::string, std::string> method_options;
  // Points of one name are joined by a line and labelled with `mark`; empty: the point stands by
  // its own name, on the line of the conversion at hand.
  std::string series = {}, mark = {};
};

// Other settings of the conversion's method, at most `most`, each with a name: of pq a sixteenth
// and a quarter of the entries, blocks of half and of twice the length; of uniform and esb 2 to 6
// bits, of alq averages of 1 to 4. Empty for methods without such settings.
std::vector<Variant> variants(const ConvertOptions&, size_t most);

// What --curve asks for: "uniform", with the numbers of bits it usually has, or "uniform=8+4+2".
// Options given to the conversion's own method hold for its curve as well, but for bits; what
// --layers says of single layers holds for every curve, but for settings of codebooks. Throws
// ToolError 480, 735, 736.
std::vector<Variant> curve_variants(const ConvertOptions&);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_CURVE_H_
