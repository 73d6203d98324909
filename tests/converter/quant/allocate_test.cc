// The knapsack against all combinations of small problems.
#include "converter/quant/allocate.h"

#include <doctest/doctest.h>

#include "converter/quant/random.h"

using namespace qrt;
using quant::Allocation;
using quant::Option;

namespace {

using Layers = std::vector<std::vector<Option>>;

Layers random_layers(uint64_t seed) {
  quant::Random r(seed);
  Layers layers(1 + static_cast<size_t>(r.below(4)));
  for (auto& options : layers)
    for (int64_t i = 0; i <= r.below(5); ++i)
      options.push_back(
          {static_cast<uint64_t>(r.below(40)), 0.5 * static_cast<double>(r.below(40))});
  return layers;
}

// The least cost of all combinations within the budget; negative: nothing fits.
double least_cost(const Layers& layers, uint64_t budget) {
  std::vector<size_t> chosen(layers.size());
  double best = -1;
  while (true) {
    uint64_t bytes = 0;
    double cost = 0;
    for (size_t l = 0; l < layers.size(); ++l)
      bytes += layers[l][chosen[l]].bytes, cost += layers[l][chosen[l]].cost;
    if (bytes <= budget && (best < 0 || cost < best)) best = cost;
    size_t l = 0;
    while (l < layers.size() && ++chosen[l] == layers[l].size()) chosen[l++] = 0;
    if (l == layers.size()) return best;
  }
}

void check_sums(const Layers& layers, const Allocation& a) {
  uint64_t bytes = 0;
  double cost = 0;
  REQUIRE(a.chosen.size() == layers.size());
  for (size_t l = 0; l < layers.size(); ++l) {
    REQUIRE(a.chosen[l] < layers[l].size());
    bytes += layers[l][a.chosen[l]].bytes;
    cost += layers[l][a.chosen[l]].cost;
  }
  CHECK(bytes == a.bytes);
  CHECK(cost == doctest::Approx(a.cost));
}

}  // namespace

TEST_CASE("allocate: every allocation of the frontier is the best of its size") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const Layers layers = random_layers(seed);
    const auto all = quant::frontier(layers);
    REQUIRE(!all.empty());
    for (size_t i = 0; i < all.size(); ++i) {
      check_sums(layers, all[i]);
      CHECK(all[i].cost == doctest::Approx(least_cost(layers, all[i].bytes)));
      if (i == 0) continue;
      CHECK(all[i].bytes > all[i - 1].bytes);
      CHECK(all[i].cost < all[i - 1].cost);
    }
    // It starts where nothing smaller exists and ends where nothing cheaper does.
    if (all[0].bytes > 0) CHECK(least_cost(layers, all[0].bytes - 1) < 0);
    CHECK(all.back().cost == doctest::Approx(least_cost(layers, 1000000)));
  }
}

TEST_CASE("allocate: within a budget, and at least as good as the frontier there") {
  int optimal = 0, feasible = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const Layers layers = random_layers(seed);
    const auto all = quant::frontier(layers);
    for (uint64_t budget = 0; budget <= 170; budget += 10) {
      const Allocation a = quant::best_within(layers, budget);
      check_sums(layers, a);
      const double want = least_cost(layers, budget);
      if (want < 0) {
        CHECK(a.bytes == all[0].bytes);
        continue;
      }
      ++feasible;
      CHECK(a.bytes <= budget);
      CHECK(a.cost >= doctest::Approx(want));
      for (const Allocation& f : all)
        if (f.bytes <= budget) CHECK(a.cost <= f.cost + 1e-9);
      optimal += a.cost <= want + 1e-9;
    }
  }
  CHECK(optimal > feasible * 8 / 10);
}

TEST_CASE("allocate: one layer, equal options, ties") {
  const Layers one = {{{10, 1.0}, {10, 1.0}, {20, 1.0}}};
  CHECK(quant::frontier(one).size() == 1);
  CHECK(quant::best_within(one, 100).chosen == std::vector<size_t>{0});
  // Two layers alike: the earlier one takes the step.
  const Layers twins = {{{10, 1.0}, {20, 0.0}}, {{10, 1.0}, {20, 0.0}}};
  CHECK(quant::best_within(twins, 30).chosen == std::vector<size_t>{1, 0});
}
