// The winograd8 family by definition: one tile and one output after the other.
#include <cstring>

#include "kernels/winograd8/transforms.h"
#include "kernels/winograd8/winograd8.h"

namespace qrt::kernels::winograd8 {
namespace {

template <int E>
void entries(const EntriesArgs& a) {
  constexpr size_t A = kAxis<E>;
  int16_t* to = a.lines;
  for (size_t i = 0; i < a.count * a.kernels; ++i, to += kLine<E>) {
    const int8_t* g = a.entries + i / a.kernels * a.stride + i % a.kernels * 9;
    int32_t rows[A][3];
    for (size_t j = 0; j < 3; ++j) entry_axis<E, int32_t>(g[j], g[3 + j], g[6 + j], &rows[0][j], 3);
    for (size_t p = 0; p < A; ++p) {
      int32_t line[A];
      entry_axis<E, int32_t>(rows[p][0], rows[p][1], rows[p][2], line, 1);
      for (size_t q = 0; q < A; ++q) to[p * A + q] = static_cast<int16_t>(line[q]);
    }
  }
}

// B'dB is [tile][channel][position].
template <int E>
size_t input_bytes(const Args& a) {
  return (a.block_end - a.block_begin) * a.channels * kPositions<E> * sizeof(int16_t);
}
size_t scratch_bytes(const Args&) {
  return 0;
}
template <int E>
int16_t* input_of(const Args& a, size_t tile) {
  return static_cast<int16_t*>(a.input) + (tile - a.block_begin) * a.channels * kPositions<E>;
}

struct Origin {
  size_t image, y, x;
};
template <int E>
Origin origin_of(const Args& a, size_t tile) {
  const size_t across = (a.out_w + E - 1) / E, down = (a.out_h + E - 1) / E;
  return {tile / across / down, tile / across % down * E, tile % across * E};
}

template <int E>
void input(const Args& a, const Origin& at, size_t channel, int16_t* to) {
  constexpr size_t A = kAxis<E>;
  uint32_t d[A * A], half[A * A];
  for (size_t i = 0; i < A * A; ++i) {
    const size_t y = at.y + i / A - a.pad_top, x = at.x + i % A - a.pad_left;
    int32_t v = a.x_zero;
    if (y < a.in_h && x < a.in_w)
      v = a.x[((at.image * a.in_h + y) * a.in_w + x) * a.channels + channel];
    d[i] = static_cast<uint32_t>(v - a.x_zero);
  }
  for (size_t j = 0; j < A; ++j) input_axis<E>(d + j, half + j, A);
  for (size_t i = 0; i < A; ++i) input_axis<E>(half + i * A, d + i * A, 1);
  for (size_t i = 0; i < A * A; ++i) to[i] = static_cast<int16_t>(d[i]);
}

uint32_t code_of(const int8::Coded& s, size_t block, size_t output) {
  const uint8_t* row = s.codes + block * s.row_bytes;
  uint32_t code = 0;
  for (uint32_t i = 0; i < s.bits; ++i) {
    const size_t bit = output * s.bits + i;
    code |= (row[bit / 8] >> bit % 8 & 1u) << i;
  }
  return code;
}

const int16_t* line_of(const Args& a, size_t line, size_t channel, size_t n) {
  const int8::Coded& s = a.table;
  const size_t kernels = s.dim / 9, level = s.level_of == nullptr ? 0 : s.level_of[n];
  const size_t scope = s.scope_rows == 0 ? 0 : n / s.scope_rows;
  const int8_t* p = s.entries + level * s.level_stride + scope * s.scope_stride +
                    code_of(s, channel / kernels, n) * s.entry_stride;
  return reinterpret_cast<const int16_t*>(p) + channel % kernels * line;
}

// Adding 1.5 * 2^23 leaves no bits behind the point: the sum is rounded to nearest even.
void store(const Args& a, size_t row, size_t n, int32_t sum) {
  const int8::Finish& f = a.finish;
  constexpr float kMagic = 12582912.0f;
  float t = static_cast<float>(sum);
  if (f.bias_first) t += f.bias[n];
  if (f.scale) t *= f.scale[n];
  if (f.bias && !f.bias_first) t += f.bias[n];
  if (f.residual) {
    const int32_t q = int32_t{f.residual[row * f.residual_stride + n]} - f.residual_zero;
    t += static_cast<float>(q) * f.residual_scale;
  }
  t = t < f.min ? f.min : t;
  t = t > f.max ? f.max : t;
  if (a.y8)
    a.y8[row * a.outputs + n] =
        static_cast<uint8_t>(static_cast<int32_t>(t + kMagic - kMagic) + f.zero);
  else
    a.y32[row * a.outputs + n] = t;
}

template <int E>
void output(const Args& a, const Origin& at, size_t n, const int16_t* v) {
  constexpr size_t A = kAxis<E>, P = kPositions<E>;
  uint32_t m[P] = {}, half[E * A], y[E * E];
  for (size_t c = 0; c < a.channels; ++c) {
    const int16_t* u = line_of(a, kLine<E>, c, n);
    for (size_t p = 0; p < P; ++p)
      m[p] += static_cast<uint32_t>(int32_t{v[c * P + p]} * int32_t{u[p]});
  }
  for (size_t c = 0; c < A; ++c) output_axis<E>(m + c, A, half + c, A);
  for (size_t i = 0; i < E; ++i) output_axis<E>(half + i * A, 1, y + i * E, 1);
  for (size_t i = 0; i < E * E; ++i) {
    const size_t oy = at.y + i / E, ox = at.x + i % E;
    if (oy >= a.out_h || ox >= a.out_w) continue;
    const uint32_t times = E == 4 ? y[i] * kInverse9 : y[i];
    store(a, (at.image * a.out_h + oy) * a.out_w + ox, n,
          static_cast<int32_t>(times) >> (E == 4 ? 6 : 2));
  }
}

template <int E>
void transform(const Args& a) {
  for (size_t t = a.tile_begin; t < a.tile_end; ++t)
    for (size_t c = 0; c < a.channels; ++c)
      input<E>(a, origin_of<E>(a, t), c, input_of<E>(a, t) + c * kPositions<E>);
}

template <int E>
void run(const Args& a) {
  for (size_t t = a.tile_begin; t < a.tile_end; ++t)
    for (size_t n = a.output_begin; n < a.output_end; ++n)
      output<E>(a, origin_of<E>(a, t), n, input_of<E>(a, t));
}

template <int E>
constexpr Way way_of() {
  return {entries<E>, input_bytes<E>, scratch_bytes, transform<E>, run<E>};
}

}  // namespace

const Kit winograd8_reference = {way_of<2>(), way_of<4>()};

}  // namespace qrt::kernels::winograd8
