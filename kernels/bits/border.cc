#include "kernels/bits/border.h"

namespace qrt::kernels::bits {
namespace {

constexpr uint64_t low_mask(size_t bits) {
  return bits >= kWord ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
}

// `count` bits, at most a word, from bit `bit` on; reads only words that hold some of them.
inline uint64_t bits_at(const uint64_t* from, size_t bit, size_t count) {
  const size_t shift = bit % kWord;
  from += bit / kWord;
  uint64_t v = from[0] >> shift;
  if (shift + count > kWord) v |= from[1] << (kWord - shift);
  return v & low_mask(count);
}

int32_t ones_of(const uint64_t* from, size_t bit, size_t count) {
  int32_t ones = 0;
  for (; count > 0;) {
    const size_t n = count < kWord ? count : kWord;
    ones += __builtin_popcountll(bits_at(from, bit, n));
    bit += n, count -= n;
  }
  return ones;
}

// The same into zeros.
inline void put_bits(const uint64_t* from, size_t from_bit, size_t count, uint64_t* to,
                     size_t to_bit) {
  while (count > 0) {
    const size_t n = count < kWord ? count : kWord, shift = to_bit % kWord;
    const uint64_t v = bits_at(from, from_bit, n);
    to[to_bit / kWord] |= v << shift;
    if (shift + n > kWord) to[to_bit / kWord + 1] |= v >> (kWord - shift);
    from_bit += n, to_bit += n, count -= n;
  }
}

// Taps of an axis inside the image when the window starts at `start`.
struct Range {
  size_t first, last;
};
inline Range inside(int64_t start, size_t kernel, size_t dilation, size_t extent) {
  const int64_t d = static_cast<int64_t>(dilation), end = static_cast<int64_t>(extent);
  const int64_t first = start >= 0 ? 0 : d == 1 ? -start : (-start + d - 1) / d;
  const int64_t past = start >= end ? 0 : d == 1 ? end - start : (end - start + d - 1) / d;
  const int64_t last = past < static_cast<int64_t>(kernel) ? past : static_cast<int64_t>(kernel);
  return {static_cast<size_t>(first), static_cast<size_t>(last > first ? last : first)};
}

// One window, from the first pixel of its image. kWhole: channels are whole words and nothing lies
// between those of neighbouring taps of a line, so that a line is one run of words.
template <bool kWhole>
inline void window(const GatherArgs& a, const uint64_t* image, size_t oy, size_t ox, uint64_t* to) {
  const size_t words = a.channels / kWord;
  const int64_t top = static_cast<int64_t>(oy * a.stride_h) - static_cast<int64_t>(a.pad_top);
  const int64_t left = static_cast<int64_t>(ox * a.stride_w) - static_cast<int64_t>(a.pad_left);
  const Range x = inside(left, a.kernel_w, a.dilation_w, a.in_w);
  for (size_t ky = 0, tap = 0; ky < a.kernel_h; ++ky, tap += a.kernel_w) {
    const int64_t y = top + static_cast<int64_t>(ky * a.dilation_h);
    const bool any = y >= 0 && y < static_cast<int64_t>(a.in_h) && x.first < x.last;
    const uint64_t* line = any ? image + static_cast<size_t>(y) * a.in_w * a.pixel : image;
    const auto at = [&](size_t kx) {
      return line + static_cast<size_t>(left + static_cast<int64_t>(kx * a.dilation_w)) * a.pixel;
    };
    if constexpr (kWhole) {
      uint64_t* run = to + tap * words;
      const size_t first = any ? x.first * words : a.kernel_w * words;
      const size_t last = any ? x.last * words : first, end = a.kernel_w * words;
      for (size_t i = 0; i < first; ++i) run[i] = 0;
      const uint64_t* from = any ? at(x.first) : image;
      for (size_t i = first; i < last; ++i) run[i] = from[i - first];
      for (size_t i = last; i < end; ++i) run[i] = 0;
    } else if (any) {
      for (size_t kx = x.first; kx < x.last; ++kx)
        put_bits(at(kx), a.first_channel, a.channels, to, (tap + kx) * a.channels);
    }
  }
}

template <bool kWhole>
void gather_rows(const GatherArgs& a) {
  const size_t pixels = a.out_h * a.out_w, image_words = a.in_h * a.in_w * a.pixel;
  const size_t words = words_of(a.kernel_h * a.kernel_w * a.channels);
  const uint64_t* image = a.x + a.row0 / pixels * image_words;
  size_t oy = a.row0 % pixels / a.out_w, ox = a.row0 % pixels % a.out_w;
  uint64_t* to = a.to;
  for (size_t r = 0; r < a.rows; ++r, to += a.stride) {
    if constexpr (!kWhole)
      for (size_t i = 0; i < words; ++i) to[i] = 0;
    window<kWhole>(a, image, oy, ox, to);
    if (++ox < a.out_w) continue;
    ox = 0;
    if (++oy < a.out_h) continue;
    oy = 0, image += image_words;
  }
}

}  // namespace

void copy_bits(const uint64_t* from, size_t from_bit, size_t count, uint64_t* to, size_t to_bit) {
  while (count > 0) {
    // As far as the word of `to` goes, so that each of its words is written once.
    const size_t shift = to_bit % kWord, room = kWord - shift, n = count < room ? count : room;
    const uint64_t mask = low_mask(n) << shift;
    uint64_t& word = to[to_bit / kWord];
    word = (word & ~mask) | (bits_at(from, from_bit, n) << shift);
    from_bit += n, to_bit += n, count -= n;
  }
}

// Ones of all rectangles of taps come of sums over those that start at tap 0, 0.
void bases(const BaseArgs& a) {
  const size_t line = a.kernel_w + 1;
  for (size_t i = 0; i < line; ++i) a.work[i] = 0;
  for (size_t n = 0; n < a.outputs; ++n) {
    const uint64_t* w = a.weights + n * a.stride;
    for (size_t ky = 0; ky < a.kernel_h; ++ky) {
      int32_t *above = a.work + ky * line, *here = above + line, row = 0;
      here[0] = 0;
      for (size_t kx = 0; kx < a.kernel_w; ++kx) {
        row += ones_of(w, (ky * a.kernel_w + kx) * a.channels, a.channels);
        here[kx + 1] = above[kx + 1] + row;
      }
    }
    const int32_t all = a.work[a.kernel_h * line + a.kernel_w];
    for (size_t i = 0; i < a.classes; ++i) {
      const Inside& c = a.inside[i];
      const auto to = [&](size_t y, size_t x) { return a.work[y * line + x]; };
      const int32_t ones = to(c.y1, c.x1) - to(c.y0, c.x1) - to(c.y1, c.x0) + to(c.y0, c.x0);
      const size_t taps = size_t{c.y1 - c.y0} * (c.x1 - c.x0);
      a.base[i * a.base_stride + n] = static_cast<int32_t>(taps * a.channels) + 2 * (all - ones);
    }
  }
}

void gather(const GatherArgs& a) {
  const bool whole = a.channels % kWord == 0 && a.dilation_w == 1 && a.pixel * kWord == a.channels;
  if (whole)
    gather_rows<true>(a);
  else
    gather_rows<false>(a);
}

}  // namespace qrt::kernels::bits
