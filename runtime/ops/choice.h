// The choice among strategies of one layer by predicted time, and the sentence about it that
// `qrt inspect` prints.
#ifndef QRT_RUNTIME_OPS_CHOICE_H_
#define QRT_RUNTIME_OPS_CHOICE_H_

#include <cstddef>
#include <cstdio>
#include <cstring>

namespace qrt {

class ChoiceText {
 public:
  const char* text() const { return text_; }
  void cost(const char* name, float ns) {
    note(used_ ? ", %s %.1f us" : "%s %.1f us", name, static_cast<double>(ns) / 1000);
  }
  void tuned(const char* name) { note(" (%s measured)", name, 0); }
  void forced(const char* name) { note(" (%s forced)", name, 0); }
  void cannot(const char* name) { note(" (%s cannot compute this layer)", name, 0); }

 private:
  void note(const char* format, const char* name, double value) {
    const int n = std::snprintf(text_ + used_, sizeof text_ - used_, format, name, value);
    if (n <= 0) return;
    const size_t end = used_ + static_cast<size_t>(n);
    used_ = end < sizeof text_ ? end : sizeof text_ - 1;
  }
  char text_[256] = "";
  size_t used_ = 0;
};

// The cheapest of `all` that can compute the layer, or the one that `wanted` names (null: none);
// null where none can. A strategy has name() and cost_ns(layer), negative for "cannot". `alone` is
// the layer for one thread: results must not depend on how many there are.
template <class Strategy, class Layer, size_t N>
Strategy* choose_strategy(Strategy* const (&all)[N], const Layer& alone, const char* wanted,
                          ChoiceText* text, bool measured = false) {
  Strategy *best = nullptr, *forced = nullptr;
  float best_ns = 0;
  for (Strategy* s : all) {
    const float ns = s->cost_ns(alone);
    if (ns < 0) continue;
    text->cost(s->name(), ns);
    if (wanted && std::strcmp(wanted, s->name()) == 0) forced = s;
    if (best == nullptr || ns < best_ns) best = s, best_ns = ns;
  }
  if (forced && measured) text->tuned(forced->name());
  if (forced && !measured) text->forced(forced->name());
  if (wanted && !forced) text->cannot(wanted);
  return forced ? forced : best;
}

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_CHOICE_H_
