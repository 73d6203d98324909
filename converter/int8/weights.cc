// An output's weights w become s * q(w / level): with what is best for it of the
// levels, and a factor s that the epilogue takes. What is lost is
//   min over s of |w - s v|^2  in the metric C,  v = level * q = w'Cw - (w'Cv)^2 / v'Cv.
// All candidates are tried on all outputs; then `most` of them are chosen, greedily
// and with exchanges, for the least sum.
#include "converter/int8/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "converter/base/half.h"
#include "converter/eval/algebra.h"

namespace qrt::int8 {
namespace {

// Candidates lie a quarter octave apart, from the one that cuts nothing down.
constexpr int kCandidates = 28;
constexpr double kStepsPerOctave = 4;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Exactly an f16 where that is precise: the file then takes half the bytes.
float stored(double scale) {
  const auto value = static_cast<float>(scale);
  return value > 1e-4f && value < 6e4f ? half_to_float(float_to_half(value)) : value;
}

double dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

// Rows of weights in the metric of the inputs.
class Loss {
 public:
  Loss(std::span<const float> weights, int64_t outputs, const InputMoments& m)
      : weights_(weights), moments_(m), outputs_(outputs), product_(weights.size()) {
    energy_.resize(at(outputs));
    apply(weights);
    for (int64_t o = 0; o < outputs; ++o) energy_[at(o)] = dot(row(weights, o), row(o), m.inputs);
  }

  // What each output loses with `rounded` in place of its weights, times the square of its factor.
  std::vector<double> of(std::span<const float> rounded) {
    apply(rounded);
    std::vector<double> lost(energy_.size());
    for (int64_t o = 0; o < outputs_; ++o) {
      const double vv = dot(row(rounded, o), row(o), moments_.inputs);
      const double wv = dot(row(weights_, o), row(o), moments_.inputs);
      const double left = energy_[at(o)] - (vv > 0 ? wv * wv / vv : 0);
      lost[at(o)] = std::max(left, 0.0) * weight(o);
    }
    return lost;
  }

  double energy() const {
    double sum = 0;
    for (int64_t o = 0; o < outputs_; ++o) sum += energy_[at(o)] * weight(o);
    return sum;
  }

 private:
  double weight(int64_t o) const {
    const double f = moments_.factor.empty() ? 1 : double{moments_.factor[at(o)]};
    return f * f;
  }
  const float* row(std::span<const float> m, int64_t o) const {
    return &m[at(o * moments_.inputs)];
  }
  const float* row(int64_t o) const { return &product_[at(o * moments_.inputs)]; }

  // product = m C, group by group.
  void apply(std::span<const float> m) {
    const int64_t k = moments_.inputs, each = outputs_ / moments_.groups;
    if (moments_.covariance.size() == at(moments_.groups * k)) {
      for (size_t i = 0; i < m.size(); ++i)
        product_[i] = m[i] * moments_.covariance[i / at(each * k) * at(k) + i % at(k)];
      return;
    }
    for (int64_t g = 0; g < moments_.groups; ++g)
      eval::multiply(each, k, k, &m[at(g * each * k)], &moments_.covariance[at(g * k * k)], 0.0f,
                     &product_[at(g * each * k)]);
  }

