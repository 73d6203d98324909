// Winograd convolution on codebooks, written once for every vector width. The
// including file defines, in an anonymous namespace, `struct Simd`: a vector F of
// kWidth floats, a vector Q of 4, the register tile kTiles x kOuts x kParts vectors, and
// A^T m A with a type for its result (quad.inc has one for all).
//
// Definition. A 2x2 tile of output n is Y = A^T [ sum_c (G g_nc G^T) . (B^T d_c B) ] A,
// where d_c is the 4x4 patch of input channel c, g_nc a 3x3 kernel, '.' elementwise,
//
//         1  0 -1  0              1    0    0               1  1  1  0
//   B^T = 0  1  1  0         G = 1/2  1/2  1/2        A^T = 0  1 -1 -1
//         0 -1  1  0             1/2 -1/2  1/2
//         0  1  0 -1              0    0    1
//
// (Winograd 1980; Lavin, Gray 2015, arXiv:1509.09308): 16 multiplications instead of
// 36. With codebook weights g_nc is one of `count` centroids (or, with several
// books, a sum of such; the transform is linear), so the weights' transform is that
// of the codebook: count * 16 floats, one 64-byte line each. The codes are never
// decoded: times 64 they are the addresses of the lines they stand for.
//
//   lanes = the 16 positions of the 4x4 transform domain
//   acc[t][n] += V[c][t] * U[code[c][n]]            t < kTiles, n < kOuts
//
// Per channel and register tile: kTiles loads of V, kOuts loads of offsets and of
// lines, kTiles * kOuts FMAs, each of 16 positions; nothing is shuffled or gathered.
// At 6 x 4 in zmm: 24 FMAs (12 cycles at two a cycle) beside 14 loads (7 cycles):
// FMA bound, at most 36 / 16 = 2.25 times the machine's peak in effective FLOP.
//
// Order: a band of tiles is transformed into V (half of L2 at most), then 16 outputs
// after 16 outputs have their codes turned into offsets and all of V streamed past.
//
// Error. |V| <= 4 max|d|, |U| <= 9/4 max|g|, and Y adds 9 of the 16 positions, so the terms
// of an output sum to at most 9 * 4 * 9/4 = 81 max|d| max|g| per channel, 9 times the
// bound for nine direct products. That is the worst case; measured on random data the
// relative error is 9e-7 at 4608 terms (7x7x512), against 1e-4 allowed. F(4x4,3x3) would
// save another 1.8 times, but a line of 36 positions fills 2.25 registers, its tables leave
// L1, and its transforms amplify errors about ten times more.
#ifndef QRT_KERNELS_WINOGRAD_GENERIC_H_
#define QRT_KERNELS_WINOGRAD_GENERIC_H_

#include <cstring>
#include <utility>

#include "kernels/winograd/plan.h"

