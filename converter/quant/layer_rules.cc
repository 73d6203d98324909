// One table of keys serves reading, writing, merging and applying, so that none can
// be forgotten in one of them.
#include "converter/quant/layer_rules.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "converter/base/text.h"
#include "schema/layout.h"

namespace qrt::quant {
namespace {

// Matched without backtracking where the library can: "(a+)+X" must not take years. References back
// into the match are refused then.
std::regex expression(const std::string& text) {
#ifdef __GLIBCXX__
  return std::regex(text, std::regex::ECMAScript | std::regex_constants::__polynomial);
#else
  return std::regex(text);
#endif
}

using nlohmann::json;
constexpr int kBadRules = 735;
constexpr int kContradiction = 736;
constexpr size_t kMaxRules = 4096, kMaxPattern = 512, kMaxName = 1024;

struct Number {
  const char* key;
  std::optional<int32_t> LayerRule::*field;
  int32_t PqLayerSettings::*setting;  // null: not one of pq's
  int32_t least, most;
};
constexpr Number kNumbers[] = {
    {"block", &LayerRule::block, &PqLayerSettings::dim, 1, layout::kMaxBlockDim},
    {"centroids", &LayerRule::centroids, &PqLayerSettings::centroids, 2, layout::kMaxCentroids},
    {"books", &LayerRule::books, &PqLayerSettings::books, 1, layout::kMaxBooks},
    {"iterations", &LayerRule::iterations, &PqLayerSettings::iterations, 1, 100000},
    {"bits", &LayerRule::bits, nullptr, 1, 8},
};

struct Flag {
  const char* key;
  std::optional<bool> LayerRule::*field;
};
constexpr Flag kFlags[] = {{"dense", &LayerRule::dense},
                           {"force", &LayerRule::force},
                           {"f32_activations", &LayerRule::f32_activations}};

// Words of an enumeration, in the order of its values.
template <class T>
struct Words {
  const char* key;
  std::optional<T> LayerRule::*field;
  T PqLayerSettings::*setting;
  std::vector<std::pair<const char*, T>> words;
  std::string list() const {
    std::vector<std::string> out;
    for (const auto& [word, value] : words) out.push_back(word);
    return join(out, ", ");
  }
};
const Words<EntryType> kEntries{
    "entries",
    &LayerRule::entries,
    &PqLayerSettings::entry,
    {{"f32", EntryType::f32}, {"f16", EntryType::f16}, {"i8", EntryType::i8}}};
const Words<Clip> kClips{
    "clip",
    &LayerRule::clip,
    &PqLayerSettings::clip,
    {{"code", Clip::code}, {"paper", Clip::paper}, {"largest", Clip::largest}}};
const Words<GramKind> kGrams{
    "gram",
    &LayerRule::gram,
    &PqLayerSettings::gram,
    {{"none", GramKind::none}, {"shared", GramKind::shared}, {"per_block", GramKind::per_block}}};

template <class Fn>
void for_words(Fn fn) {
  fn(kEntries), fn(kClips), fn(kGrams);
}

std::string known_keys() {
  std::vector<std::string> keys;
  for (const Number& n : kNumbers) keys.push_back(n.key);
  for_words([&](const auto& w) { keys.push_back(w.key); });
  for (const Flag& f : kFlags) keys.push_back(f.key);
  return join(keys, ", ");
}

// ---- reading -----------------------------------------------------------------------------------

Error bad(const std::string& where, const std::string& what) {
  return fail(kBadRules, "--layers: ", where, ": ", what);
}

Result<void> set(const std::string& where, const std::string& key, const json& v, LayerRule* rule) {
  for (const Number& n : kNumbers) {
    if (key != n.key) continue;
    if (!v.is_number_integer() || v < n.least || v > n.most)
      return bad(where, cat(key, " is ", v.dump().substr(0, 32), "; a whole number from ", n.least,
                            " to ", n.most, " is expected"));
    rule->*n.field = v.get<int32_t>();
    return {};
  }
  for (const Flag& f : kFlags) {
    if (key != f.key) continue;
    if (!v.is_boolean())
      return bad(where, cat(key, " is ", v.dump().substr(0, 32), "; true or false is expected"));
    rule->*f.field = v.get<bool>();
    return {};
  }
  Result<void> result =
      bad(where, cat("unknown key '", key.substr(0, 32), "'; known are ", known_keys()));
  for_words([&](const auto& w) {
    if (key != w.key) return;
    const std::string word = v.is_string() ? v.template get<std::string>() : "";
    result = bad(where, cat(key, " is ", v.dump().substr(0, 32), "; allowed are ", w.list()));
    for (const auto& [text, value] : w.words) {
      if (word != text) continue;
      rule->*w.field = value;
      result = Result<void>();
    }
  });
  return result;
}

Result<LayerRule> read_rule(const std::string& where, const json& tree, bool has_match) {
  if (!tree.is_object()) return bad(where, "it is no object in braces");
  LayerRule rule;
  for (const auto& item : tree.items()) {
    if (has_match && item.key() == "match") {
      if (!item.value().is_string()) return bad(where, "match is no string");
      rule.match = item.value().get<std::string>();
      continue;
    }
    QRT_CHECK_OK(set(where, item.key(), item.value(), &rule));
  }
  if (has_match && (rule.match.empty() || rule.match.size() > kMaxPattern))
    return bad(where, cat("match must be an expression of 1 to ", kMaxPattern, " characters"));
  try {
    if (has_match) expression(rule.match);
  } catch (const std::regex_error& e) {
    return bad(where, cat("match '", rule.match, "' is no regular expression: ", e.what()));
  }
  if (rule.empty()) return bad(where, cat("it sets nothing; known keys are ", known_keys()));
  LayerRule others = rule;
  others.dense.reset();
  others.f32_activations.reset();
  if (rule.dense.value_or(false) && !others.empty())
    return fail(kContradiction, "--layers: ", where,
                ": dense stands beside settings of a codebook; keep one of them");
  return rule;
}

std::string rule_name(size_t i, const std::string& match) {
  return cat("rule ", i + 1, match.empty() ? "" : cat(" ('", match, "')"));
}

// A parser's callback that notices a key given twice in one object; nlohmann keeps the last.
class Watcher {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (depth > 4) too_deep = true;
    if (event == json::parse_event_t::object_start) keys_.emplace_back();
    if (event == json::parse_event_t::object_end && !keys_.empty()) keys_.pop_back();
    if (event == json::parse_event_t::key && !keys_.empty())
      if (const auto key = parsed.get<std::string>(); !keys_.back().insert(key).second) twice = key;
    return !too_deep;
  }
  bool too_deep = false;
  std::optional<std::string> twice;

