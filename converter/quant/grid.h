// Values of equal distance, q - zero / 2 for whole q, and the scales that suit rows of
// weights best: the grids of binary (BWN) and ternary (TWN) weights, of SRQ, and of the
// DoReFa quantizers in SAT, for matrices [outputs][inputs].
#ifndef QRT_CONVERTER_QUANT_GRID_H_
#define QRT_CONVERTER_QUANT_GRID_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "converter/base/result.h"
#include "converter/quant/encoding.h"
#include "converter/quant/esb_values.h"
#include "converter/quant/quadratic.h"

namespace qrt::quant {

// Whole numbers low..high; weight = scale * (q - zero_halves / 2). Or, with `esb` (not owned), its
// codes; weight = scale * esb->number(q).
struct Grid {
  int32_t low = 0, high = 1, zero_halves = 0;
  const EsbCoder* esb = nullptr;
  double least() const { return esb ? -esb->most() : low - zero_halves / 2.0; }
  double most() const { return esb ? esb->most() : high - zero_halves / 2.0; }
  double number(int32_t code) const {
    return esb ? esb->number(static_cast<uint8_t>(code)) : code - zero_halves / 2.0;
  }
};

// `srq` and `modified` are two's complement, `original` and `centered` symmetric without a zero,
// `affine` has a zero point that is searched with the scale. SAT's differ in where a clip level of
// 1 puts the last value: 1 (original), 1 - 2^(1-b) (modified, like srq), 1 - 2^-b (centered).
enum class GridKind { srq, original, modified, centered, affine };

// bits 1..8; `affine` starts as `srq`.
Grid grid_of(GridKind, int32_t bits);
inline constexpr Grid kBinary{0, 1, 1}, kTernary{-1, 1, 0};

// The distance of two values where the clip level is 1.
double unit_step(GridKind, int32_t bits);

// SAT's rule (METHODS 7a) for the weights of a whole layer, in f64: t = tanh(w) / max |tanh(w)|,
// u = (t + 1) / 2, then `original` rounds half to even and the others round down. `codes` are those
// of grid_of(), `scale` is unit_step(). srq and affine are no rules of SAT's: they take `modified`.
struct SatWeights {
  std::vector<int16_t> codes;
  double scale = 0;
};
SatWeights sat_weights(std::span<const float> weights, GridKind, int32_t bits);

// SAT's factor for a layer without batch norm, 1 / sqrt(n_out VAR[Q]), Q = step * (q - zero / 2),
// the variance with n - 1; 1 where Q does not vary.
double sat_factor(const SatWeights&, const Grid&, int64_t n_out);

// SQ's projections of one filter (METHODS 3a). alpha of binary weights is the mean of |w|; a
// threshold of ternary ones is 0.7 mean |w| of the filter, or of |w - mean w| over a whole layer;
// alpha then the mean of what lies beyond it, 0 where nothing does.
double binary_alpha(std::span<const float> row);
double ternary_threshold(std::span<const float> row);
double ternary_layer_threshold(std::span<const float> weights);
double ternary_alpha(std::span<const float> row, double threshold);

// ---- fitted grids -------------------------------------------------------------------------------

struct GridFit {
  ScaleAxis axis = ScaleAxis::output;
  int64_t group = 0;       // inputs that share a scale, with ScaleAxis::group
  bool powers = false;     // scales are powers of two, with ScaleAxis::group
  bool free_zero = false;  // search zero points, one per output (one with ScaleAxis::layer)
  int32_t rounds = 3;      // of scales by least squares, then values
  int32_t sweeps = 8;      // of coordinate descent in each
  size_t threads = 1;
};

struct FittedGrid {
  std::vector<int16_t> codes;        // [outputs][inputs]
  Scales scales;                     // exactly f16 where that is normal
  std::vector<int16_t> zero_halves;  // [outputs], or one with ScaleAxis::layer
};

// `metrics` [groups of outputs]: rows of one share a metric. `gains` [outputs] weigh errors where
// rows share a scale. The same bytes for any number of threads.
FittedGrid fit_grid(std::span<const float> target, std::span<const Quadratic> metrics,
                    std::span<const double> gains, const Grid&, const GridFit&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_GRID_H_
