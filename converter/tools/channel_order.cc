// All pairs are compared on at most kSamples places of each channel.
#include "converter/tools/channel_order.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace qrt::verify {
namespace {

constexpr int64_t kSamples = 256;

// [channel][sample], spread over all rows and places.
std::vector<float> samples_of(const eval::Tensor& t, int64_t channels) {
  int64_t places = 1;
  for (size_t i = 2; i < t.shape.size(); ++i) places *= t.shape[i];
  const int64_t all = t.shape[0] * places, count = std::min(all, kSamples);
  std::vector<float> out(static_cast<size_t>(channels * count));
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t s = 0; s < count; ++s) {
      const int64_t place = s * all / count;
      out[static_cast<size_t>(c * count + s)] =
          t.data[static_cast<size_t>((place / places * channels + c) * places + place % places)];
    }
  return out;
}

double distance(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const double d = double{a[i]} - double{b[i]};
    sum += d * d;
  }
  return sum;
}

}  // namespace

ChannelOrder find_order(const eval::Tensor& got, const eval::Tensor& want) {
  if (got.shape.size() < 2 || got.shape != want.shape || got.data.size() != want.data.size() ||
      got.data.empty())
    return {};
  const int64_t channels = got.shape[1];
  const std::vector<float> a = samples_of(got, channels), b = samples_of(want, channels);
  const size_t n = a.size() / static_cast<size_t>(channels);
  const auto row = [n](const std::vector<float>& v, int64_t c) {
    return &v[static_cast<size_t>(c) * n];
  };
  double as_is = 0;
  for (int64_t c = 0; c < channels; ++c) as_is += distance(row(a, c), row(b, c), n);
  if (!(as_is > 0)) return {};
  std::vector<std::tuple<double, int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < channels; ++i)
    for (int64_t j = 0; j < channels; ++j)
      pairs.emplace_back(distance(row(a, i), row(b, j), n), i, j);
  std::sort(pairs.begin(), pairs.end());
  ChannelOrder order(static_cast<size_t>(channels), -1);
  std::vector<bool> taken(static_cast<size_t>(channels));
  double paired = 0;
  for (const auto& [d, i, j] : pairs) {
    if (order[static_cast<size_t>(i)] >= 0 || taken[static_cast<size_t>(j)]) continue;
    order[static_cast<size_t>(i)] = j;
    taken[static_cast<size_t>(j)] = true;
    paired += d;
  }
  if (paired > 0.5 * as_is) return {};
  return order;
}

std::vector<float> restored(const std::vector<float>& values, const ChannelOrder& order,
                            int64_t rows, int64_t span) {
  if (order.empty() || values.empty()) return values;
  std::vector<float> out(values.size());
  const auto channels = static_cast<int64_t>(order.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < channels; ++c)
      std::copy_n(values.begin() + (r * channels + c) * span, span,
                  out.begin() + (r * channels + order[static_cast<size_t>(c)]) * span);
  return out;
}

}  // namespace qrt::verify