 private:
  std::vector<std::set<std::string>> keys_;
};

// ---- names -------------------------------------------------------------------------------------

// Letters to change, add or drop to make one name of the other.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t before = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = before + (a[i - 1] != b[j - 1]);
      before = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

}  // namespace

bool LayerRule::empty() const {
  bool none = true;
  for (const Number& n : kNumbers) none = none && !(this->*n.field);
  for (const Flag& f : kFlags) none = none && !(this->*f.field);
  for_words([&](const auto& w) { none = none && !(this->*w.field); });
  return none;
}

bool LayerRule::only_forces() const {
  LayerRule others = *this;
  others.force.reset();
  others.f32_activations.reset();
  return others.empty();
}

Result<LayerRules> parse_layer_rules(const std::string& text) {
  Watcher watcher;
  const json tree = json::parse(text, std::ref(watcher), /*allow_exceptions=*/false);
  if (watcher.too_deep) return bad("the file", "it is nested deeper than rules are");
  if (watcher.twice)
    return fail(kContradiction, "--layers: key '", watcher.twice->substr(0, 64),
                "' stands twice in one object; keep one of them");
  if (!tree.is_object()) return bad("the file", "it is no JSON object; see docs/layers.md");
  LayerRules out;
  for (const auto& item : tree.items()) {
    if (item.key() == "default") {
      auto rule = read_rule("default", item.value(), false);
      if (!rule.ok()) return rule.error();
      out.defaults = std::move(*rule);
    } else if (item.key() == "layers") {
      if (!item.value().is_array() || item.value().size() > kMaxRules)
        return bad("layers", cat("it is no list of at most ", kMaxRules, " rules"));
      for (const json& entry : item.value()) {
        const size_t i = out.rules.size();
        const bool has = entry.is_object() && entry.contains("match") && entry["match"].is_string();
        const std::string match = has ? entry["match"].get<std::string>().substr(0, 64) : "";
        auto rule = read_rule(rule_name(i, match), entry, true);
        if (!rule.ok()) return rule.error();
        for (size_t j = 0; j < i; ++j)
          if (out.rules[j].match == rule->match)
            return fail(kContradiction, "--layers: rules ", j + 1, " and ", i + 1,
                        " have the same match '", match, "'; make one rule of them");
        out.rules.push_back(std::move(*rule));
      }
    } else {
      return bad("the file",
                 cat("unknown key '", item.key().substr(0, 32), "'; known are default, layers"));
    }
  }
  if (out.empty()) return bad("the file", "it holds no rules; see docs/layers.md");
  return out;
}

