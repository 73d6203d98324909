// The shift family for NEON, aarch64 and armv7: sshl shifts every lane by its own count.
#include <arm_neon.h>

#include "kernels/shift/generic_decode.h"
#include "kernels/shift/generic_dot.h"
#include "kernels/shift/generic_grouped.h"
#include "kernels/shift/generic_shift.h"

namespace qrt::kernels::shift {
namespace {

#include "kernels/shift/neon_bytes.inc"

struct Kit {
  static constexpr size_t kTileN = 8;
  static const int8::Kit& kit() { return int8::int8_neon; }
};

struct Neon {
  static constexpr size_t kBytes = 16;
  static constexpr bool kWords = true;
  using Words16 = Vector<int16_t, kBytes>;
  using Ints = Vector<int32_t, kBytes>;
  static Words16 shl(const Words16& v, const Words16& by) {
    return (Words16)vshlq_s16((int16x8_t)v, (int16x8_t)by);
  }
  static Ints shl(const Ints& v, const Ints& by) {
    return (Ints)vshlq_s32((int32x4_t)v, (int32x4_t)by);
  }
};

}  // namespace

const Way decode_neon = {Kit::kTileN, Decode<Bytes, Kit>::scratch, Decode<Bytes, Kit>::run};
const Way dot_neon = {kDotOutputs, Dot<Bytes>::scratch, Dot<Bytes>::run};
const Way shift_neon = {16, shift_scratch<Neon>, shifted<Neon>};
const Way grouped_neon = {kOutputs, grouped_scratch<Neon::kBytes>, grouped<Neon::kBytes>};

}  // namespace qrt::kernels::shift