  std::span<const float> weights_;
  const InputMoments& moments_;
  const int64_t outputs_;
  std::vector<float> product_;
  std::vector<double> energy_;
};

// Sum over outputs of the least of their losses among the chosen.
double total(const std::vector<std::vector<double>>& lost, const std::vector<size_t>& chosen) {
  double sum = 0;
  for (size_t o = 0; o < lost[0].size(); ++o) {
    double least = std::numeric_limits<double>::infinity();
    for (const size_t c : chosen) least = std::min(least, lost[c][o]);
    sum += least;
  }
  return sum;
}

// Greedily, then exchanges of one for another until none helps.
std::vector<size_t> choose(const std::vector<std::vector<double>>& lost, size_t most) {
  std::vector<size_t> chosen;
  const auto try_at = [&](size_t place, double* best) {
    const size_t was = chosen[place];
    size_t with = was;
    for (size_t c = 0; c < lost.size(); ++c) {
      chosen[place] = c;
      const double sum = total(lost, chosen);
      if (sum < *best * (1 - 1e-9)) *best = sum, with = c;
    }
    chosen[place] = with;
    return with != was;
  };
  double best = std::numeric_limits<double>::infinity();
  while (chosen.size() < std::min(most, lost.size())) {
    double with_one_more = best;
    chosen.push_back(0);
    const bool first = chosen.size() == 1;
    try_at(chosen.size() - 1, &with_one_more);
    if (!first && !(with_one_more < best * (1 - 1e-4))) {
      chosen.pop_back();
      break;
    }
    best = with_one_more;
  }
  for (bool better = true; better;) {
    better = false;
    for (size_t i = 0; i < chosen.size(); ++i) better = try_at(i, &best) || better;
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

size_t best_of(const std::vector<std::vector<double>>& lost, const std::vector<size_t>& chosen,
               size_t output) {
  size_t best = 0;
  for (size_t i = 1; i < chosen.size(); ++i)
    if (lost[chosen[i]][output] < lost[chosen[best]][output]) best = i;
  return best;
}

}  // namespace

Rounded round_codebook(const quant::Codebook& source, int64_t outputs, int64_t inputs, size_t most,
                       const InputMoments& moments) {
  quant::Codebook book = source;
  float largest = 0;
  for (size_t i = 0; i < book.entries.size(); ++i) {
    const float scale = book.entry_scales.empty() ? 1 : book.entry_scales[i / at(book.dim)];
    largest = std::max(largest, std::abs(book.entries[i] * scale));
  }
  if (!(largest > 1e-30f)) largest = 127;  // nothing but zeros
  const std::vector<float> weights = quant::decode(source, outputs, inputs);
  Loss loss(weights, outputs, moments);
  std::vector<float> levels;
  std::vector<std::vector<double>> lost;
  for (int c = 0; c < kCandidates; ++c) {
    levels.push_back(stored(largest / 127 * std::exp2(-c / kStepsPerOctave)));
    book.levels = {levels.back()};
    lost.push_back(loss.of(quant::decode(book, outputs, inputs)));
  }
  const std::vector<size_t> chosen = choose(lost, most);
  book.levels.clear();
  for (const size_t c : chosen) book.levels.push_back(levels[c]);
  Rounded r;
  for (int64_t o = 0; o < outputs; ++o) {
    const size_t best = best_of(lost, chosen, at(o));
    r.error += lost[chosen[best]][at(o)];
    if (chosen.size() > 1) book.level_of.push_back(static_cast<uint8_t>(best));
  }
  r.error /= std::max(loss.energy(), 1e-300);
  r.encoding = std::move(book);
  return r;
}

Rounded round_dense(std::span<const float> weights, int64_t outputs, int64_t inputs,
                    const InputMoments& moments) {
  std::vector<float> largest(at(outputs), 0.0f), trial(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    float& most = largest[i / at(inputs)];
    most = std::max(most, std::abs(weights[i]));
  }
  for (float& most : largest)
    if (!(most > 1e-30f)) most = 127;
  Loss loss(weights, outputs, moments);
  std::vector<double> least(at(outputs), std::numeric_limits<double>::infinity());
  quant::Integers best;
  best.values.resize(weights.size());
  best.scales.resize(at(outputs));
  for (int part = 100; part >= 60; part -= 4) {
    const float f = static_cast<float>(part) / 12700;
    const auto q = [&](size_t i) {
      const float scale = largest[i / at(inputs)] * f;
      return std::clamp(std::nearbyint(weights[i] / scale), -127.0f, 127.0f);
    };
    for (size_t i = 0; i < trial.size(); ++i) trial[i] = q(i) * (largest[i / at(inputs)] * f);
    const std::vector<double> lost = loss.of(trial);
    for (size_t o = 0; o < lost.size(); ++o) {
      if (!(lost[o] < least[o])) continue;
      least[o] = lost[o];
      best.scales[o] = largest[o] * f;
      for (size_t i = o * at(inputs); i < (o + 1) * at(inputs); ++i)
        best.values[i] = static_cast<int8_t>(q(i));
    }
  }
  Rounded r;
  for (const double lost : least) r.error += lost;
  r.error /= std::max(loss.energy(), 1e-300);
  r.encoding = std::move(best);
  return r;
}

bool sums_fit(const quant::Encoding& e, int64_t outputs, int64_t inputs, int64_t* found) {
  const std::vector<int16_t> w = quant::integers_of(e, outputs, inputs);
  const bool coded = std::holds_alternative<quant::Codebook>(e);
  int64_t most = 0, largest = coded ? 128 : 0;
  for (int64_t o = 0; o < outputs; ++o) {
    int64_t sum = 0, size = 0;
    for (int64_t k = 0; k < inputs; ++k) {
      const int64_t v = w[at(o * inputs + k)];
      sum += v, size += std::abs(v);
      largest = std::max(largest, std::abs(v));
    }
    most = std::max(most, 255 * size + 128 * std::abs(sum));
  }
  // Of tables beyond a byte, and where groups have scales, kernels add 128 to bytes and weights.
  const quant::Scales* groups = quant::group_scales(e);
  const auto* table = std::get_if<quant::Table>(&e);
  if (table != nullptr && (groups != nullptr || largest > 128)) {
    const int64_t span = groups == nullptr ? inputs : std::min<int64_t>(groups->group, inputs);
    for (const int16_t v : table->integers)
      largest = std::max<int64_t>(largest, std::abs(int64_t{v}));
    *found = span * (255 + 128) * (largest + 128);
    return *found <= INT32_MAX;
  }
  *found = std::max(most, inputs * 255 * largest);
  return *found <= INT32_MAX;
}

}  // namespace qrt::int8
