// Weights as integers: levels of codebooks, scales of dense weights, sums.
#include "converter/int8/weights.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

namespace qrt::int8 {
namespace {

InputMoments white(int64_t inputs) {
  InputMoments m;
  m.inputs = inputs;
  m.covariance.assign(static_cast<size_t>(inputs * inputs), 0.0f);
  for (int64_t i = 0; i < inputs; ++i) m.covariance[static_cast<size_t>(i * inputs + i)] = 1;
  return m;
}

// Half of the outputs use small entries only, half large ones.
quant::Codebook two_sizes() {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  quant::Codebook c;
  c.count = 32, c.dim = 4, c.entry = quant::EntryType::f32;
  for (int e = 0; e < 32; ++e)
    for (int t = 0; t < 4; ++t) c.entries.push_back(normal(rng) * (e < 16 ? 0.01f : 1.0f));
  for (int block = 0; block < 8; ++block)
    for (int o = 0; o < 20; ++o)
      c.codes.push_back(static_cast<uint16_t>(rng() % 16 + (o < 10 ? 0 : 16)));
  return c;
}

TEST_CASE("levels: outputs of small and of large entries get a level each") {
  const quant::Codebook c = two_sizes();
  const Rounded one = round_codebook(c, 20, 32, 1, white(32));
  const Rounded two = round_codebook(c, 20, 32, 2, white(32));
  InputMoments m = white(32);
  m.factor.assign(20, 1.0f);
  for (int o = 0; o < 10; ++o) m.factor[static_cast<size_t>(o)] = 100;  // small, yet they count
  const Rounded most = round_codebook(c, 20, 32, 16, m);
  const auto& levels = std::get<quant::Codebook>(most.encoding);
  CHECK(std::get<quant::Codebook>(one.encoding).level_of.empty());
  REQUIRE(levels.level_of.size() == 20);
  CHECK(levels.levels.size() <= 16);
  for (const Rounded* r : {&one, &two, &most}) {
    const auto sound = quant::check(r->encoding, 20, 32);
    CHECK_MESSAGE(sound.ok(), (sound.ok() ? "" : sound.error().message));
    CHECK(quant::is_integer(r->encoding));
  }
  CHECK(two.error <= one.error);
  for (size_t o = 0; o < 20; ++o) CHECK((levels.levels[levels.level_of[o]] < 0.001f) == (o < 10));
  CHECK(most.error < 1e-4);
}

TEST_CASE("levels: what decodes is a level times integers, each within half a level or cut") {
  const quant::Codebook c = two_sizes();
  const Rounded r = round_codebook(c, 20, 32, 16, white(32));
  const std::vector<float> want = quant::decode(c, 20, 32), got = quant::decode(r.encoding, 20, 32);
  const std::vector<int16_t> q = quant::integers_of(r.encoding, 20, 32);
  for (size_t i = 0; i < want.size(); ++i) {
    const float level = quant::weight_scale(r.encoding, static_cast<int64_t>(i) / 32);
    CHECK(got[i] == level * static_cast<float>(q[i]));
    const bool near = std::abs(got[i] - want[i]) <= 0.50001f * level;
    CHECK((near || std::abs(q[i]) == 127));
  }
}

TEST_CASE("dense weights: a scale per output, zero rows included") {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal;
  std::vector<float> w(6 * 50);
  for (size_t i = 0; i < w.size(); ++i) w[i] = i < 50 ? 0 : normal(rng) * std::exp2(i / 50 * -3.0f);
  const Rounded r = round_dense(w, 6, 50, white(50));
  CHECK(r.error < 1e-4);
  const std::vector<float> got = quant::decode(r.encoding, 6, 50);
  for (size_t o = 0; o < 6; ++o) {
    double error = 0, energy = 0;
    for (size_t i = o * 50; i < o * 50 + 50; ++i)
      error += std::pow(got[i] - w[i], 2), energy += w[i] * w[i];
    CHECK(error <= 2e-4 * energy);
  }
}

TEST_CASE("sums: the largest that bytes can make of the weights") {
  int64_t found = 0;
  quant::Integers w{{127, -127, 1, 0}, {1, 1}};
  CHECK(sums_fit(w, 2, 2, &found));
  CHECK(found == 2 * 255 * 127);  // what the file promises is the larger here
  w = {std::vector<int8_t>(50000, 127), {1}};
  CHECK(!sums_fit(w, 1, 50000, &found));
  CHECK(found == 50000LL * 127 * (255 + 128));
  w = {std::vector<int8_t>(50000, 1), {1}};
  CHECK(sums_fit(w, 1, 50000, &found));
}

}  // namespace
}  // namespace qrt::int8
