#include "converter/quant/entries.h"

#include <algorithm>
#include <cmath>

#include "converter/base/half.h"

namespace qrt::quant {
namespace {

// The least f16 that is not below `value` >= 0, for values an f16 reaches.
float half_above(float value) {
  const float nearest = round_to_half(value);
  return nearest >= value ? nearest
                          : half_to_float(static_cast<uint16_t>(float_to_half(value) + 1));
}

// f16 scales are rounded up, so that the integers stay within 127. A subnormal one may then be
// much too large: below 2^-19 a step of 2^-24 is more than 1/32, five bits of the integers'
// range. Layers with such entries take f32 scales, two bytes more for each.
bool are_halves_enough(const std::vector<float>& scales) {
  return std::all_of(scales.begin(), scales.end(),
                     [](float s) { return s == 0 || (s >= 0x1p-19f && s <= 65504.0f); });
}

void set_integers(std::span<const float> values, Codebook& book) {
  const size_t d = static_cast<size_t>(book.dim), n = values.size() / d;
  book.entries.assign(values.size(), 0.0f);
  book.entry_scales.assign(n, 0.0f);
  for (size_t i = 0; i < n; ++i) {
    float most = 0;
    for (size_t t = 0; t < d; ++t) most = std::max(most, std::abs(values[i * d + t]));
    book.entry_scales[i] = most / 127;
  }
  if (are_halves_enough(book.entry_scales))
    for (float& s : book.entry_scales) s = half_above(s);
  for (size_t i = 0; i < n; ++i) {
    const float scale = book.entry_scales[i];
    for (size_t t = 0; scale > 0 && t < d; ++t)
      book.entries[i * d + t] =
          std::clamp(std::nearbyint(values[i * d + t] / scale), -127.0f, 127.0f);
  }
}

}  // namespace

void set_entries(std::span<const float> values, Codebook& book) {
  book.entry_scales.clear();
  if (book.entry == EntryType::i8) return set_integers(values, book);
  book.entries.assign(values.begin(), values.end());
  if (book.entry == EntryType::f16)
    std::transform(book.entries.begin(), book.entries.end(), book.entries.begin(), round_to_half);
}

std::vector<float> entry_values(const Codebook& book) {
  std::vector<float> values = book.entries;
  if (book.entry != EntryType::i8) return values;
  for (size_t i = 0; i < values.size(); ++i)
    values[i] *= book.entry_scales[i / static_cast<size_t>(book.dim)];
  return values;
}

}  // namespace qrt::quant
