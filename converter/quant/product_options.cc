// The words of `--pq key=value` as PqOptions.
#include <charconv>
#include <functional>

#include "converter/base/text.h"
#include "converter/quant/product.h"
#include "schema/layout.h"

namespace qrt::quant {
namespace {

constexpr int kBadOption = 712;

Error refuse(const std::string& key, const std::string& value, const std::string& allowed) {
  return fail(kBadOption, "option ", key, "=", value, " of method pq: ", allowed, " is expected");
}

template <class T>
Result<void> number(const std::string& key, const std::string& text, T least, T most, T* out) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    return refuse(key, text, cat("a whole number from ", least, " to ", most));
  *out = value;
  return {};
}

// One of a few words.
template <class T>
Result<void> word(const std::string& key, const std::string& text,
                  std::initializer_list<std::pair<const char*, T>> words, T* out) {
  std::string allowed;
  for (const auto& [name, value] : words) {
    if (text == name) {
      *out = value;
      return {};
    }
    append(allowed, name, " or ");
  }
  return refuse(key, text, allowed);
}

// The switch of network.h that a key names, or null.
bool* repair_of(const std::string& key, Repairs& r) {
  const std::pair<const char*, bool*> switches[] = {
      {"recapture", &r.recapture}, {"retarget", &r.retarget}, {"normalise", &r.normalise},
      {"refit", &r.refit},         {"reassign", &r.reassign}, {"scale", &r.scale},
      {"bias", &r.bias},           {"dense", &r.dense}};
  for (const auto& [name, value] : switches)
    if (key == name) return value;
  return nullptr;
}

// first, none, or names joined by '+'; names may stand beside first.
void parse_skip(const std::string& text, PqOptions* o) {
  o->skip_first = false;
  o->skip.clear();
  for (size_t from = 0; from <= text.size();) {
    const size_t plus = std::min(text.find('+', from), text.size());
    const std::string word = text.substr(from, plus - from);
    if (word == "first")
      o->skip_first = true;
    else if (word != "none" && !word.empty())
      o->skip.push_back(word);
    from = plus + 1;
  }
}

}  // namespace

Result<PqOptions> parse_pq_options(const MethodOptions& words) {
  PqOptions o;
  const int32_t dim = layout::kMaxBlockDim, count = layout::kMaxCentroids;
  for (const auto& [key, value] : words) {
    Result<void> r;
    if (key == "block_3x3")
      r = number(key, value, 1, dim, &o.block_3x3);
    else if (key == "block_1x1")
      r = number(key, value, 1, dim, &o.block_1x1);
    else if (key == "block_fc")
      r = number(key, value, 1, dim, &o.block_fc);
    else if (key == "block_other")
      r = number(key, value, 0, dim, &o.block_other);
    else if (key == "centroids_conv")
      r = number(key, value, 2, count, &o.centroids_conv);
    else if (key == "centroids_fc")
      r = number(key, value, 2, count, &o.centroids_fc);
    else if (key == "iterations")
      r = number(key, value, 1, 100000, &o.iterations);
    else if (key == "positions")
      r = number(key, value, 0, 1 << 20, &o.positions);
    else if (key == "seed")
      r = number(key, value, uint64_t{0}, UINT64_MAX, &o.seed);
    else if (key == "skip")
      parse_skip(value, &o);
    else if (key == "books")
      r = number(key, value, 1, static_cast<int32_t>(layout::kMaxBooks), &o.books);
    else if (key == "entries")
      r = word(key, value,
               {{"f16", EntryType::f16}, {"f32", EntryType::f32}, {"i8", EntryType::i8}},
               &o.entries);
    else if (key == "clip")
      r = word(key, value,
               {{"code", Clip::code}, {"paper", Clip::paper}, {"largest", Clip::largest}}, &o.clip);
    else if (key == "gram")
      r = word(key, value,
               {{"shared", GramKind::shared},
                {"per_block", GramKind::per_block},
                {"none", GramKind::none}},
               &o.gram);
    else if (key == "layers") {
      auto rules = parse_layer_rules(value);
      if (!rules.ok()) return rules.error();
      o.layers = std::move(*rules);
      bool has_bits = o.layers.defaults.bits.has_value();
      for (const LayerRule& rule : o.layers.rules) has_bits = has_bits || rule.bits;
      if (has_bits)
        return fail(kBadOption,
                    "--layers sets bits, which method pq does not have; its codes have "
                    "those that their centroids need");
    } else if (key == "activations")
      r = word(key, value, {{"yes", true}, {"no", false}}, &o.use_activations);
    else if (bool* repair = repair_of(key, o.repairs))
      r = word(key, value, {{"yes", true}, {"no", false}}, repair);
    else if (key == "rounds")
      r = number(key, value, 1, 1000, &o.repairs.rounds);
    else if (key == "permute")
      r = number(key, value, 0, 1000, &o.permute);
    else
      return fail(kBadOption, "method pq has no option '", key,
                  "'; it has: ", (*find_method("pq"))->options);
    if (!r.ok()) return r.error();
  }
  return o;
}

}  // namespace qrt::quant
