// encode_pq_layer() for runs that may be interrupted: a layer that the journal knows
// is not computed again.
#ifndef QRT_CONVERTER_QUANT_KEPT_LAYER_H_
#define QRT_CONVERTER_QUANT_KEPT_LAYER_H_

#include <cstdint>
#include <span>
#include <string>

#include "converter/base/result.h"
#include "converter/quant/control.h"
#include "converter/quant/pq_layer.h"

namespace qrt::quant {

// The result of encode_pq_layer() for these arguments, taken from `journal` (may be null) where it
// was recorded, else computed and recorded. `found` (optional) tells which. Errors: those of
// encode_pq_layer(), which are not recorded.
Result<PqLayer> encode_kept_layer(Journal* journal, std::span<const float> weights, int64_t outputs,
                                  int64_t inputs, const PqLayerSettings&,
                                  std::span<const double> grams, uint64_t seed, int32_t threads = 0,
                                  bool* found = nullptr);

// The key: a fingerprint of every argument that the result depends on.
std::string layer_key(std::span<const float> weights, int64_t outputs, int64_t inputs,
                      const PqLayerSettings&, std::span<const double> grams, uint64_t seed);

// What k-means of such a layer takes, in units for a Meter: distances of one iteration.
double layer_work(int64_t outputs, int64_t inputs, const PqLayerSettings&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_KEPT_LAYER_H_