std::string to_json(const LayerRules& rules) {
  using nlohmann::ordered_json;
  const auto write = [](const LayerRule& rule) {
    ordered_json out = ordered_json::object();
    if (!rule.match.empty()) out["match"] = rule.match;
    for (const Number& n : kNumbers)
      if (rule.*n.field) out[n.key] = *(rule.*n.field);
    for_words([&](const auto& w) {
      for (const auto& [word, value] : w.words)
        if (rule.*w.field == value) out[w.key] = word;
    });
    for (const Flag& f : kFlags)
      if (rule.*f.field) out[f.key] = *(rule.*f.field);
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
  };
  std::string text = "{";
  if (!rules.defaults.empty()) text += "\"default\": " + write(rules.defaults) + ",\n ";
  text += "\"layers\": [";
  for (size_t i = 0; i < rules.rules.size(); ++i)
    text += (i == 0 ? "\n  " : ",\n  ") + write(rules.rules[i]);
  return text + "]}\n";
}

std::string quoted_pattern(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (std::string_view("^$\\.*+?()[]{}|").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

Result<LayerRule> RuleBook::about(const std::string& layer) {
  layers_.push_back(layer);
  LayerRule all;
  std::vector<std::pair<std::string, size_t>> said;  // key, rule
  std::optional<Error> error;
  const auto take = [&](const char* key, const auto& from, auto* to, size_t rule) {
    if (!from) return;
    if (*to && **to != *from && !error) {
      const auto first =
          std::find_if(said.begin(), said.end(), [&](const auto& s) { return s.first == key; });
      error = fail(kContradiction,
                   "--layers: ", rule_name(first->second, rules_.rules[first->second].match),
                   " and ", rule_name(rule, rules_.rules[rule].match), " set ", key, " of ", layer,
                   " differently; make one of the expressions narrower");
    }
    *to = from;
    said.emplace_back(key, rule);
  };
  for (size_t i = 0; i < rules_.rules.size(); ++i) {
    const LayerRule& rule = rules_.rules[i];
    if (layer.size() > kMaxName) continue;  // the matcher recurses once per character
    bool matches = false;
    try {
      matches = std::regex_match(layer, expression(rule.match));
    } catch (const std::regex_error& e) {
      return fail(kBadRules, "--layers: ", rule_name(i, rule.match), " on ", layer, ": ", e.what());
    }
    if (!matches) continue;
    ++uses_[i];
    for (const Number& n : kNumbers) take(n.key, rule.*n.field, &(all.*n.field), i);
    for (const Flag& f : kFlags) take(f.key, rule.*f.field, &(all.*f.field), i);
    for_words([&](const auto& w) { take(w.key, rule.*w.field, &(all.*w.field), i); });
  }
  if (error) return *error;
  LayerRule coded = all;
  coded.dense.reset();
  coded.f32_activations.reset();
  if (all.dense.value_or(false) && !coded.empty())
    return fail(kContradiction, "--layers: one rule keeps ", layer,
                " dense, another has settings for its codebook; make one of them narrower");
  return all;
}

std::vector<std::string> RuleBook::unused() const {
  std::vector<std::string> out;
  for (size_t i = 0; i < uses_.size(); ++i) {
    if (uses_[i] > 0) continue;
    std::vector<std::string> names = layers_;
    const std::string& match = rules_.rules[i].match;
    std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) {
      return distance(a, match) < distance(b, match);
    });
    if (names.size() > 3) names.resize(3);
    out.push_back(cat("--layers: ", rule_name(i, match), " matched none of ", layers_.size(),
                      " layers",
                      names.empty() ? "" : cat("; the nearest names are ", join(names, ", "))));
  }
  return out;
}

void apply(const LayerRule& rule, PqLayerSettings* s) {
  for (const Number& n : kNumbers)
    if (n.setting && rule.*n.field) s->*n.setting = *(rule.*n.field);
  for_words([&](const auto& w) {
    if (rule.*w.field) s->*w.setting = *(rule.*w.field);
  });
  if (rule.dense) s->dense = *rule.dense;
}

}  // namespace qrt::quant
