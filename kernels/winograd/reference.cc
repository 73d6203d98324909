// Winograd on codebooks as its definition has it, one output after the other: what the
// other rows must agree with, and the row for machines without one. generic.h derives it.
#include <algorithm>

#include "kernels/winograd/plan.h"

namespace qrt::kernels {
namespace {

constexpr size_t kLine = WinogradPlan::kLine;

// B^T d B of the 4x4 patch of channel c.
void transform_input(const WinogradArgs& a, const WinogradSpot& spot, size_t c, float* v) {
  float d[4][4] = {}, t[4][4];
  for (size_t y = 0; y < 4; ++y)
    for (size_t x = 0; x < 4; ++x) {
      const size_t iy = spot.y + y - a.pad_top, ix = spot.x + x - a.pad_left;  // may wrap
      if (iy < a.in_h && ix < a.in_w)
        d[y][x] = a.input[((spot.image * a.in_h + iy) * a.in_w + ix) * a.cin + c];
    }
  for (size_t x = 0; x < 4; ++x) {
    t[0][x] = d[0][x] - d[2][x];
    t[1][x] = d[1][x] + d[2][x];
    t[2][x] = d[2][x] - d[1][x];
    t[3][x] = d[1][x] - d[3][x];
  }
  for (size_t y = 0; y < 4; ++y, v += 4) {
    v[0] = t[y][0] - t[y][2];
    v[1] = t[y][1] + t[y][2];
    v[2] = t[y][2] - t[y][1];
    v[3] = t[y][1] - t[y][3];
  }
}

// A^T m A.
void transform_output(const float* m, float y[2][2]) {
  float t[2][4];
  for (size_t x = 0; x < 4; ++x) {
    t[0][x] = m[x] + m[4 + x] + m[8 + x];
    t[1][x] = m[4 + x] - m[8 + x] - m[12 + x];
  }
  for (size_t i = 0; i < 2; ++i) {
    y[i][0] = t[i][0] + t[i][1] + t[i][2];
    y[i][1] = t[i][1] - t[i][2] - t[i][3];
  }
}

void store(const WinogradArgs& a, const WinogradSpot& spot, size_t n, const float y[2][2]) {
  for (size_t i = 0; i < spot.rows; ++i)
    for (size_t j = 0; j < spot.cols; ++j) {
      const size_t at = spot.offset + (i * a.out_w + j) * a.cout + n;
      float value = a.scale != nullptr ? a.scale[n] * y[i][j] : y[i][j];
      if (a.bias != nullptr) value += a.bias[n];
      if (a.residual != nullptr) value += a.residual[at];
      value = value < a.min ? a.min : value;  // false for a NaN, which stays
      a.output[at] = value > a.max ? a.max : value;
    }
}

}  // namespace

void winograd_reference(const WinogradArgs& a) {
  const WinogradPlan p(a);
  char* scratch = static_cast<char*>(a.scratch);
  uint32_t* slots = reinterpret_cast<uint32_t*>(scratch + p.slots_at);
  uint32_t* codes = reinterpret_cast<uint32_t*>(scratch + p.codes_at);
  WinogradSpot* spots = reinterpret_cast<WinogradSpot*>(scratch + p.spots_at);
  float* v = reinterpret_cast<float*>(scratch + p.v_at);
  winograd_slots(a, p, slots);
  for (size_t begin = a.tile_begin, n = 0; begin < a.tile_end; begin += n) {
    n = std::min(p.tiles, a.tile_end - begin);
    winograd_spots(a, begin, n, spots);
    for (size_t t = 0; t < n; ++t)
      for (size_t c = 0; c < a.cin; ++c)
        transform_input(a, spots[t], c, v + (t * a.cin + slots[c]) * kLine);
    for (size_t o = 0; o < a.cout; ++o) {
      if (o % WinogradPlan::kOutputs == 0) winograd_stage_codes(a, p, slots, o, 1, codes);
      const uint32_t* offsets = codes + o % WinogradPlan::kOutputs * a.books * a.cin;
      for (size_t t = 0; t < n; ++t) {
        float sums[kLine] = {}, y[2][2];
        for (size_t i = 0; i < a.books * a.cin; ++i) {
          const float* line = v + (t * a.cin + i % a.cin) * kLine;
          const float* u = a.table + offsets[i] / sizeof(float);
          for (size_t k = 0; k < kLine; ++k) sums[k] += line[k] * u[k];
        }
        transform_output(sums, y);
        store(a, spots[t], o, y);
      }
    }
  }
}

}  // namespace qrt::kernels