namespace qrt::kernels {
namespace {

using F = Simd::F;
using Q = Simd::Q;
using Tile2x2 = Simd::Tile2x2;
constexpr size_t kLine = WinogradPlan::kLine;
constexpr size_t kQuads = 4;  // outputs whose sums are transformed back together

// std::min would leave a weak symbol in an object that holds vector instructions.
constexpr size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

// Where a call's work lies.
struct Work {
  Work(const WinogradArgs& args)  // NOLINT: one argument on purpose
      : a(args), p(args), at(static_cast<char*>(args.scratch)) {
    slots = reinterpret_cast<uint32_t*>(at + p.slots_at);
    zeros = reinterpret_cast<float*>(at + p.zeros_at);
    spots = reinterpret_cast<WinogradSpot*>(at + p.spots_at);
    codes = reinterpret_cast<uint32_t*>(at + p.codes_at);
    sums = reinterpret_cast<float*>(at + p.sums_at);
    v = reinterpret_cast<float*>(at + p.v_at);
  }
  const WinogradArgs& a;
  WinogradPlan p;
  char* at;
  uint32_t* slots;
  float* zeros;  // a pixel outside of the input
  WinogradSpot* spots;
  uint32_t* codes;
  float *sums, *v;
};

// B^T d B of kWidth channels at once; kWidth / 4 rows of the result fill one vector per
// channel after a transposition. Channel i goes to v + slots[i] * step.
inline void transform_input(const float* const pixel[16], size_t channel, size_t channels,
                            const uint32_t* slots, size_t step, float* v) {
  constexpr size_t kWidth = Simd::kWidth, kRows = kWidth / 4;
  F rows[4][4];
#pragma GCC unroll 4
  for (size_t x = 0; x < 4; ++x) {
    const F d0 = Simd::load(pixel[x] + channel), d1 = Simd::load(pixel[4 + x] + channel);
    const F d2 = Simd::load(pixel[8 + x] + channel), d3 = Simd::load(pixel[12 + x] + channel);
    rows[0][x] = Simd::sub(d0, d2);
    rows[1][x] = Simd::add(d1, d2);
    rows[2][x] = Simd::sub(d2, d1);
    rows[3][x] = Simd::sub(d1, d3);
  }
#pragma GCC unroll 4
  for (size_t y = 0; y < 4; y += kRows) {
    F out[kWidth];
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
      const F* t = rows[y + r];
      out[4 * r] = Simd::sub(t[0], t[2]);
      out[4 * r + 1] = Simd::add(t[1], t[2]);
      out[4 * r + 2] = Simd::sub(t[2], t[1]);
      out[4 * r + 3] = Simd::sub(t[1], t[3]);
    }
    Simd::transpose(out);
    if (channels >= kWidth) {
#pragma GCC unroll 16
      for (size_t i = 0; i < kWidth; ++i) Simd::store(v + slots[i] * step + 4 * y, out[i]);
    } else {
      alignas(64) float tail[kWidth][kWidth];
      for (size_t i = 0; i < kWidth; ++i) Simd::store(tail[i], out[i]);
      for (size_t i = 0; i < channels; ++i)
        std::memcpy(v + slots[i] * step + 4 * y, tail[i], sizeof tail[i]);
    }
  }
}

// One tile's V: lines v + slot * step for every channel.
inline void gather_tile(const Work& w, const WinogradSpot& spot, size_t step, float* v) {
  const WinogradArgs& a = w.a;
  const float* pixel[16];
  for (size_t y = 0; y < 4; ++y)
    for (size_t x = 0; x < 4; ++x) {
      // Unsigned: a pixel above or left of the input wraps to a huge index.
      const size_t iy = spot.y + y - a.pad_top, ix = spot.x + x - a.pad_left;
      pixel[4 * y + x] = iy < a.in_h && ix < a.in_w
                             ? a.input + ((spot.image * a.in_h + iy) * a.in_w + ix) * a.cin
                             : w.zeros;
    }
  size_t c = 0;
  for (; c + Simd::kWidth <= a.cin; c += Simd::kWidth)
    transform_input(pixel, c, Simd::kWidth, w.slots + c, step, v);
  if (c == a.cin) return;
  alignas(64) float tail[16][Simd::kWidth] = {};
  const float* of_tail[16];
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < a.cin - c; ++j) tail[i][j] = pixel[i][c + j];
    of_tail[i] = tail[i];
  }
  transform_input(of_tail, 0, a.cin - c, w.slots + c, step, v);
}

