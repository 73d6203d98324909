#include "converter/int8/ranges.h"

#include <algorithm>
#include <cmath>

namespace qrt::int8 {
namespace {

constexpr size_t kBins = 8192;

// Outside of which a scale, or its inverse, is no normal float.
constexpr float kLeastRange = 1e-30f, kMostRange = 1e30f;

// percentile: the share of values that may be cut at either end.
constexpr double kTail = 1e-5;

}  // namespace

double Histogram::centre(size_t bin) const {
  return (static_cast<double>(bin) + 0.5) * (2 * limit_ / kBins) - limit_;
}

// Bins i and i + 1 become bin kBins / 4 + i / 2: the middle stays where it is.
void Histogram::grow(float magnitude) {
  if (bins_.empty()) {
    bins_.assign(kBins, 0);
    limit_ = std::exp2(-60);
  }
  while (!(magnitude < limit_)) {
    std::vector<int64_t> wider(kBins, 0);
    if (count_ > 0)
      for (size_t i = 0; i < kBins; ++i) wider[kBins / 4 + i / 2] += bins_[i];
    bins_ = std::move(wider);
    limit_ *= 2;
  }
}

bool Histogram::add(std::span<const float> values) {
  if (values.empty()) return true;
  float least = values[0], most = values[0];
  bool finite = true;
  for (const float v : values) {
    finite = finite && std::isfinite(v);
    least = std::min(least, v), most = std::max(most, v);
  }
  if (!finite) return false;
  grow(std::max(std::abs(least), std::abs(most)));
  const double per_unit = kBins / (2 * limit_);
  for (const float v : values)
    ++bins_[std::min(static_cast<size_t>((v + limit_) * per_unit), kBins - 1)];
  least_ = count_ == 0 ? least : std::min(least_, least);
  most_ = count_ == 0 ? most : std::max(most_, most);
  count_ += static_cast<int64_t>(values.size());
  return true;
}

// A value inside is off by an even spread over one step: step^2 / 12; one outside by its distance.
double Histogram::error(double low, double high) const {
  const double step = (high - low) / 255;
  double sum = 0;
  for (size_t i = 0; i < bins_.size(); ++i) {
    if (bins_[i] == 0) continue;
    const double v = centre(i), beyond = v > high ? v - high : v < low ? low - v : 0;
    sum += static_cast<double>(bins_[i]) * (beyond > 0 ? beyond * beyond : step * step / 12);
  }
  return sum;
}

double Histogram::quantile(double q) const {
  const double wanted = q * static_cast<double>(count_);
  double seen = 0;
  for (size_t i = 0; i < bins_.size(); ++i) {
    seen += static_cast<double>(bins_[i]);
    if (seen >= wanted && seen > 0) return centre(i);
  }
  return most_;
}

Range choose_range(const Histogram& h, RangeMode mode) {
  const Range all{std::min(h.least(), 0.0f), std::max(h.most(), 0.0f)};
  if (h.count() == 0 || mode == RangeMode::minmax) return all;
  if (mode == RangeMode::percentile) {
    const auto low = static_cast<float>(h.quantile(kTail));
    const auto high = static_cast<float>(h.quantile(1 - kTail));
    return {std::max(all.low, std::min(low, 0.0f)), std::min(all.high, std::max(high, 0.0f))};
  }
  // Both ends shrink by the same steps, first together, then each by itself.
  Range best = all;
  double least = h.error(all.low, all.high);
  const auto consider = [&](float low, float high) {
    const double error = h.error(low, high);
    if (error < least) least = error, best = {low, high};
  };
  for (int part = 99; part >= 20; --part) {
    const float f = static_cast<float>(part) / 100;
    consider(all.low * f, all.high * f);
  }
  if (all.low < 0 && all.high > 0) {
    const Range both = best;
    for (int part = 130; part >= 70; part -= 2) {
      const float f = static_cast<float>(part) / 100;
      consider(std::max(all.low, both.low * f), best.high);
      consider(best.low, std::min(all.high, both.high * f));
    }
  }
  return best;
}

ir::Quantization quantization_of(Range r) {
  const float low = std::max(std::min(r.low, 0.0f), -kMostRange);
  const float high = std::min(std::max(r.high, 0.0f), kMostRange);
  if (high - low < kLeastRange) return {1.0f, 0};
  const float scale = (high - low) / 255;
  return {scale, static_cast<int32_t>(std::nearbyint(-low / scale))};
}

}  // namespace qrt::int8
