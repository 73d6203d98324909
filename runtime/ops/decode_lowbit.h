// The part of decode_weights.h for weights that are codes of few bits: tables, affine integers and
// planes of signs. What these mean in f32, one weight after the other.
#ifndef QRT_RUNTIME_OPS_DECODE_LOWBIT_H_
#define QRT_RUNTIME_OPS_DECODE_LOWBIT_H_

#include "runtime/base/status.h"
#include "runtime/model/model.h"

namespace qrt {

inline bool is_lowbit(Encoding e) {
  return e == Encoding::table || e == Encoding::affine || e == Encoding::bit_planes;
}

// QRT-E0256.
Status check_lowbit(const Weights&);

// outputs x inputs floats of checked weights. Every operation is rounded on its own:
//   affine:     (q - zero / 2, exact) * scale
//   table:      value * scale, then + offset where there is one
//   bit planes: the sum of +-alpha over the planes of the group, in their order; no plane: 0
void decode_lowbit(const Weights&, float* out);

// Where the scale of a weight stands among the values of `s`.
inline uint32_t scale_at(const Scales& s, uint32_t inputs, uint32_t output, uint32_t input) {
  if (s.axis == ScaleAxis::layer) return 0;
  if (s.axis == ScaleAxis::output) return output;
  return output * ((inputs + s.group - 1) / s.group) + input / s.group;
}

// Planes of groups follow each other bit after bit (schema/layout.h); others start on a byte.
inline bool planes_follow(const BitPlaneWeights& b) {
  return b.group != 0 && b.packing == PlanePacking::planes;
}

// Entry `code` of a table; +-1 (trits: or 0) of the i-th of a plane's signs.
float table_value(const TableWeights&, uint32_t code);
int32_t plane_sign(const BitPlaneWeights&, const uint8_t* plane, uint64_t i);

// The zero point of an output, in halves.
inline int32_t zero_of(const AffineWeights& a, uint32_t output) {
  if (a.zero_halves.empty()) return 0;
  return a.zero_halves.data()[a.zero_halves.size() == 1 ? 0 : output];
}

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_DECODE_LOWBIT_H_
