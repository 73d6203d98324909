// The shift family for NEON with the dot product (aarch64): decoded bytes meet sdot.
#include <arm_neon.h>

#include "kernels/shift/generic_decode.h"
#include "kernels/shift/generic_dot.h"

namespace qrt::kernels::shift {
namespace {

#include "kernels/shift/neon_bytes.inc"

struct NeonDot : Bytes {
  static Sum mac(Sum s, const uint8_t* x, Vec w) {
    return vdotq_s32(s, signed_x(x), vreinterpretq_s8_u8(w));
  }
};

struct Kit {
  static constexpr size_t kTileN = 8;
  static const int8::Kit& kit() { return int8::int8_neondot; }
};

}  // namespace

const Way decode_neondot = {Kit::kTileN, Decode<NeonDot, Kit>::scratch, Decode<NeonDot, Kit>::run};
const Way dot_neondot = {kDotOutputs, Dot<NeonDot>::scratch, Dot<NeonDot>::run};

}  // namespace qrt::kernels::shift
