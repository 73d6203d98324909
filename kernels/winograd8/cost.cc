// Constants of kernels.inc: AMD EPYC (Zen 4), medians of the parts of F(4x4,3x3) timed alone. Whole
// layers of 14 x 14 and more come within 15 % of the prediction, F(4x4,3x3), and take up to
// 20 % less, F(2x2,3x3). NEON was not measured on hardware: instructions of the inner loops times
// 0.5 ns, a third more on aarch64: cores with a dot product issue SMLAL at half its rate, and there
// int8 must stay ahead. These and the reference's rank only.
#include "kernels/winograd8/winograd8.h"

namespace qrt::kernels::winograd8 {

float cost_ns(const Args& a, size_t edge, size_t entries, const Row& row) {
  const auto of = [](size_t x) { return static_cast<float>(x); };
  const float positions = of((edge + 2) * (edge + 2)), tiles = of(tiles_of(a, edge));
  const float columns = of((a.outputs + row.tile_n - 1) / row.tile_n);
  const float steps = of((a.channels + kStep - 1) / kStep);
  // A step of few tiles still loads all of the panel.
  const float height = tiles / of(row.tile_m), heights = height < 0.25f ? 0.25f : height;
  // B' and A' of F(2x2,3x3) are half as many operations per position.
  const float ease = edge == 2 ? 0.5f : 1.0f;
  const float codes = of(a.channels) * columns * of(row.tile_n);
  return positions *
         (heights * columns * steps * row.costs.step + codes * row.costs.code +
          ease * tiles * of(a.channels) * row.costs.input +
          ease * tiles * of(a.outputs) * row.costs.output + of(entries) * row.costs.code);
}

}  // namespace qrt::kernels::winograd8
