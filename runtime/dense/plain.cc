// See plain.h.
//
// An item of work is kPixels output pixels times one tile of kPlainTile output
// channels: kPixels * 2 vectors of sums stay in registers while taps and input
// channels pass by,
//
//   sum[p][o] += in[pixel p, tap][c] * w[tap][c][o]
//
// so each weight vector is loaded once per kPixels multiply-adds: 8 sums, 2 weights
// and 1 input fit the 16 vector registers of the smallest machine (SSE2). Items of
// one tile follow one another: its weights stay in cache while the image streams
// past.
#include "runtime/dense/plain.h"

#include <cstring>

#include "runtime/dense/lanes.h"

namespace qrt {
namespace {

constexpr size_t kPixels = 4;

struct Job {
  const ConvGeometry& g;
  const float* weights;
  const float* bias;
  Limits limits;
  const float* in;
  float* out;
};

// Where the window of an output pixel starts: in the leading padding y and x wrap. Transposed: the
// output's place before padding was cut off.
struct Corner {
  const float* image;
  size_t y, x;
};

Corner corner_of(const Job& job, size_t row) {
  const ConvGeometry& g = job.g;
  const size_t x = row % g.out_w, y = row / g.out_w % g.out_h, n = row / (g.out_w * g.out_h);
  const float* image = job.in + n * g.in_h * g.in_w * g.in_c;
  if (g.transposed) return {image, y + g.window.pad_top, x + g.window.pad_left};
  return {image, y * g.window.stride_h - g.window.pad_top,
          x * g.window.stride_w - g.window.pad_left};
}

// The input that reaches place `at` through a tap `reach` places behind it; `extent` for none.
size_t source(size_t at, size_t reach, size_t stride, size_t extent) {
  if (reach > at || (at - reach) % stride != 0) return extent;
  const size_t from = (at - reach) / stride;
  return from < extent ? from : extent;
}

// The input pixel under tap (ky, kx), or null outside the image.
const float* input_pixel(const ConvGeometry& g, const Corner& at, size_t ky, size_t kx) {
  if (g.transposed) {
    const size_t y = source(at.y, ky * g.window.dilation_h, g.window.stride_h, g.in_h);
    const size_t x = source(at.x, kx * g.window.dilation_w, g.window.stride_w, g.in_w);
    return y < g.in_h && x < g.in_w ? at.image + (y * g.in_w + x) * g.in_c : nullptr;
  }
  const size_t y = at.y + ky * g.window.dilation_h, x = at.x + kx * g.window.dilation_w;
  return y < g.in_h && x < g.in_w ? at.image + (y * g.in_w + x) * g.in_c : nullptr;
}

constexpr size_t kVectors = kPlainTile / kLanes;
static_assert(kVectors == 2);

struct Sums {
  f32x4 v_f32x4[kPixels][kVectors];
};

// sum[p][o] += x[p][c] * w[c][o] over `count` input channels. The sums are named
// one by one so that they are registers, not memory.
void accumulate(Sums* sums, const float* const (&x)[kPixels], const float* w, size_t count) {
  static_assert(kPixels == 4);
  auto& s = sums->v_f32x4;
  f32x4 s00 = s[0][0], s01 = s[0][1], s10 = s[1][0], s11 = s[1][1];
  f32x4 s20 = s[2][0], s21 = s[2][1], s30 = s[3][0], s31 = s[3][1];
  for (size_t c = 0; c < count; ++c, w += kPlainTile) {
    const f32x4 w0 = load_f32x4(w), w1 = load_f32x4(w + kLanes);
    s00 += x[0][c] * w0, s01 += x[0][c] * w1;
    s10 += x[1][c] * w0, s11 += x[1][c] * w1;
    s20 += x[2][c] * w0, s21 += x[2][c] * w1;
    s30 += x[3][c] * w0, s31 += x[3][c] * w1;
  }
  s[0][0] = s00, s[0][1] = s01, s[1][0] = s10, s[1][1] = s11;
  s[2][0] = s20, s[2][1] = s21, s[3][0] = s30, s[3][1] = s31;
}

// The same for a tap that is outside the image for some of the pixels (null): they
// get nothing.
void accumulate_inside(Sums* sums, const float* const (&x)[kPixels], const float* w, size_t count) {
  for (size_t p = 0; p < kPixels; ++p) {
    if (x[p] == nullptr) continue;
    for (size_t c = 0; c < count; ++c)
      for (size_t v = 0; v < kVectors; ++v)
        sums->v_f32x4[p][v] += x[p][c] * load_f32x4(w + c * kPlainTile + v * kLanes);
  }
}

// Pixels [row, row + count) times tile `tile` of group `group`.
void run_item(const Job& job, size_t group, size_t tile, size_t row, size_t count) {
  const ConvGeometry& g = job.g;
  const size_t inputs = g.group_in(), first = tile * kPlainTile;
  const size_t outputs = g.group_out() - first < kPlainTile ? g.group_out() - first : kPlainTile;
  const size_t tiles = (g.group_out() + kPlainTile - 1) / kPlainTile;
  const float* w = job.weights + (group * tiles + tile) * g.taps() * inputs * kPlainTile;
  float line[kPlainTile] = {};  // bias at first, results of a pixel at last
  std::memcpy(line, job.bias + group * g.group_out() + first, outputs * sizeof(float));
  Sums sums;
  Corner corner[kPixels];
  for (size_t p = 0; p < kPixels; ++p) {
    for (size_t v = 0; v < kVectors; ++v) sums.v_f32x4[p][v] = load_f32x4(line + v * kLanes);
    corner[p] = corner_of(job, row + (p < count ? p : count - 1));  // at the end: the last again
  }
  for (size_t ky = 0; ky < g.window.kernel_h; ++ky)
    for (size_t kx = 0; kx < g.window.kernel_w; ++kx, w += inputs * kPlainTile) {
      const float* x[kPixels];
      bool all = true;
      for (size_t p = 0; p < kPixels; ++p) {
        x[p] = input_pixel(g, corner[p], ky, kx);
        if (x[p] == nullptr)
          all = false;
        else
          x[p] += group * inputs;
      }
      (all ? accumulate : accumulate_inside)(&sums, x, w, inputs);
    }
  for (size_t p = 0; p < count; ++p) {
    for (size_t v = 0; v < kVectors; ++v) store_f32x4(line + v * kLanes, sums.v_f32x4[p][v]);
    float* to = job.out + (row + p) * g.out_c + group * g.group_out() + first;
    for (size_t o = 0; o < outputs; ++o) to[o] = clamp_to(line[o], job.limits);
  }
}

// Output rows (image rows, not pixels) [begin, end) of a depthwise convolution.
void run_depthwise(const Job& job, size_t begin, size_t end) {
  const ConvGeometry& g = job.g;
  const size_t multiplier = g.group_out();
  for (size_t pixel = begin * g.out_w; pixel < end * g.out_w; ++pixel) {
    float* to = job.out + pixel * g.out_c;
    std::memcpy(to, job.bias, g.out_c * sizeof(float));
    const float* w = job.weights;
    const Corner corner = corner_of(job, pixel);
    for (size_t ky = 0; ky < g.window.kernel_h; ++ky)
      for (size_t kx = 0; kx < g.window.kernel_w; ++kx, w += g.out_c) {
        const float* x = input_pixel(g, corner, ky, kx);
        if (x == nullptr) continue;
        if (multiplier == 1) {
          for (size_t c = 0; c < g.out_c; ++c) to[c] += x[c] * w[c];
        } else {
          for (size_t c = 0; c < g.in_c; ++c)
            for (size_t m = 0; m < multiplier; ++m)
              to[c * multiplier + m] += x[c] * w[c * multiplier + m];
        }
      }
    for (size_t o = 0; o < g.out_c; ++o) to[o] = clamp_to(to[o], job.limits);
  }
}

}  // namespace

CheckedSize plain_packed_floats(const ConvGeometry& g) {
  if (g.depthwise()) return CheckedSize(g.taps()) * g.out_c;
  const size_t tiles = (g.group_out() + kPlainTile - 1) / kPlainTile;
  return CheckedSize(g.groups) * tiles * kPlainTile * g.taps() * g.group_in();
}

void plain_pack(const ConvGeometry& g, const float* weights, float* packed) {
  if (g.depthwise()) {
    std::memcpy(packed, weights, g.taps() * g.out_c * sizeof(float));
    return;
  }
  const size_t inputs = g.taps() * g.group_in();
  const size_t tiles = (g.group_out() + kPlainTile - 1) / kPlainTile;
  for (size_t group = 0; group < g.groups; ++group)
    for (size_t tile = 0; tile < tiles; ++tile)
      for (size_t o = 0; o < kPlainTile; ++o) {
        const size_t output = tile * kPlainTile + o;
        float* to = packed + (group * tiles + tile) * inputs * kPlainTile + o;
        const float* from = weights + (group * g.group_out() + output) * inputs;
        for (size_t i = 0; i < inputs; ++i)
          to[i * kPlainTile] = output < g.group_out() ? from[i] : 0.0f;
      }
}

void plain_run(const ConvGeometry& g, const float* packed, const float* bias, Limits limits,
               const float* in, float* out, const Threads& threads) {
  const Job job{g, packed, bias, limits, in, out};
  if (g.depthwise()) {
    auto rows = [&](size_t begin, size_t end, uint32_t) { run_depthwise(job, begin, end); };
    threads.split(g.batch * g.out_h, 4, rows);
    return;
  }
  const size_t blocks = (g.rows() + kPixels - 1) / kPixels;
  const size_t tiles = (g.group_out() + kPlainTile - 1) / kPlainTile;
  auto items = [&](size_t begin, size_t end, uint32_t) {
    for (size_t i = begin; i < end; ++i) {
      const size_t row = i % blocks * kPixels, tile = i / blocks;
      const size_t count = g.rows() - row < kPixels ? g.rows() - row : kPixels;
      run_item(job, tile / tiles, tile % tiles, row, count);
    }
  };
  const size_t all = blocks * tiles * g.groups, chunks = size_t{threads.count()} * 8;
  threads.split(all, (all + chunks - 1) / chunks, items);
}

}  // namespace qrt
