#include "kernels/bits/border.h"

namespace qrt::kernels::bits {
namespace {

// Whole words but the last, which has zeros behind the bits.
constexpr uint64_t last_mask(size_t bits) {
  return bits % kWord == 0 ? ~uint64_t{0} : (uint64_t{1} << bits % kWord) - 1;
}

}  // namespace

void arrange(const ArrangeArgs& a) {
  const size_t words = tap_words(a.window);
  for (size_t n = 0; n < a.outputs; ++n) {
    const uint64_t* from = a.from + n * a.from_stride;
    uint64_t* to = a.to + n * a.to_stride;
    for (size_t i = 0; i < a.window.taps * words; ++i) to[i] = 0;
    for (size_t t = 0; t < a.window.taps; ++t) {
      for (size_t c = 0; c < a.window.channels; ++c) {
        const size_t k = a.channel_major ? c * a.window.taps + t : t * a.window.channels + c;
        to[t * words + c / kWord] |= (from[k / kWord] >> k % kWord & 1u) << c % kWord;
      }
    }
  }
}

void bases(const BaseArgs& a) {
  const size_t words = tap_words(a.window);
  for (size_t i = 0; i < a.classes; ++i) {
    const uint8_t* outside = a.outside + i * a.window.taps;
    for (size_t n = 0; n < a.outputs; ++n) {
      int32_t base = 0;
      for (size_t t = 0; t < a.window.taps; ++t) {
        if (!outside[t]) {
          base += static_cast<int32_t>(a.window.channels);
          continue;
        }
        const uint64_t* w = a.weights + n * a.stride + t * words;
        for (size_t j = 0; j < words; ++j) base += 2 * __builtin_popcountll(w[j]);
      }
      a.base[i * a.outputs + n] = base;
    }
  }
}

void gather(const GatherArgs& a) {
  const size_t words = tap_words(a.window);
  const uint64_t fill = a.outside_ones ? ~uint64_t{0} : 0;
  if (words == 1) {
    const uint64_t outside = fill & last_mask(a.window.channels);
    for (size_t r = 0; r < a.rows; ++r) {
      const int32_t* at = a.at + r * a.window.taps;
      for (size_t t = 0; t < a.window.taps; ++t)
        a.to[r * a.stride + t] = at[t] == kOutside ? outside : a.x[at[t]];
    }
    return;
  }
  for (size_t r = 0; r < a.rows; ++r) {
    uint64_t* to = a.to + r * a.stride;
    for (size_t t = 0; t < a.window.taps; ++t, to += words) {
      const int32_t at = a.at[r * a.window.taps + t];
      if (at == kOutside) {
        for (size_t j = 0; j < words; ++j) to[j] = fill;
        to[words - 1] &= last_mask(a.window.channels);
      } else {
        for (size_t j = 0; j < words; ++j) to[j] = a.x[at + j];
      }
    }
  }
}

}  // namespace qrt::kernels::bits
