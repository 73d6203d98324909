// The words of `--bwn`, `--twn`, `--uniform`, `--alq` and `--esb` as LowBitOptions. One
// table of keys for all of them; methods.inc has which method knows which key, and its default.
#include <charconv>
#include <cmath>
#include <sstream>

#include "converter/base/text.h"
#include "converter/quant/low_bit.h"
#include "converter/quant/sketch.h"

namespace qrt::quant {
namespace {

constexpr int kBadOption = 718;
constexpr int kContradiction = 719;

class Parser {
 public:
  explicit Parser(const char* method) : method_(method) {}

  Result<void> take(const std::string& key, const std::string& text, LowBitOptions& o) {
    LowBitSettings& s = o.settings;
    const std::initializer_list<Word<bool>> yes_no = {{"yes", true}, {"no", false}};
    const std::initializer_list<Word<Policy>> policies = {
        {"same", Policy::same}, {"8", Policy::eight}, {"dense", Policy::dense}};
    if (key == "bits") return bits(text, s);
    if (key == "grid")
      return word(key, text,
                  {{"srq", GridKind::srq},
                   {"original", GridKind::original},
                   {"modified", GridKind::modified},
                   {"centered", GridKind::centered},
                   {"affine", GridKind::affine}},
                  &s.grid);
    if (key == "scales" && text == "e8m0" && s.kind == LowBitKind::esb) {
      s.axis = ScaleAxis::group, s.powers = true;
      return {};
    }
    if (key == "scales")
      return word(
          key, text,
          {{"layer", ScaleAxis::layer}, {"output", ScaleAxis::output}, {"group", ScaleAxis::group}},
          &s.axis);
    if (key == "group") return number(key, text, 0, 1 << 20, &s.group);
    if (key == "groups")
      return word(key, text,
                  {{"channel", PlaneGroups::channel},
                   {"pixel", PlaneGroups::pixel},
                   {"kernel", PlaneGroups::kernel},
                   {"slices", PlaneGroups::slices}},
                  &s.groups);
    if (key == "slices") return number(key, text, 1, 1 << 20, &s.slices);
    if (key == "planes") return number(key, text, 1, kMaxPlanes, &s.most);
    if (key == "fraction") {
      if (text != "auto") return number(key, text, 0, kMaxEsbBits - 2, &s.fraction);
      s.fraction = -1;
      return {};
    }
    if (key == "zero") return word(key, text, yes_no, &s.has_zero);
    if (key == "mean") return word(key, text, yes_no, &s.mean_shift);
    if (key == "range")
      return word(key, text, {{"8", EsbRange::s8}, {"16", EsbRange::s16}, {"any", EsbRange::any}},
                  &s.range);
    if (key == "fit") return word(key, text, yes_no, &s.fitted);
    if (key == "threshold")
      return word(key, text, {{"filter", false}, {"layer", true}}, &s.per_layer);
    if (key == "first_last") return word(key, text, policies, &o.first_last);
    if (key == "depthwise") return word(key, text, policies, &o.depthwise);
    if (key == "seed") return number(key, text, uint64_t{0}, UINT64_MAX, &o.seed);
    if (key == "positions") return number(key, text, 0, 1 << 20, &o.positions);
    if (key == "activations") return word(key, text, yes_no, &o.use_activations);
    if (key == "recapture") return word(key, text, yes_no, &o.repairs.recapture);
    if (key == "retarget") return word(key, text, yes_no, &o.repairs.retarget);
    if (key == "bias") return word(key, text, yes_no, &o.repairs.bias);
    if (key == "dense") return word(key, text, yes_no, &o.repairs.dense);
    if (key == "skip") return skip(text, o);
    return {};
  }

 private:
  template <class T>
  using Word = std::pair<const char*, T>;

  Error refuse(const std::string& key, const std::string& text, const std::string& allowed) const {
    return fail(kBadOption, "option ", key, "=", text, " of method ", method_, ": ", allowed,
                " is expected");
  }

  template <class T>
  Result<void> number(const std::string& key, const std::string& text, T least, T most,
                      T* out) const {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
      return refuse(key, text, cat("a whole number from ", least, " to ", most));
    *out = value;
    return {};
  }

  template <class T>
  Result<void> word(const std::string& key, const std::string& text,
                    std::initializer_list<Word<T>> words, T* out) const {
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

  // Sums of planes have an average, which may be broken.
  Result<void> bits(const std::string& text, LowBitSettings& s) const {
    if (s.kind != LowBitKind::planes) {
      int32_t whole = 0;
      const auto r = number("bits", text, 1, 8, &whole);
      s.bits = whole;
      return r;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > 0 && value <= 8))
      return refuse("bits", text, "an average number above 0, at most 8,");
    s.bits = value;
    return {};
  }

  // none, or names joined by '+'.
  Result<void> skip(const std::string& text, LowBitOptions& o) const {
    std::stringstream names(text);
    for (std::string name; std::getline(names, name, '+');)
      if (!name.empty() && name != "none") o.skip.push_back(name);
    return {};
  }

