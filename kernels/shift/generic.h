// What the ways share: codes as bytes in the order of x, x as wider numbers, the last step of the
// contract. All of it is internal to the object that includes it.
#ifndef QRT_KERNELS_SHIFT_GENERIC_H_
#define QRT_KERNELS_SHIFT_GENERIC_H_

#include <cstring>

#include "kernels/shift/shift.h"

namespace qrt::kernels::shift {
namespace {

constexpr size_t up_to(size_t x, size_t multiple) {
  return (x + multiple - 1) / multiple * multiple;
}
constexpr size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

// A vector of kBytes of T; the compiler's own operators make instructions of the object's ISA.
template <class T, size_t kBytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes)));
};
template <class T, size_t kBytes>
using Vector = typename VectorOf<T, kBytes>::type;

// Places in scratch, handed out one after the other on 64 bytes.
struct Carve {
  size_t end = 0;
  size_t take(size_t bytes) {
    const size_t at = end;
    end += up_to(bytes, 64);
    return at;
  }
};

inline Shape shape_of(const Args& a) {
  return {a.rows, a.outputs, a.inputs, a.taps, a.group, a.x16 != nullptr};
}

// ---- codes ----------------------------------------------------------------------

// Eight bytes from p, as many of them as there are.
inline uint64_t word_at(const uint8_t* p, const uint8_t* end) {
  uint64_t word = 0;
  if (end - p >= 8)
    std::memcpy(&word, p, 8);
  else
    for (ptrdiff_t i = 0; i < end - p; ++i) word |= uint64_t{p[i]} << 8 * i;
  return word;
}

// The codes of places [first, first + count) of an output, a byte each. Eight neighbours and what
// is before the first in its byte have 8 * bits + 7 bits, or 64 if bits is 8.
[[maybe_unused]] __attribute__((noinline)) void codes_of(const Args& a, size_t output, size_t first,
                                                         size_t count, uint8_t* to) {
  const uint8_t* row = a.codes + (a.first_output + output) * a.row_bytes;
  const uint32_t bits = a.plan->bits, mask = (1u << bits) - 1;
  if (a.taps > 1) {
    const size_t channels = a.inputs / a.taps;
    size_t tap = first / channels, channel = first % channels;
    for (size_t i = 0; i < count; ++i) {
      const size_t bit = (channel * a.taps + tap) * bits;
      to[i] = static_cast<uint8_t>(word_at(row + bit / 8, a.codes_end) >> bit % 8 & mask);
      if (++channel == channels) channel = 0, ++tap;
    }
    return;
  }
  for (size_t i = 0; i < count; i += 8) {
    const size_t bit = (first + i) * bits, live = least(8, count - i);
    uint64_t word = word_at(row + bit / 8, a.codes_end) >> bit % 8;
    for (size_t j = 0; j < live; ++j, word >>= bits) to[i + j] = static_cast<uint8_t>(word & mask);
  }
}

// ---- x ------------------------------------------------------------------------

// x - x_zero as Lane, `kRows` rows side by side per place: to[tile][place][kRows], where row r of
// a tile is at place_of(r). Rows beyond the last are 0.
template <class Lane, size_t kRows, class Place>
__attribute__((noinline)) void stage_rows(const Args& a, Lane* to, Place place_of) {
  for (size_t r = 0; r < up_to(a.rows, kRows); ++r) {
    Lane* row = to + r / kRows * kRows * a.inputs + place_of(r % kRows);
    if (r >= a.rows) {
      for (size_t k = 0; k < a.inputs; ++k) row[k * kRows] = 0;
    } else if (a.x) {
      const uint8_t* x = a.x + r * a.x_stride;
      for (size_t k = 0; k < a.inputs; ++k) row[k * kRows] = static_cast<Lane>(x[k] - a.x_zero);
    } else {
      const int16_t* x = a.x16 + r * a.x_stride;
      for (size_t k = 0; k < a.inputs; ++k) row[k * kRows] = x[k];
    }
  }
}

// ---- segments of inputs -----------------------------------------------------------

// Runs of at most `most` inputs that no border of a group cuts. last_of: the group that ends here.
struct Segment {
  size_t first, count, group;
  bool ends_group;
};

