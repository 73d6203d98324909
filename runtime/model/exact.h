// Weights that stand for integers (schema/README.md, Numerics): whether they do, and how large.
#ifndef QRT_RUNTIME_MODEL_EXACT_H_
#define QRT_RUNTIME_MODEL_EXACT_H_

#include "runtime/base/status.h"
#include "runtime/model/weights.h"

namespace qrt {

// An affine integer of a code q is q - zero / 2, or 2 * q - zero (and half the scale) where the
// output's zero, in halves, is odd.
struct AffineInteger {
  int32_t factor, zero;
  int32_t of(int32_t q) const { return factor * q - zero; }
};
AffineInteger affine_integer(const AffineWeights&, uint32_t output);

constexpr bool fits_s8(int64_t v) {
  return v >= -128 && v <= 127;
}

// Of weights whose sizes were checked and whose numerics are not f32: they are integers of
// -128..127, of affine codes -255..255, with one scale per output (QRT-E0142, QRT-E0159), or of a
// table integers of +-32639 with any scales, and no sum of products with bytes leaves int32 in
// whatever order it is made (QRT-E0153).
Status check_integers(const Weights&);

// No integer of checked weights is larger: of a table the largest that it has, of affine codes
// that or 128, else 128.
uint64_t most_integer(const Weights&);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_EXACT_H_
