// Method esb: one layer's weights as codes of elastic significant bits.
#ifndef QRT_CONVERTER_QUANT_ESB_H_
#define QRT_CONVERTER_QUANT_ESB_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/quant/encoding.h"
#include "converter/quant/esb_values.h"
#include "converter/quant/network.h"
#include "converter/quant/quadratic.h"

namespace qrt::quant {

// What integers a kernel can use: bytes go through one product, two bytes through two.
enum class EsbRange { s8, s16, any };

struct EsbSettings {
  EsbFormat format;          // its fraction counts where `any_fraction` is false
  bool any_fraction = true;  // the fraction of least error that the range allows
  EsbRange range = EsbRange::s8;
  bool mean_shift = false;  // the mean of each output (or of the layer) is added back by the layer
  ScaleAxis axis = ScaleAxis::output;
  int64_t group = 0;    // inputs that share a scale, with ScaleAxis::group
  bool powers = false;  // scales of groups are powers of two
  bool fitted = true;   // false: the published scale, alpha* std + 1e-5
  size_t threads = 1;
};

// What `settings` leave to choose from; none if their format does not exist or leaves the range.
// One to three exponent bits are tried: a fourth adds only values below any that layers use.
std::vector<EsbFormat> esb_candidates(const EsbSettings&);

// The table of a format: whole numbers of 16 bits where it has no others, else f32.
Table esb_table(const EsbFormat&);

// A layer [outputs][inputs] by the best of the candidates, of which there must be one; `metrics`
// [groups of outputs] and `gains` [outputs] as fit_grid() has them. Deterministic.
Table fit_esb(const LayerProblem&, std::span<const Quadratic> metrics, const EsbSettings&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ESB_H_
