// Lagrange's argument: whoever minimises bytes * t + cost for some price t takes from
// every layer a corner of its hull, and lowering t takes the steps of all hulls in the
// order of their slopes. At those corners the choice is optimal; in between the best
// would need a search, and one greedy pass over what fits comes close.
#include "converter/quant/allocate.h"

#include <algorithm>

namespace qrt::quant {
namespace {

// Indices of the corners of the lower hull, bytes ascending, cost strictly descending.
std::vector<size_t> hull_of(const std::vector<Option>& options) {
  std::vector<size_t> order(options.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return options[a].bytes != options[b].bytes ? options[a].bytes < options[b].bytes
                                                : options[a].cost < options[b].cost;
  });
  std::vector<size_t> hull;
  const auto slope = [&](size_t a, size_t b) {
    return (options[a].cost - options[b].cost) /
           static_cast<double>(options[b].bytes - options[a].bytes);
  };
  for (const size_t i : order) {
    if (!hull.empty() && options[i].cost >= options[hull.back()].cost) continue;
    // A corner that saves less per byte than the step past it does lies above the hull.
    while (hull.size() > 1 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), i))
      hull.pop_back();
    hull.push_back(i);
  }
  return hull;
}

struct Step {
  size_t layer, to;  // index into the layer's options
  double slope;
};

}  // namespace

std::vector<Allocation> frontier(std::span<const std::vector<Option>> layers) {
  Allocation now;
  std::vector<Step> steps;
  for (size_t l = 0; l < layers.size(); ++l) {
    const std::vector<size_t> hull = hull_of(layers[l]);
    now.chosen.push_back(hull[0]);
    now.bytes += layers[l][hull[0]].bytes;
    for (size_t i = 1; i < hull.size(); ++i) {
      const Option &a = layers[l][hull[i - 1]], &b = layers[l][hull[i]];
      steps.push_back({l, hull[i], (a.cost - b.cost) / static_cast<double>(b.bytes - a.bytes)});
    }
  }
  // Slopes of one hull descend, so a stable sort keeps each layer's steps in order.
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.slope > b.slope; });
  const auto total_cost = [&](const Allocation& a) {
    double sum = 0;  // anew each time: differences would gather rounding
    for (size_t l = 0; l < layers.size(); ++l) sum += layers[l][a.chosen[l]].cost;
    return sum;
  };
  now.cost = total_cost(now);
  std::vector<Allocation> out{now};
  for (const Step& s : steps) {
    now.bytes += layers[s.layer][s.to].bytes - layers[s.layer][now.chosen[s.layer]].bytes;
    now.chosen[s.layer] = s.to;
    now.cost = total_cost(now);
    out.push_back(now);
  }
  return out;
}

Allocation best_within(std::span<const std::vector<Option>> layers, uint64_t budget) {
  const std::vector<Allocation> all = frontier(layers);
  size_t last = 0;
  while (last + 1 < all.size() && all[last + 1].bytes <= budget) ++last;
  Allocation a = all[last];
  while (true) {
    size_t layer = layers.size(), to = 0;
    double best = 0;
    for (size_t l = 0; l < layers.size(); ++l) {
      const Option& now = layers[l][a.chosen[l]];
      for (size_t i = 0; i < layers[l].size(); ++i) {
        const double saved = now.cost - layers[l][i].cost;
        if (saved > best && a.bytes - now.bytes + layers[l][i].bytes <= budget)
          best = saved, layer = l, to = i;
      }
    }
    if (layer == layers.size()) return a;
    a.bytes += layers[layer][to].bytes - layers[layer][a.chosen[layer]].bytes;
    a.cost -= best;
    a.chosen[layer] = to;
  }
}

}  // namespace qrt::quant
