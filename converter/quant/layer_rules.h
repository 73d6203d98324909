// Settings of a method layer by layer, from a JSON file (`--layers FILE.json`):
//
//   {"default": {"centroids": 256, "entries": "f16"},
//    "layers": [{"match": "layer[23]\\..*", "block": 8},
//               {"match": "fc", "dense": true},
//               {"match": "head\\.conv", "force": true}]}
//
// `match` is a regular expression (ECMAScript) for the whole name of a node. A layer
// takes what `default` says, then what every rule that matches it says; two rules that
// say different things about one layer contradict each other and are refused.
#ifndef QRT_CONVERTER_QUANT_LAYER_RULES_H_
#define QRT_CONVERTER_QUANT_LAYER_RULES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/quant/pq_layer.h"

namespace qrt::quant {

// What a rule says; what it leaves out stays as --pq and the defaults have it.
struct LayerRule {
  std::string match;  // empty in `default`
  std::optional<int32_t> block, centroids, books, iterations;
  std::optional<int32_t> bits;  // of methods uniform, alq and esb
  std::optional<EntryType> entries;
  std::optional<Clip> clip;
  std::optional<GramKind> gram;
  std::optional<bool> dense;
  std::optional<bool> force;  // code it although it is the first, depthwise or too small to pay
  std::optional<bool> f32_activations;  // it stays out of --activations int8
  bool empty() const;                   // says nothing about any setting
  bool only_forces() const;             // nothing but `force`, or nothing at all
};

struct LayerRules {
  LayerRule defaults;
  std::vector<LayerRule> rules;
  bool empty() const { return rules.empty() && defaults.empty(); }
};

// Errors: QRT-E0735 (no JSON, unknown key, value out of range, a bad expression), QRT-E0736 (dense
// beside other settings in one rule, an expression that stands twice). Messages name the rule.
Result<LayerRules> parse_layer_rules(const std::string& json);

// The text that parse_layer_rules() reads back as the same rules; one rule per line.
std::string to_json(const LayerRules&);

// `name` as an expression that matches this name alone.
std::string quoted_pattern(const std::string& name);

// Which rules say what about which layer.
class RuleBook {
 public:
  explicit RuleBook(const LayerRules& rules) : rules_(rules), uses_(rules.rules.size()) {}

  // All that rules, `default` aside, say about the layer. Errors: QRT-E0736 where two of them
  // contradict each other.
  Result<LayerRule> about(const std::string& layer);

  // A sentence for each rule that has matched none of the layers asked about, with the nearest
  // names.
  std::vector<std::string> unused() const;

 private:
  const LayerRules& rules_;
  std::vector<int> uses_;
  std::vector<std::string> layers_;
};

// Overrides what the rule sets.
void apply(const LayerRule&, PqLayerSettings*);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_LAYER_RULES_H_
