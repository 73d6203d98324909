// Permutations between channels-first and channels-last; see layout.h.
#include "converter/passes/layout.h"

#include <numeric>

namespace qrt::passes {

std::vector<int32_t> perm_to_last(size_t rank) {
  std::vector<int32_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  if (rank >= 3) {
    perm.erase(perm.begin() + 1);
    perm.push_back(1);
  }
  return perm;
}

std::vector<int32_t> perm_to_first(size_t rank) {
  const std::vector<int32_t> there = perm_to_last(rank);
  std::vector<int32_t> back(rank);
  for (size_t i = 0; i < rank; ++i) back[static_cast<size_t>(there[i])] = static_cast<int32_t>(i);
  return back;
}

namespace {

template <class T>
std::vector<T> move_channels(const std::vector<T>& data, const std::vector<int64_t>& shape) {
  const auto outer = static_cast<size_t>(shape[0]), channels = static_cast<size_t>(shape[1]);
  const size_t inner = data.empty() ? 0 : data.size() / (outer * channels);
  std::vector<T> r(data.size());
  for (size_t o = 0; o < (data.empty() ? 0 : outer); ++o)
    for (size_t c = 0; c < channels; ++c)
      for (size_t i = 0; i < inner; ++i)
        r[(o * inner + i) * channels + c] = data[(o * channels + c) * inner + i];
  return r;
}

}  // namespace

std::vector<float> channels_last(const std::vector<float>& data,
                                 const std::vector<int64_t>& shape) {
  return move_channels(data, shape);
}

std::vector<int64_t> channels_last(const std::vector<int64_t>& data,
                                   const std::vector<int64_t>& shape) {
  return move_channels(data, shape);
}

}  // namespace qrt::passes