  const char* method_;
};

// Whether a method's row of methods.inc has the key.
bool knows(const char* method, const std::string& key) {
  std::stringstream words((*find_method(method))->options);
  for (std::string word; words >> word;)
    if (word.substr(0, word.find('=')) == key) return true;
  return false;
}

// Keys of product quantization mean nothing here.
Result<void> check_rules(const char* method, const LayerRules& rules) {
  std::vector<const LayerRule*> all = {&rules.defaults};
  for (const LayerRule& rule : rules.rules) all.push_back(&rule);
  for (const LayerRule* r : all)
    if (r->block || r->centroids || r->books || r->iterations || r->entries || r->clip || r->gram)
      return fail(kBadOption,
                  "--layers: ", r->match.empty() ? "default" : "rule '" + r->match + "'",
                  " sets keys of method pq; method ", method,
                  " knows bits, dense, force and f32_activations");
  return {};
}

Result<void> check(const char* method, const LowBitOptions& o) {
  const LowBitSettings& s = o.settings;
  const auto contradict = [&](const auto&... what) {
    return fail(kContradiction, "options of method ", method, ": ", what...);
  };
  if ((s.axis == ScaleAxis::group) != (s.group > 0))
    return contradict("scales=group and group=N belong together; give both or neither");
  if (s.powers && !s.fitted)
    return contradict(
        "scales=e8m0 are searched powers of two, the published scale is none; leave "
        "out fit=no or take scales=group");
  if ((s.groups == PlaneGroups::slices) != (s.slices > 1))
    return contradict(
        "groups=slices and slices=N (2 or more) belong together; give both or neither");
  if (s.kind == LowBitKind::planes && s.bits > s.most)
    return contradict("an average of ", s.bits, " bits needs planes=", std::ceil(s.bits),
                      " or more, it is ", s.most);
  const bool has_zero = grid_of(s.grid, 2).zero_halves == 0;
  if (s.kind == LowBitKind::uniform && s.bits < 2 && has_zero)
    return contradict(
        "bits=1 needs grid=original or grid=centered; the others have the values -1 "
        "and 0 only");
  const bool is_free = s.grid == GridKind::affine;
  if (is_free && s.axis == ScaleAxis::group)
    return contradict("grid=affine has one zero point per output; take scales=output or layer");
  const bool is_sat = s.axis == ScaleAxis::layer && !is_free && s.grid != GridKind::srq;
  if (!s.fitted && s.kind == LowBitKind::uniform && !is_sat)
    return contradict(
        "fit=no is SAT's rule, one scale per layer: add scales=layer and grid=original, "
        "modified or centered");
  if (s.kind == LowBitKind::esb) {
    const EsbSettings esb = esb_settings(s);
    if (!esb.any_fraction && s.has_zero) QRT_CHECK_OK(check(esb.format));
    if (!s.has_zero && s.fraction > 0)
      return contradict("zero=no is a grid of odd numbers, which has no fraction bits");
    if (s.bits < (s.has_zero ? 2 : 1)) return contradict("bits=", s.bits, " needs zero=no");
    if (esb_candidates(esb).empty())
      return contradict("no value set of ", s.bits, " bits",
                        s.fraction < 0 ? "" : cat(" and ", s.fraction, " fraction bits"),
                        " fits range=8; add range=16 or range=any");
  }
  if (s.per_layer && s.fitted)
    return contradict("threshold=layer is a rule of the published projection; add fit=no");
  return {};
}

}  // namespace

Result<LowBitOptions> parse_low_bit_options(const char* method, const MethodOptions& words) {
  LowBitOptions o;
  const std::string name = method;
  o.settings.kind = name == "bwn"   ? LowBitKind::binary
                    : name == "twn" ? LowBitKind::ternary
                    : name == "alq" ? LowBitKind::planes
                    : name == "esb" ? LowBitKind::esb
                                    : LowBitKind::uniform;
  if (o.settings.kind == LowBitKind::planes) o.settings.bits = 2;
  if (o.settings.kind == LowBitKind::esb) o.settings.bits = 5;
  const bool is_coarse =
      o.settings.kind != LowBitKind::uniform && o.settings.kind != LowBitKind::esb;
  if (is_coarse) o.depthwise = Policy::eight;
  // Scales are part of these encodings and fitted with them.
  o.repairs.scale = o.repairs.normalise = false;
  Parser parser(method);
  for (const auto& [key, value] : words) {
    if (key == "layers") {
      auto rules = parse_layer_rules(value);
      if (!rules.ok()) return rules.error();
      o.layers = std::move(*rules);
      QRT_CHECK_OK(check_rules(method, o.layers));
      continue;
    }
    if (!knows(method, key))
      return fail(kBadOption, "method ", method, " has no option '", key,
                  "'; it has: ", (*find_method(method))->options);
    QRT_CHECK_OK(parser.take(key, value, o));
  }
  // As MXFP4 and MXFP6 have them.
  constexpr int32_t kMicroscalingGroup = 32;
  if (o.settings.powers && o.settings.group == 0) o.settings.group = kMicroscalingGroup;
  if (!o.settings.fitted) o.repairs.retarget = false;
  QRT_CHECK_OK(check(method, o));
  return o;
}

}  // namespace qrt::quant
