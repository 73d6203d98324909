// The lowbit kit for AVX-512 with VNNI: masked codes are the unsigned factor of vpdpbusd, so the
// upper places of a byte need no shift. A vector of 64 bytes costs 8 / bits ANDs and as many
// vpdpbusd, one a cycle on Zen 4: a cycle for 64 weights of 1 to 4 bits.
#include <immintrin.h>

#include "kernels/lowbit/generic_dot.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/avx512.inc"
#include "kernels/lowbit/x86.inc"

// Sums of words of 32 bits: a lane gains at most 4 * 192 * 128 per vector, whose inputs are 256, so
// kMaxDotInputs fit.
template <int kSplit>
struct Vnni : Avx512 {
  static constexpr int kHalves = kSplit;
  static constexpr size_t kWiden = 64;
  static constexpr bool kSharesX = true;
  static Short mac(Short s, Vec codes, Vec x) {
    // As an intrinsic, g++-12 copies and spills sums in the loop: 208 us for 131 (4096 x 4096, 2
    // bits).
    __asm__("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(codes), "v"(x));
    return s;
  }
  static Long widen(Long to, Short s) { return _mm512_add_epi32(to, s); }
};

// Eight places would be too many sums: of bits, two halves.
void dot_vnni(const DotArgs& a) {
  if (a.packed.bits == kTrits)
    DotLoop<Vnni<1>, kTrits>::run(a);
  else if (a.packed.bits == 1)
    DotLoop<Vnni<2>, 1>::run(a);
  else if (a.packed.bits == 2)
    DotLoop<Vnni<1>, 2>::run(a);
  else
    DotLoop<Vnni<1>, 4>::run(a);
}

}  // namespace

const Kit lowbit_avx512vnni = {unpack<X86>,    integers<X86>, floats<X86>, Avx512::kBytes,
                               spread<Avx512>, dot_vnni,      finish};

}  // namespace qrt::kernels::lowbit
