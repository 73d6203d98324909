// Constants of kernels.inc: AMD EPYC (Zen 4), medians of parts timed alone, then scaled so that
// whole layers come out right: the parts together take a tenth more than their sum, as what one
// leaves in L2 is in the way of the next.
#include "kernels/winograd8/winograd8.h"

namespace qrt::kernels::winograd8 {

float cost_ns(const Args& a, size_t edge, size_t entries, const Row& row) {
  const auto of = [](size_t x) { return static_cast<float>(x); };
  const float positions = of((edge + 2) * (edge + 2)), tiles = of(tiles_of(a, edge));
  const float columns = of((a.outputs + row.tile_n - 1) / row.tile_n);
  const float steps = of((a.channels + kStep - 1) / kStep);
  // A step of few tiles still loads all of the panel.
  const float height = tiles / of(row.tile_m), heights = height < 0.25f ? 0.25f : height;
  const float codes = of(a.channels) * columns * of(row.tile_n);
  return positions * (heights * columns * steps * row.costs.step + codes * row.costs.code +
                      tiles * of(a.channels) * row.costs.input +
                      tiles * of(a.outputs) * row.costs.output + of(entries) * row.costs.code);
}

}  // namespace qrt::kernels::winograd8