template <class F>
inline void each_segment(const Args& a, size_t most, F&& f) {
  const size_t group = a.group == 0 ? a.inputs : a.group;
  for (size_t first = 0; first < a.inputs;) {
    const size_t left = least(a.inputs, (first / group + 1) * group) - first;
    const size_t count = least(left, most);
    f(Segment{first, count, first / group, a.group != 0 && count == left});
    first += count;
  }
}

// ---- results ------------------------------------------------------------------

constexpr size_t kFinish = 64;  // outputs at a time

// Outputs [n, n + count) of one row; t is overwritten.
[[maybe_unused]] __attribute__((noinline)) void finish_row(const Args& a, size_t row, size_t n,
                                                           size_t count, float* t) {
  const int8::Finish& f = a.finish;
  if (f.bias_first)
    for (size_t i = 0; i < count; ++i) t[i] += f.bias[n + i];
  if (f.scale)
    for (size_t i = 0; i < count; ++i) t[i] *= f.scale[n + i];
  if (f.bias && !f.bias_first)
    for (size_t i = 0; i < count; ++i) t[i] += f.bias[n + i];
  if (f.residual) {
    const uint8_t* residual = f.residual + row * f.residual_stride + n;
    for (size_t i = 0; i < count; ++i)
      t[i] += static_cast<float>(residual[i] - f.residual_zero) * f.residual_scale;
  }
  for (size_t i = 0; i < count; ++i) {
    t[i] = t[i] > f.min ? t[i] : f.min;  // a NaN is not greater
    t[i] = t[i] < f.max ? t[i] : f.max;
  }
  const size_t at = row * a.y_stride + n;
  if (a.y32) {
    for (size_t i = 0; i < count; ++i) a.y32[at + i] = t[i];
    return;
  }
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23 leaves no bits behind the point
  for (size_t i = 0; i < count; ++i)
    a.y8[at + i] = static_cast<uint8_t>(static_cast<int32_t>(t[i] + kMagic - kMagic) + f.zero);
}

// Sums of a tile of `rows` by `outputs`, sums[r * row_step + n * output_step], and with groups the
// floats of the same layout that they are added to.
struct Totals {
  int32_t* sums;
  float* floats;
  size_t row_step, output_step;
};

[[maybe_unused]] __attribute__((noinline)) void end_group(const Args& a, size_t group, size_t n0,
                                                          size_t outputs, size_t rows,
                                                          const Totals& t) {
  if (t.output_step == 1 && outputs <= kFinish) {
    float scale[kFinish];
    for (size_t n = 0; n < outputs; ++n)
      scale[n] = a.group_scale[(n0 + n) * a.group_stride + group];
    for (size_t r = 0; r < rows; ++r) {
      float* floats = t.floats + r * t.row_step;
      int32_t* sums = t.sums + r * t.row_step;
      for (size_t n = 0; n < outputs; ++n) floats[n] += static_cast<float>(sums[n]) * scale[n];
      for (size_t n = 0; n < outputs; ++n) sums[n] = 0;
    }
    return;
  }
  for (size_t n = 0; n < outputs; ++n) {
    const float scale = a.group_scale[(n0 + n) * a.group_stride + group];
    for (size_t r = 0; r < rows; ++r) {
      const size_t at = r * t.row_step + n * t.output_step;
      t.floats[at] += static_cast<float>(t.sums[at]) * scale;
      t.sums[at] = 0;
    }
  }
}

[[maybe_unused]] __attribute__((noinline)) void finish_tile(const Args& a, size_t row0, size_t rows,
                                                            size_t n0, size_t outputs,
                                                            const Totals& t) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t n = 0; n < outputs; n += kFinish) {
      const size_t count = least(kFinish, outputs - n);
      const size_t at = r * t.row_step + n * t.output_step;
      float values[kFinish];
      for (size_t i = 0; i < count; ++i)
        values[i] = a.group ? t.floats[at + i * t.output_step]
                            : static_cast<float>(t.sums[at + i * t.output_step]);
      finish_row(a, row0 + r, n0 + n, count, values);
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_GENERIC_H_
