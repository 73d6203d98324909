// A variant is words for a method, as a user would give them.
#include "converter/cli/curve.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "converter/quant/layer_rules.h"
#include "converter/quant/low_bit.h"
#include "converter/quant/product.h"
#include "converter/quant/sketch.h"
#include "runtime/tools/io/error.h"

namespace qrt::cli {
namespace {

std::string bits_text(const std::string& bits) {
  return bits + (bits == "1" ? " bit" : " bits");
}

// Methods of few bits: other numbers of bits, those next to what was asked for first.
std::vector<Variant> of_other_bits(const ConvertOptions& o, size_t most) {
  auto parsed = quant::parse_low_bit_options(o.method.c_str(), o.method_options);
  if (!parsed.ok()) return {};
  const double now = parsed->settings.bits;
  std::vector<int> bits = {2, 3, 4, 5, 6};
  if (o.method == "alq") bits = {1, 2, 3, 4};
  std::stable_sort(bits.begin(), bits.end(),
                   [&](int a, int b) { return std::abs(a - now) < std::abs(b - now); });
  std::vector<Variant> out;
  for (const int b : bits) {
    if (b == now || out.size() == most) continue;
    auto words = o.method_options;
    words["bits"] = std::to_string(b);
    out.push_back({bits_text(words["bits"]), o.method, words});
  }
  return out;
}

[[noreturn]] void refuse(const std::string& word, const std::string& why) {
  throw io::ToolError(480,
                      "command line: --curve " + word + ": " + why + "; see 'qrt-convert --help'");
}

// The numbers of bits that a method's curve has; "" stands for a method without such a setting.
std::vector<std::string> usual_bits(const std::string& method) {
  if (method == "uniform") return {"8", "6", "5", "4", "3", "2"};
  if (method == "esb") return {"8", "6", "5", "4", "3"};
  if (method == "alq") return {"6", "5", "4", "3", "2"};
  if (method == "bwn" || method == "twn") return {""};
  return {};
}

// What --layers says in terms that every method of few bits knows: all but the settings of
// codebooks.
quant::LayerRules common_rules(const ConvertOptions& o) {
  quant::LayerRules out;
  if (o.layers.empty()) return out;
  auto given = quant::parse_layer_rules(o.layers);
  if (!given.ok()) throw io::ToolError(given.error().id, given.error().message);
  const auto common = [](const quant::LayerRule& from) {
    quant::LayerRule rule;
    rule.match = from.match;
    rule.bits = from.bits;
    rule.dense = from.dense, rule.force = from.force;
    rule.f32_activations = from.f32_activations;
    return rule;
  };
  out.defaults = common(given->defaults);
  for (const quant::LayerRule& from : given->rules)
    if (const quant::LayerRule rule = common(from); !rule.empty()) out.rules.push_back(rule);
  return out;
}

// A plane or two more than the average, so that groups can differ, and those that rules ask for.
std::string planes_for(double bits, const quant::LayerRules& rules) {
  const double wanted = std::ceil(bits) + 2;  // no number of bits is refused elsewhere
  if (!(wanted < quant::kMaxPlanes)) return std::to_string(quant::kMaxPlanes);
  int32_t planes = std::max({4, static_cast<int32_t>(wanted), rules.defaults.bits.value_or(0)});
  for (const quant::LayerRule& rule : rules.rules) planes = std::max(planes, rule.bits.value_or(0));
  return std::to_string(planes);
}

Variant at_bits(const ConvertOptions& o, const std::string& method, const std::string& bits) {
  Variant v;
  v.method = v.series = method;
  const quant::LayerRules rules = common_rules(o);
  if (o.method == method)
    v.method_options = o.method_options;
  else if (!rules.empty())
    v.method_options["layers"] = quant::to_json(rules);
  v.name = method + (bits.empty() ? "" : ", " + bits_text(bits));
  v.mark = bits.empty() ? method : bits;
  if (bits.empty()) return v;
  v.method_options["bits"] = bits;
  if (method == "alq" && v.method_options.count("planes") == 0)
    v.method_options["planes"] = planes_for(std::atof(bits.c_str()), rules);
  return v;
}

}  // namespace

std::vector<Variant> variants(const ConvertOptions& o, size_t most) {
  if (o.method == "uniform" || o.method == "alq" || o.method == "esb")
    return of_other_bits(o, most);
  std::vector<Variant> out;
  const auto parsed = quant::parse_pq_options(o.method_options);
  if (o.method != "pq" || !parsed.ok()) return out;
  const quant::PqOptions& p = *parsed;
  const auto entries = [&](int32_t divisor) {
    auto words = o.method_options;
    words["centroids_conv"] = std::to_string(std::max(2, p.centroids_conv / divisor));
    words["centroids_fc"] = std::to_string(std::max(2, p.centroids_fc / divisor));
    return words;
  };
  const auto blocks = [&](auto length) {
    auto words = o.method_options;
    words["block_3x3"] = std::to_string(length(p.block_3x3));
    words["block_1x1"] = std::to_string(length(p.block_1x1));
    words["block_fc"] = std::to_string(length(p.block_fc));
    if (p.block_other > 0) words["block_other"] = std::to_string(length(p.block_other));
    return words;
  };
  out.push_back(
      {"blocks of half the length", "pq", blocks([](int32_t d) { return std::max(1, d / 2); })});
  out.push_back({"a quarter of the entries", "pq", entries(4)});
  out.push_back({"a sixteenth of the entries", "pq", entries(16)});
  out.push_back({"blocks of twice the length", "pq",
                 blocks([](int32_t d) { return std::min(1024, 2 * d); })});
  if (out.size() > most) out.resize(most);
  return out;
}

std::vector<Variant> curve_variants(const ConvertOptions& o) {
  std::vector<Variant> out;
  for (const std::string& group : o.curve) {
    std::stringstream words(group);
    for (std::string word; std::getline(words, word, ',');) {
      const size_t equals = word.find('=');
      const std::string method = word.substr(0, equals);
      std::vector<std::string> bits = usual_bits(method);
      if (bits.empty()) refuse(word, "is not of uniform, esb, alq, twn or bwn");
      if (equals != std::string::npos) {
        if (bits[0].empty()) refuse(word, "method " + method + " has no number of bits to set");
        bits.clear();
        std::stringstream numbers(word.substr(equals + 1));
        for (std::string b; std::getline(numbers, b, '+');) bits.push_back(b);
        if (word.back() == '+' || std::count(bits.begin(), bits.end(), "") != 0) bits.clear();
        if (bits.empty()) refuse(word, "numbers of bits joined by + are expected behind =");
      }
      for (const std::string& b : bits) {
        Variant v = at_bits(o, method, b);
        auto parsed = quant::parse_low_bit_options(method.c_str(), v.method_options);
        if (!parsed.ok()) refuse(word, parsed.error().message);
        out.push_back(std::move(v));
      }
    }
  }
  return out;
}

}  // namespace qrt::cli