// sums[t][n][16] = sum over books and channels, for T tiles and kOuts outputs; of each
// line the kParts vectors from float `part` on. Few registers take several such passes.
template <size_t T>
void multiply(const Work& w, const float* v0, const uint32_t* offsets, size_t part, float* sums) {
  constexpr size_t kOuts = Simd::kOuts, kParts = Simd::kParts;
  const char* table = reinterpret_cast<const char*>(w.a.table + part);
  F acc[T][kOuts][kParts];
#pragma GCC unroll 8
  for (size_t t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (size_t n = 0; n < kOuts; ++n)
#pragma GCC unroll 4
      for (size_t i = 0; i < kParts; ++i) acc[t][n][i] = Simd::zero();
  for (uint32_t book = 0; book < w.a.books; ++book) {
    const float* v = v0 + part;
    for (size_t c = w.a.cin; c != 0; --c, v += T * kLine, offsets += kOuts) {
#pragma GCC unroll 4
      for (size_t i = 0; i < kParts; ++i) {
        F u[kOuts];
#pragma GCC unroll 4
        for (size_t n = 0; n < kOuts; ++n)
          u[n] = Simd::load(reinterpret_cast<const float*>(table + offsets[n]) + i * Simd::kWidth);
#pragma GCC unroll 8
        for (size_t t = 0; t < T; ++t) {
          const F x = Simd::in_register(Simd::load(v + t * kLine + i * Simd::kWidth));
#pragma GCC unroll 4
          for (size_t n = 0; n < kOuts; ++n) acc[t][n][i] = Simd::fma(x, u[n], acc[t][n][i]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (size_t t = 0; t < T; ++t)
#pragma GCC unroll 4
    for (size_t n = 0; n < kOuts; ++n)
#pragma GCC unroll 4
      for (size_t i = 0; i < kParts; ++i)
        Simd::store(sums + part + (t * kQuads + n) * kLine + i * Simd::kWidth, acc[t][n][i]);
}

using MultiplyFn = void(const Work&, const float*, const uint32_t*, size_t, float*);

template <size_t... T>
constexpr MultiplyFn* multiply_of(size_t tiles, std::index_sequence<T...>) {
  constexpr MultiplyFn* kOf[] = {&multiply<T + 1>...};
  return kOf[tiles - 1];
}

// What the epilogue needs of 4 outputs.
struct Finish {
  Finish(const WinogradArgs& a, size_t first)
      : n0(first),
        n(least(kQuads, a.cout - first)),
        low(Simd::all4(a.min)),
        high(Simd::all4(a.max)) {
    float s[kQuads] = {1, 1, 1, 1}, b[kQuads] = {};
    for (size_t i = 0; i < n; ++i) {
      if (a.scale != nullptr) s[i] = a.scale[n0 + i];
      if (a.bias != nullptr) b[i] = a.bias[n0 + i];
    }
    scale = Simd::load4(s);
    bias = Simd::load4(b);
  }
  size_t n0, n;
  Q scale, bias, low, high;
};

// The pixels of a whole tile, all of whose 4 outputs exist.
inline void finish_tile(const WinogradArgs& a, const Finish& f, Tile2x2 y, size_t offset) {
  const size_t down = a.out_w * a.cout, across = a.cout;
  y = Simd::fma_tile(y, f.scale, f.bias);
  if (a.residual != nullptr)
    y = Simd::add_tile(y, Simd::load_tile(a.residual + offset, down, across));
  Simd::store_tile(a.output + offset, down, across, Simd::clamp_tile(y, f.low, f.high));
}

// A tile cut by the map's border or by the last output.
inline void finish_part(const WinogradArgs& a, const Finish& f, const WinogradSpot& spot,
                        Tile2x2 tile) {
  alignas(64) float pixels[4][kQuads];
  Simd::store_tile(pixels[0], 2 * kQuads, kQuads, Simd::fma_tile(tile, f.scale, f.bias));
  const size_t bytes = f.n * sizeof(float);
  for (size_t i = 0; i < 4; ++i) {
    if (i / 2 >= spot.rows || i % 2 >= spot.cols) continue;
    const size_t offset = spot.offset + (i / 2 * a.out_w + i % 2) * a.cout + f.n0;
    Q y = Simd::load4(pixels[i]);
    if (a.residual != nullptr) {
      float part[kQuads] = {};
      std::memcpy(part, a.residual + offset, bytes);
      y = Simd::add4(y, Simd::load4(part));
    }
    Simd::store4(pixels[i], Simd::clamp4(y, f.low, f.high));
    std::memcpy(a.output + offset, pixels[i], bytes);
  }
}

// All outputs of `tiles` tiles, in groups of at most kTiles of about equal size.
void run_band(const Work& w, size_t tiles) {
  const WinogradArgs& a = w.a;
  const size_t groups = (tiles + Simd::kTiles - 1) / Simd::kTiles;
  const auto begin = [&](size_t g) { return g * tiles / groups; };
  for (size_t g = 0; g < groups; ++g) {
    const size_t first = begin(g), n = begin(g + 1) - first;
    for (size_t t = 0; t < n; ++t)
      gather_tile(w, w.spots[first + t], n * kLine, w.v + (first * a.cin + t) * kLine);
  }
  const size_t step = a.books * a.cin * Simd::kOuts;  // offsets of kOuts outputs
  for (size_t n0 = 0; n0 < a.cout; n0 += WinogradPlan::kOutputs) {
    winograd_stage_codes(a, w.p, w.slots, n0, Simd::kOuts, w.codes);
    const size_t quads = (least(WinogradPlan::kOutputs, a.cout - n0) + kQuads - 1) / kQuads;
    for (size_t g = 0; g < groups; ++g) {
      const size_t first = begin(g), n = begin(g + 1) - first;
      MultiplyFn* const run = multiply_of(n, std::make_index_sequence<Simd::kTiles>());
      const uint32_t* offsets = w.codes;
      for (size_t q = 0; q < quads; ++q) {
        const Finish f(a, n0 + q * kQuads);
        for (size_t i = 0; i < kQuads; i += Simd::kOuts, offsets += step)
          for (size_t part = 0; part < kLine; part += Simd::kParts * Simd::kWidth)
            run(w, w.v + first * a.cin * kLine, offsets, part, w.sums + i * kLine);
        for (size_t t = 0; t < n; ++t) {
          const WinogradSpot& spot = w.spots[first + t];
          const Tile2x2 y = Simd::transform_output(w.sums + t * kQuads * kLine);
          if (f.n == kQuads && spot.rows == 2 && spot.cols == 2)
            finish_tile(a, f, y, spot.offset + f.n0);
          else
            finish_part(a, f, spot, y);
        }
      }
    }
  }
}

void winograd(const WinogradArgs& a) {
  const Work w(a);
  winograd_slots(a, w.p, w.slots);
  std::memset(w.zeros, 0, w.p.padded * sizeof(float));
  const size_t all = a.tile_end - a.tile_begin;
  const size_t bands = (all + w.p.tiles - 1) / w.p.tiles;
  for (size_t b = 0; b < bands; ++b) {
    // In 64 bits: b * all passes 2^32 from 640 000 tiles on.
    const size_t first = a.tile_begin + static_cast<size_t>(uint64_t{b} * all / bands);
    const size_t n = a.tile_begin + static_cast<size_t>((uint64_t{b} + 1) * all / bands) - first;
    winograd_spots(a, first, n, w.spots);
    run_band(w, n);
  }
}

}  // namespace
}  // namespace qrt::kernels

#endif  // QRT_KERNELS_WINOGRAD_GENERIC_H_
